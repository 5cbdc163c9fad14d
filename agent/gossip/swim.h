/* swim.h - the rules of membership: who may say what about whom (gossip-wire section 5 is
 * memberlist's; SWIM section 4.2). */
#ifndef AGENT_GOSSIP_SWIM_H
#define AGENT_GOSSIP_SWIM_H

#include "agent/gossip/state.h"

void swim_alive(struct gossip *g, const struct wire_alive *alive);
void swim_suspect(struct gossip *g, const struct wire_accusation *suspect);
void swim_dead(struct gossip *g, const struct wire_accusation *dead);

/* One entry of another member's list. */
void swim_merge(struct gossip *g, const struct wire_node *node);

/* We accuse `member` at its incarnation: our probe failed so. */
void swim_accuse(struct gossip *g, struct member *member, const struct diary_why *why);
void swim_suspicion_fired(struct gossip *g, struct suspicion *suspicion);

/* We slept too long to trust our probes and suspicions: they start over, and the suspects are
 * probed again. */
void swim_restart_suspicions(struct gossip *g, uint64_t slept_ms);

/* Our own alive message at our incarnation goes out. */
void swim_announce(struct gossip *g);
/* Our dead message: we leave. Its id in the membership queue. */
uint64_t swim_announce_leave(struct gossip *g);

/* The dead that were gossiped to long enough leave SWIM's list. */
void swim_purge(struct gossip *g);

/* Lifeguard's local health, 0 is well: a probe of ours was answered; something says that the
 * fault is ours. */
void swim_feel_well(struct gossip *g);
void swim_doubt(struct gossip *g, uint32_t more, struct diary_doubt why);

#endif
