/* test_upstream.c - when an instance is used, set aside, tried again and forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream/upstream.h"

static const struct upstream_rules rules = {
    .slow_start_ms = 0, .failures_max = 5, .base_ms = 1000};
static const struct upstream_rules slow = {
    .slow_start_ms = 10000, .failures_max = 5, .base_ms = 1000};

static struct upstream make(void)
{
    struct upstream u;
    upstream_init(&u, &rules, UPSTREAM_START_FULL, 100);
    return u;
}

static void assert_state(const struct upstream *u, enum upstream_state want)
{
    if (u->state != want) {
        fail_msg("is %s, not %s", upstream_state_name(u->state),
                 upstream_state_name(want));
    }
}

static void a_new_instance_is_usable_at_once(void **state)
{
    (void)state;
    struct upstream u = make();
    assert_state(&u, UPSTREAM_UP);
    assert_true(upstream_is_usable(u.state));
}

static void slow_start_ends_after_its_time(void **state)
{
    (void)state;
    struct upstream u;
    struct upstream_counts none = {0};
    upstream_init(&u, &slow, UPSTREAM_START_SLOW, 100);

    assert_state(&u, UPSTREAM_WARMING);
    assert_int_equal(upstream_deadline_ms(&u, &slow), 10100);
    assert_false(upstream_tick(&u, &slow, &none, 10099));
    assert_true(upstream_tick(&u, &slow, &none, 10100));
    assert_state(&u, UPSTREAM_UP);
}

static void a_pool_that_is_new_as_a_whole_starts_at_full_weight(void **state)
{
    (void)state;
    struct upstream u;
    upstream_init(&u, &slow, UPSTREAM_START_FULL, 100);
    assert_state(&u, UPSTREAM_UP);
}

static void a_run_of_failures_asks_for_ejection(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts four = {.failures_in_a_row = 4};
    struct upstream_counts five = {.failures_in_a_row = 5};
    struct upstream_rules never = rules;
    never.failures_max = 0;

    assert_false(upstream_should_eject(&u, &rules, &four));
    assert_true(upstream_should_eject(&u, &rules, &five));
    assert_false(upstream_should_eject(&u, &never, &five));
}

static void ejections_double_and_end_in_a_trial(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts none = {0};

    upstream_eject(&u, &rules, 0, 1000);
    assert_false(upstream_tick(&u, &rules, &none, 1999));
    assert_true(upstream_tick(&u, &rules, &none, 2000));
    assert_state(&u, UPSTREAM_TRIAL);

    upstream_eject(&u, &rules, 0, 2500);
    assert_int_equal(u.ejected_until_ms, 4500);
    assert_true(upstream_tick(&u, &rules, &none, 4500));
    assert_state(&u, UPSTREAM_TRIAL);
}

static void an_ejection_is_never_longer_than_five_minutes_and_jitter(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts none = {0};
    uint64_t now_ms = 0;
    for (int i = 0; i < 40; i++) {
        upstream_eject(&u, &rules, 100000, now_ms);
        assert_true(u.ejected_until_ms - now_ms <= 330000);
        now_ms = u.ejected_until_ms;
        assert_true(upstream_tick(&u, &rules, &none, now_ms));
    }
}

static void one_failure_ends_a_trial_and_two_successes_do(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts failed = {.failures_in_a_row = 1};
    struct upstream_counts one = {.trial_successes = 1};
    struct upstream_counts two = {.trial_successes = 2};
    struct upstream_counts none = {0};
    upstream_eject(&u, &rules, 0, 0);
    (void)upstream_tick(&u, &rules, &none, 1000);

    assert_true(upstream_should_eject(&u, &rules, &failed));
    assert_false(upstream_tick(&u, &rules, &one, 1100));
    assert_true(upstream_tick(&u, &rules, &two, 1200));
    assert_state(&u, UPSTREAM_UP);
}

static void who_leaves_drains_and_is_forgotten_when_idle(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts busy = {.in_flight = 1};
    struct upstream_counts idle = {0};

    upstream_set_absent(&u, 200);
    assert_state(&u, UPSTREAM_DRAINING);
    assert_false(upstream_tick(&u, &rules, &busy, 300));
    assert_true(upstream_tick(&u, &rules, &idle, 400));
    assert_state(&u, UPSTREAM_GONE);
}

static void who_comes_back_while_draining_is_used_again(void **state)
{
    (void)state;
    struct upstream u = make();
    upstream_set_absent(&u, 200);
    upstream_set_present(&u, &rules, 300);
    assert_state(&u, UPSTREAM_UP);
}

static void the_operators_drain_outlives_discovery(void **state)
{
    (void)state;
    struct upstream u = make();
    struct upstream_counts idle = {0};

    upstream_drain(&u, 200);
    upstream_set_present(&u, &rules, 300);
    assert_state(&u, UPSTREAM_DRAINING);
    assert_false(upstream_tick(&u, &rules, &idle, 400)); /* present: not forgotten */
    upstream_undrain(&u, &rules, 500);
    assert_state(&u, UPSTREAM_UP);
}

static void an_ejected_instance_may_leave(void **state)
{
    (void)state;
    struct upstream u = make();
    upstream_eject(&u, &rules, 0, 0);
    upstream_set_absent(&u, 10);
    assert_state(&u, UPSTREAM_DRAINING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_instance_is_usable_at_once),
        cmocka_unit_test(slow_start_ends_after_its_time),
        cmocka_unit_test(a_pool_that_is_new_as_a_whole_starts_at_full_weight),
        cmocka_unit_test(a_run_of_failures_asks_for_ejection),
        cmocka_unit_test(ejections_double_and_end_in_a_trial),
        cmocka_unit_test(an_ejection_is_never_longer_than_five_minutes_and_jitter),
        cmocka_unit_test(one_failure_ends_a_trial_and_two_successes_do),
        cmocka_unit_test(who_leaves_drains_and_is_forgotten_when_idle),
        cmocka_unit_test(who_comes_back_while_draining_is_used_again),
        cmocka_unit_test(the_operators_drain_outlives_discovery),
        cmocka_unit_test(an_ejected_instance_may_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
