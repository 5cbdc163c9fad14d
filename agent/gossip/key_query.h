/* key_query.h - the pool's questions about keys, answered inside the core.
 *
 * Serf's internal queries "_serf_install-key", "_serf_use-key", "_serf_remove-key" and
 * "_serf_list-keys": the owner never sees them. Whoever asks them here uses query_ask() of
 * serf.h, which takes internal names; answers then come as GOSSIP_QUERY_RESPONSE. */
#ifndef AGENT_GOSSIP_KEY_QUERY_H
#define AGENT_GOSSIP_KEY_QUERY_H

#include "agent/gossip/state.h"

/* Answers one. `name` is what stands behind "_serf_", `payload` the query's (borrowed; may be
 * anything), `max` the bytes an answer may have at most. Appends the answer with its type
 * byte (WIRE_SERF_KEY_RESPONSE, then a wire_key_response) to `out`.
 *
 * As long as plain gossip is sent or taken (struct gossip_cover), the answer is a refusal.
 *
 * RC_OK: `out` is sent to the asker; any error: it gets no answer. */
int key_query_answer(struct gossip *g, struct rc_pack_bytes name,
                     struct rc_pack_bytes payload, size_t max, struct rc_buffer *out);

/* The answer to "list-keys" for our own use, whoever might read it. Errors stick in `out`. */
void key_query_list(const struct gossip *g, size_t max, struct rc_buffer *out);

/* Changes the ring, after the owner has kept what it will be (keep_keys). What changes nothing
 * is not kept again.
 *
 * RC_OK; RC_EINVAL (a key's size), RC_ETOOBIG (the ring is full), RC_ENOTFOUND (INSTALLED: it
 * needs libcrypto; USED, FOLLOWED: not in the ring), RC_EDENIED (REMOVED: it is the first
 * one), RC_EIO (not kept), RC_ENOMEM: nothing has changed. */
int key_query_change(struct gossip *g, enum gossip_key_change change,
                     const struct gossip_key *key);

#endif
