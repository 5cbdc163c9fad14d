/* profile.h - the times and counts a pool runs by: memberlist's defaults, and our own.
 *
 * All members of a pool should use the same profile; they still understand each other if
 * they do not. */
#ifndef AGENT_GOSSIP_PROFILE_H
#define AGENT_GOSSIP_PROFILE_H

#include <stdint.h>

struct gossip_profile {
    const char *name;
    uint32_t probe_every_ms;     /* protocol period, SWIM section 3.1 */
    uint32_t probe_timeout_ms;   /* then others are asked to probe */
    uint32_t tcp_timeout_ms;     /* for everything on a stream */
    uint32_t indirect_checks;    /* members asked to probe */
    uint32_t suspicion_mult;     /* scales the shortest suspicion, no unit */
    uint32_t suspicion_max_mult; /* longest suspicion = this times the shortest */
    uint32_t confirmations;      /* further accusers after which it is the shortest */
    uint32_t retransmit_mult;    /* scales how often a rumour is sent */
    uint32_t gossip_every_ms;
    uint32_t gossip_nodes;          /* members a tick sends to */
    uint32_t gossip_to_the_dead_ms; /* so that the wrongly dead can refute */
    uint32_t push_pull_every_ms;
    uint32_t health_max; /* the health score stays below this */
    uint32_t reap_every_ms;
    uint32_t reconnect_every_ms;
    uint32_t reconnect_timeout_ms; /* failed members are forgotten after this */
    uint32_t
        tombstone_timeout_ms; /* members that left are forgotten after this; memberlist: a day */
    uint32_t recent_intent_ms;     /* how long intents about unknown names are kept */
    uint32_t leave_propagate_ms;   /* stay up after leaving, to answer probes */
    uint32_t broadcast_timeout_ms; /* how long leaving waits for its message to be sent */
    uint32_t reclaim_ms;      /* a dead rollcall name may move after this; 0: never */
    uint32_t lane_kick_nodes; /* members a kick sends to */
};

/* "lan" (memberlist's and Consul's timers), "wan", "local" or "fast" (ours: a dead member is
 * gone within 2 s at five nodes). NULL for another name. Static. */
const struct gossip_profile *gossip_profile_find(const char *name);

#endif
