/* watch_keys_uv.h - the keys of the store that this agent's watches look at.
 *
 * For each a blocking query is open, here or at a server, and what it answered is kept, so that a
 * watch can look at any time. The token is the watch's own, else acl.tokens.agent, else
 * acl.tokens.default. */
#ifndef AGENT_WATCH_KEYS_UV_H
#define AGENT_WATCH_KEYS_UV_H

#include "agent/http/http.h"
#include "agent/watch/watch_definition.h"

struct agent;
struct watch_keys;

/* RC_OK or RC_ENOMEM. Nothing is asked yet. */
int watch_keys_open(struct agent *agent, struct watch_keys **out);
/* `agent->open` counts it until it is closed. NULL is allowed. Before agent->http closes. */
void watch_keys_close(struct watch_keys *keys);

/* From now on those that these watches look at; others of theirs are passed over. RC_OK or
 * RC_ENOMEM: some are not asked for. */
int watch_keys_set(struct watch_keys *keys, const struct watch_definition *watches,
                   size_t count);

/* What is known: as JSON, one pair or null for a key, a list for a prefix. The index is 0 as long
 * as nothing is; `out` is left alone then. */
uint64_t watch_keys_index(const struct watch_keys *keys,
                          const struct watch_question *question);
uint64_t watch_keys_read(const struct watch_keys *keys,
                         const struct watch_question *question, struct rc_buffer *out);

/* Whether what is known was so the last time it was asked: false before the first answer, and from a
 * failure until the next answer. */
bool watch_keys_is_current(const struct watch_keys *keys,
                           const struct watch_question *question);

/* For forwarder_options.replied. False: the ticket is none of these. */
bool watch_keys_replied(struct watch_keys *keys, http_ticket ticket,
                        const struct http_reply *reply);

#endif
