/* test_lineup_health.c - checks, files and distances in the set of a pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/upstream/lineup.h"

static struct config_pool config_of_pool(void)
{
    struct config_pool config = {.service = "web",
                                 .file = "/x",
                                 .near_ms = 5,
                                 .panic_percent = 50,
                                 .sticky = "place",
                                 .check = {.kind = CONFIG_PROBE_TCP},
                                 .outlier_failures = 5,
                                 .outlier_base_ms = 60000,
                                 .outlier_max_percent = 50};
    (void)rc_text_put(config.name, sizeof config.name, "web");
    return config;
}

static struct lineup *make(void)
{
    struct config_pool config = config_of_pool();
    struct lineup *lineup = lineup_create(&config, 10000, 1, 0);
    assert_non_null(lineup);
    return lineup;
}

static struct lineup_entry entry(const char *id, uint16_t port, enum lineup_health health)
{
    struct lineup_entry made = {.weight = 1, .health = health};
    (void)rc_text_put(made.id, sizeof made.id, id);
    (void)rc_address_parse_ip("10.0.0.1", port, &made.address);
    return made;
}

static bool tell(struct lineup *lineup, enum lineup_health one, enum lineup_health two,
                 uint64_t now_ms)
{
    struct lineup_entry both[] = {entry("n1/a", 1, one), entry("n2/a", 2, two)};
    return lineup_apply(lineup, LINEUP_AGENT, LINEUP_FULL, both, 2, now_ms);
}

static enum upstream_state state_of(const struct lineup *lineup, size_t index)
{
    return lineup_at(lineup, index)->upstream.state;
}

static void a_critical_one_stays_known_and_is_not_used(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);

    assert_true(tell(l, LINEUP_PASSING, LINEUP_CRITICAL, 2));
    assert_int_equal(lineup_count(l), 2);
    assert_int_equal(state_of(l, 1), UPSTREAM_FAILING);
    (void)lineup_tick(l, 100);
    assert_int_equal(lineup_count(l), 2);
    assert_true(tell(l, LINEUP_PASSING, LINEUP_PASSING, 200));
    assert_int_equal(state_of(l, 1), UPSTREAM_UP);
    lineup_destroy(l);
}

static void one_that_warns_is_used(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_PASSING, LINEUP_WARNING, 1);
    assert_int_equal(state_of(l, 1), UPSTREAM_UP);
    lineup_destroy(l);
}

static void maintenance_is_like_leaving(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);
    instance_begin(lineup_at(l, 1)->instance);

    assert_true(tell(l, LINEUP_PASSING, LINEUP_MAINTENANCE, 2));
    assert_int_equal(state_of(l, 1), UPSTREAM_DRAINING);
    (void)instance_end(lineup_at(l, 1)->instance, INSTANCE_OK, 5);
    (void)lineup_tick(l, 3);
    assert_int_equal(lineup_count(l), 1);
    assert_false(tell(l, LINEUP_PASSING, LINEUP_MAINTENANCE, 4));
    assert_int_equal(lineup_count(l), 1);
    lineup_destroy(l);
}

static void our_check_and_the_catalog_must_both_agree(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_CRITICAL, LINEUP_PASSING, 1);
    const struct instance *one = lineup_at(l, 0)->instance;

    (void)lineup_set_check(l, one, LINEUP_CHECK_PASSES, 2);
    assert_int_equal(state_of(l, 0), UPSTREAM_FAILING);
    (void)lineup_set_check(l, one, LINEUP_CHECK_FAILS, 3);
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 4);
    assert_int_equal(state_of(l, 0), UPSTREAM_FAILING);
    assert_true(lineup_set_check(l, one, LINEUP_CHECK_PASSES, 5));
    assert_int_equal(state_of(l, 0), UPSTREAM_UP);
    lineup_destroy(l);
}

static void a_check_that_is_no_more_says_nothing(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct config_pool config = config_of_pool();
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);
    (void)lineup_set_check(l, lineup_at(l, 0)->instance, LINEUP_CHECK_FAILS, 2);

    config.check.kind = CONFIG_PROBE_NONE;
    assert_int_equal(lineup_configure(l, &config, 10000, 3), RC_OK);
    assert_int_equal(state_of(l, 0), UPSTREAM_UP);
    lineup_destroy(l);
}

static void who_recovers_is_not_blamed_for_what_was(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);
    struct instance *one = lineup_at(l, 0)->instance;
    (void)tell(l, LINEUP_CRITICAL, LINEUP_PASSING, 2);
    for (int i = 0; i < 9; i++) {
        instance_begin(one);
        (void)instance_end(one, INSTANCE_CONNECT_FAILED, 5);
    }
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 3);
    (void)lineup_tick(l, 4);
    assert_int_equal(state_of(l, 0), UPSTREAM_UP);
    lineup_destroy(l);
}

static void the_file_adds_to_the_catalog_and_keeps_its_last_good_word(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry extra = entry("", 9, LINEUP_PASSING);
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);

    assert_true(lineup_apply(l, LINEUP_FILE, LINEUP_FULL, &extra, 1, 2));
    assert_int_equal(lineup_count(l), 3);
    (void)lineup_apply(l, LINEUP_FILE, LINEUP_FAILED, NULL, 0, 3);
    (void)lineup_tick(l, 4);
    assert_int_equal(lineup_count(l), 3);
    struct lineup_source_state source;
    lineup_source_state(l, LINEUP_FILE, &source);
    assert_false(source.healthy);
    assert_int_equal(source.count, 1);

    struct config_pool config = config_of_pool();
    config.file[0] = '\0';
    assert_int_equal(lineup_configure(l, &config, 10000, 5), RC_OK);
    (void)lineup_tick(l, 6);
    assert_int_equal(lineup_count(l), 2);
    lineup_destroy(l);
}

static void distances_are_by_node(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)tell(l, LINEUP_PASSING, LINEUP_PASSING, 1);

    assert_true(lineup_set_distance(l, "n1", 700));
    assert_false(lineup_set_distance(l, "n1", 700));
    assert_false(lineup_set_distance(l, "n", 1)); /* not the whole name */
    assert_int_equal(lineup_at(l, 0)->distance_us, 700);
    assert_int_equal(lineup_at(l, 1)->distance_us, DISTANCE_UNKNOWN);
    lineup_destroy(l);
}

