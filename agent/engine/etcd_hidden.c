/* etcd_hidden.c - which keys are the engine's own. */
#include "agent/engine/etcd_hidden.h"

#include <string.h>

bool etcd_is_hidden(struct rc_pack_bytes key)
{
    size_t size = sizeof ETCD_HIDDEN_PREFIX - 1;

    if (key.size == 0) {
        return true; /* the prefix itself, which nobody of ours writes */
    }
    return key.size >= size && memcmp(key.at, ETCD_HIDDEN_PREFIX, size) == 0;
}
