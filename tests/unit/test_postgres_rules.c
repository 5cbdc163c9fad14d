#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/postgres_rules.h"

enum { NOW_MS = 1000000 };

/* pg1 is the primary of term 7; the members and records are JSON. */
static struct postgres_records records_of(const char *members, const char *sync,
                                          const char *settings)
{
    struct postgres_records records = {
        .members = json_loads(members, 0, NULL), .orders = json_object(), .term = 7};

    records.records[POSTGRES_LEASE] =
        json_loads("{\"node\":\"pg1\",\"writable\":true}", 0, NULL);
    records.records[POSTGRES_SYNC] = json_loads(sync, 0, NULL);
    records.records[POSTGRES_SETTINGS] = json_loads(settings, 0, NULL);
    assert_non_null(records.members);
    return records;
}

#define STANDBY "{\"state\":\"standby\",\"lsn\":\"0/5000000\",\"lag_bytes\":0"
#define PAIR    "{\"pg1\":{\"state\":\"primary\"},\"pg2\":" STANDBY "}}"
#define SYNC(members, quorum) \
    "{\"mode\":\"sync\",\"members\":[" members "],\"quorum\":" quorum "}"

static void a_switchover_goes_only_where_nothing_can_be_lost(void **state)
{
    static const struct {
        const char *why;
        const char *members;
        const char *sync;
        const char *settings;
        const char *to;
        const char *want; /* NULL: refused */
    } cases[] = {
        {"a sync member", PAIR, SYNC("\"pg2\"", "1"), "{}", "pg2", "pg2"},
        {"found by itself", PAIR, SYNC("\"pg2\"", "1"), "{}", "", "pg2"},
        {"no member of sync", PAIR, SYNC("", "-1"), "{}", "pg2", NULL},
        {"not caught up", PAIR, SYNC("\"pg2\"", "-1"), "{}", "pg2", NULL},
        {"async: whoever follows", PAIR, SYNC("", "0"), "{\"mode\":\"async\"}", "pg2",
         "pg2"},
        {"the primary itself", PAIR, SYNC("\"pg2\"", "1"), "{}", "pg1", NULL},
        {"nobody's name", PAIR, SYNC("\"pg2\"", "1"), "{}", "pg3", NULL},
        {"paused", PAIR, SYNC("\"pg2\"", "1"), "{\"paused\":true}", "pg2", NULL},
        {"too far behind",
         "{\"pg1\":{},\"pg2\":{\"state\":\"standby\",\"lag_bytes\":16777217}}",
         SYNC("\"pg2\"", "1"), "{}", "pg2", NULL},
        {"too much not yet applied",
         "{\"pg1\":{},\"pg2\":" STANDBY ",\"replay_lsn\":\"0/3000000\"}}",
         SYNC("\"pg2\"", "1"), "{}", "pg2", NULL},
        {"a configured refusal", "{\"pg1\":{},\"pg2\":" STANDBY ",\"no_failover\":true}}",
         SYNC("\"pg2\"", "1"), "{}", "pg2", NULL},
        {"a full disk", "{\"pg1\":{},\"pg2\":" STANDBY ",\"cannot_write\":true}}",
         SYNC("\"pg2\"", "1"), "{}", "pg2", NULL},
        {"the preferred of two",
         "{\"pg1\":{},\"pg2\":" STANDBY ",\"priority\":100},\"pg3\":" STANDBY
         ",\"priority\":200}}",
         SYNC("\"pg2\",\"pg3\"", "2"), "{}", "", "pg3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postgres_records records =
            records_of(cases[i].members, cases[i].sync, cases[i].settings);
        const struct postgres_move move = {.to = cases[i].to, .wall_ms = NOW_MS};
        struct rc_buffer why = {0};

        const char *got = postgres_rules_switchover(&records, &move, &why);
        if ((got == NULL) != (cases[i].want == NULL) ||
            (got != NULL && strcmp(got, cases[i].want) != 0)) {
            fail_msg("%s: %s, %s", cases[i].why, got != NULL ? got : "refused",
                     rc_buffer_string(&why));
        }
        assert_true((got == NULL) == (why.size > 0));
        rc_buffer_fini(&why);
        postgres_records_fini(&records);
    }
}

static void a_wish_that_nobody_heard_is_no_obstacle_for_ever(void **state)
{
    struct postgres_records records = records_of(PAIR, SYNC("\"pg2\"", "1"), "{}");
    struct postgres_move move = {.to = "pg2", .wall_ms = NOW_MS};
    struct rc_buffer why = {0};

    (void)state;
    records.records[POSTGRES_INTENT] = json_pack("{s:s, s:s, s:i}", "kind", "switchover",
                                                 "to", "pg2", "at_ms", NOW_MS - 1000);
    assert_null(postgres_rules_switchover(&records, &move, &why));
    assert_non_null(strstr(rc_buffer_string(&why), "under way: switchover to pg2"));
    move.wall_ms = NOW_MS + POSTGRES_FORGOTTEN_MS;
    assert_non_null(postgres_rules_switchover(&records, &move, &why));
    rc_buffer_fini(&why);
    postgres_records_fini(&records);
}

static void a_failover_that_may_lose_writes_must_say_so(void **state)
{
    static const struct {
        const char *why;
        const char *sync;
        const char *settings;
        bool accept_loss;
        bool want;
    } cases[] = {
        {"a member has it all", SYNC("\"pg2\"", "1"), "{}", false, true},
        {"no member", SYNC("", "-1"), "{}", false, false},
        {"no member, accepted", SYNC("", "-1"), "{}", true, true},
        {"async, close enough", SYNC("", "0"), "{\"mode\":\"async\"}", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postgres_records records =
            records_of(PAIR, cases[i].sync, cases[i].settings);
        const struct postgres_move move = {
            .to = "pg2", .accept_loss = cases[i].accept_loss, .wall_ms = NOW_MS};
        struct rc_buffer why = {0};

        bool got = postgres_rules_failover(&records, &move, &why) != NULL;
        if (got != cases[i].want) {
            fail_msg("%s: %s", cases[i].why, rc_buffer_string(&why));
        }
        rc_buffer_fini(&why);
        postgres_records_fini(&records);
    }
}

static void what_an_operator_stopped_is_not_moved_by_another_order(void **state)
{
    static const struct {
        const char *standing;
        const char *in;
        enum postgres_order order;
        bool want;
    } cases[] = {
        {"stop", "stopped", POSTGRES_START, true},
        {"stop", "stopped", POSTGRES_RELOAD, false},
        {"stop", "stopped", POSTGRES_RESTART, false},
        {"stop", "stopped", POSTGRES_REINIT, false},
        {"stop", "stopped", POSTGRES_FENCE, false},
        {"fence", "fenced", POSTGRES_UNFENCE, true},
        {"fence", "fenced", POSTGRES_START, true},
        {"fence", "fenced", POSTGRES_STOP, false},
        {"fence", "fenced", POSTGRES_RESTART, false},
        {"reload", "standby", POSTGRES_RESTART, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct postgres_records records = records_of(PAIR, "{}", "{}");
        struct rc_buffer why = {0};
        json_object_set_new(json_object_get(records.members, "pg2"), "state",
                            json_string(cases[i].in));
        json_object_set_new(
            records.orders, "pg2",
            json_pack("{s:s, s:b}", "kind", cases[i].standing, "done", 1));
        bool may = postgres_rules_order(&records, cases[i].order, "pg2", NOW_MS, &why);
        if (may != cases[i].want || may != (why.size == 0)) {
            fail_msg("%s, then %s: %s", cases[i].standing,
                     postgres_rules_order_name(cases[i].order), rc_buffer_string(&why));
        }
        rc_buffer_fini(&why);
        postgres_records_fini(&records);
    }
}

static void positions_are_read_as_postgres_writes_them(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {
        {"0/0", 0},
        {"16/B374D848", 0x16B374D848},
        {"FFFFFFFF/FFFFFFFF", UINT64_MAX},
        {"", 0},
        {"1", 0},
        {"1/", 0},
        {"1/1FFFFFFFF", 0},
        {"x/1", 0},
        {"1/1x", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *record = json_pack("{s:s}", "lsn", cases[i].text);
        if (postgres_records_lsn(record, "lsn") != cases[i].want) {
            fail_msg("%s", cases[i].text);
        }
        json_decref(record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_switchover_goes_only_where_nothing_can_be_lost),
        cmocka_unit_test(a_wish_that_nobody_heard_is_no_obstacle_for_ever),
        cmocka_unit_test(a_failover_that_may_lose_writes_must_say_so),
        cmocka_unit_test(what_an_operator_stopped_is_not_moved_by_another_order),
        cmocka_unit_test(positions_are_read_as_postgres_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
