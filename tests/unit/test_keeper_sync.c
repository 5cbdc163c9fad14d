/* test_keeper_sync.c - when a holder goes on without a standby that confirmed its writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/keeper_core.h"
#include "base/err.h"
#include "base/text.h"

enum { T0 = 1000000, STEP_MS = 100 };

static void put(struct keeper *k, const char *key, const char *value, const char *session)
{
    assert_int_equal(
        keeper_view_add(&k->view, &(struct keeper_pair){.key = key,
                                                        .value = value,
                                                        .size = strlen(value),
                                                        .modify_index = 5,
                                                        .session = session,
                                                        .term = 7}),
        RC_OK);
}

/* db1 holds term 7, and db2 confirms what it writes. */
static int set_up(void **state)
{
    const struct keeper_options o = {.cluster = "main",
                                     .node = "db1",
                                     .address = "192.0.2.1",
                                     .ttl_ms = 3000,
                                     .renew_ms = 350,
                                     .mode = KEEPER_SYNC,
                                     .session = "s1"};
    struct keeper *k;
    const char *why;

    assert_int_equal(keeper_create(&o, T0, &k, &why), RC_OK);
    put(k, "lease", "{\"node\":\"db1\",\"writable\":true}", "s1");
    put(k, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":1,\"k\":1,\"members\":[\"db2\"],"
        "\"names\":[\"db2\"]}",
        NULL);
    put(k, "member/db2", "{\"state\":\"standby\"}", "s2");
    keeper_lease_take(k, 7);
    k->has_view = true;
    k->has_probe = true;
    k->probe = (struct keeper_probe){.reach = KEEPER_ANSWERED, .tli = 2, .lsn = 500};
    k->probe.senders[0] = (struct keeper_sender){
        .name = "db2", .is_streaming = true, .is_counted = true, .flush_lsn = 500};
    k->probe.sender_count = 1;
    k->warden.process = KEEPER_RUNNING;
    k->names_are_known = true;
    k->is_caught_up = true;
    k->names.k = 1;
    (void)quorum_set_add(&k->names.names, "db2");
    *state = k;
    return 0;
}

static int tear_down(void **state)
{
    keeper_destroy(*state);
    return 0;
}

/* True when within this time it has asked that nobody may be elected any more. */
static bool goes_alone(struct keeper *k, uint64_t ms)
{
    struct keeper_action action;
    bool is_alone = false;

    for (uint64_t end = k->now_ms + ms; k->now_ms < end;) {
        k->now_ms += STEP_MS;
        k->probe.asked_ms = k->now_ms;
        k->view_seen_ms = k->now_ms;
        k->view.asked_ms = k->now_ms;
        k->warden_seen_ms = k->now_ms;
        (void)keeper_sync_think(k);
        while (keeper_next(k, &action)) {
            assert_int_equal(action.kind, KEEPER_TXN);
            assert_string_equal(action.ops[1].key, "sync");
            is_alone = strstr(action.ops[1].value, "\"quorum\":-1") != NULL;
        }
    }
    return is_alone;
}

/* Row 15 of the fault matrix: cut off from its standby only, whose connection looks alive. */
static void a_standby_that_flushes_nothing_for_1500_ms_is_gone_on_without(void **state)
{
    struct keeper *k = *state;

    assert_false(goes_alone(k, 3000)); /* there is nothing to flush */
    k->probe.lsn = 600;
    assert_false(goes_alone(k, 1400));
    assert_true(goes_alone(k, 100));
}

static void a_standby_that_flushes_slowly_goes_on_confirming(void **state)
{
    struct keeper *k = *state;

    assert_false(goes_alone(k, 200));
    for (int i = 0; i < 5; i++) {
        k->probe.lsn += 100;
        k->probe.senders[0].flush_lsn++;
        assert_false(goes_alone(k, 1400));
    }
}

