#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/pattern.h"

static const struct {
    const char *pattern;
    const char *text;
    int found;
} cases[] = {
    {"", "", 1},
    {"", "x", 1},
    {"web", "my-web-1", 1},
    {"web", "wbe", 0},
    {"^web", "web1", 1},
    {"^web", "aweb", 0},
    {"web$", "aweb", 1},
    {"web$", "web1", 0},
    {"^$", "", 1},
    {"^$", "a", 0},
    {"a|b|cd", "xxcd", 1},
    {"^(a|b)$", "b", 1},
    {"^(a|b)$", "ab", 0},
    {"^(|a)b$", "b", 1},
    {"^a*$", "aaaa", 1},
    {"^a+$", "", 0},
    {"^ab?c$", "ac", 1},
    {"^ab?c$", "abbc", 0},
    {"^(ab)+$", "ababab", 1},
    {"^(ab)+$", "aba", 0},
    {"^a{3}$", "aaa", 1},
    {"^a{3}$", "aaaa", 0},
    {"^a{2,3}$", "a", 0},
    {"^a{2,3}$", "aaa", 1},
    {"^a{2,3}$", "aaaa", 0},
    {"^a{2,}$", "aaaaaa", 1},
    {"^a{0}b$", "b", 1},
    {"^(ab|c){2}d$", "abcd", 1},
    {"^x{0,2}$", "xx", 1},
    {"a{,2}", "a{,2}", 1},
    {"a{x}", "a{x}", 1},
    {"[a-c]+", "xxbxx", 1},
    {"^[^a-c]+$", "xyz", 1},
    {"^[^a-c]+$", "xyaz", 0},
    {"^[]a]+$", "]a]", 1},
    {"^[a-]+$", "a-a", 1},
    {"^[[:alpha:][:digit:]]+$", "ab12", 1},
    {"^\\d+\\.\\d+$", "1.10", 1},
    {"^\\d+\\.\\d+$", "1x10", 0},
    {"^[\\w.]+$", "a_b.c", 1},
    {"\\Sx", " x", 0},
    {"\\bweb\\b", "a web b", 1},
    {"\\bweb\\b", "aweb b", 0},
    {"\\Bb", "ab", 1},
    {"a.c", "a\nc", 0},
    {"(?s)a.c", "a\nc", 1},
    {"(?i)WeB", "wEb", 1},
    {"(?i)[a-c]x", "BX", 1},
    {"(?:ab)+?c", "ababc", 1},
    {"(?P<name>a)b", "ab", 1},
    {"\\x41\\n", "A\n", 1},
    {"\\.\\*", ".*", 1},
    {"^(a*)*$", "aaaa", 1},
    {"^(a*)*b$", "aaaa", 0},
};

static void patterns_find_what_re2_finds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_pattern *pattern = NULL;
        const char *why = "";
        if (rc_pattern_compile(cases[i].pattern, &pattern, &why) != RC_OK) {
            fail_msg("%s: %s", cases[i].pattern, why);
        }
        int found = rc_pattern_is_in(pattern, cases[i].text, strlen(cases[i].text));
        if (found != cases[i].found) {
            fail_msg("%s in \"%s\": %d", cases[i].pattern, cases[i].text, found);
        }
        rc_pattern_destroy(pattern);
    }
}

static void faults_are_named(void **state)
{
    static const struct {
        const char *pattern;
        const char *why;
    } faults[] = {
        {"(a", "missing closing )"},
        {"a)", "unexpected )"},
        {"[a", "missing closing ]"},
        {"*a", "missing argument to repetition operator"},
        {"(|*a)", "missing argument to repetition operator"},
        {"\\", "trailing backslash at end of expression"},
        {"\\y", "invalid escape sequence"},
        {"\\1", "invalid escape sequence"},
        {"[z-a]", "invalid character class range"},
        {"a{3,2}", "invalid repeat count"},
        {"a{1001}", "invalid repeat count"},
        {"(?=a)", "invalid or unsupported Perl syntax"},
        {"((a{100}){100}){100}", "expression too large"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct rc_pattern *pattern = NULL;
        const char *why = "";
        assert_int_not_equal(rc_pattern_compile(faults[i].pattern, &pattern, &why),
                             RC_OK);
        assert_string_equal(why, faults[i].why);
    }
}

/* What takes backtracking engines 2^30 steps. */
static void no_pattern_makes_it_slow(void **state)
{
    char pattern_text[256] = "^";
    char text[4096];
    struct rc_pattern *pattern = NULL;
    const char *why = "";

    (void)state;
    for (size_t i = 0; i < 30; i++) {
        (void)strncat(pattern_text, "a?", sizeof pattern_text - 1 - strlen(pattern_text));
    }
    for (size_t i = 0; i < 30; i++) {
        (void)strncat(pattern_text, "a", sizeof pattern_text - 1 - strlen(pattern_text));
    }
    (void)strncat(pattern_text, "(a*)*(a*)*$",
                  sizeof pattern_text - 1 - strlen(pattern_text));
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'b';

    assert_int_equal(rc_pattern_compile(pattern_text, &pattern, &why), RC_OK);
    assert_false(rc_pattern_is_in(pattern, text, sizeof text));
    assert_true(rc_pattern_is_in(pattern, text, 30));
    assert_false(rc_pattern_is_in(pattern, text, 29));
    rc_pattern_destroy(pattern);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_find_what_re2_finds),
        cmocka_unit_test(faults_are_named),
        cmocka_unit_test(no_pattern_makes_it_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
