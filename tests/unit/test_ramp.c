/* test_ramp.c - how fast those who were held are let go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/postgres/ramp.h"

static unsigned take_all(struct ramp *ramp, uint32_t per_second, uint64_t now_ms)
{
    unsigned count = 0;
    while (count < 10000 && ramp_take(ramp, per_second, now_ms)) {
        count++;
    }
    return count;
}

static void a_thousand_take_five_seconds(void **state)
{
    struct ramp ramp = {0};
    unsigned gone = 0;
    uint64_t now_ms = 1000000;
    (void)state;
    for (; gone < 1000; now_ms += 25) {
        gone += take_all(&ramp, 200, now_ms);
    }
    assert_in_range(now_ms - 1000000, 4900, 5100);
}

static void a_long_pause_saves_up_no_more_than_a_twentieth(void **state)
{
    struct ramp ramp = {0};
    (void)state;
    assert_int_equal(take_all(&ramp, 200, 1000), 10);
    assert_int_equal(take_all(&ramp, 200, 1000), 0);
    assert_int_equal(take_all(&ramp, 200, 900000), 10);
}

static void slow_ramps_let_one_go_at_a_time(void **state)
{
    struct ramp ramp = {0};
    (void)state;
    assert_int_equal(take_all(&ramp, 2, 10000), 1);
    assert_int_equal(take_all(&ramp, 2, 10400), 0);
    assert_int_equal(take_all(&ramp, 2, 10500), 1);
}

static void none_is_all_at_once(void **state)
{
    struct ramp ramp = {0};
    (void)state;
    assert_int_equal(take_all(&ramp, 0, 1), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thousand_take_five_seconds),
        cmocka_unit_test(a_long_pause_saves_up_no_more_than_a_twentieth),
        cmocka_unit_test(slow_ramps_let_one_go_at_a_time),
        cmocka_unit_test(none_is_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
