/* lock_semaphore.h - a place among several: everybody's own key under the prefix, and a list of
 * holders in one key, as Consul's clients keep it. Shared with lock_claim.c alone. */
#ifndef AGENT_CLI_LOCK_SEMAPHORE_H
#define AGENT_CLI_LOCK_SEMAPHORE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "agent/cli/lock.h"
#include "base/buffer.h"

/* ---- lock_semaphore.c */

/* One try with a session that lives. RC_OK: held; RC_EAGAIN, RC_EINVAL: see lock_try(). */
int lock_try_place(struct lock_claim *claim);

/* Whether the list among `pairs` has us, and our own key is still ours. */
bool lock_has_place(const struct lock_claim *claim, const json_t *pairs);

/* RC_OK, or why the list still has us. */
int lock_give_place_back(struct lock_claim *claim);

/* ---- lock_claim.c */

/* What tells such keys from others. */
uint64_t lock_flags(const struct lock_claim *claim);

/* PUT or DELETE: RC_OK for "true", RC_ECONFLICT for "false", else no answer. */
int lock_write_key(struct lock_claim *claim, const char *method,
                   const struct rc_buffer *path, const char *body);

/* All pairs under `key` (or it alone): RC_OK with `*out` owned by the caller, an empty list
 * when there is nothing. With `wait_ms` it waits for a change since the last read. */
int lock_read_keys(struct lock_claim *claim, const char *key, uint64_t wait_ms,
                   json_t **out);

/* The pair of that key, borrowed; NULL: there is none. */
const json_t *lock_pair(const json_t *pairs, const char *key);
bool lock_is_held_by(const json_t *pair, const char *session);

/* Takes a key for the session: RC_OK, RC_ECONFLICT or no answer. */
int lock_acquire_key(struct lock_claim *claim, const char *key, const char *value);

/* RC_OK, or RC_EINVAL: the key is used for something else and would be overwritten. */
int lock_test_use(struct lock_claim *claim, const json_t *pair);

#endif
