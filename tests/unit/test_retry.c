/* test_retry.c - what may be sent twice, and how often in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/http/retry.h"

static struct retry_attempt attempt_of(enum retry_class method,
                                       enum retry_failure failure)
{
    return (struct retry_attempt){.method = method,
                                  .failure = failure,
                                  .number = 1,
                                  .attempts_max = 3,
                                  .sent = true,
                                  .replayable = true};
}

/* "y": repeated when sent and replayable; "n": never; "u": only if nothing was sent. */
static const char *const want[RETRY_FAILURE_COUNT] = {
    /*                         safe, idempotent, once */
    [RETRY_CONNECT_FAILED] = "yyy", [RETRY_TLS_FAILED] = "yyy", [RETRY_STALE] = "yyu",
    [RETRY_CLOSED] = "yyu",         [RETRY_TIMED_OUT] = "nnn",  [RETRY_STATUS] = "nnn",
    [RETRY_DRAINING] = "yyn",       [RETRY_BAD_HEAD] = "nnn",
};

static void assert_cell(enum retry_failure failure, enum retry_class method, char cell)
{
    struct retry_attempt attempt = attempt_of(method, failure);

    if (retry_is_allowed(&attempt) != (cell == 'y')) {
        fail_msg("%s of class %d after sending", retry_failure_name(failure), method);
    }
    attempt.sent = false;
    if (retry_is_allowed(&attempt) != (cell == 'y' || cell == 'u')) {
        fail_msg("%s of class %d before sending", retry_failure_name(failure), method);
    }
}

static void table_of_failures_and_methods_holds(void **state)
{
    (void)state;

    for (int failure = 0; failure < RETRY_FAILURE_COUNT; failure++) {
        for (int method = 0; method < RETRY_CLASS_COUNT; method++) {
            assert_cell((enum retry_failure)failure, (enum retry_class)method,
                        want[failure][method]);
        }
    }
}

static void request_whose_bytes_are_gone_is_not_repeated(void **state)
{
    struct retry_attempt attempt = attempt_of(RETRY_IDEMPOTENT, RETRY_CLOSED);
    (void)state;

    attempt.replayable = false;
    assert_false(retry_is_allowed(&attempt));
}

static void statuses_are_repeated_only_when_the_route_lists_them(void **state)
{
    struct retry_attempt attempt = attempt_of(RETRY_SAFE, RETRY_STATUS);
    (void)state;

    assert_false(retry_is_allowed(&attempt));
    attempt.status_listed = true;
    assert_true(retry_is_allowed(&attempt));
    attempt.method = RETRY_ONCE;
    assert_false(retry_is_allowed(&attempt));
}

static void
posts_that_a_draining_instance_refused_are_repeated_where_the_route_says_so(void **state)
{
    struct retry_attempt attempt = attempt_of(RETRY_ONCE, RETRY_DRAINING);
    (void)state;

    attempt.status_listed = true;
    assert_true(retry_is_allowed(&attempt));
    attempt.replayable = false;
    assert_false(retry_is_allowed(&attempt));
}

static void attempts_are_limited(void **state)
{
    struct retry_attempt attempt = attempt_of(RETRY_SAFE, RETRY_CONNECT_FAILED);
    (void)state;

    attempt.number = 2;
    assert_true(retry_is_allowed(&attempt));
    attempt.number = 3;
    assert_false(retry_is_allowed(&attempt));
}

static void methods_have_classes(void **state)
{
    (void)state;

    assert_int_equal(retry_class_of(HTTP1_GET), RETRY_SAFE);
    assert_int_equal(retry_class_of(HTTP1_HEAD), RETRY_SAFE);
    assert_int_equal(retry_class_of(HTTP1_PUT), RETRY_IDEMPOTENT);
    assert_int_equal(retry_class_of(HTTP1_DELETE), RETRY_IDEMPOTENT);
    assert_int_equal(retry_class_of(HTTP1_POST), RETRY_ONCE);
    assert_int_equal(retry_class_of(HTTP1_PATCH), RETRY_ONCE);
    assert_int_equal(retry_class_of(HTTP1_METHOD_OTHER), RETRY_ONCE);
}

static void storm_of_repeats_is_stopped(void **state)
{
    struct retry_budget budget = {0};
    struct retry_attempt attempt = attempt_of(RETRY_SAFE, RETRY_CLOSED);
    uint32_t granted = 0;
    (void)state;

    for (int i = 0; i < 100; i++) {
        retry_budget_begin(&budget);
    }
    for (int i = 0; i < 100; i++) {
        granted += retry_budget_take(&budget, &attempt) ? 1 : 0;
    }
    assert_int_equal(granted, 3 + 20 + 20); /* floor, share of running, savings of 100 */
    assert_int_equal(budget.refusals, 57);
}

static void instance_that_dies_under_load_is_paid_from_savings(void **state)
{
    struct retry_budget budget = {0};
    struct retry_attempt attempt = attempt_of(RETRY_SAFE, RETRY_CLOSED);
    (void)state;

    for (int i = 0; i < 2000; i++) {
        retry_budget_begin(&budget);
        retry_budget_end(&budget, 1);
    }
    for (int i = 0; i < 64; i++) {
        retry_budget_begin(&budget);
    }
    for (int i = 0; i < 64; i++) {
        assert_true(retry_budget_take(&budget, &attempt));
    }
}

static void connections_that_were_never_made_cost_nothing(void **state)
{
    struct retry_budget budget = {0};
    struct retry_attempt attempt = attempt_of(RETRY_ONCE, RETRY_CONNECT_FAILED);
    (void)state;

    attempt.sent = false;
    for (int i = 0; i < 1000; i++) {
        retry_budget_begin(&budget);
        assert_true(retry_budget_take(&budget, &attempt));
    }
    for (int i = 0; i < 1000; i++) {
        retry_budget_end(&budget, 2);
    }
    assert_int_equal(budget.running, 0);
    assert_int_equal(budget.repeats_running, 0);
}

static void first_repeat_is_at_once_and_later_ones_wait(void **state)
{
    (void)state;

    assert_int_equal(retry_pause_ms(2, 12345), 0);
    for (uint64_t random = 0; random < 1000; random++) {
        assert_in_range(retry_pause_ms(3, random), RETRY_PAUSE_MIN_MS,
                        RETRY_PAUSE_MAX_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_of_failures_and_methods_holds),
        cmocka_unit_test(request_whose_bytes_are_gone_is_not_repeated),
        cmocka_unit_test(statuses_are_repeated_only_when_the_route_lists_them),
        cmocka_unit_test(
            posts_that_a_draining_instance_refused_are_repeated_where_the_route_says_so),
        cmocka_unit_test(attempts_are_limited),
        cmocka_unit_test(methods_have_classes),
        cmocka_unit_test(storm_of_repeats_is_stopped),
        cmocka_unit_test(instance_that_dies_under_load_is_paid_from_savings),
        cmocka_unit_test(connections_that_were_never_made_cost_nothing),
        cmocka_unit_test(first_repeat_is_at_once_and_later_ones_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
