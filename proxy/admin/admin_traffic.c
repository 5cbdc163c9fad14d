/* admin_traffic.c - see admin_traffic.h. */
#include "proxy/admin/admin_traffic.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "proxy/admin/admin_postgres.h"

/* --- what there is to count --- */

/* A place: a listener itself (no route), one of its routes, or an instance. */
struct place {
    char labels[2 * (CONFIG_LABEL_MAX + INSTANCE_ID_MAX)]; /* escaped, without braces */
    struct meter_reading now;
};

struct places {
    struct place *items;
    size_t count;
    size_t room;
};

static struct place *add(struct places *places, const struct meter *meter)
{
    if (places->count == places->room) {
        size_t room = places->room > 0 ? places->room * 2 : 64;
        struct place *grown = realloc(places->items, room * sizeof *grown);
        if (grown == NULL) {
            return NULL; /* the page says less */
        }
        places->items = grown;
        places->room = room;
    }
    struct place *place = &places->items[places->count++];
    meter_read(meter, &place->now);
    return place;
}

/* Two labels, such as listener and route; the second may be NULL. */
static void label(struct place *place, const char *first, const char *value,
                  const char *second, const char *second_value)
{
    struct rc_buffer text = {0};

    if (place == NULL) {
        return;
    }
    rc_buffer_format(&text, "%s=\"", first);
    admin_postgres_label(&text, value);
    rc_buffer_format(&text, "\",%s=\"", second);
    admin_postgres_label(&text, second_value);
    rc_buffer_text(&text, "\"");
    (void)rc_text_put(place->labels, sizeof place->labels, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static void add_routes(const struct admin_view *view,
                       const struct config_listener *listener, const char *address,
                       struct places *places)
{
    for (size_t h = 0; h < listener->host_count; h++) {
        for (size_t r = 0; r < listener->hosts[h].route_count; r++) {
            const struct config_route *route = &listener->hosts[h].routes[r];
            struct place *place = add(places, view->meters->routes[route->number]);
            label(place, "listener", address, "route", route->label);
        }
    }
}

enum which { LISTENERS, HTTP_PLACES, ALL_OF_LISTENERS };

static void gather(const struct admin_view *view, enum which which, struct places *places)
{
    for (size_t i = 0; i < view->config->listener_count; i++) {
        const struct config_listener *listener = &view->config->listeners[i];
        char address[RC_ADDRESS_TEXT_MAX];
        rc_address_format(&listener->address, address);
        if (which == HTTP_PLACES && listener->mode != CONFIG_HTTP) {
            continue;
        }
        struct place *own = add(places, view->meters->listeners[i]);
        if (which == LISTENERS) {
            label(own, "listener", address, "mode", config_mode_name(listener->mode));
            continue;
        }
        label(own, "listener", address, "route", "");
        add_routes(view, listener, address, places);
    }
}

static void gather_instances(const struct admin_view *view, struct places *places)
{
    for (size_t p = 0; p < view->pool_count; p++) {
        const struct admin_pool *pool = &view->pools[p];
        for (size_t i = 0; i < lineup_count(pool->lineup); i++) {
            const struct instance *instance = lineup_at(pool->lineup, i)->instance;
            label(add(places, instance->meter), "pool", pool->config->name, "instance",
                  instance->id);
        }
    }
}

/* --- Prometheus --- */

static const char *const class_names[METER_CLASSES] = {"none", "1xx", "2xx",
                                                       "3xx",  "4xx", "5xx"};

static void put_head(struct rc_buffer *out, const char *name, const char *type,
                     const char *help)
{
    rc_buffer_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_classes(const struct places *places, const char *name, const char *help,
                        struct rc_buffer *out)
{
    put_head(out, name, "counter", help);
    for (size_t i = 0; i < places->count; i++) {
        for (unsigned c = 0; c < METER_CLASSES; c++) {
            rc_buffer_format(out, "%s{%s,code=\"%s\"} %llu\n", name,
                             places->items[i].labels, class_names[c],
                             (unsigned long long)places->items[i].now.classes[c]);
        }
    }
}

/* Whole octaves only: percentiles of Prometheus need no more, and series cost. */
static void put_histogram(const struct place *place, const char *name,
                          struct rc_buffer *out)
{
    const struct meter_reading *now = &place->now;
    uint64_t below = 0;

    for (unsigned i = 0; i + 1 < METER_BUCKETS; i++) {
        below += now->buckets[i];
        if (i % 4 == 0) {
            rc_buffer_format(out, "%s_bucket{%s,le=\"%.9g\"} %llu\n", name, place->labels,
                             (double)meter_bucket_end_us(i) / 1e6,
                             (unsigned long long)below);
        }
    }
    rc_buffer_format(out, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, place->labels,
                     (unsigned long long)now->timed);
    rc_buffer_format(out, "%s_sum{%s} %llu.%06llu\n", name, place->labels,
                     (unsigned long long)now->sum_us / 1000000,
                     (unsigned long long)now->sum_us % 1000000);
    rc_buffer_format(out, "%s_count{%s} %llu\n", name, place->labels,
                     (unsigned long long)now->timed);
}

static void put_histograms(const struct places *places, const char *name,
                           const char *help, struct rc_buffer *out)
{
    put_head(out, name, "histogram", help);
    for (size_t i = 0; i < places->count; i++) {
        put_histogram(&places->items[i], name, out);
    }
}

static uint64_t received(const struct meter_reading *now)
{
    return now->bytes_in;
}

static uint64_t sent(const struct meter_reading *now)
{
    return now->bytes_out;
}

static uint64_t opened(const struct meter_reading *now)
{
    return now->opened;
}

static uint64_t open_now(const struct meter_reading *now)
{
    return now->opened - now->closed;
}

static const struct {
    enum which of;
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct meter_reading *now);
} families[] = {
    {HTTP_PLACES, "rollcall_proxy_http_received_bytes_total", "counter",
     "Payload from clients", received},
    {HTTP_PLACES, "rollcall_proxy_http_sent_bytes_total", "counter", "Payload to clients",
     sent},
    {LISTENERS, "rollcall_proxy_listener_accepted_total", "counter",
     "Connections accepted", opened},
    {LISTENERS, "rollcall_proxy_listener_connections", "gauge",
     "Connections that are open", open_now},
};

static void put_families(const struct places *http, const struct places *listeners,
                         struct rc_buffer *out)
{
    for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
        const struct places *places = families[f].of == LISTENERS ? listeners : http;
        put_head(out, families[f].name, families[f].type, families[f].help);
        for (size_t i = 0; i < places->count; i++) {
            rc_buffer_format(
                out, "%s{%s} %llu\n", families[f].name, places->items[i].labels,
                (unsigned long long)families[f].value(&places->items[i].now));
        }
    }
}

/* Only what has happened: most reasons never occur at most places. */
static void put_refusals(const struct places *places, struct rc_buffer *out)
{
    static const char name[] = "rollcall_proxy_refusals_total";

    put_head(out, name, "counter", "Requests and connections refused, by reason");
    for (size_t i = 0; i < places->count; i++) {
        for (unsigned r = 0; r < REFUSAL_COUNT; r++) {
            uint64_t count = places->items[i].now.refusals[r];
            if (count > 0) {
                rc_buffer_format(out, "%s{%s,reason=\"%s\"} %llu\n", name,
                                 places->items[i].labels, refusal_word((enum refusal)r),
                                 (unsigned long long)count);
            }
        }
    }
}

void admin_traffic_metrics(const struct admin_view *view, struct rc_buffer *out)
{
    struct places http = {0};
    struct places listeners = {0};
    struct places all = {0};
    struct places instances = {0};

    gather(view, HTTP_PLACES, &http);
    gather(view, LISTENERS, &listeners);
    gather(view, ALL_OF_LISTENERS, &all);
    gather_instances(view, &instances);
    put_classes(&http, "rollcall_proxy_http_requests_total",
                "Requests answered, by route and class of status", out);
    put_histograms(&http, "rollcall_proxy_http_request_duration_seconds",
                   "From the request head to the last byte of the response", out);
    put_families(&http, &listeners, out);
    put_refusals(&all, out);
    put_classes(&instances, "rollcall_proxy_instance_requests_total",
                "Attempts at an instance, by class of its status", out);
    put_histograms(&instances, "rollcall_proxy_instance_response_seconds",
                   "From the choice of an instance to its response head", out);
    free(http.items);
    free(listeners.items);
    free(all.items);
    free(instances.items);
}

/* --- JSON --- */

static void put_percentiles(struct rc_json *json, const struct meter_reading *reading)
{
    static const struct {
        const char *name;
        unsigned per_mille;
    } of[] = {{"p50_us", 500}, {"p95_us", 950}, {"p99_us", 990}};

    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++) {
        rc_json_put_u64(json, of[i].name, meter_quantile_us(reading, of[i].per_mille));
    }
}

