/* kv_pair.h - a pair as the API shows it, and which names a key may have. */
#ifndef AGENT_HTTP_KV_PAIR_H
#define AGENT_HTTP_KV_PAIR_H

#include <stdbool.h>

#include "agent/store/store.h"
#include "base/json.h"

enum kv_value { KV_WITH_VALUE, KV_WITHOUT_VALUE };

/* Consul's KVPair; `Term` is ours, while it is locked. */
void kv_pair_render(struct rc_json *json, const struct store_pair *pair,
                    enum kv_value value);

/* Why `key` must not be written, or NULL: empty or too long, a leading slash, segments "." and
 * "..", control characters, no UTF-8 (they would not survive tools that make paths of keys). */
const char *kv_pair_refuses(struct rc_pack_bytes key);

/* Whether it could be a session's id at all. */
bool kv_pair_is_session_id(const char *text);

#endif
