/* What people rely on when they read a check's status: agent/checks/check.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/checks/check.h"
#include "base/err.h"

enum { START_MS = 1000000 };

static struct check make(struct check_options options)
{
    struct check check;

    check_init(&check, &options, START_MS);
    return check;
}

static unsigned see_role(struct check *check, enum check_status status,
                         enum check_role role, uint64_t after_ms)
{
    struct check_result result = {.status = status, .role = role, .output = "ok"};

    result.output_size = 2;
    return check_observe(check, &result, START_MS + after_ms);
}

static unsigned see(struct check *check, enum check_status status, uint64_t after_ms)
{
    return see_role(check, status, CHECK_ROLE_NONE, after_ms);
}

static void say(struct check *check, enum check_status status, const char *output,
                uint64_t after_ms)
{
    struct check_result result = {
        .status = status, .output = output, .output_size = strlen(output)};

    (void)check_observe(check, &result, START_MS + after_ms);
}

static void the_first_result_counts_at_once(void **state)
{
    struct check check = make(
        (struct check_options){.initial = CHECK_CRITICAL, .success_before_passing = 5});
    (void)state;

    unsigned news = see(&check, CHECK_PASSING, 10);

    assert_true((news & CHECK_NEWS_STATUS) != 0);
    assert_int_equal(check.status, CHECK_PASSING);
    assert_int_equal(check.since_ms, START_MS + 10);
    check_fini(&check);
}

static void thresholds_count_results_in_a_row(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL,
                                                     .success_before_passing = 2,
                                                     .failures_before_critical = 3,
                                                     .undamped = true});
    (void)state;

    (void)see(&check, CHECK_PASSING, 0);
    (void)see(&check, CHECK_CRITICAL, 1);
    (void)see(&check, CHECK_CRITICAL, 2);
    (void)see(&check, CHECK_PASSING, 3); /* breaks the row */
    (void)see(&check, CHECK_CRITICAL, 4);
    (void)see(&check, CHECK_CRITICAL, 5);
    assert_int_equal(check.status, CHECK_PASSING);
    (void)see(&check, CHECK_CRITICAL, 6);
    assert_int_equal(check.status, CHECK_CRITICAL);

    (void)see(&check, CHECK_PASSING, 7);
    assert_int_equal(check.status, CHECK_CRITICAL);
    (void)see(&check, CHECK_WARNING, 8); /* a warning is a success */
    assert_int_equal(check.status, CHECK_WARNING);
    check_fini(&check);
}

static void equal_results_are_no_news(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    (void)state;

    (void)see(&check, CHECK_PASSING, 0);

    assert_int_equal(see(&check, CHECK_PASSING, 200), CHECK_NEWS_NONE);
    check_fini(&check);
}

static void a_second_change_within_a_second_waits_for_its_end(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    (void)state;

    (void)see(&check, CHECK_PASSING, 0);
    (void)see(&check, CHECK_CRITICAL, 200);
    assert_int_equal(check.status, CHECK_PASSING);
    assert_int_equal(check_deadline_ms(&check), START_MS + CHECK_CHANGE_EVERY_MS);

    assert_true((check_tick(&check, START_MS + 1000) & CHECK_NEWS_STATUS) != 0);
    assert_int_equal(check.status, CHECK_CRITICAL);
    check_fini(&check);
}

static void a_long_healthy_check_falls_at_once(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    (void)state;

    (void)see(&check, CHECK_PASSING, 0);
    (void)see(&check, CHECK_CRITICAL, 60000);

    assert_int_equal(check.status, CHECK_CRITICAL);
    check_fini(&check);
}

static void flapping_costs_few_changes_and_ends_critical(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    unsigned changes = 0;
    (void)state;

    for (uint64_t second = 0; second < 600; second++) {
        unsigned news =
            see(&check, second % 2 == 0 ? CHECK_PASSING : CHECK_CRITICAL, second * 1000);
        changes += (news & CHECK_NEWS_STATUS) != 0;
    }

    assert_true(changes < 10);
    assert_int_equal(check.status, CHECK_CRITICAL);
    check_fini(&check);
}

static void a_flapping_check_says_why_it_is_held_and_recovers(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    uint64_t at = 0;
    (void)state;

    for (; at < 10000; at += 1000) {
        (void)see(&check, at % 2000 == 0 ? CHECK_PASSING : CHECK_CRITICAL, at);
    }
    (void)see(&check, CHECK_PASSING, at);
    assert_int_equal(check.status, CHECK_CRITICAL);
    assert_non_null(strstr(rc_buffer_string(&check.output), "Flapping"));

    (void)check_tick(&check, check_deadline_ms(&check));
    assert_int_equal(check.status, CHECK_PASSING);
    assert_string_equal(rc_buffer_string(&check.output), "ok");
    check_fini(&check);
}

