/* test_keeper_hold.c - going on without the store, by promise of all members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "base/err.h"
#include "base/text.h"

enum { T0 = 1000000, TTL_MS = 3000 };

/* A keeper of db1, whose store answers until it is silent. */
struct world {
    struct keeper *k;
    uint64_t now_ms;
    uint64_t index;
    struct keeper_view view;
    struct keeper_probe probe;
    struct keeper_warden warden;
    bool is_store_silent;
    size_t kills;
    size_t detaches;
    size_t asked; /* rounds of promises */
    uint64_t round;
    uint64_t round_ms;
    struct quorum_set members;
    bool db2_promises;
};

static void create(struct world *w, enum keeper_store_loss loss)
{
    const struct keeper_options options = {.cluster = "main",
                                           .node = "db1",
                                           .address = "192.0.2.1",
                                           .port = 5432,
                                           .session = "s1",
                                           .ttl_ms = TTL_MS,
                                           .renew_ms = 350,
                                           .mode = KEEPER_SYNC,
                                           .store_loss = loss,
                                           .probe_fail_ms = 60000};
    const char *why;

    keeper_destroy(w->k);
    assert_int_equal(keeper_create(&options, w->now_ms, &w->k, &why), RC_OK);
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

static void note(struct world *w, const struct keeper_action *action)
{
    w->kills += action->kind == KEEPER_KILL;
    w->detaches += action->kind == KEEPER_DETACH;
    if (action->kind == KEEPER_ARM) {
        w->warden.armed_term = action->term;
        w->warden.deadline_ms = action->deadline_ms;
    }
    if (action->kind == KEEPER_SET_NAMES || action->kind == KEEPER_MARK_WAL) {
        keeper_see_done(
            w->k, w->now_ms,
            &(struct keeper_done){
                .id = action->id, .end = KEEPER_DONE, .text = "", .marked_lsn = 500});
    }
    bool is_store = action->kind == KEEPER_RENEW || action->kind == KEEPER_TXN;
    if (is_store && !w->is_store_silent) {
        keeper_see_store(w->k, w->now_ms,
                         &(struct keeper_answer){.id = action->id, .end = KEEPER_DONE});
    }
    if (action->kind == KEEPER_ASK_PROMISES) {
        assert_int_equal(action->term, 7);
        w->asked++;
        w->round = action->id;
        w->round_ms = w->now_ms;
        w->members = *action->members;
    }
}

static void take(struct world *w)
{
    struct keeper_action action;

    while (keeper_next(w->k, &action)) {
        note(w, &action);
    }
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->now_ms + ms; w->now_ms < end;) {
        w->now_ms += 10;
        if (w->now_ms % 100 == 0) {
            w->warden.said_ms = w->now_ms;
            keeper_see_warden(w->k, w->now_ms, &w->warden);
            w->probe.asked_ms = w->now_ms;
            keeper_see_probe(w->k, w->now_ms, &w->probe);
        }
        if (w->now_ms % 200 == 30 && !w->is_store_silent) {
            w->view.asked_ms = w->now_ms;
            w->view.index = ++w->index;
            keeper_see_view(w->k, w->now_ms, &w->view);
        }
        if (w->round != 0 && w->now_ms == w->round_ms + 20) {
            keeper_see_promise(w->k, w->now_ms, w->round, "db3");
            if (w->db2_promises) {
                keeper_see_promise(w->k, w->now_ms, w->round, "db2");
            }
        }
        keeper_tick(w->k, w->now_ms, w->now_ms);
        take(w);
    }
}

static enum keeper_state state_of(const struct world *w)
{
    struct keeper_status status;

    keeper_status(w->k, &status);
    return status.state;
}

