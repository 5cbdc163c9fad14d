/* derived.h - a pool that no file names: made of a pattern for the service a request asked for.
 *
 * A pool with `from agent service *` is a pattern: it has no instances itself. A route that
 * takes the service's name from the request gets a copy of the pattern with this service, kept
 * by control as long as it is used, beside the configured pools. Reference-counted: snapshots
 * hold it, so whoever holds a snapshot may read the configuration in it. */
#ifndef PROXY_UPSTREAM_DERIVED_H
#define PROXY_UPSTREAM_DERIVED_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"

struct derived {
    _Atomic uint32_t references;
    _Atomic uint64_t used_at_ms; /* the last pick; relaxed, any thread */
    size_t pattern;              /* index of its pattern in the configuration */
    struct config_pool config;   /* named PATTERN/SERVICE; no static entries */
};

/* A copy of pool `pattern` for `service`, one reference. NULL with `*err`: RC_EINVAL (the pool is no
 * pattern, the service's name is empty), RC_ETOOBIG (a name too long), RC_ENOMEM. */
struct derived *derived_create(const struct config *config, size_t pattern,
                               const char *service, uint64_t now_ms, int *err);

/* Any thread; release takes NULL. */
struct derived *derived_retain(struct derived *derived);
void derived_release(struct derived *derived);

/* The order in which snapshots keep them: by pattern, then by service. As strcmp. */
int derived_compare(const struct derived *derived, size_t pattern, const char *service);

#endif
