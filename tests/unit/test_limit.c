/* test_limit.c - rates and counts by client, proxy/limit/limit.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/limit/limit.h"

static const uint64_t second_us = 1000000;

static int setup(void **state)
{
    *state = limit_create(1, 5 * second_us);
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    limit_release(*state);
    return 0;
}

static struct rc_address source(const char *text)
{
    struct rc_address address = {0};
    assert_int_equal(rc_address_parse_ip(text, 0, &address), RC_OK);
    return address;
}

static unsigned taken(struct limit *limit, uint64_t key, const struct limit_rate *rate,
                      uint64_t now_us, unsigned tries)
{
    unsigned count = 0;
    uint64_t wait_us = 0;
    for (unsigned i = 0; i < tries; i++) {
        count += limit_take(limit, key, rate, now_us, &wait_us) ? 1 : 0;
    }
    return count;
}

static void burst_is_taken_at_once_and_the_rate_after_it(void **state)
{
    const struct limit_rate rate = {second_us / 10, 5};
    uint64_t now_us = 10 * second_us;

    assert_int_equal(taken(*state, 7, &rate, now_us, 20), 5);
    assert_int_equal(taken(*state, 7, &rate, now_us + second_us / 10, 20), 1);
    assert_int_equal(taken(*state, 7, &rate, now_us + second_us / 2, 20), 4);
    assert_int_equal(taken(*state, 7, &rate, now_us + 60 * second_us, 20), 5);
}

static void refusal_says_when_to_come_back(void **state)
{
    const struct limit_rate rate = {second_us / 2, 1};
    uint64_t now_us = 10 * second_us;
    uint64_t wait_us = 0;

    assert_true(limit_take(*state, 7, &rate, now_us, &wait_us));
    assert_false(limit_take(*state, 7, &rate, now_us + 1000, &wait_us));
    assert_int_equal(wait_us, second_us / 2 - 1000);
    assert_true(limit_take(*state, 7, &rate, now_us + 1000 + wait_us, &wait_us));
}

static void one_client_does_not_use_up_anothers_rate(void **state)
{
    const struct limit_rate rate = {second_us, 1};

    assert_int_equal(taken(*state, 1, &rate, 10 * second_us, 9), 1);
    assert_int_equal(taken(*state, 2, &rate, 10 * second_us, 9), 1);
}

static void who_floods_stays_known_when_thousands_come(void **state)
{
    const struct limit_rate rate = {second_us, 100};
    uint64_t now_us = 10 * second_us;
    struct limit *limit = *state;
    uint64_t flood = limit_key_of_text(limit, "flood", 5);

    assert_int_equal(taken(limit, flood, &rate, now_us, 200), 100);
    for (uint32_t i = 0; i < 4 * LIMIT_PLACES; i++) {
        (void)taken(limit, limit_key_of_text(limit, &i, sizeof i), &rate, now_us, 1);
    }
    assert_int_equal(taken(limit, flood, &rate, now_us, 200), 0);
    assert_true(limit_overflows(limit) > 0);
}

static void no_more_than_max_are_in_at_once(void **state)
{
    struct limit_grant grants[3] = {{0}};

    assert_true(limit_enter(*state, 7, 2, &grants[0]));
    assert_true(limit_enter(*state, 7, 2, &grants[1]));
    assert_false(limit_enter(*state, 7, 2, &grants[2]));
    limit_leave(&grants[2]); /* nothing was granted */
    assert_false(limit_enter(*state, 7, 2, &grants[2]));
    limit_leave(&grants[0]);
    assert_true(limit_enter(*state, 7, 2, &grants[2]));
    limit_leave(&grants[1]);
    limit_leave(&grants[2]);
}

static void who_finds_no_place_is_let_in_and_counted(void **state)
{
    struct limit_grant grants[LIMIT_WAYS + 1] = {{0}};
    uint64_t sets = LIMIT_PLACES / LIMIT_WAYS;

    for (uint64_t i = 0; i <= LIMIT_WAYS; i++) { /* all in one set */
        assert_true(limit_enter(*state, ((i + 1) << 32) * sets, 1, &grants[i]));
    }
    assert_int_equal(limit_overflows(*state), 1);
    for (uint64_t i = 0; i <= LIMIT_WAYS; i++) {
        limit_leave(&grants[i]);
    }
}

static void grant_outlives_who_gave_it(void **state)
{
    struct limit *limit = limit_create(1, 0);
    struct limit_grant grant;
    (void)state;

    assert_true(limit_enter(limit, 7, 1, &grant));
    limit_release(limit);
    limit_leave(&grant);
    assert_null(grant.limit);
}

static void subscribers_of_ipv6_count_by_their_network(void **state)
{
    struct rc_address a = source("2001:db8:1:2::1");
    struct rc_address b = source("2001:db8:1:2:ffff::9");
    struct rc_address c = source("2001:db8:1:3::1");
    struct rc_address d = source("10.0.0.1");
    struct rc_address e = source("10.0.0.2");

    assert_true(limit_key_of_source(*state, &a) == limit_key_of_source(*state, &b));
    assert_true(limit_key_of_source(*state, &a) != limit_key_of_source(*state, &c));
    assert_true(limit_key_of_source(*state, &d) != limit_key_of_source(*state, &e));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(burst_is_taken_at_once_and_the_rate_after_it),
        TEST(refusal_says_when_to_come_back),
        TEST(one_client_does_not_use_up_anothers_rate),
        TEST(who_floods_stays_known_when_thousands_come),
        TEST(no_more_than_max_are_in_at_once),
        TEST(who_finds_no_place_is_let_in_and_counted),
        TEST(grant_outlives_who_gave_it),
        TEST(subscribers_of_ipv6_count_by_their_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
