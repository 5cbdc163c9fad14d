#include "dns/forward/forward_routes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/forward/forward_loops.h"

enum { SMOOTHING = 8 /* an answer counts an eighth: RFC 6298 section 2 */ };

struct route {
    struct dns_name suffix;
    uint8_t upstreams[DNS_FORWARD_SERVERS_MAX];
    size_t count;
};

struct dns_routes {
    const struct dns_forward_options *options;
    struct route *routes;
    size_t route_count;
    struct dns_upstream upstreams[DNS_UPSTREAMS_MAX];
    size_t upstream_count;
};

/* The server of that address, the same for all routes. */
static int add_upstream(struct dns_routes *routes, const struct rc_address *address,
                        uint8_t *out)
{
    size_t i = 0;

    while (i < routes->upstream_count &&
           !rc_address_equals(&routes->upstreams[i].address, address)) {
        i++;
    }
    if (i == DNS_UPSTREAMS_MAX) {
        return RC_ETOOBIG;
    }
    if (i == routes->upstream_count) {
        routes->upstreams[i].address = *address;
        routes->upstream_count++;
    }
    *out = (uint8_t)i;
    return RC_OK;
}

/* Each server once, and never ourselves. */
static int add_servers(struct dns_routes *routes, struct route *route,
                       const struct rc_address *servers, size_t count,
                       struct rc_address *self)
{
    for (size_t i = 0; i < count && route->count < DNS_FORWARD_SERVERS_MAX; i++) {
        uint8_t upstream;
        if (dns_forward_is_self(routes->options, &servers[i])) {
            *self = servers[i];
            continue;
        }
        int err = add_upstream(routes, &servers[i], &upstream);
        if (err != RC_OK) {
            return err;
        }
        if (memchr(route->upstreams, upstream, route->count) == NULL) {
            route->upstreams[route->count++] = upstream;
        }
    }
    return RC_OK;
}

static int fill(struct dns_routes *routes, const struct rc_address *system,
                size_t system_count, struct rc_address *self)
{
    for (size_t i = 0; i < routes->options->route_count; i++) {
        const struct dns_forward_route *from = &routes->options->routes[i];
        struct route *route = &routes->routes[routes->route_count++];
        int err = dns_name_from_text(from->suffix, &route->suffix);
        if (err == RC_OK) {
            err = add_servers(routes, route, from->servers, from->server_count, self);
        }
        if (err == RC_OK && from->of_system == DNS_YES) {
            err = add_servers(routes, route, system, system_count, self);
        }
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

int dns_routes_create(const struct dns_forward_options *options,
                      const struct rc_address *system, size_t system_count,
                      struct rc_address *self, struct dns_routes **out)
{
    struct dns_routes *routes = calloc(1, sizeof *routes);

    if (routes == NULL) {
        return RC_ENOMEM;
    }
    routes->options = options;
    routes->routes = calloc(options->route_count + 1, sizeof *routes->routes);
    self->family = RC_ADDRESS_NONE;
    int err = routes->routes == NULL ? RC_ENOMEM : RC_OK;
    if (err == RC_OK) {
        err = fill(routes, system, system_count, self);
    }
    if (err != RC_OK) {
        dns_routes_destroy(routes);
        return err;
    }
    *out = routes;
    return RC_OK;
}

void dns_routes_destroy(struct dns_routes *routes)
{
    if (routes != NULL) {
        free(routes->routes);
        free(routes);
    }
}

size_t dns_routes_upstream_count(const struct dns_routes *routes)
{
    return routes->upstream_count;
}

struct dns_upstream *dns_routes_upstream(struct dns_routes *routes, size_t i)
{
    assert(i < routes->upstream_count);
    return &routes->upstreams[i];
}

static const struct route *route_of(const struct dns_routes *routes,
                                    const struct dns_name *name)
{
    const struct route *best = NULL;

    for (size_t i = 0; i < routes->route_count; i++) {
        const struct route *route = &routes->routes[i];
        if (dns_name_ends_with(name, &route->suffix) &&
            (best == NULL || route->suffix.label_count > best->suffix.label_count)) {
            best = route;
        }
    }
    return best;
}

/* Healthy before down; by the measure of the strategy among the healthy. Whoever was never
 * asked counts as fast, so that it is. */
static bool goes_before(const struct dns_routes *routes, size_t a, size_t b)
{
    const struct dns_upstream *x = &routes->upstreams[a];
    const struct dns_upstream *y = &routes->upstreams[b];

    if (x->is_down != y->is_down) {
        return x->is_down == DNS_NO;
    }
    return routes->options->strategy == DNS_FORWARD_FASTEST &&
           x->smoothed_us < y->smoothed_us;
}

static void mix_up(uint8_t *order, size_t count, struct rc_random *random)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = rc_random_below(random, i);
        uint8_t kept = order[i - 1];
        order[i - 1] = order[other];
        order[other] = kept;
    }
}

