/* test_keeper_store.c - the store that keepers are simulated with keeps the real one's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/store/engine_memory.h"
#include "agent/store/store.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/sim/keeper_sim_state.h"

enum {
    SEEDS = 60,
    STEPS = 300,
    KEYS = 5,
    SESSIONS_MAX = 400,
    TTL_MS = 3000,
    LATE_MS = 1000, /* that the real store may take longer to end a session */
    ANSWER_MS = 1000
};

static const char *const keys[KEYS] = {"lease", "sync", "state", "member/n0",
                                       "member/n1"};

struct seen { /* of a key, in the model and in the store */
    uint64_t index[2];
    uint64_t before[2]; /* the index it had before this one */
    uint64_t term[2];
};

struct world {
    struct ksim_world *model;
    struct keeper_sim_report report;
    struct engine_memory *memory;
    struct engine *engine;
    struct store *store;
    struct rc_random random;
    char ids[SESSIONS_MAX][STORE_ID_SIZE];
    size_t session_count;
    struct seen seen[KEYS];
    uint64_t values;
    bool is_answered;
    int err;
    bool succeeded;
    uint64_t term;
};

/* ---- both on one clock */

static void tick(struct world *w)
{
    engine_memory_tick(w->memory, w->model->now_ms);
    store_tick(w->store, w->model->now_ms);
}

static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        w->model->now_ms++;
        ksim_store_step(w->model);
        tick(w);
    }
}

static void on_done(void *context, const struct store_outcome *outcome)
{
    struct world *w = context;

    w->is_answered = true;
    w->err = outcome->err;
    w->succeeded = outcome->succeeded;
    w->term = outcome->term;
}

/* Ticks without time: so that a renewal counts from the same moment in both. */
static void await(struct world *w, int err)
{
    assert_int_equal(err, RC_OK);
    for (int i = 0; i < ANSWER_MS && !w->is_answered; i++) {
        tick(w);
    }
    assert_true(w->is_answered);
}

static void settle(struct world *w)
{
    static const struct store_view all = {.table = STORE_KV, .reach = STORE_UNDER};

    w->is_answered = false;
    await(w, store_settle(w->store, w->model->now_ms, &all, on_done, w));
    assert_int_equal(w->err, RC_OK);
}

/* What the model says at once. */
static struct keeper_answer ask_model(struct world *w, struct ksim_message *m)
{
    ksim_store_serve(w->model, m);
    assert_int_equal(w->model->message_count, 1);
    w->model->message_count = 0;
    return w->model->messages[0].answer;
}

/* ---- sessions */

static void name_session(struct world *w, struct ksim_message *m, size_t number)
{
    (void)w;
    (void)snprintf(m->session, sizeof m->session, "s%zu", number);
}

static void open_session(struct world *w)
{
    struct ksim_message m = {.ask = KEEPER_OPEN_SESSION, .ttl_ms = TTL_MS};
    struct store_session session = {
        .ttl_ms = TTL_MS, .behavior = STORE_DELETE, .node = "n0"};

    assert_true(w->session_count < SESSIONS_MAX);
    char *id = w->ids[w->session_count];
    (void)snprintf(id, STORE_ID_SIZE, "%08zx-0000-4000-8000-000000000000",
                   ++w->session_count);
    (void)rc_text_put(session.id, sizeof session.id, id);
    w->is_answered = false;
    await(w,
          store_create_session(w->store, w->model->now_ms, &session, NULL, on_done, w));
    assert_int_equal(w->err, RC_OK);
    assert_int_equal(ask_model(w, &m).end, KEEPER_DONE);
}

static bool lives(const struct world *w, size_t number)
{
    struct store_session session;

    return store_read_session(w->store, w->ids[number], &session);
}

/* Never earlier than in the model, where they end at the first moment they may; and in time. */
static void compare_sessions(struct world *w)
{
    for (size_t i = 0; i < w->session_count; i++) {
        if (w->model->store.sessions[i].lives) {
            assert_true(lives(w, i));
        }
        for (int ms = 0;
             ms < LATE_MS && !w->model->store.sessions[i].lives && lives(w, i); ms++) {
            pass(w, 1);
            settle(w);
        }
        if (!w->model->store.sessions[i].lives) {
            assert_false(lives(w, i));
        }
    }
}

