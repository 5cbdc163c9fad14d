/* engine_claims_keys.c - transactions, compares, and what is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/engine_claims.h"

/* ---- Transactions. */

static void put_key_has_its_revisions_value_and_lease(void **state)
{
    struct trial *trial = *state;

    uint64_t first = trial_put(trial, "a", "one", 0);
    uint64_t second = trial_put(trial, "a", "two", 0);

    assert_true(second > first);
    const struct trial_key *told = trial_told(trial, "a");
    assert_non_null(told);
    assert_true(told->create_revision == first);
    assert_true(told->mod_revision == second);
    assert_true(told->lease == 0);
    assert_int_equal(told->value_size, 3);
    assert_memory_equal(told->value, "two", 3);
}

static void key_made_again_has_a_new_create_revision(void **state)
{
    struct trial *trial = *state;
    uint64_t first = trial_put(trial, "a", "one", 0);

    assert_int_equal(trial_op(trial, trial_op_delete("a")).err, RC_OK);
    uint64_t again = trial_put(trial, "a", "two", 0);

    assert_true(again > first + 1);
    assert_true(trial_told(trial, "a")->create_revision == again);
}

static void empty_values_and_any_bytes_are_kept(void **state)
{
    static const uint8_t key[] = {0, 'a', 0, 0xff, 0x80, '\n', 0};
    static const uint8_t value[] = {0xff, 0, 0xfe, 0};
    struct trial *trial = *state;
    struct engine_op ops[] = {
        {ENGINE_PUT, {key, sizeof key}, {value, sizeof value}, 0},
        {ENGINE_PUT, {key, sizeof key - 1}, {NULL, 0}, 0},
    };
    struct engine_txn txn = {.then = ops, .then_count = 2};

    assert_int_equal(trial_txn(trial, &txn).err, RC_OK);

    trial_catch_up(trial);
    assert_int_equal(trial->key_count, 2);
    const struct trial_key *whole = trial_find(trial, ops[0].key);
    assert_int_equal(whole->value_size, sizeof value);
    assert_memory_equal(whole->value, value, sizeof value);
    assert_int_equal(trial_find(trial, ops[1].key)->value_size, 0);
}

static void what_was_passed_in_may_change_after_the_call(void **state)
{
    struct trial *trial = *state;
    char key[] = "key";
    char value[] = "value";
    struct engine_op op = trial_op_put(key, value, 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    size_t index = trial_ask_txn(trial, &txn);
    memset(key, 'x', sizeof key);
    memset(value, 'x', sizeof value);
    memset(&op, 0, sizeof op);

    assert_int_equal(trial_settle(trial, index).err, RC_OK);
    assert_memory_equal(trial_told(trial, "key")->value, "value", 5);
}

static void all_operations_of_a_transaction_have_one_revision(void **state)
{
    struct trial *trial = *state;
    (void)trial_put(trial, "gone", "x", 0);
    struct engine_op ops[] = {trial_op_put("a", "1", 0), trial_op_delete("gone"),
                              trial_op_put("b", "2", 0)};
    struct engine_txn txn = {.then = ops, .then_count = 3};

    uint64_t revision = trial_txn(trial, &txn).revision;

    assert_true(trial_told(trial, "a")->mod_revision == revision);
    assert_true(trial_told(trial, "b")->mod_revision == revision);
    assert_null(trial_told(trial, "gone"));
}

static void deleting_what_is_not_there_changes_nothing(void **state)
{
    struct trial *trial = *state;
    uint64_t before = trial_put(trial, "a", "1", 0);

    struct engine_answer answer = trial_op(trial, trial_op_delete("b"));

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(trial_is_next(trial, answer.revision, before));
    assert_true(trial_put(trial, "b", "2", 0) == before + 1);
}

static void empty_transaction_tells_the_revision(void **state)
{
    struct trial *trial = *state;
    uint64_t revision = trial_put(trial, "a", "1", 0);
    struct engine_txn txn = {0};

    struct engine_answer answer = trial_txn(trial, &txn);

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(trial_is_next(trial, answer.revision, revision));
}

static void prefix_is_deleted_in_one_revision_and_nothing_else(void **state)
{
    static const char *const goes[] = {"p/", "p/a", "p/b/c", "p/\xff\xff"};
    static const char *const stays[] = {"p", "p.", "p0", "o/a", "P/a"};
    struct trial *trial = *state;
    for (size_t i = 0; i < sizeof goes / sizeof goes[0]; i++) {
        (void)trial_put(trial, goes[i], "x", 0);
    }
    for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++) {
        (void)trial_put(trial, stays[i], "x", 0);
    }
    trial_catch_up(trial);
    unsigned ends = trial->ends;

    uint64_t before = trial->told_revision;
    struct engine_answer answer = trial_op(trial, trial_op_delete_prefix("p/"));

    assert_true(trial_is_next(trial, answer.revision, before + 1));
    trial_catch_up(trial);
    assert_int_equal(trial->removals, sizeof goes / sizeof goes[0]);
    assert_int_equal(trial->ends, ends + 1);
    assert_int_equal(trial->key_count, sizeof stays / sizeof stays[0]);
}

