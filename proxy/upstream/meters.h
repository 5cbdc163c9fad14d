/* meters.h - a meter for each route and each listener of a configuration.
 *
 * A listener's meter counts its connections, and the requests that found no route; a route's
 * counts its requests. What is in the next configuration too goes on counting. */
#ifndef PROXY_UPSTREAM_METERS_H
#define PROXY_UPSTREAM_METERS_H

#include "proxy/config/config.h"
#include "proxy/upstream/meter.h"

struct meters {
    struct meter **routes; /* by config_route.number */
    size_t route_count;
    struct meter **listeners; /* in the order of the configuration */
    size_t listener_count;
};

/* All at zero. RC_OK or RC_ENOMEM; `out` is to be ended by meters_fini either way. */
int meters_init(struct meters *out, const struct config *config);
void meters_fini(struct meters *meters);

/* Takes over the counts of those routes (by label) and listeners (by mode and address) that the
 * former configuration had too. Before anybody counts in `meters`. */
void meters_inherit(struct meters *meters, const struct config *config,
                    const struct meters *former, const struct config *former_config);

/* meter_tick for all of them. */
void meters_tick(struct meters *meters, uint64_t now_ms);

#endif
