/* unique_uv.h - tells the catalog who holds the tags of `unique_tag`.
 *
 * The keys are followed like those of watches (watch_keys_uv.h): on an agent without a store by a
 * blocking query at a server. Until a key is known, and while it cannot be, nobody holds its
 * tags. */
#ifndef AGENT_UNIQUE_UV_H
#define AGENT_UNIQUE_UV_H

#include <stddef.h>

#include "agent/config.h"

struct agent;

/* From now on the rules of agent->config count. RC_OK or RC_ENOMEM. */
int agent_set_unique(struct agent *agent);

/* What must be followed for that, to be added to the watches of keys: at most UNIQUE_TAGS_MAX,
 * borrowing. */
size_t agent_unique_watches(const struct agent_config *config,
                            struct watch_definition *out);

/* Keys may have changed. */
void agent_look_unique(struct agent *agent);

#endif
