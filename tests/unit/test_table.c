/* test_table.c - finding by name, and walking in the order of arrival. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/random.h"
#include "base/table.h"

static int values[1000];

static void fill(struct rc_table *table, int from, int to)
{
    char key[16];

    for (int i = from; i < to; i++) {
        (void)snprintf(key, sizeof key, "key-%d", i);
        values[i] = i;
        assert_int_equal(rc_table_put(table, key, &values[i], NULL), RC_OK);
    }
}

static void what_was_put_is_found_until_removed(void **state)
{
    struct rc_table *table = rc_table_create(1);
    void *old = NULL;
    (void)state;

    fill(table, 0, 1000);
    assert_int_equal(rc_table_count(table), 1000);
    assert_ptr_equal(rc_table_get(table, "key-999"), &values[999]);
    assert_null(rc_table_get(table, "key-1000"));
    assert_int_equal(rc_table_put(table, "key-5", &values[6], &old), RC_OK);
    assert_ptr_equal(old, &values[5]);
    assert_ptr_equal(rc_table_remove(table, "key-5"), &values[6]);
    assert_null(rc_table_remove(table, "key-5"));
    assert_null(rc_table_get(table, "key-5"));
    assert_int_equal(rc_table_count(table), 999);
    rc_table_destroy(table);
}

static void walks_follow_the_order_of_arrival(void **state)
{
    struct rc_table *table = rc_table_create(2);
    size_t position = 0;
    const char *key = NULL;
    (void)state;

    fill(table, 0, 4);
    (void)rc_table_remove(table, "key-1");
    fill(table, 1, 2); /* put again: it goes to the end */

    assert_ptr_equal(rc_table_next(table, &position, &key), &values[0]);
    assert_string_equal(key, "key-0");
    assert_ptr_equal(rc_table_next(table, &position, NULL), &values[2]);
    assert_ptr_equal(rc_table_next(table, &position, NULL), &values[3]);
    assert_ptr_equal(rc_table_next(table, &position, &key), &values[1]);
    assert_string_equal(key, "key-1");
    assert_null(rc_table_next(table, &position, NULL));
    rc_table_destroy(table);
}

static void a_walk_may_remove_what_it_just_saw(void **state)
{
    struct rc_table *table = rc_table_create(3);
    size_t position = 0;
    size_t seen = 0;
    const char *key = NULL;
    char copy[16];
    (void)state;

    fill(table, 0, 100);
    while (rc_table_next(table, &position, &key) != NULL) {
        (void)snprintf(copy, sizeof copy, "%s", key);
        assert_non_null(rc_table_remove(table, copy));
        seen++;
    }
    assert_int_equal(seen, 100);
    assert_int_equal(rc_table_count(table), 0);
    rc_table_destroy(table);
}

/* Many comings and goings against a plain array that cannot be wrong. */
static void long_use_agrees_with_an_array(void **state)
{
    struct rc_table *table = rc_table_create(4);
    struct rc_random random;
    char present[64] = {0};
    (void)state;

    rc_random_init(&random, 7);
    for (int i = 0; i < 20000; i++) {
        uint8_t key = (uint8_t)rc_random_below(&random, sizeof present);
        if (rc_random_chance(&random, 500000)) {
            assert_int_equal(rc_table_put_bytes(table, &key, 1, &values[key], NULL),
                             RC_OK);
            present[key] = 1;
        } else {
            assert_int_equal(rc_table_remove_bytes(table, &key, 1) != NULL, present[key]);
            present[key] = 0;
        }
    }
    for (size_t i = 0; i < sizeof present; i++) {
        uint8_t key = (uint8_t)i;
        assert_int_equal(rc_table_get_bytes(table, &key, 1) != NULL, present[i]);
    }
    rc_table_destroy(table);
}

static void keys_are_bytes_and_may_hold_nul(void **state)
{
    struct rc_table *table = rc_table_create(5);
    (void)state;

    assert_int_equal(rc_table_put_bytes(table, "a\0b", 3, &values[1], NULL), RC_OK);
    assert_int_equal(rc_table_put_bytes(table, "a", 1, &values[2], NULL), RC_OK);
    assert_int_equal(rc_table_put_bytes(table, "", 0, &values[3], NULL), RC_OK);
    assert_ptr_equal(rc_table_get_bytes(table, "a\0b", 3), &values[1]);
    assert_ptr_equal(rc_table_get(table, "a"), &values[2]);
    assert_ptr_equal(rc_table_get(table, ""), &values[3]);
    rc_table_destroy(table);
}

/* ---- lean tables */

