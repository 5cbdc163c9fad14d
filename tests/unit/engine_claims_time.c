/* engine_claims_time.c - leases, the follower, the end, and what comes after it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "tests/unit/engine_claims.h"

/* ---- Leases. */

static bool has_no_keys(void *argument)
{
    const struct trial *trial = argument;
    return trial->key_count == 0 && trial->open_revision == 0;
}

static void leases_are_numbered_and_have_their_time(void **state)
{
    struct trial *trial = *state;
    uint64_t step = trial->engine->class->lease_step_ms;
    uint64_t least = trial->engine->class->lease_min_ms;
    uint64_t wanted = 20 * step + step / 2 + least;

    struct engine_answer first = trial_settle(trial, trial_ask_grant(trial, wanted));
    struct engine_answer second = trial_settle(trial, trial_ask_grant(trial, 1));

    assert_int_equal(first.err, RC_OK);
    assert_true(first.lease != 0 && second.lease != 0 && first.lease != second.lease);
    assert_true(first.ttl_ms >= wanted && first.ttl_ms < wanted + step);
    assert_true(second.ttl_ms >= least);
}

static void lease_takes_its_keys_with_it_in_one_revision(void **state)
{
    struct trial *trial = *state;
    uint64_t asked_ms = trial->driver->now_ms(trial->driver->context);
    uint64_t lease = trial_grant(trial, trial->driver->lease_ms);
    uint64_t granted_ms = trial->driver->now_ms(trial->driver->context);
    (void)trial_put(trial, "a", "1", lease);
    (void)trial_put(trial, "b", "1", lease);
    uint64_t last = trial_put(trial, "c", "1", lease);
    trial_catch_up(trial);
    unsigned ends = trial->ends;

    trial_wait(trial, has_no_keys, trial);

    /* It may count from any moment between the question and the answer; loops' clocks lag. */
    uint64_t ended_ms = trial->driver->now_ms(trial->driver->context);
    assert_true(ended_ms - asked_ms + 50 >= trial->driver->lease_ms);
    assert_true(ended_ms - granted_ms <=
                trial->driver->lease_ms + trial->driver->late_ms);
    assert_int_equal(trial->ends, ends + 1);
    assert_int_equal(trial->removals, 3);
    assert_true(trial_is_next(trial, trial->told_revision, last + 1));
    assert_int_equal(trial_settle(trial, trial_ask_keepalive(trial, lease)).err,
                     RC_ENOTFOUND);
    assert_int_equal(trial_op(trial, trial_op_put("a", "1", lease)).err, RC_ENOTFOUND);
}

static void renewed_lease_stays(void **state)
{
    struct trial *trial = *state;
    const struct engine_driver *driver = trial->driver;
    uint64_t lease = trial_grant(trial, driver->lease_ms);
    (void)trial_put(trial, "a", "1", lease);
    trial_catch_up(trial);

    for (int i = 0; i < 6; i++) {
        driver->run(driver->context, NULL, NULL, driver->lease_ms / 3);
        struct engine_answer answer =
            trial_settle(trial, trial_ask_keepalive(trial, lease));
        assert_int_equal(answer.err, RC_OK);
        assert_true(answer.ttl_ms >= driver->lease_ms);
    }

    assert_non_null(trial_told(trial, "a"));
}

static void revoked_lease_takes_its_keys_at_once(void **state)
{
    struct trial *trial = *state;
    uint64_t lease = trial_grant(trial, 600000);
    (void)trial_put(trial, "a", "1", lease);
    uint64_t last = trial_put(trial, "b", "1", lease);

    struct engine_answer answer = trial_settle(trial, trial_ask_revoke(trial, lease));

    assert_int_equal(answer.err, RC_OK);
    assert_true(trial_is_next(trial, answer.revision, last + 1));
    trial_catch_up(trial);
    assert_int_equal(trial->key_count, 0);
    assert_int_equal(trial_settle(trial, trial_ask_revoke(trial, lease)).err,
                     RC_ENOTFOUND);
    assert_int_equal(trial_settle(trial, trial_ask_keepalive(trial, lease)).err,
                     RC_ENOTFOUND);
}

