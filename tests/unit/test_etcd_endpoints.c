#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/engine/etcd_endpoints.h"
#include "base/err.h"

static const char *const urls[] = {"http://a:1", "http://b:1/", "https://c:1"};

static int make(void **state)
{
    static struct etcd_endpoints endpoints;

    assert_int_equal(etcd_endpoints_init(&endpoints, urls, 3), RC_OK);
    *state = &endpoints;
    return 0;
}

static int end(void **state)
{
    etcd_endpoints_fini(*state);
    return 0;
}

static void first_is_kept_while_it_answers(void **state)
{
    struct etcd_endpoints *e = *state;

    etcd_endpoints_report(e, 0, ETCD_ANSWERED, 5);
    assert_int_equal(etcd_endpoints_pick(e, 0, 10), 0);
    assert_string_equal(e->items[1].url, "http://b:1");
}

static void failure_moves_on_and_success_stays_there(void **state)
{
    struct etcd_endpoints *e = *state;

    etcd_endpoints_report(e, 0, ETCD_FAILED, 10);
    assert_int_equal(etcd_endpoints_pick(e, 0, 10), 1);
    etcd_endpoints_report(e, 1, ETCD_ANSWERED, 11);
    assert_int_equal(etcd_endpoints_pick(e, 0, 100000), 1);
}

static void tried_ones_are_left_out(void **state)
{
    const struct etcd_endpoints *e = *state;

    assert_int_equal(etcd_endpoints_pick(e, 1, 0), 1);
    assert_int_equal(etcd_endpoints_pick(e, 3, 0), 2);
    assert_int_equal(etcd_endpoints_pick(e, 7, 0), 3);
}

static void when_all_failed_the_one_that_rested_longest_is_asked(void **state)
{
    struct etcd_endpoints *e = *state;

    etcd_endpoints_report(e, 1, ETCD_FAILED, 10);
    etcd_endpoints_report(e, 0, ETCD_FAILED, 20);
    etcd_endpoints_report(e, 2, ETCD_FAILED, 30);
    assert_int_equal(etcd_endpoints_pick(e, 0, 40), 1);
}

static void one_failure_seen_by_many_requests_counts_once(void **state)
{
    struct etcd_endpoints *e = *state;

    for (unsigned i = 0; i < 50; i++) {
        etcd_endpoints_report(e, 0, ETCD_FAILED, 10 + i);
    }
    assert_int_equal(e->items[0].failures, 1);
}

static void much_slower_one_is_left_after_some_looks(void **state)
{
    struct etcd_endpoints *e = *state;

    for (unsigned i = 0; i < 3; i++) {
        etcd_endpoints_looked(e, 1, 1000);
        etcd_endpoints_looked(e, 2, 3000);
        assert_int_equal(e->current, 0);
        etcd_endpoints_looked(e, 0, 200000);
    }
    assert_int_equal(e->current, 1);
}

static void little_slower_one_is_kept(void **state)
{
    struct etcd_endpoints *e = *state;

    for (unsigned i = 0; i < 20; i++) {
        etcd_endpoints_looked(e, 1, 1000);
        etcd_endpoints_looked(e, 0, 9000);
    }
    assert_int_equal(e->current, 0);
}

static void look_at_all(struct etcd_endpoints *e, unsigned home_us)
{
    etcd_endpoints_looked(e, 1, 1000);
    etcd_endpoints_looked(e, 2, 1000);
    etcd_endpoints_looked(e, 0, home_us);
}

static void first_is_gone_back_to_when_it_was_well_for_some_looks(void **state)
{
    struct etcd_endpoints *e = *state;

    etcd_endpoints_report(e, 0, ETCD_FAILED, 10);
    look_at_all(e, 1000);
    look_at_all(e, 1000);
    etcd_endpoints_report(e, 0, ETCD_FAILED, 10000);
    look_at_all(e, 1000);
    look_at_all(e, 1000);
    assert_int_equal(etcd_endpoints_pick(e, 0, 10001), 1);
    look_at_all(e, 1000);
    assert_int_equal(etcd_endpoints_pick(e, 0, 10001), 0);
}

static void slow_first_is_not_gone_back_to(void **state)
{
    struct etcd_endpoints *e = *state;

    etcd_endpoints_report(e, 0, ETCD_FAILED, 10);
    for (unsigned i = 0; i < 9; i++) {
        look_at_all(e, 200000);
    }
    assert_int_equal(e->current, 1);
}

static void what_is_no_endpoint_is_refused(void **state)
{
    static const char *const bad[] = {"10.0.0.1:2379"};
    struct etcd_endpoints e;
    (void)state;

    assert_int_equal(etcd_endpoints_init(&e, bad, 1), RC_EINVAL);
    assert_int_equal(etcd_endpoints_init(&e, bad, 0), RC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_is_kept_while_it_answers, make, end),
        cmocka_unit_test_setup_teardown(failure_moves_on_and_success_stays_there, make,
                                        end),
        cmocka_unit_test_setup_teardown(tried_ones_are_left_out, make, end),
        cmocka_unit_test_setup_teardown(
            when_all_failed_the_one_that_rested_longest_is_asked, make, end),
        cmocka_unit_test_setup_teardown(one_failure_seen_by_many_requests_counts_once,
                                        make, end),
        cmocka_unit_test_setup_teardown(much_slower_one_is_left_after_some_looks, make,
                                        end),
        cmocka_unit_test_setup_teardown(little_slower_one_is_kept, make, end),
        cmocka_unit_test_setup_teardown(
            first_is_gone_back_to_when_it_was_well_for_some_looks, make, end),
        cmocka_unit_test_setup_teardown(slow_first_is_not_gone_back_to, make, end),
        cmocka_unit_test(what_is_no_endpoint_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
