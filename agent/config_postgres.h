/* config_postgres.h - the postgres block: the server beside this agent, and how it is kept. */
#ifndef AGENT_CONFIG_POSTGRES_H
#define AGENT_CONFIG_POSTGRES_H

#include "agent/keeper/keeper.h"

struct agent_config;

/* Whether the block makes sense. RC_OK, or RC_EINVAL with one line in `error`
 * (AGENT_CONFIG_ERROR_MAX). Without a cluster's name there is nothing to check. */
int config_postgres_check(const struct agent_config *config, char *error);

/* The first setting of the block that differs and cannot change while the agent runs, as it is
 * written there, or NULL. Static. */
const char *config_postgres_fixed(const struct agent_config *now,
                                  const struct agent_config *fresh);

/* As the keeper wants it; texts are borrowed from `config`. `node` and `address` are whoever we
 * are. `out->session` is left NULL. */
void config_postgres_options(const struct agent_config *config, const char *node,
                             const char *address, struct keeper_options *out);

#endif
