/* serf_ring.h - which events and queries were seen, by their Lamport time.
 *
 * As many times are remembered as Serf's EventBuffer and QueryBuffer hold (512); what is older
 * counts as seen. Bounded in items of one time and in bytes of all. */
#ifndef AGENT_GOSSIP_SERF_RING_H
#define AGENT_GOSSIP_SERF_RING_H

#include "agent/gossip/state.h"

void serf_ring_fini(struct serf_ring *ring);

/* What one item is known by: queries by their ID, events by name and payload. */
struct serf_item {
    uint64_t ltime;
    uint32_t id;
    struct rc_pack_bytes name;
    struct rc_pack_bytes payload;
};

/* Remembers an item; false if it was seen, is too old for `clock`, or finds no room. */
bool serf_ring_add(struct gossip *g, struct serf_ring *ring, enum gossip_clock clock,
                   const struct serf_item *item);

#endif
