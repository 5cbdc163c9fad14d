/* config_postgres.h - the postgres block: the server beside this agent, and how it is kept. */
#ifndef AGENT_CONFIG_POSTGRES_H
#define AGENT_CONFIG_POSTGRES_H

#include "agent/keeper/keeper.h"

struct agent_config;

/* Whether the block makes sense. RC_OK, or RC_EINVAL with one line in `error`
 * (AGENT_CONFIG_ERROR_MAX). Without a cluster's name there is nothing to check. */
int config_postgres_check(const struct agent_config *config, char *error);

/* As the keeper wants it; texts are borrowed from `config`. `node` and `address` are whoever we
 * are. `out->session` is left NULL. */
void config_postgres_options(const struct agent_config *config, const char *node,
                             const char *address, struct keeper_options *out);

#endif
