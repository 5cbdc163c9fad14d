/* etcd_hidden.h - the keys of the engine itself, below the prefix and never shown. */
#ifndef AGENT_ENGINE_ETCD_HIDDEN_H
#define AGENT_ENGINE_ETCD_HIDDEN_H

#include <stdbool.h>

#include "base/pack.h"

#define ETCD_HIDDEN_PREFIX "engine/"
#define ETCD_MARK          "engine/mark"      /* put to be seen: etcd_follow.h */
#define ETCD_COMPACTOR     "engine/compactor" /* who compacts this hour: etcd_look.h */

enum etcd_hidden_change { ETCD_HIDDEN_PUT, ETCD_HIDDEN_REMOVED };

/* Whether a key, without the prefix, is one of these. */
bool etcd_is_hidden(struct rc_pack_bytes key);

#endif
