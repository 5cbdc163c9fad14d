/* pool_uv.h - one pool as control keeps it: its lineup, its discovery, its probes. */
#ifndef PROXY_DISCOVER_POOL_UV_H
#define PROXY_DISCOVER_POOL_UV_H

#include <stdbool.h>

#include <uv.h>

#include "base/metrics.h"
#include "proxy/discover/pgview.h"
#include "proxy/upstream/lineup.h"

struct pool;
struct dns_resolver;

struct pool_options {
    uv_loop_t *loop;
    const struct config *config;    /* borrowed during the call */
    const struct config_pool *pool; /* borrowed during the call */
    struct dns_resolver *resolver;  /* borrowed until pool_configure or pool_close */
    struct rc_metrics *metrics;
    uint64_t seed;
    void (*changed)(void *context); /* publish; never from within a call */
    void *context;
};

/* NULL when memory is out. */
struct pool *pool_start(const struct pool_options *options);

/* A reload: discovery starts again, members stay. RC_OK or RC_ENOMEM. */
int pool_configure(struct pool *pool, const struct config *config,
                   const struct config_pool *config_pool, struct dns_resolver *resolver);

/* Ends discovery and probes; memory goes at once, handles later. NULL is allowed. */
void pool_close(struct pool *pool);

/* Time and counters. True when something changed. */
bool pool_tick(struct pool *pool);

/* An instance failed: the view may be stale. */
void pool_refresh(struct pool *pool);

const char *pool_name(const struct pool *pool);
struct lineup *pool_lineup(const struct pool *pool);

/* What is known of the cluster it follows, or NULL: it follows none. Borrowed. */
const struct pgview *pool_view(const struct pool *pool);

#endif
