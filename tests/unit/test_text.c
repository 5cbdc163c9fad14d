/* test_text.c - strings, numbers, durations and encodings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"

static void durations_read_and_print_as_in_go(void **state)
{
    static const struct {
        const char *text;
        uint64_t ns;
        const char *printed;
    } cases[] = {
        {"0", 0, "0s"},
        {"1ns", 1, "1ns"},
        {"1500us", 1500000, "1.5ms"},
        {"2.25\xc2\xb5s", 2250, "2.25\xc2\xb5s"},
        {"200ms", 200000000, "200ms"},
        {"9.87s", 9870000000, "9.87s"},
        {".5s", 500000000, "500ms"},
        {"15000ms", 15000000000, "15s"},
        {"1m30s", 90000000000, "1m30s"},
        {"90m", 5400000000000, "1h30m0s"},
        {"72h", 259200000000000, "72h0m0s"},
        {"1h1m1.000000001s", 3661000000001, "1h1m1.000000001s"},
        {"8888888882s1230ns", 8888888882000001230, "2469135h48m2.00000123s"},
        {"2469135h48m2.00000123s", 8888888882000001230, "2469135h48m2.00000123s"},
        {"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
        {"2562047h47m16.854775807s", INT64_MAX, "2562047h47m16.854775807s"},
    };
    uint64_t ns = 0;
    char printed[32];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (rc_text_to_duration_ns(cases[i].text, &ns) != RC_OK || ns != cases[i].ns) {
            fail_msg("%s: read as %llu", cases[i].text, (unsigned long long)ns);
        }
        rc_text_from_duration_ns(ns, printed, sizeof printed);
        assert_string_equal(printed, cases[i].printed);
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    static const char *const cases[] = {"",   "5",   "s",  "-1s", "1 s",
                                        "5x", "1s2", ".s", "1.2", "1m-1s"};
    uint64_t ns = 7;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (rc_text_to_duration_ns(cases[i], &ns) != RC_EMALFORMED || ns != 7) {
            fail_msg("%s was read", cases[i]);
        }
    }
    assert_int_equal(rc_text_to_duration_ns("99999999999999999999h", &ns), RC_ETOOBIG);
    assert_int_equal(rc_text_to_duration_ns("2562048h", &ns), RC_ETOOBIG);
    assert_int_equal(rc_text_to_duration_ns("9223372036854775807ns1ns", &ns), RC_ETOOBIG);
    assert_int_equal(rc_text_to_duration_ns("2562047h47m16.854775808s", &ns), RC_ETOOBIG);
    assert_int_equal(ns, 7);
}

static void control_characters_are_shown_and_no_escape_is_cut(void **state)
{
    static const struct {
        const char *text;
        size_t size;
        const char *want;
    } cases[] = {
        {"", 1, ""},
        {"node\name", 32, "node\\name"},
        {"a\r\n\tb", 32, "a\\r\\n\\tb"},
        {"\x1b[31m\x7f\x01", 32, "\\x1b[31m\\x7f\\x01"},
        {"caf\xc3\xa9 \\n", 32, "caf\xc3\xa9 \\n"},
        {"ab\nc", 5, "ab\\n"},
        {"abc\n", 5, "abc"},
        {"a\x1b"
         "b",
         6, "a\\x1b"},
        {"a\x1b", 5, "a"},
        {"\n\n\n\n", 6, "\\n\\n"},
    };
    char space[32];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)rc_text_put(space, sizeof space, cases[i].text);
        rc_text_to_line(space, cases[i].size);
        assert_string_equal(space, cases[i].want);
    }
}

static void numbers_are_whole_decimal_and_bounded(void **state)
{
    uint64_t value = 0;
    (void)state;

    assert_int_equal(rc_text_to_u64("18446744073709551615", UINT64_MAX, &value), RC_OK);
    assert_true(value == UINT64_MAX);
    assert_int_equal(rc_text_to_u64("18446744073709551616", UINT64_MAX, &value),
                     RC_ETOOBIG);
    assert_int_equal(rc_text_to_u64("65536", 65535, &value), RC_ETOOBIG);
    assert_int_equal(rc_text_to_u64("", 9, &value), RC_EMALFORMED);
    assert_int_equal(rc_text_to_u64("+1", 9, &value), RC_EMALFORMED);
    assert_int_equal(rc_text_to_u64("1 ", 9, &value), RC_EMALFORMED);
}

static void sizes_know_both_kinds_of_units(void **state)
{
    uint64_t size = 0;
    (void)state;

    assert_int_equal(rc_text_to_size("16MiB", &size), RC_OK);
    assert_int_equal(size, 16777216);
    assert_int_equal(rc_text_to_size("10 kb", &size), RC_OK);
    assert_int_equal(size, 10000);
    assert_int_equal(rc_text_to_size("7", &size), RC_OK);
    assert_int_equal(size, 7);
    assert_int_equal(rc_text_to_size("7x", &size), RC_EMALFORMED);
    assert_int_equal(rc_text_to_size("99999999999GiB", &size), RC_ETOOBIG);
}

static void utf8_is_judged_by_rfc_3629(void **state)
{
    static const char *const good[] = {
        "", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\xaf",
                                      "\xc3",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xe2\x82"};
    (void)state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(rc_text_is_utf8(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (rc_text_is_utf8(bad[i], strlen(bad[i]))) {
            fail_msg("bad sequence %zu passed", i);
        }
    }
}

static void base64_round_trips_and_is_strict(void **state)
{
    static const char *const texts[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="};
    static const char *const bad[] = {
        "Zg", "Zg=", "Zh==", "Z===", "====", "Zg==\n", "Zm9v Zm9"};
    uint8_t bytes[8];
    char back[16];
    size_t size = 0;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(rc_text_from_base64(texts[i], bytes, sizeof bytes, &size),
                         RC_OK);
        assert_int_equal(size, i);
        assert_memory_equal(bytes, "foob", size);
        rc_text_to_base64(bytes, size, back);
        assert_string_equal(back, texts[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (rc_text_from_base64(bad[i], bytes, sizeof bytes, &size) != RC_EMALFORMED) {
            fail_msg("%s was read", bad[i]);
        }
    }
    assert_int_equal(rc_text_from_base64("Zm9vYmFyYmF6", bytes, 8, &size), RC_ETOOBIG);
}

static void hex_and_uuid_are_lower_case(void **state)
{
    uint8_t bytes[16] = {0xde, 0xad, 0xbe, 0xef, 0x00, 0x11, 0xff, 0x33,
                         0xff, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb};
    uint8_t back[4];
    char text[37];
    (void)state;

    rc_text_to_hex(bytes, 4, text);
    assert_string_equal(text, "deadbeef");
    assert_int_equal(rc_text_from_hex("DEADbeef", 4, back), RC_OK);
    assert_memory_equal(back, bytes, 4);
    assert_int_equal(rc_text_from_hex("deadbee", 4, back), RC_EMALFORMED);
    assert_int_equal(rc_text_from_hex("deadbeeg", 4, back), RC_EMALFORMED);
    rc_text_uuid(bytes, text);
    assert_string_equal(text, "deadbeef-0011-4f33-bf55-66778899aabb");
}

static void wall_time_is_rfc_3339(void **state)
{
    char text[25];
    (void)state;

    rc_text_from_wall_ms(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    rc_text_from_wall_ms(1709210096789, text);
    assert_string_equal(text, "2024-02-29T12:34:56.789Z");
    rc_text_from_wall_ms(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
}

static void comparisons_know_ascii_only(void **state)
{
    (void)state;

    assert_true(rc_text_equals_nocase("Web-1", "wEB-1"));
    assert_false(rc_text_equals_nocase("\xc3\x89", "\xc3\xa9"));
    assert_false(rc_text_equals_nocase("a", "ab"));
    assert_true(rc_text_equals(NULL, NULL));
    assert_false(rc_text_equals(NULL, ""));
    assert_true(rc_span_equals_nocase((struct rc_span){"ABC", 2}, "ab"));
    assert_true(rc_text_starts_with("service:web", "service:"));
    assert_true(rc_text_ends_with("a.hcl", ".hcl"));
    assert_false(rc_text_ends_with("l", ".hcl"));
}

static void distance_counts_single_edits(void **state)
{
    (void)state;

    assert_int_equal(rc_text_distance("kitten", "sitting"), 3);
    assert_int_equal(rc_text_distance("servize", "service"), 1);
    assert_int_equal(rc_text_distance("", "abc"), 3);
    assert_int_equal(rc_text_distance("same", "same"), 0);
}

static void a_space_too_small_holds_what_fits(void **state)
{
    char space[4];
    (void)state;

    assert_int_equal(rc_text_put(space, sizeof space, "abc"), RC_OK);
    assert_int_equal(rc_text_put(space, sizeof space, "abcd"), RC_ETOOBIG);
    assert_string_equal(space, "abc");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_read_and_print_as_in_go),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(control_characters_are_shown_and_no_escape_is_cut),
        cmocka_unit_test(numbers_are_whole_decimal_and_bounded),
        cmocka_unit_test(sizes_know_both_kinds_of_units),
        cmocka_unit_test(utf8_is_judged_by_rfc_3629),
        cmocka_unit_test(base64_round_trips_and_is_strict),
        cmocka_unit_test(hex_and_uuid_are_lower_case),
        cmocka_unit_test(wall_time_is_rfc_3339),
        cmocka_unit_test(comparisons_know_ascii_only),
        cmocka_unit_test(distance_counts_single_edits),
        cmocka_unit_test(a_space_too_small_holds_what_fits),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
