#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_core.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

enum { WRITES_MAX = 32 };

static const char *const urls[] = {"http://a:1", "http://b:1"};

static struct etcd_stage stage;
static struct engine *engine;
static struct rc_buffer message;
static bool is_closed;

/* What became of each call, by its number. */
static struct outcome {
    size_t count;
    int err;
    bool succeeded;
    uint64_t revision;
    uint64_t lease;
    uint64_t ttl_ms;
} outcomes[WRITES_MAX];

static void on_done(void *context, const struct engine_answer *answer)
{
    struct outcome *outcome = context;

    outcome->count++;
    outcome->err = answer->err;
    outcome->succeeded = answer->succeeded;
    outcome->revision = answer->revision;
    outcome->lease = answer->lease;
    outcome->ttl_ms = answer->ttl_ms;
}

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
}

static int make(void **state)
{
    const struct etcd_options options = {
        .endpoints = urls, .endpoint_count = 2, .prefix = "p/"};

    (void)state;
    stage_init(&stage);
    memset(outcomes, 0, sizeof outcomes);
    is_closed = false;
    assert_int_equal(etcd_core_create(&options, &stage.edge, &engine), RC_OK);
    return 0;
}

static void close_engine(void)
{
    engine->class->close(engine, on_closed, NULL);
    stage_run(&stage, 0);
    stage.on_closed(stage.closed_owner);
    engine = NULL;
    assert_true(is_closed);
}

static int end(void **state)
{
    (void)state;
    if (engine != NULL) {
        close_engine();
    }
    stage_fini(&stage);
    rc_buffer_fini(&message);
    return 0;
}

static void put(size_t number, const char *key)
{
    const struct engine_op op = {
        .verb = ENGINE_PUT, .key = rc_pack_text(key), .value = rc_pack_text("v")};
    const struct engine_txn txn = {.then = &op, .then_count = 1};

    engine_txn(engine, &txn, on_done, &outcomes[number]);
}

/* Puts to as many keys. */
static void put_many(size_t first, size_t count)
{
    char key[16];

    for (size_t i = first; i < first + count; i++) {
        (void)snprintf(key, sizeof key, "k%zu", i);
        put(i, key);
    }
}

/* How many transactions are in the request: 0, it is one itself. */
static size_t riders_of(const struct etcd_call *call)
{
    struct rc_cursor in = rc_cursor_over(call->body.bytes, call->body.size);
    struct protobuf_field field;
    struct protobuf_field op;
    size_t count = 0;

    while (protobuf_next(&in, &field)) {
        struct rc_cursor inner = protobuf_enter(&field);
        count += field.number == 2 && protobuf_next(&inner, &op) && op.number == 4;
    }
    return count;
}

/* Whether it puts something itself: what etcd asks its quota for. */
static bool puts_itself(const struct etcd_call *call)
{
    struct rc_cursor in = rc_cursor_over(call->body.bytes, call->body.size);
    struct protobuf_field field;
    struct protobuf_field op;
    bool found = false;

    while (protobuf_next(&in, &field)) {
        struct rc_cursor inner = protobuf_enter(&field);
        found =
            found || (field.number == 2 && protobuf_next(&inner, &op) && op.number == 2);
    }
    return found;
}

/* Each of `count` riders succeeded whose bit is set. */
static void reply_riders(struct etcd_call *call, size_t count, uint32_t succeeded)
{
    stage_header(&message, 50);
    protobuf_put_number(&message, 2, 1);
    for (size_t i = 0; i < count; i++) {
        size_t response = protobuf_open(&message, 3);
        size_t inner = protobuf_open(&message, 4);
        if ((succeeded >> i & 1) != 0) {
            protobuf_put_number(&message, 2, 1);
        }
        protobuf_close(&message, inner);
        protobuf_close(&message, response);
    }
    stage_reply(call, &message);
}

static void reply_one(struct etcd_call *call)
{
    stage_header(&message, 50);
    protobuf_put_number(&message, 2, 1);
    stage_reply(call, &message);
}