static void recoveries_wait_longer_and_never_over_the_maximum(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    uint64_t at = START_MS;
    uint64_t longest = 0;
    (void)state;

    for (int i = 0; i < 40; i++) {
        struct check_result bad = {.status = CHECK_CRITICAL, .output = ""};
        struct check_result good = {.status = CHECK_PASSING, .output = ""};
        (void)check_observe(&check, &bad, at);
        (void)check_tick(&check, at + CHECK_CHANGE_EVERY_MS);
        at += CHECK_CHANGE_EVERY_MS;
        (void)check_observe(&check, &good, at);
        uint64_t settled = check_deadline_ms(&check);
        settled = settled == UINT64_MAX ? at : settled;
        longest = settled - at > longest ? settled - at : longest;
        (void)check_tick(&check, settled);
        assert_int_equal(check.status, CHECK_PASSING);
        at = settled + 1;
    }

    assert_int_equal(longest, CHECK_HOLD_MAX_MS);
    check_fini(&check);
}

static void a_role_change_is_never_held_back(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL});
    (void)state;

    (void)see_role(&check, CHECK_PASSING, CHECK_ROLE_STANDBY, 0);
    unsigned news = see_role(&check, CHECK_PASSING, CHECK_ROLE_PRIMARY, 200);
    assert_int_equal(news, CHECK_NEWS_ROLE);
    assert_int_equal(check.role, CHECK_ROLE_PRIMARY);

    news = see_role(&check, CHECK_CRITICAL, CHECK_ROLE_NONE, 400);
    assert_int_equal(news & (CHECK_NEWS_ROLE | CHECK_NEWS_STATUS),
                     CHECK_NEWS_ROLE | CHECK_NEWS_STATUS);
    assert_int_equal(check.role, CHECK_ROLE_NONE);

    (void)see_role(&check, CHECK_PASSING, CHECK_ROLE_PRIMARY, 600);
    assert_int_equal(check.status, CHECK_PASSING);
    assert_int_equal(check.role, CHECK_ROLE_PRIMARY);
    check_fini(&check);
}

static void a_failure_below_the_threshold_keeps_the_role(void **state)
{
    struct check check = make(
        (struct check_options){.initial = CHECK_CRITICAL, .failures_before_critical = 2});
    (void)state;

    (void)see_role(&check, CHECK_PASSING, CHECK_ROLE_PRIMARY, 0);
    (void)see_role(&check, CHECK_CRITICAL, CHECK_ROLE_NONE, 200);
    assert_int_equal(check.role, CHECK_ROLE_PRIMARY);

    (void)see_role(&check, CHECK_CRITICAL, CHECK_ROLE_NONE, 400);
    assert_int_equal(check.role, CHECK_ROLE_NONE);
    check_fini(&check);
}

static void a_ttl_that_runs_out_is_critical_and_quotes_the_last_words(void **state)
{
    struct check check = make((struct check_options){
        .initial = CHECK_CRITICAL, .ttl_ms = 10000, .keep = CHECK_KEEP_FIRST_MARKED});
    (void)state;

    say(&check, CHECK_PASSING, "disk 40% full", 5000);
    assert_int_equal(check_deadline_ms(&check), START_MS + 15000);
    assert_int_equal(check_tick(&check, START_MS + 14999), CHECK_NEWS_NONE);
    (void)check_tick(&check, START_MS + 15000);

    assert_int_equal(check.status, CHECK_CRITICAL);
    assert_string_equal(
        rc_buffer_string(&check.output),
        "TTL expired (last output before timeout follows): disk 40% full");
    assert_int_equal(check_deadline_ms(&check), UINT64_MAX);
    check_fini(&check);
}

static void a_ttl_without_any_words_just_expires(void **state)
{
    struct check check =
        make((struct check_options){.initial = CHECK_PASSING, .ttl_ms = 10});
    (void)state;

    (void)check_tick(&check, START_MS + 10);

    assert_int_equal(check.status, CHECK_CRITICAL);
    assert_string_equal(rc_buffer_string(&check.output), "TTL expired");
    check_fini(&check);
}

static void ttl_checks_are_not_damped(void **state)
{
    struct check check =
        make((struct check_options){.initial = CHECK_CRITICAL, .ttl_ms = 10000});
    (void)state;

    for (uint64_t i = 0; i < 20; i++) {
        enum check_status status = i % 2 == 0 ? CHECK_PASSING : CHECK_CRITICAL;
        (void)see(&check, status, i);
        assert_int_equal(check.status, status);
    }
    check_fini(&check);
}

static void it_is_overdue_after_being_critical_for_long_enough(void **state)
{
    struct check check = make(
        (struct check_options){.initial = CHECK_CRITICAL, .deregister_after_ms = 60000});
    (void)state;

    (void)see(&check, CHECK_PASSING, 0);
    assert_int_equal(check_overdue_ms(&check), UINT64_MAX);
    (void)see(&check, CHECK_CRITICAL, 5000);
    assert_int_equal(check_overdue_ms(&check), START_MS + 65000);
    (void)see(&check, CHECK_WARNING, 50000);
    assert_int_equal(check_overdue_ms(&check), UINT64_MAX);
    check_fini(&check);
}

