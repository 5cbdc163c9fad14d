/* test_keeper.c - what one keeper asks for, given what it is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/keeper_core.h"
#include "base/err.h"
#include "base/text.h"

enum { ACTIONS_MAX = 512, T0 = 1000000 };

/* A keeper of db1 and all it has asked for. The store holds what the test puts there. */
struct world {
    struct keeper *k;
    uint64_t now_ms;
    struct keeper_view view;
    struct keeper_probe probe;
    struct keeper_warden warden;
    struct {
        enum keeper_action_kind kind;
        uint64_t id;
        uint64_t deadline_ms;
        uint64_t sent_ms;
        char key[KEEPER_KEY_MAX]; /* of a transaction's first operation */
        char text[200];
    } asked[ACTIONS_MAX];
    size_t asked_count;
    uint64_t index;
    bool is_store_silent;
    bool is_warden_silent;
};

static struct keeper_options options(void)
{
    return (struct keeper_options){.cluster = "main",
                                   .node = "db1",
                                   .address = "192.0.2.1",
                                   .port = 5432,
                                   .ttl_ms = 3000,
                                   .renew_ms = 350,
                                   .mode = KEEPER_SYNC,
                                   .priority = 100,
                                   .max_lag_bytes = 1 << 24,
                                   .auto_rebuild = true,
                                   .restart_budget_ms = 10000,
                                   .restart_attempts = 1,
                                   .probe_fail_ms = 3000};
}

static void answer_store(struct world *w, uint64_t id, enum keeper_end end)
{
    keeper_see_store(w->k, w->now_ms,
                     &(struct keeper_answer){
                         .id = id, .end = end, .session = "s1", .index = w->index});
}

static size_t count_of(const struct world *w, enum keeper_action_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < w->asked_count; i++) {
        count += w->asked[i].kind == kind;
    }
    return count;
}

static void note(struct world *w, const struct keeper_action *action)
{
    assert_true(w->asked_count < ACTIONS_MAX);
    size_t at = w->asked_count++;
    w->asked[at].kind = action->kind;
    w->asked[at].id = action->id;
    w->asked[at].deadline_ms = action->deadline_ms;
    w->asked[at].sent_ms = w->now_ms;
    w->asked[at].key[0] = '\0';
    if (action->kind == KEEPER_TXN) {
        (void)rc_text_put(w->asked[at].key, KEEPER_KEY_MAX, action->ops[0].key);
    }
    (void)rc_text_put(w->asked[at].text, sizeof w->asked[at].text,
                      action->text != NULL ? action->text : "");
}

/* Sessions and the member's own record are answered; what else is asked, the test answers. */
static void take(struct world *w)
{
    struct keeper_action action;

    while (keeper_next(w->k, &action)) {
        note(w, &action);
        bool is_member = action.kind == KEEPER_TXN &&
                         rc_text_starts_with(action.ops[0].key, "member/");
        if (action.kind == KEEPER_ARM) {
            w->warden.armed_term = action.term;
            w->warden.deadline_ms = action.deadline_ms;
        }
        if (!w->is_store_silent && (action.kind == KEEPER_OPEN_SESSION ||
                                    action.kind == KEEPER_RENEW || is_member)) {
            w->index += is_member;
            answer_store(w, action.id, KEEPER_DONE);
        }
    }
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += 10;
        if (w->now_ms % 100 == 0 && !w->is_warden_silent) {
            w->warden.said_ms = w->now_ms;
            keeper_see_warden(w->k, w->now_ms, &w->warden);
            take(w);
        }
        if (w->now_ms % 100 == 50) {
            w->probe.asked_ms = w->now_ms;
            keeper_see_probe(w->k, w->now_ms, &w->probe);
            take(w);
        }
        if (w->now_ms % 200 == 30 && !w->is_store_silent) {
            w->view.asked_ms = w->now_ms;
            w->view.index = ++w->index;
            keeper_see_view(w->k, w->now_ms, &w->view);
            take(w);
        }
        keeper_tick(w->k, w->now_ms, w->now_ms);
        take(w);
    }
}

static void put(struct world *w, const char *key, const char *value, const char *session)
{
    assert_int_equal(
        keeper_view_add(&w->view, &(struct keeper_pair){.key = key,
                                                        .value = value,
                                                        .size = strlen(value),
                                                        .modify_index = ++w->index,
                                                        .session = session,
                                                        .term = 7}),
        RC_OK);
}

static enum keeper_state state_of(const struct world *w)
{
    struct keeper_status status;

