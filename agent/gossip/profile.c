/* profile.c - the times and counts a pool runs by. */
#include "agent/gossip/profile.h"

#include <stddef.h>
#include <string.h>

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS, MINUTE_MS = 60 * 1000 };

/* lan, wan and local are memberlist's DefaultLANConfig, DefaultWANConfig and
 * DefaultLocalConfig with Serf's times, but who left is forgotten after an hour: fleets that scale
 * under fresh names would fill every state exchange with a day of tombstones.
 *
 * fast, at five nodes: some member probes a dead one within 0.25 s typically and 1 s at worst
 * (four probers, each once per shuffled pass of four), the round fails after 0.25 s, the others'
 * second opinions are there a quarter second later, and the suspicion lasts its minimum of
 * 3 x 0.25 s: 1.2 s typically, 1.9 s at worst (simulated; 1.9 and 2.4 s at a hundred nodes, where
 * the minimum is 1.5 s).
 *
 * What keeps the living safe at 10 % loss: a round fails with p = 0.003 (ping, three relays, and
 * TCP, whose lost SYN comes again only after a second), which in a pool of a hundred is one
 * suspicion a second. It is fatal only if three more members fail to reach the suspect within
 * 1.5 s, and nobody who is about to declare it dead has had an answer from it since, and its
 * refutation, sent 24 times by each member, misses somebody. Unconfirmed it has 4.5 s. memberlist's
 * four transmissions would be used up in little more than one tick of three targets.
 *
 * Local health may only double a round: with several dead at once helpers are silent too, and
 * longer rounds would cost more than they save. */
static const struct gossip_profile profiles[] = {
    {
        .name = "lan",
        .probe_every_ms = 1000,
        .probe_timeout_ms = 500,
        .tcp_timeout_ms = 10000,
        .indirect_checks = 3,
        .suspicion_mult = 4,
        .suspicion_max_mult = 6,
        .confirmations = 2,
        .retransmit_mult = 4,
        .gossip_every_ms = 200,
        .gossip_nodes = 3,
        .gossip_to_the_dead_ms = 30000,
        .push_pull_every_ms = 30000,
        .health_max = 8,
        .reap_every_ms = 15000,
        .reconnect_every_ms = 30000,
        .reconnect_timeout_ms = DAY_MS,
        .tombstone_timeout_ms = HOUR_MS,
        .recent_intent_ms = 5 * MINUTE_MS,
        .leave_propagate_ms = 1000,
        .broadcast_timeout_ms = 5000,
        .reclaim_ms = 30000,
        .lane_kick_nodes = 4,
    },
    {
        .name = "wan",
        .probe_every_ms = 5000,
        .probe_timeout_ms = 3000,
        .tcp_timeout_ms = 30000,
        .indirect_checks = 3,
        .suspicion_mult = 6,
        .suspicion_max_mult = 6,
        .confirmations = 4,
        .retransmit_mult = 4,
        .gossip_every_ms = 500,
        .gossip_nodes = 4,
        .gossip_to_the_dead_ms = 60000,
        .push_pull_every_ms = 60000,
        .health_max = 8,
        .reap_every_ms = 15000,
        .reconnect_every_ms = 30000,
        .reconnect_timeout_ms = DAY_MS,
        .tombstone_timeout_ms = HOUR_MS,
        .recent_intent_ms = 5 * MINUTE_MS,
        .leave_propagate_ms = 3000,
        .broadcast_timeout_ms = 5000,
        .reclaim_ms = 30000,
        .lane_kick_nodes = 4,
    },
    {
        .name = "local",
        .probe_every_ms = 1000,
        .probe_timeout_ms = 200,
        .tcp_timeout_ms = 1000,
        .indirect_checks = 1,
        .suspicion_mult = 3,
        .suspicion_max_mult = 6,
        .confirmations = 1,
        .retransmit_mult = 2,
        .gossip_every_ms = 100,
        .gossip_nodes = 3,
        .gossip_to_the_dead_ms = 15000,
        .push_pull_every_ms = 15000,
        .health_max = 8,
        .reap_every_ms = 15000,
        .reconnect_every_ms = 30000,
        .reconnect_timeout_ms = DAY_MS,
        .tombstone_timeout_ms = HOUR_MS,
        .recent_intent_ms = 5 * MINUTE_MS,
        .leave_propagate_ms = 1000,
        .broadcast_timeout_ms = 5000,
        .reclaim_ms = 30000,
        .lane_kick_nodes = 4,
    },
    {
        .name = "fast",
        .probe_every_ms = 250,
        .probe_timeout_ms = 120,
        .tcp_timeout_ms = 2000,
        .indirect_checks = 3,
        .suspicion_mult = 3,
        .suspicion_max_mult = 3,
        .confirmations = 3,
        .retransmit_mult = 8,
        .gossip_every_ms = 80,
        .gossip_nodes = 3,
        .gossip_to_the_dead_ms = 30000,
        .push_pull_every_ms = 10000,
        .health_max = 2,
        .reap_every_ms = 5000,
        .reconnect_every_ms = 5000,
        .reconnect_timeout_ms = DAY_MS,
        .tombstone_timeout_ms = HOUR_MS,
        .recent_intent_ms = 5 * MINUTE_MS,
        .leave_propagate_ms = 300,
        .broadcast_timeout_ms = 2000,
        .reclaim_ms = 30000,
        .lane_kick_nodes = 4,
    },
};

const struct gossip_profile *gossip_profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (strcmp(profiles[i].name, name) == 0) {
            return &profiles[i];
        }
    }
    return NULL;
}
