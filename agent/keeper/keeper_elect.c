/* keeper_elect.c - the lease is free: freeze, report, and take it if it is ours to take. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { DETACH_MS = 5000 };

static uint64_t greatest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* S5: no receiver is left, as a probe says that was asked after the detaching. */
static bool freeze(struct keeper *k)
{
    bool was_seen = k->is_detached && keeper_knows(k) &&
                    k->probe.asked_ms >= k->detached_ms && !k->probe.has_receiver;

    if (!k->is_detached ||
        (k->probe.has_receiver && k->probe.asked_ms >= k->detached_ms)) {
        (void)keeper_order(k, KEEPER_DETACH, DETACH_MS);
        return false;
    }
    if (was_seen) {
        k->frozen = greatest(k->frozen, greatest(k->view.sync.term, k->top_term));
        k->frozen = greatest(k->frozen, 1);
    }
    return was_seen;
}

static void acquire(struct keeper *k, enum candidate_right right)
{
    static const char *const reasons[] = {[CANDIDATE_FORCED] = "by hand, loss accepted",
                                          [CANDIDATE_COMPLETE] = "clean stop",
                                          [CANDIDATE_ELECTED] = "elected",
                                          [CANDIDATE_RECENT] = "the least lag",
                                          [CANDIDATE_HOLDER] = "the last holder"};
    struct keeper_request *r = keeper_ask(k, FOR_ACQUIRE);

    if (r == NULL) {
        return;
    }
    struct keeper_state_record state = k->view.state;
    struct keeper_lease_record lease = {
        .port = k->options.port, .ttl_ms = k->options.ttl_ms, .since_ms = k->wall_ms};
    (void)rc_text_put(k->previous, sizeof k->previous, k->view.state.node);
    (void)snprintf(k->taken_reason, sizeof k->taken_reason, "%s%s%.100s", reasons[right],
                   k->view.state.released ? "; " : "",
                   k->view.state.released ? k->view.state.reason : "");
    (void)rc_text_put(lease.node, sizeof lease.node, k->node);
    (void)rc_text_put(lease.address, sizeof lease.address, k->address);
    (void)rc_text_put(state.node, sizeof state.node, k->node);
    state.claimed = (state.claimed > k->known_tli ? state.claimed : k->known_tli) + 1;
    state.released = false;
    (void)rc_text_put(state.reason, sizeof state.reason, reasons[right]);
    keeper_ask_lease(k, r, &lease);
    (void)keeper_ask_op(
        r, k->view.sync_at.exists ? KEEPER_OP_CHECK_INDEX : KEEPER_OP_CHECK_NONE, "sync",
        k->view.sync_at.index);
    keeper_ask_state(k, r, &state);
    keeper_ask_send(k, r);
}

static void stand(struct keeper *k)
{
    struct keeper_member_record mine;
    struct candidate_choice choice;

    if (keeper_has_promised(k)) {
        keeper_trouble(k, "has promised the last primary not to take over yet");
        return;
    }
    keeper_record_make(k, &mine);
    candidate_choose(
        &(struct candidate_case){.view = &k->view,
                                 .me = k->node,
                                 .mine = &mine,
                                 .max_lag_bytes = k->options.max_lag_bytes,
                                 .restart_budget_ms = k->options.restart_budget_ms,
                                 .free_since_ms = k->free_since_ms,
                                 .now_ms = k->now_ms},
        &choice);
    if (choice.verdict == CANDIDATE_CANNOT) {
        keeper_trouble(k, choice.why);
        return;
    }
    if (keeper_store_is_shaky(k) && choice.right != CANDIDATE_FORCED) {
        keeper_trouble(k, "the store has stalled: it must be calm first");
        return;
    }
    if (choice.verdict == CANDIDATE_GO && keeper_session_is_sure(k) &&
        k->retires == KEEPER_STAYS) {
        acquire(k, choice.right);
    }
}

void keeper_on_electing(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);

    if (k->term != 0) {
        keeper_trouble(k, "");
        keeper_say(k, KEEPER_INFO, "lease of term %llu: %s", (unsigned long long)k->term,
                   k->taken_reason);
        keeper_become(k, KEEPER_PROMOTING);
        return;
    }
    if (process == KEEPER_NO_PROCESS ||
        (process == KEEPER_ENDING && !keeper_warden_is_silent(k))) {
        keeper_become(k, KEEPER_INIT);
        return;
    }
    if (keeper_is_hung(k) && process == KEEPER_RUNNING) {
        keeper_kill(k);
    }
    if (!keeper_knows(k) || !k->probe.in_recovery || keeper_obey(k) ||
        !keeper_view_is_current(k)) {
        return;
    }
    if (keeper_lease_is_mine(k)) { /* its answer was lost */
        keeper_lease_take(k, k->view.lease_at.term);
        return;
    }
    if (!keeper_lease_is_free(k) || keeper_is_paused(k)) {
        keeper_trouble(k, "");
        keeper_become(k, KEEPER_STANDBY);
        return;
    }
    if (strcmp(k->probe.names, KEEPER_BLOCKED_NAMES) != 0) {
        keeper_set_names(k, KEEPER_BLOCKED_NAMES);
    } else if (freeze(k) && k->cluster_request.id == 0) {
        stand(k);
    }
}
