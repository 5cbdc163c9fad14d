/* pools_uv.h - the pools as control keeps them: those of the configuration, and those that
 * requests asked for.
 *
 * A request for a service of a pattern (derived.h) that has no pool yet makes one: it lives while it
 * is used, at least as long as it is not known whether it has instances. Runs on control's loop. */
#ifndef PROXY_POOLS_UV_H
#define PROXY_POOLS_UV_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>

#include "base/metrics.h"
#include "proxy/discover/pool_uv.h"
#include "proxy/upstream/snapshot.h"

struct pools;

enum { POOLS_DERIVED_MAX = 1024 };

struct pools_options {
    uv_loop_t *loop;
    struct rc_metrics *metrics;
    uint64_t seed;
    void (*changed)(void *context); /* publish; never from within a call of these */
    void *context;
};

/* Empty. NULL when memory is out. */
struct pools *pools_create(const struct pools_options *options);

/* Ends all of them; handles go later. NULL is allowed. */
void pools_close(struct pools *pools);

/* Turns to another configuration (which must live until the next call): pools of the same name go on,
 * the others end, new ones begin. RC_OK or RC_ENOMEM. */
int pools_follow(struct pools *pools, const struct config *config,
                 struct dns_resolver *resolver);

/* Somebody asks for `service` of the pattern of this name. RC_OK: it is there, or has just been made
 * and shows in the next snapshot. RC_ENOTFOUND: no such pattern. RC_ETOOBIG: too many, or too
 * long a name. RC_ENOMEM. */
int pools_want(struct pools *pools, const char *pattern, const char *service);

/* Time and counters; forgets pools that nobody asks for. True when something changed. */
bool pools_tick(struct pools *pools);

/* An instance failed: views may be stale. */
void pools_refresh(struct pools *pools);

/* A whole snapshot of what is there. NULL when memory is out. */
struct snapshot *pools_snapshot(const struct pools *pools, struct snapshot_config *shared,
                                uint64_t generation);

/* Every source that must be heard before traffic makes sense has been heard. */
bool pools_are_known(const struct pools *pools);

/* All of them, the configured ones first, in their order. */
size_t pools_count(const struct pools *pools);
/* Grows with every pool that comes or goes on request. */
uint64_t pools_revision(const struct pools *pools);
struct pool *pools_at(const struct pools *pools, size_t index);
const struct config_pool *pools_config(const struct pools *pools, size_t index);

#endif
