/* discovery_uv.h - where a pool's instances come from: the agent's watch and DNS together.
 *
 * Each result goes to the pool's lineup through `told`; a change that the watch reports asks
 * DNS again at once, and so does a connection that failed. */
#ifndef PROXY_DISCOVER_DISCOVERY_UV_H
#define PROXY_DISCOVER_DISCOVERY_UV_H

#include <uv.h>

#include "proxy/upstream/lineup.h"

struct discovery;
struct dns_resolver;

struct discovery_options {
    uv_loop_t *loop;
    const struct config *config;    /* borrowed during the call */
    const struct config_pool *pool; /* borrowed during the call */
    struct dns_resolver *resolver;  /* borrowed until the close; NULL = no DNS */
    uint64_t seed;
    void (*told)(void *context, enum lineup_source source, enum lineup_verdict verdict,
                 const struct lineup_entry *entries, size_t count, const char *problem);
    void *context;
};

/* NULL when memory is out. */
struct discovery *discovery_start(const struct discovery_options *options);

/* Something points to a stale view: ask again soon, at most once a second. */
void discovery_refresh(struct discovery *discovery);

/* Ends it; `told` is not called any more; its memory goes with the last handle. */
void discovery_close(struct discovery *discovery);

#endif
