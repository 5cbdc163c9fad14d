/* test_store_txn.c - several operations, all or none, in Consul's words; engines that fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/unit/store_world.h"

static int setup(void **state)
{
    *state = world_create();
    return 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

static struct store_op op(enum store_verb verb, const char *key, const char *value)
{
    return (struct store_op){
        .verb = verb, .key = rc_pack_text(key), .value = rc_pack_text(value)};
}

static void all_that_fails_is_listed_and_nothing_is_written(void **state)
{
    struct world *w = *state;
    (void)world_one(w, STORE_SET, "there", "1", NULL);
    uint64_t index = world_get(w, 0, "there")->modify_index;
    struct store_op ops[] = {
        op(STORE_SET, "new", "1"),
        op(STORE_CHECK_NOT_EXISTS, "there", ""),
        op(STORE_GET, "no", ""),
        op(STORE_CHECK_INDEX, "there", ""),
        op(STORE_CHECK_SESSION, "there", ""),
        op(STORE_LOCK, "l", "1"),
        op(STORE_CAS, "there", "2"),
        op(STORE_GET_OR_EMPTY, "no", ""),
    };
    char wanted[128];

    ops[3].index = index + 7;
    ops[4].session = "x";
    ops[5].session = "y";
    ops[6].index = index + 1;
    assert_false(world_do(w, 0, ops, sizeof ops / sizeof *ops, NULL)->succeeded);
    assert_int_equal(w->answer.err, RC_OK);
    assert_int_equal(w->answer.failure_count, 6);
    assert_int_equal(w->answer.result_count, 0);
    assert_int_equal(w->answer.failed_ops[0], 1);
    assert_string_equal(w->answer.failures[0], "key \"there\" exists");
    assert_string_equal(w->answer.failures[1], "key \"no\" doesn't exist");
    (void)snprintf(
        wanted, sizeof wanted,
        "failed index check for key \"there\", current modify index %llu != %llu",
        (unsigned long long)index, (unsigned long long)index + 7);
    assert_string_equal(w->answer.failures[2], wanted);
    assert_string_equal(
        w->answer.failures[3],
        "failed session check for key \"there\", current session \"\" != \"x\"");
    assert_string_equal(w->answer.failures[4], "invalid session \"y\"");
    assert_string_equal(w->answer.failures[5],
                        "failed to set key \"there\", index is stale");
    assert_null(world_get(w, 0, "new"));
}

static void later_operations_see_earlier_ones(void **state)
{
    struct world *w = *state;
    (void)world_one(w, STORE_SET, "t/old", "1", NULL);
    const struct store_op ops[] = {
        op(STORE_SET, "t/a", "1"),     op(STORE_GET, "t/a", ""),
        op(STORE_GET_TREE, "t/", ""),  op(STORE_DELETE_TREE, "t/", ""),
        op(STORE_SET, "t/b", "2"),     op(STORE_CHECK_NOT_EXISTS, "t/a", ""),
        op(STORE_DELETE_KEY, "n", ""),
    };

    assert_true(world_do(w, 0, ops, sizeof ops / sizeof *ops, NULL)->succeeded);
    assert_int_equal(w->answer.result_count, 5);
    assert_int_equal(w->answer.pairs[0].modify_index, w->answer.revision);
    assert_string_equal(w->answer.values[1], "1");
    assert_int_equal(w->answer.pairs[1].create_index, w->answer.revision);
    assert_int_equal(w->answer.pairs[2].modify_index, w->answer.revision); /* t/a */
    assert_true(w->answer.pairs[3].modify_index < w->answer.revision);     /* t/old */
    assert_null(world_get(w, 0, "t/old"));
    assert_null(world_get(w, 0, "t/a"));
    assert_true(world_is(w, "t/b", "2"));
}

static void sixty_four_operations_fit_and_one_more_does_not(void **state)
{
    struct world *w = *state;
    struct store_op ops[STORE_OPS_MAX + 1];
    char keys[STORE_OPS_MAX + 1][8];
    const char *session = world_session(w, 'a', 0, 0, STORE_RELEASE);

    for (size_t i = 0; i <= STORE_OPS_MAX; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%zu", i);
        ops[i] = op(STORE_SET, keys[i], "1");
    }
    assert_int_equal(world_do(w, 0, ops, STORE_OPS_MAX + 1, NULL)->err, RC_ETOOBIG);
    assert_true(world_do(w, 0, ops, STORE_OPS_MAX, "0123456789abcdef")->succeeded);
    assert_int_equal(w->answer.result_count, STORE_OPS_MAX);
    for (size_t i = 0; i < STORE_OPS_MAX; i++) {
        ops[i].verb = STORE_LOCK;
        ops[i].session = session;
    }
    assert_true(world_do(w, 0, ops, STORE_OPS_MAX, NULL)->succeeded);
    assert_true(world_do(w, 0, ops, STORE_OPS_MAX, "1123456789abcdef")->succeeded);
    assert_true(world_one(w, STORE_END_SESSION, session, "", NULL)->succeeded);
    assert_null(world_get(w, 1, "k63")->session);
}

