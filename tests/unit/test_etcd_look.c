#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_look.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static struct etcd_stage stage;
static struct etcd_endpoints endpoints;
static struct etcd_asker asker;
static struct etcd_follow follow;
static struct etcd_look look;
static struct rc_buffer message;
static struct engine_status status;

static int make(void **state)
{
    (void)state;
    stage_open(&stage, 2, &endpoints, &asker);
    etcd_follow_init(&follow, &asker, rc_pack_text("p/"));
    etcd_look_init(&look, &asker, &follow, rc_pack_text("p/"));
    (void)etcd_look_wake(&look, stage.now_ms += 100);
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_asker_close(&asker);
    etcd_look_fini(&look);
    etcd_follow_fini(&follow);
    etcd_endpoints_fini(&endpoints);
    stage_fini(&stage);
    rc_buffer_fini(&message);
    return 0;
}

static void add_member(uint64_t id, const char *name)
{
    size_t member = protobuf_open(&message, 2);

    protobuf_put_number(&message, 1, id);
    protobuf_put_bytes(&message, 2, rc_pack_text(name));
    protobuf_close(&message, member);
}

static void reply_status(const char *endpoint, uint64_t member, uint64_t leader)
{
    size_t header = 0;

    rc_buffer_clear(&message);
    header = protobuf_open(&message, 1);
    protobuf_put_number(&message, 2, member);
    protobuf_put_number(&message, 3, 40 + member);
    protobuf_close(&message, header);
    protobuf_put_number(&message, 3, 1000 * member);
    protobuf_put_number(&message, 4, leader);
    stage_reply(stage_find(&stage, ETCD_STATUS, endpoint), &message);
}

static void members_and_who_leads_are_shown(void **state)
{
    (void)state;
    stage_header(&message, 9);
    add_member(1, "one");
    add_member(2, "two");
    stage_reply(stage_find(&stage, ETCD_MEMBERS, NULL), &message);
    reply_status("http://a:1", 1, 2);
    stage_end(stage_find(&stage, ETCD_STATUS, "http://b:1"), ETCD_NOT_SENT);

    etcd_look_status(&look, &status);

    assert_string_equal(status.kind, "etcd");
    assert_int_equal(status.member_count, 2);
    assert_true(status.members[0].answers);
    assert_false(status.members[0].is_leader);
    assert_false(status.members[1].answers);
    assert_true(status.members[1].is_leader);
    assert_int_equal(status.size_bytes, 1000);
    assert_int_equal(status.revision, 41);
}

static void member_that_is_silent_is_not_asked_twice_at_once(void **state)
{
    (void)state;
    size_t before = stage_open_count(&stage, ETCD_STATUS);

    (void)etcd_look_wake(&look, stage.now_ms += 5000);

    assert_int_equal(before, 2);
    assert_int_equal(stage_open_count(&stage, ETCD_STATUS), 2);
}

static void alarms_are_told_in_words_and_go_again(void **state)
{
    (void)state;
    stage_header(&message, 9);
    size_t alarm = protobuf_open(&message, 2);
    protobuf_put_number(&message, 2, 1);
    protobuf_close(&message, alarm);
    stage_reply(stage_find(&stage, ETCD_ALARM, NULL), &message);
    etcd_look_status(&look, &status);
    assert_non_null(strstr(status.alarm, "quota"));

    (void)etcd_look_wake(&look, stage.now_ms += 5000);
    stage_header(&message, 9);
    stage_reply(stage_find(&stage, ETCD_ALARM, NULL), &message);
    etcd_look_status(&look, &status);
    assert_string_equal(status.alarm, "");
}

static void full_store_is_shown_before_the_next_look(void **state)
{
    (void)state;
    etcd_look_full(&look, "no room");

    etcd_look_status(&look, &status);
    assert_string_equal(status.alarm, "no room");
}

/* ---- compaction ---------------------------------------------------------------------- */

/* Answers what a look asks beside. */
static void answer_looks(void)
{
    static const char *const methods[] = {ETCD_MEMBERS, ETCD_ALARM};
    struct etcd_call *call = NULL;

    for (size_t i = 0; i < 2; i++) {
        while ((call = stage_find(&stage, methods[i], NULL)) != NULL) {
            stage_reply(call, NULL);
        }
    }
}

static void ask_for_the_hour(void)
{
    answer_looks();
    follow.reached = 500;
    (void)etcd_look_wake(&look,
                         stage.now_ms += HOUR_MS); /* what is an hour old: nothing */
    answer_looks();
    follow.reached = 900;
    (void)etcd_look_wake(&look, stage.now_ms += HOUR_MS);
}

/* How the race for the key of the hour went. */
enum race { RACE_LOST, RACE_WON };

static void end_race(enum race race)
{
    stage_header(&message, 901);
    protobuf_put_number(&message, 2, 77);
    protobuf_put_number(&message, 3, 3000);
    stage_reply(stage_find(&stage, ETCD_GRANT, NULL), &message);
    stage_header(&message, 902);
    protobuf_put_number(&message, 2, race);
    stage_reply(stage_find(&stage, ETCD_TXN, NULL), &message);
}

static uint64_t number_of(const struct etcd_call *call)
{
    struct rc_cursor in = rc_cursor_over(call->body.bytes, call->body.size);
    struct protobuf_field field;

    return protobuf_next(&in, &field) ? field.value : 0;
}

static void one_server_compacts_what_is_an_hour_old(void **state)
{
    (void)state;
    ask_for_the_hour();
    end_race(RACE_WON);

    assert_int_equal(number_of(stage_find(&stage, ETCD_COMPACT, NULL)), 500);
}

static void server_that_came_second_gives_its_lease_back(void **state)
{
    (void)state;
    ask_for_the_hour();
    end_race(RACE_LOST);

    assert_null(stage_find(&stage, ETCD_COMPACT, NULL));
    assert_int_equal(number_of(stage_find(&stage, ETCD_REVOKE, NULL)), 77);
}

static void nobody_tries_while_the_hour_is_taken(void **state)
{
    (void)state;
    follow.has_compactor = true;
    ask_for_the_hour();

    assert_null(stage_find(&stage, ETCD_GRANT, NULL));
}

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, make, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(members_and_who_leads_are_shown),
        CLAIM(member_that_is_silent_is_not_asked_twice_at_once),
        CLAIM(alarms_are_told_in_words_and_go_again),
        CLAIM(full_store_is_shown_before_the_next_look),
        CLAIM(one_server_compacts_what_is_an_hour_old),
        CLAIM(server_that_came_second_gives_its_lease_back),
        CLAIM(nobody_tries_while_the_hour_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
