/* join_check.c - whether those we joined count us in. */
#include "agent/gossip/join_check.h"

#include "agent/gossip/stream.h"
#include "base/err.h"

enum {
    FIRST_MS = 1000,
    AGAIN_MS = 5000,
    LOOKS_MAX = 60,  /* five minutes: dead names are free long before */
    TELL_EVERY = 12, /* looks in vain: once a minute */
    LOSSES_MAX = 3   /* exchanges that break off: the peer is gone, others will know us */
};

void join_check_begin(struct gossip *g, const struct rc_address *peer)
{
    if (deadline_is_set(&g->join_check.deadline) || g->join_check.is_looking) {
        return;
    }
    g->join_check.peer = *peer;
    g->join_check.looks = 0;
    g->join_check.losses = 0;
    gossip_arm(g, &g->join_check.deadline, FIRST_MS);
}

void join_check_look(struct gossip *g)
{
    struct join_check *check = &g->join_check;

    check->is_seen = false;
    check->is_elsewhere = false;
    check->is_looking = true;
    if (g->leave.stage != LEAVE_NOT ||
        stream_push_pull(g, &check->peer, STREAM_CHECK) != RC_OK) {
        check->is_looking = false;
    }
}

void join_check_see(struct gossip *g, const struct wire_node *node)
{
    struct join_check *check = &g->join_check;
    struct rc_address address;

    if (!check->is_looking || !rc_pack_equals(node->name, gossip_own_name(g))) {
        return;
    }
    bool is_ours = gossip_read_address(g, node->address, node->port, &address) == RC_OK &&
                   rc_address_equals(&address, &g->self->view.said->address);
    check->is_elsewhere = !is_ours;
    check->is_seen =
        is_ours; /* suspect or dead there: it will be refuted, we are known */
}

static void tell(struct gossip *g)
{
    gossip_tell(g, &(struct gossip_action){
                       .type = GOSSIP_UNSEEN,
                       .address = g->join_check.peer,
                       .err = g->join_check.is_elsewhere ? RC_ECONFLICT : RC_ENOTFOUND});
}

void join_check_settle(struct gossip *g, int err)
{
    struct join_check *check = &g->join_check;

    check->is_looking = false;
    if (g->leave.stage != LEAVE_NOT || (err == RC_OK && check->is_seen)) {
        return;
    }
    if (err != RC_OK) {
        check->losses++;
    } else {
        if (check->looks % TELL_EVERY == 0) {
            tell(g);
        }
        check->looks++;
    }
    if (check->looks < LOOKS_MAX && check->losses < LOSSES_MAX) {
        gossip_arm(g, &check->deadline, AGAIN_MS);
    }
}
