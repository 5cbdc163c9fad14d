/* test_pattern.c - regular expressions match, capture, and end in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/pattern/pattern_pcre2.h"

static struct pattern *compile(const char *text)
{
    struct pattern *made = NULL;
    char why[160] = "";
    if (pattern_compile(text, &made, why) != RC_OK) {
        fail_msg("%s: %s", text, why);
    }
    return made;
}

static void groups_are_spans_of_the_subject(void **state)
{
    (void)state;
    struct pattern *pattern = compile("^/v([0-9]+)/(x)?(.*)$");
    struct pattern_scratch *scratch = pattern_scratch_create();
    struct pattern_captures captures;

    assert_int_equal(pattern_groups(pattern), 3);
    assert_int_equal(pattern_match(pattern, scratch, rc_span_of("/v12/rest"), &captures),
                     PATTERN_YES);
    assert_true(rc_span_equals(captures.at[1], "12"));
    assert_int_equal(captures.at[2].size, 0);
    assert_true(rc_span_equals(captures.at[3], "rest"));
    assert_int_equal(pattern_match(pattern, scratch, rc_span_of("/w1/"), &captures),
                     PATTERN_NO);
    pattern_scratch_destroy(scratch);
    pattern_destroy(pattern);
}

static void what_cannot_be_compiled_is_told_with_its_place(void **state)
{
    (void)state;
    struct pattern *made = NULL;
    char why[160] = "";
    static const char *const wrong[] = {"", "(", "a{2", "[z-a]", "\\C", "(?R", "(*UTF)a"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        why[0] = '\0';
        int err = pattern_compile(wrong[i], &made, why);
        if (err == RC_OK && i == 2) { /* Perl reads this brace as itself */
            pattern_destroy(made);
            continue;
        }
        if (err != RC_EMALFORMED || why[0] == '\0') {
            fail_msg("%s: %s", wrong[i], rc_strerror(err));
        }
    }
    (void)pattern_compile("/a(b", &made, why);
    assert_string_equal(why, "missing closing parenthesis, at its byte 5");
}

static void bombs_end_without_an_answer(void **state)
{
    (void)state;
    static const char *const bombs[] = {
        "^(a+)+$",
        "^(a|a)*$",
        "^([a-z]*)*[0-9]",
        "(?=.*.*.*[0-9])",
        "^(?:[a-z]*[a-y]*[a-x]*[a-w]*)[0-9]",
        "([a-z]|[a-y])*[0-9]",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "(x+x+)+y",
        "(?:(?:a{1,50}){1,50}){1,50}c",
    };
    struct pattern_scratch *scratch = pattern_scratch_create();
    char *subject = malloc(8192);
    assert_non_null(subject);
    memset(subject, 'a', 8192);
    subject[8191] = '!';
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct pattern *pattern = compile(bombs[i]);
        for (size_t size = 16; size <= 8192; size *= 2) {
            /* Each returns: the test would not end otherwise. */
            (void)pattern_match(pattern, scratch, (struct rc_span){subject, size}, NULL);
        }
        pattern_destroy(pattern);
    }
    struct pattern *pattern = compile("^([a-z]*)*[0-9]");
    assert_int_equal(
        pattern_match(pattern, scratch, (struct rc_span){subject, 8000}, NULL),
        PATTERN_GAVE_UP);
    pattern_destroy(pattern);
    free(subject);
    pattern_scratch_destroy(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_spans_of_the_subject),
        cmocka_unit_test(what_cannot_be_compiled_is_told_with_its_place),
        cmocka_unit_test(bombs_end_without_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
