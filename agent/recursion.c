#include "agent/recursion.h"

#include <assert.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_recursors.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "dns/forward/forward_loops.h"

enum { SYSTEM_FILE_MAX = 64 * 1024, BITS = 8, TRY_MAX_MS = 30000 };

static int too_many(char error[RECURSION_ERROR_MAX], const char *what, size_t max)
{
    (void)snprintf(error, RECURSION_ERROR_MAX, "%s: more than %zu", what, max);
    return RC_EINVAL;
}

static int refuse_self(char error[RECURSION_ERROR_MAX], const char *what,
                       const struct rc_address *server)
{
    char text[RC_ADDRESS_TEXT_MAX];

    rc_address_format(server, text);
    (void)snprintf(
        error, RECURSION_ERROR_MAX,
        "%s: %s is this agent itself (client_addr, ports.dns): questions would "
        "go in a circle",
        what, text);
    return RC_EINVAL;
}

/* How many bits of a netmask are set. */
static unsigned bits_of(const struct rc_address *mask)
{
    unsigned bits = 0;

    for (size_t i = 0; i < rc_address_ip_size(mask) * BITS; i++) {
        bits += (unsigned)mask->ip[i / BITS] >> (BITS - 1 - i % BITS) & 1U;
    }
    return bits;
}

static void add_own(struct recursion *r, const struct ifaddrs *at)
{
    struct rc_address address;
    struct rc_address mask;

    if (at->ifa_addr == NULL || (at->ifa_flags & IFF_UP) == 0 ||
        rc_address_from_sockaddr(at->ifa_addr, &address) != RC_OK ||
        r->own_count == RECURSION_LOCAL_MAX) {
        return;
    }
    struct rc_network network = {.address = address,
                                 .bits = (unsigned)rc_address_ip_size(&address) * BITS};
    if (at->ifa_netmask != NULL &&
        rc_address_from_sockaddr(at->ifa_netmask, &mask) == RC_OK &&
        mask.family == address.family) {
        network.bits = bits_of(&mask);
    }
    r->local[r->own_count] = address;
    r->own[r->own_count++] = network;
}

static void find_own(struct recursion *r)
{
    struct ifaddrs *all = NULL;

    if (getifaddrs(&all) == 0) {
        for (const struct ifaddrs *at = all; at != NULL; at = at->ifa_next) {
            add_own(r, at);
        }
        freeifaddrs(all);
    }
    r->options.local = r->local;
    r->options.local_count = r->own_count;
}

static int add_client(struct recursion *r, const struct rc_network *network,
                      char error[RECURSION_ERROR_MAX])
{
    if (r->options.client_count == DNS_FORWARD_NETWORKS_MAX) {
        return too_many(error, "dns_config.recursion_for", DNS_FORWARD_NETWORKS_MAX);
    }
    r->clients[r->options.client_count++] = *network;
    return RC_OK;
}

static int add_networks(struct recursion *r, const char *const *texts, size_t count,
                        char error[RECURSION_ERROR_MAX])
{
    struct rc_network network;
    int err = RC_OK;

    for (size_t i = 0; i < count && err == RC_OK; i++) {
        err = rc_network_parse(texts[i], &network);
        if (err == RC_OK) {
            err = add_client(r, &network, error);
        }
    }
    return err;
}

/* A word of `recursion_for`, which was checked when it was read. */
static int add_clients(struct recursion *r, const char *word,
                       char error[RECURSION_ERROR_MAX])
{
    static const char *const loopback[] = {"127.0.0.0/8", "::1"};
    static const char *const any[] = {"0.0.0.0/0", "::/0"};
    int err = RC_OK;

    if (rc_text_equals(word, "loopback")) {
        return add_networks(r, loopback, 2, error);
    }
    if (rc_text_equals(word, "any")) {
        return add_networks(r, any, 2, error);
    }
    if (!rc_text_equals(word, "own")) {
        return add_networks(r, &word, 1, error);
    }
    for (size_t i = 0; i < r->own_count && err == RC_OK; i++) {
        err = add_client(r, &r->own[i], error);
    }
    return err;
}

static int set_clients(struct recursion *r, const struct definition_list *words,
                       char error[RECURSION_ERROR_MAX])
{
    int err = RC_OK;

    if (words->count == 0) {
        err = add_clients(r, "loopback", error);
        return err == RC_OK ? add_clients(r, "own", error) : err;
    }
    for (size_t i = 0; i < words->count && err == RC_OK; i++) {
        err = add_clients(r, words->items[i], error);
    }
    return err;
}

/* The system's servers are read by the forwarder, too, later and again: here only to see that
 * none is ourselves. */
static int check_system(const struct recursion *r, const char *what,
                        char error[RECURSION_ERROR_MAX])
{
    struct rc_address servers[DNS_FORWARD_SERVERS_MAX];
    struct rc_buffer text = {.bytes = NULL};
    int err = RC_OK;
    size_t count = 0;

    if (rc_file_read(r->options.system_file, SYSTEM_FILE_MAX, &text) == RC_OK) {
        count = dns_system_servers(rc_buffer_string(&text), text.size, servers);
    }
    for (size_t i = 0; i < count && err == RC_OK; i++) {
        if (dns_forward_is_self(&r->options, &servers[i])) {
            err = refuse_self(error, what, &servers[i]);
        }
    }
    rc_buffer_fini(&text);
    return err;
}

