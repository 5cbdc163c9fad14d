/* keeper_lease.c - the session, its renewals, and what they let the holder believe.
 *
 * t, S and H: keeper.h. A renewal counts from before it was sent, and a session from before it
 * was asked for. */
#include <assert.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    OPEN_RETRY_MS = 300,
    GUARD_LEAST_MS = 500,
    GUARD_PERCENT = 15,
    SOFT_PART = 4, /* S is so much of the guard before H */
    VIEW_OLD_MS = 3000,
    DISARM_AGAIN_MS = 100,
    STALLS_APART_MS = 30000, /* further apart they are no row */
    CALM_ONCE_MS = 1000,     /* after one stall, before the store is relied on again */
    CALM_MS = 3000,          /* after several */
    STUCK_MS = 2000 /* longer than anything but a disk that hangs keeps who is killed */
};

/* A session of before may have been given less than we would by now. */
static uint64_t ttl_ms(const struct keeper *k)
{
    bool is_less = k->session_ttl_ms != 0 && k->session_ttl_ms < k->options.ttl_ms;

    return is_less ? k->session_ttl_ms : k->options.ttl_ms;
}

static uint64_t guard_ms(const struct keeper *k)
{
    uint64_t part_ms = ttl_ms(k) * GUARD_PERCENT / 100;

    return part_ms > GUARD_LEAST_MS ? part_ms : GUARD_LEAST_MS;
}

uint64_t keeper_hard_ms(const struct keeper *k)
{
    uint64_t hard_ms = k->renewed_ms + ttl_ms(k) - guard_ms(k);
    uint64_t long_ms = keeper_long_hard_ms(k);

    return long_ms > hard_ms ? long_ms : hard_ms;
}

uint64_t keeper_soft_ms(const struct keeper *k)
{
    return keeper_hard_ms(k) - guard_ms(k) / SOFT_PART;
}

bool keeper_session_is_sure(const struct keeper *k)
{
    return k->session[0] != '\0' && k->renewed_ms != 0 && k->now_ms < keeper_soft_ms(k);
}

/* The store has answered. A stall is what a holder would have given up for, whose last renewal
 * before it was sent a while before it was answered. */
static void note_answer(struct keeper *k)
{
    uint64_t bearable_ms = keeper_soft_ms(k) - k->renewed_ms - 2 * k->options.renew_ms;

    if (k->answered_ms != 0 && k->now_ms - k->answered_ms > bearable_ms) {
        k->stalls = k->now_ms - k->stall_ms < STALLS_APART_MS ? k->stalls + 1 : 1;
        k->stall_ms = k->now_ms;
    }
    k->answered_ms = k->now_ms;
}

bool keeper_store_is_shaky(const struct keeper *k)
{
    uint64_t calm_ms = k->stalls > 1 ? CALM_MS : CALM_ONCE_MS;

    return k->stalls > 0 && k->answered_ms - k->stall_ms < calm_ms;
}

bool keeper_view_is_current(const struct keeper *k)
{
    return k->has_view && k->view.asked_ms >= k->view_after_ms &&
           k->now_ms - k->view_seen_ms < VIEW_OLD_MS;
}

bool keeper_lease_is_free(const struct keeper *k)
{
    return keeper_view_is_current(k) && k->view.lease_at.session[0] == '\0';
}

bool keeper_lease_is_mine(const struct keeper *k)
{
    return keeper_view_is_current(k) && k->session[0] != '\0' &&
           strcmp(k->view.lease_at.session, k->session) == 0;
}

bool keeper_lease_is_open(const struct keeper *k)
{
    const struct keeper_view *view = &k->view;

    return keeper_view_is_current(k) && view->lease_at.session[0] != '\0' &&
           !keeper_lease_is_mine(k) && view->sync_at.exists &&
           view->sync.term == view->lease_at.term;
}

bool keeper_is_paused(const struct keeper *k)
{
    return k->has_view && k->view.settings.paused;
}

void keeper_lease_take(struct keeper *k, uint64_t term)
{
    k->term = term;
    k->top_term = term > k->top_term ? term : k->top_term;
    k->taken_ms = k->now_ms;
    k->next_arm_ms = 0;
    k->last_free_since_ms = k->free_since_ms != 0 ? k->free_since_ms : k->now_ms;
    k->free_since_ms = 0;
    k->names_are_known = false;
    k->is_caught_up = false;
    k->marked_lsn = 0;
    k->sync_is_unsure = false;
    k->open_lsn = 0;
    k->moved_ms = k->now_ms;
    k->moved_lsn = 0;
    k->next_promote_ms = 0;
}

void keeper_session_lost(struct keeper *k)
{
    if (k->session[0] != '\0') {
        keeper_say(k, KEEPER_WARNING, "the session has ended in the store");
    }
    k->session[0] = '\0';
    k->renewed_ms = 0;
    k->told_ms = 0;
    k->open_id = 0;
    k->retiming.id = 0;
    k->session_ttl_ms = 0;
    k->session_index = 0;
    k->long_ms = 0;
    k->next_open_ms = k->now_ms;
    memset(k->renewals, 0, sizeof k->renewals);
    if (k->term != 0 && (k->state == KEEPER_PRIMARY || k->state == KEEPER_PROMOTING)) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the session has ended in the store");
    }
    k->term = 0;
}