static void put_recent(struct rc_json *json, const struct meter_reading *recent,
                       uint64_t span_ms)
{
    uint64_t tenths = span_ms > 0 ? recent->requests * 10000 / span_ms : 0;

    rc_json_key(json, "recent");
    rc_json_object(json);
    rc_json_put_u64(json, "span_ms", span_ms);
    rc_json_put_u64(json, "requests", recent->requests);
    rc_json_key(json, "rate");
    rc_json_double(json, (double)tenths / 10.0);
    rc_json_put_u64(json, "failed", recent->classes[5] + recent->classes[0]);
    put_percentiles(json, recent);
    rc_json_object_end(json);
}

static void put_refused(struct rc_json *json, const struct meter_reading *now)
{
    rc_json_key(json, "refused");
    rc_json_object(json);
    for (unsigned r = 0; r < REFUSAL_COUNT; r++) {
        if (now->refusals[r] > 0) {
            rc_json_put_u64(json, refusal_word((enum refusal)r), now->refusals[r]);
        }
    }
    rc_json_object_end(json);
}

void admin_traffic_meter(struct rc_json *json, const struct meter *meter, uint64_t now_ms)
{
    struct meter_reading now;
    struct meter_reading recent;

    meter_read(meter, &now);
    rc_json_put_u64(json, "requests", now.requests);
    rc_json_key(json, "codes");
    rc_json_object(json);
    for (unsigned i = 0; i < METER_CLASSES; i++) {
        rc_json_put_u64(json, class_names[i], now.classes[i]);
    }
    rc_json_object_end(json);
    rc_json_put_u64(json, "bytes_in", now.bytes_in);
    rc_json_put_u64(json, "bytes_out", now.bytes_out);
    put_refused(json, &now);
    put_percentiles(json, &now);
    uint64_t span_ms = meter_recent(meter, now_ms, &recent);
    put_recent(json, &recent, span_ms);
}