/* One is under way, and one waits; returns how many are under way. */
static size_t fill(void)
{
    put_many(0, 2);
    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 1);
    return 1;
}

/* ---- transactions -------------------------------------------------------------------- */

static void first_goes_alone_and_at_once(void **state)
{
    (void)state;
    put(0, "a");
    struct etcd_call *call = stage_find(&stage, ETCD_TXN, NULL);
    assert_int_equal(riders_of(call), 0);
    assert_int_equal(outcomes[0].count, 0);

    reply_one(call);

    assert_int_equal(outcomes[0].count, 1);
    assert_int_equal(outcomes[0].err, RC_OK);
    assert_true(outcomes[0].succeeded);
    assert_int_equal(outcomes[0].revision, 50);
}

static void what_waits_rides_together_and_each_has_its_outcome(void **state)
{
    (void)state;
    size_t under_way = fill();
    put_many(under_way + 1, 2); /* with the one that waits: three */
    assert_int_equal(stage_open_count(&stage, ETCD_TXN), under_way);

    reply_one(&stage.calls[0]);
    struct etcd_call *shared = &stage.calls[stage.count - 1];
    assert_int_equal(riders_of(shared), 3);
    assert_true(puts_itself(shared));
    reply_riders(shared, 3, 5);

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(outcomes[under_way + i].count, 1);
        assert_int_equal(outcomes[under_way + i].revision, 50);
        assert_int_equal(outcomes[under_way + i].succeeded, i != 1);
    }
}

static void crowd_that_was_answered_together_comes_again_together(void **state)
{
    (void)state;
    put_many(0, 4);
    reply_one(stage_find(&stage, ETCD_TXN, NULL));
    reply_riders(stage_find(&stage, ETCD_TXN, NULL), 3, 7);

    put_many(4, 3);
    assert_null(stage_find(&stage, ETCD_TXN, NULL));
    stage_run(&stage, 0);

    assert_int_equal(riders_of(stage_find(&stage, ETCD_TXN, NULL)), 3);
}

static void writes_of_one_key_go_one_by_one_but_not_one_after_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        put(i, "same");
    }
    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 1);

    reply_one(stage_find(&stage, ETCD_TXN, NULL));
    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 4);
    reply_one(stage_find(&stage, ETCD_TXN, NULL));

    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 4);
    assert_int_equal(riders_of(stage_find(&stage, ETCD_TXN, NULL)), 0);
}

static void answer_that_lacks_a_rider_is_unknown_for_all(void **state)
{
    (void)state;
    size_t under_way = fill();
    put_many(under_way + 1, 1);
    reply_one(&stage.calls[0]);

    reply_riders(&stage.calls[stage.count - 1], 1, 1);

    assert_int_equal(outcomes[under_way].err, RC_EUNKNOWN);
    assert_int_equal(outcomes[under_way + 1].err, RC_EUNKNOWN);
}

static void riders_that_were_refused_go_again_alone(void **state)
{
    (void)state;
    size_t under_way = fill();
    put_many(under_way + 1, 1);
    reply_one(&stage.calls[0]);

    stage_refuse(&stage.calls[stage.count - 1], GRPC_INVALID_ARGUMENT,
                 "etcdserver: too many operations in txn request");

    assert_int_equal(outcomes[under_way].count, 0);
    struct etcd_call *alone = &stage.calls[stage.count - 1];
    assert_int_equal(riders_of(alone), 0);
    reply_one(alone);
    assert_int_equal(outcomes[under_way].err, RC_OK);
}

