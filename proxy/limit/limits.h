/* limits.h - the table of each `limit` of a configuration; those that stay are kept on reload. */
#ifndef PROXY_LIMIT_LIMITS_H
#define PROXY_LIMIT_LIMITS_H

#include "proxy/config/config.h"
#include "proxy/limit/limit.h"

struct limits {
    struct limit **items; /* by config_limit.number */
    size_t count;
};

/* Empty tables. RC_OK or RC_ENOMEM; to be ended by limits_fini either way. */
int limits_init(struct limits *out, const struct config *config, uint64_t seed,
                uint64_t now_us);
void limits_fini(struct limits *limits);

/* Takes over what the former configuration has counted for limits of the same kind and key in
 * the same place: listener by address, route by label. Before anybody counts. */
void limits_inherit(struct limits *limits, const struct config *config,
                    const struct limits *former, const struct config *former_config);

#endif
