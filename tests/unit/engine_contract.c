#include "tests/unit/engine_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* ---- One engine, what was answered, and a copy of what its follower was told. */

enum { KEYS_MAX = 512, ANSWERS_MAX = 512 };

/* A key that was told, or what there is of it. Keys and values are small, or only their size is
 * looked at. */
struct told {
    uint8_t key[64];
    size_t key_size;
    uint8_t value[64];
    size_t value_size;
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t lease;
};

struct answered {
    bool is_done;
    unsigned times;
    struct engine_answer answer;
};

struct world {
    const struct engine_driver *driver;
    struct engine *engine;
    struct answered answers[ANSWERS_MAX];
    size_t count;
    bool is_inside; /* a call of the engine */
    bool is_closed;

    struct told keys[KEYS_MAX];
    size_t key_count;
    unsigned begins;
    bool is_loading;
    uint64_t told_revision; /* of the last `end` */
    uint64_t open_revision; /* of what was told since; 0: nothing */
    unsigned removals;      /* told behind loads */
    unsigned ends;
};

static struct rc_pack_bytes text(const char *bytes)
{
    return rc_pack_text(bytes);
}

/* ---- The follower. Everything it is told is checked for order. */

static struct told *find_told(struct world *world, struct rc_pack_bytes key)
{
    for (size_t i = 0; i < world->key_count; i++) {
        struct rc_pack_bytes known = {world->keys[i].key, world->keys[i].key_size};
        if (rc_pack_equals(known, key)) {
            return &world->keys[i];
        }
    }
    return NULL;
}

static void told_begin(void *context)
{
    struct world *world = context;

    assert_false(world->is_inside);
    world->is_loading = true;
    world->key_count = 0;
    world->open_revision = 0;
    world->begins++;
}

static void check_revision(struct world *world, uint64_t revision)
{
    if (world->is_loading) {
        return;
    }
    assert_true(world->begins > 0);
    assert_true(revision > world->told_revision);
    assert_true(world->open_revision == 0 || world->open_revision == revision);
    world->open_revision = revision;
}

static void told_put(void *context, const struct engine_item *item)
{
    struct world *world = context;
    struct told *told = find_told(world, item->key);

    assert_false(world->is_inside);
    check_revision(world, item->mod_revision);
    assert_true(item->create_revision > 0);
    assert_true(item->create_revision <= item->mod_revision);
    assert_true(item->key.size <= sizeof told->key);
    if (told == NULL) {
        assert_true(world->key_count < KEYS_MAX);
        told = &world->keys[world->key_count++];
    } else {
        assert_false(world->is_loading); /* each key once */
        assert_true(told->create_revision == item->create_revision);
    }
    told->key_size = item->key.size;
    memcpy(told->key, item->key.at, item->key.size);
    told->value_size = item->value.size;
    if (item->value.size > 0) {
        memcpy(told->value, item->value.at,
               item->value.size < sizeof told->value ? item->value.size
                                                     : sizeof told->value);
    }
    told->create_revision = item->create_revision;
    told->mod_revision = item->mod_revision;
    told->lease = item->lease;
}

static void told_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    struct world *world = context;
    struct told *told = find_told(world, key);

    assert_false(world->is_inside);
    assert_false(world->is_loading);
    check_revision(world, revision);
    assert_non_null(told); /* only what was there goes */
    *told = world->keys[--world->key_count];
    world->removals++;
}

static void told_end(void *context, uint64_t revision)
{
    struct world *world = context;

    assert_false(world->is_inside);
    assert_true(world->open_revision == 0 || world->open_revision == revision);
    assert_true(revision >= world->told_revision);
    world->is_loading = false;
    world->open_revision = 0;
    world->told_revision = revision;
    world->ends++;
}

/* ---- Calls. */

/* The world is found through the slot: slots stand in it. */
struct ticket {
    struct world *world;
    size_t index;
};

static struct ticket
    tickets[ANSWERS_MAX]; /* cmocka leaves tests by longjmp: nothing to free */

static void on_answer(void *context, const struct engine_answer *answer)
{
    const struct ticket *ticket = context;
    struct world *world = ticket->world;
    struct answered *slot = &world->answers[ticket->index];

    assert_false(world->is_inside);
    assert_int_equal(slot->times, 0);
    assert_non_null(answer->text);
    assert_true((answer->err == RC_OK) == (answer->text[0] == '\0'));
    assert_null(strchr(answer->text, '\n'));
    slot->times++;
    slot->is_done = true;
    slot->answer = *answer;
    slot->answer.text = NULL; /* it was borrowed */
}

