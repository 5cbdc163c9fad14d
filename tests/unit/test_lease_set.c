#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/engine/lease_set.h"
#include "base/err.h"
#include "base/random.h"

/* Answered the moment it was asked for. */
static struct lease_moment at(uint64_t now_ms)
{
    return (struct lease_moment){now_ms, now_ms};
}

static int setup(void **state)
{
    *state = lease_set_create();
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    lease_set_destroy(*state);
    return 0;
}

static void empty_set_is_never_due(void **state)
{
    uint64_t due[4];

    assert_true(lease_set_deadline_ms(*state) == UINT64_MAX);
    assert_int_equal(lease_set_due(*state, UINT64_MAX, due, 4), 0);
}

static void leases_are_due_in_the_order_of_their_ends(void **state)
{
    uint64_t due[4];
    assert_int_equal(lease_set_add(*state, at(100), 1, 300), RC_OK);
    assert_int_equal(lease_set_add(*state, at(100), 2, 100), RC_OK);
    assert_int_equal(lease_set_add(*state, at(100), 3, 200), RC_OK);

    assert_true(lease_set_deadline_ms(*state) == 200);
    assert_int_equal(lease_set_due(*state, 199, due, 4), 0);
    assert_int_equal(lease_set_due(*state, 399, due, 4), 2);

    assert_true(due[0] == 2 && due[1] == 3);
    assert_int_equal(lease_set_count(*state), 3); /* until they are removed */
}

static void renewed_lease_has_its_whole_time_again(void **state)
{
    uint64_t due[4];
    assert_int_equal(lease_set_add(*state, at(100), 1, 300), RC_OK);

    assert_true(lease_set_renew(*state, at(390), 1));
    assert_false(lease_set_renew(*state, at(390), 2));

    assert_int_equal(lease_set_due(*state, 689, due, 4), 0);
    assert_int_equal(lease_set_due(*state, 690, due, 4), 1);
}

static void lease_is_added_once(void **state)
{
    assert_int_equal(lease_set_add(*state, at(0), 1, 300), RC_OK);
    assert_int_equal(lease_set_add(*state, at(0), 1, 300), RC_EEXISTS);
}

static void no_more_are_due_than_there_is_room_for(void **state)
{
    uint64_t due[2];
    for (uint64_t i = 1; i <= 5; i++) {
        assert_int_equal(lease_set_add(*state, at(0), i, i), RC_OK);
    }

    assert_int_equal(lease_set_due(*state, 10, due, 2), 2);
    assert_true(due[0] == 1 && due[1] == 2);
    lease_set_remove(*state, 1);
    lease_set_remove(*state, 2);
    assert_int_equal(lease_set_due(*state, 10, due, 2), 2);

    assert_true(due[0] == 3 && due[1] == 4);
}

static void endless_lease_does_not_wrap(void **state)
{
    uint64_t due[1];
    assert_int_equal(lease_set_add(*state, at(1000), 1, UINT64_MAX), RC_OK);

    assert_int_equal(lease_set_due(*state, UINT64_MAX - 1, due, 1), 0);
}

/* A plain list beside it, which is looked through from end to end. */
enum { LEASES = 60, STEPS = 20000 };

struct list {
    uint64_t ends_ms[LEASES]; /* 0: not there */
    uint64_t ttl_ms[LEASES];
};

static void change(struct lease_set *set, struct list *list, struct rc_random *random,
                   uint64_t now_ms)
{
    uint64_t i = rc_random_below(random, LEASES);
    bool is_there = list->ends_ms[i] != 0;

    switch (rc_random_below(random, 3)) {
    case 0:
        list->ttl_ms[i] = is_there ? list->ttl_ms[i] : 1 + rc_random_below(random, 100);
        list->ends_ms[i] = is_there ? list->ends_ms[i] : now_ms + list->ttl_ms[i];
        assert_int_equal(lease_set_add(set, at(now_ms), i, list->ttl_ms[i]),
                         is_there ? RC_EEXISTS : RC_OK);
        break;
    case 1:
        list->ends_ms[i] = is_there ? now_ms + list->ttl_ms[i] : 0;
        assert_int_equal(lease_set_renew(set, at(now_ms), i), is_there);
        break;
    default:
        list->ends_ms[i] = 0;
        lease_set_remove(set, i);
        break;
    }
}

static void compare(struct lease_set *set, struct list *list, uint64_t now_ms)
{
    uint64_t earliest_ms = UINT64_MAX;
    uint64_t due[LEASES];
    size_t count = 0;

    for (size_t i = 0; i < LEASES; i++) {
        uint64_t ends_ms = list->ends_ms[i] == 0 ? UINT64_MAX : list->ends_ms[i];
        earliest_ms = ends_ms < earliest_ms ? ends_ms : earliest_ms;
        count += ends_ms <= now_ms ? 1 : 0;
    }
    assert_true(lease_set_deadline_ms(set) == earliest_ms);
    assert_int_equal(lease_set_due(set, now_ms, due, LEASES), count);
    for (size_t i = 0; i < count; i++) {
        lease_set_remove(set, due[i]);
        list->ends_ms[due[i]] = 0;
    }
}

static void thousands_of_steps_agree_with_a_plain_list(void **state)
{
    struct list list = {{0}, {0}};
    struct rc_random random;
    uint64_t now_ms = 1;

    rc_random_init(&random, 7);
    for (int step = 0; step < STEPS; step++) {
        now_ms += rc_random_below(&random, 3);
        change(*state, &list, &random, now_ms);
        compare(*state, &list, now_ms);
    }
}

static void time_counts_from_when_it_was_asked_for_but_half_of_it_is_left(void **state)
{
    assert_int_equal(lease_set_add(*state, (struct lease_moment){1000, 1100}, 1, 2000),
                     RC_OK);
    assert_int_equal(lease_set_deadline_ms(*state), 3000);
    assert_true(lease_set_renew(*state, (struct lease_moment){1500, 1700}, 1));
    assert_int_equal(lease_set_deadline_ms(*state), 3500);
    assert_true(lease_set_renew(*state, (struct lease_moment){1600, 3400}, 1));
    assert_int_equal(lease_set_deadline_ms(*state), 4400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            time_counts_from_when_it_was_asked_for_but_half_of_it_is_left, setup,
            teardown),
        cmocka_unit_test_setup_teardown(empty_set_is_never_due, setup, teardown),
        cmocka_unit_test_setup_teardown(leases_are_due_in_the_order_of_their_ends, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(renewed_lease_has_its_whole_time_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(lease_is_added_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_more_are_due_than_there_is_room_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(endless_lease_does_not_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(thousands_of_steps_agree_with_a_plain_list, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