    keeper_status(w->k, &status);
    return status.state;
}

/* The agent came back: PostgreSQL runs on as the primary of term 7, the session lives. */
static void hold(struct world *w)
{
    put(w, "lease", "{\"node\":\"db1\",\"writable\":true}", "s1");
    put(w, "state",
        "{\"sysid\":\"1\",\"term\":7,\"node\":\"db1\",\"claimed\":2,\"tli\":2}", NULL);
    put(w, "sync", "{\"term\":7,\"holder\":\"db1\",\"quorum\":-1}", NULL);
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING,
                                       .run = 1,
                                       .armed_term = 7,
                                       .deadline_ms = w->now_ms + 2000};
    w->probe = (struct keeper_probe){
        .reach = KEEPER_ANSWERED, .tli = 2, .lsn = 500, .sysid = "1"};
}

/* A standby of db2, which holds term 7. */
static void stand_by(struct world *w)
{
    put(w, "lease", "{\"node\":\"db2\",\"address\":\"192.0.2.2\",\"writable\":true}",
        "s9");
    put(w, "state",
        "{\"sysid\":\"1\",\"term\":7,\"node\":\"db2\",\"claimed\":2,\"tli\":2}", NULL);
    put(w, "sync",
        "{\"term\":7,\"holder\":\"db2\",\"quorum\":1,\"k\":1,\"members\":[\"db1\"]}",
        NULL);
    put(w, "member/db1", "{}", "s1");
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING, .run = 1};
    w->probe = (struct keeper_probe){.reach = KEEPER_ANSWERED,
                                     .in_recovery = true,
                                     .tli = 2,
                                     .lsn = 500,
                                     .replay_lsn = 500,
                                     .sysid = "1",
                                     .names = KEEPER_BLOCKED_NAMES};
}

/* The last order of the kind is done. */
static void do_last(struct world *w, enum keeper_action_kind kind)
{
    for (size_t i = w->asked_count; i > 0; i--) {
        if (w->asked[i - 1].kind == kind) {
            keeper_see_done(w->k, w->now_ms,
                            &(struct keeper_done){.id = w->asked[i - 1].id,
                                                  .end = KEEPER_DONE,
                                                  .text = ""});
            return;
        }
    }
}

static int set_up(void **state)
{
    struct keeper_options o = options();
    struct world *w = calloc(1, sizeof *w);
    const char *why;

    assert_non_null(w);
    w->now_ms = T0;
    w->index = 100;
    o.session = "s1";
    keeper_view_init(&w->view, "db1");
    assert_int_equal(keeper_create(&o, w->now_ms, &w->k, &why), RC_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    keeper_view_fini(&w->view);
    keeper_destroy(w->k);
    free(w);
    return 0;
}

static void what_would_not_be_safe_is_refused_in_words(void **state)
{
    struct keeper_options cases[5];
    struct keeper *k = NULL;
    const char *why;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        cases[i] = options();
    }
    cases[0].ttl_ms = 1999;
    cases[1].renew_ms = 376;
    cases[2].renew_ms = 0;
    cases[3].node = "a\"b";
    cases[4].address = NULL;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(keeper_create(&cases[i], 0, &k, &why), RC_EINVAL);
        assert_true(strlen(why) > 10);
    }
}

static void an_agent_that_comes_back_does_not_bounce_its_primary(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 3000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    assert_int_equal(count_of(w, KEEPER_START), 0);
    assert_int_equal(count_of(w, KEEPER_STOP_FAST), 0);
    assert_int_equal(count_of(w, KEEPER_PROMOTE), 0);
    assert_int_equal(count_of(w, KEEPER_OPEN_SESSION), 0);
}

static void deadlines_count_from_before_the_renewal_was_sent(void **state)
{
    struct world *w = *state;
    struct keeper_status status;
    struct keeper_action action;
    uint64_t id = 0;

    hold(w);
    pass(w, 1000);
    w->is_store_silent = true;
    uint64_t sent_ms = 0;
    while (id == 0) {
        w->now_ms += 10;
        keeper_tick(w->k, w->now_ms, w->now_ms);
        while (keeper_next(w->k, &action)) {
            if (action.kind == KEEPER_RENEW) {
                id = action.id;
                sent_ms = w->now_ms;
            }
        }
    }
    w->now_ms += 150; /* on its way */
    answer_store(w, id, KEEPER_DONE);
    keeper_status(w->k, &status);
    assert_int_equal(status.renewed_ms, sent_ms);
    assert_int_equal(status.soft_ms, sent_ms + 2375);
    assert_int_equal(status.hard_ms, sent_ms + 2500);
    answer_store(w, id, KEEPER_GONE); /* answered twice: not heard */
    keeper_status(w->k, &status);
    assert_int_equal(status.term, 7);
}

