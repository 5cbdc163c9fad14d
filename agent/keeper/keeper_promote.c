/* keeper_promote.c - the lease is held: promote, govern the first commit, then open. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { PROMOTE_AGAIN_MS = 100, PROMOTE_HAND_MS = 1000, STALL_MS = 30000 };

/* ---- in recovery */

static void watch_replay(struct keeper *k)
{
    if (k->probe.replay_lsn > k->moved_lsn) {
        k->moved_lsn = k->probe.replay_lsn;
        k->moved_ms = k->now_ms;
    }
    uint64_t left =
        k->probe.lsn > k->probe.replay_lsn ? k->probe.lsn - k->probe.replay_lsn : 0;
    if (left > 0) {
        (void)snprintf(k->progress, sizeof k->progress,
                       "replaying: %llu bytes to go before promotion",
                       (unsigned long long)left);
    }
    if (k->now_ms - k->moved_ms > STALL_MS) {
        keeper_demote(k, WAY_GONE, KEEPER_INIT, "the promotion does not get on");
    }
}

static void promote(struct keeper *k)
{
    watch_replay(k);
    if (k->state != KEEPER_PROMOTING || k->now_ms < k->next_promote_ms) {
        return;
    }
    /* It loses its wake-up while a receiver is being started: section 7, rule 5. */
    struct keeper_action *action = keeper_order(k, KEEPER_PROMOTE, PROMOTE_HAND_MS);
    if (action != NULL) {
        action->timeline = k->view.state.claimed;
        action->term = k->term;
        k->next_promote_ms = k->now_ms + PROMOTE_AGAIN_MS;
    }
}

/* ---- writable, but nothing can be acknowledged yet */

static bool is_opened(const struct keeper *k)
{
    return k->view.sync_at.exists && k->view.sync.term == k->term;
}

static void open_lease(struct keeper *k)
{
    struct keeper_sync_record sync;

    if (k->probe.tli != k->view.state.claimed) {
        keeper_say(k, KEEPER_ALARM, "promoted to timeline %u, claimed was %u",
                   k->probe.tli, k->view.state.claimed);
        keeper_demote(k, WAY_GONE, KEEPER_FENCED,
                      "the promotion ended on a timeline that is not its own");
        return;
    }
    struct keeper_request *r = keeper_ask(k, FOR_OPEN);
    if (r == NULL) {
        return;
    }
    struct keeper_state_record state = k->view.state;
    state.term = k->term;
    state.tli = k->probe.tli;
    state.lsn = k->probe.lsn;
    state.clean = false;
    keeper_sync_first(k, &sync);
    keeper_ask_held(k, r);
    keeper_ask_sync(k, r, &sync);
    keeper_ask_state(k, r, &state);
    keeper_ask_send(k, r);
}

static void open_to_clients(struct keeper *k)
{
    struct keeper_request *r = keeper_ask(k, FOR_WRITABLE);

    if (r == NULL) {
        return;
    }
    struct keeper_lease_record lease = k->view.lease;
    struct keeper_history_entry entry = {.term = k->term,
                                         .tli = k->probe.tli,
                                         .lsn = k->open_lsn,
                                         .at_ms = k->wall_ms,
                                         .took_ms = k->now_ms - k->last_free_since_ms};
    lease.writable = true;
    lease.since_ms = k->wall_ms;
    (void)rc_text_put(entry.node, sizeof entry.node, k->node);
    (void)rc_text_put(entry.from, sizeof entry.from, k->previous);
    (void)rc_text_put(entry.reason, sizeof entry.reason, k->taken_reason);
    keeper_ask_lease(k, r, &lease);
    keeper_ask_history(k, r, &entry);
    if (k->view.intent_at.exists) {
        (void)keeper_ask_op(r, KEEPER_OP_DELETE_CAS, "intent", k->view.intent_at.index);
    }
    keeper_ask_send(k, r);
}

static void became_primary(struct keeper *k)
{
    k->promotions++;
    k->starts_failed = 0;
    k->failures = 0;
    k->wants_checkpoint = true;
    k->state_told_ms = k->now_ms;
    keeper_trouble(k, "");
    keeper_say(k, KEEPER_INFO, "primary of term %llu on timeline %u after %llu ms",
               (unsigned long long)k->term, k->probe.tli,
               (unsigned long long)(k->now_ms - k->last_free_since_ms));
    keeper_become(k, KEEPER_PRIMARY);
}

static void govern(struct keeper *k)
{
    if (k->open_lsn == 0) {
        k->open_lsn = k->probe.lsn;
    }
    k->is_detached = false;
    if (!is_opened(k)) {
        open_lease(k);
        return;
    }
    if (k->view.lease.writable) {
        became_primary(k);
        return;
    }
    (void)keeper_sync_think(k);
    /* Rows that nobody acknowledged may be shown only when they can no longer be lost. */
    bool may_open = k->names_are_known && (k->names.k == 0 || k->names.names.count > 0) &&
                    (k->names.k == 0 || keeper_is_confirmed(k, k->open_lsn));
    if (may_open) {
        open_to_clients(k);
    } else if (k->names_are_known) {
        keeper_trouble(k, "strict: waits for a standby that has all there is");
        keeper_keep_slots(k); /* without one a copy that is new cannot follow */
    }
}

void keeper_on_promoting(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);

    if (k->term == 0) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the lease was lost while promoting");
        return;
    }
    if (process != KEEPER_RUNNING) {
        if (!keeper_warden_is_silent(k)) {
            keeper_crashed(k);
            keeper_demote(k, WAY_GONE, KEEPER_INIT, "PostgreSQL ended while promoting");
        }
        return;
    }
    if (keeper_is_hung(k)) {
        keeper_demote(k, WAY_GONE, KEEPER_INIT, "PostgreSQL hung while promoting");
        return;
    }
    if (!keeper_arm(k) || !keeper_knows(k) || !keeper_view_is_current(k) ||
        k->probe.asked_ms < k->taken_ms) {
        return;
    }
    if (k->probe.in_recovery) {
        promote(k);
    } else {
        govern(k);
    }
}
