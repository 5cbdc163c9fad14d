/* keeper_start.c - from whatever is found to a standby, a primary that goes on, or a repair.
 *
 * PostgreSQL is never started but as a standby. Nothing known of the store: a detached one. */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    START_MS = 60000,
    LOOK_MS = 5000,
    INITDB_MS = 120000,
    UNKNOWN_WRITER_MS = 5000, /* writable, unarmed, and the store says nothing */
    SOURCE_MS = 30000,        /* a repaired one must become consistent */
    MAKER_GONE_MS = 10000
};

/* ---- it runs */

static void adopt(struct keeper *k)
{
    struct keeper_request *r = keeper_ask(k, FOR_CLAIM);

    if (r == NULL) {
        return;
    }
    struct keeper_state_record state = {.claimed = k->probe.tli,
                                        .tli = k->probe.tli,
                                        .lsn = k->probe.lsn,
                                        .reason = "adopted"};
    (void)rc_text_put(state.sysid, sizeof state.sysid, k->probe.sysid);
    (void)rc_text_put(state.node, sizeof state.node, k->node);
    struct keeper_lease_record lease = {
        .port = k->options.port, .ttl_ms = k->options.ttl_ms, .since_ms = k->wall_ms};
    (void)rc_text_put(lease.node, sizeof lease.node, k->node);
    (void)rc_text_put(lease.address, sizeof lease.address, k->address);
    keeper_ask_state(k, r, &state);
    keeper_ask_lease(k, r, &lease);
    keeper_ask_send(k, r);
}

static void go_on_as_holder(struct keeper *k)
{
    bool is_open = k->view.sync_at.exists && k->view.sync.term == k->view.lease_at.term;

    keeper_lease_take(k, k->view.lease_at.term);
    k->open_lsn = k->probe.lsn;
    (void)rc_text_put(k->taken_reason, sizeof k->taken_reason, "the keeper came back");
    keeper_say(k, KEEPER_INFO, "this node holds the lease of term %llu still",
               (unsigned long long)k->term);
    keeper_become(k,
                  is_open && k->view.lease.writable ? KEEPER_PRIMARY : KEEPER_PROMOTING);
}

static void found_writable(struct keeper *k)
{
    bool is_armed = k->warden.armed_term != 0 && k->warden.deadline_ms > k->now_ms;

    if (keeper_is_paused(k) && !keeper_view_is_current(k)) {
        return;
    }
    if (!keeper_view_is_current(k)) {
        bool is_ours = !k->warden.is_writable_start && !is_armed;
        if (is_ours && k->now_ms - k->state_since_ms > UNKNOWN_WRITER_MS) {
            keeper_kill(k);
        }
        return;
    }
    if (!k->view.state_at.exists) {
        if (keeper_session_is_sure(k)) {
            adopt(k);
        }
        return;
    }
    if (!keeper_session_is_sure(k) && is_armed) {
        return; /* the session of before may be ours still; the warden watches the clock */
    }
    if (keeper_lease_is_mine(k) && keeper_session_is_sure(k)) {
        if (k->term != 0 || k->view.state.sysid[0] == '\0' ||
            strcmp(k->view.state.sysid, k->probe.sysid) == 0) {
            go_on_as_holder(k);
            return;
        }
    }
    if (k->cluster_request.id != 0) {
        return; /* it may be the lease that was asked for */
    }
    if (k->now_ms >= k->next_kill_ms) { /* not with each thing that is seen meanwhile */
        keeper_say(k, KEEPER_ALARM, "PostgreSQL is writable without the lease: killed");
    }
    keeper_kill(k);
}

/* A rewound or copied one needs its source until it is consistent. */
static void await_source(struct keeper *k)
{
    bool is_late = k->now_ms - k->run_seen_ms > SOURCE_MS;

    if (k->rejoin_term == 0 && keeper_lease_is_open(k)) {
        k->rejoin_term = k->view.lease_at.term; /* a keeper before us has repaired it */
    }
    if (k->needs_source && keeper_lease_is_open(k) &&
        (is_late || k->view.lease_at.term != k->rejoin_term)) {
        k->wants_copy = true;
        keeper_rejoin(k, "it did not become consistent from its source");
    }
}

static void init_running(struct keeper *k)
{
    if (!keeper_knows(k)) {
        await_source(k);
        return;
    }
    if (!k->probe.in_recovery) {
        found_writable(k);
        return;
    }
    k->needs_source = false;
    keeper_become(k, KEEPER_STANDBY);
}

/* ---- it does not */

