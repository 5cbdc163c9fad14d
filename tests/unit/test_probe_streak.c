/* test_probe_streak.c - when probes in a row decide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/probe_streak.h"

/* "+" a pass, "-" a failure; the verdict after each: "?", "p" or "f". */
static void some_in_a_row_decide(void **state)
{
    static const struct {
        const char *probes;
        const char *want;
    } cases[] = {
        {"+---", "pppf"},       {"---", "??f"},           {"--+--+", "??pppp"},
        {"---+-++", "??ffffp"}, {"---++---", "??ffpppf"},
    };
    static const char names[] = {'?', 'p', 'f'};
    const struct config_check check = {.failures = 3, .passes = 2};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct probe_streak streak = {0};
        char got[16] = "";
        for (size_t k = 0; cases[i].probes[k] != '\0'; k++) {
            enum probe_outcome outcome =
                cases[i].probes[k] == '+' ? PROBE_PASSED : PROBE_FAILED;
            got[k] = names[probe_streak_add(&streak, &check, outcome)];
        }
        assert_string_equal(got, cases[i].want);
    }
}

static void the_status_is_read_from_the_first_line(void **state)
{
    static const struct {
        const char *text;
        int want;
        unsigned status;
    } cases[] = {
        {"", RC_EAGAIN, 0},
        {"HTTP/1.1 20", RC_EAGAIN, 0},
        {"HTTP/1.1 204", RC_OK, 204},
        {"HTTP/1.0 503 No\r\n", RC_OK, 503},
        {"HTTP/1.1 2x4 ", RC_EMALFORMED, 0},
        {"HTTP/1.1 099 ", RC_EMALFORMED, 0},
        {"SSH-2.0", RC_EMALFORMED, 0},
        {"H", RC_EAGAIN, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned status = 0;
        int got = probe_status(cases[i].text, strlen(cases[i].text), &status);
        if (got != cases[i].want || status != cases[i].status) {
            fail_msg("%s: %s, %u", cases[i].text, rc_strerror(got), status);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_in_a_row_decide),
        cmocka_unit_test(the_status_is_read_from_the_first_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