struct place {
    char name[16];
    int number;
};

static struct rc_table_key key_of_place(const void *value)
{
    const struct place *place = value;

    return (struct rc_table_key){place->name, strlen(place->name)};
}

static void a_lean_table_finds_values_by_their_own_keys(void **state)
{
    struct rc_table *table = rc_table_create_lean(6, key_of_place);
    struct place berlin = {"berlin", 1};
    struct place oslo = {"oslo", 2};
    struct place other = {"berlin", 3};
    const char *key = NULL;
    void *old = NULL;
    size_t position = 0;
    (void)state;

    assert_int_equal(rc_table_put(table, "berlin", &berlin, NULL), RC_OK);
    assert_int_equal(rc_table_put(table, "oslo", &oslo, NULL), RC_OK);
    assert_ptr_equal(rc_table_get(table, "berlin"), &berlin);
    assert_null(rc_table_get(table, "bern"));
    assert_int_equal(rc_table_put(table, "berlin", &other, &old), RC_OK);
    assert_ptr_equal(old, &berlin);
    assert_int_equal(rc_table_count(table), 2);
    assert_ptr_equal(rc_table_next(table, &position, &key), &other);
    assert_ptr_equal(key, other.name);
    assert_ptr_equal(rc_table_remove(table, "oslo"), &oslo);
    assert_null(rc_table_next(table, &position, NULL));
    rc_table_destroy(table);
}

/* Through all sizes that it grows by, with holes and without. */
static void a_lean_table_keeps_order_and_all_values_as_it_grows(void **state)
{
    enum { COUNT = 5001 };
    struct rc_table *table = rc_table_create_lean(7, key_of_place);
    struct place *places = calloc(COUNT, sizeof *places);
    const struct place *place;
    size_t position = 0;
    int next = 1;
    (void)state;

    assert_non_null(places);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(places[i].name, sizeof places[i].name, "n%d", i);
        places[i].number = i;
        assert_int_equal(rc_table_put(table, places[i].name, &places[i], NULL), RC_OK);
        if (i % 3 == 2) {
            assert_ptr_equal(rc_table_remove(table, places[i - 2].name), &places[i - 2]);
        }
    }
    while ((place = rc_table_next(table, &position, NULL)) != NULL) {
        assert_int_equal(place->number, next);
        assert_ptr_equal(rc_table_get(table, place->name), place);
        next += next % 3 == 1 ? 1 : 2; /* multiples of three were taken out */
    }
    assert_int_equal(rc_table_count(table), COUNT - COUNT / 3);
    rc_table_destroy(table);
    free(places);
}

/* Computed with an implementation that agrees with the paper's test vector. */
static void the_hash_is_siphash_2_4(void **state)
{
    static const struct {
        size_t size;
        uint64_t want;
    } cases[] = {
        {0, UINT64_C(0xe752ae4a022d4e4e)},
        {7, UINT64_C(0x0ae03335c6599f99)},
        {8, UINT64_C(0xdb76bb70ab48fe14)},
        {15, UINT64_C(0xae119a43a70d01c5)},
    };
    uint8_t bytes[15];
    (void)state;

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(rc_hash(bytes, cases[i].size, UINT64_C(0x0706050403020100)) ==
                    cases[i].want);
    }
    assert_true(rc_hash("x", 1, 1) != rc_hash("x", 1, 2));
}

static void random_numbers_replay_and_stay_below(void **state)
{
    struct rc_random a;
    struct rc_random b;
    unsigned counts[3] = {0};
    (void)state;

    rc_random_init(&a, 42);
    rc_random_init(&b, 42);
    for (int i = 0; i < 3000; i++) {
        uint64_t number = rc_random_below(&a, 3);
        assert_true(number < 3 && number == rc_random_below(&b, 3));
        counts[number]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(counts[i], 850, 1150);
    }
    assert_false(rc_random_chance(&a, 0));
    assert_true(rc_random_chance(&a, 1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found_until_removed),
        cmocka_unit_test(walks_follow_the_order_of_arrival),
        cmocka_unit_test(a_walk_may_remove_what_it_just_saw),
        cmocka_unit_test(long_use_agrees_with_an_array),
        cmocka_unit_test(keys_are_bytes_and_may_hold_nul),
        cmocka_unit_test(a_lean_table_finds_values_by_their_own_keys),
        cmocka_unit_test(a_lean_table_keeps_order_and_all_values_as_it_grows),
        cmocka_unit_test(the_hash_is_siphash_2_4),
        cmocka_unit_test(random_numbers_replay_and_stay_below),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