size_t dns_routes_order(struct dns_routes *routes, const struct dns_name *name,
                        struct rc_random *random, uint8_t order[DNS_FORWARD_SERVERS_MAX])
{
    const struct route *route = route_of(routes, name);
    size_t count = 0;

    for (size_t i = 0; route != NULL && i < route->count; i++) {
        uint8_t upstream = route->upstreams[i];
        if (!dns_loops_has(routes->options->loops,
                           &routes->upstreams[upstream].address)) {
            order[count++] = upstream;
        }
    }
    if (routes->options->strategy == DNS_FORWARD_RANDOM) {
        mix_up(order, count, random);
    }
    for (size_t i = 1; i < count; i++) { /* insertion: keeps the order of equals */
        uint8_t moved = order[i];
        size_t at = i;
        while (at > 0 && goes_before(routes, moved, order[at - 1])) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = moved;
    }
    return count;
}

bool dns_routes_has(const struct dns_routes *routes, const struct dns_name *name)
{
    const struct route *route = route_of(routes, name);

    return route != NULL && route->count > 0;
}

size_t dns_routes_copy_to(struct dns_routes *routes, const uint8_t *order, size_t count,
                          uint64_t now_ms)
{
    for (size_t i = 1; i < count; i++) {
        struct dns_upstream *upstream = &routes->upstreams[order[i]];
        bool is_due = upstream->is_down == DNS_YES
                          ? now_ms >= upstream->again_ms
                          : routes->options->strategy == DNS_FORWARD_FASTEST &&
                                now_ms >= upstream->asked_ms + DNS_UPSTREAM_MEASURE_MS;
        if (is_due) {
            upstream->asked_ms = now_ms;
            upstream->again_ms = now_ms + upstream->wait_ms;
            return order[i];
        }
    }
    return DNS_UPSTREAM_NONE;
}

static enum dns_upstream_news failed(struct dns_upstream *upstream, uint64_t now_ms)
{
    upstream->failures++;
    if (upstream->failures < DNS_UPSTREAM_DOWN_AFTER) {
        return DNS_UPSTREAM_AS_BEFORE;
    }
    if (upstream->is_down == DNS_YES) {
        if (now_ms >= upstream->again_ms) {
            upstream->wait_ms = upstream->wait_ms >= DNS_UPSTREAM_AGAIN_MAX_MS / 2
                                    ? DNS_UPSTREAM_AGAIN_MAX_MS
                                    : upstream->wait_ms * 2;
            upstream->again_ms = now_ms + upstream->wait_ms;
        }
        return DNS_UPSTREAM_AS_BEFORE;
    }
    upstream->is_down = DNS_YES;
    upstream->wait_ms = DNS_UPSTREAM_AGAIN_MIN_MS;
    upstream->again_ms = now_ms + upstream->wait_ms;
    return DNS_UPSTREAM_WENT_DOWN;
}

enum dns_upstream_news dns_routes_result(struct dns_routes *routes, size_t i,
                                         enum dns_upstream_result result,
                                         uint64_t took_us, uint64_t now_ms)
{
    struct dns_upstream *upstream = dns_routes_upstream(routes, i);

    upstream->asked_ms = now_ms;
    if (result != DNS_UPSTREAM_ANSWERED && result != DNS_UPSTREAM_DECLINED) {
        return failed(upstream, now_ms);
    }
    took_us = took_us == 0 ? 1 : took_us;
    upstream->smoothed_us =
        upstream->smoothed_us == 0
            ? took_us
            : (upstream->smoothed_us * (SMOOTHING - 1) + took_us) / SMOOTHING;
    upstream->smoothed_us = upstream->smoothed_us == 0 ? 1 : upstream->smoothed_us;
    upstream->failures = 0;
    bool was_down = upstream->is_down == DNS_YES;
    upstream->is_down = DNS_NO;
    return was_down ? DNS_UPSTREAM_CAME_BACK : DNS_UPSTREAM_AS_BEFORE;
}