static void renew(struct world *w, size_t number)
{
    struct ksim_message m = {.ask = KEEPER_RENEW};

    name_session(w, &m, number);
    w->is_answered = false;
    await(w, store_renew_session(w->store, w->model->now_ms, w->ids[number], on_done, w));
    enum keeper_end end = ask_model(w, &m).end;
    assert_int_equal(end == KEEPER_DONE, w->err == RC_OK);
    assert_int_equal(end == KEEPER_GONE, w->err == RC_ENOTFOUND);
}

/* ---- transactions */

static const enum store_verb verbs[] = {[KEEPER_OP_LOCK] = STORE_LOCK,
                                        [KEEPER_OP_CAS] = STORE_CAS,
                                        [KEEPER_OP_DELETE] = STORE_DELETE_KEY,
                                        [KEEPER_OP_DELETE_CAS] = STORE_DELETE_CAS,
                                        [KEEPER_OP_CHECK_INDEX] = STORE_CHECK_INDEX,
                                        [KEEPER_OP_CHECK_SESSION] = STORE_CHECK_SESSION,
                                        [KEEPER_OP_CHECK_NONE] = STORE_CHECK_NOT_EXISTS};

struct asked {
    struct ksim_message m;
    struct store_op ops[KEEPER_OPS_MAX];
    char values[KEEPER_OPS_MAX][16];
};

static void add_op(struct world *w, struct asked *a, enum keeper_verb verb, size_t key,
                   const char *session)
{
    size_t at = a->m.op_count++;
    struct keeper_op *op = &a->m.ops[at];
    bool is_now = rc_random_below(&w->random, 4) != 0;
    const uint64_t *index = is_now ? w->seen[key].index : w->seen[key].before;

    (void)snprintf(a->values[at], sizeof a->values[at], "v%llu",
                   (unsigned long long)++w->values);
    bool has_value = verb == KEEPER_OP_LOCK || verb == KEEPER_OP_CAS;
    *op = (struct keeper_op){
        .verb = verb, .index = index[0], .value = has_value ? a->values[at] : ""};
    (void)rc_text_put(op->key, sizeof op->key, keys[key]);
    a->ops[at] = (struct store_op){.verb = verbs[verb],
                                   .key = rc_pack_text(keys[key]),
                                   .value = rc_pack_text(op->value),
                                   .index = index[1],
                                   .session = session};
}

/* As keepers make them: checks first, of any key, then at most one write of each. */
static void make_txn(struct world *w, struct asked *a, size_t session)
{
    static const enum keeper_verb checks[] = {
        KEEPER_OP_CHECK_INDEX, KEEPER_OP_CHECK_SESSION, KEEPER_OP_CHECK_SESSION,
        KEEPER_OP_CHECK_NONE};
    static const enum keeper_verb writes[] = {KEEPER_OP_LOCK, KEEPER_OP_LOCK,
                                              KEEPER_OP_CAS, KEEPER_OP_DELETE,
                                              KEEPER_OP_DELETE_CAS};
    size_t key = rc_random_below(&w->random, KEYS);

    *a = (struct asked){.m = {.ask = KEEPER_TXN}};
    name_session(w, &a->m, session);
    if (rc_random_below(&w->random, 3) == 0) {
        add_op(w, a, checks[rc_random_below(&w->random, 4)],
               rc_random_below(&w->random, KEYS), w->ids[session]);
    }
    for (uint64_t i = 0; i <= rc_random_below(&w->random, 3); i++) {
        add_op(w, a, writes[rc_random_below(&w->random, 5)], (key + i) % KEYS,
               w->ids[session]);
    }
}

