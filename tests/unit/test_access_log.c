/* test_access_log.c - one line a request, whatever the request contained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "proxy/log/access_log.h"

static struct access_log_entry entry_of(const char *path)
{
    return (struct access_log_entry){
        .wall_ms = UINT64_C(1136214245123),
        .client = rc_span_of("10.0.0.9"),
        .protocol = rc_span_of("HTTP/1.1"),
        .method = rc_span_of("GET"),
        .host = rc_span_of("app.test"),
        .path = rc_span_of(path),
        .pool = rc_span_of("web"),
        .instance = rc_span_of("10.0.0.1:80"),
        .request_id = rc_span_of("id"),
        .agent = rc_span_of("curl/8"),
        .status = 499,
        .bytes_in = 1,
        .bytes_out = 2,
        .attempts = 3,
        .total_us = 1500,
        .who = ACCESS_LOG_CLIENT,
        .phase = ACCESS_LOG_HEAD,
    };
}

static void json_line_is_json_whatever_the_path(void **state)
{
    static const char *const paths[] = {"/", "/\"", "/\\", "/a\nb", "/\x01\x7f\xff"};
    (void)state;

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        char space[ACCESS_LOG_LINE_MAX];
        struct rc_writer out = rc_writer_over(space, sizeof space);
        struct access_log_entry entry = entry_of(paths[i]);
        assert_int_equal(access_log_json(&entry, &out), RC_OK);
        size_t size = rc_writer_size(&out);
        assert_ptr_equal(memchr(space, '\n', size), space + size - 1);
        json_t *line = json_loadb(space, size, 0, NULL);
        assert_non_null(line);
        assert_int_equal(json_integer_value(json_object_get(line, "status")), 499);
        assert_string_equal(json_string_value(json_object_get(line, "ended")), "CH");
        json_decref(line);
    }
}

static void combined_line_is_the_known_form(void **state)
{
    char space[ACCESS_LOG_LINE_MAX + 1];
    struct rc_writer out = rc_writer_over(space, sizeof space - 1);
    struct access_log_entry entry = entry_of("/a\"b");
    (void)state;

    assert_int_equal(access_log_combined(&entry, &out), RC_OK);
    space[rc_writer_size(&out)] = '\0';
    assert_string_equal(space, "10.0.0.9 - - [02/Jan/2006:15:04:05 +0000] "
                               "\"GET /a\\\"b HTTP/1.1\" 499 2 \"-\" \"curl/8\" "
                               "10.0.0.1:80 1.500 CH\n");
}

static void line_that_does_not_fit_is_an_error(void **state)
{
    char space[64];
    struct rc_writer out = rc_writer_over(space, sizeof space);
    struct access_log_entry entry = entry_of("/");
    (void)state;

    assert_int_equal(access_log_json(&entry, &out), RC_ETOOBIG);
}

/* The line that `text` makes of `entry`, without its line end, in `space`. */
static const char *line_of(const char *text, const struct access_log_entry *entry,
                           char space[ACCESS_LOG_LINE_MAX + 1])
{
    struct log_template template;
    struct rc_writer out = rc_writer_over(space, ACCESS_LOG_LINE_MAX);
    char name[32];
    size_t column = 0;

    assert_int_equal(log_template_parse(text, &template, &column, name), RC_OK);
    assert_int_equal(access_log_template(entry, &template, &out), RC_OK);
    size_t size = rc_writer_size(&out);
    assert_true(size > 0 && space[size - 1] == '\n');
    space[size - 1] = '\0';
    return space;
}

static void template_puts_fields_where_it_names_them(void **state)
{
    static const struct {
        const char *template;
        const char *line;
    } cases[] = {
        {"$client $method $path", "10.0.0.9 GET /a"},
        {"${status}ms$$", "499ms$"},
        {"$time", "2006-01-02T15:04:05.123Z"},
        {"$epoch", "1136214245.123"},
        {"$total_ms $bytes_in/$bytes_out $attempts $reused", "1.500 1/2 3 0"},
        {"$ended $reason", "CH rate"},
        {"$sni $route", "- -"},
        {"", ""},
    };
    char space[ACCESS_LOG_LINE_MAX + 1];
    struct access_log_entry entry = entry_of("/a");
    (void)state;

    entry.refusal = REFUSAL_RATE;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(line_of(cases[i].template, &entry, space), cases[i].line);
    }
}

static void every_field_has_a_value_or_a_dash(void **state)
{
    char space[ACCESS_LOG_LINE_MAX + 1];
    struct access_log_entry entry = entry_of("/");
    (void)state;

    for (unsigned i = LOG_FIELD_TEXT + 1; i < LOG_FIELD_COUNT; i++) {
        char text[40];
        (void)snprintf(text, sizeof text, "$%s", log_field_name((enum log_field)i));
        assert_true(strlen(line_of(text, &entry, space)) > 0);
    }
}

static void no_value_looks_like_two_fields_or_two_lines(void **state)
{
    char space[ACCESS_LOG_LINE_MAX + 1];
    struct access_log_entry entry = entry_of("/a b\"c\\d\ne\xc3\xa9\x7f");
    (void)state;

    assert_string_equal(line_of("$path", &entry, space),
                        "/a\\x20b\\\"c\\\\d\\x0ae\\xc3\\xa9\\x7f");
    assert_string_equal(line_of("\"$path\" $status", &entry, space),
                        "\"/a b\\\"c\\\\d\\x0ae\\xc3\\xa9\\x7f\" 499");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_line_is_json_whatever_the_path),
        cmocka_unit_test(combined_line_is_the_known_form),
        cmocka_unit_test(line_that_does_not_fit_is_an_error),
        cmocka_unit_test(template_puts_fields_where_it_names_them),
        cmocka_unit_test(every_field_has_a_value_or_a_dash),
        cmocka_unit_test(no_value_looks_like_two_fields_or_two_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
