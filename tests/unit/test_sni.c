/* test_sni.c - names that clients ask for, and the certificates that are for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/tls/sni.h"

static int add(struct sni *sni, const char *name, enum sni_key kind, int certificate)
{
    return sni_add(sni, name, strlen(name), kind, certificate);
}

static int setup(void **state)
{
    struct sni *sni = sni_create(1);
    assert_non_null(sni);
    assert_int_equal(add(sni, "Example.ORG", SNI_RSA, 0), RC_OK);
    assert_int_equal(add(sni, "*.example.org", SNI_RSA, 1), RC_OK);
    assert_int_equal(add(sni, "api.example.org", SNI_ECDSA, 2), RC_OK);
    assert_int_equal(add(sni, "api.example.org", SNI_RSA, 3), RC_OK);
    assert_int_equal(add(sni, "api.example.org", SNI_RSA, 4), RC_OK);
    assert_int_equal(add(sni, "rooted.example.net.", SNI_EDWARDS, 5), RC_OK);
    *state = sni;
    return 0;
}

static int teardown(void **state)
{
    sni_destroy(*state);
    return 0;
}

static void a_name_leads_to_its_own_certificate_before_a_wildcard(void **state)
{
    static const struct {
        const char *asked;
        int rsa; /* SNI_NONE - 1: nothing at all */
        int ecdsa;
    } cases[] = {
        {"example.org", 0, SNI_NONE},
        {"EXAMPLE.org", 0, SNI_NONE},
        {"example.org.", 0, SNI_NONE},
        {"www.example.org", 1, SNI_NONE},
        {"WWW.Example.Org", 1, SNI_NONE},
        {"api.example.org", 3, 2},
        {"a.b.example.org", SNI_NONE - 1, 0},
        {".example.org", SNI_NONE - 1, 0},
        {"*.example.org", SNI_NONE - 1, 0},
        {"org", SNI_NONE - 1, 0},
        {"", SNI_NONE - 1, 0},
        {".", SNI_NONE - 1, 0},
        {"www.example.org\n", SNI_NONE - 1, 0},
        {"wwwexample.org", SNI_NONE - 1, 0},
        {"example.com", SNI_NONE - 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct sni_entry *found =
            sni_find(*state, cases[i].asked, strlen(cases[i].asked));
        int rsa = found != NULL ? found->certificates[SNI_RSA] : SNI_NONE - 1;
        if (rsa != cases[i].rsa ||
            (found != NULL && found->certificates[SNI_ECDSA] != cases[i].ecdsa)) {
            fail_msg("%s: certificate %d", cases[i].asked, rsa);
        }
    }
}

static void a_kind_of_key_that_is_not_there_is_said(void **state)
{
    const struct sni_entry *found = sni_find(*state, "rooted.example.net", 18);

    assert_non_null(found);
    assert_int_equal(found->certificates[SNI_EDWARDS], 5);
    assert_int_equal(found->certificates[SNI_RSA], SNI_NONE);
    assert_int_equal(found->certificates[SNI_ECDSA], SNI_NONE);
}

static void names_that_nobody_can_ask_for_are_left_out(void **state)
{
    char longest[SNI_NAME_MAX + 2];
    memset(longest, 'a', sizeof longest);

    assert_int_equal(add(*state, "", SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(add(*state, "with space.org", SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(add(*state, "w*.example.org", SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(add(*state, "*", SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(add(*state, "a.*.org", SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(sni_add(*state, "nul\0.org", 8, SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(sni_add(*state, longest, SNI_NAME_MAX + 1, SNI_RSA, 9), RC_EINVAL);
    assert_int_equal(sni_add(*state, longest, SNI_NAME_MAX, SNI_RSA, 9), RC_OK);
    assert_non_null(sni_find(*state, longest, SNI_NAME_MAX));
    assert_null(sni_find(*state, longest, SNI_NAME_MAX + 1));
}

static void entries_come_in_the_order_of_the_certificates(void **state)
{
    static const char *const want[] = {"example.org", "*.example.org", "api.example.org",
                                       "rooted.example.net"};
    size_t position = 0;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct sni_entry *entry = sni_next(*state, &position);
        assert_non_null(entry);
        assert_string_equal(entry->name, want[i]);
    }
    assert_null(sni_next(*state, &position));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_name_leads_to_its_own_certificate_before_a_wildcard, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kind_of_key_that_is_not_there_is_said, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_that_nobody_can_ask_for_are_left_out, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(entries_come_in_the_order_of_the_certificates,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
