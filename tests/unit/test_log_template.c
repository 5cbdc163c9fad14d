/* test_log_template.c - formats of the access log, proxy/config/log_template.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/config/log_template.h"

static void unknown_fields_are_named_with_their_place(void **state)
{
    static const struct {
        const char *text;
        size_t column;
        const char *name;
    } cases[] = {
        {"$status $pth", 8, "pth"}, {"$", 0, ""},       {"a $ b", 2, ""},
        {"${status", 0, ""},        {"$STATUS", 0, ""}, {"a\nb", 1, ""},
        {"$status_", 0, "status_"}, {"${}", 0, ""},     {"x\x7f", 1, ""},
    };
    struct log_template out;
    char name[32];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t column = 99;
        assert_int_equal(log_template_parse(cases[i].text, &out, &column, name),
                         RC_EMALFORMED);
        assert_int_equal(column, cases[i].column);
        assert_string_equal(name, cases[i].name);
    }
}

static void nearest_name_is_suggested(void **state)
{
    (void)state;

    assert_string_equal(log_field_nearest("pth"), "path");
    assert_string_equal(log_field_nearest("requestid"), "request_id");
    assert_string_equal(log_field_nearest("upstream_time"), "upstream_ms");
}

static void quotes_are_noticed_around_fields(void **state)
{
    struct log_template out;
    char name[32];
    size_t column = 0;
    (void)state;

    assert_int_equal(
        log_template_parse("\"$path\" $host \"x $agent\"", &out, &column, name), RC_OK);
    bool quoted[LOG_FIELD_COUNT] = {false};
    for (size_t i = 0; i < out.count; i++) {
        quoted[out.pieces[i].field] = out.pieces[i].quoted;
    }
    assert_true(quoted[LOG_FIELD_PATH]);
    assert_false(quoted[LOG_FIELD_HOST]);
    assert_true(quoted[LOG_FIELD_AGENT]);
    assert_true(log_template_has(&out, LOG_FIELD_AGENT));
    assert_false(log_template_has(&out, LOG_FIELD_SNI));
}

static void too_long_a_format_is_refused(void **state)
{
    struct log_template out;
    char name[32];
    char text[2 * LOG_TEMPLATE_MAX];
    size_t column = 0;
    (void)state;

    memset(text, 'a', sizeof text);
    text[LOG_TEMPLATE_MAX] = '\0';
    assert_int_equal(log_template_parse(text, &out, &column, name), RC_ETOOBIG);
    for (size_t i = 0; i + 2 < LOG_TEMPLATE_MAX; i += 2) {
        memcpy(text + i, "$$", 3);
    }
    assert_int_equal(log_template_parse(text, &out, &column, name), RC_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_fields_are_named_with_their_place),
        cmocka_unit_test(nearest_name_is_suggested),
        cmocka_unit_test(quotes_are_noticed_around_fields),
        cmocka_unit_test(too_long_a_format_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
