/* test_engine_memory.c - the engine in memory does what every engine must, and fails on demand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/store/engine_memory.h"
#include "base/err.h"
#include "tests/unit/engine_contract.h"

/* ---- the contract of engines */

struct bench {
    struct engine_memory *memory;
    uint64_t now_ms;
};

static struct engine *open_empty(void *context)
{
    struct bench *bench = context;

    engine_memory_destroy(bench->memory);
    bench->memory = engine_memory_create(
        &(struct engine_memory_options){.seed = 1, .now_ms = bench->now_ms});
    return engine_memory_connect(bench->memory);
}

static struct engine *open_again(void *context)
{
    struct bench *bench = context;

    return engine_memory_connect(bench->memory);
}

static void run(void *context, bool (*is_done)(void *argument), void *argument,
                uint64_t ms)
{
    struct bench *bench = context;
    uint64_t until_ms = bench->now_ms + ms;

    while (is_done == NULL || !is_done(argument)) {
        uint64_t due_ms = engine_memory_deadline_ms(bench->memory);
        due_ms = due_ms > bench->now_ms ? due_ms : bench->now_ms;
        if (due_ms > until_ms) {
            break;
        }
        bench->now_ms = due_ms;
        engine_memory_tick(bench->memory, bench->now_ms);
    }
    if (is_done == NULL || !is_done(argument)) {
        bench->now_ms = until_ms;
        engine_memory_tick(bench->memory, until_ms);
    }
}

static uint64_t now_ms(void *context)
{
    return ((struct bench *)context)->now_ms;
}

/* ---- its faults */

struct told {
    struct engine_answer answer;
    unsigned answers;
    unsigned begins;
    unsigned puts;
    uint64_t revision;
};

static void on_answer(void *context, const struct engine_answer *answer)
{
    struct told *told = context;

    told->answer = *answer;
    told->answers++;
}

static void on_begin(void *context)
{
    ((struct told *)context)->begins++;
}

static void on_put(void *context, const struct engine_item *item)
{
    (void)item;
    ((struct told *)context)->puts++;
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    (void)context;
    (void)key;
    (void)revision;
}

static void on_end(void *context, uint64_t revision)
{
    ((struct told *)context)->revision = revision;
}

static void put_key(struct engine *engine, struct told *told)
{
    const struct engine_op op = {
        .verb = ENGINE_PUT, .key = rc_pack_text("a"), .value = rc_pack_text("1")};

    engine_txn(engine, &(const struct engine_txn){.then = &op, .then_count = 1},
               on_answer, told);
}

static void each_fault_does_what_it_says(void **state)
{
    const struct {
        const char *why;
        struct engine_memory_faults faults;
        int err;
        bool is_there;
        bool comes;
    } cases[] = {
        {"none", {.refused = 0}, RC_OK, true, true},
        {"refused", {.refused = 1000000}, RC_EAGAIN, false, false},
        {"lost, done", {.lost_done = 1000000}, RC_EUNKNOWN, true, true},
        {"lost, not done", {.lost_undone = 1000000}, RC_EUNKNOWN, false, false},
        {"lost, done later", {.lost_late = 1000000}, RC_EUNKNOWN, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench bench = {.now_ms = 5};
        struct told told = {.answers = 0};
        struct engine_item item;
        struct engine *engine = open_empty(&bench);
        engine_memory_set_faults(bench.memory, &cases[i].faults);
        put_key(engine, &told);
        engine_memory_tick(bench.memory, 5);
        bool is_there = engine_memory_peek(bench.memory, rc_pack_text("a"), &item);
        if (told.answers != 1 || told.answer.err != cases[i].err ||
            is_there != cases[i].is_there) {
            fail_msg("%s: %s", cases[i].why, rc_strerror(told.answer.err));
        }
        run(&bench, NULL, NULL, 100);
        assert_true(engine_memory_peek(bench.memory, rc_pack_text("a"), &item) ==
                    cases[i].comes);
        engine->class->close(engine, NULL, NULL);
        engine_memory_destroy(bench.memory);
    }
}

static void a_gap_makes_the_follower_begin_anew(void **state)
{
    struct bench bench = {.now_ms = 5};
    struct told told = {.answers = 0};
    struct engine *engine = open_empty(&bench);

    (void)state;
    engine_follow(engine, &(const struct engine_follower){.context = &told,
                                                          .begin = on_begin,
                                                          .put = on_put,
                                                          .removed = on_removed,
                                                          .end = on_end});
    run(&bench, NULL, NULL, 10);
    assert_int_equal(told.begins, 1);
    engine_memory_set_faults(bench.memory,
                             &(struct engine_memory_faults){.gap = 1000000});
    put_key(engine, &told);
    run(&bench, NULL, NULL, 10);
    assert_int_equal(told.begins, 2);
    assert_int_equal(told.puts, 1);
    assert_int_equal(told.revision, engine_memory_revision(bench.memory));
    engine->class->close(engine, NULL, NULL);
    engine_memory_destroy(bench.memory);
}

static void without_a_leader_leases_stand_still_and_begin_anew(void **state)
{
    struct bench bench = {.now_ms = 5};
    struct told told = {.answers = 0};
    struct engine *engine = open_empty(&bench);

    (void)state;
    engine_grant(engine, 1000, on_answer, &told);
    run(&bench, NULL, NULL, 1);
    uint64_t lease = told.answer.lease;
    run(&bench, NULL, NULL, 900);
    engine_memory_lose_leader(bench.memory, bench.now_ms + 5000);
    run(&bench, NULL, NULL, 5900);
    engine_keepalive(engine, lease, on_answer, &told);
    run(&bench, NULL, NULL, 1);
    assert_int_equal(told.answer.err, RC_OK);
    run(&bench, NULL, NULL, 1100);
    engine_keepalive(engine, lease, on_answer, &told);
    run(&bench, NULL, NULL, 1);
    assert_int_equal(told.answer.err, RC_ENOTFOUND);
    engine->class->close(engine, NULL, NULL);
    engine_memory_destroy(bench.memory);
}

int main(void)
{
    struct bench bench = {.now_ms = 1000};
    static const struct CMUnitTest own[] = {
        cmocka_unit_test(each_fault_does_what_it_says),
        cmocka_unit_test(a_gap_makes_the_follower_begin_anew),
        cmocka_unit_test(without_a_leader_leases_stand_still_and_begin_anew),
        {0},
    };
    const struct engine_driver driver = {.context = &bench,
                                         .own = own,
                                         .open_empty = open_empty,
                                         .open_again = open_again,
                                         .run = run,
                                         .now_ms = now_ms,
                                         .revisions = ENGINE_REVISION_EACH,
                                         .closing = ENGINE_CLOSES_AT_ONCE,
                                         .patience_ms = 1000,
                                         .lease_ms = 200,
                                         .late_ms = 10};
    int failed = engine_contract_run("engine_memory", &driver);

    engine_memory_destroy(bench.memory);
    return failed;
}
