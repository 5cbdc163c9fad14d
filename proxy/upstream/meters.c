/* meters.c - see meters.h. */
#include "proxy/upstream/meters.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

static int make(size_t count, struct meter ***out)
{
    struct meter **made = calloc(count + 1, sizeof(struct meter *));

    *out = made;
    for (size_t i = 0; made != NULL && i < count; i++) {
        made[i] = meter_create();
        if (made[i] == NULL) {
            return RC_ENOMEM;
        }
    }
    return made != NULL ? RC_OK : RC_ENOMEM;
}

int meters_init(struct meters *out, const struct config *config)
{
    *out = (struct meters){.route_count = config->route_count,
                           .listener_count = config->listener_count};
    int err = make(out->route_count, &out->routes);
    return err != RC_OK ? err : make(out->listener_count, &out->listeners);
}

static void drop(struct meter **meters, size_t count)
{
    for (size_t i = 0; meters != NULL && i < count; i++) {
        meter_release(meters[i]);
    }
    free((void *)meters);
}

void meters_fini(struct meters *meters)
{
    drop(meters->routes, meters->route_count);
    drop(meters->listeners, meters->listener_count);
    *meters = (struct meters){0};
}

static void replace(struct meter **place, struct meter *by)
{
    meter_release(*place);
    *place = meter_retain(by);
}

/* Calls `visit` with each route of the configuration. */
static void each_route(const struct config *config, void *context,
                       void (*visit)(void *context, const struct config_route *route))
{
    for (size_t l = 0; l < config->listener_count; l++) {
        const struct config_listener *listener = &config->listeners[l];
        for (size_t h = 0; h < listener->host_count; h++) {
            for (size_t r = 0; r < listener->hosts[h].route_count; r++) {
                visit(context, &listener->hosts[h].routes[r]);
            }
        }
    }
}

struct search {
    const char *label;
    const struct config_route *found;
};

static void compare(void *context, const struct config_route *route)
{
    struct search *search = context;
    if (rc_text_equals(route->label, search->label)) {
        search->found = route;
    }
}

struct inheritance {
    struct meters *meters;
    const struct meters *former;
    const struct config *former_config;
};

static void inherit_route(void *context, const struct config_route *route)
{
    const struct inheritance *in = context;
    struct search search = {.label = route->label};

    each_route(in->former_config, &search, compare);
    if (search.found != NULL) {
        assert(search.found->number < in->former->route_count);
        replace(&in->meters->routes[route->number],
                in->former->routes[search.found->number]);
    }
}

void meters_inherit(struct meters *meters, const struct config *config,
                    const struct meters *former, const struct config *former_config)
{
    struct inheritance in = {meters, former, former_config};

    each_route(config, &in, inherit_route);
    for (size_t i = 0; i < config->listener_count; i++) {
        for (size_t k = 0; k < former_config->listener_count; k++) {
            const struct config_listener *was = &former_config->listeners[k];
            if (was->mode == config->listeners[i].mode &&
                rc_address_equals(&was->address, &config->listeners[i].address)) {
                replace(&meters->listeners[i], former->listeners[k]);
            }
        }
    }
}

void meters_tick(struct meters *meters, uint64_t now_ms)
{
    for (size_t i = 0; i < meters->route_count; i++) {
        meter_tick(meters->routes[i], now_ms);
    }
    for (size_t i = 0; i < meters->listener_count; i++) {
        meter_tick(meters->listeners[i], now_ms);
    }
}
