/* test_guess.c - who guesses tokens has to wait; who is right beside him has not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/acl/guess.h"

enum { GUESS_BURST = 20, GUESS_KNOWN = 8 }; /* of GUESS_OF_CLIENT */
enum { ATTACKER = 1, OTHER = 2, RIGHT = 77, WRONG = 99 };

static void be_wrong(struct guess_list *list, int times, uint64_t now_ms)
{
    for (int i = 0; i < times; i++) {
        guess_was_wrong(list, ATTACKER, now_ms);
    }
}

static void after_a_burst_one_try_a_second_is_left(void **state)
{
    struct guess_list *list = guess_list_create(GUESS_OF_CLIENT);

    (void)state;
    be_wrong(list, GUESS_BURST - 1, 1000);
    assert_true(guess_may_try(list, ATTACKER, WRONG, 1000));
    be_wrong(list, 1, 1000);

    assert_false(guess_may_try(list, ATTACKER, WRONG, 1000));
    assert_false(guess_may_try(list, ATTACKER, WRONG, 1999));
    assert_true(guess_may_try(list, ATTACKER, WRONG, 2000));
    be_wrong(list, 1, 2000);
    assert_false(guess_may_try(list, ATTACKER, WRONG, 2000));
    guess_list_destroy(list);
}

static void others_are_not_shut_out(void **state)
{
    struct guess_list *list = guess_list_create(GUESS_OF_CLIENT);

    (void)state;
    guess_was_right(list, ATTACKER, RIGHT, 500);
    be_wrong(list, 2 * GUESS_BURST, 1000);

    assert_true(guess_may_try(list, OTHER, WRONG, 1000));
    assert_true(guess_may_try(list, ATTACKER, RIGHT, 1000));
    assert_false(guess_may_try(list, ATTACKER, WRONG, 1000));
    guess_list_destroy(list);
}

static void many_addresses_do_not_grow_it(void **state)
{
    struct guess_list *list = guess_list_create(GUESS_OF_CLIENT);

    (void)state;
    be_wrong(list, GUESS_BURST, 1000);
    for (uint64_t i = 0; i < GUESS_ADDRESSES; i++) {
        guess_was_wrong(list, 1000 + i, 2000 + i);
    }

    assert_true(guess_may_try(list, ATTACKER, WRONG, 2000)); /* forgotten, oldest first */
    guess_list_destroy(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_a_burst_one_try_a_second_is_left),
        cmocka_unit_test(others_are_not_shut_out),
        cmocka_unit_test(many_addresses_do_not_grow_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