static void play_txn(struct world *w, size_t session)
{
    struct asked a;

    make_txn(w, &a, session);
    w->is_answered = false;
    await(w, store_submit(w->store, w->model->now_ms, a.ops, a.m.op_count, NULL, on_done,
                          w));
    struct keeper_answer answer = ask_model(w, &a.m);
    bool is_done = w->err == RC_OK && w->succeeded;
    if ((answer.end == KEEPER_DONE) != is_done) {
        for (size_t i = 0; i < a.m.op_count; i++) {
            print_message("verb %d of %s by %s at %llu\n", (int)a.m.ops[i].verb,
                          a.m.ops[i].key, a.m.session,
                          (unsigned long long)a.m.ops[i].index);
        }
        fail_msg("the model: %d, the store: %s, %s", (int)answer.end, rc_strerror(w->err),
                 is_done ? "done" : "not done");
    }
    bool is_gone = !w->model->store.sessions[session].lives;
    if (!is_gone) { /* one of a session that has ended is refused in either word */
        assert_int_equal(w->err, RC_OK);
        assert_int_equal(answer.end == KEEPER_REFUSED, !is_done);
    }
}

/* ---- all keys */

static void compare_key(struct world *w, size_t at)
{
    const struct ksim_key *mine = ksim_store_get(w->model, keys[at]);
    struct seen *seen = &w->seen[at];
    struct store_pair pair = {.session = NULL};
    bool is_there = store_read(w->store, STORE_KV, rc_pack_text(keys[at]), &pair);

    assert_int_equal(mine != NULL, is_there);
    const uint64_t index[2] = {mine != NULL ? mine->index : 0, pair.modify_index};
    bool is_locked = mine != NULL && mine->session >= 0;
    const uint64_t term[2] = {mine != NULL && is_locked ? mine->term : 0, pair.term};
    assert_int_equal(index[0] != seen->index[0], index[1] != seen->index[1]);
    assert_int_equal(term[0] != seen->term[0], term[1] != seen->term[1]);
    assert_int_equal(is_locked, pair.session != NULL);
    if (mine != NULL) {
        assert_true(
            rc_pack_equals(pair.value, rc_pack_text(rc_buffer_string(&mine->value))));
    }
    if (mine != NULL && is_locked) {
        assert_string_equal(pair.session, w->ids[mine->session]);
    }
    for (int i = 0; i < 2; i++) {
        seen->before[i] = index[i] != seen->index[i] ? seen->index[i] : seen->before[i];
        seen->index[i] = index[i];
        seen->term[i] = term[i];
    }
}

static void play(struct world *w, uint64_t seed)
{
    rc_random_init(&w->random, seed);
    for (int step = 0; step < STEPS; step++) {
        uint64_t kind = rc_random_below(&w->random, 10);
        size_t newest = w->session_count < 4 ? w->session_count : 4;
        size_t session =
            w->session_count - 1 - (newest > 0 ? rc_random_below(&w->random, newest) : 0);
        if (w->session_count == 0 || kind == 0) {
            open_session(w);
        } else if (kind < 3) {
            renew(w, session);
        } else {
            play_txn(w, session);
        }
        pass(w, rc_random_below(&w->random, kind == 9 ? 2000 : 200));
        settle(w);
        compare_sessions(w);
        for (size_t i = 0; i < KEYS; i++) {
            compare_key(w, i);
        }
    }
}

static void the_simulators_store_answers_as_the_real_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world *w = calloc(1, sizeof *w);
        assert_non_null(w);
        w->model = calloc(1, sizeof *w->model);
        assert_non_null(w->model);
        w->model->node_count = 1;
        w->model->now_ms = 1000;
        w->model->report = &w->report;
        w->memory = engine_memory_create(
            &(struct engine_memory_options){.seed = 1, .now_ms = 1000});
        w->engine = engine_memory_connect(w->memory);
        w->store = store_create(
            &(struct store_options){.engine = w->engine, .now_ms = w->model->now_ms});
        assert_non_null(w->store);
        pass(w, 1);
        play(w, seed);
        w->engine->class->close(w->engine, NULL, NULL);
        store_destroy(w->store);
        engine_memory_destroy(w->memory);
        ksim_store_fini(w->model);
        free(w->model);
        free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_simulators_store_answers_as_the_real_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