static void a_primary_is_killed_before_its_warden_does_it(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 1000);
    w->is_store_silent = true;
    pass(w, 1900);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    pass(w, 550);
    assert_true(count_of(w, KEEPER_KILL) > 0);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
}

static void a_primary_whose_warden_is_silent_is_killed_and_not_renewed(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 1000);
    w->is_warden_silent = true;
    pass(w, 500);
    assert_true(count_of(w, KEEPER_KILL) > 0);
    size_t renewals = count_of(w, KEEPER_RENEW);
    pass(w, 1000);
    assert_int_equal(count_of(w, KEEPER_RENEW), renewals);
}

static void the_warden_always_has_a_deadline_that_an_answer_backs(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 5000);
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_ARM) {
            assert_true(w->asked[i].deadline_ms <= w->asked[i].sent_ms + 2500);
        }
    }
    assert_true(count_of(w, KEEPER_ARM) > 5);
    assert_true(w->warden.deadline_ms > w->now_ms + 1500);
}

static void what_is_writable_without_the_lease_is_killed(void **state)
{
    struct world *w = *state;

    stand_by(w);
    w->probe.in_recovery = false;
    pass(w, 1500);
    assert_true(count_of(w, KEEPER_KILL) > 0);
}

static void a_standby_attaches_only_after_the_histories_were_compared(void **state)
{
    struct world *w = *state;
    struct keeper_done done = {.end = KEEPER_DONE,
                               .text = "",
                               .on_tli = 3,
                               .forks = {{2, 600}},
                               .fork_count = 1};

    stand_by(w);
    pass(w, 500);
    assert_int_equal(count_of(w, KEEPER_READ_HISTORY), 1);
    assert_int_equal(count_of(w, KEEPER_FOLLOW), 0);
    for (size_t i = 0; i < w->asked_count; i++) {
        done.id = w->asked[i].kind == KEEPER_READ_HISTORY ? w->asked[i].id : done.id;
    }
    keeper_see_done(w->k, w->now_ms, &done);
    pass(w, 300);
    assert_int_equal(count_of(w, KEEPER_FOLLOW), 1);
}

static void wal_behind_the_fork_is_repaired_not_followed(void **state)
{
    struct world *w = *state;
    struct keeper_done done = {.end = KEEPER_DONE,
                               .text = "",
                               .on_tli = 3,
                               .forks = {{2, 499}},
                               .fork_count = 1};

    stand_by(w);
    pass(w, 500);
    for (size_t i = 0; i < w->asked_count; i++) {
        done.id = w->asked[i].kind == KEEPER_READ_HISTORY ? w->asked[i].id : done.id;
    }
    keeper_see_done(w->k, w->now_ms, &done);
    pass(w, 300);
    assert_int_equal(state_of(w), KEEPER_REJOINING);
    assert_int_equal(count_of(w, KEEPER_FOLLOW), 0);
    assert_int_equal(count_of(w, KEEPER_STOP_FAST), 1);
}

static void free_the_lease(struct world *w)
{
    w->view.lease_at = (struct keeper_place){.exists = false};
    w->view.lease = (struct keeper_lease_record){.port = 0};
}

static void a_candidate_freezes_before_it_asks_for_the_lease(void **state)
{
    struct world *w = *state;

    stand_by(w);
    pass(w, 500);
    w->probe.has_receiver = true;
    free_the_lease(w);
    pass(w, 300);
    for (size_t i = 0; i < w->asked_count; i++) {
        assert_string_not_equal(w->asked[i].key, "lease");
    }
    pass(w, 5000); /* what was asked before it takes its time */
    assert_true(count_of(w, KEEPER_DETACH) > 0);
    do_last(w, KEEPER_DETACH);
    w->probe.has_receiver = false;
    pass(w, 500);
    bool has_asked = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        has_asked = has_asked || strcmp(w->asked[i].key, "lease") == 0;
    }
    assert_true(has_asked);
}

static void nobody_is_elected_while_the_cluster_is_paused(void **state)
{
    struct world *w = *state;

    stand_by(w);
    put(w, "settings", "{\"paused\":true}", NULL);
    pass(w, 500);
    free_the_lease(w);
    pass(w, 10000);
    assert_int_equal(state_of(w), KEEPER_STANDBY);
    assert_int_equal(count_of(w, KEEPER_DETACH), 0);
}

