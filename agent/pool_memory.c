/* pool_memory.c - who was there when the pool was last well. */
#include "agent/pool_memory.h"

#include "agent/gossip/gossip.h"

static size_t count_of(const struct gossip *gossip, enum gossip_status status)
{
    const struct gossip_member *member;
    size_t position = 0;
    size_t count = 0;

    while ((member = gossip_next_member(gossip, &position)) != NULL) {
        count += member->status == status;
    }
    return count;
}

static void remember(struct pool_memory *memory, const struct gossip *gossip)
{
    const struct gossip_member *member;
    size_t position = 0;

    memory->count = 0;
    while (memory->count < POOL_MEMORY_MAX &&
           (member = gossip_next_member(gossip, &position)) != NULL) {
        if (member->status == GOSSIP_ALIVE && member != gossip_self(gossip)) {
            memory->others[memory->count++] = member->said->address;
        }
    }
}

bool pool_memory_misses(struct pool_memory *memory, const struct gossip *gossip)
{
    size_t alive = count_of(gossip, GOSSIP_ALIVE) + count_of(gossip, GOSSIP_SUSPECT);
    size_t left = count_of(gossip, GOSSIP_LEFT);
    size_t gone = left > memory->left ? left - memory->left : 0;
    size_t expected = memory->alive > gone ? memory->alive - gone : 0;

    if (2 * alive < expected) {
        return true;
    }
    memory->alive = alive;
    memory->left = left;
    remember(memory, gossip);
    return false;
}
