/* Networks and who is in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/network.h"

static void addresses_are_inside_or_outside(void **state)
{
    static const struct {
        const char *network;
        const char *address;
        bool inside;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},   {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/9", "10.127.0.1", true},   {"10.0.0.0/9", "10.128.0.1", false},
        {"10.1.2.3", "10.1.2.3", true},       {"10.1.2.3", "10.1.2.2", false},
        {"10.1.2.3/32", "10.1.2.3", true},    {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},          {"::/0", "::1", true},
        {"fd00::/7", "fc12::1", true},        {"fd00::/8", "fc12::1", false},
        {"2001:db8::1", "2001:db8::1", true}, {"127.0.0.0/8", "::ffff:127.0.0.1", true},
    };
    struct rc_network network;
    struct rc_address address;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(rc_network_parse(cases[i].network, &network), RC_OK);
        assert_int_equal(rc_address_parse_ip(cases[i].address, 0, &address), RC_OK);
        if (rc_network_has(&network, 1, &address) != cases[i].inside) {
            fail_msg("%s, %s", cases[i].network, cases[i].address);
        }
    }
    assert_false(rc_network_has(NULL, 0, &address));
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const bad[] = {
        "",         "/8",         "10.0.0.0/",  "10.0.0.0/33",  "10.0.0.0/-1",
        "10.0.0/8", "fd00::/129", "all",        "10.0.0.0/8/8", "10.0.0.0/8 ",
        "[::1]/8",  "::1%lo/128", "10.0.0.1:5", "10.0.0.0/ 8",
    };
    struct rc_network network;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (rc_network_parse(bad[i], &network) != RC_EMALFORMED) {
            fail_msg("'%s' is taken", bad[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_inside_or_outside),
        cmocka_unit_test(what_is_no_network_is_refused),
    };

    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