static struct ticket *next_ticket(struct world *world)
{
    assert_true(world->count < ANSWERS_MAX);
    struct ticket *ticket = &tickets[world->count];
    *ticket = (struct ticket){world, world->count++};
    return ticket;
}

static size_t ask_txn(struct world *world, const struct engine_txn *txn)
{
    struct ticket *ticket = next_ticket(world);

    world->is_inside = true;
    world->engine->class->txn(world->engine, txn, on_answer, ticket);
    world->is_inside = false;
    return ticket->index;
}

static size_t ask_barrier(struct world *world)
{
    struct ticket *ticket = next_ticket(world);

    world->is_inside = true;
    world->engine->class->barrier(world->engine, on_answer, ticket);
    world->is_inside = false;
    return ticket->index;
}

static size_t ask_grant(struct world *world, uint64_t ttl_ms)
{
    struct ticket *ticket = next_ticket(world);

    world->is_inside = true;
    world->engine->class->grant(world->engine, ttl_ms, on_answer, ticket);
    world->is_inside = false;
    return ticket->index;
}

static size_t ask_keepalive(struct world *world, uint64_t lease)
{
    struct ticket *ticket = next_ticket(world);

    world->is_inside = true;
    world->engine->class->keepalive(world->engine, lease, on_answer, ticket);
    world->is_inside = false;
    return ticket->index;
}

static size_t ask_revoke(struct world *world, uint64_t lease)
{
    struct ticket *ticket = next_ticket(world);

    world->is_inside = true;
    world->engine->class->revoke(world->engine, lease, on_answer, ticket);
    world->is_inside = false;
    return ticket->index;
}

/* ---- Waiting. */

static bool all_answered(void *argument)
{
    const struct world *world = argument;

    for (size_t i = 0; i < world->count; i++) {
        if (!world->answers[i].is_done) {
            return false;
        }
    }
    return true;
}

static void wait_for(struct world *world, bool (*is_done)(void *), void *argument)
{
    world->driver->run(world->driver->context, is_done, argument,
                       world->driver->patience_ms);
    assert_true(is_done(argument));
}

static const struct engine_answer *answer_of(struct world *world, size_t index)
{
    wait_for(world, all_answered, world);
    return &world->answers[index].answer;
}

static struct engine_answer settle(struct world *world, size_t index)
{
    struct engine_answer answer = *answer_of(world, index);
    memset(world->answers, 0, sizeof world->answers);
    world->count = 0;
    return answer;
}

static struct engine_answer do_txn(struct world *world, const struct engine_txn *txn)
{
    return settle(world, ask_txn(world, txn));
}

static struct engine_op put(const char *key, const char *value, uint64_t lease)
{
    return (struct engine_op){ENGINE_PUT, text(key), text(value), lease};
}

static struct engine_op delete_key(const char *key)
{
    return (struct engine_op){.verb = ENGINE_DELETE, .key = text(key)};
}

static struct engine_op delete_prefix(const char *prefix)
{
    return (struct engine_op){.verb = ENGINE_DELETE_PREFIX, .key = text(prefix)};
}

static struct engine_answer do_op(struct world *world, struct engine_op op)
{
    struct engine_txn txn = {.then = &op, .then_count = 1};
    return do_txn(world, &txn);
}

/* A put that must work; its revision. */
static uint64_t do_put(struct world *world, const char *key, const char *value,
                       uint64_t lease)
{
    struct engine_answer answer = do_op(world, put(key, value, lease));
    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(answer.revision > 0);
    return answer.revision;
}

static uint64_t do_grant(struct world *world, uint64_t ttl_ms)
{
    struct engine_answer answer = settle(world, ask_grant(world, ttl_ms));
    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.lease != 0);
    return answer.lease;
}

/* The follower is where a barrier says it must be. */
static bool has_reached(void *argument)
{
    const struct world *world = argument;
    return world->begins > 0 && !world->is_loading &&
           world->told_revision >= world->answers[0].answer.revision;
}

static void catch_up(struct world *world)
{
    assert_int_equal(answer_of(world, ask_barrier(world))->err, RC_OK);
    wait_for(world, has_reached, world);
    memset(world->answers, 0, sizeof world->answers);
    world->count = 0;
}

static struct told *told_of(struct world *world, const char *key)
{
    catch_up(world);
    return find_told(world, text(key));
}

/* ---- The life of a test. */

static void follow(struct world *world)
{
    struct engine_follower follower = {world, told_begin, told_put, told_removed,
                                       told_end};

    world->is_inside = true;
    world->engine->class->follow(world->engine, &follower);
    world->is_inside = false;
}

