/* test_pgtally.c - what is counted of PostgreSQL sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream/pgtally.h"

static void waits_fall_into_the_bucket_that_holds_them(void **state)
{
    (void)state;
    struct pgtally *tally = pgtally_create();
    assert_non_null(tally);

    pgtally_note_wait(tally, 0);
    pgtally_note_wait(tally, 10);
    pgtally_note_wait(tally, 11);
    pgtally_note_wait(tally, 30000);
    pgtally_note_wait(tally, 30001);

    assert_int_equal(pgtally_waits_within(tally, 0), 2);
    assert_int_equal(pgtally_waits_within(tally, 1), 3);
    assert_int_equal(pgtally_waits_within(tally, PGTALLY_BOUND_COUNT - 1), 4);
    assert_int_equal(pgtally_waits_within(tally, PGTALLY_BOUND_COUNT), 5);
    assert_int_equal(pgtally_events(tally, PGTALLY_SERVED), 5);
    assert_int_equal(tally->waited_ms, 60022);
    assert_int_equal(tally->waited_max_ms, 30001);
    pgtally_release(tally);
}

static void bounds_grow(void **state)
{
    (void)state;
    for (unsigned i = 1; i < PGTALLY_BOUND_COUNT; i++) {
        assert_true(pgtally_bound_ms(i) > pgtally_bound_ms(i - 1));
    }
}

static void readers_and_writers_are_held_apart(void **state)
{
    (void)state;
    struct pgtally *tally = pgtally_create();
    assert_non_null(tally);

    pgtally_hold(tally, PGTALLY_READERS);
    pgtally_hold(tally, PGTALLY_READERS);
    pgtally_hold(tally, PGTALLY_WRITERS);
    pgtally_let_go(tally, PGTALLY_READERS);

    assert_int_equal(pgtally_held(tally, PGTALLY_READERS), 1);
    assert_int_equal(pgtally_held(tally, PGTALLY_WRITERS), 1);
    pgtally_release(tally);
}

static void everything_that_is_counted_has_a_name_of_its_own(void **state)
{
    (void)state;
    const char *names[PGTALLY_EVENT_COUNT + PGTALLY_STATE_COUNT];
    size_t count = 0;
    for (unsigned i = 0; i < PGTALLY_EVENT_COUNT; i++) {
        names[count++] = pgtally_event_name((enum pgtally_event)i);
    }
    for (unsigned i = 0; i < PGTALLY_STATE_COUNT; i++) {
        names[count++] = pgtally_state_name((enum pgtally_state)i);
    }
    for (size_t i = 0; i < count; i++) {
        assert_non_null(names[i]);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(names[i], names[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_fall_into_the_bucket_that_holds_them),
        cmocka_unit_test(bounds_grow),
        cmocka_unit_test(readers_and_writers_are_held_apart),
        cmocka_unit_test(everything_that_is_counted_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
