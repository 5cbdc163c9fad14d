/* test_keeper_hold.c - going on without the store, by promise of all members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "tests/unit/keeper_world.h"

enum { TTL_MS = 3000 };

/* A world whose store answers all until it is silent, and whose members promise. */
struct world {
    struct keeper_world w;
    size_t rounds; /* of promises */
    uint64_t round;
    uint64_t round_ms;
    struct quorum_set members;
    bool db2_promises;
};

static bool answers(struct keeper_world *kept, const struct keeper_action *action)
{
    struct world *w = (struct world *)kept;

    if (action->kind == KEEPER_SET_NAMES || action->kind == KEEPER_MARK_WAL) {
        keeper_see_done(
            w->w.k, w->w.now_ms,
            &(struct keeper_done){
                .id = action->id, .end = KEEPER_DONE, .text = "", .marked_lsn = 500});
    }
    if (action->kind == KEEPER_TXN && !w->w.is_store_silent) {
        keeper_see_store(w->w.k, w->w.now_ms,
                         &(struct keeper_answer){.id = action->id, .end = KEEPER_DONE});
    }
    if (action->kind == KEEPER_ASK_PROMISES) {
        assert_int_equal(action->term, 7);
        w->rounds++;
        w->round = action->id;
        w->round_ms = w->w.now_ms;
        w->members = *action->members;
    }
    return action->kind == KEEPER_TXN;
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t end = w->w.now_ms + ms; w->w.now_ms < end;) {
        if (w->round != 0 && w->w.now_ms == w->round_ms + 20) {
            keeper_see_promise(w->w.k, w->w.now_ms, w->round, "db3");
            if (w->db2_promises) {
                keeper_see_promise(w->w.k, w->w.now_ms, w->round, "db2");
            }
        }
        keeper_world_pass(&w->w, 10);
    }
}

static void create(struct world *w, enum keeper_store_loss loss)
{
    struct keeper_options options = keeper_world_options();

    options.session = "s1";
    options.store_loss = loss;
    options.probe_fail_ms = 60000;
    keeper_world_create(&w->w, &options);
}

/* db1 holds term 7; db2 and db3 confirm, db4 is not there. */
static void hold(struct world *w)
{
    keeper_world_hold(&w->w);
    keeper_world_put(
        &w->w, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":2,\"k\":1,\"mode\":\"sync\","
        "\"members\":[\"db2\",\"db3\"],\"names\":[\"db2\",\"db3\"]}",
        NULL);
    keeper_world_put(&w->w, "member/db2", "{\"state\":\"standby\"}", "s2");
    keeper_world_put(&w->w, "member/db3", "{\"state\":\"standby\"}", "s3");
    keeper_world_put(&w->w, "member/db4", "{\"state\":\"standby\"}", NULL);
    for (size_t i = 0; i < 2; i++) {
        w->w.probe.senders[i] = (struct keeper_sender){
            .name = "db2", .is_streaming = true, .is_counted = true, .flush_lsn = 500};
        w->w.probe.senders[i].name[2] = (char)('2' + i);
    }
    w->w.probe.sender_count = 2;
    pass(w, 1000);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_PRIMARY);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    keeper_world_init(&w->w);
    w->w.answers = answers;
    w->db2_promises = true;
    create(w, KEEPER_LOSS_HOLD);
    *state = w;
    return 0;
}

/* ---- who holds */

static void with_the_promises_of_all_a_primary_goes_on_without_the_store(void **state)
{
    struct world *w = *state;
    struct keeper_status status;

    hold(w);
    assert_int_equal(w->rounds, 0);
    w->w.is_store_silent = true;
    pass(w, 30000);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_PRIMARY);
    assert_int_equal(keeper_world_count(&w->w, KEEPER_KILL), 0);
    assert_int_equal(w->members.count, 2); /* db4 could not be elected */
    keeper_status(w->w.k, &status);
    assert_true(status.hard_ms <= w->w.now_ms + TTL_MS);
    assert_non_null(strstr(status.problem, "store is lost"));
    w->w.is_store_silent = false;
    pass(w, 1000);
    keeper_status(w->w.k, &status);
    assert_string_equal(status.problem, "");
}

