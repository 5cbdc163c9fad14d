/* store_world.c - stores over one engine in memory, with a virtual clock. */
#include "tests/unit/store_world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void changed(void *context, enum store_table table, struct rc_pack_bytes key,
                    uint64_t index)
{
    static const char *const names[STORE_TABLE_COUNT] = {
        "kv", "session", "query", "token", "policy", "role", "setting"};
    struct world *w = context;
    size_t used = strlen(w->heard);

    (void)snprintf(w->heard + used, sizeof w->heard - used, "%s %.*s %llu;", names[table],
                   (int)key.size, (const char *)key.at, (unsigned long long)index);
}

static void session_ended(void *context, const char *id)
{
    struct world *w = context;
    size_t used = strlen(w->heard);

    (void)snprintf(w->heard + used, sizeof w->heard - used, "ended %c;", id[0]);
}

struct world *world_create(void)
{
    struct world *w = calloc(1, sizeof *w);

    assert(w != NULL);
    w->now_ms = 1000;
    w->memory = engine_memory_create(
        &(struct engine_memory_options){.seed = 1, .now_ms = w->now_ms});
    assert(w->memory != NULL);
    for (size_t i = 0; i < WORLD_STORES; i++) {
        w->engines[i] = engine_memory_connect(w->memory);
        struct store_options options = {.engine = w->engines[i], .now_ms = w->now_ms};
        if (i == 0) {
            options.listener = (struct store_listener){
                .context = w, .changed = changed, .session_ended = session_ended};
        }
        w->stores[i] = store_create(&options);
        assert(w->stores[i] != NULL);
    }
    world_run_ms(w, 1);
    return w;
}

void world_destroy(struct world *w)
{
    for (size_t i = 0; i < WORLD_STORES; i++) {
        w->engines[i]->class->close(w->engines[i], NULL, NULL);
        store_destroy(w->stores[i]);
    }
    engine_memory_destroy(w->memory);
    free(w);
}

/* One turn at the next moment at which somebody has something to do. */
static void turn(struct world *w, uint64_t until_ms)
{
    uint64_t next = engine_memory_deadline_ms(w->memory);

    for (size_t i = 0; i < WORLD_STORES; i++) {
        uint64_t due = store_deadline_ms(w->stores[i]);
        next = due < next ? due : next;
    }
    next = next < until_ms ? next : until_ms;
    w->now_ms = next > w->now_ms ? next : w->now_ms;
    engine_memory_tick(w->memory, w->now_ms);
    for (size_t i = 0; i < WORLD_STORES; i++) {
        store_tick(w->stores[i], w->now_ms);
    }
}

static bool is_due(const struct world *w)
{
    bool due = engine_memory_deadline_ms(w->memory) <= w->now_ms;

    for (size_t i = 0; i < WORLD_STORES; i++) {
        due = due || store_deadline_ms(w->stores[i]) <= w->now_ms;
    }
    return due;
}

void world_run_ms(struct world *w, uint64_t ms)
{
    uint64_t until_ms = w->now_ms + ms;

    do {
        turn(w, until_ms);
    } while (w->now_ms < until_ms || is_due(w));
}

const struct answer *world_wait(struct world *w)
{
    uint64_t until_ms = w->now_ms + 60000;

    while (!w->answer.is_there && w->now_ms < until_ms) {
        turn(w, until_ms);
    }
    assert(w->answer.is_there);
    return &w->answer;
}

void world_done(void *context, const struct store_outcome *outcome)
{
    struct world *w = context;
    struct answer *a = &w->answer;

    assert(!a->is_there);
    *a = (struct answer){.is_there = true,
                         .err = outcome->err,
                         .succeeded = outcome->succeeded,
                         .revision = outcome->revision,
                         .term = outcome->term,
                         .failure_count = outcome->failure_count,
                         .result_count = outcome->result_count};
    (void)snprintf(a->text, sizeof a->text, "%s", outcome->text);
    for (size_t i = 0; i < a->failure_count; i++) {
        (void)snprintf(a->failures[i], sizeof a->failures[i], "%s",
                       outcome->failures[i].what);
        a->failed_ops[i] = outcome->failures[i].op;
    }
    for (size_t i = 0; i < a->result_count && i < WORLD_RESULTS; i++) {
        a->pairs[i] = outcome->results[i].pair;
        (void)snprintf(a->values[i], sizeof a->values[i], "%.*s",
                       (int)a->pairs[i].value.size, (const char *)a->pairs[i].value.at);
    }
}

const struct answer *world_do(struct world *w, size_t at, const struct store_op *ops,
                              size_t count, const char *request)
{
    w->answer.is_there = false;
    int err = store_submit(w->stores[at], w->now_ms, ops, count, (const uint8_t *)request,
                           world_done, w);
    if (err != RC_OK) {
        w->answer = (struct answer){.is_there = true, .err = err};
    }
    return world_wait(w);
}

const struct answer *world_one(struct world *w, enum store_verb verb, const char *key,
                               const char *value, const char *session)
{
    const struct store_op op = {.verb = verb,
                                .table =
                                    verb == STORE_END_SESSION ? STORE_SESSIONS : STORE_KV,
                                .key = rc_pack_text(key),
                                .value = rc_pack_text(value),
                                .session = session};

    return world_do(w, 0, &op, 1, NULL);
}

const struct answer *world_cas(struct world *w, const char *key, const char *value,
                               uint64_t index)
{
    const struct store_op op = {.verb = STORE_CAS,
                                .key = rc_pack_text(key),
                                .value = rc_pack_text(value),
                                .index = index};

    return world_do(w, 0, &op, 1, NULL);
}

const char *world_session(struct world *w, char letter, uint64_t ttl_ms,
                          uint64_t delay_ms, enum store_behavior behavior)
{
    static const char *const ids[] = {
        "a0000000-0000-4000-8000-000000000000", "b0000000-0000-4000-8000-000000000000",
        "c0000000-0000-4000-8000-000000000000", "d0000000-0000-4000-8000-000000000000"};
    struct store_session session = {
        .ttl_ms = ttl_ms, .lock_delay_ms = delay_ms, .behavior = behavior, .node = "n1"};

    (void)snprintf(session.id, sizeof session.id, "%s", ids[letter - 'a']);
    w->answer.is_there = false;
    int err =
        store_create_session(w->stores[0], w->now_ms, &session, NULL, world_done, w);
    if (err != RC_OK) {
        w->answer = (struct answer){.is_there = true, .err = err};
    }
    (void)world_wait(w);
    return ids[letter - 'a'];
}

const struct store_pair *world_get(struct world *w, size_t at, const char *key)
{
    static struct store_pair pair;

    const struct store_view view = {STORE_KV, STORE_ONE, rc_pack_text(key)};

    w->answer.is_there = false;
    if (store_settle(w->stores[at], w->now_ms, &view, world_done, w) != RC_OK ||
        world_wait(w)->err != RC_OK) {
        return NULL;
    }
    return store_read(w->stores[at], STORE_KV, rc_pack_text(key), &pair) ? &pair : NULL;
}

bool world_is(struct world *w, const char *key, const char *value)
{
    const struct store_pair *pair = world_get(w, 0, key);

    return pair != NULL && rc_pack_equals(pair->value, rc_pack_text(value));
}
