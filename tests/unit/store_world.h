/* store_world.h - stores over one engine in memory, with a virtual clock, for tests. */
#ifndef TESTS_UNIT_STORE_WORLD_H
#define TESTS_UNIT_STORE_WORLD_H

#include "agent/store/engine_memory.h"
#include "agent/store/store.h"

enum { WORLD_STORES = 2, WORLD_RESULTS = 80 };

/* The last outcome, copied. */
struct answer {
    bool is_there;
    int err;
    bool succeeded;
    uint64_t revision;
    uint64_t term;
    char text[STORE_TEXT_MAX];
    size_t failure_count;
    char failures[STORE_OPS_MAX][128];
    size_t failed_ops[STORE_OPS_MAX];
    size_t result_count;
    struct store_pair pairs[WORLD_RESULTS]; /* numbers only */
    char values[WORLD_RESULTS][64];
};

struct world {
    struct engine_memory *memory;
    struct engine *engines[WORLD_STORES];
    struct store *stores[WORLD_STORES];
    uint64_t now_ms;
    struct answer answer;
    char heard[4096]; /* what the first store's listener was told, "kv a 5;" */
};

struct world *world_create(void);
void world_destroy(struct world *w);
void world_run_ms(struct world *w, uint64_t ms);
/* Until the answer is there. */
const struct answer *world_wait(struct world *w);
void world_done(void *context, const struct store_outcome *outcome);

/* Operations, all of them done and waited for; `at` is the store. */
const struct answer *world_do(struct world *w, size_t at, const struct store_op *ops,
                              size_t count, const char *request);
const struct answer *world_one(struct world *w, enum store_verb verb, const char *key,
                               const char *value, const char *session);
const struct answer *world_cas(struct world *w, const char *key, const char *value,
                               uint64_t index);
/* A session with an id made of this letter. */
const char *world_session(struct world *w, char letter, uint64_t ttl_ms,
                          uint64_t delay_ms, enum store_behavior behavior);
/* Settles, then reads; NULL: not there. `value` of it as text. */
const struct store_pair *world_get(struct world *w, size_t at, const char *key);
bool world_is(struct world *w, const char *key, const char *value);

#endif
