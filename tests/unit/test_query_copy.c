#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/query_copy.h"

enum { START_MS = 1000000 };

struct fixture {
    struct query_copy copy;
    uint64_t now_ms;
    char target[QUERY_COPY_TARGET_MAX];
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture.now_ms = START_MS;
    query_copy_init(&fixture.copy, 1);
    *state = &fixture;
    return 0;
}

/* Waits until a request is due, and sends it; how long that took. */
static uint64_t wait_and_take(struct fixture *f)
{
    uint64_t due_ms = query_copy_due_ms(&f->copy);
    uint64_t start_ms = f->now_ms;

    assert_true(due_ms != UINT64_MAX);
    if (due_ms > f->now_ms) {
        assert_false(query_copy_take(&f->copy, due_ms - 1, f->target));
        f->now_ms = due_ms;
    }
    assert_true(query_copy_take(&f->copy, f->now_ms, f->target));
    assert_false(query_copy_take(&f->copy, f->now_ms, f->target));
    return f->now_ms - start_ms;
}

static void load(struct fixture *f)
{
    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_SERVED);
    assert_true(wait_and_take(f) < QUERY_COPY_SPREAD_MS);
    query_copy_answered(&f->copy, f->now_ms, 7);
}

static void a_pool_without_a_server_is_never_asked_and_has_no_queries(void **state)
{
    struct fixture *f = *state;

    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_ALONE);
    query_copy_wanted(&f->copy, f->now_ms);
    assert_true(query_copy_due_ms(&f->copy) == UINT64_MAX);
    assert_true(query_copy_is_certain(&f->copy, f->now_ms));
}

static void definitions_are_fetched_once_there_is_a_server(void **state)
{
    struct fixture *f = *state;

    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_SERVED);
    assert_false(query_copy_is_certain(&f->copy, f->now_ms));
    (void)wait_and_take(f);
    assert_string_equal(f->target, "/v1/query?stale");
    query_copy_answered(&f->copy, f->now_ms, 7);
    assert_true(query_copy_is_certain(&f->copy, f->now_ms));
}

static void where_nobody_asks_for_queries_a_server_is_asked_rarely(void **state)
{
    struct fixture *f = *state;

    load(f);
    assert_true(wait_and_take(f) >= QUERY_COPY_LOOK_MS);
    assert_string_equal(f->target, "/v1/query?stale");
}

static void while_queries_are_asked_for_changes_come_at_once(void **state)
{
    struct fixture *f = *state;

    load(f);
    f->now_ms += 60000;
    assert_false(query_copy_is_certain(&f->copy, f->now_ms));
    query_copy_wanted(&f->copy, f->now_ms);
    assert_int_equal(wait_and_take(f), 0);
    assert_string_equal(f->target, "/v1/query?stale&wait=5m&index=7");
    assert_true(query_copy_is_certain(&f->copy, f->now_ms));
    query_copy_answered(&f->copy, f->now_ms, 8);
    assert_int_equal(wait_and_take(f), QUERY_COPY_APART_MS);
    assert_string_equal(f->target, "/v1/query?stale&wait=5m&index=8");
}

static void a_wait_that_ends_unasked_for_is_not_repeated(void **state)
{
    struct fixture *f = *state;

    load(f);
    query_copy_wanted(&f->copy, f->now_ms);
    (void)wait_and_take(f);
    f->now_ms += QUERY_COPY_WANTED_MS;
    query_copy_answered(&f->copy, f->now_ms, 7);
    assert_true(wait_and_take(f) >= QUERY_COPY_LOOK_MS);
}

static void servers_that_do_not_answer_are_asked_less_and_less(void **state)
{
    struct fixture *f = *state;

    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_SERVED);
    for (unsigned i = 0; i < 12; i++) {
        (void)wait_and_take(f);
        query_copy_failed(&f->copy, f->now_ms);
    }
    assert_in_range(wait_and_take(f), QUERY_COPY_RETRY_MAX_MS / 2,
                    QUERY_COPY_RETRY_MAX_MS);
    query_copy_failed(&f->copy, f->now_ms);
    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_ALONE);
    assert_true(query_copy_due_ms(&f->copy) == UINT64_MAX);
    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_SERVED);
    assert_true(wait_and_take(f) < QUERY_COPY_SPREAD_MS);
}

static void questions_do_not_multiply_requests(void **state)
{
    struct fixture *f = *state;

    query_copy_pool(&f->copy, f->now_ms, QUERY_COPY_SERVED);
    query_copy_wanted(&f->copy, f->now_ms);
    assert_int_equal(wait_and_take(f), 0);
    query_copy_failed(&f->copy, f->now_ms);
    for (unsigned i = 0; i < 100; i++) {
        query_copy_wanted(&f->copy, f->now_ms);
    }
    assert_in_range(wait_and_take(f), QUERY_COPY_RETRY_MS / 2, QUERY_COPY_RETRY_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_pool_without_a_server_is_never_asked_and_has_no_queries,
                               set_up),
        cmocka_unit_test_setup(definitions_are_fetched_once_there_is_a_server, set_up),
        cmocka_unit_test_setup(where_nobody_asks_for_queries_a_server_is_asked_rarely,
                               set_up),
        cmocka_unit_test_setup(while_queries_are_asked_for_changes_come_at_once, set_up),
        cmocka_unit_test_setup(a_wait_that_ends_unasked_for_is_not_repeated, set_up),
        cmocka_unit_test_setup(servers_that_do_not_answer_are_asked_less_and_less,
                               set_up),
        cmocka_unit_test_setup(questions_do_not_multiply_requests, set_up),
    };
    return cmocka_run_group_tests_name("query_copy", tests, NULL, NULL);
}