static void a_read_of_a_tree_is_one_moment(void **state)
{
    struct world *w = *state;
    const struct store_op tree = op(STORE_GET_TREE, "t/", "");

    (void)world_one(w, STORE_SET, "t/b", "2", NULL);
    (void)world_one(w, STORE_SET, "t/a", "1", NULL);
    assert_true(world_do(w, 1, &tree, 1, NULL)->succeeded);
    assert_int_equal(w->answer.result_count, 2);
    assert_string_equal(w->answer.values[0], "1");
    assert_string_equal(w->answer.values[1], "2");
}

/* ---- engines that fail */

static void without_a_leader_writes_and_consistent_reads_are_refused(void **state)
{
    struct world *w = *state;

    (void)world_one(w, STORE_SET, "a", "1", NULL);
    world_run_ms(w, 1);
    engine_memory_lose_leader(w->memory, w->now_ms + 5000);
    assert_int_equal(world_one(w, STORE_SET, "a", "2", NULL)->err, RC_EAGAIN);
    assert_string_equal(w->answer.text, "No cluster leader");
    w->answer.is_there = false;
    assert_int_equal(store_settle(w->stores[0], w->now_ms, NULL, world_done, w), RC_OK);
    assert_int_equal(world_wait(w)->err, RC_EAGAIN);
    struct store_pair pair;
    assert_true(store_read(w->stores[0], STORE_KV, rc_pack_text("a"), &pair));
    assert_false(store_freshness(w->stores[0], w->now_ms).knows_leader);
    world_run_ms(w, 3000);
    assert_true(store_freshness(w->stores[0], w->now_ms).age_ms >= 2000);
    world_run_ms(w, 4000);
    assert_true(world_one(w, STORE_SET, "a", "2", NULL)->succeeded);
    assert_true(store_freshness(w->stores[0], w->now_ms).age_ms <= 1100);
}

static void an_unknown_outcome_is_found_out_by_its_id(void **state)
{
    struct world *w = *state;
    const struct store_op set = op(STORE_SET, "a", "1");

    engine_memory_set_faults(w->memory,
                             &(struct engine_memory_faults){.lost_done = 1000000});
    assert_int_equal(world_do(w, 0, &set, 1, NULL)->err, RC_EUNKNOWN);
    assert_string_equal(w->answer.text, "outcome unknown");
    engine_memory_set_faults(w->memory, &(struct engine_memory_faults){.refused = 0});
    (void)world_do(w, 0, &set, 1, "0123456789abcdef"); /* the lease of ids is there */
    engine_memory_set_faults(w->memory,
                             &(struct engine_memory_faults){.lost_done = 1000000});
    const struct store_op cas = {
        .verb = STORE_CAS, .key = rc_pack_text("b"), .value = rc_pack_text("1")};
    assert_int_equal(world_do(w, 0, &cas, 1, "1123456789abcdef")->err, RC_OK);
    assert_true(w->answer.succeeded);
    engine_memory_set_faults(w->memory, &(struct engine_memory_faults){.refused = 0});
    assert_true(world_is(w, "b", "1"));
}

static void an_engine_that_never_answers_in_time_is_not_waited_for(void **state)
{
    struct world *w = *state;

    engine_memory_set_faults(w->memory,
                             &(struct engine_memory_faults){.delay_max_ms = 3000000});
    uint64_t before_ms = w->now_ms;
    int err = world_one(w, STORE_SET, "a", "1", NULL)->err;
    assert_true(err == RC_EUNKNOWN || err == RC_OK);
    assert_true(w->now_ms - before_ms <= 8500);
}

/* ---- what others wrote into the engine */

struct stranger {
    bool is_there;
    int err;
};

static void on_written(void *context, const struct engine_answer *answer)
{
    *(struct stranger *)context = (struct stranger){.is_there = true, .err = answer->err};
}

static void what_others_wrote_is_skipped_and_can_be_overwritten(void **state)
{
    struct world *w = *state;
    struct stranger stranger = {.is_there = false};
    const struct engine_op ops[] = {
        {.verb = ENGINE_PUT, .key = rc_pack_text("kv/a"), .value = rc_pack_text("junk")},
        {.verb = ENGINE_PUT,
         .key = rc_pack_text("held/b"),
         .value = rc_pack_text("\x94")},
        {.verb = ENGINE_PUT, .key = rc_pack_text("session/x"), .value = rc_pack_text("")},
        {.verb = ENGINE_PUT,
         .key = rc_pack_text("elsewhere"),
         .value = rc_pack_text("1")}};
    const struct engine_txn txn = {.then = ops, .then_count = 4};
    struct store_session session;

    engine_txn(w->engines[1], &txn, on_written, &stranger);
    world_run_ms(w, 1);
    assert_true(stranger.is_there);
    assert_null(world_get(w, 0, "a"));
    assert_false(store_next_session(w->stores[0], NULL, &session));
    assert_true(world_one(w, STORE_SET, "a", "1", NULL)->succeeded);
    assert_true(world_is(w, "a", "1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_fails_is_listed_and_nothing_is_written,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(later_operations_see_earlier_ones, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(sixty_four_operations_fit_and_one_more_does_not,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_of_a_tree_is_one_moment, setup, teardown),
        cmocka_unit_test_setup_teardown(
            without_a_leader_writes_and_consistent_reads_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_outcome_is_found_out_by_its_id, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            an_engine_that_never_answers_in_time_is_not_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_others_wrote_is_skipped_and_can_be_overwritten, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