static void prefix_of_highest_bytes_is_deleted(void **state)
{
    struct trial *trial = *state;
    (void)trial_put(trial, "\xff\xff", "x", 0);
    (void)trial_put(trial, "\xff\xff\xff", "x", 0);
    (void)trial_put(trial, "\xff\xfe", "x", 0);

    (void)trial_op(trial, trial_op_delete_prefix("\xff\xff"));

    trial_catch_up(trial);
    assert_int_equal(trial->key_count, 1);
    assert_non_null(trial_find(trial, rc_pack_text("\xff\xfe")));
}

/* ---- Compares. */

static struct engine_compare compare(const char *key, enum engine_target target,
                                     enum engine_relation relation, uint64_t number)
{
    return (struct engine_compare){rc_pack_text(key), target, relation, number};
}

static void each_compare_holds_when_it_should(void **state)
{
    struct trial *trial = *state;
    uint64_t lease = trial_grant(trial, 60000);
    uint64_t made = trial_put(trial, "k", "1", 0);
    uint64_t changed = trial_put(trial, "k", "2", lease);
    const struct {
        const char *why;
        struct engine_compare compare;
        bool holds;
    } cases[] = {
        {"create =", compare("k", ENGINE_CREATE_REVISION, ENGINE_EQUAL, made), true},
        {"create = other", compare("k", ENGINE_CREATE_REVISION, ENGINE_EQUAL, changed),
         false},
        {"create of none", compare("n", ENGINE_CREATE_REVISION, ENGINE_EQUAL, 0), true},
        {"create <> 0", compare("k", ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL, 0), true},
        {"create <> 0 of none", compare("n", ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL, 0),
         false},
        {"mod =", compare("k", ENGINE_MOD_REVISION, ENGINE_EQUAL, changed), true},
        {"mod = old", compare("k", ENGINE_MOD_REVISION, ENGINE_EQUAL, made), false},
        {"mod of none", compare("n", ENGINE_MOD_REVISION, ENGINE_EQUAL, 0), true},
        {"mod <", compare("k", ENGINE_MOD_REVISION, ENGINE_LESS, changed + 1), true},
        {"mod < itself", compare("k", ENGINE_MOD_REVISION, ENGINE_LESS, changed), false},
        {"mod >", compare("k", ENGINE_MOD_REVISION, ENGINE_GREATER, changed - 1), true},
        {"mod > itself", compare("k", ENGINE_MOD_REVISION, ENGINE_GREATER, changed),
         false},
        {"mod <> old", compare("k", ENGINE_MOD_REVISION, ENGINE_NOT_EQUAL, made), true},
        {"lease =", compare("k", ENGINE_LEASE, ENGINE_EQUAL, lease), true},
        {"lease = 0", compare("k", ENGINE_LEASE, ENGINE_EQUAL, 0), false},
        {"lease <> 0", compare("k", ENGINE_LEASE, ENGINE_NOT_EQUAL, 0), true},
        {"newest under <",
         compare("k", ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS, changed + 1), true},
        {"newest under < itself",
         compare("k", ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS, changed), false},
        {"newest under none <", compare("n", ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS, 1),
         true},
        {"newest under the highest byte",
         compare("\xff", ENGINE_PREFIX_MOD_REVISION, ENGINE_LESS, 1), true},
        {"lease of none", compare("n", ENGINE_LEASE, ENGINE_EQUAL, 0), true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine_txn txn = {.compares = &cases[i].compare, .compare_count = 1};
        struct engine_answer answer = trial_txn(trial, &txn);
        if (answer.err != RC_OK || answer.succeeded != cases[i].holds) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(answer.err));
        }
    }
}

