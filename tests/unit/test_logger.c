/* test_logger.c - one line an event, whatever the event says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/logger.h"

struct heard {
    int count;
    char last[5000];
};

static void listen_to(void *context, const char *line)
{
    struct heard *heard = context;

    heard->count++;
    (void)snprintf(heard->last, sizeof heard->last, "%s", line);
}

/* The line without its time, which is 24 characters and a space. */
static const char *without_time(const char *line)
{
    assert_true(strlen(line) > 25);
    return line + 25;
}

static void listeners_hear_what_is_below_the_level_of_the_log(void **state)
{
    struct heard all = {0};
    struct heard errors = {0};
    (void)state;

    int first = rc_log_listen(RC_LOG_DEBUG, listen_to, &all);
    int second = rc_log_listen(RC_LOG_ERROR, listen_to, &errors);
    rc_log(RC_LOG_DEBUG, "dns", "question %d", 7);
    rc_log(RC_LOG_TRACE, "dns", "not for anybody");
    assert_int_equal(all.count, 1);
    assert_int_equal(errors.count, 0);
    assert_string_equal(without_time(all.last), "[DEBUG] dns: question 7");
    rc_log_unlisten(first);
    rc_log_unlisten(second);
    rc_log(RC_LOG_DEBUG, "dns", "nobody is there");
    assert_int_equal(all.count, 1);
}

static void no_text_can_forge_a_second_line(void **state)
{
    struct heard heard = {0};
    (void)state;

    int id = rc_log_listen(RC_LOG_DEBUG, listen_to, &heard);
    rc_log(RC_LOG_DEBUG, "http", "%s", "a\nb\rc\x1b[31m");
    assert_string_equal(without_time(heard.last), "[DEBUG] http: a\\nb\\rc\\x1b[31m");
    rc_log_unlisten(id);
}

static void long_lines_are_cut(void **state)
{
    struct heard heard = {0};
    char text[6000];
    (void)state;

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    int id = rc_log_listen(RC_LOG_DEBUG, listen_to, &heard);
    rc_log(RC_LOG_DEBUG, "http", "%s", text);
    assert_in_range(strlen(heard.last), 3000, 4096);
    rc_log_unlisten(id);
}

static void json_style_is_one_object_a_line(void **state)
{
    struct heard heard = {0};
    (void)state;

    int id = rc_log_listen(RC_LOG_DEBUG, listen_to, &heard);
    rc_log_setup(RC_LOG_INFO, RC_LOG_JSON);
    rc_log(RC_LOG_DEBUG, "dns", "said \"%s\"", "x\n");
    rc_log_setup(RC_LOG_INFO, RC_LOG_PLAIN);
    assert_non_null(strstr(heard.last,
                           "{\"@level\":\"debug\",\"@message\":\"said "
                           "\\\"x\\n\\\"\",\"@module\":\"dns\",\"@timestamp\":\""));
    rc_log_unlisten(id);
}

static void levels_are_read_in_any_case(void **state)
{
    enum rc_log_level level = RC_LOG_TRACE;
    (void)state;

    assert_int_equal(rc_log_level_parse("WARN", &level), RC_OK);
    assert_int_equal(level, RC_LOG_WARN);
    assert_int_equal(rc_log_level_parse("err", &level), RC_OK);
    assert_int_equal(level, RC_LOG_ERROR);
    assert_int_equal(rc_log_level_parse("loud", &level), RC_EINVAL);
    assert_string_equal(rc_log_level_name(RC_LOG_ERROR), "error");
}

static void there_are_at_most_sixteen_listeners(void **state)
{
    struct heard heard = {0};
    int ids[16];
    (void)state;

    for (int i = 0; i < 16; i++) {
        ids[i] = rc_log_listen(RC_LOG_ERROR, listen_to, &heard);
        assert_true(ids[i] >= 0);
    }
    assert_int_equal(rc_log_listen(RC_LOG_ERROR, listen_to, &heard), -1);
    for (int i = 0; i < 16; i++) {
        rc_log_unlisten(ids[i]);
    }
    rc_log_unlisten(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_hear_what_is_below_the_level_of_the_log),
        cmocka_unit_test(no_text_can_forge_a_second_line),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(json_style_is_one_object_a_line),
        cmocka_unit_test(levels_are_read_in_any_case),
        cmocka_unit_test(there_are_at_most_sixteen_listeners),
    };
    return cmocka_run_group_tests_name("logger", tests, NULL, NULL);
}
