/* serf_ring.c - which events and queries were seen, by their Lamport time. */
#include "agent/gossip/serf_ring.h"

#include <stdlib.h>
#include <string.h>

static void clear_slot(struct serf_ring *ring, struct serf_slot *slot)
{
    while (slot->seen != NULL) {
        struct serf_seen *seen = slot->seen;
        slot->seen = seen->next;
        ring->bytes -= sizeof *seen + seen->name_size + seen->payload_size;
        free(seen);
    }
    slot->count = 0;
}

void serf_ring_fini(struct serf_ring *ring)
{
    for (size_t i = 0; ring->slots != NULL && i < SERF_RING_SIZE; i++) {
        clear_slot(ring, &ring->slots[i]);
    }
    free(ring->slots);
    ring->slots = NULL;
}

static bool is_seen(const struct serf_slot *slot, const struct serf_item *item)
{
    for (const struct serf_seen *seen = slot->seen; seen != NULL; seen = seen->next) {
        struct rc_pack_bytes name = {seen->bytes, seen->name_size};
        struct rc_pack_bytes payload = {seen->bytes + seen->name_size,
                                        seen->payload_size};
        if (seen->id == item->id && rc_pack_equals(name, item->name) &&
            rc_pack_equals(payload, item->payload)) {
            return true;
        }
    }
    return false;
}

static bool keep(struct serf_ring *ring, struct serf_slot *slot,
                 const struct serf_item *item)
{
    struct serf_seen *seen = malloc(sizeof *seen + item->name.size + item->payload.size);

    if (seen == NULL) {
        return false;
    }
    *seen = (struct serf_seen){.next = slot->seen,
                               .id = item->id,
                               .name_size = item->name.size,
                               .payload_size = item->payload.size,
                               .has_payload = item->payload.at != NULL};
    if (item->name.at != NULL) {
        memcpy(seen->bytes, item->name.at, item->name.size);
    }
    if (item->payload.at != NULL) {
        memcpy(seen->bytes + item->name.size, item->payload.at, item->payload.size);
    }
    slot->seen = seen;
    slot->count++;
    ring->bytes += sizeof *seen + item->name.size + item->payload.size;
    return true;
}

/* The slot of a Lamport time that is neither too old nor full; NULL otherwise. */
static struct serf_slot *slot_of(struct gossip *g, struct serf_ring *ring,
                                 enum gossip_clock clock, uint64_t ltime)
{
    uint64_t now = g->serf.clocks[clock];

    if (now > SERF_RING_SIZE && ltime < now - SERF_RING_SIZE) {
        return NULL;
    }
    if (ring->slots == NULL) {
        ring->slots = calloc(SERF_RING_SIZE, sizeof *ring->slots);
    }
    if (ring->slots == NULL) {
        return NULL;
    }
    struct serf_slot *slot = &ring->slots[ltime % SERF_RING_SIZE];
    if (slot->ltime != ltime) {
        clear_slot(ring, slot);
        slot->ltime = ltime;
    }
    if (slot->count >= SERF_SLOT_MAX || ring->bytes > SERF_RING_BYTES_MAX) {
        gossip_refuse(g, GOSSIP_REFUSED_TOO_MANY);
        return NULL;
    }
    return slot;
}

bool serf_ring_add(struct gossip *g, struct serf_ring *ring, enum gossip_clock clock,
                   const struct serf_item *item)
{
    struct serf_slot *slot = slot_of(g, ring, clock, item->ltime);

    return slot != NULL && !is_seen(slot, item) && keep(ring, slot, item);
}