static void cluster_that_takes_fewer_together_gets_fewer(void **state)
{
    (void)state;
    put_many(0, 9);
    reply_one(stage_find(&stage, ETCD_TXN, NULL));
    assert_int_equal(riders_of(stage_find(&stage, ETCD_TXN, NULL)), 8);
    stage_refuse(stage_find(&stage, ETCD_TXN, NULL), GRPC_INVALID_ARGUMENT,
                 "etcdserver: too many operations in txn request");
    struct etcd_call *call = NULL;
    while ((call = stage_find(&stage, ETCD_TXN, NULL)) != NULL) {
        assert_int_equal(riders_of(call), 0);
        reply_one(call);
    }

    put_many(9, 9);
    reply_one(stage_find(&stage, ETCD_TXN, NULL));

    assert_int_equal(riders_of(stage_find(&stage, ETCD_TXN, NULL)), 4);
    assert_int_equal(stage_open_count(&stage, ETCD_TXN), 2); /* and the other four */
}

static void lost_write_holds_the_next_ones_back(void **state)
{
    (void)state;
    put(0, "a");
    stage_end(stage_find(&stage, ETCD_TXN, NULL), ETCD_LOST);
    assert_int_equal(outcomes[0].err, RC_EUNKNOWN);

    put(1, "b");
    assert_null(stage_find(&stage, ETCD_TXN, NULL));
    stage_run(&stage, 0);
    stage_header(&message, 51);
    stage_reply(stage_find(&stage, ETCD_PUT, NULL), &message); /* a probe is taken */
    stage_run(&stage, 0);

    reply_one(stage_find(&stage, ETCD_TXN, NULL));
    assert_int_equal(outcomes[1].err, RC_OK);
}

static void what_waits_too_long_is_surely_not_done(void **state)
{
    (void)state;
    put(0, "a");
    stage_end(stage_find(&stage, ETCD_TXN, NULL), ETCD_LOST);
    put(1, "b");

    stage_run(&stage, 1500);

    assert_int_equal(outcomes[1].count, 1);
    assert_int_equal(outcomes[1].err, RC_EAGAIN);
}

static void want_of_memory_delays_a_write(void **state)
{
    (void)state;
    stage_run(&stage, 0);
    stage.refuses = 1;
    put(0, "a");
    assert_int_equal(outcomes[0].count, 0);

    stage_run(&stage, 200);

    reply_one(stage_find(&stage, ETCD_TXN, NULL));
    assert_int_equal(outcomes[0].err, RC_OK);
}

static void what_makes_no_sense_is_refused_in_the_next_turn(void **state)
{
    (void)state;
    put(0, "");
    assert_int_equal(outcomes[0].count, 0);

    stage_run(&stage, 0);

    assert_int_equal(outcomes[0].err, RC_EINVAL);
}

/* ---- barriers ------------------------------------------------------------------------ */

static void barriers_that_wait_share_the_next_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        engine_barrier(engine, on_done, &outcomes[i]);
    }
    assert_int_equal(stage_open_count(&stage, ETCD_RANGE), 1);

    stage_header(&message, 7);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    assert_int_equal(outcomes[0].revision, 7);
    assert_int_equal(outcomes[1].count, 0); /* asked after the first read was sent */

    assert_int_equal(stage_open_count(&stage, ETCD_RANGE), 1);
    stage_header(&message, 8);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(outcomes[i].count, 1);
        assert_int_equal(outcomes[i].revision, 8);
    }
}

static void barrier_that_nobody_answers_says_not_now(void **state)
{
    (void)state;
    engine_barrier(engine, on_done, &outcomes[0]);

    stage_end(stage_find(&stage, ETCD_RANGE, "http://a:1"), ETCD_LOST);
    stage_end(stage_find(&stage, ETCD_RANGE, "http://b:1"), ETCD_LOST);

    assert_int_equal(outcomes[0].err, RC_EAGAIN);
}

static void answer_without_a_revision_is_no_barrier(void **state)
{
    (void)state;
    engine_barrier(engine, on_done, &outcomes[0]);

    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), NULL);

    assert_int_equal(outcomes[0].err, RC_EAGAIN);
}

/* ---- leases -------------------------------------------------------------------------- */

static void reply_lease(const char *method, uint64_t lease, uint64_t ttl_s)
{
    stage_header(&message, 9);
    protobuf_put_number(&message, 2, lease);
    protobuf_put_number(&message, 3, ttl_s);
    stage_reply(stage_find(&stage, method, NULL), &message);
}

