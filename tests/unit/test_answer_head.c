#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/http/answer_head.h"

static void a_head_is_a_status_line_and_headers(void **state)
{
    struct rc_buffer out = {0};

    (void)state;
    answer_head_begin(&out, 200, "OK", "Sun, 06 Nov 1994 08:49:37 GMT");
    answer_head_add(&out, "X-Consul-Index", "7");
    answer_head_end(&out, 200, 12, ANSWER_KEEPS_ALIVE);

    assert_string_equal(rc_buffer_string(&out),
                        "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                        "X-Consul-Index: 7\r\nContent-Length: 12\r\n\r\n");
    rc_buffer_fini(&out);
}

static void no_length_is_told_where_there_is_no_body(void **state)
{
    struct rc_buffer out = {0};

    (void)state;
    answer_head_end(&out, 304, 0, ANSWER_CLOSES);
    assert_string_equal(rc_buffer_string(&out), "Connection: close\r\n\r\n");
    rc_buffer_clear(&out);
    answer_head_end(&out, 204, 0, ANSWER_KEEPS_ALIVE);
    assert_string_equal(rc_buffer_string(&out), "\r\n");
    rc_buffer_clear(&out);
    answer_head_end(&out, 404, 0, ANSWER_KEEPS_ALIVE);
    assert_string_equal(rc_buffer_string(&out), "Content-Length: 0\r\n\r\n");
    rc_buffer_fini(&out);
}

static void what_would_split_the_head_is_left_out(void **state)
{
    static const struct {
        const char *why;
        const char *name;
        const char *value;
    } cases[] = {
        {"a line's end in the value", "X-A", "b\r\nX-C: d"},
        {"a line's end in the name", "X-A\nX-C", "b"},
        {"a colon in the name", "X-A: b", "c"},
        {"no name", "", "b"},
        {"a control character", "X-A", "\x01"},
    };
    struct rc_buffer out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answer_head_add(&out, cases[i].name, cases[i].value);
        if (out.size != 0) {
            fail_msg("%s: %s", cases[i].why, rc_buffer_string(&out));
        }
    }
    answer_head_add(&out, "X-A", "b; c=\"d\", \xc3\xa4");
    assert_string_equal(rc_buffer_string(&out), "X-A: b; c=\"d\", \xc3\xa4\r\n");
    rc_buffer_fini(&out);
}

static void dates_are_those_of_rfc_9110(void **state)
{
    char date[ANSWER_DATE_SIZE];

    (void)state;
    answer_date(784111777ULL * 1000 + 999, date);
    assert_string_equal(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    answer_date(UINT64_MAX, date);
    assert_string_equal(date, "Thu, 01 Jan 1970 00:00:00 GMT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_a_status_line_and_headers),
        cmocka_unit_test(no_length_is_told_where_there_is_no_body),
        cmocka_unit_test(what_would_split_the_head_is_left_out),
        cmocka_unit_test(dates_are_those_of_rfc_9110),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