static void what_was_restored_holds_until_the_first_result(void **state)
{
    struct check check = make(
        (struct check_options){.initial = CHECK_CRITICAL, .failures_before_critical = 3});
    struct check_result was = {
        .status = CHECK_PASSING, .output = "fine", .output_size = 4};
    (void)state;

    check_restore(&check, &was, START_MS - 5000, UINT64_MAX);
    assert_int_equal(check.status, CHECK_PASSING);
    assert_int_equal(check.since_ms, START_MS - 5000);
    assert_string_equal(rc_buffer_string(&check.output), "fine");

    (void)see(&check, CHECK_CRITICAL, 100);
    assert_int_equal(check.status, CHECK_CRITICAL);
    check_fini(&check);
}

static void output_is_cut_at_the_end_that_matters(void **state)
{
    static const struct {
        const char *why;
        enum check_keep keep;
        const char *bytes;
        size_t total;
        const char *want;
    } cases[] = {
        {"short stays whole", CHECK_KEEP_LAST_MARKED, "abc", 0, "abc"},
        {"http keeps the end, unmarked", CHECK_KEEP_LAST, "0123456789", 0, "23456789"},
        {"script keeps the end and says so", CHECK_KEEP_LAST_MARKED, "0123456789", 0,
         "Captured 8 of 10 bytes\n...\n23456789"},
        {"bytes cut before count too", CHECK_KEEP_LAST_MARKED, "01234567", 5000,
         "Captured 8 of 5000 bytes\n...\n01234567"},
        {"a note keeps the start", CHECK_KEEP_FIRST_MARKED, "0123456789", 0,
         "01234567 ... (captured 8 of 10 bytes)"},
        {"half a character at the start goes", CHECK_KEEP_LAST,
         "\xc3\xa4"
         "1234567",
         0, "1234567"},
        {"half a character at the end goes", CHECK_KEEP_FIRST_MARKED, "1234567\xc3\xa4",
         0, "1234567 ... (captured 7 of 9 bytes)"},
    };
    struct rc_buffer out = {0};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_clean_output(&out, cases[i].bytes, strlen(cases[i].bytes), cases[i].total,
                           8, cases[i].keep);
        if (strcmp(rc_buffer_string(&out), cases[i].want) != 0) {
            fail_msg("%s: got \"%s\"", cases[i].why, rc_buffer_string(&out));
        }
    }
    rc_buffer_fini(&out);
}

static void output_carries_no_control_bytes_and_only_utf8(void **state)
{
    static const char bytes[] = "a\x1b[31mb\x00"
                                "c\xff\xfe\td\r\n\xe2\x82\xac\x7f";
    struct rc_buffer out = {0};
    (void)state;

    check_clean_output(&out, bytes, sizeof bytes - 1, 0, 4096, CHECK_KEEP_LAST);

    assert_string_equal(rc_buffer_string(&out), "a?[31mb?c??\td \n\xe2\x82\xac?");
    rc_buffer_fini(&out);
}

static void ten_megabytes_of_output_leave_four_kilobytes(void **state)
{
    struct check check = make((struct check_options){.initial = CHECK_CRITICAL,
                                                     .keep = CHECK_KEEP_LAST_MARKED});
    char *bytes = test_malloc(10 << 20);
    struct check_result result = {
        .status = CHECK_CRITICAL, .output = bytes, .output_size = 10 << 20};
    (void)state;

    memset(bytes, 'x', 10 << 20);
    (void)check_observe(&check, &result, START_MS);

    assert_true(check.output.size <= CHECK_OUTPUT_MAX + 64);
    test_free(bytes);
    check_fini(&check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_result_counts_at_once),
        cmocka_unit_test(thresholds_count_results_in_a_row),
        cmocka_unit_test(equal_results_are_no_news),
        cmocka_unit_test(a_second_change_within_a_second_waits_for_its_end),
        cmocka_unit_test(a_long_healthy_check_falls_at_once),
        cmocka_unit_test(flapping_costs_few_changes_and_ends_critical),
        cmocka_unit_test(a_flapping_check_says_why_it_is_held_and_recovers),
        cmocka_unit_test(recoveries_wait_longer_and_never_over_the_maximum),
        cmocka_unit_test(a_role_change_is_never_held_back),
        cmocka_unit_test(a_failure_below_the_threshold_keeps_the_role),
        cmocka_unit_test(a_ttl_that_runs_out_is_critical_and_quotes_the_last_words),
        cmocka_unit_test(a_ttl_without_any_words_just_expires),
        cmocka_unit_test(ttl_checks_are_not_damped),
        cmocka_unit_test(it_is_overdue_after_being_critical_for_long_enough),
        cmocka_unit_test(what_was_restored_holds_until_the_first_result),
        cmocka_unit_test(output_is_cut_at_the_end_that_matters),
        cmocka_unit_test(output_carries_no_control_bytes_and_only_utf8),
        cmocka_unit_test(ten_megabytes_of_output_leave_four_kilobytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
