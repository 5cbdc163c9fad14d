#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/watch/watch_schedule.h"

static struct watch_schedule one_watch(enum watch_pace pace)
{
    struct watch_schedule s = {0};

    watch_schedule_take(&s, 0, pace);
    return s;
}

/* Looks at `slot` 0 and runs its handler until `ends_ms`. */
static void look_and_run(struct watch_schedule *s, uint64_t now_ms, uint64_t ends_ms)
{
    struct watch_action action;

    assert_true(watch_schedule_next(s, now_ms, &action));
    assert_int_equal(action.type, WATCH_LOOK);
    watch_schedule_run(s, action.slot, ends_ms);
}

static void what_changes_together_is_one_look(void **state)
{
    struct watch_schedule s = one_watch(WATCH_STEADY);
    struct watch_action action;

    (void)state;
    assert_int_equal(watch_schedule_deadline_ms(&s), UINT64_MAX);
    watch_schedule_touch(&s, 0, 1000);
    watch_schedule_touch(&s, 0, 1010);
    assert_int_equal(watch_schedule_deadline_ms(&s), 1000 + WATCH_SETTLE_MS);
    assert_false(watch_schedule_next(&s, 1000 + WATCH_SETTLE_MS - 1, &action));
    assert_true(watch_schedule_next(&s, 1000 + WATCH_SETTLE_MS, &action));
    watch_schedule_rest(&s, action.slot);

    assert_false(watch_schedule_next(&s, 9000, &action));
}

static void one_handler_runs_at_a_time(void **state)
{
    struct watch_schedule s = one_watch(WATCH_STEADY);
    struct watch_action action;

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    look_and_run(&s, 1020, 9000);
    watch_schedule_touch(&s, 0, 1100);
    watch_schedule_touch(&s, 0, 1200);
    assert_false(watch_schedule_next(&s, 2000, &action));

    watch_schedule_ended(&s, 0, WATCH_DONE, 2000);
    look_and_run(&s, 2000, 9000);
    watch_schedule_ended(&s, 0, WATCH_DONE, 2100);
    assert_false(watch_schedule_next(&s, 9000, &action));
}

static void a_change_during_the_look_is_seen_by_the_next(void **state)
{
    struct watch_schedule s = one_watch(WATCH_PROMPT);
    struct watch_action action;

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    assert_true(watch_schedule_next(&s, 1000, &action));
    watch_schedule_touch(&s, 0, 1001);
    watch_schedule_rest(&s, 0);
    assert_true(watch_schedule_next(&s, 1001, &action));
}

static void a_handler_that_takes_too_long_is_ended(void **state)
{
    struct watch_schedule s = one_watch(WATCH_STEADY);
    struct watch_action action;

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    look_and_run(&s, 1020, 3000);
    assert_int_equal(watch_schedule_deadline_ms(&s), 3000);
    assert_true(watch_schedule_next(&s, 3000, &action));
    assert_int_equal(action.type, WATCH_EXPIRE);
    assert_false(watch_schedule_next(&s, 3000, &action)); /* once */
    watch_schedule_ended(&s, 0, WATCH_FAILED, 3000);
    watch_schedule_ended(&s, 0, WATCH_FAILED, 3000); /* nothing runs: ignored */
    assert_int_equal(s.running, 0);
    assert_int_equal(s.slots[0].failures, 1);
}

static void failures_make_the_next_run_wait_longer_and_longer(void **state)
{
    static const uint64_t waits_ms[] = {1000,  2000,  4000,  8000,
                                        16000, 32000, 60000, 60000};
    struct watch_schedule s = one_watch(WATCH_STEADY);
    struct watch_action action;
    uint64_t now_ms = 1000;

    (void)state;
    watch_schedule_touch(&s, 0, now_ms);
    for (size_t i = 0; i < sizeof waits_ms / sizeof waits_ms[0]; i++) {
        now_ms = watch_schedule_deadline_ms(&s);
        look_and_run(&s, now_ms, now_ms + 100);
        watch_schedule_touch(&s, 0, now_ms);
        watch_schedule_ended(&s, 0, WATCH_FAILED, now_ms);
        assert_int_equal(watch_schedule_deadline_ms(&s), now_ms + waits_ms[i]);
        assert_false(watch_schedule_next(&s, now_ms + waits_ms[i] - 1, &action));
    }
    now_ms = watch_schedule_deadline_ms(&s);
    look_and_run(&s, now_ms, now_ms + 100);
    watch_schedule_ended(&s, 0, WATCH_DONE, now_ms);
    watch_schedule_touch(&s, 0, now_ms);
    assert_int_equal(watch_schedule_deadline_ms(&s), now_ms + WATCH_SETTLE_MS);
}

static void the_same_news_are_not_handled_twice(void **state)
{
    struct watch_schedule s = one_watch(WATCH_STEADY);

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    look_and_run(&s, 1020, 3000);
    watch_schedule_ended(&s, 0, WATCH_FAILED, 1100);
    assert_int_equal(watch_schedule_deadline_ms(&s), UINT64_MAX);
}

static void whoever_is_waited_for_neither_settles_nor_backs_off(void **state)
{
    struct watch_schedule s = one_watch(WATCH_PROMPT);

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    look_and_run(&s, 1000, 3000);
    watch_schedule_ended(&s, 0, WATCH_FAILED, 1100);
    watch_schedule_touch(&s, 0, 1100);
    look_and_run(&s, 1100, 3000);
}

static void so_many_handlers_run_together_and_everybody_gets_a_turn(void **state)
{
    struct watch_schedule s = {0};
    struct watch_action action;
    unsigned turns[WATCH_SLOTS_MAX] = {0};

    (void)state;
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        watch_schedule_take(&s, i, WATCH_PROMPT);
    }
    for (unsigned round = 0; round < 2 * WATCH_SLOTS_MAX / WATCH_RUNS_MAX; round++) {
        for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
            watch_schedule_touch(&s, i, 1000);
        }
        while (watch_schedule_next(&s, 1000, &action)) {
            watch_schedule_run(&s, action.slot, 2000);
            turns[action.slot]++;
        }
        assert_int_equal(s.running, WATCH_RUNS_MAX);
        for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
            watch_schedule_ended(&s, i, WATCH_DONE, 1000);
        }
    }
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        assert_int_equal(turns[i], 2);
    }
}

static void a_freed_slot_does_nothing(void **state)
{
    struct watch_schedule s = one_watch(WATCH_STEADY);
    struct watch_action action;

    (void)state;
    watch_schedule_touch(&s, 0, 1000);
    look_and_run(&s, 1020, 3000);
    watch_schedule_free(&s, 0);
    watch_schedule_touch(&s, 0, 1000);
    assert_int_equal(s.running, 0);
    assert_int_equal(watch_schedule_deadline_ms(&s), UINT64_MAX);
    assert_false(watch_schedule_next(&s, 5000, &action));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changes_together_is_one_look),
        cmocka_unit_test(one_handler_runs_at_a_time),
        cmocka_unit_test(a_change_during_the_look_is_seen_by_the_next),
        cmocka_unit_test(a_handler_that_takes_too_long_is_ended),
        cmocka_unit_test(failures_make_the_next_run_wait_longer_and_longer),
        cmocka_unit_test(the_same_news_are_not_handled_twice),
        cmocka_unit_test(whoever_is_waited_for_neither_settles_nor_backs_off),
        cmocka_unit_test(so_many_handlers_run_together_and_everybody_gets_a_turn),
        cmocka_unit_test(a_freed_slot_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
