/* revoked_uv.h - the servers' keys that this agent does not trust any more.
 *
 * An operator tells any agent; a server signs it with its own key and writes it into the store.
 * Each server shows what it knows in its node's metadata, which every agent hears of by gossip,
 * also those that a thief with a stolen key has caught. What counts is kept in
 * <data_dir>/link-revoked. */
#ifndef AGENT_REVOKED_UV_H
#define AGENT_REVOKED_UV_H

#include "agent/catalog/catalog.h"
#include "agent/http/http.h"
#include "agent/link/revocation.h"

struct agent;
struct revoked;

/* What was kept. RC_OK or RC_ENOMEM. */
int agent_open_revoked(struct agent *agent);
void agent_close_revoked(struct agent *agent);

/* Never NULL once it is open. */
const struct revocation_list *agent_revocations(const struct agent *agent);

/* News, of the store and of nodes; also when other keys are pinned now. */
void agent_revoked_store_changed(struct agent *agent);
void agent_revoked_nodes_changed(struct agent *agent);

/* Pairs for our node's metadata, at most `max`; borrowed. Servers have some, others none. */
size_t agent_revoked_pairs(const struct agent *agent, struct catalog_pair *out,
                           size_t max);

/* For http_operations. */
int agent_sign_revocation(void *context, const char *key, char out[HTTP_REVOCATION_MAX],
                          const char **why);
void agent_describe_revoked(void *context, struct rc_json *json);

#endif
