/* keeper_standby.c - in recovery: whom to follow, and when to stand for election. */
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    HISTORY_MS = 2000,
    FOLLOW_MS = 5000,
    STUCK_LOOK_MS = 5000,  /* not streaming: the histories are compared again */
    STUCK_COPY_MS = 30000, /* the WAL it needs is gone */
    STOP_AGAIN_MS = 1000
};

/* ---- following */

/* Section 9: our end lies on the other's history. */
static bool lies_on(const struct keeper_done *history, uint32_t tli, uint64_t lsn)
{
    if (tli == history->on_tli) {
        return true;
    }
    for (size_t i = 0; i < history->fork_count; i++) {
        if (history->forks[i].tli == tli) {
            return lsn <= history->forks[i].end_lsn;
        }
    }
    return false;
}

void keeper_compared(struct keeper *k, const struct keeper_done *done)
{
    struct keeper_member_record mine;

    if (k->state != KEEPER_STANDBY || !keeper_knows(k)) {
        return;
    }
    keeper_record_make(k, &mine);
    if (!lies_on(done, mine.tli, mine.lsn)) {
        keeper_rejoin(k, "its WAL went on after the primary's timeline had left it");
        return;
    }
    k->compared_term = k->view.lease_at.term;
}

/* The primary, or the node it is pinned below while that one streams. */
static const char *target_of(const struct keeper *k)
{
    const struct keeper_seat *up =
        k->upstream[0] != '\0' ? keeper_view_seat(&k->view, k->upstream) : NULL;
    bool is_usable = up != NULL && up->place.session[0] != '\0' &&
                     up->record.state == KEEPER_STANDBY && up->record.is_streaming &&
                     strcmp(up->record.upstream, k->node) != 0 &&
                     strcmp(up->node, k->node) != 0;

    return is_usable ? up->node : k->view.lease.node;
}

static void watch_stream(struct keeper *k)
{
    if (k->probe.is_streaming) {
        k->stuck_since_ms = 0;
        k->starts_failed = 0;
        k->failures = 0;
        keeper_trouble(k, "");
        return;
    }
    if (k->stuck_since_ms == 0) {
        k->stuck_since_ms = k->now_ms;
        k->retry_follow_ms = k->now_ms + STUCK_LOOK_MS;
    }
    if (k->now_ms - k->stuck_since_ms > STUCK_COPY_MS) {
        k->wants_copy = true;
        keeper_rejoin(k, "it does not stream: the WAL it needs may be gone");
    } else if (k->now_ms >= k->retry_follow_ms) {
        k->retry_follow_ms = k->now_ms + STUCK_LOOK_MS;
        k->compared_term = 0;
        k->followed_term = 0;
    }
}

static void follow(struct keeper *k)
{
    uint64_t term = k->view.lease_at.term;
    const char *target = target_of(k);

    if (!keeper_lease_is_open(k) || term <= k->frozen || !keeper_hand_is_free(k)) {
        return; /* the promise, or nobody who has opened */
    }
    if (k->followed_term == term && strcmp(k->followed, target) == 0) {
        watch_stream(k);
        return;
    }
    if (k->now_ms < k->retry_follow_ms) {
        return;
    }
    if (k->compared_term != term) {
        (void)keeper_order_at(k, KEEPER_READ_HISTORY, HISTORY_MS, k->view.lease.node);
        return;
    }
    if (keeper_order_at(k, KEEPER_FOLLOW, FOLLOW_MS, target) != NULL) {
        k->is_detached = false; /* from now on it may receive, whatever the answer is */
    }
}

/* ---- standing */

static void give_back(struct keeper *k)
{
    /* Taken by a request whose answer was lost, and not wanted any more. */
    struct keeper_request *r = keeper_ask(k, FOR_RELEASE);

    if (r != NULL) {
        keeper_ask_held(k, r);
        (void)keeper_ask_op(r, KEEPER_OP_DELETE, "lease", 0);
        keeper_ask_send(k, r);
    }
}

/* The store was made anew, or it has never heard of the cluster: who goes on cannot be told from
 * what one node has, so somebody must say it. */
static void unknown_cluster(struct keeper *k)
{
    const struct keeper_intent_record *intent = &k->view.intent;
    bool is_named = k->view.intent_at.exists && intent->kind == KEEPER_FAILOVER &&
                    intent->accept_loss && strcmp(intent->to, k->node) == 0;

    if (!is_named) {
        keeper_trouble(k, "the store knows no primary of before: failover -accept-loss "
                          "to whom has the most");
        return;
    }
    struct keeper_request *r =
        keeper_session_is_sure(k) ? keeper_ask(k, FOR_CLAIM) : NULL;
    if (r != NULL) {
        struct keeper_state_record state = {.claimed = k->probe.tli,
                                            .tli = k->probe.tli,
                                            .lsn = k->probe.lsn,
                                            .reason = "named by an operator"};
        (void)rc_text_put(state.sysid, sizeof state.sysid, k->probe.sysid);
        (void)rc_text_put(state.node, sizeof state.node, k->node);
        keeper_ask_state(k, r, &state);
        keeper_ask_send(k, r);
    }
}

static void hung(struct keeper *k)
{
    bool is_starting = k->has_probe && k->probe.reach == KEEPER_REFUSING;

    if (keeper_is_hung(k) && !is_starting) {
        keeper_trouble(k, "PostgreSQL does not answer");
        keeper_kill(k);
    }
}

/* The lease is ours, but we are a standby. */
static void hold_or_give_back(struct keeper *k)
{
    bool was_promoting = k->warden.armed_term == k->view.lease_at.term;

    if (keeper_has_promised(k)) {
        return;
    }
    if (was_promoting && keeper_session_is_sure(k)) {
        keeper_lease_take(k, k->view.lease_at.term); /* a keeper before us began it */
        keeper_become(k, KEEPER_PROMOTING);
    } else if (!was_promoting) {
        give_back(k);
    }
}

void keeper_on_standby(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);

    if (process != KEEPER_RUNNING) {
        if (process == KEEPER_NO_PROCESS ||
            (process == KEEPER_ENDING && !keeper_warden_is_silent(k))) {
            keeper_become(k, KEEPER_INIT);
        }
        return;
    }
    if (!keeper_is_paused(k)) {
        hung(k);
    }
    if (!keeper_knows(k) || !k->probe.in_recovery || keeper_obey(k)) {
        return;
    }
    if (strcmp(k->probe.names, KEEPER_BLOCKED_NAMES) != 0 && keeper_hand_is_free(k)) {
        keeper_set_names(k, KEEPER_BLOCKED_NAMES);
    }
    if (!keeper_view_is_current(k) || keeper_is_paused(k)) {
        return;
    }
    if (keeper_lease_is_mine(k)) {
        hold_or_give_back(k);
    } else if (!keeper_lease_is_free(k)) {
        follow(k);
        if (k->state == KEEPER_STANDBY && k->probe.is_streaming) {
            keeper_keep_slots(k);
        }
    } else if (!k->view.state_at.exists) {
        unknown_cluster(k);
    } else if (!keeper_has_promised(k)) {
        keeper_become(k, KEEPER_ELECTING);
    }
}