static void one_failed_compare_takes_the_other_branch(void **state)
{
    struct trial *trial = *state;
    uint64_t revision = trial_put(trial, "k", "1", 0);
    struct engine_compare compares[] = {
        compare("k", ENGINE_MOD_REVISION, ENGINE_EQUAL, revision),
        compare("x", ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL, 0)};
    struct engine_op then = trial_op_put("then", "1", 0);
    struct engine_op otherwise = trial_op_put("otherwise", "1", 0);
    struct engine_txn txn = {compares, 2, &then, 1, &otherwise, 1};

    struct engine_answer answer = trial_txn(trial, &txn);

    assert_int_equal(answer.err, RC_OK);
    assert_false(answer.succeeded);
    assert_true(trial_is_next(trial, answer.revision, revision + 1));
    assert_null(trial_told(trial, "then"));
    assert_non_null(trial_told(trial, "otherwise"));
}

/* Asked at once, without waiting: compares must see what those before did. */
static void only_one_of_many_creates_wins(void **state)
{
    enum { MANY = 50 };
    struct trial *trial = *state;
    unsigned won = 0;
    struct engine_compare free_key =
        compare("k", ENGINE_CREATE_REVISION, ENGINE_EQUAL, 0);
    struct engine_op op = trial_op_put("k", "mine", 0);
    struct engine_txn txn = {&free_key, 1, &op, 1, NULL, 0};

    for (size_t i = 0; i < MANY; i++) {
        (void)trial_ask_txn(trial, &txn);
    }
    trial_wait(trial, trial_all_answered, trial);

    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(trial->answers[i].answer.err, RC_OK);
        won += trial->answers[i].answer.succeeded ? 1 : 0;
    }
    assert_int_equal(won, 1);
}

static void calls_are_answered_once_each_with_growing_revisions(void **state)
{
    enum { MANY = 200 };
    struct trial *trial = *state;

    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        struct engine_op op = trial_op_put(key, "v", 0);
        struct engine_txn txn = {.then = &op, .then_count = 1};
        (void)trial_ask_txn(trial, &txn);
    }
    trial_wait(trial, trial_all_answered, trial);

    uint64_t seen[MANY];
    for (size_t i = 0; i < MANY; i++) {
        seen[i] = trial->answers[i].answer.revision;
        for (size_t j = 0; j < i; j++) {
            /* Each has one of its own, or came together with others. */
            assert_true(seen[i] != seen[j] ||
                        trial->driver->revisions == ENGINE_REVISIONS_SHARED);
        }
    }
    memset(trial->answers, 0, sizeof trial->answers);
    trial->count = 0;
    trial_catch_up(trial);
    assert_int_equal(trial->key_count, MANY);
}

/* ---- What is refused. */