static void key_follows_the_lease_it_was_last_put_with(void **state)
{
    struct trial *trial = *state;
    uint64_t first = trial_grant(trial, 600000);
    uint64_t second = trial_grant(trial, 600000);
    (void)trial_put(trial, "freed", "1", first);
    (void)trial_put(trial, "freed", "2", 0);
    (void)trial_put(trial, "moved", "1", first);
    (void)trial_put(trial, "moved", "2", second);
    (void)trial_put(trial, "bound", "1", 0);
    (void)trial_put(trial, "bound", "2", first);

    assert_int_equal(trial_settle(trial, trial_ask_revoke(trial, first)).err, RC_OK);

    assert_true(trial_told(trial, "freed")->lease == 0);
    assert_true(trial_told(trial, "moved")->lease == second);
    assert_null(trial_told(trial, "bound"));
}

static void lease_that_is_not_there_is_not_found(void **state)
{
    struct trial *trial = *state;

    assert_int_equal(trial_settle(trial, trial_ask_keepalive(trial, 987654321)).err,
                     RC_ENOTFOUND);
    assert_int_equal(trial_settle(trial, trial_ask_revoke(trial, 987654321)).err,
                     RC_ENOTFOUND);
}

/* ---- Follower and barrier. */

static void follower_of_an_empty_store_is_told_so(void **state)
{
    struct trial *trial = *state;

    trial_catch_up(trial);

    assert_int_equal(trial->begins, 1);
    assert_int_equal(trial->key_count, 0);
    assert_int_equal(trial->ends, 1);
}

static void barrier_holds_what_was_acknowledged_before(void **state)
{
    struct trial *trial = *state;
    uint64_t revision = trial_put(trial, "a", "1", 0);

    struct engine_answer answer = trial_settle(trial, trial_ask_barrier(trial));

    assert_int_equal(answer.err, RC_OK);
    assert_true(answer.revision >= revision);
}

static void barriers_under_load_are_all_answered(void **state)
{
    struct trial *trial = *state;
    struct engine_op op = trial_op_put("a", "1", 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    for (size_t i = 0; i < 50; i++) {
        (void)trial_ask_txn(trial, &txn);
        (void)trial_ask_barrier(trial);
    }
    trial_wait(trial, trial_all_answered, trial);

    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(trial->answers[i].answer.err, RC_OK);
    }
}

static void status_tells_how_it_stands(void **state)
{
    struct trial *trial = *state;
    struct engine_status status;
    uint64_t revision = trial_put(trial, "a", "1", 0);
    trial_catch_up(trial);

    trial->engine->class->status(trial->engine, &status);

    assert_non_null(status.kind);
    assert_true(status.has_leader);
    assert_string_equal(status.alarm, "");
    assert_true(status.revision >= revision);
    assert_true(status.member_count <= ENGINE_MEMBERS_MAX);
}

/* ---- Ends and restarts. */

static void closing_answers_all_that_is_open(void **state)
{
    struct trial *trial = *state;
    struct engine_op op = trial_op_put("a", "1", 0);
    struct engine_txn txn = {.then = &op, .then_count = 1};

    for (size_t i = 0; i < 20; i++) {
        (void)trial_ask_txn(trial, &txn);
        (void)trial_ask_barrier(trial);
        (void)trial_ask_grant(trial, 60000);
    }
    trial_close(trial);

    for (size_t i = 0; i < trial->count; i++) {
        int err = trial->answers[i].answer.err;
        assert_int_equal(trial->answers[i].times, 1);
        assert_true(err == RC_OK || err == RC_ECLOSED || err == RC_EUNKNOWN);
    }
}