static void a_stopped_standby_is_started_detached_and_never_otherwise(void **state)
{
    struct world *w = *state;
    struct keeper_action action;

    w->warden = (struct keeper_warden){.process = KEEPER_NO_PROCESS};
    w->probe = (struct keeper_probe){.reach = KEEPER_NO_SERVER};
    w->is_store_silent = true;
    keeper_see_warden(w->k, w->now_ms, &w->warden);
    while (keeper_next(w->k, &action) && action.kind != KEEPER_LOOK) {
    }
    assert_int_equal(action.kind, KEEPER_LOOK);
    keeper_see_done(w->k, w->now_ms,
                    &(struct keeper_done){.id = action.id,
                                          .end = KEEPER_DONE,
                                          .text = "",
                                          .disk = KEEPER_DISK_CRASHED,
                                          .was_primary = true,
                                          .sysid = "1"});
    while (keeper_next(w->k, &action) && action.kind != KEEPER_START) {
    }
    assert_int_equal(action.kind, KEEPER_START);
    assert_true(action.detached);
}

static void a_switchover_to_nobody_is_refused_in_the_history(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 1000);
    put(w, "intent", "{\"id\":\"i\",\"kind\":\"switchover\",\"to\":\"db3\"}", NULL);
    for (int i = 0; i < 30 && state_of(w) == KEEPER_PRIMARY; i++) {
        pass(w, 100);
        for (size_t at = 0; at < w->asked_count; at++) {
            answer_store(w, w->asked[at].id, KEEPER_REFUSED);
        }
    }
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    bool is_told = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        is_told = is_told || strstr(w->asked[i].text, "refused: it is not there") != NULL;
    }
    assert_true(is_told);
}

static bool asked_to_write(const struct world *w, const char *key)
{
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_TXN && strcmp(w->asked[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static void in_a_store_made_anew_only_an_operator_names_who_goes_on(void **state)
{
    struct world *w = *state;

    put(w, "member/db1", "{}", "s1");
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING, .run = 1};
    w->probe = (struct keeper_probe){.reach = KEEPER_ANSWERED,
                                     .in_recovery = true,
                                     .tli = 2,
                                     .lsn = 500,
                                     .sysid = "1",
                                     .names = KEEPER_BLOCKED_NAMES};
    pass(w, 3000);
    put(w, "intent",
        "{\"id\":\"i\",\"kind\":\"failover\",\"to\":\"db2\",\"accept_loss\":true}", NULL);
    pass(w, 1000);
    assert_int_equal(state_of(w), KEEPER_STANDBY);
    assert_false(asked_to_write(w, "state"));

    put(w, "intent",
        "{\"id\":\"j\",\"kind\":\"failover\",\"to\":\"db1\",\"accept_loss\":true}", NULL);
    pass(w, 500);
    assert_true(asked_to_write(w, "state"));
}

/* db2 confirms what db1 writes. */
static void hold_with_an_heir(struct world *w, const char *heir)
{
    hold(w);
    put(w, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":1,\"k\":1,\"members\":[\"db2\"],"
        "\"names\":[\"db2\"]}",
        NULL);
    put(w, "member/db2", heir, "s2");
    w->probe.senders[0] = (struct keeper_sender){
        .name = "db2", .is_streaming = true, .is_counted = true, .flush_lsn = 500};
    w->probe.sender_count = 1;
}

static void a_full_disk_moves_the_primary_to_who_confirmed_its_writes(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 1000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    pass(w, 2900);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    pass(w, 500);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
}

static void a_disk_that_does_not_answer_in_its_time_is_like_a_full_one(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 1000);
    w->probe.writing = KEEPER_WRITING_AWAITED;
    w->probe.writing_ms = w->now_ms;
    pass(w, 2900);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    pass(w, 500);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
}

/* Killed it waits for its disk: whoever is elected need not. */
static void the_lease_is_not_kept_for_who_dies_only_when_its_disk_answers(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 1000);
    w->probe.writing = KEEPER_WRITING_AWAITED;
    w->probe.writing_ms = w->now_ms;
    pass(w, 3500);
    w->warden.process = KEEPER_ENDING;
    pass(w, 2000);
    size_t renewals = count_of(w, KEEPER_RENEW);
    pass(w, 2000);
    assert_int_equal(count_of(w, KEEPER_RENEW), renewals);
}