static struct engine_answer do_pair(struct trial *trial, struct engine_op a,
                                    struct engine_op b)
{
    struct engine_op ops[] = {a, b};
    struct engine_txn txn = {.then = ops, .then_count = 2};
    return trial_txn(trial, &txn);
}

static void key_named_twice_in_a_branch_is_refused(void **state)
{
    struct trial *trial = *state;
    const struct {
        const char *why;
        struct engine_op a;
        struct engine_op b;
        int want;
    } cases[] = {
        {"put twice", trial_op_put("a", "1", 0), trial_op_put("a", "2", 0), RC_EINVAL},
        {"put and delete", trial_op_put("a", "1", 0), trial_op_delete("a"), RC_EINVAL},
        {"delete twice", trial_op_delete("a"), trial_op_delete("a"), RC_EINVAL},
        {"put under a prefix", trial_op_put("a/b", "1", 0), trial_op_delete_prefix("a/"),
         RC_EINVAL},
        {"put of the prefix", trial_op_delete_prefix("a/"), trial_op_put("a/", "1", 0),
         RC_EINVAL},
        {"prefix in a prefix", trial_op_delete_prefix("a/b"),
         trial_op_delete_prefix("a/"), RC_EINVAL},
        {"beside a prefix", trial_op_delete_prefix("a/"), trial_op_put("a", "1", 0),
         RC_OK},
        {"two prefixes", trial_op_delete_prefix("a/"), trial_op_delete_prefix("b/"),
         RC_OK},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine_answer answer = do_pair(trial, cases[i].a, cases[i].b);
        if (answer.err != cases[i].want) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(answer.err));
        }
    }
}

static void same_key_may_stand_in_both_branches(void **state)
{
    struct trial *trial = *state;
    struct engine_op then = trial_op_put("a", "1", 0);
    struct engine_op otherwise = trial_op_put("a", "2", 0);
    struct engine_txn txn = {
        .then = &then, .then_count = 1, .otherwise = &otherwise, .otherwise_count = 1};

    assert_int_equal(trial_txn(trial, &txn).err, RC_OK);

    assert_memory_equal(trial_told(trial, "a")->value, "1", 1);
}

static void empty_keys_are_refused(void **state)
{
    struct trial *trial = *state;
    struct engine_compare nothing = compare("", ENGINE_LEASE, ENGINE_EQUAL, 0);
    struct engine_txn txn = {.compares = &nothing, .compare_count = 1};

    assert_int_equal(trial_op(trial, trial_op_put("", "1", 0)).err, RC_EINVAL);
    assert_int_equal(trial_op(trial, trial_op_delete("")).err, RC_EINVAL);
    assert_int_equal(trial_op(trial, trial_op_delete_prefix("")).err, RC_EINVAL);
    assert_int_equal(trial_txn(trial, &txn).err, RC_EINVAL);
}

static struct engine_answer put_many(struct trial *trial, size_t count)
{
    static struct engine_op ops[ENGINE_OPS_MAX + 1];
    static char keys[ENGINE_OPS_MAX + 1][8];
    struct engine_txn txn = {.then = ops, .then_count = count};

    assert_true(count <= ENGINE_OPS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%03zu", i);
        ops[i] = trial_op_put(keys[i], "v", 0);
    }
    return trial_txn(trial, &txn);
}

static void largest_number_of_operations_is_done_and_no_more(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(put_many(trial, ENGINE_OPS_MAX + 1).err, RC_ETOOBIG);
    assert_int_equal(put_many(trial, ENGINE_OPS_MAX).err, RC_OK);

    trial_catch_up(trial);
    assert_int_equal(trial->key_count, ENGINE_OPS_MAX);
}