/* db1 holds term 7; db2 and db3 confirm, db4 is not there. */
static void hold(struct world *w)
{
    put(w, "lease", "{\"node\":\"db1\",\"writable\":true}", "s1");
    put(w, "state",
        "{\"sysid\":\"1\",\"term\":7,\"node\":\"db1\",\"claimed\":2,\"tli\":2}", NULL);
    put(w, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":2,\"k\":1,\"mode\":\"sync\","
        "\"members\":[\"db2\",\"db3\"],\"names\":[\"db2\",\"db3\"]}",
        NULL);
    put(w, "member/db2", "{\"state\":\"standby\"}", "s2");
    put(w, "member/db3", "{\"state\":\"standby\"}", "s3");
    put(w, "member/db4", "{\"state\":\"standby\"}", NULL);
    w->warden = (struct keeper_warden){.process = KEEPER_RUNNING,
                                       .run = 1,
                                       .armed_term = 7,
                                       .deadline_ms = w->now_ms + 2000};
    w->probe = (struct keeper_probe){
        .reach = KEEPER_ANSWERED, .tli = 2, .lsn = 500, .sysid = "1"};
    for (size_t i = 0; i < 2; i++) {
        w->probe.senders[i] = (struct keeper_sender){
            .name = "db2", .is_streaming = true, .is_counted = true, .flush_lsn = 500};
        w->probe.senders[i].name[2] = (char)('2' + i);
    }
    w->probe.sender_count = 2;
    pass(w, 1000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
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
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now_ms = T0;
    w->index = 100;
    w->db2_promises = true;
    keeper_view_init(&w->view, "db1");
    create(w, KEEPER_LOSS_HOLD);
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

/* ---- who holds */

static void with_the_promises_of_all_a_primary_goes_on_without_the_store(void **state)
{
    struct world *w = *state;
    struct keeper_status status;

    hold(w);
    assert_int_equal(w->asked, 0);
    w->is_store_silent = true;
    pass(w, 30000);
    assert_int_equal(state_of(w), KEEPER_PRIMARY);
    assert_int_equal(w->kills, 0);
    assert_int_equal(w->members.count, 2); /* db4 could not be elected */
    keeper_status(w->k, &status);
    assert_true(status.hard_ms <= w->now_ms + TTL_MS);
    assert_non_null(strstr(status.problem, "store is lost"));
    w->is_store_silent = false;
    pass(w, 1000);
    keeper_status(w->k, &status);
    assert_string_equal(status.problem, "");
}

static void one_that_does_not_promise_is_enough_to_end_it(void **state)
{
    struct world *w = *state;

    hold(w);
    w->db2_promises = false;
    w->is_store_silent = true;
    pass(w, 2500);
    assert_true(w->asked > 2);
    assert_true(w->kills > 0);
    assert_int_equal(state_of(w), KEEPER_DEMOTING);
}

static void an_old_round_renews_nothing(void **state)
{
    struct world *w = *state;

    hold(w);
    w->db2_promises = false;
    w->is_store_silent = true;
    pass(w, 1200);
    uint64_t old = w->round;
    pass(w, 400);
    assert_int_not_equal(w->round, old);
    keeper_see_promise(w->k, w->now_ms, old, "db2");
    keeper_see_promise(w->k, w->now_ms, old, "db3");
    pass(w, 1000);
    assert_true(w->kills > 0);
}

static void where_anybody_may_be_elected_nobody_is_asked(void **state)
{
    struct world *w = *state;

    hold(w);
    put(w, "sync", "{\"term\":7,\"holder\":\"db1\",\"quorum\":0,\"mode\":\"async\"}",
        NULL);
    put(w, "settings", "{\"mode\":\"async\"}", NULL);
    pass(w, 400);
    w->is_store_silent = true;
    pass(w, 2500);
    assert_int_equal(w->asked, 0);
    assert_true(w->kills > 0);
}

/* ---- who promises */

static void a_promise_wants_a_view_and_no_newer_term(void **state)
{
    struct world *w = *state;

    assert_false(keeper_promise(w->k, w->now_ms, 7)); /* it has read nothing yet */
    stand_by(w);
    pass(w, 500);
    assert_false(keeper_promise(w->k, w->now_ms, 6));
    assert_false(keeper_promise(w->k, w->now_ms, 0));
    assert_true(keeper_promise(w->k, w->now_ms, 7));
    create(w, KEEPER_LOSS_FENCE);
    pass(w, 500);
    assert_false(keeper_promise(w->k, w->now_ms, 7));
}

static void who_has_promised_does_not_stand_for_two_ttls(void **state)
{
    struct world *w = *state;

    stand_by(w);
    pass(w, 2 * TTL_MS + 100); /* of its own start */
    assert_true(keeper_promise(w->k, w->now_ms, 7));
    w->view.lease_at = (struct keeper_place){.exists = false};
    pass(w, 2 * TTL_MS - 300);
    assert_int_equal(state_of(w), KEEPER_STANDBY);
    assert_int_equal(w->detaches, 0); /* the holder's commits want its confirmation */
    pass(w, 600);
    assert_int_equal(state_of(w), KEEPER_ELECTING);
    assert_false(keeper_promise(w->k, w->now_ms, 7)); /* too late */
}

static void who_was_just_started_behaves_as_if_it_had_promised(void **state)
{
    struct world *w = *state;

    stand_by(w);
    w->view.lease_at = (struct keeper_place){.exists = false};
    pass(w, 2 * TTL_MS - 300);
    assert_int_equal(w->detaches, 0);
    pass(w, 600);
    assert_int_equal(state_of(w), KEEPER_ELECTING);
}

static void a_lease_that_was_given_back_frees_from_the_promise(void **state)
{
    struct world *w = *state;

    stand_by(w);
    pass(w, 500);
    assert_true(keeper_promise(w->k, w->now_ms, 7));
    w->view.lease_at = (struct keeper_place){.exists = false};
    w->view.state.released = true;
    pass(w, 500);
    assert_int_equal(state_of(w), KEEPER_ELECTING);
}

static void a_primary_promises_nothing(void **state)
{
    struct world *w = *state;

    hold(w);
    assert_false(keeper_promise(w->k, w->now_ms, 7));
    assert_false(keeper_promise(w->k, w->now_ms, 8));
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(with_the_promises_of_all_a_primary_goes_on_without_the_store),
        CLAIM(one_that_does_not_promise_is_enough_to_end_it),
        CLAIM(an_old_round_renews_nothing),
        CLAIM(where_anybody_may_be_elected_nobody_is_asked),
        CLAIM(a_promise_wants_a_view_and_no_newer_term),
        CLAIM(who_has_promised_does_not_stand_for_two_ttls),
        CLAIM(who_was_just_started_behaves_as_if_it_had_promised),
        CLAIM(a_lease_that_was_given_back_frees_from_the_promise),
        CLAIM(a_primary_promises_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
