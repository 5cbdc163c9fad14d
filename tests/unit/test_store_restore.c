/* test_store_restore.c - a snapshot in place of a store: all of it, or nobody is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/archive.h"
#include "base/err.h"
#include "tests/unit/store_world.h"

enum { MANY = 450 };

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

static void save(struct world *w, struct rc_buffer *out)
{
    const struct archive_header facts = {.datacenter = "dc1", .engine = "memory"};

    assert_int_equal(store_archive(w->stores[0], &facts, out), RC_OK);
}

static int begin_restore(struct world *w, const struct rc_buffer *bytes)
{
    char error[ARCHIVE_ERROR_MAX];

    const struct restore_source source = {bytes->bytes, bytes->size, "somebody"};

    w->answer.is_there = false;
    return store_restore(w->stores[1], &source, error, world_done, w);
}

static void put_many(struct world *w)
{
    char key[32];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof key, "many/%d", i);
        assert_true(world_one(w, STORE_SET, key, key, NULL)->succeeded);
    }
}

static void what_was_saved_is_there_again_and_nothing_else(void **state)
{
    struct world *w = *state;
    struct rc_buffer bytes = {0};
    struct store_op op = {.verb = STORE_SET,
                          .key = rc_pack_text("flagged"),
                          .value = rc_pack_text("1"),
                          .flags = 77};

    put_many(w);
    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    save(w, &bytes);
    assert_true(world_one(w, STORE_DELETE_TREE, "many/", "", NULL)->succeeded);
    assert_true(world_one(w, STORE_SET, "later", "1", NULL)->succeeded);
    uint64_t before = w->answer.revision;
    assert_int_equal(begin_restore(w, &bytes), RC_OK);
    assert_int_equal(world_wait(w)->err, RC_OK);
    assert_true(w->answer.revision > before);
    assert_true(world_is(w, "many/0", "many/0"));
    assert_true(world_is(w, "many/449", "many/449"));
    assert_null(world_get(w, 0, "later"));
    assert_int_equal(world_get(w, 0, "flagged")->flags, 77);
    rc_buffer_fini(&bytes);
}

static void locks_sessions_and_keys_that_go_by_themselves_are_left_out(void **state)
{
    struct world *w = *state;
    struct rc_buffer bytes = {0};
    struct archive archive;
    char error[ARCHIVE_ERROR_MAX];
    struct store_op op = {.verb = STORE_SET,
                          .key = rc_pack_text("short"),
                          .value = rc_pack_text("1"),
                          .ttl_ms = 60000};

    assert_true(world_do(w, 0, &op, 1, NULL)->succeeded);
    const char *session = world_session(w, 'a', 60000, 0, STORE_RELEASE);
    assert_true(world_one(w, STORE_LOCK, "locked", "x", session)->succeeded);
    save(w, &bytes);
    assert_int_equal(archive_open(bytes.bytes, bytes.size, &archive, error), RC_OK);
    assert_int_equal(archive.header.count, 1);
    assert_int_equal(begin_restore(w, &bytes), RC_OK);
    assert_int_equal(world_wait(w)->err, RC_OK);
    assert_null(world_get(w, 0, "locked")->session);
    assert_null(world_get(w, 0, "short"));
    rc_buffer_fini(&bytes);
}

static void a_restore_cut_short_leaves_a_store_that_refuses_until_it_is_done(void **state)
{
    struct world *w = *state;
    struct rc_buffer bytes = {0};
    const struct engine_memory_faults all = {.refused = 1000000};
    const struct engine_memory_faults slow = {.delay_max_ms = 50};
    const struct engine_memory_faults none = {0};

    put_many(w);
    save(w, &bytes);
    engine_memory_set_faults(w->memory, &slow);
    assert_int_equal(begin_restore(w, &bytes), RC_OK);
    while (!store_is_restoring(w->stores[0])) {
        world_run_ms(w, 1);
    }
    engine_memory_set_faults(w->memory, &all);
    assert_int_equal(world_wait(w)->err, RC_EAGAIN);
    assert_non_null(strstr(w->answer.text, "do it again"));
    engine_memory_set_faults(w->memory, &none);
    assert_int_equal(world_one(w, STORE_SET, "a", "1", NULL)->err, RC_EAGAIN);
    assert_non_null(strstr(w->answer.text, "being restored"));
    assert_int_equal(begin_restore(w, &bytes), RC_OK);
    assert_int_equal(world_wait(w)->err, RC_OK);
    assert_false(store_is_restoring(w->stores[0]));
    assert_true(world_is(w, "many/7", "many/7"));
    assert_true(world_one(w, STORE_SET, "a", "1", NULL)->succeeded);
    rc_buffer_fini(&bytes);
}

static void tell_err(void *context, const struct store_outcome *outcome)
{
    int *err = context;

    *err = outcome->err;
}

static void of_two_restores_the_later_one_is_done_whole(void **state)
{
    struct world *w = *state;
    struct rc_buffer first = {0};
    struct rc_buffer second = {0};
    char error[ARCHIVE_ERROR_MAX];
    int err = 1;
    const struct engine_memory_faults slow = {.delay_max_ms = 50};

    put_many(w);
    save(w, &first);
    assert_true(world_one(w, STORE_DELETE_TREE, "many/", "", NULL)->succeeded);
    assert_true(world_one(w, STORE_SET, "only", "1", NULL)->succeeded);
    save(w, &second);
    engine_memory_set_faults(w->memory, &slow);
    assert_int_equal(
        store_restore(w->stores[0],
                      &(struct restore_source){first.bytes, first.size, "first"}, error,
                      tell_err, &err),
        RC_OK);
    while (!store_is_restoring(w->stores[1])) {
        world_run_ms(w, 1);
    }
    assert_string_equal(store_restored_by(w->stores[1]), "first");
    assert_int_equal(begin_restore(w, &second), RC_OK);
    assert_int_equal(world_wait(w)->err, RC_OK);
    world_run_ms(w, 1000);
    assert_int_equal(err, RC_ECONFLICT);
    assert_false(store_is_restoring(w->stores[0]));
    assert_null(world_get(w, 0, "many/0"));
    assert_null(world_get(w, 0, "many/449"));
    assert_true(world_is(w, "only", "1"));
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
}

static void a_damaged_snapshot_touches_nothing(void **state)
{
    struct world *w = *state;
    struct rc_buffer bytes = {0};

    assert_true(world_one(w, STORE_SET, "a", "1", NULL)->succeeded);
    save(w, &bytes);
    bytes.bytes[bytes.size / 2] ^= 1;
    assert_int_equal(begin_restore(w, &bytes), RC_EMALFORMED);
    assert_true(world_is(w, "a", "1"));
    rc_buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_saved_is_there_again_and_nothing_else,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            locks_sessions_and_keys_that_go_by_themselves_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_restore_cut_short_leaves_a_store_that_refuses_until_it_is_done, setup,
            teardown),
        cmocka_unit_test_setup_teardown(of_two_restores_the_later_one_is_done_whole,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_snapshot_touches_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
