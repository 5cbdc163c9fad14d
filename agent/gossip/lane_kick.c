/* lane_kick.c - packets for new rumours at once, and how many of them.
 *
 * A kick sends a packet to each of a few members. The first ones leave at once; then credit
 * is earned at a steady pace (the generic cell rate algorithm), so in a storm of changes a
 * node sends about 33 x 4 packets a second whatever comes, and rumours that wait meanwhile
 * share them: 500 changes a second in the pool fit, what does not is left to syncs. */
#include "agent/gossip/carrier.h"

enum {
    KICK_GAP_MS = 5,   /* calls closer together are one kick */
    KICK_EARN_MS = 30, /* each earns one more, */
    KICK_BURST = 6     /* ... up to so many kept */
};

static bool wants_lane(const struct member *member, const struct gossip *g)
{
    return member != g->self && member->view.said->is_rollcall &&
           (member->swim == SWIM_ALIVE || member->swim == SWIM_SUSPECT);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void carrier_kick(struct gossip *g)
{
    g->last_kick_ns = g->now_ns;
    g->kicks_paid_ns =
        later(g->kicks_paid_ns, g->now_ns) + (uint64_t)KICK_EARN_MS * NS_PER_MS;
    carrier_send_to_some(g, g->profile->lane_kick_nodes, wants_lane);
}

void gossip_lane_kick(struct gossip *g, uint64_t now_ns)
{
    uint64_t gap_ns = (uint64_t)KICK_GAP_MS * NS_PER_MS;
    uint64_t kept_ns = (uint64_t)(KICK_BURST - 1) * KICK_EARN_MS * NS_PER_MS;
    uint64_t soonest = now_ns;

    if (g->last_kick_ns != 0) {
        soonest = later(soonest, g->last_kick_ns + gap_ns);
    }
    if (g->kicks_paid_ns > kept_ns) {
        soonest = later(soonest, g->kicks_paid_ns - kept_ns);
    }
    if (!deadline_is_set(&g->kick)) {
        (void)deadline_set(&g->deadlines, &g->kick, soonest); /* else the tick does it */
    }
}