static int setup(void **state)
{
    const struct engine_driver *driver = *state;
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->driver = driver;
    world->engine = driver->open_empty(driver->context);
    assert_non_null(world->engine);
    follow(world);
    *state = world;
    return 0;
}

static void on_closed(void *context)
{
    struct world *world = context;
    world->is_closed = true;
}

static bool is_closed(void *argument)
{
    const struct world *world = argument;
    return world->is_closed;
}

static void close_engine(struct world *world)
{
    world->is_closed = false;
    world->is_inside = true;
    world->engine->class->close(world->engine, on_closed, world);
    world->is_inside = false;
    world->engine = NULL;
    wait_for(world, is_closed, world);
}

static int teardown(void **state)
{
    struct world *world = *state;

    if (world->engine != NULL) {
        close_engine(world);
    }
    free(world);
    return 0;
}

/* ---- Transactions. */

static void put_key_has_its_revisions_value_and_lease(void **state)
{
    struct world *world = *state;

    uint64_t first = do_put(world, "a", "one", 0);
    uint64_t second = do_put(world, "a", "two", 0);

    assert_true(second > first);
    const struct told *told = told_of(world, "a");
    assert_non_null(told);
    assert_true(told->create_revision == first);
    assert_true(told->mod_revision == second);
    assert_true(told->lease == 0);
    assert_int_equal(told->value_size, 3);
    assert_memory_equal(told->value, "two", 3);
}

static void key_made_again_has_a_new_create_revision(void **state)
{
    struct world *world = *state;
    uint64_t first = do_put(world, "a", "one", 0);

    assert_int_equal(do_op(world, delete_key("a")).err, RC_OK);
    uint64_t again = do_put(world, "a", "two", 0);

    assert_true(again > first + 1);
    assert_true(told_of(world, "a")->create_revision == again);
}

static void empty_values_and_any_bytes_are_kept(void **state)
{
    static const uint8_t key[] = {0, 'a', 0, 0xff, 0x80, '\n', 0};
    static const uint8_t value[] = {0xff, 0, 0xfe, 0};
    struct world *world = *state;
    struct engine_op ops[] = {
        {ENGINE_PUT, {key, sizeof key}, {value, sizeof value}, 0},
        {ENGINE_PUT, {key, sizeof key - 1}, {NULL, 0}, 0},
    };
    struct engine_txn txn = {.then = ops, .then_count = 2};

    assert_int_equal(do_txn(world, &txn).err, RC_OK);

    catch_up(world);
    assert_int_equal(world->key_count, 2);
    const struct told *whole = find_told(world, ops[0].key);
    assert_int_equal(whole->value_size, sizeof value);
    assert_memory_equal(whole->value, value, sizeof value);
    assert_int_equal(find_told(world, ops[1].key)->value_size, 0);
}

