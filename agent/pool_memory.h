/* pool_memory.h - who was there when the pool was last well.
 *
 * Gossip tries failed members again until it forgets them. A partition that lasts longer heals
 * only if somebody still knows whom to ask: the configured list, and what is kept here. */
#ifndef AGENT_POOL_MEMORY_H
#define AGENT_POOL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/address.h"

struct gossip;

enum { POOL_MEMORY_MAX = 32 };

struct pool_memory {
    struct rc_address others[POOL_MEMORY_MAX]; /* some of them */
    size_t count;
    size_t alive; /* all of them, ourselves included */
    size_t left;  /* members known to have left then: who follows is not missed */
};

/* Looks at the pool; a zeroed memory is an empty one. True if fewer than half of those who were
 * alive are (who left does not count). Otherwise it is well, and remembered as it is now. */
bool pool_memory_misses(struct pool_memory *memory, const struct gossip *gossip);

#endif
