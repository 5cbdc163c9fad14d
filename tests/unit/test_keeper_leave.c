/* test_keeper_leave.c - what a keeper does before its agent ends, and with the session's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
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
    uint64_t session_ttl_ms; /* that renewals tell; 0: nothing */
    uint64_t session_index;
    bool is_retiming_silent;
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
                                   .probe_fail_ms = 3000};
}

static void answer_store(struct world *w, uint64_t id, enum keeper_end end)
{
    keeper_see_store(w->k, w->now_ms,
                     &(struct keeper_answer){
                         .id = id, .end = end, .session = "s1", .index = w->index});
}

static void answer_renewal(struct world *w, const struct keeper_action *action)
{
    struct keeper_answer answer = {.id = action->id, .end = KEEPER_DONE};

    if (action->ttl_ms != 0 && action->index != w->session_index) {
        answer.end = KEEPER_REFUSED;
    } else if (action->ttl_ms != 0) {
        w->session_ttl_ms = action->ttl_ms;
        w->session_index++;
    }
    answer.ttl_ms = w->session_ttl_ms;
    answer.index = w->session_index;
    if (action->ttl_ms == 0 || !w->is_retiming_silent) {
        keeper_see_store(w->k, w->now_ms, &answer);
    }
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
        if (!w->is_store_silent && action.kind == KEEPER_RENEW) {
            answer_renewal(w, &action);
        } else if (!w->is_store_silent &&
                   (action.kind == KEEPER_OPEN_SESSION || is_member)) {
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

static void a_primary_that_restarts_has_half_a_minute_and_its_warden_knows(void **state)
{
    struct world *w = *state;

    w->session_ttl_ms = 3000;
    w->session_index = 5;
    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_RESTARTS));
    assert_false(keeper_has_retired(w->k));
    pass(w, 500);
    assert_true(keeper_has_retired(w->k));
    assert_int_equal(w->session_ttl_ms, 30000);
    assert_true(w->warden.deadline_ms > w->now_ms + 24000);
    assert_true(w->warden.deadline_ms < w->now_ms + 25500);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
}

static void who_comes_back_shortens_its_time_only_when_no_deadline_needs_it(void **state)
{
    struct world *w = *state;

    w->session_ttl_ms = 30000;
    w->session_index = 5;
    hold(w);
    w->warden.deadline_ms = w->now_ms + 6000;
    pass(w, 3000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_int_equal(w->session_ttl_ms, 30000);
    pass(w, 2500);
    assert_int_equal(w->session_ttl_ms, 3000);
    pass(w, 1500);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_true(w->warden.deadline_ms < w->now_ms + 2600);
}

static void a_shorter_time_that_is_not_answered_ends_what_it_backs(void **state)
{
    struct world *w = *state;

    w->session_ttl_ms = 30000;
    w->session_index = 5;
    w->is_retiming_silent = true;
    hold(w);
    w->warden.deadline_ms = w->now_ms + 1500;
    pass(w, 2000);
    size_t renewals = count_of(w, KEEPER_RENEW);
    pass(w, 1500);
    assert_int_equal(count_of(w, KEEPER_RENEW), renewals);
    pass(w, 1500);
    assert_true(count_of(w, KEEPER_KILL) > 0);
}

static void
a_session_that_has_less_than_we_would_give_it_counts_by_what_it_has(void **state)
{
    struct world *w = *state;
    struct keeper_status status;

    w->session_ttl_ms = 2000;
    w->is_retiming_silent = true;
    hold(w);
    pass(w, 300);
    keeper_status(w->k, &status);
    assert_int_equal(status.hard_ms, status.renewed_ms + 1500);
}

static void a_primary_that_leaves_hands_over_and_stays_down(void **state)
{
    struct world *w = *state;

    hold_with_an_heir(w, "{\"state\":\"standby\"}");
    pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES));
    pass(w, 3500);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
    assert_int_equal(count_of(w, KEEPER_STOP_FAST), 1);
    assert_int_equal(count_of(w, KEEPER_KILL), 0);
    assert_false(keeper_has_retired(w->k));
}

static void a_primary_that_nobody_can_take_over_from_does_not_leave(void **state)
{
    struct world *w = *state;

    hold(w);
    pass(w, 1000);
    assert_non_null(strstr(keeper_retire(w->k, KEEPER_LEAVES), "without loss"));
    pass(w, 500);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES_ALL_THE_SAME));
    pass(w, 50);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
}

static void a_standby_that_leaves_has_nothing_to_wait_for(void **state)
{
    struct world *w = *state;

    stand_by(w);
    pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES));
    assert_true(keeper_has_retired(w->k));
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_primary_that_restarts_has_half_a_minute_and_its_warden_knows),
        CLAIM(who_comes_back_shortens_its_time_only_when_no_deadline_needs_it),
        CLAIM(a_shorter_time_that_is_not_answered_ends_what_it_backs),
        CLAIM(a_session_that_has_less_than_we_would_give_it_counts_by_what_it_has),
        CLAIM(a_primary_that_leaves_hands_over_and_stays_down),
        CLAIM(a_primary_that_nobody_can_take_over_from_does_not_leave),
        CLAIM(a_standby_that_leaves_has_nothing_to_wait_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
