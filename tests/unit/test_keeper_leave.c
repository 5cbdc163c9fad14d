/* test_keeper_leave.c - what a keeper does before its agent ends, and with the session's time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/keeper_world.h"

static void a_primary_that_restarts_has_half_a_minute_and_its_warden_knows(void **state)
{
    struct keeper_world *w = *state;

    w->session_ttl_ms = 3000;
    w->session_index = 5;
    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_RESTARTS));
    assert_false(keeper_has_retired(w->k));
    keeper_world_pass(w, 500);
    assert_true(keeper_has_retired(w->k));
    assert_int_equal(w->session_ttl_ms, 30000);
    assert_true(w->warden.deadline_ms > w->now_ms + 24000);
    assert_true(w->warden.deadline_ms < w->now_ms + 25500);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
}

static void who_comes_back_shortens_its_time_only_when_no_deadline_needs_it(void **state)
{
    struct keeper_world *w = *state;

    w->session_ttl_ms = 30000;
    w->session_index = 5;
    keeper_world_hold(w);
    w->warden.deadline_ms = w->now_ms + 6000;
    keeper_world_pass(w, 3000);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    assert_int_equal(w->session_ttl_ms, 30000);
    keeper_world_pass(w, 2500);
    assert_int_equal(w->session_ttl_ms, 3000);
    keeper_world_pass(w, 1500);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    assert_true(w->warden.deadline_ms < w->now_ms + 2600);
}

static void a_shorter_time_that_is_not_answered_ends_what_it_backs(void **state)
{
    struct keeper_world *w = *state;

    w->session_ttl_ms = 30000;
    w->session_index = 5;
    w->is_retiming_silent = true;
    keeper_world_hold(w);
    w->warden.deadline_ms = w->now_ms + 1500;
    keeper_world_pass(w, 2000);
    size_t renewals = keeper_world_count(w, KEEPER_RENEW);
    keeper_world_pass(w, 1500);
    assert_int_equal(keeper_world_count(w, KEEPER_RENEW), renewals);
    keeper_world_pass(w, 1500);
    assert_true(keeper_world_count(w, KEEPER_KILL) > 0);
}

static void
a_session_that_has_less_than_we_would_give_it_counts_by_what_it_has(void **state)
{
    struct keeper_world *w = *state;
    struct keeper_status status;

    w->session_ttl_ms = 2000;
    w->is_retiming_silent = true;
    keeper_world_hold(w);
    keeper_world_pass(w, 300);
    keeper_status(w->k, &status);
    assert_int_equal(status.hard_ms, status.renewed_ms + 1500);
}

static void a_primary_that_leaves_hands_over_and_stays_down(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold_with_heir(w, "{\"state\":\"standby\"}");
    keeper_world_pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES));
    keeper_world_pass(w, 3500);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
    assert_int_equal(keeper_world_count(w, KEEPER_STOP_FAST), 1);
    assert_int_equal(keeper_world_count(w, KEEPER_KILL), 0);
    assert_false(keeper_has_retired(w->k));
}

static void a_primary_that_nobody_can_take_over_from_does_not_leave(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_hold(w);
    keeper_world_pass(w, 1000);
    assert_non_null(strstr(keeper_retire(w->k, KEEPER_LEAVES), "without loss"));
    keeper_world_pass(w, 500);
    assert_int_equal(keeper_world_state(w), KEEPER_PRIMARY);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES_ALL_THE_SAME));
    keeper_world_pass(w, 50);
    assert_int_equal(keeper_world_state(w), KEEPER_DEMOTING);
}

static void a_standby_that_leaves_has_nothing_to_wait_for(void **state)
{
    struct keeper_world *w = *state;

    keeper_world_stand_by(w);
    keeper_world_pass(w, 1000);
    assert_null(keeper_retire(w->k, KEEPER_LEAVES));
    assert_true(keeper_has_retired(w->k));
}

#define CLAIM(f) \
    cmocka_unit_test_setup_teardown(f, keeper_world_set_up, keeper_world_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_primary_that_restarts_has_half_a_minute_and_its_warden_knows),
        CLAIM(who_comes_back_shortens_its_time_only_when_no_deadline_needs_it),
        CLAIM(a_shorter_time_that_is_not_answered_ends_what_it_backs),
        CLAIM(a_session_that_has_less_than_we_would_give_it_counts_by_what_it_has),
        CLAIM(a_primary_that_leaves_hands_over_and_stays_down),
        CLAIM(a_primary_that_nobody_can_take_over_from_does_not_leave),
        CLAIM(a_standby_that_leaves_has_nothing_to_wait_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
