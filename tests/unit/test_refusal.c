/* test_refusal.c - reasons, proxy/limit/refusal.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/limit/refusal.h"

static void every_reason_has_a_word_of_its_own(void **state)
{
    (void)state;

    for (int i = REFUSAL_NONE + 1; i < REFUSAL_COUNT; i++) {
        const char *word = refusal_word((enum refusal)i);
        assert_non_null(word);
        assert_true(strlen(word) > 0);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        assert_true(strlen(refusal_text((enum refusal)i)) > 0);
        for (int other = REFUSAL_NONE; other < i; other++) {
            assert_string_not_equal(word, refusal_word((enum refusal)other));
        }
    }
}

static void what_was_served_has_none(void **state)
{
    (void)state;

    assert_string_equal(refusal_word(REFUSAL_NONE), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_has_a_word_of_its_own),
        cmocka_unit_test(what_was_served_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