static void lease_is_granted_in_whole_seconds(void **state)
{
    (void)state;
    engine_grant(engine, 2001, on_done, &outcomes[0]);
    assert_memory_equal(stage_find(&stage, ETCD_GRANT, NULL)->body.bytes, "\x08\x03", 2);

    reply_lease(ETCD_GRANT, 77, 3);

    assert_int_equal(outcomes[0].lease, 77);
    assert_int_equal(outcomes[0].ttl_ms, 3000);
}

static void shortest_lease_is_learnt(void **state)
{
    (void)state;
    engine_grant(engine, 1000, on_done, &outcomes[0]);

    reply_lease(ETCD_GRANT, 77, 8);

    assert_int_equal(engine->class->lease_min_ms, 8000);
}

static void lease_that_ended_is_not_found(void **state)
{
    (void)state;
    engine_keepalive(engine, 77, on_done, &outcomes[0]);
    reply_lease(ETCD_KEEPALIVE, 77, 0);
    assert_int_equal(outcomes[0].err, RC_ENOTFOUND);

    engine_revoke(engine, 77, on_done, &outcomes[1]);
    stage_refuse(stage_find(&stage, ETCD_REVOKE, NULL), GRPC_NOT_FOUND,
                 "etcdserver: requested lease not found");
    assert_int_equal(outcomes[1].err, RC_ENOTFOUND);
}

/* ---- the end ------------------------------------------------------------------------- */

static void closing_answers_all_that_is_open(void **state)
{
    (void)state;
    size_t under_way = fill();
    engine_barrier(engine, on_done, &outcomes[under_way + 1]);
    engine_barrier(engine, on_done, &outcomes[under_way + 2]);

    close_engine();

    assert_int_equal(outcomes[0].err, RC_EUNKNOWN); /* was sent */
    assert_int_equal(outcomes[under_way].err, RC_ECLOSED);
    assert_int_equal(outcomes[under_way + 1].err, RC_ECLOSED);
    assert_int_equal(outcomes[under_way + 2].err, RC_ECLOSED);
    for (size_t i = 0; i < under_way + 3; i++) {
        assert_int_equal(outcomes[i].count, 1);
    }
}

static void nonsense_in_options_is_refused(void **state)
{
    struct etcd_options options = {.endpoints = urls, .endpoint_count = 2};
    struct engine *none = NULL;

    (void)state;
    assert_int_equal(etcd_core_create(&options, &stage.edge, &none), RC_EINVAL);
    options.prefix = "p/";
    options.endpoint_count = 0;
    assert_int_equal(etcd_core_create(&options, &stage.edge, &none), RC_EINVAL);
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(first_goes_alone_and_at_once),
        CLAIM(what_waits_rides_together_and_each_has_its_outcome),
        CLAIM(crowd_that_was_answered_together_comes_again_together),
        CLAIM(writes_of_one_key_go_one_by_one_but_not_one_after_the_other),
        CLAIM(answer_that_lacks_a_rider_is_unknown_for_all),
        CLAIM(riders_that_were_refused_go_again_alone),
        CLAIM(cluster_that_takes_fewer_together_gets_fewer),
        CLAIM(lost_write_holds_the_next_ones_back),
        CLAIM(what_waits_too_long_is_surely_not_done),
        CLAIM(want_of_memory_delays_a_write),
        CLAIM(what_makes_no_sense_is_refused_in_the_next_turn),
        CLAIM(barriers_that_wait_share_the_next_read),
        CLAIM(barrier_that_nobody_answers_says_not_now),
        CLAIM(answer_without_a_revision_is_no_barrier),
        CLAIM(lease_is_granted_in_whole_seconds),
        CLAIM(shortest_lease_is_learnt),
        CLAIM(lease_that_ended_is_not_found),
        CLAIM(closing_answers_all_that_is_open),
        CLAIM(nonsense_in_options_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