static void what_was_passed_in_may_change_after_the_call(void **state)
{
    struct world *world = *state;
    char key[] = "key";
    char value[] = "value";
    struct engine_op op = put(key, value, 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    size_t index = ask_txn(world, &txn);
    memset(key, 'x', sizeof key);
    memset(value, 'x', sizeof value);
    memset(&op, 0, sizeof op);

    assert_int_equal(settle(world, index).err, RC_OK);
    assert_memory_equal(told_of(world, "key")->value, "value", 5);
}

static void all_operations_of_a_transaction_have_one_revision(void **state)
{
    struct world *world = *state;
    (void)do_put(world, "gone", "x", 0);
    struct engine_op ops[] = {put("a", "1", 0), delete_key("gone"), put("b", "2", 0)};
    struct engine_txn txn = {.then = ops, .then_count = 3};

    uint64_t revision = do_txn(world, &txn).revision;

    assert_true(told_of(world, "a")->mod_revision == revision);
    assert_true(told_of(world, "b")->mod_revision == revision);
    assert_null(told_of(world, "gone"));
}

static void deleting_what_is_not_there_changes_nothing(void **state)
{
    struct world *world = *state;
    uint64_t before = do_put(world, "a", "1", 0);

    struct engine_answer answer = do_op(world, delete_key("b"));

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(answer.revision == before);
    assert_true(do_put(world, "b", "2", 0) == before + 1);
}

static void empty_transaction_tells_the_revision(void **state)
{
    struct world *world = *state;
    uint64_t revision = do_put(world, "a", "1", 0);
    struct engine_txn txn = {0};

    struct engine_answer answer = do_txn(world, &txn);

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(answer.revision == revision);
}

static void prefix_is_deleted_in_one_revision_and_nothing_else(void **state)
{
    static const char *const goes[] = {"p/", "p/a", "p/b/c", "p/\xff\xff"};
    static const char *const stays[] = {"p", "p.", "p0", "o/a", "P/a"};
    struct world *world = *state;
    for (size_t i = 0; i < sizeof goes / sizeof goes[0]; i++) {
        (void)do_put(world, goes[i], "x", 0);
    }
    for (size_t i = 0; i < sizeof stays / sizeof stays[0]; i++) {
        (void)do_put(world, stays[i], "x", 0);
    }
    catch_up(world);
    unsigned ends = world->ends;

    uint64_t before = world->told_revision;
    struct engine_answer answer = do_op(world, delete_prefix("p/"));

    assert_true(answer.revision == before + 1);
    catch_up(world);
    assert_int_equal(world->removals, sizeof goes / sizeof goes[0]);
    assert_int_equal(world->ends, ends + 1);
    assert_int_equal(world->key_count, sizeof stays / sizeof stays[0]);
}

static void prefix_of_highest_bytes_is_deleted(void **state)
{
    struct world *world = *state;
    (void)do_put(world, "\xff\xff", "x", 0);
    (void)do_put(world, "\xff\xff\xff", "x", 0);
    (void)do_put(world, "\xff\xfe", "x", 0);

    (void)do_op(world, delete_prefix("\xff\xff"));

    catch_up(world);
    assert_int_equal(world->key_count, 1);
    assert_non_null(find_told(world, text("\xff\xfe")));
}

/* ---- Compares. */

static struct engine_compare compare(const char *key, enum engine_target target,
                                     enum engine_relation relation, uint64_t number)
{
    return (struct engine_compare){text(key), target, relation, number};
}

static void each_compare_holds_when_it_should(void **state)
{
    struct world *world = *state;
    uint64_t lease = do_grant(world, 60000);
    uint64_t made = do_put(world, "k", "1", 0);
    uint64_t changed = do_put(world, "k", "2", lease);
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
        {"lease of none", compare("n", ENGINE_LEASE, ENGINE_EQUAL, 0), true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine_txn txn = {.compares = &cases[i].compare, .compare_count = 1};
        struct engine_answer answer = do_txn(world, &txn);
        if (answer.err != RC_OK || answer.succeeded != cases[i].holds) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(answer.err));
        }
    }
}

static void one_failed_compare_takes_the_other_branch(void **state)
{
    struct world *world = *state;
    uint64_t revision = do_put(world, "k", "1", 0);
    struct engine_compare compares[] = {
        compare("k", ENGINE_MOD_REVISION, ENGINE_EQUAL, revision),
        compare("x", ENGINE_CREATE_REVISION, ENGINE_NOT_EQUAL, 0)};
    struct engine_op then = put("then", "1", 0);
    struct engine_op otherwise = put("otherwise", "1", 0);
    struct engine_txn txn = {compares, 2, &then, 1, &otherwise, 1};

    struct engine_answer answer = do_txn(world, &txn);

    assert_int_equal(answer.err, RC_OK);
    assert_false(answer.succeeded);
    assert_true(answer.revision == revision + 1);
    assert_null(told_of(world, "then"));
    assert_non_null(told_of(world, "otherwise"));
}

/* Asked at once, without waiting: compares must see what those before did. */
static void only_one_of_many_creates_wins(void **state)
{
    enum { MANY = 50 };
    struct world *world = *state;
    unsigned won = 0;
    struct engine_compare free_key =
        compare("k", ENGINE_CREATE_REVISION, ENGINE_EQUAL, 0);
    struct engine_op op = put("k", "mine", 0);
    struct engine_txn txn = {&free_key, 1, &op, 1, NULL, 0};

    for (size_t i = 0; i < MANY; i++) {
        (void)ask_txn(world, &txn);
    }
    wait_for(world, all_answered, world);

    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(world->answers[i].answer.err, RC_OK);
        won += world->answers[i].answer.succeeded ? 1 : 0;
    }
    assert_int_equal(won, 1);
}

static void calls_are_answered_once_each_with_growing_revisions(void **state)
{
    enum { MANY = 200 };
    struct world *world = *state;

    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        struct engine_op op = put(key, "v", 0);
        struct engine_txn txn = {.then = &op, .then_count = 1};
        (void)ask_txn(world, &txn);
    }
    wait_for(world, all_answered, world);

    uint64_t seen[MANY];
    for (size_t i = 0; i < MANY; i++) {
        seen[i] = world->answers[i].answer.revision;
        for (size_t j = 0; j < i; j++) {
            assert_true(seen[i] != seen[j]); /* each has one of its own */
        }
    }
    memset(world->answers, 0, sizeof world->answers);
    world->count = 0;
    catch_up(world);
    assert_int_equal(world->key_count, MANY);
}

