/* test_keeper_record.c - the records of a PostgreSQL cluster, to JSON and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper_record.h"
#include "base/err.h"

static void positions_are_read_as_they_are_shown(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t lsn;
    } cases[] = {{"0/0", RC_OK, 0},
                 {"16/B374D848", RC_OK, UINT64_C(0x16B374D848)},
                 {"ffffffff/ffffffff", RC_OK, UINT64_MAX},
                 {"", RC_EMALFORMED, 0},
                 {"1", RC_EMALFORMED, 0},
                 {"1/", RC_EMALFORMED, 0},
                 {"/1", RC_EMALFORMED, 0},
                 {"1/2x", RC_EMALFORMED, 0},
                 {"123456789/0", RC_EMALFORMED, 0}};
    char space[32];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t lsn = 0;
        assert_int_equal(keeper_lsn_read(cases[i].text, &lsn), cases[i].err);
        assert_true(lsn == cases[i].lsn);
    }
    keeper_lsn_show(UINT64_C(0x16B374D848), space);
    assert_string_equal(space, "16/B374D848");
}

static void a_sync_record_comes_back_as_it_was(void **state)
{
    struct keeper_sync_record in = {.term = 42,
                                    .holder = "db1",
                                    .members = {"db2", "db3"},
                                    .member_count = 2,
                                    .quorum = 2,
                                    .k = 1,
                                    .names = {"db3"},
                                    .name_count = 1,
                                    .mode = KEEPER_STRICT};
    struct keeper_sync_record out;
    struct rc_buffer text = {.max = 4096};

    (void)state;
    keeper_sync_write(&in, &text);
    assert_string_equal(rc_buffer_string(&text),
                        "{\"term\":42,\"holder\":\"db1\",\"quorum\":2,\"k\":1,"
                        "\"mode\":\"strict\",\"members\":[\"db2\",\"db3\"],"
                        "\"names\":[\"db3\"]}");
    assert_int_equal(keeper_sync_read(rc_buffer_string(&text), text.size, &out), RC_OK);
    assert_memory_equal(&in, &out, sizeof in);
    rc_buffer_fini(&text);
}

static void a_sync_record_without_its_quorum_elects_nobody(void **state)
{
    static const char *const texts[] = {
        "{}", "{\"quorum\":null}", "{\"quorum\":\"1\"}", "{\"quorum\":-7}", "not JSON",
        "[]"};
    struct keeper_sync_record out;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        (void)keeper_sync_read(texts[i], strlen(texts[i]), &out);
        assert_int_equal(out.quorum, KEEPER_QUORUM_NEVER);
        assert_int_equal(out.member_count, 0);
    }
}

static void a_state_record_comes_back_as_it_was(void **state)
{
    struct keeper_state_record in = {.sysid = "7423112345678901234",
                                     .term = 9,
                                     .node = "db1",
                                     .claimed = 5,
                                     .tli = 4,
                                     .lsn = UINT64_C(0x3000148),
                                     .clean = true,
                                     .released = true,
                                     .reason = "switchover to \"db2\"",
                                     .at_ms = UINT64_C(1700000000000)};
    struct keeper_state_record out;
    struct rc_buffer text = {.max = 4096};

    (void)state;
    keeper_state_write(&in, &text);
    assert_int_equal(keeper_state_read(rc_buffer_string(&text), text.size, &out), RC_OK);
    assert_memory_equal(&in, &out, sizeof in);
    rc_buffer_fini(&text);
}

static void what_is_too_long_or_of_another_type_does_no_harm(void **state)
{
    struct keeper_member_record out;
    char text[600];

    (void)state;
    (void)snprintf(text, sizeof text,
                   "{\"upstream\":\"%0200d\",\"port\":99999,\"lsn\":7,\"tli\":-1,"
                   "\"state\":\"nonsense\",\"ro_ok\":1}",
                   1);
    assert_int_equal(keeper_member_read(text, strlen(text), &out), RC_OK);
    assert_int_equal(strlen(out.upstream), KEEPER_NODE_MAX - 1);
    assert_int_equal(out.port, UINT16_MAX);
    assert_true(out.lsn == 0 && out.tli == 0 && !out.ro_ok);
    assert_int_equal(out.state, KEEPER_INIT);
    assert_int_equal(keeper_member_read("7", 1, &out), RC_EMALFORMED);
}

static void history_keeps_the_newest_entries(void **state)
{
    struct keeper_history_entry entry = {.node = "db1", .reason = "elected"};
    struct keeper_history_entry out[3];
    struct rc_buffer text = {.max = 1 << 20};
    size_t count;

    (void)state;
    for (uint64_t i = 1; i <= KEEPER_HISTORY_MAX + 5; i++) {
        struct rc_buffer next = {.max = 1 << 20};
        entry.term = i;
        keeper_history_add(rc_buffer_string(&text), text.size, &entry, &next);
        rc_buffer_fini(&text);
        text = next;
    }
    assert_int_equal(
        keeper_history_read(rc_buffer_string(&text), text.size, out, 3, &count), RC_OK);
    assert_int_equal(count, 3);
    assert_true(out[2].term == KEEPER_HISTORY_MAX + 5 && out[0].term + 2 == out[2].term);
    static struct keeper_history_entry all[KEEPER_HISTORY_MAX + 1];
    assert_int_equal(keeper_history_read(rc_buffer_string(&text), text.size, all,
                                         KEEPER_HISTORY_MAX + 1, &count),
                     RC_OK);
    assert_int_equal(count, KEEPER_HISTORY_MAX);
    rc_buffer_fini(&text);
}

static void add(struct keeper_view *view, const char *key, const char *value,
                const char *session, int want)
{
    assert_int_equal(keeper_view_add(view, &(struct keeper_pair){.key = key,
                                                                 .value = value,
                                                                 .size = strlen(value),
                                                                 .modify_index = 7,
                                                                 .session = session,
                                                                 .term = 5}),
                     want);
}

static void a_view_seats_members_by_name_and_reads_its_own_order(void **state)
{
    struct keeper_view view;
    struct keeper_view *copy = calloc(1, sizeof *copy);

    (void)state;
    assert_non_null(copy);
    keeper_view_init(&view, "db2");
    keeper_view_init(copy, "db2");
    add(&view, "member/db2", "{\"tli\":3}", "s", RC_OK);
    add(&view, "member/db1", "{}", NULL, RC_OK);
    add(&view, "lease", "{\"node\":\"db1\"}", "s1", RC_OK);
    add(&view, "order/db1", "{\"kind\":\"stop\"}", NULL, RC_OK);
    add(&view, "order/db2", "{\"kind\":\"restart\"}", NULL, RC_OK);
    add(&view, "history", "[]", NULL, RC_OK);
    add(&view, "other", "{}", NULL, RC_ENOTFOUND);
    add(&view, "state", "[", NULL, RC_EMALFORMED);
    assert_int_equal(keeper_view_copy(copy, &view), RC_OK);
    assert_int_equal(copy->seat_count, 2);
    assert_string_equal(copy->seats[0].node, "db1");
    assert_int_equal(keeper_view_seat(copy, "db2")->record.tli, 3);
    assert_null(keeper_view_seat(copy, "db3"));
    assert_int_equal(copy->lease_at.term, 5);
    assert_int_equal(copy->seats[0].place.term, 0);
    assert_int_equal(copy->order.kind, KEEPER_ORDER_RESTART);
    assert_true(copy->state_at.exists && copy->state.term == 0);
    assert_string_equal(rc_buffer_string(&copy->history), "[]");
    keeper_view_fini(&view);
    keeper_view_fini(copy);
    free(copy);
}

static void members_beyond_the_maximum_are_refused(void **state)
{
    struct keeper_view view;
    char key[32];

    (void)state;
    keeper_view_init(&view, "");
    for (int i = 0; i < KEEPER_MEMBERS_MAX; i++) {
        (void)snprintf(key, sizeof key, "member/n%d", i);
        add(&view, key, "{}", "s", RC_OK);
    }
    add(&view, "member/zz", "{}", "s", RC_ETOOBIG);
    keeper_view_fini(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_are_read_as_they_are_shown),
        cmocka_unit_test(a_sync_record_comes_back_as_it_was),
        cmocka_unit_test(a_sync_record_without_its_quorum_elects_nobody),
        cmocka_unit_test(a_state_record_comes_back_as_it_was),
        cmocka_unit_test(what_is_too_long_or_of_another_type_does_no_harm),
        cmocka_unit_test(history_keeps_the_newest_entries),
        cmocka_unit_test(a_view_seats_members_by_name_and_reads_its_own_order),
        cmocka_unit_test(members_beyond_the_maximum_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
