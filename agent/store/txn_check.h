/* txn_check.h - which transactions make sense, whatever the engine.
 *
 * At most ENGINE_OPS_MAX compares and operations in a branch, ENGINE_BYTES_MAX bytes of keys
 * and values together, no empty key or prefix, no key twice in a branch, prefixes included. */
#ifndef AGENT_STORE_TXN_CHECK_H
#define AGENT_STORE_TXN_CHECK_H

#include "agent/store/engine.h"

/* RC_OK; RC_ETOOBIG or RC_EINVAL with `*text` (static) saying what is wrong. */
int txn_check(const struct engine_txn *txn, const char **text);

/* Keys in order of their bytes, the shorter first: <0, 0, >0. */
int txn_key_order(struct rc_pack_bytes a, struct rc_pack_bytes b);

#endif
