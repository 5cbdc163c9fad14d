/* test_store_kv.c - keys: set, cas, delete, trees, ttl, indexes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/engine_memory_state.h"
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

static void what_was_put_is_read_by_all(void **state)
{
    struct world *w = *state;

    assert_true(world_one(w, STORE_SET, "a", "1", NULL)->succeeded);
    uint64_t revision = w->answer.revision;

    assert_true(world_is(w, "a", "1"));
    assert_non_null(world_get(w, 1, "a"));
    assert_int_equal(world_get(w, 0, "a")->modify_index, revision);
    assert_int_equal(world_get(w, 0, "a")->create_index, revision);
}

static void an_identical_value_raises_no_index(void **state)
{
    struct world *w = *state;

    (void)world_one(w, STORE_SET, "a", "1", NULL);
    uint64_t index = world_get(w, 0, "a")->modify_index;

    assert_true(world_one(w, STORE_SET, "a", "1", NULL)->succeeded);
    assert_int_equal(world_get(w, 0, "a")->modify_index, index);
    assert_true(world_one(w, STORE_SET, "a", "2", NULL)->succeeded);
    assert_true(world_get(w, 0, "a")->modify_index > index);
}

static void cas_needs_the_index_that_is(void **state)
{
    struct world *w = *state;

    assert_false(world_cas(w, "a", "1", 7)->succeeded);
    assert_string_equal(w->answer.failures[0], "failed to set key \"a\", index is stale");
    assert_true(world_cas(w, "a", "1", 0)->succeeded);
    uint64_t index = w->answer.revision;
    assert_false(world_cas(w, "a", "2", 0)->succeeded);
    assert_false(world_cas(w, "a", "2", index + 1)->succeeded);
    assert_true(world_cas(w, "a", "2", index)->succeeded);
    assert_false(world_cas(w, "a", "3", index)->succeeded);
    assert_true(world_is(w, "a", "2"));
}

static void deletes_are_true_and_leave_an_index(void **state)
{
    struct world *w = *state;
    struct store *s = w->stores[0];

    assert_true(world_one(w, STORE_DELETE_KEY, "no", "", NULL)->succeeded);
    (void)world_one(w, STORE_SET, "d/a", "1", NULL);
    (void)world_one(w, STORE_SET, "e", "1", NULL);
    uint64_t before = store_prefix_index(s, STORE_KV, rc_pack_text("d/"));
    uint64_t other = store_prefix_index(s, STORE_KV, rc_pack_text("e"));

    assert_true(world_one(w, STORE_DELETE_KEY, "d/a", "", NULL)->succeeded);
    assert_null(world_get(w, 0, "d/a"));
    assert_true(store_prefix_index(s, STORE_KV, rc_pack_text("d/")) > before);
    assert_int_equal(store_key_index(s, STORE_KV, rc_pack_text("d/a")),
                     w->answer.revision);
    assert_int_equal(store_prefix_index(s, STORE_KV, rc_pack_text("e")), other);
}

static void delete_cas_is_false_for_an_old_index_and_true_without_the_key(void **state)
{
    struct world *w = *state;
    struct store_op op = {
        .verb = STORE_DELETE_CAS, .key = rc_pack_text("a"), .index = 77};

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    (void)world_one(w, STORE_SET, "a", "1", NULL);
    op.index = 0;
    assert_false(world_do(w, 0, &op, 1, NULL)->succeeded);
    assert_string_equal(w->answer.failures[0],
                        "failed to delete key \"a\", index is stale");
    op.index = world_get(w, 0, "a")->modify_index;
    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    assert_null(world_get(w, 0, "a"));
}

static void a_tree_goes_whole_and_nothing_else(void **state)
{
    struct world *w = *state;

    (void)world_one(w, STORE_SET, "t/a", "1", NULL);
    (void)world_one(w, STORE_SET, "t/b/c", "1", NULL);
    (void)world_one(w, STORE_SET, "t", "1", NULL);
    assert_true(world_one(w, STORE_DELETE_TREE, "t/", "", NULL)->succeeded);
    assert_null(world_get(w, 0, "t/a"));
    assert_null(world_get(w, 1, "t/b/c"));
    assert_non_null(world_get(w, 0, "t"));
}

static void a_key_with_a_ttl_goes_by_itself_unless_it_is_set_again(void **state)
{
    struct world *w = *state;
    struct store_op op = {.verb = STORE_SET,
                          .key = rc_pack_text("x"),
                          .value = rc_pack_text("1"),
                          .ttl_ms = 2000};

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    world_run_ms(w, 1900);
    assert_non_null(world_get(w, 0, "x"));
    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    world_run_ms(w, 1900);
    assert_non_null(world_get(w, 0, "x"));
    world_run_ms(w, 200);
    assert_null(world_get(w, 0, "x"));

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    (void)world_one(w, STORE_SET, "x", "1", NULL);
    world_run_ms(w, 5000);
    assert_non_null(world_get(w, 0, "x"));
}

static void what_makes_no_sense_is_refused_at_once(void **state)
{
    struct world *w = *state;
    static char large[STORE_VALUE_MAX + 1];
    const struct {
        const char *why;
        struct store_op op;
        int want;
    } cases[] = {
        {"ttl below a second", {.verb = STORE_SET, .ttl_ms = 999}, RC_EINVAL},
        {"ttl above ten years", {.verb = STORE_SET, .ttl_ms = 316224000001}, RC_EINVAL},
        {"ttl of a lock", {.verb = STORE_LOCK, .ttl_ms = 2000}, RC_EINVAL},
        {"value too large",
         {.verb = STORE_SET, .value = {(uint8_t *)large, sizeof large}},
         RC_ETOOBIG},
        {"key too large",
         {.verb = STORE_SET, .key = {(uint8_t *)large, STORE_KEY_MAX + 1}},
         RC_ETOOBIG},
        {"a lock of a document", {.verb = STORE_LOCK, .table = STORE_TOKENS}, RC_EINVAL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (world_do(w, 0, &cases[i].op, 1, NULL)->err != cases[i].want) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(w->answer.err));
        }
    }
}

static void documents_are_kept_as_they_are(void **state)
{
    struct world *w = *state;
    struct store_op op = {.verb = STORE_CAS,
                          .table = STORE_QUERIES,
                          .key = rc_pack_text("q1"),
                          .value = rc_pack_text("{\"a\":1}")};
    struct store_pair pair;

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    assert_false(world_do(w, 0, &op, 1, NULL)->succeeded);
    world_run_ms(w, 1);
    assert_true(store_read(w->stores[1], STORE_QUERIES, rc_pack_text("q1"), &pair));
    assert_true(rc_pack_equals(pair.value, rc_pack_text("{\"a\":1}")));
    assert_string_equal(w->heard, "query q1 2;");
}

static void another_request_under_the_same_id_is_refused(void **state)
{
    struct world *w = *state;
    const char *id = "fedcba9876543210";
    struct store_op op = {
        .verb = STORE_SET, .key = rc_pack_text("a"), .value = rc_pack_text("1")};

    assert_true(world_do(w, 0, &op, 1, id)->succeeded);
    op.value = rc_pack_text("2");
    assert_int_equal(world_do(w, 1, &op, 1, id)->err, RC_ECONFLICT);
    op.key = rc_pack_text("b");
    assert_int_equal(world_do(w, 0, &op, 1, id)->err, RC_ECONFLICT);
    assert_true(world_is(w, "a", "1"));
    assert_null(world_get(w, 0, "b"));
}

static void a_request_that_is_sent_again_happens_once(void **state)
{
    struct world *w = *state;
    struct store_op op = {.verb = STORE_CAS, .key = rc_pack_text("a"), .index = 0};
    const char *id = "0123456789abcdef";

    op.value = rc_pack_text("1");
    assert_true(world_do(w, 0, &op, 1, id)->succeeded);
    uint64_t revision = w->answer.revision;
    (void)world_one(w, STORE_SET, "a", "2", NULL);

    assert_true(world_do(w, 1, &op, 1, id)->succeeded); /* at another server */
    assert_int_equal(w->answer.revision, revision);
    assert_int_equal(w->answer.result_count, 1);
    assert_int_equal(w->answer.pairs[0].modify_index, revision);
    assert_true(world_is(w, "a", "2"));
    world_run_ms(w, 60000);
    assert_true(world_do(w, 1, &op, 1, id)->succeeded); /* a minute later too */
    assert_true(world_is(w, "a", "2"));
}

