/* test_balance.c - who takes the next request: shares, movement, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/upstream/balance.h"

enum { MEMBERS_MAX = 20 };

/* A pool of instances i0, i1, ... that a test may bend. */
struct world {
    struct config_pool config;
    struct snapshot_member members[MEMBERS_MAX];
    struct snapshot_pool pool;
    struct balance *balance;
};

static struct world *make(size_t count, enum config_balance kind)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->config.balance = kind;
    w->config.in_flight_max = 1000000;
    for (size_t i = 0; i < count; i++) {
        char id[16];
        struct rc_address address = {.family = RC_ADDRESS_IPV4, .port = (uint16_t)i};
        (void)snprintf(id, sizeof id, "i%zu", i);
        w->members[i].instance = instance_create(id, &address);
        w->members[i].state = UPSTREAM_UP;
        w->members[i].present = true;
        w->members[i].weight = 1;
    }
    w->pool = (struct snapshot_pool){.config = &w->config,
                                     .members = w->members,
                                     .count = count,
                                     .known = true,
                                     .primary = count};
    w->balance = balance_create(1);
    assert_int_equal(balance_sync(w->balance, &w->pool), RC_OK);
    return w;
}

static void end(struct world *w)
{
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        instance_release(w->members[i].instance);
    }
    balance_destroy(w->balance);
    free(w);
}

static size_t pick(struct world *w, const char *key)
{
    struct balance_request request = {
        .key = balance_key(key, key != NULL ? strlen(key) : 0)};
    const struct snapshot_member *m = balance_pick(w->balance, &w->pool, &request);
    return m != NULL ? (size_t)(m - w->members) : MEMBERS_MAX;
}

static void round_robin_gives_exact_shares_spread_evenly(void **state)
{
    (void)state;
    struct world *w = make(3, CONFIG_ROUND_ROBIN);
    unsigned got[3] = {0};
    size_t last = 3;
    unsigned repeats = 0;
    w->members[0].weight = 4;
    w->members[1].weight = 2;

    for (int i = 0; i < 700; i++) {
        size_t chosen = pick(w, NULL);
        got[chosen]++;
        repeats += chosen == last;
        last = chosen;
    }

    assert_int_equal(got[0], 400);
    assert_int_equal(got[1], 200);
    assert_int_equal(got[2], 100);
    assert_true(repeats <= 101); /* smooth: at most one pair a round */
    end(w);
}

static void round_robin_goes_on_when_somebody_leaves(void **state)
{
    (void)state;
    struct world *w = make(4, CONFIG_ROUND_ROBIN);
    unsigned got[4] = {0};
    (void)pick(w, NULL);
    struct instance *gone = w->members[3].instance;
    w->members[3].instance = NULL;
    w->pool.count = 3;
    assert_int_equal(balance_sync(w->balance, &w->pool), RC_OK);

    for (int i = 0; i < 300; i++) {
        got[pick(w, NULL)]++;
    }

    for (int i = 0; i < 3; i++) {
        assert_in_range(got[i], 99, 101);
    }
    instance_release(gone);
    end(w);
}

static void least_request_prefers_the_idle(void **state)
{
    (void)state;
    struct world *w = make(3, CONFIG_LEAST_REQUEST);
    instance_begin(w->members[0].instance);
    instance_begin(w->members[2].instance);

    for (int i = 0; i < 50; i++) {
        assert_int_equal(pick(w, NULL), 1);
    }
    end(w);
}

static void least_request_of_two_evens_out_a_large_pool(void **state)
{
    (void)state;
    struct world *w = make(20, CONFIG_LEAST_REQUEST);
    for (int i = 0; i < 2000; i++) {
        instance_begin(w->members[pick(w, NULL)].instance);
    }
    for (size_t i = 0; i < 20; i++) {
        assert_in_range(atomic_load(&w->members[i].instance->in_flight), 95, 105);
    }
    end(w);
}

static void a_key_stays_with_its_instance(void **state)
{
    (void)state;
    struct world *w = make(5, CONFIG_HASH);
    size_t first = pick(w, "/a/b");
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pick(w, "/a/b"), first);
    }
    end(w);
}

static void keys_spread_by_weight(void **state)
{
    (void)state;
    struct world *w = make(4, CONFIG_HASH);
    unsigned got[4] = {0};
    w->members[0].weight = 2;
    for (int i = 0; i < 50000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "/%d", i);
        got[pick(w, key)]++;
    }
    assert_in_range(got[0], 19000, 21000);
    for (int i = 1; i < 4; i++) {
        assert_in_range(got[i], 9400, 10600);
    }
    end(w);
}