static const char *const does[CONFIG_ACTION_COUNT] = {
    [CONFIG_TO_POOL] = "pool",
    [CONFIG_TO_SERVICE] = "services",
    [CONFIG_REDIRECT] = "redirect",
    [CONFIG_ANSWER] = "answer",
};

static void put_route(struct rc_json *json, const struct admin_view *view,
                      const struct config_host *host, const struct config_route *route)
{
    rc_json_object(json);
    rc_json_put_string(json, "label", route->label);
    rc_json_put_string(json, "host", host->name);
    rc_json_put_string(json, "prefix", route->prefix);
    bool passes = route->action == CONFIG_TO_POOL || route->action == CONFIG_TO_SERVICE;
    rc_json_put_string(json, "does", does[route->action]);
    rc_json_put_string(json, "pool", passes ? view->config->pools[route->pool].name : "");
    admin_traffic_meter(json, view->meters->routes[route->number], view->now_ms);
    rc_json_object_end(json);
}

static void put_listener(struct rc_json *json, const struct admin_view *view, size_t at)
{
    const struct config_listener *listener = &view->config->listeners[at];
    struct meter_reading now;
    char address[RC_ADDRESS_TEXT_MAX];

    rc_address_format(&listener->address, address);
    meter_read(view->meters->listeners[at], &now);
    rc_json_object(json);
    rc_json_put_string(json, "address", address);
    rc_json_put_string(json, "mode", config_mode_name(listener->mode));
    rc_json_put_string(
        json, "pool",
        listener->mode != CONFIG_HTTP ? view->config->pools[listener->pool].name : "");
    rc_json_put_u64(json, "accepted", now.opened);
    rc_json_put_u64(json, "connections", now.opened - now.closed);
    rc_json_put_u64(json, "max_connections", listener->max_connections);
    admin_traffic_meter(json, view->meters->listeners[at], view->now_ms);
    rc_json_key(json, "routes");
    rc_json_array(json);
    for (size_t h = 0; h < listener->host_count; h++) {
        for (size_t r = 0; r < listener->hosts[h].route_count; r++) {
            put_route(json, view, &listener->hosts[h], &listener->hosts[h].routes[r]);
        }
    }
    rc_json_array_end(json);
    rc_json_object_end(json);
}

/* All routes, and what found none, together. */
static void put_total(struct rc_json *json, const struct admin_view *view)
{
    struct meter_reading now = {0};
    struct meter_reading recent = {0};
    uint64_t span_ms = 0;

    for (size_t i = 0; i < view->meters->route_count + view->meters->listener_count;
         i++) {
        struct meter_reading one;
        const struct meter *meter =
            i < view->meters->route_count
                ? view->meters->routes[i]
                : view->meters->listeners[i - view->meters->route_count];
        meter_read(meter, &one);
        meter_sum(&now, &one);
        uint64_t of_one_ms = meter_recent(meter, view->now_ms, &one);
        meter_sum(&recent, &one);
        span_ms = of_one_ms > span_ms ? of_one_ms : span_ms;
    }
    rc_json_key(json, "total");
    rc_json_object(json);
    rc_json_put_u64(json, "requests", now.requests);
    rc_json_put_u64(json, "failed", now.classes[5] + now.classes[0]);
    put_recent(json, &recent, span_ms);
    rc_json_object_end(json);
}

void admin_traffic_routes(const struct admin_view *view, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 4);

    rc_json_object(&json);
    rc_json_put_u64(&json, "at_ms", view->now_ms);
    rc_json_put_u64(&json, "generation", view->generation);
    rc_json_put_bool(&json, "draining", view->draining);
    put_total(&json, view);
    rc_json_key(&json, "listeners");
    rc_json_array(&json);
    for (size_t i = 0; i < view->config->listener_count; i++) {
        put_listener(&json, view, i);
    }
    rc_json_array_end(&json);
    rc_json_object_end(&json);
    rc_buffer_byte(out, '\n');
}