static void a_refusal_is_remembered_too(void **state)
{
    struct world *w = *state;
    struct store_op op = {.verb = STORE_CAS, .key = rc_pack_text("a"), .index = 0};
    const char *id = "0123456789abcdef";

    (void)world_one(w, STORE_SET, "a", "2", NULL);
    assert_false(world_do(w, 0, &op, 1, id)->succeeded);
    (void)world_one(w, STORE_DELETE_KEY, "a", "", NULL);
    assert_false(world_do(w, 0, &op, 1, id)->succeeded);
    assert_null(world_get(w, 0, "a"));
}

static void cas_with_a_ttl_replaces_what_it_knows_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct store_op op = {.verb = STORE_CAS,
                          .table = STORE_TOKENS,
                          .key = rc_pack_text("t"),
                          .value = rc_pack_text("1"),
                          .ttl_ms = 2000};
    struct store_pair pair;

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    op.index = w->answer.revision;
    op.value = rc_pack_text("2");
    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    assert_false(world_do(w, 0, &op, 1, NULL)->succeeded);
    world_run_ms(w, 2200);

    assert_false(store_read(w->stores[0], STORE_TOKENS, op.key, &pair));
    assert_false(world_do(w, 0, &op, 1, NULL)->succeeded); /* deleted stays deleted */
    assert_false(store_read(w->stores[0], STORE_TOKENS, op.key, &pair));
}