/* Minimal movement: only the keys of the one who is gone move. */
static void losing_one_moves_only_its_keys(void **state)
{
    (void)state;
    struct world *w = make(5, CONFIG_HASH);
    static size_t before[5000];
    for (int i = 0; i < 5000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "/%d", i);
        before[i] = pick(w, key);
    }
    w->members[2].state = UPSTREAM_EJECTED;
    for (int i = 0; i < 5000; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "/%d", i);
        size_t now = pick(w, key);
        assert_int_not_equal(now, 2);
        if (before[i] != 2) {
            assert_int_equal(now, before[i]);
        }
    }
    end(w);
}

static void a_hot_key_overflows_to_a_stable_second_choice(void **state)
{
    (void)state;
    struct world *w = make(4, CONFIG_HASH);
    w->config.bounded_percent = 125;
    size_t first = pick(w, "/hot");
    unsigned others[4] = {0};

    for (int i = 0; i < 100; i++) {
        size_t chosen = pick(w, "/hot");
        instance_begin(w->members[chosen].instance);
        others[chosen]++;
    }

    /* 1.25 x 100 / 4, rounded up. */
    assert_in_range(others[first], 25, 32);
    for (size_t i = 0; i < 4; i++) {
        assert_true(others[i] <= 32);
    }
    end(w);
}

static void the_usable_come_before_the_draining_before_the_ejected(void **state)
{
    (void)state;
    struct world *w = make(3, CONFIG_ROUND_ROBIN);
    w->members[0].state = UPSTREAM_EJECTED;
    w->members[1].state = UPSTREAM_DRAINING;

    assert_int_equal(pick(w, NULL), 2);
    w->members[2].state = UPSTREAM_EJECTED;
    assert_int_equal(pick(w, NULL), 1);
    assert_int_equal(balance_panics(w->balance), 0);
    w->members[1].state = UPSTREAM_GONE;
    assert_true(pick(w, NULL) != 1);
    assert_int_equal(balance_panics(w->balance), 1);
    end(w);
}

static void the_excluded_are_never_chosen(void **state)
{
    (void)state;
    struct world *w = make(2, CONFIG_ROUND_ROBIN);
    const struct instance *tried[] = {w->members[0].instance, w->members[1].instance};
    struct balance_request request = {.excluded = tried, .excluded_count = 1};

    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(balance_pick(w->balance, &w->pool, &request), &w->members[1]);
    }
    request.excluded_count = 2;
    assert_null(balance_pick(w->balance, &w->pool, &request));
    end(w);
}

static void a_trial_takes_one_request_at_a_time(void **state)
{
    (void)state;
    struct world *w = make(2, CONFIG_ROUND_ROBIN);
    w->members[0].state = UPSTREAM_TRIAL;

    assert_int_equal(pick(w, NULL), 0);
    instance_begin(w->members[0].instance);
    assert_int_equal(pick(w, NULL), 1);
    (void)instance_end(w->members[0].instance, INSTANCE_OK, 5);
    assert_int_equal(atomic_load(&w->members[0].instance->trial_successes), 1);
    assert_int_equal(pick(w, NULL), 0);
    end(w);
}

static void a_full_instance_is_passed_over(void **state)
{
    (void)state;
    struct world *w = make(2, CONFIG_ROUND_ROBIN);
    w->config.in_flight_max = 1;
    instance_begin(w->members[0].instance);
    assert_int_equal(pick(w, NULL), 1);
    instance_begin(w->members[1].instance);
    assert_int_equal(pick(w, NULL), MEMBERS_MAX);
    end(w);
}

static void slow_start_grows_from_a_tenth(void **state)
{
    (void)state;
    struct snapshot_member m = {
        .state = UPSTREAM_WARMING, .weight = 100, .up_since_ms = 1000};

    assert_int_equal(balance_weight(&m, 10000, 1000), 10);
    assert_int_equal(balance_weight(&m, 10000, 6000), 55);
    assert_int_equal(balance_weight(&m, 10000, 11000), 100);
    m.weight = 1;
    assert_int_equal(balance_weight(&m, 10000, 1000), 1);
}