/* ---- renewing */

static void open_session(struct keeper *k)
{
    if (k->open_id != 0 && k->now_ms - k->open_sent_ms < KEEPER_STORE_WAIT_MS) {
        return;
    }
    if (k->now_ms < k->next_open_ms) {
        return;
    }
    struct keeper_action *action = keeper_push(k, KEEPER_OPEN_SESSION);
    if (action != NULL) {
        action->ttl_ms = k->options.ttl_ms;
        action->time_ms = KEEPER_STORE_WAIT_MS;
        k->open_id = action->id;
        k->open_sent_ms = k->now_ms;
    }
}

/* Who waits for a disk that does not answer is not gone when killed, but never acknowledges anything
 * again: the lease is not kept for it. */
static bool is_stuck(const struct keeper *k)
{
    return k->state == KEEPER_DEMOTING && k->demotion.killed_ms != 0 &&
           k->now_ms - k->demotion.killed_ms > STUCK_MS &&
           keeper_process(k) != KEEPER_NO_PROCESS;
}

static void renew(struct keeper *k)
{
    /* A holder whose warden is silent must come to its end. */
    if (k->now_ms < k->next_renew_ms || k->retiming.id != 0 ||
        (k->term != 0 && (keeper_warden_is_silent(k) || is_stuck(k)))) {
        return;
    }
    struct keeper_action *action = keeper_push(k, KEEPER_RENEW);
    if (action == NULL) {
        return;
    }
    struct keeper_renewal *slot = &k->renewals[k->renewal_at];
    k->renewals_lost += slot->id != 0;
    *slot = (struct keeper_renewal){.id = action->id, .sent_ms = k->now_ms};
    k->renewal_at = (k->renewal_at + 1) % KEEPER_RENEWALS_MAX;
    k->next_renew_ms = k->now_ms + k->options.renew_ms;
    action->session = k->session;
    action->time_ms = k->options.ttl_ms;
}

static void check_deadline(struct keeper *k)
{
    bool is_holding = k->state == KEEPER_PROMOTING || k->state == KEEPER_PRIMARY;

    if (k->term == 0 || !is_holding) {
        return;
    }
    if (k->now_ms >= keeper_soft_ms(k)) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the store does not answer renewals");
    } else if (keeper_warden_is_silent(k)) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the warden is silent");
    } else if (keeper_view_is_current(k) && !keeper_lease_is_mine(k)) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the lease is not ours any more");
    }
}

/* What is no longer to be written needs no deadline: the warden would kill a standby. */
static void disarm(struct keeper *k)
{
    /* In recovery a promotion may be on its way, begun by a keeper before us. */
    bool is_harmless = keeper_process(k) == KEEPER_NO_PROCESS ||
                       (keeper_knows(k) && k->probe.in_recovery &&
                        keeper_view_is_current(k) && !keeper_lease_is_mine(k));

    if (k->warden.armed_term != 0 && is_harmless && k->now_ms >= k->next_arm_ms &&
        keeper_push(k, KEEPER_DISARM) != NULL) {
        k->next_arm_ms = k->now_ms + DISARM_AGAIN_MS;
    }
}

void keeper_lease_think(struct keeper *k)
{
    if (k->session[0] == '\0') {
        open_session(k);
    } else {
        renew(k);
        keeper_retime_think(k);
    }
    keeper_hold_think(k);
    check_deadline(k);
    if (k->term != 0) {
        (void)keeper_arm(k);
    } else {
        disarm(k);
    }
}

/* ---- answers */

static void opened(struct keeper *k, const struct keeper_answer *answer)
{
    k->open_id = 0;
    if (answer->end != KEEPER_DONE || answer->session == NULL ||
        answer->session[0] == '\0') {
        k->next_open_ms = k->now_ms + OPEN_RETRY_MS;
        return;
    }
    note_answer(k);
    (void)rc_text_put(k->session, sizeof k->session, answer->session);
    k->renewed_ms = k->open_sent_ms;
    k->next_renew_ms = k->open_sent_ms + k->options.renew_ms;
}

bool keeper_lease_answered(struct keeper *k, const struct keeper_answer *answer)
{
    if (answer->id != 0 && answer->id == k->open_id) {
        opened(k, answer);
        return true;
    }
    if (keeper_retime_answered(k, answer)) {
        return true;
    }
    for (size_t i = 0; i < KEEPER_RENEWALS_MAX; i++) {
        struct keeper_renewal *slot = &k->renewals[i];
        if (slot->id == 0 || slot->id != answer->id) {
            continue;
        }
        slot->id = 0;
        if (answer->end == KEEPER_DONE) {
            k->renewals_done++;
            note_answer(k);
            k->renewed_ms = slot->sent_ms > k->renewed_ms ? slot->sent_ms : k->renewed_ms;
            keeper_retime_learn(k, answer);
        } else if (answer->end == KEEPER_GONE) {
            keeper_session_lost(k);
        } else {
            k->renewals_lost++;
        }
        return true;
    }
    return false;
}
