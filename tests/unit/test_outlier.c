/* test_outlier.c - the rate of failures beside that of others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream/outlier.h"

static void few_uses_say_nothing(void **state)
{
    (void)state;
    struct outlier_window window = {0};
    outlier_sample(&window, 100, 100); /* from before */
    outlier_sample(&window, 105, 114);
    assert_int_equal(outlier_rate(&window), -1);
    outlier_sample(&window, 105, 115);
    assert_int_equal(outlier_rate(&window), 25);
}

static void what_is_older_than_the_window_is_forgotten(void **state)
{
    (void)state;
    struct outlier_window window = {0};
    uint32_t ok = UINT32_MAX - 10; /* counters wrap around */
    outlier_sample(&window, ok, 0);
    outlier_sample(&window, ok, 50);
    for (int i = 0; i < OUTLIER_SECONDS; i++) {
        ok += 10;
        outlier_sample(&window, ok, 50);
    }
    assert_int_equal(outlier_rate(&window), 100);
}

static void ill_is_who_differs_from_the_healthy(void **state)
{
    static const struct {
        const char *why;
        int rate;
        int rates[4];
        bool want;
    } cases[] = {
        {"the others are well", 40, {40, 100, 95, -1}, true},
        {"the others are as ill", 40, {40, 45, 50, 60}, false},
        {"not bad enough", 60, {60, 100, 100, 100}, false},
        {"it says nothing", -1, {-1, 100, 100, 100}, false},
        {"nobody to compare with", 10, {10, -1, -1, -1}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int rates[4];
        memcpy(rates, cases[i].rates, sizeof rates);
        if (outlier_is_ill(cases[i].rate, rates, 4) != cases[i].want) {
            fail_msg("%s", cases[i].why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(few_uses_say_nothing),
        cmocka_unit_test(what_is_older_than_the_window_is_forgotten),
        cmocka_unit_test(ill_is_who_differs_from_the_healthy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
