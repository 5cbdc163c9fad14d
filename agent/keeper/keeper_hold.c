/* keeper_hold.c - store_loss "hold": without the store a primary goes on while all others promise
 * not to take over. The argument: keeper.h. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { PROMISED_TTLS = 2 };

static const char holding[] =
    "the store is lost: goes on while all members promise not to take over";

static uint64_t promise_ms(const struct keeper *k)
{
    return PROMISED_TTLS * k->options.ttl_ms;
}

/* ---- who promises */

void keeper_hold_begin(struct keeper *k)
{
    /* What was promised before we were started is not known any more. */
    if (k->options.store_loss == KEEPER_LOSS_HOLD) {
        k->promised_until_ms = k->now_ms + promise_ms(k);
    }
}

bool keeper_has_promised(const struct keeper *k)
{
    /* A holder gives back what it is dead for, and is then nobody's to hold. */
    bool is_void = keeper_view_is_current(k) && k->view.state.released;

    return k->now_ms < k->promised_until_ms && !is_void;
}

bool keeper_promise(struct keeper *k, uint64_t now_ms, uint64_t term)
{
    bool is_idle = k->state != KEEPER_ELECTING && k->state != KEEPER_PROMOTING &&
                   k->state != KEEPER_PRIMARY && k->state != KEEPER_DEMOTING;
    bool may_be_taking =
        k->cluster_request.id != 0 && (k->cluster_request.purpose == FOR_ACQUIRE ||
                                       k->cluster_request.purpose == FOR_CLAIM);

    if (k->options.store_loss != KEEPER_LOSS_HOLD || !k->has_view || !is_idle ||
        may_be_taking || k->term != 0 || term == 0 || term < k->top_term ||
        k->frozen >= term) {
        return false;
    }
    uint64_t until_ms = (now_ms > k->now_ms ? now_ms : k->now_ms) + promise_ms(k);
    k->promised_until_ms =
        until_ms > k->promised_until_ms ? until_ms : k->promised_until_ms;
    return true;
}

/* ---- who holds */

static void add(struct quorum_set *set, const struct keeper *k, const char *node)
{
    if (node[0] != '\0' && strcmp(node, k->node) != 0) {
        (void)quorum_set_add(set, node);
    }
}

/* All who could be elected, as the record stands for certain, and all who are there. */
static bool put_members(const struct keeper *k, struct quorum_set *out)
{
    const struct keeper_sync_record *sync = &k->view.sync;
    const struct keeper_request *r = &k->cluster_request;

    *out = (struct quorum_set){.count = 0};
    if (!k->view.sync_at.exists || sync->term != k->term || sync->quorum == 0 ||
        k->sync_is_unsure || (r->id != 0 && r->has_sync)) {
        return false;
    }
    for (size_t i = 0; i < sync->member_count; i++) {
        add(out, k, sync->members[i]);
    }
    for (size_t i = 0; i < k->view.seat_count; i++) {
        if (k->view.seats[i].place.session[0] != '\0') {
            add(out, k, k->view.seats[i].node);
        }
    }
    return out->count > 0 && out->count < KEEPER_MEMBERS_MAX;
}

void keeper_hold_think(struct keeper *k)
{
    bool is_open = k->state == KEEPER_PRIMARY && k->term != 0 && k->view.lease.writable;
    bool is_lost =
        k->answered_ms != 0 && k->now_ms - k->answered_ms > k->options.ttl_ms / 4;

    if (k->options.store_loss != KEEPER_LOSS_HOLD || !is_open || !is_lost) {
        if (strcmp(k->problem, holding) == 0) {
            keeper_trouble(k, "");
        }
        k->hold.id = 0;
        return;
    }
    if (k->now_ms < k->hold.sent_ms + k->options.renew_ms || keeper_warden_is_silent(k) ||
        !put_members(k, &k->hold.members)) {
        return;
    }
    struct keeper_action *action = keeper_push(k, KEEPER_ASK_PROMISES);
    if (action == NULL) {
        return;
    }
    k->hold.id = action->id;
    k->hold.sent_ms = k->now_ms;
    k->hold.promised = (struct quorum_set){.count = 0};
    action->term = k->term;
    action->members = &k->hold.members;
    action->time_ms = k->options.renew_ms;
}

void keeper_see_promise(struct keeper *k, uint64_t now_ms, uint64_t id, const char *node)
{
    keeper_advance(k, now_ms);
    if (id == 0 || id != k->hold.id || !quorum_set_has(&k->hold.members, node)) {
        return;
    }
    add(&k->hold.promised, k, node);
    if (quorum_set_equals(&k->hold.promised, &k->hold.members)) {
        k->hold.id = 0;
        k->renewed_ms = k->hold.sent_ms > k->renewed_ms ? k->hold.sent_ms : k->renewed_ms;
        keeper_trouble(k, holding);
        (void)keeper_arm(k);
    }
}
