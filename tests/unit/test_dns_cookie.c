/* DNS cookies: the examples of RFC 9018 appendix A, and the rules around them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "dns/answer/cookie.h"

enum { WHEN = 1559731985 };

#define SECRET "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define OLD    "dd3bdf9344b678b185a6f5cb60fca715"
#define NEW    "445536bcd2513298075a5d379663c962"
#define IP     "198.51.100.100"
#define CLIENT "2464c4abcf10c957"
#define SERVER "010000005cf79f111f8130c3eee29480"

struct judged {
    enum dns_cookie_standing standing;
    char given[2 * DNS_COOKIE_SIZE + 1];
};

static void judge_with(const struct dns_cookie_secrets *secrets, const char *ip,
                       const char *cookie, uint64_t now_s, struct judged *out)
{
    struct dns_asked asked = {.cookie_size = strlen(cookie) / 2};
    struct dns_extras extras;
    struct rc_address peer;
    uint8_t bytes[40];

    assert_int_equal(rc_address_parse_ip(ip, 53, &peer), RC_OK);
    assert_int_equal(rc_text_from_hex(cookie, asked.cookie_size, bytes), RC_OK);
    asked.cookie = bytes;
    dns_extras_init(&extras);
    out->standing = dns_cookie_judge(secrets, &peer, now_s, &asked, &extras);
    rc_text_to_hex(extras.cookie, extras.cookie_size, out->given);
}

static void judge(const char *secrets, const char *ip, const char *cookie, uint64_t now_s,
                  struct judged *out)
{
    struct dns_cookie_secrets parsed;

    assert_int_equal(dns_cookie_secrets_parse(secrets, &parsed), RC_OK);
    judge_with(&parsed, ip, cookie, now_s, out);
}

static void examples_of_the_standard_come_out(void **state)
{
    static const struct {
        const char *why;
        const char *secrets;
        const char *ip;
        const char *cookie;
        uint64_t now_s;
        enum dns_cookie_standing standing;
        const char *given;
    } cases[] = {
        {"A.1: a new client", SECRET, IP, CLIENT, WHEN, DNS_COOKIE_CLIENT, CLIENT SERVER},
        {"A.2: 40 minutes later", SECRET, IP, CLIENT SERVER, WHEN + 2400,
         DNS_COOKIE_VALID, CLIENT "010000005cf7a871d4a564a1442aca77"},
        {"A.3: bytes reserved are not ours to judge", SECRET, "203.0.113.203",
         "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, DNS_COOKIE_VALID,
         "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5"},
        {"A.3: its answer", SECRET, "203.0.113.203",
         "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700,
         DNS_COOKIE_INVALID, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
        {"A.4: another secret since", NEW "," OLD, "2001:db8:220:1:59de:d0f4:8769:82b8",
         "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, DNS_COOKIE_VALID,
         "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
        {"A.4: that secret forgotten", NEW, "2001:db8:220:1:59de:d0f4:8769:82b8",
         "22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961,
         DNS_COOKIE_INVALID, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
    };
    struct judged got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        judge(cases[i].secrets, cases[i].ip, cases[i].cookie, cases[i].now_s, &got);
        if (got.standing != cases[i].standing || strcmp(got.given, cases[i].given) != 0) {
            fail_msg("%s: %d, %s", cases[i].why, got.standing, got.given);
        }
    }
}

static void cookie_holds_for_an_hour_and_may_be_five_minutes_ahead(void **state)
{
    static const struct {
        int64_t age_s;
        enum dns_cookie_standing standing;
        int same;
    } cases[] = {
        {0, DNS_COOKIE_VALID, 1},      {1800, DNS_COOKIE_VALID, 1},
        {1801, DNS_COOKIE_VALID, 0},   {3600, DNS_COOKIE_VALID, 0},
        {3601, DNS_COOKIE_INVALID, 0}, {-300, DNS_COOKIE_VALID, 1},
        {-301, DNS_COOKIE_INVALID, 0},
    };
    struct judged got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        judge(SECRET, IP, CLIENT SERVER, (uint64_t)(WHEN + cases[i].age_s), &got);
        if (got.standing != cases[i].standing ||
            (strcmp(got.given, CLIENT SERVER) == 0) != cases[i].same) {
            fail_msg("%lld s: %d, %s", (long long)cases[i].age_s, got.standing,
                     got.given);
        }
    }
}

static void cookie_of_another_client_or_server_is_as_good_as_none(void **state)
{
    static const struct {
        const char *why;
        const char *ip;
        const char *cookie;
    } cases[] = {
        {"another address", "198.51.100.101", CLIENT SERVER},
        {"another client's part", IP, "2464c4abcf10c958" SERVER},
        {"another hash", IP, CLIENT "010000005cf79f111f8130c3eee29481"},
        {"another version", IP, CLIENT "020000005cf79f111f8130c3eee29480"},
        {"a server's part of 8 bytes", IP, CLIENT CLIENT},
        {"a server's part of 32 bytes", IP, CLIENT SERVER SERVER},
    };
    struct judged got;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        judge(SECRET, cases[i].ip, cases[i].cookie, WHEN, &got);
        if (got.standing != DNS_COOKIE_INVALID || strlen(got.given) != 48 ||
            memcmp(got.given, cases[i].cookie, 16) != 0) {
            fail_msg("%s: %d, %s", cases[i].why, got.standing, got.given);
        }
    }
}

static void own_secret_changes_every_day_and_the_one_before_is_accepted(void **state)
{
    static const uint8_t seed[RC_SIPHASH_KEY_SIZE] = "sixteen of them";
    const uint64_t midnight_s = UINT64_C(20000) * DNS_COOKIE_PERIOD_S;
    struct dns_cookie_secrets secrets;
    struct judged first;
    struct judged got;

    (void)state;
    dns_cookie_secrets_own(seed, &secrets);
    judge_with(&secrets, IP, CLIENT, midnight_s - 10, &first);
    assert_int_equal(first.standing, DNS_COOKIE_CLIENT);

    judge_with(&secrets, IP, first.given, midnight_s - 9, &got);
    assert_int_equal(got.standing, DNS_COOKIE_VALID);
    assert_string_equal(got.given, first.given);

    judge_with(&secrets, IP, first.given, midnight_s + 1, &got);
    assert_int_equal(got.standing, DNS_COOKIE_VALID);
    assert_string_not_equal(got.given, first.given);
}

static void secrets_are_one_or_two_of_32_digits(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        SECRET ",",
        "," SECRET,
        SECRET "0",
        "e5e973",
        SECRET "," OLD "," NEW,
        "x5e973e5a6b2a43f48e7dc849e37bfcf",
    };
    struct dns_cookie_secrets secrets;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (dns_cookie_secrets_parse(bad[i], &secrets) != RC_EMALFORMED) {
            fail_msg("'%s' is taken", bad[i]);
        }
    }
    assert_int_equal(dns_cookie_secrets_parse(SECRET, &secrets), RC_OK);
    assert_int_equal(dns_cookie_secrets_parse(NEW "," OLD, &secrets), RC_OK);
}

static void nothing_is_given_while_cookies_are_off(void **state)
{
    static const struct dns_cookie_secrets off = {.kind = DNS_COOKIES_OFF};
    struct judged got;

    (void)state;
    judge_with(&off, IP, CLIENT, WHEN, &got);
    assert_int_equal(got.standing, DNS_COOKIE_NONE);
    assert_string_equal(got.given, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standard_come_out),
        cmocka_unit_test(cookie_holds_for_an_hour_and_may_be_five_minutes_ahead),
        cmocka_unit_test(cookie_of_another_client_or_server_is_as_good_as_none),
        cmocka_unit_test(own_secret_changes_every_day_and_the_one_before_is_accepted),
        cmocka_unit_test(secrets_are_one_or_two_of_32_digits),
        cmocka_unit_test(nothing_is_given_while_cookies_are_off),
    };

    return cmocka_run_group_tests_name("dns_cookie", tests, NULL, NULL);
}
