/* admin_figures.c - see admin_figures.h. */
#include "proxy/admin/admin_figures.h"

#include "base/json.h"
#include "base/version.h"

enum { MS_PER_S = 1000, US_PER_MS = 1000 };

/* To a tenth. */
static void put_rate(struct rc_json *json, const char *key, uint64_t count,
                     uint64_t span_ms)
{
    uint64_t tenths = span_ms > 0 ? count * 10 * MS_PER_S / span_ms : 0;
    rc_json_key(json, key);
    rc_json_double(json, (double)tenths / 10.0);
}

static void put_time(struct rc_json *json, const char *key,
                     const struct meter_reading *recent, unsigned per_mille)
{
    uint64_t tens = meter_quantile_us(recent, per_mille) / 10;
    rc_json_key(json, key);
    rc_json_double(json, (double)tens * 10.0 / US_PER_MS);
}

static void put_route(struct rc_json *json, const struct admin_view *view,
                      const struct config_host *host, const struct config_route *route)
{
    bool passes = route->action == CONFIG_TO_POOL || route->action == CONFIG_TO_SERVICE;
    struct meter_reading recent;
    uint64_t span_ms =
        meter_recent(view->meters->routes[route->number], view->now_ms, &recent);
    rc_json_object(json);
    rc_json_put_string(json, "Route", route->label);
    rc_json_put_string(json, "Host", host->name);
    rc_json_put_string(json, "Path", route->prefix);
    rc_json_put_string(json, "Match", config_match_name(route->match));
    rc_json_put_string(json, "Pool", passes ? view->config->pools[route->pool].name : "");
    put_rate(json, "PerSecond", recent.requests, span_ms);
    put_rate(json, "Errors5xxPerSecond", recent.classes[5], span_ms);
    put_time(json, "P50Ms", &recent, 500);
    put_time(json, "P95Ms", &recent, 950);
    put_time(json, "P99Ms", &recent, 990);
    rc_json_object_end(json);
}

static void put_routes(struct rc_json *json, const struct admin_view *view, size_t *left)
{
    rc_json_key(json, "Routes");
    rc_json_array(json);
    for (size_t l = 0; l < view->config->listener_count; l++) {
        const struct config_listener *listener = &view->config->listeners[l];
        for (size_t h = 0; h < listener->host_count; h++) {
            const struct config_host *host = &listener->hosts[h];
            for (size_t r = 0; r<host->route_count && * left> 0; r++) {
                put_route(json, view, host, &host->routes[r]);
                (*left)--;
            }
        }
    }
    rc_json_array_end(json);
}

static void put_listeners(struct rc_json *json, const struct admin_view *view,
                          size_t *left)
{
    char address[RC_ADDRESS_TEXT_MAX];
    rc_json_key(json, "Listeners");
    rc_json_array(json);
    for (size_t i = 0; i<view->config->listener_count && * left> 0; i++) {
        const struct config_listener *listener = &view->config->listeners[i];
        struct meter_reading now;
        meter_read(view->meters->listeners[i], &now);
        rc_address_format(&listener->address, address);
        rc_json_object(json);
        rc_json_put_string(json, "Address", address);
        rc_json_put_string(json, "Mode", config_mode_name(listener->mode));
        rc_json_put_string(json, "Pool",
                           listener->mode != CONFIG_HTTP
                               ? view->config->pools[listener->pool].name
                               : "");
        rc_json_put_u64(json, "Connections", now.opened - now.closed);
        rc_json_object_end(json);
        (*left)--;
    }
    rc_json_array_end(json);
}

static void put_instance(struct rc_json *json, const struct admin_view *view,
                         const struct lineup_member *member)
{
    const struct instance *instance = member->instance;
    struct meter_reading recent;
    uint64_t span_ms = meter_recent(instance->meter, view->now_ms, &recent);
    char address[RC_ADDRESS_TEXT_MAX];
    rc_address_format(&instance->address, address);
    rc_json_object(json);
    rc_json_put_string(json, "ID", instance->id);
    rc_json_put_string(json, "Address", address);
    rc_json_put_string(json, "State", upstream_state_name(member->upstream.state));
    put_rate(json, "PerSecond", recent.requests, span_ms);
    put_rate(json, "ErrorsPerSecond", recent.classes[5] + recent.classes[0], span_ms);
    put_time(json, "P50Ms", &recent, 500);
    put_time(json, "P95Ms", &recent, 950);
    put_time(json, "P99Ms", &recent, 990);
    rc_json_object_end(json);
}

static void put_pools(struct rc_json *json, const struct admin_view *view, size_t *left)
{
    rc_json_key(json, "Pools");
    rc_json_array(json);
    for (size_t p = 0; p<view->pool_count && * left> 0; p++) {
        const struct admin_pool *pool = &view->pools[p];
        rc_json_object(json);
        rc_json_put_string(json, "Pool", pool->config->name);
        rc_json_put_string(json, "Service", pool->config->service);
        rc_json_key(json, "Instances");
        rc_json_array(json);
        for (size_t i = 0; i < lineup_count(pool->lineup) && *left > 0; i++) {
            put_instance(json, view, lineup_at(pool->lineup, i));
            (*left)--;
        }
        rc_json_array_end(json);
        rc_json_object_end(json);
    }
    rc_json_array_end(json);
}

void admin_figures_tell(const struct admin_view *view, struct rc_buffer *out)
{
    struct rc_json json = rc_json_over(out, 0);
    size_t routes = ADMIN_FIGURES_MAX;
    size_t listeners = ADMIN_FIGURES_MAX;
    size_t instances = ADMIN_FIGURES_MAX;
    rc_json_object(&json);
    rc_json_put_string(&json, "Version", ROLLCALL_VERSION);
    rc_json_put_u64(&json, "UptimeMs", view->now_ms - view->started_ms);
    rc_json_put_bool(&json, "Draining", view->draining);
    put_listeners(&json, view, &listeners);
    put_routes(&json, view, &routes);
    put_pools(&json, view, &instances);
    rc_json_put_bool(&json, "Truncated", routes == 0 || listeners == 0 || instances == 0);
    rc_json_object_end(&json);
    rc_buffer_byte(out, '\n');
}
