#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/stalls.h"

enum { COUNT = 500, SIZE = 1000 };

static void structs_are_zeroed_and_their_own(void **state)
{
    struct rc_stalls stalls = {.size = SIZE};
    static unsigned char *all[COUNT];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        all[i] = rc_stalls_take(&stalls);
        assert_non_null(all[i]);
        for (size_t k = 0; k < SIZE; k++) {
            assert_int_equal(all[i][k], 0);
            all[i][k] = (unsigned char)i;
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(all[i][0], (unsigned char)i);
        assert_int_equal(all[i][SIZE - 1], (unsigned char)i);
        rc_stalls_give(&stalls, all[i]);
    }
    assert_null(stalls.open);
}

static void what_is_given_back_in_any_order_is_taken_again(void **state)
{
    struct rc_stalls stalls = {.size = 72};
    static uint64_t *all[COUNT];
    struct rc_random random;

    (void)state;
    rc_random_init(&random, 5);
    for (size_t round = 0; round < 20000; round++) {
        size_t i = (size_t)rc_random_below(&random, COUNT);
        if (all[i] == NULL) {
            all[i] = rc_stalls_take(&stalls);
            assert_non_null(all[i]);
            assert_true(*all[i] == 0);
            *all[i] = i + 1;
        } else {
            assert_true(*all[i] == i + 1);
            rc_stalls_give(&stalls, all[i]);
            all[i] = NULL;
        }
    }
    for (size_t i = 0; i < COUNT; i++) {
        rc_stalls_give(&stalls, all[i]); /* NULL is allowed */
        all[i] = NULL;
    }
    assert_null(stalls.open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structs_are_zeroed_and_their_own),
        cmocka_unit_test(what_is_given_back_in_any_order_is_taken_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