/* A word for a server, which was checked when it was read. */
static int add_server(struct recursion *r, struct dns_forward_route *route,
                      const char *what, const char *word, char error[RECURSION_ERROR_MAX])
{
    struct rc_address server;

    if (config_is_system(word)) {
        route->of_system = DNS_YES;
        return check_system(r, what, error);
    }
    if (rc_address_parse_ip(word, DNS_FORWARD_PORT, &server) != RC_OK) {
        int err = rc_address_parse(word, DNS_FORWARD_PORT, &server);
        if (err != RC_OK) {
            return err;
        }
    }
    if (dns_forward_is_self(&r->options, &server)) {
        return refuse_self(error, what, &server);
    }
    if (route->server_count == DNS_FORWARD_SERVERS_MAX) {
        return too_many(error, what, DNS_FORWARD_SERVERS_MAX);
    }
    route->servers[route->server_count++] = server;
    return RC_OK;
}

static struct dns_forward_route *new_route(struct recursion *r, const char *suffix)
{
    struct dns_forward_route *route = &r->routes[r->options.route_count++];

    route->suffix = suffix;
    return route;
}

static int add_forward(struct recursion *r, const struct definition_pair *pair,
                       char error[RECURSION_ERROR_MAX])
{
    char what[RECURSION_ERROR_MAX / 2];
    char word[RC_ADDRESS_TEXT_MAX];
    const char *at = pair->value;
    int err = RC_OK;

    (void)snprintf(what, sizeof what, "dns_config.forward of \"%.100s\"", pair->key);
    if (r->options.route_count == DNS_FORWARD_ROUTES_MAX - 1) {
        return too_many(error, "dns_config.forward", DNS_FORWARD_ROUTES_MAX - 1);
    }
    struct dns_name name;
    if (dns_name_from_text(pair->key, &name) != RC_OK) {
        (void)snprintf(error, RECURSION_ERROR_MAX, "%s: this is not a domain name", what);
        return RC_EINVAL;
    }
    struct dns_forward_route *route = new_route(r, pair->key);
    while (*at != '\0' && err == RC_OK) {
        size_t size = strcspn(at, " ");
        (void)snprintf(word, sizeof word, "%.*s", (int)size, at);
        err = add_server(r, route, what, word, error);
        at += size;
        at += strspn(at, " ");
    }
    return err;
}

static int add_routes(struct recursion *r, const struct agent_dns_config *config,
                      char error[RECURSION_ERROR_MAX])
{
    int err = RC_OK;

    for (size_t i = 0; i < config->forward.count && err == RC_OK; i++) {
        err = add_forward(r, &config->forward.items[i], error);
    }
    if (config->recursors.count > 0 && err == RC_OK) {
        struct dns_forward_route *route = new_route(r, "");
        for (size_t i = 0; i < config->recursors.count && err == RC_OK; i++) {
            err = add_server(r, route, "recursors", config->recursors.items[i], error);
        }
    }
    return err;
}

static enum dns_forward_strategy strategy_of(const char *text)
{
    if (text != NULL && rc_text_equals(text, "sequential")) {
        return DNS_FORWARD_SEQUENTIAL;
    }
    if (text != NULL && rc_text_equals(text, "random")) {
        return DNS_FORWARD_RANDOM;
    }
    return DNS_FORWARD_FASTEST;
}

static int fill(struct recursion *r, const struct agent_dns_config *config, uint64_t seed,
                char error[RECURSION_ERROR_MAX])
{
    struct rc_random random;

    rc_random_init(&random, seed);
    r->options.instance = rc_random_next(&random);
    r->options.random_seed = rc_random_next(&random);
    r->options.strategy = strategy_of(config->recursor_strategy);
    r->options.try_ms = config->recursor_timeout_ms > TRY_MAX_MS
                            ? TRY_MAX_MS
                            : (uint32_t)config->recursor_timeout_ms;
    r->options.routes = r->routes;
    r->options.clients = r->clients;
    r->options.loops = dns_loops_create(r->options.instance);
    find_own(r);
    int err = r->options.loops == NULL ? RC_ENOMEM : RC_OK;
    if (err == RC_OK) {
        err = add_routes(r, config, error);
    }
    return err == RC_OK ? set_clients(r, &config->recursion_for, error) : err;
}

int recursion_create(const struct agent_config *config,
                     const struct recursion_place *place, char error[RECURSION_ERROR_MAX],
                     struct recursion **out)
{
    if (config->dns.recursors.count == 0 && config->dns.forward.count == 0) {
        *out = NULL;
        return RC_OK;
    }
    struct recursion *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return RC_ENOMEM;
    }
    assert(place->listen_count <= RECURSION_LISTEN_MAX);
    memcpy(r->listen, place->listen, place->listen_count * sizeof *place->listen);
    r->options.listen = r->listen;
    r->options.listen_count = place->listen_count;
    r->options.system_file = place->system_file;
    int err = fill(r, &config->dns, place->seed, error);
    if (err != RC_OK) {
        recursion_destroy(r);
        return err;
    }
    bool is_wanted = false;
    for (size_t i = 0; i < r->options.route_count; i++) {
        is_wanted = is_wanted || r->routes[i].of_system == DNS_YES;
    }
    r->options.system_file = is_wanted ? place->system_file : NULL;
    *out = r;
    return RC_OK;
}

void recursion_destroy(struct recursion *recursion)
{
    if (recursion != NULL) {
        dns_loops_destroy(recursion->options.loops);
        free(recursion);
    }
}
