#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/target.h"
#include "base/err.h"

static int parse(struct target *target, const char *raw)
{
    return target_parse(target, raw, strlen(raw));
}

static void a_path_is_decoded_and_its_parameters_are_found(void **state)
{
    struct target target = {0};

    (void)state;
    assert_int_equal(
        parse(&target, "/v1/health/service/web%2Fa?passing&tag=a+b&tag=%C3%A9&near="),
        RC_OK);

    assert_string_equal(target.path, "/v1/health/service/web/a");
    assert_string_equal(target.raw_query, "passing&tag=a+b&tag=%C3%A9&near=");
    assert_int_equal(target.parameter_count, 4);
    assert_string_equal(target_parameter(&target, "passing"), "");
    assert_string_equal(target_parameter(&target, "tag"), "a b");
    assert_string_equal(target.parameters[2].value, "\xc3\xa9");
    assert_string_equal(target_parameter(&target, "near"), "");
    assert_null(target_parameter(&target, "Tag"));
    target_fini(&target);
}

static void a_plus_in_the_path_stays_a_plus(void **state)
{
    struct target target = {0};

    (void)state;
    assert_int_equal(parse(&target, "/v1/a+b"), RC_OK);

    assert_string_equal(target.path, "/v1/a+b");
    assert_null(target.raw_query);
    target_fini(&target);
}

static void a_parameter_with_a_bad_escape_is_left_out(void **state)
{
    struct target target = {0};

    (void)state;
    assert_int_equal(parse(&target, "/v1/x?a=%zz&b=%0&c=1&%=2&d=%00"), RC_OK);

    assert_int_equal(target.parameter_count, 1);
    assert_string_equal(target_parameter(&target, "c"), "1");
    target_fini(&target);
}

static void malformed_targets_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *raw;
    } cases[] = {
        {"empty", ""},
        {"no slash", "v1"},
        {"asterisk", "*"},
        {"other scheme", "ftp://x/y"},
        {"bad escape in the path", "/v1/%g0"},
        {"short escape", "/v1/%4"},
        {"zero byte", "/v1/%00"},
        {"line feed", "/v1/%0a"},
        {"delete", "/v1/%7F"},
        {"not UTF-8", "/v1/%ff"},
        {"value is not UTF-8", "/v1/x?a=%ff"},
    };
    struct target target = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (parse(&target, cases[i].raw) != RC_EMALFORMED) {
            fail_msg("%s was taken", cases[i].why);
        }
    }
    assert_int_equal(target_parse(&target, "/a\0b", 4), RC_EMALFORMED);
    target_fini(&target);
}

static void what_is_too_long_is_refused(void **state)
{
    struct target target = {0};
    char raw[TARGET_BYTES_MAX + 1];

    (void)state;
    memset(raw, 'a', sizeof raw);
    raw[0] = '/';
    assert_int_equal(target_parse(&target, raw, TARGET_BYTES_MAX), RC_OK);
    assert_int_equal(target_parse(&target, raw, TARGET_BYTES_MAX + 1), RC_ETOOBIG);

    raw[1] = '?';
    for (size_t i = 3; i < 400; i += 2) {
        raw[i] = '&';
    }
    assert_int_equal(target_parse(&target, raw, 400), RC_ETOOBIG);
    target_fini(&target);
}

static void an_absolute_form_gives_its_authority(void **state)
{
    struct target target = {0};

    (void)state;
    assert_int_equal(parse(&target, "HTTP://127.0.0.1:8500/v1/x?y=1"), RC_OK);
    assert_string_equal(target.authority, "127.0.0.1:8500");
    assert_string_equal(target.path, "/v1/x");
    assert_string_equal(target_parameter(&target, "y"), "1");

    assert_int_equal(parse(&target, "http://host"), RC_OK);
    assert_string_equal(target.authority, "host");
    assert_string_equal(target.path, "/");

    assert_int_equal(parse(&target, "/v1/x"), RC_OK);
    assert_null(target.authority);
    target_fini(&target);
}

static void unclean_paths_are_cleaned(void **state)
{
    static const struct {
        const char *raw;
        const char *clean; /* NULL: is clean */
    } cases[] = {
        {"/v1//catalog/nodes", "/v1/catalog/nodes"},
        {"/v1/./x", "/v1/x"},
        {"/v1/a/../b", "/v1/b"},
        {"/..", "/"},
        {"/../../etc", "/etc"},
        {"//", "/"},
        {"/v1/a//", "/v1/a/"},
        {"/", NULL},
        {"/ui/", NULL},
        {"/v1/a..b/.c", NULL},
    };
    struct target target = {0};
    struct rc_buffer clean = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(parse(&target, cases[i].raw), RC_OK);
        rc_buffer_clear(&clean);
        int differs = target_clean_path(&target, &clean);
        assert_int_equal(differs, cases[i].clean != NULL);
        if (differs) {
            assert_string_equal(rc_buffer_string(&clean), cases[i].clean);
        }
    }
    rc_buffer_fini(&clean);
    target_fini(&target);
}

static void an_encoded_path_holds_nothing_a_header_may_not(void **state)
{
    struct rc_buffer out = {0};

    (void)state;
    target_encode_path("/v1/a b\r\n\"<\xc3\xa9", &out);

    assert_string_equal(rc_buffer_string(&out), "/v1/a%20b%0D%0A%22%3C%C3%A9");
    rc_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_decoded_and_its_parameters_are_found),
        cmocka_unit_test(a_plus_in_the_path_stays_a_plus),
        cmocka_unit_test(a_parameter_with_a_bad_escape_is_left_out),
        cmocka_unit_test(malformed_targets_are_refused),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(an_absolute_form_gives_its_authority),
        cmocka_unit_test(unclean_paths_are_cleaned),
        cmocka_unit_test(an_encoded_path_holds_nothing_a_header_may_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