/* ---- What is refused. */

static struct engine_answer do_pair(struct world *world, struct engine_op a,
                                    struct engine_op b)
{
    struct engine_op ops[] = {a, b};
    struct engine_txn txn = {.then = ops, .then_count = 2};
    return do_txn(world, &txn);
}

static void key_named_twice_in_a_branch_is_refused(void **state)
{
    struct world *world = *state;
    const struct {
        const char *why;
        struct engine_op a;
        struct engine_op b;
        int want;
    } cases[] = {
        {"put twice", put("a", "1", 0), put("a", "2", 0), RC_EINVAL},
        {"put and delete", put("a", "1", 0), delete_key("a"), RC_EINVAL},
        {"delete twice", delete_key("a"), delete_key("a"), RC_EINVAL},
        {"put under a prefix", put("a/b", "1", 0), delete_prefix("a/"), RC_EINVAL},
        {"put of the prefix", delete_prefix("a/"), put("a/", "1", 0), RC_EINVAL},
        {"prefix in a prefix", delete_prefix("a/b"), delete_prefix("a/"), RC_EINVAL},
        {"beside a prefix", delete_prefix("a/"), put("a", "1", 0), RC_OK},
        {"two prefixes", delete_prefix("a/"), delete_prefix("b/"), RC_OK},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct engine_answer answer = do_pair(world, cases[i].a, cases[i].b);
        if (answer.err != cases[i].want) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(answer.err));
        }
    }
}

static void same_key_may_stand_in_both_branches(void **state)
{
    struct world *world = *state;
    struct engine_op then = put("a", "1", 0);
    struct engine_op otherwise = put("a", "2", 0);
    struct engine_txn txn = {
        .then = &then, .then_count = 1, .otherwise = &otherwise, .otherwise_count = 1};

    assert_int_equal(do_txn(world, &txn).err, RC_OK);

    assert_memory_equal(told_of(world, "a")->value, "1", 1);
}

static void empty_keys_are_refused(void **state)
{
    struct world *world = *state;
    struct engine_compare nothing = compare("", ENGINE_LEASE, ENGINE_EQUAL, 0);
    struct engine_txn txn = {.compares = &nothing, .compare_count = 1};

    assert_int_equal(do_op(world, put("", "1", 0)).err, RC_EINVAL);
    assert_int_equal(do_op(world, delete_key("")).err, RC_EINVAL);
    assert_int_equal(do_op(world, delete_prefix("")).err, RC_EINVAL);
    assert_int_equal(do_txn(world, &txn).err, RC_EINVAL);
}

static struct engine_answer put_many(struct world *world, size_t count)
{
    static struct engine_op ops[ENGINE_OPS_MAX + 1];
    static char keys[ENGINE_OPS_MAX + 1][8];
    struct engine_txn txn = {.then = ops, .then_count = count};

    assert_true(count <= ENGINE_OPS_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "k%03zu", i);
        ops[i] = put(keys[i], "v", 0);
    }
    return do_txn(world, &txn);
}

static void largest_number_of_operations_is_done_and_no_more(void **state)
{
    struct world *world = *state;

    assert_int_equal(put_many(world, ENGINE_OPS_MAX + 1).err, RC_ETOOBIG);
    assert_int_equal(put_many(world, ENGINE_OPS_MAX).err, RC_OK);

    catch_up(world);
    assert_int_equal(world->key_count, ENGINE_OPS_MAX);
}

static void largest_number_of_compares_is_done_and_no_more(void **state)
{
    struct world *world = *state;
    static struct engine_compare compares[ENGINE_OPS_MAX + 1];
    struct engine_txn txn = {.compares = compares, .compare_count = ENGINE_OPS_MAX + 1};

    for (size_t i = 0; i <= ENGINE_OPS_MAX; i++) {
        compares[i] = compare("k", ENGINE_LEASE, ENGINE_EQUAL, 0);
    }
    assert_int_equal(do_txn(world, &txn).err, RC_ETOOBIG);
    txn.compare_count = ENGINE_OPS_MAX;
    assert_int_equal(do_txn(world, &txn).err, RC_OK);
}