static void a_cookie_is_followed_while_its_instance_can_be_used(void **state)
{
    (void)state;
    struct world *w = make(3, CONFIG_ROUND_ROBIN);
    struct balance_request request = {.sticky = 77};
    w->members[1].sticky = 77;
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(balance_pick(w->balance, &w->pool, &request), &w->members[1]);
    }
    w->members[1].state = UPSTREAM_DRAINING;
    for (int i = 0; i < 5; i++) {
        assert_ptr_not_equal(balance_pick(w->balance, &w->pool, &request),
                             &w->members[1]);
    }
    end(w);
}

static void the_near_take_all_until_they_are_full(void **state)
{
    (void)state;
    struct world *w = make(4, CONFIG_ROUND_ROBIN);
    w->config.in_flight_max = 2;
    w->pool.prefer_near = true;
    w->members[2].near = true;
    w->members[3].near = true;
    unsigned got[4] = {0};

    for (int i = 0; i < 8; i++) {
        size_t chosen = pick(w, NULL);
        instance_begin(w->members[chosen].instance);
        got[chosen]++;
        assert_true(i >= 4 || chosen >= 2);
    }

    for (int i = 0; i < 4; i++) {
        assert_int_equal(got[i], 2);
    }
    assert_int_equal(pick(w, NULL), MEMBERS_MAX);
    end(w);
}

static void who_fails_is_used_only_in_panic_and_then_like_all(void **state)
{
    (void)state;
    struct world *w = make(4, CONFIG_ROUND_ROBIN);
    unsigned got[4] = {0};
    for (int i = 1; i < 4; i++) {
        w->members[i].state = UPSTREAM_FAILING;
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(pick(w, NULL), 0);
    }
    w->members[0].state = UPSTREAM_FAILING;
    assert_int_equal(pick(w, NULL), MEMBERS_MAX);

    w->pool.panic = true;
    w->members[0].state = UPSTREAM_UP;
    for (int i = 0; i < 80; i++) {
        got[pick(w, NULL)]++;
    }

    for (int i = 0; i < 4; i++) {
        assert_in_range(got[i], 19, 21);
    }
    assert_in_range(balance_panics(w->balance), 59, 61);
    end(w);
}

static void only_keys_of_who_leaves_move_whatever_the_weights(void **state)
{
    (void)state;
    struct world *w = make(6, CONFIG_HASH);
    size_t before[600];
    unsigned got[6] = {0};
    w->members[0].weight = 5;
    for (int i = 0; i < 600; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        before[i] = pick(w, key);
        got[before[i]]++;
    }
    assert_in_range(got[0], 240, 360); /* half of them */
    w->members[3].state = UPSTREAM_FAILING;
    for (int i = 0; i < 600; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%d", i);
        size_t now = pick(w, key);
        assert_true(now == before[i] || before[i] == 3);
        assert_int_not_equal(now, 3);
    }
    end(w);
}

static void of_many_no_more_begin_than_there_is_room_for(void **state)
{
    (void)state;
    struct world *w = make(1, CONFIG_ROUND_ROBIN);
    struct instance *instance = w->members[0].instance;
    assert_true(instance_try_begin(instance, 2));
    assert_true(instance_try_begin(instance, 2));
    assert_false(instance_try_begin(instance, 2));
    (void)instance_end(instance, INSTANCE_OK, 5);
    assert_true(instance_try_begin(instance, 2));
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_robin_gives_exact_shares_spread_evenly),
        cmocka_unit_test(round_robin_goes_on_when_somebody_leaves),
        cmocka_unit_test(least_request_prefers_the_idle),
        cmocka_unit_test(least_request_of_two_evens_out_a_large_pool),
        cmocka_unit_test(a_key_stays_with_its_instance),
        cmocka_unit_test(keys_spread_by_weight),
        cmocka_unit_test(losing_one_moves_only_its_keys),
        cmocka_unit_test(a_hot_key_overflows_to_a_stable_second_choice),
        cmocka_unit_test(the_usable_come_before_the_draining_before_the_ejected),
        cmocka_unit_test(the_excluded_are_never_chosen),
        cmocka_unit_test(a_trial_takes_one_request_at_a_time),
        cmocka_unit_test(a_full_instance_is_passed_over),
        cmocka_unit_test(slow_start_grows_from_a_tenth),
        cmocka_unit_test(a_cookie_is_followed_while_its_instance_can_be_used),
        cmocka_unit_test(the_near_take_all_until_they_are_full),
        cmocka_unit_test(who_fails_is_used_only_in_panic_and_then_like_all),
        cmocka_unit_test(only_keys_of_who_leaves_move_whatever_the_weights),
        cmocka_unit_test(of_many_no_more_begin_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
