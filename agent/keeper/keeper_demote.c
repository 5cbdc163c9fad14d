/* keeper_demote.c - from primary to nothing: dead first, then the lease is given back. */
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { STOP_MS = 10000, CLOSE_WAIT_MS = 500, LOOK_MS = 5000, RELEASE_WAIT_MS = 10000 };

void keeper_demote(struct keeper *k, enum keeper_end_way way, enum keeper_state then,
                   const char *reason)
{
    if (k->state == KEEPER_DEMOTING) {
        k->demotion.way = way > k->demotion.way ? way : k->demotion.way;
        return;
    }
    k->demotion =
        (struct keeper_demotion){.way = way,
                                 .then = then,
                                 .was_open = k->view.sync_at.exists &&
                                             k->view.sync.term == k->term && k->term != 0,
                                 .since_ms = k->now_ms};
    (void)rc_text_put(k->demotion.reason, sizeof k->demotion.reason, reason);
    keeper_say(k, KEEPER_WARNING, "gives up: %s", reason);
    k->has_looked = false;
    keeper_become(k, KEEPER_DEMOTING);
    if (way == WAY_FENCE) {
        k->next_kill_ms = k->now_ms;
        keeper_kill(k);
    }
}

/* ---- ending it */

static void close_to_clients(struct keeper *k)
{
    struct keeper_request *r = k->view.lease.writable && keeper_view_is_current(k)
                                   ? keeper_ask(k, FOR_CLOSE)
                                   : NULL;

    if (r == NULL) {
        return;
    }
    struct keeper_lease_record lease = k->view.lease;
    lease.writable = false;
    keeper_ask_held(k, r);
    keeper_ask_lease(k, r, &lease);
    keeper_ask_send(k, r);
}

static void stop(struct keeper *k)
{
    uint64_t past_ms = k->now_ms - k->demotion.since_ms;
    bool is_late = past_ms > STOP_MS + CLOSE_WAIT_MS || k->now_ms >= keeper_soft_ms(k);

    if (k->demotion.way != WAY_HANDOVER || k->term == 0 || is_late) {
        k->demotion.killed_ms =
            k->demotion.killed_ms != 0 ? k->demotion.killed_ms : k->now_ms;
        keeper_kill(k);
        return;
    }
    if (!k->demotion.is_closed && k->view.lease.writable && past_ms < CLOSE_WAIT_MS) {
        close_to_clients(k);
        return;
    }
    if (keeper_hand_is_free(k)) {
        (void)keeper_order(k, KEEPER_STOP_FAST, STOP_MS);
    }
}

/* ---- after its end */

static void release(struct keeper *k)
{
    struct keeper_state_record state = k->view.state;

    if (!keeper_view_is_current(k)) {
        return;
    }
    struct keeper_request *r = keeper_ask(k, FOR_RELEASE);
    if (r == NULL) {
        return;
    }
    state.released = true;
    (void)rc_text_put(state.reason, sizeof state.reason, k->demotion.reason);
    if (k->demotion.was_open) {
        bool is_clean = k->has_looked && k->look.disk == KEEPER_DISK_CLEAN;
        state.clean = is_clean;
        state.tli = is_clean ? k->look.tli : state.tli;
        state.lsn = is_clean ? k->look.lsn : state.lsn;
    }
    keeper_ask_held(k, r);
    (void)keeper_ask_op(r, KEEPER_OP_DELETE, "lease", 0);
    keeper_ask_state(k, r, &state);
    keeper_ask_send(k, r);
}

static void leave(struct keeper *k)
{
    enum keeper_state then = k->demotion.then;

    k->term = 0;
    if (then == KEEPER_FENCED) {
        keeper_fence(k, k->demotion.reason);
    } else {
        keeper_become(k, then);
    }
}

void keeper_on_demoting(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);
    uint64_t past_ms = k->now_ms - k->demotion.since_ms;

    if (process != KEEPER_NO_PROCESS) {
        stop(k);
        return;
    }
    if (k->term != 0 && keeper_view_is_current(k) && !keeper_lease_is_mine(k)) {
        k->term = 0; /* given back, or taken by time */
    }
    bool can_wait = past_ms < RELEASE_WAIT_MS + STOP_MS;
    if (k->term == 0 || !can_wait) {
        leave(k);
        return;
    }
    /* Only who was shut down well leaves a disk that says so. */
    bool may_be_clean = k->warden.exit_status == 0;
    if (may_be_clean && !k->has_looked) {
        (void)keeper_order(k, KEEPER_LOOK, LOOK_MS);
        if (k->demotion.way != WAY_HANDOVER && k->hand.kind != KEEPER_LOOK) {
            k->hand.id = 0; /* what was asked of the dead */
        }
        return;
    }
    release(k);
}