static void what_closing_says_is_true_afterwards(void **state)
{
    enum { MANY = 100 };
    struct trial *trial = *state;
    int errors[MANY];
    if (trial->driver->open_again == NULL) {
        skip();
    }
    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        struct engine_op op = trial_op_put(key, "1", 0);
        struct engine_txn txn = {.then = &op, .then_count = 1};
        (void)trial_ask_txn(trial, &txn);
        if (i % 10 == 0) { /* some of them get under way */
            trial->driver->run(trial->driver->context, NULL, NULL, 1);
        }
    }
    trial_close(trial);
    for (size_t i = 0; i < MANY; i++) {
        errors[i] = trial->answers[i].answer.err;
    }
    memset(trial->answers, 0, sizeof trial->answers);
    trial->count = 0;
    trial->engine = trial->driver->open_again(trial->driver->context);
    trial_follow(trial);

    trial_catch_up(trial);
    for (size_t i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "k%zu", i);
        bool is_there = trial_find(trial, rc_pack_text(key)) != NULL;
        assert_true(errors[i] != RC_OK || is_there);
        assert_true(errors[i] != RC_ECLOSED || !is_there);
    }
}

static void everything_is_there_after_a_restart(void **state)
{
    struct trial *trial = *state;
    if (trial->driver->open_again == NULL) {
        skip();
    }
    uint64_t lease = trial_grant(trial, 600000);
    uint64_t made = trial_put(trial, "a", "1", 0);
    uint64_t changed = trial_put(trial, "a", "2", lease);
    (void)trial_put(trial, "b", "1", 0);
    uint64_t last = trial_op(trial, trial_op_delete("b")).revision;

    trial_reopen(trial);

    const struct trial_key *told = trial_told(trial, "a");
    assert_int_equal(trial->key_count, 1);
    assert_true(told->create_revision == made && told->mod_revision == changed);
    assert_true(told->lease == lease);
    assert_true(trial->told_revision >= last);
    assert_int_equal(trial_settle(trial, trial_ask_keepalive(trial, lease)).err, RC_OK);
    assert_true(trial_put(trial, "c", "1", 0) > last);
}

static void revision_grows_over_restarts_when_the_last_was_a_delete(void **state)
{
    struct trial *trial = *state;
    if (trial->driver->open_again == NULL) {
        skip();
    }
    uint64_t revision = 0;

    for (int i = 0; i < 5; i++) {
        uint64_t made = trial_put(trial, "a", "1", 0);
        assert_true(made > revision);
        revision = trial_op(trial, trial_op_delete("a")).revision;
        assert_true(revision > made);
        trial_reopen(trial);
    }
}

static void leases_are_never_numbered_twice(void **state)
{
    struct trial *trial = *state;
    if (trial->driver->open_again == NULL) {
        skip();
    }
    uint64_t first = trial_grant(trial, 600000);
    assert_int_equal(trial_settle(trial, trial_ask_revoke(trial, first)).err, RC_OK);

    trial_reopen(trial);

    assert_true(trial_grant(trial, 600000) != first);
    assert_int_equal(trial_settle(trial, trial_ask_keepalive(trial, first)).err,
                     RC_ENOTFOUND);
}

static void lease_ends_later_never_earlier_after_a_restart(void **state)
{
    struct trial *trial = *state;
    const struct engine_driver *driver = trial->driver;
    if (driver->open_again == NULL) {
        skip();
    }
    uint64_t lease = trial_grant(trial, driver->lease_ms);
    uint64_t granted_ms = driver->now_ms(driver->context);
    (void)trial_put(trial, "a", "1", lease);
    driver->run(driver->context, NULL, NULL, driver->lease_ms / 2);

    trial_reopen(trial);

    uint64_t opened_ms = driver->now_ms(driver->context);
    trial_catch_up(trial);
    trial_wait(trial, has_no_keys, trial);
    uint64_t now_ms = driver->now_ms(driver->context);
    assert_true(now_ms + 50 - granted_ms >= driver->lease_ms);
    assert_true(now_ms - opened_ms <= driver->lease_ms + driver->late_ms);
}

/* ---- */

const struct CMUnitTest engine_claims_of_time[] = {
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
    {0},
};