static void a_standby_that_reconnects_within_a_second_goes_on_confirming(void **state)
{
    struct keeper *k = *state;

    k->probe.sender_count = 0;
    assert_false(goes_alone(k, 1000));
    k->probe.sender_count = 1;
    assert_false(goes_alone(k, 1000));
    k->probe.sender_count = 0;
    assert_true(goes_alone(k, 1100));
}

static void a_standby_whose_session_has_ended_is_not_waited_for(void **state)
{
    struct keeper *k = *state;

    k->probe.sender_count = 0;
    k->view.seats[0].place.session[0] = '\0';
    assert_true(goes_alone(k, STEP_MS));
}

static void a_strict_holder_waits_for_its_standby(void **state)
{
    struct keeper *k = *state;

    put(k, "settings", "{\"mode\":\"strict\"}", NULL);
    k->probe.lsn = 600;
    assert_false(goes_alone(k, 10000));
    k->probe.sender_count = 0;
    assert_false(goes_alone(k, 10000));
}

/* A new cluster's first primary: who copies it can follow by a slot only. */
static void a_strict_one_that_waits_to_be_opened_keeps_slots(void **state)
{
    struct keeper *k = *state;
    struct keeper_action action;
    bool has_asked = false;

    put(k, "settings", "{\"mode\":\"strict\"}", NULL);
    put(k, "lease", "{\"node\":\"db1\"}", "s1");
    put(k, "sync",
        "{\"term\":7,\"holder\":\"db1\",\"quorum\":-1,\"k\":1,\"members\":[\"db2\"],"
        "\"names\":[\"db2\"]}",
        NULL);
    k->state = KEEPER_PROMOTING;
    k->probe.sender_count = 0;
    k->now_ms += STEP_MS;
    k->probe.asked_ms = k->now_ms;
    k->view_seen_ms = k->now_ms;
    k->view.asked_ms = k->now_ms;
    k->warden_seen_ms = k->now_ms;
    k->well_ms[0] = k->well_ms[1] = k->now_ms;
    k->warden.armed_term = 7;
    k->warden.deadline_ms = k->now_ms + 1000;
    keeper_on_promoting(k);
    while (keeper_next(k, &action)) {
        if (action.kind == KEEPER_SET_SLOTS) {
            has_asked = true;
            assert_int_equal(action.slot_count, 1);
            assert_string_equal(action.slots[0].node, "db2");
        }
    }
    assert_true(has_asked);
    assert_int_equal(k->state, KEEPER_PROMOTING);
}

/* A write whose outcome is not known may still come, and nothing is built on the record of
 * before until it cannot: the same index is written first. */
static void an_unsure_record_is_written_over_before_anything_else(void **state)
{
    struct keeper *k = *state;
    struct keeper_action action;

    k->sync_is_unsure = true;
    k->unsure_index = k->view.sync_at.index;
    k->probe.sender_count = 0;
    k->view.sync.quorum = KEEPER_QUORUM_NEVER; /* so that names could be set at once */
    k->view.seats[0].place.session[0] = '\0';
    k->now_ms += STEP_MS;
    k->view_seen_ms = k->now_ms;
    k->warden_seen_ms = k->now_ms;
    (void)keeper_sync_think(k);
    assert_true(keeper_next(k, &action));
    assert_int_equal(action.kind, KEEPER_TXN);
    assert_int_equal(action.ops[1].verb, KEEPER_OP_CAS);
    assert_int_equal(action.ops[1].index, 5);
    assert_false(keeper_next(k, &action));
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_standby_that_flushes_nothing_for_1500_ms_is_gone_on_without),
        CLAIM(a_standby_that_flushes_slowly_goes_on_confirming),
        CLAIM(a_standby_that_reconnects_within_a_second_goes_on_confirming),
        CLAIM(a_standby_whose_session_has_ended_is_not_waited_for),
        CLAIM(a_strict_holder_waits_for_its_standby),
        CLAIM(a_strict_one_that_waits_to_be_opened_keeps_slots),
        CLAIM(an_unsure_record_is_written_over_before_anything_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
