#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/engine/etcd_gate.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

static struct etcd_stage stage;
static struct etcd_endpoints endpoints;
static struct etcd_asker asker;
static struct etcd_gate gate;

static int make(void **state)
{
    (void)state;
    stage_open(&stage, 2, &endpoints, &asker);
    etcd_gate_init(&gate, &asker, rc_pack_text("p/"));
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_gate_fini(&gate);
    etcd_endpoints_fini(&endpoints);
    stage_fini(&stage);
    return 0;
}

/* Wakes the gate as the engine does, until `ms` have passed. */
static void run(uint64_t ms)
{
    uint64_t end_ms = stage.now_ms + ms;
    uint64_t due_ms = etcd_gate_wake(&gate, stage.now_ms);

    while (due_ms <= end_ms) {
        stage.now_ms = due_ms;
        due_ms = etcd_gate_wake(&gate, stage.now_ms);
    }
    stage.now_ms = end_ms;
}

static void open_gate_asks_nobody(void **state)
{
    (void)state;
    run(10000);

    assert_int_equal(stage.count, 0);
    assert_true(etcd_gate_wake(&gate, stage.now_ms) == UINT64_MAX);
}

static void shut_gate_probes_members_in_turns(void **state)
{
    (void)state;
    etcd_gate_shut(&gate);
    assert_true(stage.wake_at_ms == stage.now_ms);

    run(100);

    assert_int_equal(stage.count, 3);
    assert_string_equal(stage.calls[0].endpoint, "http://a:1");
    assert_string_equal(stage.calls[1].endpoint, "http://b:1");
    assert_string_equal(stage.calls[2].endpoint, "http://a:1");
    assert_string_equal(stage.calls[0].request.method, ETCD_PUT);
}

static void probes_have_a_limit(void **state)
{
    (void)state;
    etcd_gate_shut(&gate);

    run(10000);

    assert_int_equal(stage.count, ETCD_PROBES_MAX);
}

static void first_that_is_taken_opens_it_and_chooses_the_member(void **state)
{
    (void)state;
    etcd_gate_shut(&gate);
    run(100);
    stage.wake_at_ms = UINT64_MAX;

    stage_reply(&stage.calls[1], NULL);

    assert_false(gate.is_shut);
    assert_int_equal(endpoints.current, 1);
    assert_true(stage.calls[0].was_canceled);
    assert_true(stage.calls[2].was_canceled);
    assert_true(stage.wake_at_ms == stage.now_ms); /* what waits goes on */
}

static void members_in_trouble_do_not_open_it(void **state)
{
    (void)state;
    etcd_gate_shut(&gate);
    run(50);

    stage_refuse(&stage.calls[0], GRPC_UNAVAILABLE, "etcdserver: no leader");
    stage_end(&stage.calls[1], ETCD_LOST);

    assert_true(gate.is_shut);
}

static void refusal_of_the_write_itself_opens_it(void **state)
{
    (void)state;
    etcd_gate_shut(&gate);
    run(10);

    stage_refuse(&stage.calls[0], GRPC_RESOURCE_EXHAUSTED,
                 "etcdserver: mvcc: database space exceeded");

    assert_false(gate.is_shut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_gate_asks_nobody, make, end),
        cmocka_unit_test_setup_teardown(shut_gate_probes_members_in_turns, make, end),
        cmocka_unit_test_setup_teardown(probes_have_a_limit, make, end),
        cmocka_unit_test_setup_teardown(
            first_that_is_taken_opens_it_and_chooses_the_member, make, end),
        cmocka_unit_test_setup_teardown(members_in_trouble_do_not_open_it, make, end),
        cmocka_unit_test_setup_teardown(refusal_of_the_write_itself_opens_it, make, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
