#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/wire/name.h"

enum { HEADER = 12 };

/* Reads the name at `at` in a message of a header and `bytes`. */
static int read_at(const char *bytes, size_t size, size_t at, struct dns_name *out)
{
    uint8_t message[1024] = {0};

    assert_true(HEADER + size <= sizeof message);
    memcpy(message + HEADER, bytes, size);
    struct rc_cursor cursor = rc_cursor_over(message, HEADER + size);
    (void)rc_cursor_take(&cursor, HEADER + at);
    return dns_name_read(&cursor, message, out);
}

static void assert_text(const struct dns_name *name, const char *want)
{
    char text[DNS_NAME_TEXT_MAX];

    (void)dns_name_to_text(name, 0, name->label_count, text);
    assert_string_equal(text, want);
}

static void name_is_read_and_written_as_text(void **state)
{
    struct dns_name name;

    (void)state;
    assert_int_equal(read_at("\3Web\7service\6consul", 20, 0, &name), RC_OK);

    assert_text(&name, "web.service.consul");
    assert_int_equal(name.label_count, 3);
    assert_int_equal(name.size, 20);
    assert_memory_equal(name.wire, "\3Web\7service\6consul", 20);
}

static void pointer_leads_back(void **state)
{
    struct dns_name name;

    (void)state;
    assert_int_equal(read_at("\6consul\0\3web\xc0\x0c\1x\xc0\x14", 18, 14, &name), RC_OK);

    assert_text(&name, "x.web.consul");
}

static void cursor_ends_behind_the_pointer(void **state)
{
    static const uint8_t message[] = "............\1a\0\1b\xc0\x0c!";
    struct rc_cursor cursor = rc_cursor_over(message, sizeof message - 1);
    struct dns_name name;

    (void)state;
    (void)rc_cursor_take(&cursor, 15);
    assert_int_equal(dns_name_read(&cursor, message, &name), RC_OK);

    assert_text(&name, "b.a");
    assert_int_equal(rc_cursor_u8(&cursor), '!');
}

static void broken_names_are_refused(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
        size_t at;
        int want;
    } cases[] = {
        {"nothing there", "", 0, 0, RC_ETRUNCATED},
        {"label cut", "\3we", 3, 0, RC_ETRUNCATED},
        {"no root", "\3web", 4, 0, RC_ETRUNCATED},
        {"pointer cut", "\xc0", 1, 0, RC_ETRUNCATED},
        {"pointer to itself", "\xc0\x0c", 2, 0, RC_EMALFORMED},
        {"pointer to its own name", "\1a\xc0\x0c", 4, 0, RC_EMALFORMED},
        {"two pointers in a ring", "\xc0\x0e\xc0\x0c", 4, 2, RC_EMALFORMED},
        {"pointer ahead", "\xc0\x0e\1a", 5, 0, RC_EMALFORMED},
        {"pointer to a name that runs into the pointer", "\3ab\xc0\x0c", 5, 3,
         RC_ETRUNCATED},
        {"pointer into the header", "\1a\0\xc0\x04", 5, 3, RC_EMALFORMED},
        {"label type 01",
         "\x41"
         "a",
         2, 0, RC_EMALFORMED},
        {"label type 10",
         "\x81"
         "a",
         2, 0, RC_EMALFORMED},
    };
    struct dns_name name;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int got = read_at(cases[i].bytes, cases[i].size, cases[i].at, &name);
        if (got != cases[i].want) {
            fail_msg("%s: got %s", cases[i].why, rc_strerror(got));
        }
    }
}

/* 127 labels of one byte make 255 bytes with the root; one label more is too long. */
static void longest_name_is_read_and_a_longer_one_refused(void **state)
{
    char bytes[300];
    struct dns_name name;

    (void)state;
    for (size_t i = 0; i < 128; i++) {
        bytes[2 * i] = 1;
        bytes[2 * i + 1] = 'a';
    }
    bytes[254] = 0;
    assert_int_equal(read_at(bytes, 255, 0, &name), RC_OK);
    assert_int_equal(name.size, DNS_NAME_MAX);
    assert_int_equal(name.label_count, DNS_LABELS_MAX);

    bytes[254] = 1;
    bytes[256] = 0;
    assert_int_equal(read_at(bytes, 257, 0, &name), RC_EMALFORMED);
}

