/* engine_trial.h - one engine under test, what it answered, and a copy of what its follower was told.
 *
 * Everything the engine says is checked while it says it: each call answered once and never from
 * inside, revisions in order, keys told once, only what is there removed. */
#ifndef TESTS_UNIT_ENGINE_TRIAL_H
#define TESTS_UNIT_ENGINE_TRIAL_H

#include "tests/unit/engine_contract.h"

enum { TRIAL_KEYS_MAX = 512, TRIAL_ANSWERS_MAX = 512 };

/* A key that was told, or what there is of it. Keys and values are small, or only their size is
 * looked at. */
struct trial_key {
    uint8_t key[64];
    size_t key_size;
    uint8_t value[64];
    size_t value_size;
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t lease;
};

struct trial_answer {
    bool is_done;
    unsigned times;
    struct engine_answer answer;
};

struct trial {
    const struct engine_driver *driver;
    struct engine *engine;
    struct trial_answer answers[TRIAL_ANSWERS_MAX];
    size_t count;
    bool is_inside; /* a call of the engine */
    bool is_closed;

    struct trial_key keys[TRIAL_KEYS_MAX];
    size_t key_count;
    unsigned begins;
    bool is_loading;
    uint64_t told_revision; /* of the last `end` */
    uint64_t open_revision; /* of what was told since; 0: nothing */
    unsigned removals;      /* told behind loads */
    unsigned ends;
};

/* cmocka's: `*state` is the driver before and the trial after; the follower is set. */
int trial_setup(void **state);
int trial_teardown(void **state);

/* Calls; each returns the place of its answer in `answers`. */
size_t trial_ask_txn(struct trial *trial, const struct engine_txn *txn);
size_t trial_ask_barrier(struct trial *trial);
size_t trial_ask_grant(struct trial *trial, uint64_t ttl_ms);
size_t trial_ask_keepalive(struct trial *trial, uint64_t lease);
size_t trial_ask_revoke(struct trial *trial, uint64_t lease);

/* Lets it work until `is_done(argument)`, which must come. */
void trial_wait(struct trial *trial, bool (*is_done)(void *), void *argument);
bool trial_all_answered(void *argument);

/* The answer at `index`, waited for; all answers are forgotten. */
struct engine_answer trial_settle(struct trial *trial, size_t index);

/* The follower gets to where a barrier says it must be. */
void trial_catch_up(struct trial *trial);

/* What the follower knows of a key, now or after it has caught up; NULL: nothing. */
struct trial_key *trial_find(struct trial *trial, struct rc_pack_bytes key);
struct trial_key *trial_told(struct trial *trial, const char *key);

/* Asked and waited for. The last two must work, and give the revision and the lease. */
struct engine_answer trial_txn(struct trial *trial, const struct engine_txn *txn);
struct engine_answer trial_op(struct trial *trial, struct engine_op op);
uint64_t trial_put(struct trial *trial, const char *key, const char *value,
                   uint64_t lease);
uint64_t trial_grant(struct trial *trial, uint64_t ttl_ms);

struct engine_op trial_op_put(const char *key, const char *value, uint64_t lease);
struct engine_op trial_op_delete(const char *key);
struct engine_op trial_op_delete_prefix(const char *prefix);

/* Ends the engine; all answers stay. */
void trial_close(struct trial *trial);

/* Sets the follower of an engine that was opened again, from nothing. */
void trial_follow(struct trial *trial);

/* Both, with the driver's open_again(). */
void trial_reopen(struct trial *trial);

/* Whether a revision is `want`, or a later one where others may write in between. */
bool trial_is_next(const struct trial *trial, uint64_t revision, uint64_t want);

#endif