static void largest_number_of_compares_is_done_and_no_more(void **state)
{
    struct trial *trial = *state;
    static struct engine_compare compares[ENGINE_OPS_MAX + 1];
    struct engine_txn txn = {.compares = compares, .compare_count = ENGINE_OPS_MAX + 1};

    for (size_t i = 0; i <= ENGINE_OPS_MAX; i++) {
        compares[i] = compare("k", ENGINE_LEASE, ENGINE_EQUAL, 0);
    }
    assert_int_equal(trial_txn(trial, &txn).err, RC_ETOOBIG);
    txn.compare_count = ENGINE_OPS_MAX;
    assert_int_equal(trial_txn(trial, &txn).err, RC_OK);
}

static void largest_transaction_is_done_and_no_more(void **state)
{
    struct trial *trial = *state;
    uint8_t *bytes = calloc(1, ENGINE_BYTES_MAX);
    assert_non_null(bytes);
    struct engine_op op = {ENGINE_PUT, rc_pack_text("k"), {bytes, ENGINE_BYTES_MAX}, 0};
    struct engine_txn txn = {.then = &op, .then_count = 1};

    int larger = trial_txn(trial, &txn).err;
    op.value.size = ENGINE_BYTES_MAX - 1;
    int largest = trial_txn(trial, &txn).err;
    free(bytes);

    assert_int_equal(larger, RC_ETOOBIG);
    assert_int_equal(largest, RC_OK);
    assert_int_equal(trial_told(trial, "k")->value_size, ENGINE_BYTES_MAX - 1);
}

static void what_is_refused_leaves_nothing_behind(void **state)
{
    struct trial *trial = *state;
    uint64_t before = trial_put(trial, "a", "1", 0);
    struct engine_op ops[] = {trial_op_put("b", "1", 0),
                              trial_op_put("c", "1", 123456789)};
    struct engine_txn txn = {.then = ops, .then_count = 2};

    assert_int_equal(trial_txn(trial, &txn).err, RC_ENOTFOUND); /* no such lease */

    assert_null(trial_told(trial, "b"));
    assert_true(trial_is_next(trial, trial->told_revision, before));
    assert_true(trial_is_next(trial, trial_put(trial, "d", "1", 0), before + 1));
}

static void lease_of_the_branch_not_taken_does_not_matter(void **state)
{
    struct trial *trial = *state;
    struct engine_op then = trial_op_put("a", "1", 0);
    struct engine_op otherwise = trial_op_put("b", "1", 123456789);
    struct engine_txn txn = {
        .then = &then, .then_count = 1, .otherwise = &otherwise, .otherwise_count = 1};

    assert_int_equal(trial_txn(trial, &txn).err, RC_OK);
}

/* ---- */

const struct CMUnitTest engine_claims_of_keys[] = {
    CLAIM(put_key_has_its_revisions_value_and_lease),
    CLAIM(key_made_again_has_a_new_create_revision),
    CLAIM(empty_values_and_any_bytes_are_kept),
    CLAIM(what_was_passed_in_may_change_after_the_call),
    CLAIM(all_operations_of_a_transaction_have_one_revision),
    CLAIM(deleting_what_is_not_there_changes_nothing),
    CLAIM(empty_transaction_tells_the_revision),
    CLAIM(prefix_is_deleted_in_one_revision_and_nothing_else),
    CLAIM(prefix_of_highest_bytes_is_deleted),
    CLAIM(each_compare_holds_when_it_should),
    CLAIM(one_failed_compare_takes_the_other_branch),
    CLAIM(only_one_of_many_creates_wins),
    CLAIM(calls_are_answered_once_each_with_growing_revisions),
    CLAIM(key_named_twice_in_a_branch_is_refused),
    CLAIM(same_key_may_stand_in_both_branches),
    CLAIM(empty_keys_are_refused),
    CLAIM(largest_number_of_operations_is_done_and_no_more),
    CLAIM(largest_number_of_compares_is_done_and_no_more),
    CLAIM(largest_transaction_is_done_and_no_more),
    CLAIM(what_is_refused_leaves_nothing_behind),
    CLAIM(lease_of_the_branch_not_taken_does_not_matter),
    {0},
};
