/* leave.c - going away so that everybody knows it was on purpose. */
#include "agent/gossip/leave.h"

#include "agent/gossip/carrier.h"
#include "agent/gossip/serf.h"
#include "agent/gossip/swim.h"

static bool is_alone(const struct gossip *g)
{
    for (size_t i = 0; i < g->roster.list_count; i++) {
        const struct member *member = g->roster.list[i];
        if (member->swim == SWIM_ALIVE && member != g->self) {
            return false;
        }
    }
    return true;
}

static void enter_stage(struct gossip *g, enum leave_stage stage, uint64_t last_ms)
{
    g->leave.stage = stage;
    g->leave.until_ns = g->now_ns + last_ms * NS_PER_MS;
}

void leave_begin(struct gossip *g)
{
    if (g->leave.stage != LEAVE_NOT) {
        return;
    }
    g->leave.broadcast_id = serf_announce_leave(g);
    enter_stage(g, LEAVE_INTENT, g->profile->broadcast_timeout_ms);
    carrier_tick(g);
    gossip_arm(g, &g->leave.deadline, 0);
}

static void complete_leave(struct gossip *g)
{
    g->leave.stage = LEAVE_DONE;
    g->self->serf = SERF_LEFT;
    serf_publish(g, g->self, GOSSIP_EVENT_LEFT);
    gossip_tell(g, &(struct gossip_action){.type = GOSSIP_LEFT_POOL});
}

/* First the intent must be out, then the dead message, then we stay to answer probes: a dead
 * message that overtakes the intent would show us as failed. */
void leave_step(struct gossip *g)
{
    struct leave *leave = &g->leave;
    bool is_over = g->now_ns >= leave->until_ns || is_alone(g);

    switch (leave->stage) {
    case LEAVE_INTENT:
        if (is_over ||
            !broadcast_is_waiting(&g->queues[QUEUE_INTENTS], leave->broadcast_id)) {
            leave->broadcast_id = swim_announce_leave(g);
            enter_stage(g, LEAVE_DEAD, g->profile->broadcast_timeout_ms);
            carrier_tick(g);
        }
        break;
    case LEAVE_DEAD:
        if (is_over ||
            !broadcast_is_waiting(&g->queues[QUEUE_MEMBERSHIP], leave->broadcast_id)) {
            enter_stage(g, LEAVE_LINGER, g->profile->leave_propagate_ms);
        }
        break;
    case LEAVE_LINGER:
        if (is_over) {
            complete_leave(g);
            return;
        }
        break;
    case LEAVE_NOT:
    case LEAVE_DONE:
        return;
    }
    gossip_arm(g, &leave->deadline, is_alone(g) ? 1 : g->profile->gossip_every_ms / 2);
}
