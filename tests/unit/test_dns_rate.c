/* Limits on answers over UDP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns/answer/rate.h"

static const uint8_t key[RC_SIPHASH_KEY_SIZE] = "fifteen letters";

struct counts {
    unsigned of[DNS_RATE_VERDICT_COUNT];
};

static struct dns_rate *limiter(const struct dns_rate_options *options)
{
    struct dns_rate *rate;

    assert_int_equal(dns_rate_create(options, key, &rate), RC_OK);
    return rate;
}

static struct counts ask(struct dns_rate *rate, const char *ip, enum dns_rate_class class,
                         uint64_t now_ms, unsigned times)
{
    struct counts counts = {{0}};
    struct rc_address peer;

    assert_int_equal(rc_address_parse_ip(ip, 5353, &peer), RC_OK);
    for (unsigned i = 0; i < times; i++) {
        counts.of[dns_rate_judge(rate, &peer, class, now_ms)]++;
    }
    return counts;
}

static struct dns_rate_options usual(void)
{
    struct dns_rate_options options;

    dns_rate_options_init(&options);
    return options;
}

static void burst_passes_then_every_second_one_slips(void **state)
{
    struct dns_rate_options options = usual();
    struct dns_rate *rate = limiter(&options);

    (void)state;
    struct counts got = ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 5000, 1000);

    assert_int_equal(got.of[DNS_RATE_PASS], 400);
    assert_int_equal(got.of[DNS_RATE_SLIP], 300);
    assert_int_equal(got.of[DNS_RATE_DROP], 300);
    dns_rate_destroy(rate);
}

static void bucket_fills_again_at_the_rate(void **state)
{
    struct dns_rate_options options = usual();
    struct dns_rate *rate = limiter(&options);

    (void)state;
    (void)ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 5000, 1000);

    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 5500, 1000).of[DNS_RATE_PASS], 100);
    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 6500, 1000).of[DNS_RATE_PASS], 200);
    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 99000, 1000).of[DNS_RATE_PASS], 400);
    dns_rate_destroy(rate);
}

static void network_is_limited_as_one_and_others_are_not(void **state)
{
    static const struct {
        const char *spent_by;
        const char *asks;
        unsigned passed;
    } cases[] = {
        {"203.0.113.1", "203.0.113.254", 0},
        {"203.0.113.1", "203.0.112.1", 10},
        {"2001:db8:0:aa00::1", "2001:db8:0:aaff:1::2", 0},
        {"2001:db8:0:aa00::1", "2001:db8:0:ab00::1", 10},
        {"203.0.113.1", "2001:db8:0:ab00::1", 10},
    };
    struct dns_rate_options options = usual();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dns_rate *rate = limiter(&options);
        (void)ask(rate, cases[i].spent_by, DNS_RATE_ANSWERS, 5000, 400);
        struct counts got = ask(rate, cases[i].asks, DNS_RATE_ANSWERS, 5000, 10);
        if (got.of[DNS_RATE_PASS] != cases[i].passed) {
            fail_msg("%s after %s: %u", cases[i].asks, cases[i].spent_by,
                     got.of[DNS_RATE_PASS]);
        }
        dns_rate_destroy(rate);
    }
}

static void each_class_has_its_own_limit(void **state)
{
    struct dns_rate_options options = usual();
    struct dns_rate *rate = limiter(&options);

    (void)state;
    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_NXDOMAIN, 1000, 500).of[DNS_RATE_PASS], 100);
    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ERRORS, 1000, 500).of[DNS_RATE_PASS], 100);
    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 1000, 500).of[DNS_RATE_PASS], 400);
    dns_rate_destroy(rate);
}

static void exempt_networks_and_classes_without_limit_always_pass(void **state)
{
    struct dns_rate_options options = usual();

    (void)state;
    assert_int_equal(rc_network_parse("203.0.0.0/16", &options.exempt[0]), RC_OK);
    options.exempt_count = 1;
    options.per_second[DNS_RATE_ERRORS] = 0;
    struct dns_rate *rate = limiter(&options);

    assert_int_equal(
        ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 1000, 900).of[DNS_RATE_PASS], 900);
    assert_int_equal(
        ask(rate, "203.1.113.1", DNS_RATE_ERRORS, 1000, 900).of[DNS_RATE_PASS], 900);
    assert_int_equal(
        ask(rate, "203.1.113.1", DNS_RATE_ANSWERS, 1000, 900).of[DNS_RATE_PASS], 400);
    dns_rate_destroy(rate);
}

static void slip_says_how_often_the_client_hears_of_it(void **state)
{
    static const struct {
        uint32_t slip;
        unsigned slipped;
    } cases[] = {{0, 0}, {1, 600}, {2, 300}, {3, 200}, {100, 6}};
    struct dns_rate_options options = usual();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        options.slip = cases[i].slip;
        struct dns_rate *rate = limiter(&options);
        struct counts got = ask(rate, "203.0.113.1", DNS_RATE_ANSWERS, 1, 1000);
        assert_int_equal(got.of[DNS_RATE_SLIP], cases[i].slipped);
        assert_int_equal(got.of[DNS_RATE_DROP], 600 - cases[i].slipped);
        dns_rate_destroy(rate);
    }
}

/* 2 000 networks ask at once, each too often; who asks rarely is still answered. */
static void flood_from_everywhere_takes_nobodys_answers_away(void **state)
{
    struct dns_rate_options options = usual();
    struct dns_rate *rate = limiter(&options);
    unsigned passed = 0;
    char ip[RC_ADDRESS_TEXT_MAX];

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(ip, sizeof ip, "100.%u.%u.1", i / 250, i % 250);
        (void)ask(rate, ip, DNS_RATE_ANSWERS, 1000, 500);
    }
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(ip, sizeof ip, "198.%u.%u.1", i / 250, i % 250);
        passed += ask(rate, ip, DNS_RATE_ANSWERS, 1000, 10).of[DNS_RATE_PASS];
    }

    assert_true(passed > 9900); /* one in 270 shares both buckets with somebody */
    dns_rate_destroy(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(burst_passes_then_every_second_one_slips),
        cmocka_unit_test(bucket_fills_again_at_the_rate),
        cmocka_unit_test(network_is_limited_as_one_and_others_are_not),
        cmocka_unit_test(each_class_has_its_own_limit),
        cmocka_unit_test(exempt_networks_and_classes_without_limit_always_pass),
        cmocka_unit_test(slip_says_how_often_the_client_hears_of_it),
        cmocka_unit_test(flood_from_everywhere_takes_nobodys_answers_away),
    };

    return cmocka_run_group_tests_name("dns_rate", tests, NULL, NULL);
}
