/* test_etcd_lapse.c - when a short lease is revoked, and when not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_lapse.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

enum { LEASE = 77, TERM = 4 };

static struct etcd_stage stage;
static struct etcd_endpoints endpoints;
static struct etcd_asker asker;
static struct etcd_lapses lapses;
static struct rc_buffer message;

static void on_wake(void *owner)
{
    uint64_t due_ms = etcd_lapse_wake(owner, stage.now_ms);

    if (due_ms != UINT64_MAX) {
        stage.edge.wake(stage.edge.context,
                        due_ms > stage.now_ms ? due_ms - stage.now_ms : 0);
    }
}

static int make(void **state)
{
    (void)state;
    stage_open(&stage, 1, &endpoints, &asker);
    etcd_lapse_init(&lapses, &asker, rc_pack_text("p/"));
    stage.edge.start(stage.edge.context, on_wake, &lapses);
    etcd_lapse_watch(&lapses, LEASE);
    stage_run(&stage, 1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_asker_close(&asker);
    etcd_endpoints_fini(&endpoints);
    stage_fini(&stage);
    rc_buffer_fini(&message);
    return 0;
}

static void put_header(uint64_t term)
{
    rc_buffer_clear(&message);
    size_t header = protobuf_open(&message, 1);
    protobuf_put_number(&message, 3, 9);
    protobuf_put_number(&message, 4, term);
    protobuf_close(&message, header);
}

static void answer_of(uint64_t term, uint64_t left_s, uint64_t granted_s)
{
    struct etcd_call *call = stage_find(&stage, ETCD_TIME_LEFT, NULL);

    assert_non_null(call);
    put_header(term);
    protobuf_put_number(&message, 2, LEASE);
    protobuf_put_number(&message, 3, left_s);
    protobuf_put_number(&message, 4, granted_s);
    stage_reply(call, &message);
    stage_run(&stage, 1);
}

static void answer(uint64_t left_s)
{
    answer_of(TERM, left_s, 3);
}

static bool is_asked(const char *method)
{
    return stage_find(&stage, method, NULL) != NULL;
}

/* Answers that nothing is left, for `ms`. */
static void nothing_left_for(uint64_t ms)
{
    for (uint64_t end_ms = stage.now_ms + ms; stage.now_ms < end_ms;) {
        stage_run(&stage, 1);
        if (is_asked(ETCD_TIME_LEFT)) {
            answer(0);
        }
    }
}

static void what_lapsed_a_second_ago_is_revoked_when_its_leader_still_leads(void **state)
{
    (void)state;
    answer(2);
    stage_run(&stage, 1000);
    answer(1);
    stage_run(&stage, 20);
    uint64_t from_ms = stage.now_ms;
    nothing_left_for(900);
    assert_false(is_asked(ETCD_RANGE));
    nothing_left_for(200);
    assert_true(is_asked(ETCD_RANGE));
    assert_in_range(stage.now_ms - from_ms, 1000, 1200);
    assert_false(is_asked(ETCD_REVOKE));

    put_header(TERM);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);

    assert_true(is_asked(ETCD_REVOKE));
}

static void a_renewal_makes_it_begin_anew(void **state)
{
    (void)state;
    answer(1);
    nothing_left_for(800);
    stage_run(&stage, 250);
    answer(2);
    nothing_left_for(999);
    assert_false(is_asked(ETCD_RANGE));
}

static void one_that_is_renewed_in_time_is_asked_after_once_a_second(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        answer(2);
        assert_false(is_asked(ETCD_TIME_LEFT));
        stage_run(&stage, 990);
        assert_false(is_asked(ETCD_TIME_LEFT));
        stage_run(&stage, 20);
        assert_true(is_asked(ETCD_TIME_LEFT));
    }
}

static void what_another_leader_says_does_not_count(void **state)
{
    (void)state;
    answer(1);
    nothing_left_for(800);
    stage_run(&stage, 250);
    answer_of(TERM + 1, 0, 3);
    nothing_left_for(500);
    assert_false(is_asked(ETCD_RANGE)); /* counted from the new term on */
}

static void a_leader_that_leads_no_more_ends_nothing(void **state)
{
    (void)state;
    answer(1);
    nothing_left_for(1100);
    put_header(TERM + 1);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    stage_run(&stage, 500);
    assert_false(is_asked(ETCD_REVOKE));
    assert_true(is_asked(ETCD_TIME_LEFT));
}

static void after_a_pause_a_renewal_may_have_been_missed(void **state)
{
    (void)state;
    answer(1);
    nothing_left_for(300);
    stage_run(&stage, 250);
    stage_run(&stage, 1000); /* the question waits for its answer */
    answer(0);
    stage_run(&stage, 250);
    answer(0);
    assert_false(is_asked(ETCD_RANGE));
}

static void long_leases_and_those_that_have_ended_are_left_alone(void **state)
{
    (void)state;
    answer_of(TERM, 8, 10);
    stage_run(&stage, 20000);
    assert_false(is_asked(ETCD_TIME_LEFT));
    etcd_lapse_watch(&lapses, LEASE);
    stage_run(&stage, 1);
    answer_of(TERM, UINT64_MAX, 0);
    stage_run(&stage, 20000);
    assert_false(is_asked(ETCD_TIME_LEFT));
}

static void a_question_that_fails_is_asked_again(void **state)
{
    (void)state;
    answer(1);
    nothing_left_for(800);
    stage_run(&stage, 250);
    stage_refuse(stage_find(&stage, ETCD_TIME_LEFT, NULL), GRPC_UNAVAILABLE, "no leader");
    stage_run(&stage, 250);
    assert_true(is_asked(ETCD_TIME_LEFT));
    nothing_left_for(800);
    assert_false(is_asked(ETCD_RANGE));
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_lapsed_a_second_ago_is_revoked_when_its_leader_still_leads),
        CLAIM(a_renewal_makes_it_begin_anew),
        CLAIM(one_that_is_renewed_in_time_is_asked_after_once_a_second),
        CLAIM(what_another_leader_says_does_not_count),
        CLAIM(a_leader_that_leads_no_more_ends_nothing),
        CLAIM(after_a_pause_a_renewal_may_have_been_missed),
        CLAIM(long_leases_and_those_that_have_ended_are_left_alone),
        CLAIM(a_question_that_fails_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
