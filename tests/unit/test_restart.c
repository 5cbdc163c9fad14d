/* When a failing instance is started anew, and when no longer: agent/checks/restart.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/checks/restart.h"

enum { SECOND = 1000, START_MS = 5000000 };

static const struct restart_options thrice = {.after = 3, .per_hour = 5};

struct life {
    struct restart restart;
    uint64_t now_ms;
    unsigned restarts;
    unsigned given_up;
};

/* So many seconds with one result in each; a restart takes no time. */
static void live(struct life *life, unsigned seconds, bool is_failing)
{
    for (unsigned i = 0; i < seconds; i++) {
        life->now_ms += SECOND;
        enum restart_wish wish = restart_result(&life->restart, is_failing, life->now_ms);
        if (wish == RESTART_NOW) {
            life->restarts++;
            restart_ended(&life->restart, life->now_ms, 0);
        }
        life->given_up += wish == RESTART_GIVEN_UP;
    }
}

static struct life born(void)
{
    struct life life = {.now_ms = START_MS};

    restart_init(&life.restart, &thrice);
    return life;
}

static void so_many_failures_in_a_row_want_a_restart(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 2, true);
    live(&life, 1, false);
    live(&life, 2, true);
    assert_int_equal(life.restarts, 0);
    live(&life, 1, true);
    assert_int_equal(life.restarts, 1);
}

static void results_during_a_restart_say_nothing(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 2, true);
    assert_int_equal(restart_result(&life.restart, true, life.now_ms), RESTART_NOW);
    assert_int_equal(life.restart.state, RESTART_RESTARTING);
    for (int i = 0; i < 100; i++) {
        life.now_ms += SECOND;
        assert_int_equal(restart_result(&life.restart, true, life.now_ms),
                         RESTART_NOTHING);
    }
    restart_ended(&life.restart, life.now_ms, 0);
    assert_int_equal(life.restart.state, RESTART_IDLE);
    assert_int_equal(life.restart.count, 1);
}

static void what_was_left_alone_does_not_count(void **state)
{
    struct life life = born();
    (void)state;

    for (int i = 0; i < 100; i++) {
        live(&life, 2, true);
        life.now_ms += SECOND;
        assert_int_equal(restart_result(&life.restart, true, life.now_ms), RESTART_NOW);
        restart_withdrawn(&life.restart);
    }
    assert_int_equal(life.restart.count, 0);
    live(&life, 3, true);
    assert_int_equal(life.restarts, 1);
}

static void the_next_restarts_wait_twice_as_long_each_time(void **state)
{
    struct life life = born();
    uint64_t before_ms = 0;
    uint64_t waits[4];
    (void)state;

    for (unsigned i = 0; i < 5; i++) {
        while (life.restarts == i) {
            live(&life, 1, true);
        }
        if (i > 0) {
            waits[i - 1] = (life.now_ms - before_ms) / SECOND;
        }
        before_ms = life.now_ms;
    }
    assert_int_equal(waits[0], 10);
    assert_int_equal(waits[1], 20);
    assert_int_equal(waits[2], 40);
    assert_int_equal(waits[3], 80);
}

static void jitter_lengthens_a_wait_by_a_fifth_at_most(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 2, true);
    assert_int_equal(restart_result(&life.restart, true, life.now_ms), RESTART_NOW);
    restart_ended(&life.restart, life.now_ms, 1999);
    uint64_t began_ms = life.now_ms;
    while (life.restarts == 0) {
        live(&life, 1, true);
    }
    assert_int_equal(life.now_ms - began_ms, 12 * SECOND);
}

static void within_an_hour_there_are_no_more_than_the_budget(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 3500, true);
    assert_int_equal(life.restarts, 5);
    assert_int_equal(life.given_up, 1);
    assert_int_equal(life.restart.state, RESTART_EXHAUSTED);
}

static void the_budget_slides_and_giving_up_is_said_once_each_time(void **state)
{
    struct life life = born();
    (void)state;

    for (unsigned hour = 1; hour <= 24; hour++) {
        live(&life, 3600, true);
        assert_in_range(life.restarts, 5 * hour - 4, 5 * hour + 1);
    }
    assert_true(life.given_up >= 1 && life.given_up <= life.restarts);
}

static void flapping_says_it_gives_up_once(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 600, true);
    for (int i = 0; i < 20; i++) {
        live(&life, 10, false);
        assert_int_equal(life.restart.state, RESTART_IDLE);
        live(&life, 10, true);
        assert_int_equal(life.restart.state, RESTART_EXHAUSTED);
    }
    assert_int_equal(life.given_up, 1);
}

static void after_a_long_calm_the_next_one_is_at_once(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 40, true);
    assert_int_equal(life.restarts, 3);
    live(&life, 601, false);
    live(&life, 3, true);
    assert_int_equal(life.restarts, 4);
    live(&life, 9, true);
    assert_int_equal(life.restarts, 4);
    live(&life, 1, true);
    assert_int_equal(life.restarts, 5);
}

static void what_rests_on_purpose_is_not_restarted(void **state)
{
    struct life life = born();
    (void)state;

    live(&life, 2, true);
    restart_rest(&life.restart);
    live(&life, 2, true);
    assert_int_equal(life.restarts, 0);
}

static void restarts_of_the_last_run_count(void **state)
{
    struct life life = born();
    (void)state;

    for (unsigned i = 0; i < 5; i++) {
        restart_recall(&life.restart, life.now_ms - 1000000 + (uint64_t)i * SECOND);
    }
    live(&life, 100, true);
    assert_int_equal(life.restarts, 0);
    assert_int_equal(life.restart.state, RESTART_EXHAUSTED);
    live(&life, 2600, true);
    assert_int_equal(life.restarts, 1);
}

static void a_smaller_budget_holds_at_once(void **state)
{
    struct life life = born();
    const struct restart_options once = {.after = 1, .per_hour = 1};
    (void)state;

    live(&life, 4, true);
    restart_reconfigure(&life.restart, &once);
    live(&life, 600, true);
    assert_int_equal(life.restarts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_many_failures_in_a_row_want_a_restart),
        cmocka_unit_test(results_during_a_restart_say_nothing),
        cmocka_unit_test(what_was_left_alone_does_not_count),
        cmocka_unit_test(the_next_restarts_wait_twice_as_long_each_time),
        cmocka_unit_test(jitter_lengthens_a_wait_by_a_fifth_at_most),
        cmocka_unit_test(within_an_hour_there_are_no_more_than_the_budget),
        cmocka_unit_test(the_budget_slides_and_giving_up_is_said_once_each_time),
        cmocka_unit_test(flapping_says_it_gives_up_once),
        cmocka_unit_test(after_a_long_calm_the_next_one_is_at_once),
        cmocka_unit_test(what_rests_on_purpose_is_not_restarted),
        cmocka_unit_test(restarts_of_the_last_run_count),
        cmocka_unit_test(a_smaller_budget_holds_at_once),
    };

    return cmocka_run_group_tests_name("restart", tests, NULL, NULL);
}
