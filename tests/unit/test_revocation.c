/* test_revocation.c - keys of servers that are ended, by whom, and lists of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/link/revocation.h"
#include "base/err.h"

static struct credential credential_of(uint8_t number)
{
    const uint8_t seed[CREDENTIAL_SEED_SIZE] = {number};
    struct credential credential;

    credential_from_seed(seed, &credential);
    return credential;
}

static void what_was_signed_is_read_as_it_was_made(void **state)
{
    const struct credential one = credential_of(1);
    const struct credential two = credential_of(2);
    struct revocation made;
    struct revocation read;
    char text[REVOCATION_TEXT_MAX];

    (void)state;
    revocation_make(&one, two.public_key, &made);
    revocation_show(&made, text);
    assert_int_equal(revocation_read(text, &read), RC_OK);
    assert_memory_equal(&read, &made, sizeof read);
    assert_false(revocation_is_own(&read));
    revocation_make(&two, two.public_key, &made);
    assert_true(revocation_is_own(&made));
}

static void a_changed_letter_makes_it_void(void **state)
{
    const struct credential one = credential_of(1);
    const struct credential two = credential_of(2);
    struct revocation revocation;
    char text[REVOCATION_TEXT_MAX];

    (void)state;
    revocation_make(&one, two.public_key, &revocation);
    revocation_show(&revocation, text);
    for (size_t i = 0; i < strlen(text); i++) {
        char changed[REVOCATION_TEXT_MAX];
        memcpy(changed, text, sizeof changed);
        changed[i] = changed[i] == 'B' ? 'C' : 'B';
        assert_int_not_equal(revocation_read(changed, &revocation), RC_OK);
        changed[i] = '\0';
        assert_int_not_equal(revocation_read(changed, &revocation), RC_OK);
    }
    assert_int_equal(revocation_read("", &revocation), RC_EMALFORMED);
    memcpy(text + strlen(text), " x", 3);
    assert_int_equal(revocation_read(text, &revocation), RC_EMALFORMED);
}

static void a_list_has_each_key_once_and_ends(void **state)
{
    struct revocation_list list = {.count = 0};
    struct revocation revocation;

    (void)state;
    for (size_t i = 0; i < REVOCATIONS_MAX; i++) {
        const struct credential one = credential_of((uint8_t)i);
        revocation_make(&one, one.public_key, &revocation);
        assert_false(revocation_list_has(&list, one.public_key));
        assert_true(revocation_list_add(&list, &revocation));
        assert_false(revocation_list_add(&list, &revocation));
        assert_true(revocation_list_has(&list, one.public_key));
    }
    const struct credential more = credential_of(99);
    revocation_make(&more, more.public_key, &revocation);
    assert_false(revocation_list_add(&list, &revocation));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_signed_is_read_as_it_was_made),
        cmocka_unit_test(a_changed_letter_makes_it_void),
        cmocka_unit_test(a_list_has_each_key_once_and_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