static void claim(struct keeper *k, enum keeper_purpose purpose, const char *sysid)
{
    struct keeper_request *r = keeper_ask(k, purpose);
    struct keeper_state_record state = {.tli = 0};

    if (r == NULL) {
        return;
    }
    (void)rc_text_put(state.sysid, sizeof state.sysid, sysid);
    (void)rc_text_put(state.node, sizeof state.node, k->node);
    (void)rc_text_put(state.reason, sizeof state.reason,
                      sysid[0] != '\0' ? "initialised" : "being initialised");
    state.claimed = k->has_looked ? k->look.tli : 0;
    keeper_ask_state(k, r, &state);
    keeper_ask_send(k, r);
}

/* Another was to make the cluster and has gone. */
static bool maker_has_gone(const struct keeper *k)
{
    const struct keeper_seat *maker = keeper_view_seat(&k->view, k->view.state.node);
    bool is_alive = maker != NULL && maker->place.session[0] != '\0';

    return !is_alive && k->now_ms - k->state_since_ms > MAKER_GONE_MS;
}

static void no_data(struct keeper *k)
{
    const struct keeper_state_record *state = &k->view.state;

    if (!keeper_view_is_current(k)) {
        return;
    }
    if (k->view.state_at.exists && state->sysid[0] != '\0') {
        k->wants_copy = true;
        keeper_rejoin(k, k->look.disk == KEEPER_DISK_EMPTY
                             ? "there is no data here"
                             : "a repair was begun and not finished");
        return;
    }
    if (!k->options.initialize || k->look.disk != KEEPER_DISK_EMPTY) {
        keeper_trouble(k, "there is no data here, and no cluster to copy it from");
        return;
    }
    bool is_ours = k->view.state_at.exists && strcmp(state->node, k->node) == 0;
    if (is_ours) {
        (void)keeper_order(k, KEEPER_INITDB, INITDB_MS);
    } else if (!k->view.state_at.exists || maker_has_gone(k)) {
        claim(k, FOR_CLAIM, "");
    }
}

/* True when it must not be started (yet). */
static bool data_of_others(struct keeper *k)
{
    const struct keeper_state_record *state = &k->view.state;

    if (!keeper_view_is_current(k)) {
        return false; /* detached it does no harm */
    }
    if (k->view.state_at.exists && state->sysid[0] != '\0') {
        if (k->look.sysid[0] != '\0' && strcmp(state->sysid, k->look.sysid) != 0) {
            keeper_fence(k, "the data here is another cluster's (system identifier)");
            return true;
        }
        return false;
    }
    if (k->view.state_at.exists && strcmp(state->node, k->node) == 0) {
        claim(k, FOR_SYSID, k->look.sysid);
        return true;
    }
    if (!k->view.state_at.exists && k->options.initialize) {
        claim(k, FOR_CLAIM, k->look.sysid);
        return true;
    }
    return false;
}

static void init_stopped(struct keeper *k)
{
    if (keeper_has_standing(k, KEEPER_ORDER_STOP)) {
        keeper_become(k, KEEPER_STOPPED);
        return;
    }
    if (keeper_has_standing(k, KEEPER_ORDER_FENCE)) {
        keeper_fence(k, "fenced by an operator");
        return;
    }
    if (keeper_is_paused(k) || !keeper_hand_is_free(k)) {
        return;
    }
    if (!k->has_looked) {
        (void)keeper_order(k, KEEPER_LOOK, LOOK_MS);
        return;
    }
    if (k->look.disk == KEEPER_DISK_EMPTY || k->look.disk == KEEPER_DISK_BROKEN) {
        no_data(k);
        return;
    }
    if (k->look.disk == KEEPER_DISK_UNREADY && !k->needs_source) {
        k->needs_source = true;
        k->rejoin_term = 0;
    }
    if (k->wants_copy && keeper_lease_is_open(k)) {
        keeper_rejoin(k, "its data is not to be trusted");
        return;
    }
    if (data_of_others(k) || k->now_ms < k->next_start_ms || k->is_distrusted) {
        return;
    }
    struct keeper_action *action = keeper_order(k, KEEPER_START, START_MS);
    if (action != NULL) {
        action->detached = !k->needs_source;
        k->is_detached = action->detached;
        k->next_start_ms = k->now_ms + 1000;
    }
}

void keeper_on_init(struct keeper *k)
{
    if (k->warden_seen_ms == 0 || keeper_warden_is_silent(k)) {
        return;
    }
    switch (k->warden.process) {
    case KEEPER_RUNNING:
        init_running(k);
        break;
    case KEEPER_NO_PROCESS:
        init_stopped(k);
        break;
    case KEEPER_ENDING:
        keeper_kill(k); /* what is left of it must not acknowledge anything */
        break;
    }
}
