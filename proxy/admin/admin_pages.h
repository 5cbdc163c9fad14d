/* admin_pages.h - what the admin port tells of the pools: JSON for people and tools, and
 * Prometheus' text. Pure. */
#ifndef PROXY_ADMIN_ADMIN_PAGES_H
#define PROXY_ADMIN_ADMIN_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "proxy/discover/pgview.h"
#include "proxy/upstream/lineup.h"
#include "proxy/upstream/meters.h"

struct admin_pool {
    const struct config_pool *config;
    const struct lineup *lineup;
    const struct pgview *view;         /* of the cluster it follows; NULL = none */
    const struct snapshot_pool *shown; /* as workers see it; NULL = not yet */
};

/* The state to be told; everything is borrowed during a call. */
struct admin_view {
    const struct admin_pool *pools;
    size_t pool_count;
    const struct config *config;
    const struct meters *meters; /* of that configuration */
    const uint32_t *connections; /* of each worker */
    size_t worker_count;
    uint64_t generation;
    uint64_t now_ms;      /* monotonic */
    uint64_t started_ms;  /* the same clock */
    uint64_t now_boot_ms; /* the same over sleep: the views' clock */
    bool draining;
};

/* Appends {"generation":.., "pools":[{.., "instances":[..]}], ..} and a newline. */
void admin_pages_upstreams(const struct admin_view *view, struct rc_buffer *out);

/* Appends the families rollcall_proxy_instance_*, _pool_* and _connections. */
void admin_pages_metrics(const struct admin_view *view, struct rc_buffer *out);

/* "/upstreams/POOL/ID/drain" -> its parts, ID with slashes in it. RC_OK or RC_ENOTFOUND. */
struct admin_order {
    char pool[CONFIG_NAME_MAX];
    char id[INSTANCE_ID_MAX];
    enum lineup_order order;
};
int admin_pages_order(const char *path, struct admin_order *out);

#endif