static void largest_transaction_is_done_and_no_more(void **state)
{
    struct world *world = *state;
    uint8_t *bytes = calloc(1, ENGINE_BYTES_MAX);
    assert_non_null(bytes);
    struct engine_op op = {ENGINE_PUT, text("k"), {bytes, ENGINE_BYTES_MAX}, 0};
    struct engine_txn txn = {.then = &op, .then_count = 1};

    int larger = do_txn(world, &txn).err;
    op.value.size = ENGINE_BYTES_MAX - 1;
    int largest = do_txn(world, &txn).err;
    free(bytes);

    assert_int_equal(larger, RC_ETOOBIG);
    assert_int_equal(largest, RC_OK);
    assert_int_equal(told_of(world, "k")->value_size, ENGINE_BYTES_MAX - 1);
}

static void what_is_refused_leaves_nothing_behind(void **state)
{
    struct world *world = *state;
    uint64_t before = do_put(world, "a", "1", 0);
    struct engine_op ops[] = {put("b", "1", 0), put("c", "1", 123456789)};
    struct engine_txn txn = {.then = ops, .then_count = 2};

    assert_int_equal(do_txn(world, &txn).err, RC_ENOTFOUND); /* no such lease */

    assert_null(told_of(world, "b"));
    assert_true(world->told_revision == before);
    assert_true(do_put(world, "d", "1", 0) == before + 1);
}

static void lease_of_the_branch_not_taken_does_not_matter(void **state)
{
    struct world *world = *state;
    struct engine_op then = put("a", "1", 0);
    struct engine_op otherwise = put("b", "1", 123456789);
    struct engine_txn txn = {
        .then = &then, .then_count = 1, .otherwise = &otherwise, .otherwise_count = 1};

    assert_int_equal(do_txn(world, &txn).err, RC_OK);
}

/* ---- Leases. */

static bool has_no_keys(void *argument)
{
    const struct world *world = argument;
    return world->key_count == 0 && world->open_revision == 0;
}

static void leases_are_numbered_and_have_their_time(void **state)
{
    struct world *world = *state;
    uint64_t step = world->engine->class->lease_step_ms;
    uint64_t least = world->engine->class->lease_min_ms;
    uint64_t wanted = 20 * step + step / 2 + least;

    struct engine_answer first = settle(world, ask_grant(world, wanted));
    struct engine_answer second = settle(world, ask_grant(world, 1));

    assert_int_equal(first.err, RC_OK);
    assert_true(first.lease != 0 && second.lease != 0 && first.lease != second.lease);
    assert_true(first.ttl_ms >= wanted && first.ttl_ms < wanted + step);
    assert_true(second.ttl_ms >= least);
}

static void lease_takes_its_keys_with_it_in_one_revision(void **state)
{
    struct world *world = *state;
    uint64_t lease = do_grant(world, world->driver->lease_ms);
    uint64_t asked_ms = world->driver->now_ms(world->driver->context);
    (void)do_put(world, "a", "1", lease);
    (void)do_put(world, "b", "1", lease);
    uint64_t last = do_put(world, "c", "1", lease);
    catch_up(world);
    unsigned ends = world->ends;

    wait_for(world, has_no_keys, world);

    uint64_t took_ms = world->driver->now_ms(world->driver->context) - asked_ms;
    assert_true(took_ms + 50 >=
                world->driver->lease_ms); /* granted before it was asked */
    assert_true(took_ms <= world->driver->lease_ms + world->driver->late_ms);
    assert_int_equal(world->ends, ends + 1);
    assert_int_equal(world->removals, 3);
    assert_true(world->told_revision == last + 1);
    assert_int_equal(settle(world, ask_keepalive(world, lease)).err, RC_ENOTFOUND);
    assert_int_equal(do_op(world, put("a", "1", lease)).err, RC_ENOTFOUND);
}

static void renewed_lease_stays(void **state)
{
    struct world *world = *state;
    const struct engine_driver *driver = world->driver;
    uint64_t lease = do_grant(world, driver->lease_ms);
    (void)do_put(world, "a", "1", lease);
    catch_up(world);

    for (int i = 0; i < 6; i++) {
        driver->run(driver->context, NULL, NULL, driver->lease_ms / 3);
        struct engine_answer answer = settle(world, ask_keepalive(world, lease));
        assert_int_equal(answer.err, RC_OK);
        assert_true(answer.ttl_ms >= driver->lease_ms);
    }

    assert_non_null(told_of(world, "a"));
}