static void text_makes_the_same_name_with_and_without_final_dot(void **state)
{
    struct dns_name a;
    struct dns_name b;

    (void)state;
    assert_int_equal(dns_name_from_text("web.Service.consul", &a), RC_OK);
    assert_int_equal(dns_name_from_text("WEB.service.consul.", &b), RC_OK);

    assert_true(dns_name_equals(&a, &b));
}

static void text_that_is_no_name_is_refused(void **state)
{
    static const char *const texts[] = {
        ".a", "a..b", "..",
        "sixty-four-characters-are-one-too-many-for-a-label-said-the-rfc-x.b"};
    struct dns_name name;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (dns_name_from_text(texts[i], &name) != RC_EMALFORMED) {
            fail_msg("\"%s\" was taken", texts[i]);
        }
    }
}

static void root_has_no_labels(void **state)
{
    struct dns_name name;

    (void)state;
    assert_int_equal(dns_name_from_text(".", &name), RC_OK);
    assert_int_equal(name.label_count, 0);
    assert_int_equal(dns_name_from_text("", &name), RC_OK);
    assert_int_equal(name.size, 1);
}

static void suffix_counts_whole_labels_in_any_case(void **state)
{
    struct dns_name zone;
    struct dns_name name;

    (void)state;
    assert_int_equal(dns_name_from_text("Consul", &zone), RC_OK);
    assert_int_equal(dns_name_from_text("web.service.cONSUL", &name), RC_OK);
    assert_true(dns_name_ends_with(&name, &zone));
    assert_true(dns_name_ends_with(&zone, &zone));
    assert_int_equal(dns_name_from_text("web.notconsul", &name), RC_OK);
    assert_false(dns_name_ends_with(&name, &zone));
    assert_int_equal(dns_name_from_text("l", &name), RC_OK);
    assert_false(dns_name_ends_with(&name, &zone));
}

static void name_under_a_suffix_is_the_whole_name(void **state)
{
    struct dns_name suffix;
    struct dns_name joined;
    struct dns_name want;

    (void)state;
    assert_int_equal(dns_name_from_text("node.dc1.consul", &suffix), RC_OK);
    assert_int_equal(dns_name_from_text("web.1.node.dc1.consul", &want), RC_OK);
    assert_int_equal(dns_name_under("web.1", &suffix, &joined), RC_OK);

    assert_true(dns_name_equals(&joined, &want));
    assert_true(dns_name_ends_with(&joined, &suffix));
    assert_int_equal(dns_name_under("", &suffix, &joined), RC_EMALFORMED);
    assert_int_equal(dns_name_under("a..b", &suffix, &joined), RC_EMALFORMED);
}

static void label_with_a_dot_or_a_nul_has_no_text(void **state)
{
    char text[DNS_NAME_TEXT_MAX];
    struct dns_name name;

    (void)state;
    assert_int_equal(read_at("\3a.b\0", 5, 0, &name), RC_OK);
    assert_int_equal(dns_name_to_text(&name, 0, 1, text), 0);
    assert_int_equal(read_at("\3a\0b\0", 5, 0, &name), RC_OK);
    assert_int_equal(dns_name_to_text(&name, 0, 1, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_read_and_written_as_text),
        cmocka_unit_test(pointer_leads_back),
        cmocka_unit_test(cursor_ends_behind_the_pointer),
        cmocka_unit_test(broken_names_are_refused),
        cmocka_unit_test(longest_name_is_read_and_a_longer_one_refused),
        cmocka_unit_test(text_makes_the_same_name_with_and_without_final_dot),
        cmocka_unit_test(text_that_is_no_name_is_refused),
        cmocka_unit_test(root_has_no_labels),
        cmocka_unit_test(suffix_counts_whole_labels_in_any_case),
        cmocka_unit_test(name_under_a_suffix_is_the_whole_name),
        cmocka_unit_test(label_with_a_dot_or_a_nul_has_no_text),
    };
    return cmocka_run_group_tests_name("dns_name", tests, NULL, NULL);
}
