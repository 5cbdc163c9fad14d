/* test_meter.c - counts and percentiles of a place, proxy/upstream/meter.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream/meter.h"

static int setup(void **state)
{
    *state = meter_create();
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    meter_release(*state);
    return 0;
}

static void every_time_lies_in_its_bucket(void **state)
{
    (void)state;

    for (uint64_t us = 0; us < UINT64_C(100) * 1000 * 1000; us += us / 97 + 1) {
        unsigned bucket = meter_bucket(us);
        assert_true(us < meter_bucket_end_us(bucket));
        assert_true(bucket == 0 || us >= meter_bucket_end_us(bucket - 1));
    }
}

static void buckets_grow_by_a_quarter_at_most(void **state)
{
    (void)state;

    for (unsigned i = 1; i + 1 < METER_BUCKETS; i++) {
        uint64_t begin = meter_bucket_end_us(i - 1);
        uint64_t width = meter_bucket_end_us(i) - begin;
        assert_true(width > 0);
        assert_true(width * 4 <= begin + 3);
    }
    assert_true(meter_bucket_end_us(0) <= 100);
    assert_true(meter_bucket_end_us(METER_BUCKETS - 2) >= UINT64_C(60) * 1000 * 1000);
}

static void percentiles_are_right_within_an_eighth(void **state)
{
    struct meter_reading reading;
    struct meter_lane *lane = meter_lane(*state, 0);

    for (uint64_t us = 1; us <= 100000; us++) {
        meter_time(lane, us * 1000);
    }
    meter_read(*state, &reading);

    static const struct {
        unsigned per_mille;
        uint64_t us;
    } cases[] = {{500, 50000}, {950, 95000}, {990, 99000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t got = meter_quantile_us(&reading, cases[i].per_mille);
        if (got < cases[i].us - cases[i].us / 8 || got > cases[i].us + cases[i].us / 8) {
            fail_msg("p%u: %llu us", cases[i].per_mille, (unsigned long long)got);
        }
    }
}

static void percentiles_of_nothing_are_zero(void **state)
{
    struct meter_reading reading;

    meter_read(*state, &reading);

    assert_int_equal(meter_quantile_us(&reading, 990), 0);
}

static void what_takes_minutes_counts_as_the_last_bound(void **state)
{
    struct meter_reading reading;

    meter_time(meter_lane(*state, 0), UINT64_C(3600) * 1000 * 1000 * 1000);
    meter_read(*state, &reading);

    assert_int_equal(meter_quantile_us(&reading, 500),
                     meter_bucket_end_us(METER_BUCKETS - 2));
}

static void lanes_add_up(void **state)
{
    struct meter_reading reading;

    meter_count(meter_lane(*state, 0), 200);
    meter_count(meter_lane(*state, 63), 204);
    meter_count(meter_lane(*state, 1), 503);
    meter_count(meter_lane(*state, 1), 499);
    meter_refuse(meter_lane(*state, 1), REFUSAL_RATE);
    meter_bytes(meter_lane(*state, 0), 1, 10);
    meter_bytes(meter_lane(*state, 5), 2, 20);
    meter_read(*state, &reading);

    assert_int_equal(reading.requests, 4);
    assert_int_equal(reading.classes[2], 2);
    assert_int_equal(reading.classes[5], 1);
    assert_int_equal(reading.classes[0], 1);
    assert_int_equal(reading.refusals[REFUSAL_RATE], 1);
    assert_int_equal(reading.bytes_in, 3);
    assert_int_equal(reading.bytes_out, 30);
}

static void recent_is_what_came_in_the_last_windows(void **state)
{
    struct meter_reading recent;
    struct meter_lane *lane = meter_lane(*state, 0);

    meter_count(lane, 200); /* before anybody looked */
    meter_tick(*state, 1000);
    assert_int_equal(meter_recent(*state, 1000, &recent), 0);
    meter_count(lane, 200);
    meter_tick(*state, 1000 + METER_WINDOW_MS);
    assert_int_equal(meter_recent(*state, 7000, &recent), 6000);
    assert_int_equal(recent.requests, 1);
    meter_count(lane, 200);
    meter_tick(*state, 1000 + 2 * METER_WINDOW_MS);
    meter_recent(*state, 1000 + 2 * METER_WINDOW_MS, &recent);
    assert_int_equal(recent.requests, 1); /* the second; the first is too long ago */
    meter_tick(*state, 1000 + 3 * METER_WINDOW_MS);

    meter_recent(*state, 1000 + 3 * METER_WINDOW_MS, &recent);
    assert_int_equal(recent.requests, 0);
}

static void counting_without_memory_is_allowed(void **state)
{
    (void)state;

    meter_count(NULL, 200);
    meter_time(NULL, 1);
    meter_refuse(NULL, REFUSAL_RATE);
    meter_bytes(NULL, 1, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_time_lies_in_its_bucket),
        cmocka_unit_test(buckets_grow_by_a_quarter_at_most),
        cmocka_unit_test_setup_teardown(percentiles_are_right_within_an_eighth, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(percentiles_of_nothing_are_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(what_takes_minutes_counts_as_the_last_bound,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(lanes_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(recent_is_what_came_in_the_last_windows, setup,
                                        teardown),
        cmocka_unit_test(counting_without_memory_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
