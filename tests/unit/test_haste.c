/* Tests for agent/link/haste.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/link/haste.h"

static void a_proxy_that_asks_often_is_in_haste(void **state)
{
    (void)state;
    assert_int_equal(haste_of("/v1/postgres/main?index=7&wait=250ms"), 750);
    assert_int_equal(haste_of("/v1/postgres/main?wait=0.25s&index=7"), 750);
}

static void who_waits_long_or_not_at_all_is_not(void **state)
{
    (void)state;
    assert_int_equal(haste_of("/v1/postgres/main?index=7&wait=1s"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?index=7&wait=5m"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?index=7"), 0);
    assert_int_equal(haste_of("/v1/postgres/main"), 0);
}

static void other_questions_are_not(void **state)
{
    (void)state;
    assert_int_equal(haste_of("/v1/kv/x?index=7&wait=250ms"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?index=7&await=250ms"), 0);
}

static void what_is_no_duration_hurries_nobody(void **state)
{
    (void)state;
    assert_int_equal(haste_of("/v1/postgres/main?wait="), 0);
    assert_int_equal(haste_of("/v1/postgres/main?wait=&index=7"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?wait=-1s"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?wait=soon"), 0);
    assert_int_equal(haste_of("/v1/postgres/main?wait=00000000000000000000000001ms"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_proxy_that_asks_often_is_in_haste),
        cmocka_unit_test(who_waits_long_or_not_at_all_is_not),
        cmocka_unit_test(other_questions_are_not),
        cmocka_unit_test(what_is_no_duration_hurries_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
