/* limits.c - see limits.h. */
#include "proxy/limit/limits.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

int limits_init(struct limits *out, const struct config *config, uint64_t seed,
                uint64_t now_us)
{
    *out = (struct limits){.items = calloc(config->limit_count + 1, sizeof(void *)),
                           .count = config->limit_count};
    if (out->items == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < out->count; i++) {
        out->items[i] = limit_create(seed + i, now_us);
        if (out->items[i] == NULL) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

void limits_fini(struct limits *limits)
{
    for (size_t i = 0; limits->items != NULL && i < limits->count; i++) {
        limit_release(limits->items[i]);
    }
    free((void *)limits->items);
    *limits = (struct limits){0};
}

struct inheritance {
    struct limits *limits;
    const struct limits *former;
    const struct config *former_config;
};

static void inherit(const struct inheritance *in, const struct config_limits *place,
                    const struct config_limits *was)
{
    for (size_t i = 0; i < place->count; i++) {
        for (size_t k = 0; k < was->count; k++) {
            const struct config_limit *a = &place->items[i];
            const struct config_limit *b = &was->items[k];
            if (a->kind == b->kind && rc_text_equals(a->header, b->header)) {
                limit_release(in->limits->items[a->number]);
                in->limits->items[a->number] = limit_retain(in->former->items[b->number]);
                break;
            }
        }
    }
}

static const struct config_route *
next_route(const struct config *config, size_t *listener, size_t *host, size_t *route)
{
    for (; *listener < config->listener_count; (*listener)++, *host = 0) {
        const struct config_listener *l = &config->listeners[*listener];
        for (; *host < l->host_count; (*host)++, *route = 0) {
            if (*route < l->hosts[*host].route_count) {
                return &l->hosts[*host].routes[(*route)++];
            }
        }
    }
    return NULL;
}

static const struct config_route *find_route(const struct config *config,
                                             const char *label)
{
    size_t at[3] = {0};
    const struct config_route *route = NULL;

    while ((route = next_route(config, &at[0], &at[1], &at[2])) != NULL) {
        if (rc_text_equals(route->label, label)) {
            return route;
        }
    }
    return NULL;
}

static void inherit_listener(const struct inheritance *in,
                             const struct config_listener *listener)
{
    for (size_t i = 0; i < in->former_config->listener_count; i++) {
        const struct config_listener *was = &in->former_config->listeners[i];
        if (was->mode == listener->mode &&
            rc_address_equals(&was->address, &listener->address)) {
            inherit(in, &listener->limits, &was->limits);
        }
    }
}

void limits_inherit(struct limits *limits, const struct config *config,
                    const struct limits *former, const struct config *former_config)
{
    const struct inheritance in = {limits, former, former_config};
    size_t at[3] = {0};
    const struct config_route *route = NULL;

    for (size_t i = 0; i < config->listener_count; i++) {
        inherit_listener(&in, &config->listeners[i]);
    }
    while ((route = next_route(config, &at[0], &at[1], &at[2])) != NULL) {
        const struct config_route *was =
            route->limits.count > 0 ? find_route(former_config, route->label) : NULL;
        if (was != NULL) {
            inherit(&in, &route->limits, &was->limits);
        }
    }
}
