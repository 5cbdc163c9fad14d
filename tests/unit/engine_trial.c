#include "tests/unit/engine_trial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* ---- The follower. Everything it is told is checked for order. */

struct trial_key *trial_find(struct trial *trial, struct rc_pack_bytes key)
{
    for (size_t i = 0; i < trial->key_count; i++) {
        struct rc_pack_bytes known = {trial->keys[i].key, trial->keys[i].key_size};
        if (rc_pack_equals(known, key)) {
            return &trial->keys[i];
        }
    }
    return NULL;
}

static void told_begin(void *context)
{
    struct trial *trial = context;

    assert_false(trial->is_inside);
    trial->is_loading = true;
    trial->key_count = 0;
    trial->open_revision = 0;
    trial->begins++;
}

static void check_revision(struct trial *trial, uint64_t revision)
{
    if (trial->is_loading) {
        return;
    }
    assert_true(trial->begins > 0);
    assert_true(revision > trial->told_revision);
    assert_true(trial->open_revision == 0 || trial->open_revision == revision);
    trial->open_revision = revision;
}

static void told_put(void *context, const struct engine_item *item)
{
    struct trial *trial = context;
    struct trial_key *told = trial_find(trial, item->key);

    assert_false(trial->is_inside);
    check_revision(trial, item->mod_revision);
    assert_true(item->create_revision > 0);
    assert_true(item->create_revision <= item->mod_revision);
    assert_true(item->key.size <= sizeof told->key);
    if (told == NULL) {
        assert_true(trial->key_count < TRIAL_KEYS_MAX);
        told = &trial->keys[trial->key_count++];
    } else {
        assert_false(trial->is_loading); /* each key once */
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
    struct trial *trial = context;
    struct trial_key *told = trial_find(trial, key);

    assert_false(trial->is_inside);
    assert_false(trial->is_loading);
    check_revision(trial, revision);
    assert_non_null(told); /* only what was there goes */
    *told = trial->keys[--trial->key_count];
    trial->removals++;
}

static void told_end(void *context, uint64_t revision)
{
    struct trial *trial = context;

    assert_false(trial->is_inside);
    assert_true(trial->open_revision == 0 || trial->open_revision == revision);
    assert_true(revision >= trial->told_revision);
    trial->is_loading = false;
    trial->open_revision = 0;
    trial->told_revision = revision;
    trial->ends++;
}

/* ---- Calls. */

/* The trial is found through the slot: slots stand in it. */
struct ticket {
    struct trial *trial;
    size_t index;
};

static struct ticket
    tickets[TRIAL_ANSWERS_MAX]; /* cmocka leaves tests by longjmp: nothing to free */

static void on_answer(void *context, const struct engine_answer *answer)
{
    const struct ticket *ticket = context;
    struct trial *trial = ticket->trial;
    struct trial_answer *slot = &trial->answers[ticket->index];

    assert_false(trial->is_inside);
    assert_int_equal(slot->times, 0);
    assert_non_null(answer->text);
    assert_true((answer->err == RC_OK) == (answer->text[0] == '\0'));
    assert_null(strchr(answer->text, '\n'));
    slot->times++;
    slot->is_done = true;
    slot->answer = *answer;
    slot->answer.text = NULL; /* it was borrowed */
}

static struct ticket *next_ticket(struct trial *trial)
{
    assert_true(trial->count < TRIAL_ANSWERS_MAX);
    struct ticket *ticket = &tickets[trial->count];
    *ticket = (struct ticket){trial, trial->count++};
    return ticket;
}

size_t trial_ask_txn(struct trial *trial, const struct engine_txn *txn)
{
    struct ticket *ticket = next_ticket(trial);

    trial->is_inside = true;
    trial->engine->class->txn(trial->engine, txn, on_answer, ticket);
    trial->is_inside = false;
    return ticket->index;
}

size_t trial_ask_barrier(struct trial *trial)
{
    struct ticket *ticket = next_ticket(trial);

    trial->is_inside = true;
    trial->engine->class->barrier(trial->engine, on_answer, ticket);
    trial->is_inside = false;
    return ticket->index;
}

size_t trial_ask_grant(struct trial *trial, uint64_t ttl_ms)
{
    struct ticket *ticket = next_ticket(trial);

    trial->is_inside = true;
    trial->engine->class->grant(trial->engine, ttl_ms, on_answer, ticket);
    trial->is_inside = false;
    return ticket->index;
}

size_t trial_ask_keepalive(struct trial *trial, uint64_t lease)
{
    struct ticket *ticket = next_ticket(trial);

    trial->is_inside = true;
    trial->engine->class->keepalive(trial->engine, lease, on_answer, ticket);
    trial->is_inside = false;
    return ticket->index;
}

size_t trial_ask_revoke(struct trial *trial, uint64_t lease)
{
    struct ticket *ticket = next_ticket(trial);

    trial->is_inside = true;
    trial->engine->class->revoke(trial->engine, lease, on_answer, ticket);
    trial->is_inside = false;
    return ticket->index;
}

/* ---- Waiting. */

bool trial_all_answered(void *argument)
{
    const struct trial *trial = argument;

    for (size_t i = 0; i < trial->count; i++) {
        if (!trial->answers[i].is_done) {
            return false;
        }
    }
    return true;
}

void trial_wait(struct trial *trial, bool (*is_done)(void *), void *argument)
{
    trial->driver->run(trial->driver->context, is_done, argument,
                       trial->driver->patience_ms);
    assert_true(is_done(argument));
}

static const struct engine_answer *answer_of(struct trial *trial, size_t index)
{
    trial_wait(trial, trial_all_answered, trial);
    return &trial->answers[index].answer;
}

struct engine_answer trial_settle(struct trial *trial, size_t index)
{
    struct engine_answer answer = *answer_of(trial, index);
    memset(trial->answers, 0, sizeof trial->answers);
    trial->count = 0;
    return answer;
}

struct engine_answer trial_txn(struct trial *trial, const struct engine_txn *txn)
{
    return trial_settle(trial, trial_ask_txn(trial, txn));
}

struct engine_op trial_op_put(const char *key, const char *value, uint64_t lease)
{
    return (struct engine_op){ENGINE_PUT, rc_pack_text(key), rc_pack_text(value), lease};
}

struct engine_op trial_op_delete(const char *key)
{
    return (struct engine_op){.verb = ENGINE_DELETE, .key = rc_pack_text(key)};
}

struct engine_op trial_op_delete_prefix(const char *prefix)
{
    return (struct engine_op){.verb = ENGINE_DELETE_PREFIX, .key = rc_pack_text(prefix)};
}

struct engine_answer trial_op(struct trial *trial, struct engine_op op)
{
    struct engine_txn txn = {.then = &op, .then_count = 1};
    return trial_txn(trial, &txn);
}

/* A put that must work; its revision. */
uint64_t trial_put(struct trial *trial, const char *key, const char *value,
                   uint64_t lease)
{
    struct engine_answer answer = trial_op(trial, trial_op_put(key, value, lease));
    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.succeeded);
    assert_true(answer.revision > 0);
    return answer.revision;
}

