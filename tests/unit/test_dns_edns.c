/* The options of OPT records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/wire/edns.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1
#define TEN         "0123456789"

static void options_are_read_or_refused(void **state)
{
    static const struct {
        const char *why;
        const uint8_t *rdata;
        size_t size;
        int err;
        size_t cookie_size;
    } cases[] = {
        {"none", BYTES(""), RC_OK, 0},
        {"half a code", BYTES("\0"), RC_EMALFORMED, 0},
        {"no length", BYTES("\0\3\0"), RC_EMALFORMED, 0},
        {"beyond the data", BYTES("\0\3\0\1"), RC_EMALFORMED, 0},
        {"client's cookie",
         BYTES("\0\xa\0\x08"
               "01234567"),
         RC_OK, 8},
        {"empty cookie", BYTES("\0\xa\0\0"), RC_EMALFORMED, 0},
        {"cookie of 7",
         BYTES("\0\xa\0\7"
               "0123456"),
         RC_EMALFORMED, 0},
        {"cookie of 9",
         BYTES("\0\xa\0\x09"
               "012345678"),
         RC_EMALFORMED, 0},
        {"cookie of 15", BYTES("\0\xa\0\xf" TEN "01234"), RC_EMALFORMED, 0},
        {"cookie of 16", BYTES("\0\xa\0\x10" TEN "012345"), RC_OK, 16},
        {"cookie of 40", BYTES("\0\xa\0\x28" TEN TEN TEN TEN), RC_OK, 40},
        {"cookie of 41", BYTES("\0\xa\0\x29" TEN TEN TEN TEN "0"), RC_EMALFORMED, 0},
        {"two cookies, the first counts",
         BYTES("\0\xa\0\x08"
               "01234567"
               "\0\xa\0\x10" TEN "012345"),
         RC_OK, 8},
        {"two cookies, the second bad",
         BYTES("\0\xa\0\x08"
               "01234567"
               "\0\xa\0\1"
               "0"),
         RC_EMALFORMED, 8},
        {"padding, client subnet and an unknown option",
         BYTES("\0\xc\0\2\0\0"
               "\0\x08\0\7\0\1\x18\0\xc0\0\2"
               "\xfd\xe9\0\1x"),
         RC_OK, 0},
    };
    struct dns_asked asked;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int err = dns_asked_read(cases[i].rdata, cases[i].size, &asked);
        if (err != cases[i].err ||
            (err == RC_OK && asked.cookie_size != cases[i].cookie_size)) {
            fail_msg("%s: %s, cookie of %zu", cases[i].why, rc_strerror(err),
                     asked.cookie_size);
        }
    }
}

static void every_option_that_counts_is_found(void **state)
{
    static const char rdata[] = "\0\3\0\0"
                                "\xff\x21\0\3abc"
                                "\0\xb\0\0"
                                "\0\xa\0\x08"
                                "01234567";
    struct dns_asked asked;

    (void)state;
    assert_int_equal(dns_asked_read(BYTES(rdata), &asked), RC_OK);

    assert_int_equal(asked.nsid, DNS_PART_PRESENT);
    assert_int_equal(asked.keepalive, DNS_PART_PRESENT);
    assert_int_equal(asked.loop_mark_size, 3);
    assert_memory_equal(asked.loop_mark, "abc", 3);
    assert_memory_equal(asked.cookie, "01234567", 8);
}

static void extras_are_written_in_the_room_that_they_asked_for(void **state)
{
    struct dns_extras extras;
    uint8_t space[2 + 1024];

    (void)state;
    dns_extras_init(&extras);
    memcpy(extras.cookie, TEN TEN "0123", DNS_COOKIE_SIZE);
    extras.cookie_size = DNS_COOKIE_SIZE;
    extras.nsid = "me";
    extras.nsid_size = 2;
    extras.keepalive = DNS_PART_PRESENT;
    extras.keepalive_ds = 0x102;
    dns_extras_add_error(&extras, DNS_EXTENDED_STALE, "it is old");
    struct rc_writer bytes = rc_writer_over(space, 2 + dns_extras_size(&extras));
    dns_extras_write(&extras, &bytes);

    assert_int_equal(bytes.err, RC_OK);
    assert_int_equal(rc_writer_size(&bytes), 2 + dns_extras_size(&extras));
    assert_memory_equal(space,
                        "\0\x2e"
                        "\0\xa\0\x18" TEN TEN "0123"
                        "\0\3\0\2me"
                        "\0\xb\0\2\1\2"
                        "\0\xf\0\2\0\3",
                        2 + 0x2e);
}

static void texts_of_errors_are_sent_where_there_is_room(void **state)
{
    struct dns_extras extras;
    uint8_t space[64];

    (void)state;
    dns_extras_init(&extras);
    dns_extras_add_error(&extras, DNS_EXTENDED_NO_UPSTREAM, "gone");
    dns_extras_add_error(&extras, DNS_EXTENDED_UPSTREAM_ERROR, "longer than that");
    for (int i = 0; i < DNS_EXTENDED_MAX; i++) {
        dns_extras_add_error(&extras, DNS_EXTENDED_BLOCKED, NULL);
    }
    struct rc_writer bytes = rc_writer_over(space, 2 + 10 + 6 + 8);
    dns_extras_write(&extras, &bytes);

    assert_int_equal(bytes.err, RC_OK);
    assert_int_equal(rc_writer_size(&bytes), 2 + 10 + 6 + 6);
    assert_memory_equal(space,
                        "\0\x16"
                        "\0\xf\0\6\0\x16gone"
                        "\0\xf\0\2\0\x17"
                        "\0\xf\0\2\0\xf",
                        2 + 0x16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_read_or_refused),
        cmocka_unit_test(every_option_that_counts_is_found),
        cmocka_unit_test(extras_are_written_in_the_room_that_they_asked_for),
        cmocka_unit_test(texts_of_errors_are_sent_where_there_is_room),
    };

    return cmocka_run_group_tests_name("dns_edns", tests, NULL, NULL);
}