static void revoked_lease_takes_its_keys_at_once(void **state)
{
    struct world *world = *state;
    uint64_t lease = do_grant(world, 600000);
    (void)do_put(world, "a", "1", lease);
    uint64_t last = do_put(world, "b", "1", lease);

    struct engine_answer answer = settle(world, ask_revoke(world, lease));

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.revision == last + 1);
    catch_up(world);
    assert_int_equal(world->key_count, 0);
    assert_int_equal(settle(world, ask_revoke(world, lease)).err, RC_ENOTFOUND);
    assert_int_equal(settle(world, ask_keepalive(world, lease)).err, RC_ENOTFOUND);
}

static void key_follows_the_lease_it_was_last_put_with(void **state)
{
    struct world *world = *state;
    uint64_t first = do_grant(world, 600000);
    uint64_t second = do_grant(world, 600000);
    (void)do_put(world, "freed", "1", first);
    (void)do_put(world, "freed", "2", 0);
    (void)do_put(world, "moved", "1", first);
    (void)do_put(world, "moved", "2", second);
    (void)do_put(world, "bound", "1", 0);
    (void)do_put(world, "bound", "2", first);

    assert_int_equal(settle(world, ask_revoke(world, first)).err, RC_OK);

    assert_true(told_of(world, "freed")->lease == 0);
    assert_true(told_of(world, "moved")->lease == second);
    assert_null(told_of(world, "bound"));
}

static void lease_that_is_not_there_is_not_found(void **state)
{
    struct world *world = *state;

    assert_int_equal(settle(world, ask_keepalive(world, 987654321)).err, RC_ENOTFOUND);
    assert_int_equal(settle(world, ask_revoke(world, 987654321)).err, RC_ENOTFOUND);
}

/* ---- Follower and barrier. */

static void follower_of_an_empty_store_is_told_so(void **state)
{
    struct world *world = *state;

    catch_up(world);

    assert_int_equal(world->begins, 1);
    assert_int_equal(world->key_count, 0);
    assert_int_equal(world->ends, 1);
}

static void barrier_holds_what_was_acknowledged_before(void **state)
{
    struct world *world = *state;
    uint64_t revision = do_put(world, "a", "1", 0);

    struct engine_answer answer = settle(world, ask_barrier(world));

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.revision >= revision);
}

static void barriers_under_load_are_all_answered(void **state)
{
    struct world *world = *state;
    struct engine_op op = put("a", "1", 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    for (size_t i = 0; i < 50; i++) {
        (void)ask_txn(world, &txn);
        (void)ask_barrier(world);
    }
    wait_for(world, all_answered, world);

    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(world->answers[i].answer.err, RC_OK);
    }
}

static void status_tells_how_it_stands(void **state)
{
    struct world *world = *state;
    struct engine_status status;
    uint64_t revision = do_put(world, "a", "1", 0);
    catch_up(world);

    world->engine->class->status(world->engine, &status);

    assert_non_null(status.kind);
    assert_true(status.has_leader);
    assert_string_equal(status.alarm, "");
    assert_true(status.revision >= revision);
    assert_true(status.member_count <= ENGINE_MEMBERS_MAX);
}

/* ---- Ends and restarts. */

static void reopen(struct world *world)
{
    close_engine(world);
    world->engine = world->driver->open_again(world->driver->context);
    assert_non_null(world->engine);
    world->begins = 0;
    world->told_revision = 0;
    world->key_count = 0;
    world->removals = 0;
    follow(world);
}

static void closing_answers_all_that_is_open(void **state)
{
    struct world *world = *state;
    struct engine_op op = put("a", "1", 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    for (size_t i = 0; i < 20; i++) {
        (void)ask_txn(world, &txn);
        (void)ask_barrier(world);
        (void)ask_grant(world, 60000);
    }
    close_engine(world);

    for (size_t i = 0; i < world->count; i++) {
        int err = world->answers[i].answer.err;
        assert_int_equal(world->answers[i].times, 1);
        assert_true(err == RC_OK || err == RC_ECLOSED || err == RC_EUNKNOWN);
    }
}

static void what_closing_says_is_true_afterwards(void **state)
{
    enum { MANY = 100 };
    struct world *world = *state;
    int errors[MANY];
    if (world->driver->open_again == NULL) {
        skip();
    }
    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        struct engine_op op = put(key, "1", 0);
        struct engine_txn txn = {.then = &op, .then_count = 1};
        (void)ask_txn(world, &txn);
        if (i % 10 == 0) { /* some of them get under way */
            world->driver->run(world->driver->context, NULL, NULL, 1);
        }
    }
    close_engine(world);
    for (size_t i = 0; i < MANY; i++) {
        errors[i] = world->answers[i].answer.err;
    }
    memset(world->answers, 0, sizeof world->answers);
    world->count = 0;
    world->engine = world->driver->open_again(world->driver->context);
    world->begins = 0;
    follow(world);

    catch_up(world);
    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        bool is_there = find_told(world, text(key)) != NULL;
        assert_true(errors[i] != RC_OK || is_there);
        assert_true(errors[i] != RC_ECLOSED || !is_there);
    }
}

