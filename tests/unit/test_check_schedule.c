/* When which check runs, and what else is to be done: agent/checks/schedule.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/checks/schedule.h"
#include "base/err.h"
#include "base/random.h"

enum { SEED = 7, EVERY_MS = 1000, TIMEOUT_MS = 300 };

/* The schedule never looks inside: any definition will do. */
static const struct check_definition definition;

static int set_up(void **state)
{
    return schedule_create(SEED, (struct schedule **)state);
}

static int tear_down(void **state)
{
    schedule_destroy(*state);
    return 0;
}

static uint64_t add(struct schedule *schedule, struct check_options options,
                    uint64_t now_ms)
{
    struct schedule_entry entry = {
        .check = options,
        .definition = &definition,
        .interval_ms = EVERY_MS,
        .timeout_ms = TIMEOUT_MS,
        .owner = schedule,
    };
    uint64_t check = 0;

    assert_int_equal(schedule_add(schedule, &entry, now_ms, &check), RC_OK);
    return check;
}

static const struct check_options plain = {.initial = CHECK_CRITICAL};

/* Waits for the next action; `*now_ms` moves on to when it came. */
static struct schedule_action next(struct schedule *schedule, uint64_t *now_ms)
{
    struct schedule_action action;

    while (!schedule_next_action(schedule, &action)) {
        uint64_t due_ms = schedule_deadline_ms(schedule);
        assert_true(due_ms != UINT64_MAX);
        *now_ms = due_ms > *now_ms ? due_ms : *now_ms;
        schedule_tick(schedule, *now_ms);
    }
    return action;
}

static void answer(struct schedule *schedule, uint64_t probe, enum check_status status,
                   uint64_t now_ms)
{
    struct check_result result = {.status = status, .output = ""};

    schedule_result(schedule, probe, &result, now_ms);
}

static void the_first_run_comes_within_one_interval(void **state)
{
    bool seen_early = false;
    bool seen_late = false;

    for (int i = 0; i < 64; i++) {
        uint64_t now_ms = 5000;
        uint64_t check = add(*state, plain, now_ms);
        struct schedule_action action = next(*state, &now_ms);
        assert_int_equal(action.type, SCHEDULE_START);
        assert_true(now_ms < 5000 + EVERY_MS);
        seen_early = seen_early || now_ms < 5000 + EVERY_MS / 2;
        seen_late = seen_late || now_ms >= 5000 + EVERY_MS / 2;
        schedule_remove(*state, check);
        while (schedule_next_action(*state, &action)) {
            assert_true(action.type == SCHEDULE_CANCEL || action.type == SCHEDULE_FORGET);
        }
    }

    assert_true(seen_early && seen_late);
}

static void the_interval_counts_from_the_start_of_the_run_before(void **state)
{
    uint64_t now_ms = 0;

    (void)add(*state, plain, now_ms);
    struct schedule_action first = next(*state, &now_ms);
    uint64_t started_ms = now_ms;
    answer(*state, first.probe, CHECK_PASSING, now_ms + 250);
    assert_int_equal(next(*state, &now_ms).type, SCHEDULE_CHANGED);
    struct schedule_action second = next(*state, &now_ms);

    assert_int_equal(second.type, SCHEDULE_START);
    assert_int_equal(now_ms, started_ms + EVERY_MS);
    assert_true(second.probe != first.probe);
}

static void a_slow_run_is_never_joined_by_a_second_one(void **state)
{
    struct schedule_entry entry = {.check = plain,
                                   .definition = &definition,
                                   .interval_ms = 100,
                                   .timeout_ms = 100000};
    struct schedule_action action;
    uint64_t now_ms = 0;
    uint64_t check;

    assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_OK);
    struct schedule_action run = next(*state, &now_ms);
    schedule_tick(*state, now_ms + 5000);
    assert_false(schedule_next_action(*state, &action));

    answer(*state, run.probe, CHECK_CRITICAL, now_ms + 5000);
    schedule_tick(*state, now_ms + 5000);
    while (schedule_next_action(*state, &action) && action.type != SCHEDULE_START) {
    }
    assert_int_equal(action.type, SCHEDULE_START); /* one, not fifty */
    assert_false(schedule_next_action(*state, &action));
}

static void a_run_over_its_timeout_is_ended_and_owes_a_result(void **state)
{
    uint64_t now_ms = 0;
    uint64_t check = add(*state, plain, now_ms);
    struct schedule_action run = next(*state, &now_ms);
    uint64_t started_ms = now_ms;

    struct schedule_action end = next(*state, &now_ms);
    assert_int_equal(end.type, SCHEDULE_EXPIRE);
    assert_int_equal(end.probe, run.probe);
    assert_int_equal(now_ms, started_ms + TIMEOUT_MS);

    answer(*state, run.probe, CHECK_CRITICAL, now_ms);
    assert_int_equal(schedule_find(*state, check)->failures, 1);
    while (next(*state, &now_ms).type != SCHEDULE_START) {
    }
    assert_int_equal(now_ms, started_ms + EVERY_MS);
}

