#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/event/history.h"
#include "base/err.h"

enum { FIRST_INDEX = 1000, HOUR_MS = 3600 * 1000 };

static int make(void **state)
{
    *state = history_create(FIRST_INDEX);
    return *state != NULL ? 0 : -1;
}

static int end(void **state)
{
    history_destroy(*state);
    return 0;
}

static void add(struct history *history, uint64_t at_ms, enum history_kind kind,
                const char *node)
{
    const struct history_event event = {.at_ms = at_ms, .kind = kind, .node = node};

    history_add(history, &event);
}

static size_t count_all(const struct history *history, uint64_t now_ms)
{
    struct history_walk walk = {0};
    struct history_event event;
    uint64_t before = 0;
    size_t count = 0;

    while (history_next(history, now_ms, &walk, &event)) {
        assert_true(event.index > before);
        before = event.index;
        count++;
    }
    return count;
}

static void what_was_told_is_read_back_in_order(void **state)
{
    struct history *history = *state;
    struct history_walk walk = {0};
    struct history_event out;
    const struct history_event event = {.at_ms = 5,
                                        .kind = HISTORY_CHECK,
                                        .node = "web1",
                                        .service = "todomvc",
                                        .service_id = "todomvc/1",
                                        .check = "http",
                                        .from = "passing",
                                        .to = "critical",
                                        .text = "connection refused"};

    add(history, 4, HISTORY_JOIN, "web1");
    history_add(history, &event);
    add(history, 6, HISTORY_FAILED, "web1");

    assert_true(history_next(history, 6, &walk, &out));
    assert_int_equal(out.kind, HISTORY_JOIN);
    assert_int_equal(out.index, FIRST_INDEX + 1);
    assert_string_equal(out.text, "");
    assert_true(history_next(history, 6, &walk, &out));
    assert_int_equal(out.at_ms, 5);
    assert_string_equal(out.node, "web1");
    assert_string_equal(out.service, "todomvc");
    assert_string_equal(out.service_id, "todomvc/1");
    assert_string_equal(out.check, "http");
    assert_string_equal(out.from, "passing");
    assert_string_equal(out.to, "critical");
    assert_string_equal(out.text, "connection refused");
    assert_true(history_next(history, 6, &walk, &out));
    assert_int_equal(out.kind, HISTORY_FAILED);
    assert_false(history_next(history, 6, &walk, &out));
    assert_int_equal(history_index(history), FIRST_INDEX + 3);
    assert_int_equal(history_count(history, HISTORY_CHECK), 1);
}

static void an_empty_history_has_the_index_it_began_with(void **state)
{
    assert_int_equal(history_index(*state), FIRST_INDEX);
    assert_int_equal(count_all(*state, 1), 0);
}

static void a_storm_of_checks_leaves_the_last_failover_in_sight(void **state)
{
    struct history *history = *state;
    struct history_walk walk = {0};
    struct history_event out;

    add(history, 1, HISTORY_PROMOTION, "pg2");
    for (int i = 0; i < 100000; i++) {
        add(history, 2, HISTORY_CHECK, "web1");
    }

    assert_true(count_all(history, 2) <= HISTORY_MAX);
    assert_true(count_all(history, 2) > HISTORY_MAX / 2);
    assert_true(history_next(history, 2, &walk, &out));
    assert_int_equal(out.kind, HISTORY_PROMOTION);
    assert_string_equal(out.node, "pg2");
    assert_int_equal(history_count(history, HISTORY_CHECK), 100000);
}

static void what_is_older_than_a_day_is_not_told(void **state)
{
    struct history *history = *state;

    add(history, 1, HISTORY_CHECK, "old");
    add(history, 23 * (uint64_t)HOUR_MS, HISTORY_JOIN, "young");

    assert_int_equal(count_all(history, 23 * (uint64_t)HOUR_MS), 2);
    assert_int_equal(count_all(history, 25 * (uint64_t)HOUR_MS), 1);
    assert_int_equal(count_all(history, 72 * (uint64_t)HOUR_MS), 0);
}

static void a_clock_that_goes_back_hides_nothing(void **state)
{
    add(*state, 90 * (uint64_t)HOUR_MS, HISTORY_CHECK, "web1");
    add(*state, 1, HISTORY_CHECK, "web1");

    assert_int_equal(count_all(*state, 2), 2);
}

static void texts_that_are_too_long_are_cut_between_characters(void **state)
{
    char text[2 * HISTORY_TEXT_MAX];
    struct history_walk walk = {0};
    struct history_event out;

    for (size_t i = 0; i + 1 < sizeof text; i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    text[sizeof text - 2] = '\0';
    add(*state, 1, HISTORY_CHECK, text);

    assert_true(history_next(*state, 1, &walk, &out));
    assert_int_equal(strlen(out.node), HISTORY_TEXT_MAX - 1);
    assert_memory_equal(out.node, text, HISTORY_TEXT_MAX - 1);
}

/* Lengths of all sorts, so that every way around the ring is gone: what is left is whole. */
static void long_and_short_texts_never_overwrite_each_other(void **state)
{
    struct history *history = *state;
    char text[HISTORY_TEXT_MAX + 1];

    for (unsigned i = 0; i < 50000; i++) {
        struct history_walk walk = {0};
        struct history_event out;
        size_t size = i * 2654435761U % HISTORY_TEXT_MAX;
        memset(text, 'a' + (char)(i % 26), size);
        text[size] = '\0';
        const struct history_event event = {.at_ms = size,
                                            .kind = HISTORY_CHECK,
                                            .node = text,
                                            .check = text,
                                            .from = text,
                                            .text = text};
        history_add(history, &event);
        if (i % 1000 != 0) {
            continue;
        }
        while (history_next(history, 0, &walk, &out)) {
            assert_int_equal(strlen(out.node), out.at_ms);
            assert_string_equal(out.node, out.text);
            assert_string_equal(out.node, out.check);
            assert_true(out.at_ms == 0 ||
                        strspn(out.node, (char[]){out.node[0], '\0'}) == out.at_ms);
        }
    }
    assert_true(count_all(history, 0) > 500);
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    enum history_kind kind;

    (void)state;
    for (unsigned i = 0; i < HISTORY_KIND_COUNT; i++) {
        const char *name = history_kind_name((enum history_kind)i);
        assert_int_equal(history_kind_parse(name, &kind), RC_OK);
        assert_int_equal(kind, i);
    }
    assert_int_equal(history_kind_parse("chek", &kind), RC_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_told_is_read_back_in_order, make, end),
        cmocka_unit_test_setup_teardown(an_empty_history_has_the_index_it_began_with,
                                        make, end),
        cmocka_unit_test_setup_teardown(
            a_storm_of_checks_leaves_the_last_failover_in_sight, make, end),
        cmocka_unit_test_setup_teardown(what_is_older_than_a_day_is_not_told, make, end),
        cmocka_unit_test_setup_teardown(a_clock_that_goes_back_hides_nothing, make, end),
        cmocka_unit_test_setup_teardown(
            texts_that_are_too_long_are_cut_between_characters, make, end),
        cmocka_unit_test_setup_teardown(long_and_short_texts_never_overwrite_each_other,
                                        make, end),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
