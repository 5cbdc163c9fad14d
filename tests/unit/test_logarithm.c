/* test_logarithm.c - ln(x) without libm. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/logarithm.h"

static void assert_agrees_with_libm(double x)
{
    double want = log(x);
    double scale = fabs(want) > 1.0 ? fabs(want) : 1.0;

    if (fabs(rc_logarithm(x) - want) > 1e-15 * scale) {
        fail_msg("ln(%.17g) is %.17g, not %.17g", x, want, rc_logarithm(x));
    }
}

static void logarithms_agree_with_libm_to_fifteen_digits(void **state)
{
    (void)state;

    assert_agrees_with_libm(DBL_MIN);
    assert_agrees_with_libm(DBL_MAX);
    for (int i = 0; i < 70000; i++) {
        assert_agrees_with_libm(1e-17 * pow(1.0009, i)); /* to 1e10 */
    }
    for (int members = 1; members <= 100000; members++) {
        assert_agrees_with_libm(members);
    }
}

static void the_logarithm_of_one_is_zero_and_near_it_keeps_its_digits(void **state)
{
    (void)state;

    assert_true(rc_logarithm(1.0) == 0.0);
    for (int i = 0; i < 80; i++) {
        double off = 1e-15 * pow(1.5, i); /* to 0.08 */
        assert_true(fabs(rc_logarithm(1 + off) / log(1 + off) - 1) < 1e-14);
        assert_true(fabs(rc_logarithm(1 - off) / log(1 - off) - 1) < 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logarithms_agree_with_libm_to_fifteen_digits),
        cmocka_unit_test(the_logarithm_of_one_is_zero_and_near_it_keeps_its_digits),
    };
    return cmocka_run_group_tests_name("logarithm", tests, NULL, NULL);
}