static void a_late_result_of_a_cancelled_run_changes_nothing(void **state)
{
    struct schedule_entry entry = {
        .check = plain, .definition = &definition, .interval_ms = EVERY_MS};
    uint64_t now_ms = 0;
    uint64_t check = add(*state, plain, now_ms);
    struct schedule_action run = next(*state, &now_ms);

    schedule_replace(*state, check, &entry, now_ms);
    struct schedule_action cancel = next(*state, &now_ms);
    answer(*state, run.probe, CHECK_PASSING, now_ms);

    assert_int_equal(cancel.type, SCHEDULE_CANCEL);
    assert_int_equal(cancel.probe, run.probe);
    assert_int_equal(next(*state, &now_ms).type, SCHEDULE_FORGET);
    assert_int_equal(schedule_find(*state, check)->status, CHECK_CRITICAL);
}

static void a_removed_check_is_cancelled_and_forgotten(void **state)
{
    uint64_t now_ms = 0;
    uint64_t check = add(*state, plain, now_ms);
    struct schedule_action run = next(*state, &now_ms);
    struct schedule_action action;

    schedule_remove(*state, check);
    assert_null(schedule_find(*state, check));
    assert_true(schedule_next_action(*state, &action));
    assert_int_equal(action.type, SCHEDULE_CANCEL);
    assert_int_equal(action.probe, run.probe);
    assert_true(schedule_next_action(*state, &action));
    assert_int_equal(action.type, SCHEDULE_FORGET);
    assert_int_equal(action.check, check);
    assert_null(action.owner);
    assert_false(schedule_next_action(*state, &action));
    assert_int_equal(schedule_deadline_ms(*state), UINT64_MAX);
}

static void a_run_that_was_never_handed_out_needs_no_cancelling(void **state)
{
    struct schedule_action action;
    uint64_t check = add(*state, plain, 0);

    schedule_tick(*state, EVERY_MS); /* its START waits */
    schedule_remove(*state, check);

    assert_true(schedule_next_action(*state, &action));
    assert_int_equal(action.type, SCHEDULE_FORGET);
    assert_false(schedule_next_action(*state, &action));
}

static void replacing_keeps_the_status(void **state)
{
    struct schedule_entry entry = {
        .check = plain, .definition = &definition, .interval_ms = 5000};
    uint64_t now_ms = 0;
    uint64_t check = add(*state, plain, now_ms);

    answer(*state, next(*state, &now_ms).probe, CHECK_PASSING, now_ms);
    schedule_replace(*state, check, &entry, now_ms);

    assert_int_equal(schedule_find(*state, check)->status, CHECK_PASSING);
    assert_int_equal(schedule_count(*state, CHECK_PASSING), 1);
}

static void news_of_one_check_are_told_once(void **state)
{
    struct schedule_entry entry = {.check = {.initial = CHECK_CRITICAL, .ttl_ms = 60000},
                                   .owner = *state};
    struct check_result good = {.status = CHECK_PASSING, .output = "a", .output_size = 1};
    struct schedule_action action;
    uint64_t check;

    assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_OK);
    (void)schedule_tell(*state, check, &good, 1);
    good.status = CHECK_WARNING;
    (void)schedule_tell(*state, check, &good, 2);

    assert_true(schedule_next_action(*state, &action));
    assert_int_equal(action.type, SCHEDULE_CHANGED);
    assert_ptr_equal(action.owner, *state);
    assert_int_equal(action.news, CHECK_NEWS_STATUS | CHECK_NEWS_OUTPUT);
    assert_false(schedule_next_action(*state, &action));
}

static void a_check_critical_for_too_long_is_reported_again_and_again(void **state)
{
    struct schedule_entry entry = {
        .check = {.initial = CHECK_CRITICAL, .deregister_after_ms = 60000}};
    uint64_t now_ms = 0;
    uint64_t check;

    assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_OK);
    assert_int_equal(next(*state, &now_ms).type, SCHEDULE_OVERDUE);
    assert_int_equal(now_ms, 60000);
    assert_int_equal(next(*state, &now_ms).type, SCHEDULE_OVERDUE);
    assert_int_equal(now_ms, 90000); /* somebody could not deregister it then */
}

static void hurrying_brings_the_next_run_forward(void **state)
{
    struct schedule_entry entry = {
        .check = plain, .definition = &definition, .interval_ms = 3600000};
    uint64_t now_ms = 10;
    uint64_t check;

    assert_int_equal(schedule_add(*state, &entry, 10, &check), RC_OK);
    schedule_hurry(*state, check, 20);

    assert_int_equal(next(*state, &now_ms).type, SCHEDULE_START);
    assert_int_equal(now_ms, 20);
}