static void one_that_does_not_promise_is_enough_to_end_it(void **state)
{
    struct world *w = *state;

    hold(w);
    w->db2_promises = false;
    w->w.is_store_silent = true;
    pass(w, 2500);
    assert_true(w->rounds > 2);
    assert_true(keeper_world_count(&w->w, KEEPER_KILL) > 0);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_DEMOTING);
}

static void an_old_round_renews_nothing(void **state)
{
    struct world *w = *state;

    hold(w);
    w->db2_promises = false;
    w->w.is_store_silent = true;
    pass(w, 1200);
    uint64_t old = w->round;
    pass(w, 400);
    assert_int_not_equal(w->round, old);
    keeper_see_promise(w->w.k, w->w.now_ms, old, "db2");
    keeper_see_promise(w->w.k, w->w.now_ms, old, "db3");
    pass(w, 1000);
    assert_true(keeper_world_count(&w->w, KEEPER_KILL) > 0);
}

static void where_anybody_may_be_elected_nobody_is_asked(void **state)
{
    struct world *w = *state;

    hold(w);
    keeper_world_put(&w->w, "sync",
                     "{\"term\":7,\"holder\":\"db1\",\"quorum\":0,\"mode\":\"async\"}",
                     NULL);
    keeper_world_put(&w->w, "settings", "{\"mode\":\"async\"}", NULL);
    pass(w, 400);
    w->w.is_store_silent = true;
    pass(w, 2500);
    assert_int_equal(w->rounds, 0);
    assert_true(keeper_world_count(&w->w, KEEPER_KILL) > 0);
}

/* ---- who promises */

static void a_promise_wants_a_view_and_no_newer_term(void **state)
{
    struct world *w = *state;

    assert_false(keeper_promise(w->w.k, w->w.now_ms, 7)); /* it has read nothing yet */
    keeper_world_stand_by(&w->w);
    pass(w, 500);
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 6));
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 0));
    assert_true(keeper_promise(w->w.k, w->w.now_ms, 7));
    create(w, KEEPER_LOSS_FENCE);
    pass(w, 500);
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 7));
}

static void who_has_promised_does_not_stand_for_two_ttls(void **state)
{
    struct world *w = *state;

    keeper_world_stand_by(&w->w);
    pass(w, 2 * TTL_MS + 100); /* of its own start */
    assert_true(keeper_promise(w->w.k, w->w.now_ms, 7));
    keeper_world_free_lease(&w->w);
    pass(w, 2 * TTL_MS - 300);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_STANDBY);
    assert_int_equal(keeper_world_count(&w->w, KEEPER_DETACH),
                     0); /* the holder's commits want its confirmation */
    pass(w, 600);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_ELECTING);
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 7)); /* too late */
}

static void who_was_just_started_behaves_as_if_it_had_promised(void **state)
{
    struct world *w = *state;

    keeper_world_stand_by(&w->w);
    keeper_world_free_lease(&w->w);
    pass(w, 2 * TTL_MS - 300);
    assert_int_equal(keeper_world_count(&w->w, KEEPER_DETACH), 0);
    pass(w, 600);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_ELECTING);
}

static void a_lease_that_was_given_back_frees_from_the_promise(void **state)
{
    struct world *w = *state;

    keeper_world_stand_by(&w->w);
    pass(w, 500);
    assert_true(keeper_promise(w->w.k, w->w.now_ms, 7));
    keeper_world_free_lease(&w->w);
    w->w.view.state.released = true;
    pass(w, 500);
    assert_int_equal(keeper_world_state(&w->w), KEEPER_ELECTING);
}

static void a_primary_promises_nothing(void **state)
{
    struct world *w = *state;

    hold(w);
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 7));
    assert_false(keeper_promise(w->w.k, w->w.now_ms, 8));
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, keeper_world_tear_down)

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
