#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/http/waiters.h"
#include "base/err.h"
#include "base/random.h"

enum { SEED = 7 };

static int set_up(void **state)
{
    *state = waiters_create(SEED);
    return *state == NULL;
}

static int tear_down(void **state)
{
    waiters_destroy(*state);
    return 0;
}

static uint64_t service(const char *name)
{
    return waiters_key(CATALOG_TOPIC_SERVICE, name, SEED);
}

static void add(struct waiters *waiters, struct waiter *waiter, uint64_t key,
                uint64_t deadline_ms)
{
    *waiter = (struct waiter){.key = key, .deadline_ms = deadline_ms};
    assert_int_equal(waiters_add(waiters, waiter), RC_OK);
}

static void a_change_wakes_those_who_watch_it_and_nobody_else(void **state)
{
    struct waiter web[2];
    struct waiter db;
    struct waiter node;

    add(*state, &web[0], service("web"), 100);
    add(*state, &db, service("db"), 100);
    add(*state, &web[1], service("web"), 200);
    add(*state, &node, waiters_key(CATALOG_TOPIC_NODE, "web", SEED), 100);

    waiters_call(*state, service("web"));
    waiters_call(*state, service("other"));
    assert_true(waiters_has_called(*state));
    assert_ptr_equal(waiters_next(*state), &web[1]);
    assert_ptr_equal(waiters_next(*state), &web[0]);
    assert_null(waiters_next(*state));
    assert_false(waiters_has_called(*state));
    assert_int_equal(waiters_count(*state), 2);
    assert_null(web[0].list);
    assert_non_null(db.list);
}

static void names_are_watched_whatever_their_letter_case(void **state)
{
    (void)state;
    assert_true(service("Web-1") == service("wEB-1"));
    assert_true(service("web") != service("web2"));
}

static void a_removed_waiter_is_neither_woken_nor_expired(void **state)
{
    struct waiter waiter;

    add(*state, &waiter, service("web"), 100);
    waiters_remove(*state, &waiter);
    waiters_remove(*state, &waiter);

    waiters_call(*state, service("web"));
    assert_null(waiters_next(*state));
    assert_null(waiters_expire(*state, 1000));
    assert_true(waiters_deadline_ms(*state) == UINT64_MAX);
}

static void deadlines_come_in_order_whatever_was_woken_between(void **state)
{
    enum { COUNT = 500 };
    static struct waiter waiters[COUNT];
    struct rc_random random;
    uint64_t last_ms = 0;
    size_t expired = 0;
    size_t woken = 0;

    rc_random_init(&random, 3);
    for (size_t i = 0; i < COUNT; i++) {
        add(*state, &waiters[i], i % 7 == 0 ? service("a") : service("b"),
            rc_random_below(&random, 1000));
    }
    waiters_call(*state, service("a"));
    while (waiters_next(*state) != NULL) {
        woken++;
    }
    for (uint64_t now_ms = 0; now_ms <= 1000; now_ms += 10) {
        struct waiter *waiter = waiters_expire(*state, now_ms);
        while (waiter != NULL) {
            assert_true(waiter->deadline_ms >= last_ms);
            assert_true(waiter->deadline_ms <= now_ms);
            last_ms = waiter->deadline_ms;
            expired++;
            waiter = waiters_expire(*state, now_ms);
        }
    }
    assert_int_equal(woken, 72);
    assert_int_equal(woken + expired, COUNT);
}

static void who_comes_after_the_call_is_not_among_those_called(void **state)
{
    struct waiter early;
    struct waiter late;

    add(*state, &early, service("web"), 100);
    waiters_call(*state, service("web"));
    add(*state, &late, service("web"), 200);

    assert_ptr_equal(waiters_next(*state), &early);
    assert_null(waiters_next(*state));
    assert_non_null(late.list);
    waiters_call(*state, service("web"));
    assert_ptr_equal(waiters_next(*state), &late);
}

static void the_called_still_count_may_leave_and_may_expire(void **state)
{
    struct waiter all[3];

    add(*state, &all[0], service("web"), 100);
    add(*state, &all[1], service("db"), 50);
    add(*state, &all[2], service("web"), 300);
    waiters_call_all(*state);

    assert_int_equal(waiters_count(*state), 3);
    waiters_remove(*state, &all[2]);
    assert_ptr_equal(waiters_expire(*state, 60), &all[1]);
    assert_ptr_equal(waiters_next(*state), &all[0]);
    assert_null(waiters_next(*state));
    assert_int_equal(waiters_count(*state), 0);
}

static void the_called_are_forgotten_with_the_rest(void **state)
{
    struct waiters *waiters = waiters_create(SEED);
    struct waiter all[2];

    (void)state;
    add(waiters, &all[0], service("web"), 100);
    add(waiters, &all[1], service("db"), 100);
    waiters_call(waiters, service("db"));
    waiters_destroy(waiters); /* what is not freed, the sanitizer finds */
}

static size_t lengths(const struct waiters *waiters, enum store_table table)
{
    size_t position = 0;
    size_t size;
    size_t sum = 0;

    while (waiters_next_prefix(waiters, table, &position, &size)) {
        sum += size;
    }
    return sum;
}

static void lengths_of_prefixes_are_known_while_somebody_waits(void **state)
{
    struct waiters *waiters = waiters_create(1);
    struct waiter all[3] = {{.key = 1, .prefix = waiters_prefix(STORE_KV, 4)},
                            {.key = 2, .prefix = waiters_prefix(STORE_KV, 4)},
                            {.key = 3, .prefix = waiters_prefix(STORE_SESSIONS, 100)}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(waiters_add(waiters, &all[i]), RC_OK);
    }
    assert_int_equal(lengths(waiters, STORE_KV), 4);
    assert_int_equal(lengths(waiters, STORE_SESSIONS), 100);
    assert_int_equal(lengths(waiters, STORE_QUERIES), 0);
    waiters_remove(waiters, &all[0]);
    assert_int_equal(lengths(waiters, STORE_KV), 4);
    waiters_call(waiters, 2);
    assert_ptr_equal(waiters_next(waiters), &all[1]);
    assert_int_equal(lengths(waiters, STORE_KV), 0);
    assert_int_equal(lengths(waiters, STORE_SESSIONS), 100);
    waiters_destroy(waiters);
}

static void a_key_a_prefix_and_another_table_are_three_things(void **state)
{
    struct rc_pack_bytes name = rc_pack_text("a");

    (void)state;
    assert_int_not_equal(waiters_store_key(STORE_KV, name, 1),
                         waiters_prefix_key(STORE_KV, name, 1));
    assert_int_not_equal(waiters_store_key(STORE_KV, name, 1),
                         waiters_store_key(STORE_SESSIONS, name, 1));
    assert_int_not_equal(waiters_store_key(STORE_KV, name, 1),
                         waiters_store_key(STORE_KV, rc_pack_text("A"), 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_of_prefixes_are_known_while_somebody_waits),
        cmocka_unit_test(a_key_a_prefix_and_another_table_are_three_things),
        cmocka_unit_test_setup_teardown(a_change_wakes_those_who_watch_it_and_nobody_else,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            who_comes_after_the_call_is_not_among_those_called, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_called_still_count_may_leave_and_may_expire,
                                        set_up, tear_down),
        cmocka_unit_test(the_called_are_forgotten_with_the_rest),
        cmocka_unit_test(names_are_watched_whatever_their_letter_case),
        cmocka_unit_test_setup_teardown(a_removed_waiter_is_neither_woken_nor_expired,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            deadlines_come_in_order_whatever_was_woken_between, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