static size_t lease_count(const struct world *w)
{
    size_t count = 0;

    for (const struct memory_lease *l = w->memory->leases; l != NULL; l = l->next) {
        count++;
    }
    return count;
}

static void count_done(void *context, const struct store_outcome *outcome)
{
    size_t *done = context;

    (void)outcome;
    (*done)++;
}

/* Two servers set the same key at once, and the engine is so slow that nobody waits for it. */
static void requests_that_take_too_long_leave_no_lease(void **state)
{
    struct world *w = *state;
    const struct engine_memory_faults slow = {.delay_max_ms = 12000};
    const struct engine_memory_faults none = {.delay_max_ms = 0};
    const struct store_op op = {.verb = STORE_CAS,
                                .key = rc_pack_text("k"),
                                .value = rc_pack_text("1"),
                                .ttl_ms = 3600000};
    size_t done = 0;

    engine_memory_set_faults(w->memory, &slow);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(
            store_submit(w->stores[i % 2], w->now_ms, &op, 1, NULL, count_done, &done),
            RC_OK);
    }
    world_run_ms(w, 60000);
    engine_memory_set_faults(w->memory, &none);
    world_run_ms(w, 60000);

    assert_int_equal(done, 40);
    assert_int_equal(lease_count(w), world_get(w, 0, "k") != NULL ? 1 : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_read_by_all, setup, teardown),
        cmocka_unit_test_setup_teardown(an_identical_value_raises_no_index, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(cas_needs_the_index_that_is, setup, teardown),
        cmocka_unit_test_setup_teardown(deletes_are_true_and_leave_an_index, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            delete_cas_is_false_for_an_old_index_and_true_without_the_key, setup,
            teardown),
        cmocka_unit_test_setup_teardown(a_tree_goes_whole_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            cas_with_a_ttl_replaces_what_it_knows_and_nothing_else, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_that_take_too_long_leave_no_lease, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_key_with_a_ttl_goes_by_itself_unless_it_is_set_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused_at_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(documents_are_kept_as_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_sent_again_happens_once, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_request_under_the_same_id_is_refused,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_is_remembered_too, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