/* `ok` and `failed` uses of a member in each of ten seconds. */
static void use(struct lineup *l, size_t index, int ok, int failed)
{
    struct instance *instance = lineup_at(l, index)->instance;
    for (int i = 0; i < ok + failed; i++) {
        instance_begin(instance);
        (void)instance_end(instance, i < failed ? INSTANCE_GATEWAY_STATUS : INSTANCE_OK,
                           0);
    }
}

static void who_fails_far_more_often_than_others_is_set_aside(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry three[] = {entry("n1/a", 1, LINEUP_PASSING),
                                   entry("n2/a", 2, LINEUP_PASSING),
                                   entry("n3/a", 3, LINEUP_PASSING)};
    (void)lineup_apply(l, LINEUP_AGENT, LINEUP_FULL, three, 3, 1);
    (void)lineup_tick(l, 1000);
    for (uint64_t second = 2; second < 8; second++) {
        use(l, 0, 3, 0);
        use(l, 1, 2, 4); /* a run of four, then good ones: never five in a row */
        use(l, 2, 9, 1);
        instance_begin(lineup_at(l, 1)->instance);
        (void)instance_end(lineup_at(l, 1)->instance, INSTANCE_OK, 0);
        (void)lineup_tick(l, second * 1000);
    }
    assert_int_equal(state_of(l, 0), UPSTREAM_UP);
    assert_int_equal(state_of(l, 1), UPSTREAM_EJECTED);
    assert_int_equal(state_of(l, 2), UPSTREAM_UP);
    lineup_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_critical_one_stays_known_and_is_not_used),
        cmocka_unit_test(one_that_warns_is_used),
        cmocka_unit_test(maintenance_is_like_leaving),
        cmocka_unit_test(our_check_and_the_catalog_must_both_agree),
        cmocka_unit_test(a_check_that_is_no_more_says_nothing),
        cmocka_unit_test(who_recovers_is_not_blamed_for_what_was),
        cmocka_unit_test(the_file_adds_to_the_catalog_and_keeps_its_last_good_word),
        cmocka_unit_test(distances_are_by_node),
        cmocka_unit_test(who_fails_far_more_often_than_others_is_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
