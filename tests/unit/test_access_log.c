/* test_access_log.c - one line a request, whatever the request contained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "proxy/access_log.h"

static struct access_log_entry entry_of(const char *path)
{
    return (struct access_log_entry){
        .wall_ms = UINT64_C(1136214245123),
        .client = rc_span_of("10.0.0.9"),
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_line_is_json_whatever_the_path),
        cmocka_unit_test(combined_line_is_the_known_form),
        cmocka_unit_test(line_that_does_not_fit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
