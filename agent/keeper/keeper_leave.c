/* keeper_leave.c - before the agent ends: the session lives on for a while, or another takes over.
 *
 * A session's time to live is changed by its index, so that of two changes one is done at most;
 * while one is under way no other renewal counts, as it may have renewed the time of before. A
 * longer time is believed from its answer on. Back to the shorter one it goes only when the warden
 * has no deadline any more that the shorter one does not back. */
#include <string.h>

#include "agent/keeper/keeper_core.h"

enum {
    LONG_TTL_MS = 30000,
    LONG_GUARD_MS = LONG_TTL_MS * 15 / 100,
    HEIR_WAIT_MS = 4000 /* for the successor to open, which is nice to know */
};

uint64_t keeper_long_hard_ms(const struct keeper *k)
{
    return k->long_ms != 0 ? k->long_ms + LONG_TTL_MS - LONG_GUARD_MS : 0;
}

static bool is_holding(const struct keeper *k)
{
    return k->term != 0 && k->state == KEEPER_PRIMARY;
}

/* ---- another time to live */

static bool wants_long(const struct keeper *k)
{
    return k->retires == KEEPER_RESTARTS && is_holding(k) && !k->long_failed &&
           k->long_ms == 0 && k->options.ttl_ms < LONG_TTL_MS;
}

/* A session that has the long time still is given it anew: what a keeper before us asked for and
 * never heard of has another index then. */
static bool is_due(const struct keeper *k, uint64_t *out)
{
    bool is_long = wants_long(k);

    *out = is_long ? LONG_TTL_MS : k->options.ttl_ms;
    return is_long || (k->long_ms == 0 && k->session_ttl_ms != *out);
}

/* No deadline is trusted that the time `wanted` does not back. */
static bool may_become(const struct keeper *k, uint64_t wanted)
{
    return wanted >= k->session_ttl_ms ||
           (k->warden_seen_ms != 0 &&
            (k->warden.armed_term == 0 || k->warden.deadline_ms <= keeper_hard_ms(k)));
}

/* Not answered: either time may count. */
static void await(struct keeper *k)
{
    if (k->now_ms - k->retiming.sent_ms < KEEPER_STORE_WAIT_MS) {
        return;
    }
    if (k->retiming.ttl_ms >= k->session_ttl_ms) {
        k->retiming.id = 0;
        k->session_index = 0;
        k->long_failed = true;
    } else if (k->term == 0) {
        keeper_session_lost(k); /* a new one; who holds the lease comes to its deadline */
    }
}

void keeper_retime_think(struct keeper *k)
{
    uint64_t wanted = 0;

    if (k->retiming.id != 0) {
        await(k);
        return;
    }
    if (k->session[0] == '\0' || k->session_index == 0 || !is_due(k, &wanted) ||
        (k->term != 0 && keeper_warden_is_silent(k)) || !may_become(k, wanted)) {
        return;
    }
    struct keeper_action *action = keeper_push(k, KEEPER_RENEW);
    if (action == NULL) {
        return;
    }
    k->retiming = (struct keeper_retiming){
        .id = action->id, .sent_ms = k->now_ms, .ttl_ms = wanted};
    memset(k->renewals, 0, sizeof k->renewals);
    action->session = k->session;
    action->index = k->session_index;
    action->ttl_ms = wanted;
    action->time_ms = KEEPER_STORE_WAIT_MS;
}

bool keeper_retime_answered(struct keeper *k, const struct keeper_answer *answer)
{
    const struct keeper_retiming asked = k->retiming;

    if (asked.id == 0 || asked.id != answer->id) {
        return false;
    }
    if (answer->end == KEEPER_UNKNOWN && asked.ttl_ms < k->session_ttl_ms) {
        return true; /* as if it were not answered */
    }
    k->retiming.id = 0;
    k->session_index = 0; /* the next renewal tells it */
    if (answer->end == KEEPER_GONE) {
        keeper_session_lost(k);
    } else if (answer->end != KEEPER_DONE || answer->ttl_ms != asked.ttl_ms) {
        k->long_failed = k->long_failed || asked.ttl_ms == LONG_TTL_MS;
    } else {
        k->session_ttl_ms = asked.ttl_ms;
        k->renewed_ms = asked.sent_ms;
        k->long_ms = asked.ttl_ms == LONG_TTL_MS ? asked.sent_ms : 0;
        k->next_renew_ms = asked.sent_ms + k->options.renew_ms;
    }
    return true;
}

void keeper_retime_learn(struct keeper *k, const struct keeper_answer *answer)
{
    if (answer->ttl_ms != 0) {
        k->session_ttl_ms = answer->ttl_ms;
        k->session_index = answer->index;
    }
}

/* ---- going */

const char *keeper_retire(struct keeper *k, enum keeper_retirement how)
{
    bool leaves = how == KEEPER_LEAVES || how == KEEPER_LEAVES_ALL_THE_SAME;

    if (leaves && k->state == KEEPER_PROMOTING) {
        return "this node is being promoted: try again when it is the primary";
    }
    if (leaves && k->state == KEEPER_PRIMARY && how != KEEPER_LEAVES_ALL_THE_SAME) {
        if (keeper_is_paused(k)) {
            return "this node is the primary and the cluster is paused, so nobody would "
                   "take over: resume it first";
        }
        if (!keeper_has_heir(k)) {
            return "this node is the primary, and no standby has all that was written: "
                   "nobody could take over without loss";
        }
    }
    k->retires = how;
    k->retired_ms = k->now_ms;
    if (leaves && k->state == KEEPER_PRIMARY) {
        keeper_demote(k, WAY_HANDOVER, KEEPER_STOPPED, "its agent leaves the pool");
    }
    return NULL;
}

bool keeper_has_retired(const struct keeper *k)
{
    bool is_primary = k->state == KEEPER_PRIMARY || k->state == KEEPER_PROMOTING ||
                      k->state == KEEPER_DEMOTING;

    if (k->retires == KEEPER_RESTARTS) {
        return !is_holding(k) || k->long_failed || k->options.ttl_ms >= LONG_TTL_MS ||
               (k->long_ms != 0 && k->warden.armed_term == k->term &&
                k->warden.deadline_ms >= keeper_long_hard_ms(k));
    }
    bool has_heir = keeper_lease_is_open(k) && k->view.lease.writable;
    return !is_primary && k->term == 0 &&
           (has_heir || k->state != KEEPER_STOPPED ||
            k->now_ms - k->retired_ms > HEIR_WAIT_MS);
}
