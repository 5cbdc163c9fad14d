/* keeper_rejoin.c - the way back for data that went its own way; and where it ends: fenced. */
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    STOP_MS = 30000,
    LOOK_MS = 5000,
    FAILURES_MAX = 3,
    TRY_LEAST_MS = 1000,
    TRY_SHIFT_MAX = 5,
    FENCED_TRY_MS = 60000 /* by itself, from then on */
};

void keeper_rejoin(struct keeper *k, const char *why)
{
    keeper_say(k, KEEPER_WARNING, "must be repaired: %s", why);
    keeper_become(k, KEEPER_REJOINING);
    k->has_looked = false;
}

void keeper_fence(struct keeper *k, const char *why)
{
    keeper_trouble(k, why);
    k->next_try_ms = k->now_ms + FENCED_TRY_MS;
    k->rejoin_term = k->top_term;
    keeper_become(k, KEEPER_FENCED);
}

void keeper_rejoin_failed(struct keeper *k, const char *why)
{
    unsigned shift = k->failures < TRY_SHIFT_MAX ? k->failures : TRY_SHIFT_MAX;

    k->next_try_ms = k->now_ms + ((uint64_t)TRY_LEAST_MS << shift);
    keeper_say(k, KEEPER_WARNING, "repair failed: %s", why);
    if (!keeper_lease_is_open(k) || k->view.lease_at.term != k->rejoin_term) {
        return; /* whom we asked has gone: no fault of ours */
    }
    k->failures++;
    if (k->failures >= FAILURES_MAX && k->state == KEEPER_REJOINING) {
        keeper_say(k, KEEPER_ALARM, "repair failed %u times in a row", k->failures);
        keeper_fence(k, "could not be repaired from the primary");
    }
}

static void repair(struct keeper *k)
{
    enum keeper_action_kind kind = KEEPER_REWIND;
    bool must_copy = k->wants_copy || k->look.disk == KEEPER_DISK_EMPTY ||
                     k->look.disk == KEEPER_DISK_BROKEN;

    if (must_copy && !k->options.auto_rebuild && k->look.disk != KEEPER_DISK_EMPTY) {
        keeper_fence(k, "needs a new copy, and auto_rebuild is off: reinit");
        return;
    }
    if (must_copy) {
        kind = KEEPER_COPY;
    }
    k->rejoin_term = k->view.lease_at.term;
    (void)keeper_order_at(k, kind, KEEPER_REPAIR_SILENT_MS, k->view.lease.node);
}

/* Section 9, rule 1: not before the new primary has opened its term. (Not: before clients may
 * come, as a strict one waits for us.) */
static bool has_source(const struct keeper *k)
{
    return keeper_lease_is_open(k);
}

/* Nobody to repair from, and ours can stand for election as it is. */
static bool is_pointless(const struct keeper *k)
{
    return (keeper_lease_is_free(k) || keeper_lease_is_mine(k)) && k->has_looked &&
           !k->is_distrusted &&
           (k->look.disk == KEEPER_DISK_CLEAN || k->look.disk == KEEPER_DISK_CRASHED);
}

void keeper_on_rejoining(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);

    if (process == KEEPER_ENDING || keeper_is_paused(k)) {
        if (!keeper_warden_is_silent(k) && process == KEEPER_ENDING) {
            keeper_kill(k);
        }
        return;
    }
    if (!keeper_hand_is_free(k)) {
        return;
    }
    if (k->needs_source && !k->wants_copy && k->rejoin_term != 0) {
        keeper_become(k, KEEPER_INIT); /* repaired */
        return;
    }
    if (process == KEEPER_RUNNING) {
        if (has_source(k)) {
            (void)keeper_order(k, KEEPER_STOP_FAST, STOP_MS);
        } else if (keeper_lease_is_free(k) && !k->is_distrusted) {
            k->wants_copy = false;
            keeper_become(k, KEEPER_INIT);
        }
        return;
    }
    if (!k->has_looked) {
        (void)keeper_order(k, KEEPER_LOOK, LOOK_MS);
    } else if (is_pointless(k)) {
        k->wants_copy = false;
        keeper_become(k, KEEPER_INIT);
    } else if (has_source(k) && k->now_ms >= k->next_try_ms) {
        repair(k);
    }
}

void keeper_on_fenced(struct keeper *k)
{
    bool is_ordered = keeper_has_standing(k, KEEPER_ORDER_FENCE);

    if (keeper_process(k) == KEEPER_RUNNING && !keeper_is_paused(k)) {
        keeper_kill(k);
        return;
    }
    if (is_ordered) {
        k->is_fenced_by_order = true;
        (void)keeper_obey(k);
        return;
    }
    bool was_ordered = k->is_fenced_by_order;
    bool is_newer = keeper_lease_is_open(k) && k->view.lease_at.term > k->rejoin_term;
    k->is_fenced_by_order = false;
    if (keeper_obey(k) || was_ordered || is_newer ||
        (k->now_ms >= k->next_try_ms && keeper_view_is_current(k))) {
        k->failures = 0;
        keeper_trouble(k, "");
        keeper_become(k, KEEPER_INIT);
    }
}

void keeper_on_stopped(struct keeper *k)
{
    if (k->retires != KEEPER_STAYS || keeper_obey(k) || !keeper_view_is_current(k)) {
        return;
    }
    if (!keeper_has_standing(k, KEEPER_ORDER_STOP)) {
        keeper_become(k, KEEPER_INIT);
    } else if (keeper_process(k) == KEEPER_RUNNING && k->warden.is_writable_start) {
        if (k->now_ms >= k->next_kill_ms) {
            keeper_say(
                k, KEEPER_ALARM,
                "PostgreSQL was started by somebody else, but is stopped by order: killed");
        }
        keeper_kill(k);
    } else if (keeper_process(k) == KEEPER_RUNNING && keeper_hand_is_free(k)) {
        (void)keeper_order(k, KEEPER_STOP_FAST, STOP_MS); /* a start was on its way */
    }
}