static void everything_is_there_after_a_restart(void **state)
{
    struct world *world = *state;
    if (world->driver->open_again == NULL) {
        skip();
    }
    uint64_t lease = do_grant(world, 600000);
    uint64_t made = do_put(world, "a", "1", 0);
    uint64_t changed = do_put(world, "a", "2", lease);
    (void)do_put(world, "b", "1", 0);
    uint64_t last = do_op(world, delete_key("b")).revision;

    reopen(world);

    const struct told *told = told_of(world, "a");
    assert_int_equal(world->key_count, 1);
    assert_true(told->create_revision == made && told->mod_revision == changed);
    assert_true(told->lease == lease);
    assert_true(world->told_revision >= last);
    assert_int_equal(settle(world, ask_keepalive(world, lease)).err, RC_OK);
    assert_true(do_put(world, "c", "1", 0) > last);
}

static void revision_grows_over_restarts_when_the_last_was_a_delete(void **state)
{
    struct world *world = *state;
    if (world->driver->open_again == NULL) {
        skip();
    }
    uint64_t revision = 0;

    for (int i = 0; i < 5; i++) {
        uint64_t made = do_put(world, "a", "1", 0);
        assert_true(made > revision);
        revision = do_op(world, delete_key("a")).revision;
        assert_true(revision > made);
        reopen(world);
    }
}

static void leases_are_never_numbered_twice(void **state)
{
    struct world *world = *state;
    if (world->driver->open_again == NULL) {
        skip();
    }
    uint64_t first = do_grant(world, 600000);
    assert_int_equal(settle(world, ask_revoke(world, first)).err, RC_OK);

    reopen(world);

    assert_true(do_grant(world, 600000) != first);
    assert_int_equal(settle(world, ask_keepalive(world, first)).err, RC_ENOTFOUND);
}

static void lease_ends_later_never_earlier_after_a_restart(void **state)
{
    struct world *world = *state;
    const struct engine_driver *driver = world->driver;
    if (driver->open_again == NULL) {
        skip();
    }
    uint64_t lease = do_grant(world, driver->lease_ms);
    uint64_t granted_ms = driver->now_ms(driver->context);
    (void)do_put(world, "a", "1", lease);
    driver->run(driver->context, NULL, NULL, driver->lease_ms / 2);

    reopen(world);

    uint64_t opened_ms = driver->now_ms(driver->context);
    catch_up(world);
    wait_for(world, has_no_keys, world);
    uint64_t now_ms = driver->now_ms(driver->context);
    assert_true(now_ms + 50 - granted_ms >= driver->lease_ms);
    assert_true(now_ms - opened_ms <= driver->lease_ms + driver->late_ms);
}

/* ---- All of it. */

#define CLAIM(name)                        \
    {                                      \
#name, name, setup, teardown, NULL \
    }

static const struct CMUnitTest claims[] = {
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
    CLAIM(leases_are_numbered_and_have_their_time),
    CLAIM(lease_takes_its_keys_with_it_in_one_revision),
    CLAIM(renewed_lease_stays),
    CLAIM(revoked_lease_takes_its_keys_at_once),
    CLAIM(key_follows_the_lease_it_was_last_put_with),
    CLAIM(lease_that_is_not_there_is_not_found),
    CLAIM(follower_of_an_empty_store_is_told_so),
    CLAIM(barrier_holds_what_was_acknowledged_before),
    CLAIM(barriers_under_load_are_all_answered),
    CLAIM(status_tells_how_it_stands),
    CLAIM(closing_answers_all_that_is_open),
    CLAIM(what_closing_says_is_true_afterwards),
    CLAIM(everything_is_there_after_a_restart),
    CLAIM(revision_grows_over_restarts_when_the_last_was_a_delete),
    CLAIM(leases_are_never_numbered_twice),
    CLAIM(lease_ends_later_never_earlier_after_a_restart),
};

int engine_contract_run(const char *name, const struct engine_driver *driver)
{
    enum { COUNT = sizeof claims / sizeof claims[0] };
    struct CMUnitTest tests[COUNT];

    for (size_t i = 0; i < COUNT; i++) {
        tests[i] = claims[i];
        tests[i].initial_state = (void *)driver; /* only read */
    }
    return _cmocka_run_group_tests(name, tests, COUNT, NULL, NULL);
}
