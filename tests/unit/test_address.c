/* test_address.c - addresses are values with one form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/address.h"
#include "base/err.h"

static void text_reads_and_prints_back(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"10.0.0.1", "10.0.0.1:53"},
        {"10.0.0.1:80", "10.0.0.1:80"},
        {"::1", "[::1]:53"},
        {"[2001:DB8::5]", "[2001:db8::5]:53"},
        {"[2001:db8::5]:65535", "[2001:db8::5]:65535"},
        {"[::ffff:192.0.2.1]:9", "192.0.2.1:9"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:53"},
    };
    char text[RC_ADDRESS_TEXT_MAX];
    struct rc_address address;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rc_address_parse(cases[i].text, 53, &address), RC_OK);
        rc_address_format(&address, text);
        assert_string_equal(text, cases[i].want);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const cases[] = {
        "",           "localhost", "1.2.3",       "1.2.3.4:",     "1.2.3.4:65536",
        "1.2.3.4:-1", "[::1",      "[::1]x",      "[::1]:",       "[1.2.3.4]:1",
        "::1]:1",     ":80",       "1.2.3.4:1:2", "fe80::1%eth0", "01.2.3.4",
        " 1.2.3.4"};
    struct rc_address address;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (rc_address_parse(cases[i], 53, &address) == RC_OK) {
            fail_msg("\"%s\" was read", cases[i]);
        }
    }
}

static void the_system_s_form_round_trips(void **state)
{
    static const char *const cases[] = {"192.0.2.7:53", "[2001:db8::1]:8301"};
    struct sockaddr_storage storage;
    struct rc_address before;
    struct rc_address after;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rc_address_parse(cases[i], 0, &before), RC_OK);
        assert_int_not_equal(rc_address_to_sockaddr(&before, &storage), 0);
        assert_int_equal(rc_address_from_sockaddr((struct sockaddr *)&storage, &after),
                         RC_OK);
        assert_true(rc_address_equals(&before, &after));
    }
    before = (struct rc_address){0};
    assert_int_equal(rc_address_to_sockaddr(&before, &storage), 0);
    assert_int_equal(rc_address_from_sockaddr((struct sockaddr *)&storage, &after),
                     RC_EMALFORMED);
}

static void mapped_and_plain_ipv4_are_equal(void **state)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
    struct rc_address a;
    struct rc_address b;
    (void)state;

    assert_int_equal(rc_address_from_bytes(mapped, 16, 1, &a), RC_OK);
    assert_int_equal(rc_address_from_bytes(mapped + 12, 4, 2, &b), RC_OK);
    assert_true(rc_address_ip_equals(&a, &b));
    assert_false(rc_address_equals(&a, &b));
    assert_int_equal(rc_address_ip_size(&a), 4);
    assert_int_equal(rc_address_from_bytes(mapped, 5, 2, &b), RC_EMALFORMED);
}

static void special_addresses_are_known(void **state)
{
    struct rc_address address;
    (void)state;

    assert_int_equal(rc_address_parse_ip("127.8.0.1", 0, &address), RC_OK);
    assert_true(rc_address_is_loopback(&address) && !rc_address_is_any(&address));
    assert_int_equal(rc_address_parse_ip("::1", 0, &address), RC_OK);
    assert_true(rc_address_is_loopback(&address));
    assert_int_equal(rc_address_parse_ip("::", 0, &address), RC_OK);
    assert_true(rc_address_is_any(&address) && !rc_address_is_loopback(&address));
    assert_int_equal(rc_address_parse_ip("0.0.0.0", 0, &address), RC_OK);
    assert_true(rc_address_is_any(&address));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_reads_and_prints_back),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(the_system_s_form_round_trips),
        cmocka_unit_test(mapped_and_plain_ipv4_are_equal),
        cmocka_unit_test(special_addresses_are_known),
    };
    return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
