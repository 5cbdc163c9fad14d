/* checking_uv.h - the probes of a whole pool: one for each instance that the catalog does not
 * already call critical, and for nobody else. */
#ifndef PROXY_DISCOVER_CHECKING_UV_H
#define PROXY_DISCOVER_CHECKING_UV_H

#include "proxy/discover/health_probe_uv.h"

struct checking;

struct checking_options {
    uv_loop_t *loop;
    const char *pool;      /* its name, for the log; borrowed */
    struct lineup *lineup; /* borrowed */
    uint64_t seed;
    void (*changed)(void *context); /* a verdict changed; never from within a call */
    void *context;
};

/* NULL when memory is out. */
struct checking *checking_create(const struct checking_options *options);

/* Follows the lineup as it is now, and the configuration: other rules begin anew. */
void checking_sync(struct checking *checking, const struct config_pool *config);

/* Ends all probes. NULL is allowed. */
void checking_destroy(struct checking *checking);

#endif
