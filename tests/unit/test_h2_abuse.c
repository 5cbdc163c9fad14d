/* test_h2_abuse.c - frames that only make work, found and counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/http2/h2_abuse.h"
#include "proxy/http2/h2_census.h"

static void burst_is_borne_and_a_flood_is_not(void **state)
{
    struct h2_abuse abuse = {0};
    uint32_t borne = 0;
    (void)state;

    while (borne < 100000 && h2_abuse_count(&abuse, H2_RESETS, 10)) {
        borne++;
    }
    assert_in_range(borne, 128,
                    2000); /* a page that is left breaks all of its streams off */
    assert_true(h2_abuse_count(&abuse, H2_CONTROL, 10)); /* another kind */
}

static void bucket_leaks_with_time(void **state)
{
    struct h2_abuse abuse = {.since_ms = 1000};
    (void)state;

    bool borne = true;
    while (borne) {
        borne = h2_abuse_count(&abuse, H2_RESETS, 1000);
    }
    assert_false(h2_abuse_count(&abuse, H2_RESETS, 1900));
    assert_true(h2_abuse_count(&abuse, H2_RESETS, 2100));
}

static void forgiven_ones_do_not_count(void **state)
{
    struct h2_abuse abuse = {0};
    (void)state;

    for (int i = 0; i < 100000; i++) {
        assert_true(h2_abuse_count(&abuse, H2_WINDOWS, 0));
        h2_abuse_forgive(&abuse, H2_WINDOWS, 2);
    }
}

static const uint8_t stream[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                "\0\0\6\4\0\0\0\0\0"
                                "123456"
                                "\0\0\0\1\5\0\0\0\1"
                                "\0\0\4\3\0\0\0\0\1"
                                "1234"
                                "\0\0\4\10\0\0\0\0\0"
                                "1234"
                                "\0\0\2\0\0\0\0\0\1"
                                "12"
                                "\0\0\0\0\1\0\0\0\1"
                                "\0\0\0\11\0\0\0\0\1"
                                "\0\0\1\377\0\0\0\0\1"
                                "x";

static const enum h2_nuisance expected[] = {
    H2_CONTROL, H2_NUISANCE_COUNT, H2_RESETS, H2_WINDOWS,
    H2_TINY,    H2_NUISANCE_COUNT, H2_PIECES, H2_CONTROL};

static void frames_are_found_however_the_bytes_are_cut(void **state)
{
    size_t size = sizeof stream - 1;
    (void)state;

    for (size_t step = 1; step <= size; step++) {
        struct h2_census census = {0};
        size_t found = 0;
        for (size_t from = 0; from < size; from += step) {
            size_t piece = size - from < step ? size - from : step;
            size_t at = 0;
            enum h2_nuisance kind = H2_NUISANCE_COUNT;
            while (h2_census_next(&census, stream + from, piece, &at, &kind)) {
                assert_true(found < sizeof expected / sizeof expected[0]);
                assert_int_equal(kind, expected[found]);
                found++;
            }
        }
        assert_int_equal(found, sizeof expected / sizeof expected[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_is_borne_and_a_flood_is_not),
        cmocka_unit_test(bucket_leaks_with_time),
        cmocka_unit_test(forgiven_ones_do_not_count),
        cmocka_unit_test(frames_are_found_however_the_bytes_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
