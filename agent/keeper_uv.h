/* keeper_uv.h - the keeper in this agent: joined with its warden, its hands, the store and the
 * catalog. */
#ifndef AGENT_KEEPER_UV_H
#define AGENT_KEEPER_UV_H

#include <stdbool.h>

#include "agent/http/http.h"
#include "agent/keeper/keeper.h"

struct agent;
struct agent_config;
struct gossip_action;

/* Opens it if the settings have a cluster. RC_OK, or an error with one line in `agent->error`. */
int agent_open_keeper(struct agent *agent);

/* PostgreSQL goes on under its warden. `agent->open` counts it until it is closed. */
void agent_close_keeper(struct agent *agent);

/* Goes on with what of a new configuration can change while it runs; config_postgres_fixed() has
 * found nothing else. */
void agent_keeper_reload(struct agent *agent, const struct agent_config *fresh);

/* Before the agent ends: `done` is called when the keeper has done what it does then, from inside
 * when there is none, when it is told again, or when there is nothing to be done. Else why it is
 * refused, static. */
const char *agent_keeper_retire(struct agent *agent, enum keeper_retirement how,
                                void (*done)(struct agent *));

/* The reply to what was forwarded under a ticket of FORWARDER_OWN. False: that is not one of the
 * keeper's. */
bool agent_keeper_replied(struct agent *agent, http_ticket ticket,
                          const struct http_reply *reply);

/* Queries of the pool, and answers to ours. False: not the keepers'. */
bool agent_keeper_on_query(struct agent *agent, const struct gossip_action *action);

#endif