uint64_t trial_grant(struct trial *trial, uint64_t ttl_ms)
{
    struct engine_answer answer = trial_settle(trial, trial_ask_grant(trial, ttl_ms));
    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.lease != 0);
    return answer.lease;
}

/* The follower is where a barrier says it must be. */
static bool has_reached(void *argument)
{
    const struct trial *trial = argument;
    return trial->begins > 0 && !trial->is_loading &&
           trial->told_revision >= trial->answers[0].answer.revision;
}

void trial_catch_up(struct trial *trial)
{
    assert_int_equal(answer_of(trial, trial_ask_barrier(trial))->err, RC_OK);
    trial_wait(trial, has_reached, trial);
    memset(trial->answers, 0, sizeof trial->answers);
    trial->count = 0;
}

struct trial_key *trial_told(struct trial *trial, const char *key)
{
    trial_catch_up(trial);
    return trial_find(trial, rc_pack_text(key));
}

/* ---- The life of a test. */

void trial_follow(struct trial *trial)
{
    struct engine_follower follower = {trial, told_begin, told_put, told_removed,
                                       told_end};

    trial->begins = 0;
    trial->told_revision = 0;
    trial->key_count = 0;
    trial->removals = 0;
    trial->is_inside = true;
    trial->engine->class->follow(trial->engine, &follower);
    trial->is_inside = false;
}

int trial_setup(void **state)
{
    const struct engine_driver *driver = *state;
    struct trial *trial = calloc(1, sizeof *trial);

    assert_non_null(trial);
    trial->driver = driver;
    trial->engine = driver->open_empty(driver->context);
    assert_non_null(trial->engine);
    trial_follow(trial);
    *state = trial;
    return 0;
}

static void on_closed(void *context)
{
    struct trial *trial = context;
    trial->is_closed = true;
}

static bool is_closed(void *argument)
{
    const struct trial *trial = argument;
    return trial->is_closed;
}

void trial_close(struct trial *trial)
{
    trial->is_closed = false;
    trial->is_inside = trial->driver->closing == ENGINE_CLOSES_LATER;
    trial->engine->class->close(trial->engine, on_closed, trial);
    trial->is_inside = false;
    trial->engine = NULL;
    trial_wait(trial, is_closed, trial);
}

int trial_teardown(void **state)
{
    struct trial *trial = *state;

    if (trial->engine != NULL) {
        trial_close(trial);
    }
    free(trial);
    return 0;
}

void trial_reopen(struct trial *trial)
{
    trial_close(trial);
    trial->engine = trial->driver->open_again(trial->driver->context);
    assert_non_null(trial->engine);
    trial_follow(trial);
}

bool trial_is_next(const struct trial *trial, uint64_t revision, uint64_t want)
{
    return revision == want ||
           (trial->driver->revisions == ENGINE_REVISIONS_SHARED && revision > want);
}
