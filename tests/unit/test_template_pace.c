#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/template/template_pace.h"

static struct template_pace touched(uint64_t now_ms)
{
    struct template_pace pace;

    template_pace_init(&pace, 100, 400);
    template_pace_touch(&pace, now_ms);
    return pace;
}

static void render(struct template_pace *pace, enum template_outcome outcome,
                   uint64_t now_ms)
{
    assert_int_equal(template_pace_next(pace, now_ms), TEMPLATE_RENDER);
    template_pace_rendered(pace, outcome, now_ms);
}

static void nothing_is_done_until_something_changes(void **state)
{
    struct template_pace pace;

    (void)state;
    template_pace_init(&pace, 100, 400);
    assert_int_equal(template_pace_next(&pace, UINT32_MAX), TEMPLATE_NOTHING);
    assert_true(template_pace_deadline_ms(&pace) == UINT64_MAX);
    assert_true(template_pace_is_done(&pace));
}

static void what_changes_together_is_rendered_once_when_it_is_quiet(void **state)
{
    struct template_pace pace = touched(1000);

    (void)state;
    template_pace_touch(&pace, 1050);
    assert_true(template_pace_deadline_ms(&pace) == 1150);
    assert_int_equal(template_pace_next(&pace, 1149), TEMPLATE_NOTHING);
    render(&pace, TEMPLATE_WRITTEN, 1150);
    assert_true(template_pace_is_done(&pace));
}

static void what_changes_all_the_time_is_rendered_all_the_same(void **state)
{
    struct template_pace pace = touched(1000);

    (void)state;
    for (uint64_t now_ms = 1000; now_ms < 1400; now_ms += 50) {
        template_pace_touch(&pace, now_ms);
        assert_int_equal(template_pace_next(&pace, now_ms), TEMPLATE_NOTHING);
    }
    assert_int_equal(template_pace_next(&pace, 1400), TEMPLATE_RENDER);
}

static void a_change_during_the_check_is_rendered_after_it(void **state)
{
    struct template_pace pace = touched(1000);

    (void)state;
    render(&pace, TEMPLATE_CHECKS, 1100);
    template_pace_touch(&pace, 1110);
    assert_int_equal(template_pace_next(&pace, 9000), TEMPLATE_NOTHING);
    assert_true(template_pace_deadline_ms(&pace) == UINT64_MAX);

    template_pace_rendered(&pace, TEMPLATE_OWES, 9000);
    assert_int_equal(template_pace_next(&pace, 9000), TEMPLATE_RELOAD);
    template_pace_reloaded(&pace, TEMPLATE_RELOAD_DONE, 9001);
    assert_int_equal(template_pace_next(&pace, 9001), TEMPLATE_RENDER);
}

static void a_check_that_fails_is_tried_again_later_and_later(void **state)
{
    struct template_pace pace = touched(0);
    uint64_t now_ms = 100;

    (void)state;
    for (uint64_t wait_ms = 1000; wait_ms < 60000; wait_ms *= 2) {
        render(&pace, TEMPLATE_FAILED, now_ms);
        assert_true(template_pace_deadline_ms(&pace) == now_ms + wait_ms);
        now_ms += wait_ms;
    }
    render(&pace, TEMPLATE_FAILED, now_ms);
    assert_true(template_pace_deadline_ms(&pace) == now_ms + 60000);
    render(&pace, TEMPLATE_SAME, now_ms + 60000);
    assert_true(template_pace_is_done(&pace));
}

static void a_change_does_not_wait_for_the_next_try(void **state)
{
    struct template_pace pace = touched(0);

    (void)state;
    for (uint64_t i = 0; i < 6; i++) {
        render(&pace, TEMPLATE_FAILED, 100 + i * 60000);
    }
    template_pace_touch(&pace, 300200);
    assert_true(template_pace_deadline_ms(&pace) == 300300);
}

static void a_reload_that_fails_is_owed_until_it_works(void **state)
{
    struct template_pace pace = touched(0);

    (void)state;
    render(&pace, TEMPLATE_OWES, 100);
    assert_int_equal(template_pace_next(&pace, 100), TEMPLATE_RELOAD);
    template_pace_reloaded(&pace, TEMPLATE_RELOAD_FAILED, 200);
    assert_true(template_pace_deadline_ms(&pace) == 1200);
    assert_false(template_pace_is_done(&pace));

    /* A text that is the same pays nothing back. */
    template_pace_touch(&pace, 300);
    render(&pace, TEMPLATE_SAME, 400);
    assert_int_equal(template_pace_next(&pace, 1200), TEMPLATE_RELOAD);
    template_pace_reloaded(&pace, TEMPLATE_RELOAD_FAILED, 1300);
    assert_true(template_pace_deadline_ms(&pace) == 3300);

    /* Another one has its reload at once. */
    template_pace_touch(&pace, 1400);
    render(&pace, TEMPLATE_OWES, 1500);
    assert_int_equal(template_pace_next(&pace, 1500), TEMPLATE_RELOAD);
    template_pace_reloaded(&pace, TEMPLATE_RELOAD_DONE, 1600);
    assert_true(template_pace_is_done(&pace));
}

static void what_an_agent_tells_that_was_away_waits_until_it_has_settled(void **state)
{
    struct template_pace pace = touched(1000);

    (void)state;
    template_pace_hold(&pace, 3000);
    template_pace_hold(&pace, 2000);
    assert_true(template_pace_deadline_ms(&pace) == 3000);
    assert_int_equal(template_pace_next(&pace, 2999), TEMPLATE_NOTHING);
    render(&pace, TEMPLATE_SAME, 3000);

    template_pace_hold(&pace, 9000);
    assert_true(template_pace_is_done(&pace));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_done_until_something_changes),
        cmocka_unit_test(what_changes_together_is_rendered_once_when_it_is_quiet),
        cmocka_unit_test(what_changes_all_the_time_is_rendered_all_the_same),
        cmocka_unit_test(a_change_during_the_check_is_rendered_after_it),
        cmocka_unit_test(a_check_that_fails_is_tried_again_later_and_later),
        cmocka_unit_test(a_change_does_not_wait_for_the_next_try),
        cmocka_unit_test(a_reload_that_fails_is_owed_until_it_works),
        cmocka_unit_test(what_an_agent_tells_that_was_away_waits_until_it_has_settled),
    };
    return cmocka_run_group_tests_name("template_pace", tests, NULL, NULL);
}