static void who_did_not_end_well_is_released_without_a_look_at_its_disk(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 1000);
    w->warden.process = KEEPER_NO_PROCESS;
    w->warden.exit_status = 9;
    pass(w, 3000); /* the last word of its position is not answered */
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
    assert_int_equal(count_of(w, KEEPER_LOOK), 0);
    bool is_released = false;
    for (size_t i = 0; i < w->asked_count; i++) {
        is_released = is_released || (w->asked[i].sent_ms > T0 + 2000 &&
                                      strcmp(w->asked[i].key, "lease") == 0);
    }
    assert_true(is_released);
}

static void in_mode_async_a_full_disk_is_left_by_a_clean_stop(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    put(w, "sync", "{\"term\":7,\"holder\":\"db1\",\"quorum\":0}", NULL);
    put(w, "settings", "{\"mode\":\"async\"}", NULL);
    pass(w, 1000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    pass(w, 4500);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    assert_int_equal(count_of(w, KEEPER_STOP_FAST), 1);
}

static bool has_said(const struct world *w, const char *words)
{
    for (size_t i = 0; i < w->asked_count; i++) {
        if (w->asked[i].kind == KEEPER_SAY && strstr(w->asked[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void what_is_started_by_hand_against_an_order_is_killed_with_words(void **state)
{
    struct world *w = *state;

    stand_by(w);
    put(w, "order/db1", "{\"id\":\"1\",\"kind\":\"stop\"}", NULL);
    w->warden.process = KEEPER_NO_PROCESS;
    pass(w, 1000);
    assert_int_equal(state_of(w), KEEPER_STOPPED);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    w->warden = (struct keeper_warden){
        .process = KEEPER_RUNNING, .run = 2, .is_writable_start = true};
    pass(w, 150);
    assert_true(count_of(w, KEEPER_KILL) > 0);
    assert_true(has_said(w, "was started by somebody else, but"));
}

static void alone_with_a_full_disk_it_stays_and_says_so(void **state)
{
    struct world *w = *state;
    struct keeper_status status;

    hold(w);
    pass(w, 1000);
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    pass(w, 7000);
    keeper_status(w->k, &status);
    assert_int_equal(status.state, KEEPER_PRIMARY);
    assert_non_null(strstr(status.problem, "nobody can take over"));
    assert_true(has_said(w, "PostgreSQL cannot write to its disk"));
    w->probe.writing = KEEPER_WRITES;
    pass(w, 500);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
    assert_true(has_said(w, "can write to its disk again"));
}

static void where_all_disks_are_full_the_primary_stays(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\",\"no_failover\":true}");
    w->probe.writing = KEEPER_CANNOT_WRITE;
    w->probe.writing_ms = w->now_ms;
    pass(w, 7000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
}

static void who_has_seen_the_store_stall_twice_does_not_stand(void **state)
{
    struct world *w = *state;

    stand_by(w);
    pass(w, 500);
    for (int i = 0; i < 2; i++) {
        w->is_store_silent = true;
        pass(w, 2000);
        w->is_store_silent = false;
        pass(w, 400);
    }
    free_the_lease(w);
    pass(w, 500);
    do_last(w, KEEPER_DETACH);
    pass(w, 1000);
    for (size_t i = 0; i < w->asked_count; i++) {
        assert_string_not_equal(w->asked[i].key, "lease");
    }
}

/* What a late answer tells of has been seen, and what came after it too. */
static void an_answer_that_is_older_than_the_view_changes_nothing_in_it(void **state)
{
    struct world *w = *state;
    uint64_t given_back = 0;

    stand_by(w);
    put(w, "lease", "{\"node\":\"db1\"}", "s1"); /* not wanted any more */
    pass(w, 500);
    for (size_t i = 0; i < w->asked_count; i++) {
        given_back = strcmp(w->asked[i].key, "lease") == 0 ? w->asked[i].id : given_back;
    }
    assert_int_not_equal(given_back, 0);
    uint64_t index = ++w->index;
    put(w, "lease", "{\"node\":\"db2\",\"address\":\"192.0.2.2\"}", "s9");
    pass(w, 500);
    keeper_see_store(
        w->k, w->now_ms,
        &(struct keeper_answer){.id = given_back, .end = KEEPER_DONE, .index = index});
    take(w);
    assert_int_equal(state_of(w), KEEPER_STANDBY);
    assert_int_equal(count_of(w, KEEPER_DETACH), 0);
}

static void answer_last_of_the_lease(struct world *w)
{
    for (size_t i = w->asked_count; i > 0; i--) {
        if (w->asked[i - 1].kind == KEEPER_TXN &&
            strcmp(w->asked[i - 1].key, "lease") == 0) {
            answer_store(w, w->asked[i - 1].id, KEEPER_DONE);
            return;
        }
    }
}

/* It ends, gives the lease back, and is primary again: the view still says that it is ours. */
static void crash(struct world *w)
{
    w->warden.process = KEEPER_NO_PROCESS;
    pass(w, 200);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
    for (int i = 0; i < 100 && state_of(w) == KEEPER_DEMOTING; i++) {
        do_last(w, KEEPER_LOOK);
        pass(w, 20);
        answer_last_of_the_lease(w);
    }
    w->warden.process = KEEPER_RUNNING;
    w->warden.run++;
    pass(w, 500);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
}

static void a_primary_that_ends_again_and_again_gives_way(void **state)
{
    struct world *w = *state;
    struct keeper_member_record record;

    hold(w);
    pass(w, 500);
    crash(w);
    keeper_record_make(w->k, &record);
    assert_false(record.gives_way); /* restart_attempts: once it is put up with */
    crash(w);
    keeper_record_make(w->k, &record);
    assert_true(record.gives_way);
    w->is_store_silent = true;
    pass(w, 60000);
    keeper_record_make(w->k, &record);
    assert_false(record.gives_way);
}

static void a_strict_primary_says_that_it_waits(void **state)
{
    struct world *w = *state;
    struct keeper_status status;

    put(w, "settings", "{\"mode\":\"strict\"}", NULL);
    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 500);
    do_last(w, KEEPER_SET_NAMES);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
    w->probe.sender_count = 0;
    pass(w, 5000); /* what is asked of the store meanwhile is not answered */
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "strict: commits wait for a standby");
    w->probe.sender_count = 1;
    pass(w, 5000);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
}

static void a_keeper_that_came_back_kills_what_its_warden_watches_no_more(void **state)
{
    struct world *w = *state;

    hold(w);
    w->is_store_silent = true; /* whose the lease is it cannot know */
    pass(w, 500);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    w->is_warden_silent = true;
    pass(w, 500);
    assert_true(count_of(w, KEEPER_KILL) > 0);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_would_not_be_safe_is_refused_in_words),
        CLAIM(an_agent_that_comes_back_does_not_bounce_its_primary),
        CLAIM(deadlines_count_from_before_the_renewal_was_sent),
        CLAIM(a_primary_is_killed_before_its_warden_does_it),
        CLAIM(a_primary_whose_warden_is_silent_is_killed_and_not_renewed),
        CLAIM(the_warden_always_has_a_deadline_that_an_answer_backs),
        CLAIM(what_is_writable_without_the_lease_is_killed),
        CLAIM(a_standby_attaches_only_after_the_histories_were_compared),
        CLAIM(wal_behind_the_fork_is_repaired_not_followed),
        CLAIM(a_candidate_freezes_before_it_asks_for_the_lease),
        CLAIM(nobody_is_elected_while_the_cluster_is_paused),
        CLAIM(a_stopped_standby_is_started_detached_and_never_otherwise),
        CLAIM(a_full_disk_moves_the_primary_to_who_confirmed_its_writes),
        CLAIM(a_disk_that_does_not_answer_in_its_time_is_like_a_full_one),
        CLAIM(the_lease_is_not_kept_for_who_dies_only_when_its_disk_answers),
        CLAIM(who_did_not_end_well_is_released_without_a_look_at_its_disk),
        CLAIM(in_mode_async_a_full_disk_is_left_by_a_clean_stop),
        CLAIM(where_all_disks_are_full_the_primary_stays),
        CLAIM(alone_with_a_full_disk_it_stays_and_says_so),
        CLAIM(what_is_started_by_hand_against_an_order_is_killed_with_words),
        CLAIM(who_has_seen_the_store_stall_twice_does_not_stand),
        CLAIM(an_answer_that_is_older_than_the_view_changes_nothing_in_it),
        CLAIM(a_strict_primary_says_that_it_waits),
        CLAIM(a_keeper_that_came_back_kills_what_its_warden_watches_no_more),
        CLAIM(a_primary_that_ends_again_and_again_gives_way),
        CLAIM(a_switchover_to_nobody_is_refused_in_the_history),
        CLAIM(in_a_store_made_anew_only_an_operator_names_who_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