static void thousands_of_checks_run_in_the_order_of_their_due_times(void **state)
{
    enum { MANY = 1800 };
    uint64_t checks[MANY];
    uint64_t now_ms = 0;
    uint64_t last_ms = 0;
    struct schedule_action action;

    for (int i = 0; i < MANY; i++) {
        checks[i] = add(*state, plain, 0);
    }
    for (int i = 0; i < MANY; i += 3) {
        schedule_remove(*state, checks[i]);
    }
    for (int i = 0; i < MANY * 4; i++) {
        action = next(*state, &now_ms);
        assert_true(now_ms >= last_ms);
        last_ms = now_ms;
        if (action.type == SCHEDULE_START) {
            answer(*state, action.probe, CHECK_PASSING, now_ms);
        }
    }

    assert_int_equal(schedule_count(*state, CHECK_PASSING), MANY / 3 * 2);
    assert_int_equal(schedule_count(*state, CHECK_CRITICAL), 0);
}

static void more_checks_than_the_maximum_are_refused(void **state)
{
    struct schedule_entry entry = {.check = plain};
    uint64_t check;

    for (int i = 0; i < SCHEDULE_CHECKS_MAX; i++) {
        assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_OK);
    }
    assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_ETOOBIG);
    schedule_remove(*state, check);
    assert_int_equal(schedule_add(*state, &entry, 0, &check), RC_OK);
}

enum { PLACES = 24, STEPS = 20000 };

struct crowd {
    struct schedule *schedule;
    struct rc_random random;
    uint64_t now_ms;
    uint64_t checks[PLACES];  /* 0: none */
    uint64_t running[PLACES]; /* the run last started there */
};

static const struct schedule_entry hasty = {
    .check = {.initial = CHECK_CRITICAL},
    .definition = &definition,
    .interval_ms = 50,
    .timeout_ms = 20,
};

static void put_or_take(struct crowd *crowd, size_t at)
{
    struct schedule_entry entry = hasty;

    entry.owner = &crowd->checks[at];
    switch (rc_random_below(&crowd->random, 3)) {
    case 0:
        if (crowd->checks[at] == 0) {
            assert_int_equal(
                schedule_add(crowd->schedule, &entry, crowd->now_ms, &crowd->checks[at]),
                RC_OK);
        }
        break;
    case 1:
        schedule_remove(crowd->schedule, crowd->checks[at]);
        crowd->checks[at] = 0;
        break;
    default:
        schedule_replace(crowd->schedule, crowd->checks[at], &entry, crowd->now_ms);
    }
}

/* Time passes; some of the work that came up is done, some stays undone for now. */
static void work(struct crowd *crowd)
{
    struct schedule_action action;

    crowd->now_ms += rc_random_below(&crowd->random, 15);
    schedule_tick(crowd->schedule, crowd->now_ms);
    while (rc_random_below(&crowd->random, 4) != 0 &&
           schedule_next_action(crowd->schedule, &action)) {
        if (action.type == SCHEDULE_START) {
            size_t at = (size_t)((uint64_t *)action.owner - crowd->checks);
            assert_true(at < PLACES && crowd->checks[at] == action.check);
            crowd->running[at] = action.probe;
        }
    }
}

static void any_order_of_events_keeps_the_books_straight(void **state)
{
    struct crowd crowd = {.schedule = *state};
    size_t live = 0;

    rc_random_init(&crowd.random, SEED);
    for (int step = 0; step < STEPS; step++) {
        size_t at = rc_random_below(&crowd.random, PLACES);
        switch (rc_random_below(&crowd.random, 4)) {
        case 0:
            put_or_take(&crowd, at);
            break;
        case 1:
            answer(*state, crowd.running[at], (enum check_status)(step % 3),
                   crowd.now_ms);
            break;
        case 2:
            schedule_hurry(*state, crowd.checks[at], crowd.now_ms);
            break;
        default:
            work(&crowd);
        }
    }

    for (size_t i = 0; i < PLACES; i++) {
        live += crowd.checks[i] != 0;
    }
    assert_int_equal(schedule_count(*state, CHECK_PASSING) +
                         schedule_count(*state, CHECK_WARNING) +
                         schedule_count(*state, CHECK_CRITICAL),
                     live);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_first_run_comes_within_one_interval),
        CASE(the_interval_counts_from_the_start_of_the_run_before),
        CASE(a_slow_run_is_never_joined_by_a_second_one),
        CASE(a_run_over_its_timeout_is_ended_and_owes_a_result),
        CASE(a_late_result_of_a_cancelled_run_changes_nothing),
        CASE(a_removed_check_is_cancelled_and_forgotten),
        CASE(a_run_that_was_never_handed_out_needs_no_cancelling),
        CASE(replacing_keeps_the_status),
        CASE(news_of_one_check_are_told_once),
        CASE(a_check_critical_for_too_long_is_reported_again_and_again),
        CASE(hurrying_brings_the_next_run_forward),
        CASE(thousands_of_checks_run_in_the_order_of_their_due_times),
        CASE(more_checks_than_the_maximum_are_refused),
        CASE(any_order_of_events_keeps_the_books_straight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
