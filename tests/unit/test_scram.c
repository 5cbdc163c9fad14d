/* test_scram.c - the example of RFC 7677 section 3, and servers that cheat. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/scram_sodium.h"

static const char server_first[] = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                                   "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

static struct scram begin(struct rc_buffer *out)
{
    struct scram scram;
    assert_int_equal(scram_begin(&scram, "user", "rOprNGfwEbeRWgbNEkqO", out), RC_OK);
    return scram;
}

static void the_example_of_the_rfc_comes_out(void **state)
{
    (void)state;
    struct rc_buffer out = {0};
    static const char last[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    struct scram scram = begin(&out);
    assert_string_equal(rc_buffer_string(&out), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    rc_buffer_clear(&out);

    int err =
        scram_continue(&scram, "pencil", server_first, sizeof server_first - 1, &out);

    assert_int_equal(err, RC_OK);
    assert_string_equal(rc_buffer_string(&out),
                        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_int_equal(scram_finish(&scram, last, sizeof last - 1), RC_OK);
    assert_int_equal(scram_finish(&scram, "v=AAAA", 6), RC_EDENIED);
    assert_int_equal(scram_finish(&scram, "e=other-error", 13), RC_EDENIED);
    rc_buffer_fini(&out);
}

static void a_server_that_cheats_gets_no_proof(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",                /* not our nonce */
        "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", /* nothing added */
        "r=rOprNGfwEbeRWgbNEkqOx,s=???,i=4096",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
        "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=100000000",
        "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer first = {0};
        struct rc_buffer out = {0};
        struct scram scram = begin(&first);
        if (scram_continue(&scram, "pencil", cases[i], strlen(cases[i]), &out) == RC_OK) {
            fail_msg("%s", cases[i]);
        }
        assert_int_equal(out.size, 0);
        rc_buffer_fini(&first);
        rc_buffer_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_rfc_comes_out),
        cmocka_unit_test(a_server_that_cheats_gets_no_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
