/* test_timer.c - deadlines come in time, whatever happens to them before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "proxy/worker/timer.h"

static struct timer_wheel *wheel;

static int make_wheel(void **state)
{
    (void)state;
    wheel = malloc(sizeof *wheel);
    return wheel == NULL;
}

static int free_wheel(void **state)
{
    (void)state;
    free(wheel);
    return 0;
}

static void deadline_comes_once_and_within_a_slot(void **state)
{
    struct timer timer = {0};
    uint64_t now_ms = 1000;
    (void)state;

    timer_wheel_init(wheel, now_ms);
    timer_set(wheel, &timer, 1100);
    while (timer_wheel_next(wheel, now_ms) == NULL) {
        now_ms++;
        assert_true(now_ms <= 1100 + 2 * TIMER_SLOT_MS);
    }
    assert_true(now_ms >= 1100);
    assert_false(timer_is_set(&timer));
    assert_null(timer_wheel_next(wheel, now_ms + 10000));
}

static void deadline_that_is_moved_on_does_not_come_before(void **state)
{
    struct timer timer = {0};
    uint64_t due_ms = 0;
    (void)state;

    timer_wheel_init(wheel, 0);
    for (uint64_t now_ms = 0; now_ms < 200000; now_ms += 100) {
        due_ms = now_ms + 60000;
        timer_set(wheel, &timer, due_ms);
        assert_null(timer_wheel_next(wheel, now_ms));
    }
    assert_ptr_equal(timer_wheel_next(wheel, due_ms + TIMER_SLOT_MS), &timer);
}

static void deadline_that_is_moved_forward_comes_earlier(void **state)
{
    struct timer timer = {0};
    (void)state;

    timer_wheel_init(wheel, 0);
    timer_set(wheel, &timer, 75000);
    timer_set(wheel, &timer, 500);
    assert_null(timer_wheel_next(wheel, 450));
    assert_ptr_equal(timer_wheel_next(wheel, 550), &timer);
}

static void deadline_beyond_the_wheel_is_kept(void **state)
{
    struct timer timer = {0};
    (void)state;

    timer_wheel_init(wheel, 0);
    timer_set(wheel, &timer, 3600000);
    for (uint64_t now_ms = 0; now_ms < 3600000; now_ms += 5000) {
        assert_null(timer_wheel_next(wheel, now_ms));
    }
    assert_ptr_equal(timer_wheel_next(wheel, 3600100), &timer);
}

static void cleared_deadline_does_not_come(void **state)
{
    struct timer timers[2] = {{0}, {0}};
    (void)state;

    timer_wheel_init(wheel, 0);
    timer_set(wheel, &timers[0], 100);
    timer_set(wheel, &timers[1], 100);
    assert_non_null(timer_wheel_next(wheel, 200)); /* the other is due too, and waits */
    timer_clear(wheel, &timers[0]);
    timer_clear(wheel, &timers[1]);
    timer_clear(wheel, &timers[1]);
    assert_null(timer_wheel_next(wheel, 300));
    assert_int_equal(wheel->count, 0);
}

static void random_deadlines_all_come_in_order_of_slots(void **state)
{
    enum { COUNT = 500 };
    static struct timer timers[COUNT];
    struct rc_random random;
    size_t came = 0;
    (void)state;

    rc_random_init(&random, 1);
    timer_wheel_init(wheel, 12345);
    for (size_t i = 0; i < COUNT; i++) {
        timer_set(wheel, &timers[i], 12345 + rc_random_below(&random, 90000));
    }
    for (uint64_t now_ms = 12345; came < COUNT; now_ms += 7) {
        struct timer *timer = NULL;
        while ((timer = timer_wheel_next(wheel, now_ms)) != NULL) {
            assert_true(timer->due_ms <= now_ms);
            assert_true(now_ms - timer->due_ms <= 2 * TIMER_SLOT_MS + 7);
            came++;
        }
    }
    assert_int_equal(wheel->count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadline_comes_once_and_within_a_slot),
        cmocka_unit_test(deadline_that_is_moved_on_does_not_come_before),
        cmocka_unit_test(deadline_that_is_moved_forward_comes_earlier),
        cmocka_unit_test(deadline_beyond_the_wheel_is_kept),
        cmocka_unit_test(cleared_deadline_does_not_come),
        cmocka_unit_test(random_deadlines_all_come_in_order_of_slots),
    };
    return cmocka_run_group_tests(tests, make_wheel, free_wheel);
}
