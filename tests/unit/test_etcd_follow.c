#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/engine/etcd_follow.h"
#include "agent/engine/etcd_message.h"
#include "agent/engine/grpc.h"
#include "agent/engine/protobuf.h"
#include "base/err.h"
#include "tests/unit/etcd_stage.h"

static struct etcd_stage stage;
static struct etcd_endpoints endpoints;
static struct etcd_asker asker;
static struct etcd_follow follow;
static struct rc_buffer message;
static char told[4096];

/* ---- the follower writes down what it is told ---------------------------------------- */

static void tell(const char *text)
{
    size_t size = strlen(told);

    (void)snprintf(told + size, sizeof told - size, "%s", text);
}

static void on_begin(void *context)
{
    (void)context;
    tell("begin; ");
}

static void on_put(void *context, const struct engine_item *item)
{
    char text[128];

    (void)context;
    (void)snprintf(text, sizeof text, "%.*s=%.*s@%u; ", (int)item->key.size,
                   (const char *)item->key.at, (int)item->value.size,
                   (const char *)item->value.at, (unsigned)item->mod_revision);
    tell(text);
}

static void on_removed(void *context, struct rc_pack_bytes key, uint64_t revision)
{
    char text[128];

    (void)context;
    (void)snprintf(text, sizeof text, "-%.*s@%u; ", (int)key.size, (const char *)key.at,
                   (unsigned)revision);
    tell(text);
}

static void on_end(void *context, uint64_t revision)
{
    char text[32];

    (void)context;
    (void)snprintf(text, sizeof text, "end %u; ", (unsigned)revision);
    tell(text);
}

static const struct engine_follower follower = {NULL, on_begin, on_put, on_removed,
                                                on_end};

static void expect(const char *want)
{
    assert_string_equal(told, want);
    told[0] = '\0';
}

/* ---- the stage ----------------------------------------------------------------------- */

static void on_wake(void *owner)
{
    uint64_t due_ms = etcd_follow_wake(owner, stage.now_ms);

    if (due_ms != UINT64_MAX) {
        stage.edge.wake(&stage, due_ms > stage.now_ms ? due_ms - stage.now_ms : 0);
    }
}

static int make(void **state)
{
    (void)state;
    stage_open(&stage, 2, &endpoints, &asker);
    etcd_follow_init(&follow, &asker, rc_pack_text("p/"));
    stage.edge.start(&stage, on_wake, &follow);
    told[0] = '\0';
    etcd_follow_start(&follow, &follower);
    stage_run(&stage, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    etcd_asker_close(&asker);
    etcd_follow_fini(&follow);
    etcd_endpoints_fini(&endpoints);
    stage_fini(&stage);
    rc_buffer_fini(&message);
    return 0;
}

/* All there is was read, at revision 5, and the watch has begun. */
static int make_watching(void **state)
{
    (void)make(state);
    stage_header(&message, 5);
    stage_key(&message, "p/a", "1", 3);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    stage_run(&stage, 0);
    expect("begin; a=1@3; end 5; ");
    return 0;
}

static struct etcd_call *the_watch(void)
{
    struct etcd_call *watch = stage_find(&stage, ETCD_WATCH, NULL);

    assert_non_null(watch);
    return watch;
}

/* The revision that a watch was asked to begin with. */
static uint64_t first_of(const struct etcd_call *watch)
{
    struct rc_cursor in = rc_cursor_over(watch->body.bytes, watch->body.size);
    struct protobuf_field field;

    assert_true(protobuf_next(&in, &field));
    struct rc_cursor create = protobuf_enter(&field);
    while (protobuf_next(&create, &field)) {
        if (field.number == 3) {
            return field.value;
        }
    }
    return 0;
}

/* ---- reading all --------------------------------------------------------------------- */

static void pages_are_read_at_one_revision_then_the_watch_begins(void **state)
{
    (void)state;
    stage_header(&message, 9);
    stage_key(&message, "p/a", "1", 3);
    protobuf_put_number(&message, 3, 1); /* there is more */
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    stage_run(&stage, 0);
    struct etcd_call *second = stage_find(&stage, ETCD_RANGE, NULL);
    assert_memory_equal(second->body.bytes, "\x0a\x04p/a\0",
                        6); /* right after the last */
    stage_header(&message, 12);
    stage_key(&message, "p/b", "2", 4);
    stage_reply(second, &message);
    stage_run(&stage, 0);

    expect("begin; a=1@3; b=2@4; end 9; ");
    assert_int_equal(first_of(the_watch()), 10);
}

static void empty_store_is_told_too(void **state)
{
    (void)state;
    stage_header(&message, 1);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);

    expect("begin; end 1; ");
}

static void hidden_keys_are_not_shown(void **state)
{
    (void)state;
    stage_header(&message, 9);
    stage_key(&message, "p/engine/mark", "", 3);
    stage_key(&message, "p/engine/compactor", "", 4);
    stage_key(&message, "p/", "", 5);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);

    expect("begin; end 9; ");
    assert_true(follow.has_compactor);
}

static void compaction_while_reading_starts_over(void **state)
{
    (void)state;
    stage_header(&message, 9);
    stage_key(&message, "p/a", "1", 3);
    protobuf_put_number(&message, 3, 1);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    stage_run(&stage, 0);
    stage_refuse(stage_find(&stage, ETCD_RANGE, NULL), GRPC_OUT_OF_RANGE,
                 "etcdserver: mvcc: required revision has been compacted");
    stage_run(&stage, 0);
    stage_header(&message, 20);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);

    expect("begin; a=1@3; begin; end 20; ");
}

static void unreachable_members_are_asked_again_after_a_while(void **state)
{
    (void)state;
    stage_end(stage_find(&stage, ETCD_RANGE, NULL), ETCD_NOT_SENT);
    stage_end(stage_find(&stage, ETCD_RANGE, NULL), ETCD_NOT_SENT);
    assert_null(stage_find(&stage, ETCD_RANGE, NULL));

    stage_run(&stage, 60);

    assert_non_null(stage_find(&stage, ETCD_RANGE, NULL));
}

/* ---- watching ------------------------------------------------------------------------ */

static void revisions_are_told_one_after_the_other(void **state)
{
    (void)state;
    stage_header(&message, 7);
    stage_event(&message, "p/a", "2", 6);
    stage_event(&message, "p/b", "1", 7);
    stage_event(&message, "p/a", NULL, 7);
    stage_tell(the_watch(), &message);

    expect("a=2@6; end 6; b=1@7; -a@7; end 7; ");
}

static void fragment_is_told_when_its_revision_is_whole(void **state)
{
    (void)state;
    stage_header(&message, 7);
    protobuf_put_number(&message, 7, 1);
    stage_event(&message, "p/a", "2", 7);
    stage_tell(the_watch(), &message);
    expect("");

    stage_header(&message, 7);
    stage_event(&message, "p/b", "3", 7);
    stage_tell(the_watch(), &message);

    expect("a=2@7; b=3@7; end 7; ");
}

static void broken_watch_goes_on_where_it_stood_elsewhere(void **state)
{
    (void)state;
    stage_header(&message, 8);
    stage_event(&message, "p/a", "2", 8);
    stage_tell(the_watch(), &message);
    assert_string_equal(the_watch()->endpoint, "http://a:1");

    stage_end(the_watch(), ETCD_LOST);
    stage_run(&stage, 1000);

    assert_string_equal(the_watch()->endpoint, "http://b:1");
    assert_int_equal(first_of(the_watch()), 9);
    stage_header(&message, 9);
    stage_event(&message, "p/a", "old", 8); /* told already */
    stage_event(&message, "p/a", "3", 9);
    stage_tell(the_watch(), &message);
    expect("a=2@8; end 8; a=3@9; end 9; ");
}

static void watch_that_came_too_late_leads_to_reading_all(void **state)
{
    (void)state;
    stage_header(&message, 50);
    protobuf_put_number(&message, 4, 1);
    protobuf_put_number(&message, 5, 40);
    stage_tell(the_watch(), &message);
    stage_run(&stage, 0);

    assert_null(stage_find(&stage, ETCD_WATCH, NULL));
    stage_header(&message, 50);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    expect("begin; end 50; ");
}

static void message_that_is_none_ends_the_watch(void **state)
{
    (void)state;
    rc_buffer_text(&message, "\x0a\xff");
    stage_tell(the_watch(), &message);
    stage_run(&stage, 1000);

    assert_true(stage_open_count(&stage, ETCD_WATCH) == 1);
    assert_string_equal(the_watch()->endpoint, "http://b:1");
}

/* ---- marks --------------------------------------------------------------------------- */

static void revision_that_does_not_come_is_brought_by_a_mark(void **state)
{
    (void)state;
    etcd_follow_owe(&follow, 9); /* others have written it: no event of ours */
    stage_run(&stage, 15);
    assert_null(stage_find(&stage, ETCD_PUT, NULL)); /* what is on its way needs none */
    stage_run(&stage, 10);
    stage_header(&message, 10);
    stage_reply(stage_find(&stage, ETCD_PUT, NULL), &message);

    stage_header(&message, 10);
    stage_event(&message, "p/engine/mark", "", 10);
    stage_tell(the_watch(), &message);

    expect("end 10; ");
}

static void silent_watch_is_tried_and_left_when_it_is_dead(void **state)
{
    (void)state;
    stage_run(&stage, 5100);
    stage_header(&message, 6);
    stage_reply(stage_find(&stage, ETCD_PUT, NULL), &message);
    assert_string_equal(the_watch()->endpoint, "http://a:1");

    stage_run(&stage, 2000); /* its event does not come */

    assert_string_equal(the_watch()->endpoint, "http://b:1");
    assert_int_equal(first_of(the_watch()), 6);
}

static void silent_watch_at_a_member_that_requests_have_left_is_left_at_once(void **state)
{
    (void)state;
    follow.asker->endpoints->current = 1;
    etcd_follow_owe(&follow, 9);
    stage_run(&stage, 25);
    stage_header(&message, 10);
    stage_reply(stage_find(&stage, ETCD_PUT, NULL), &message);
    assert_string_equal(the_watch()->endpoint, "http://a:1");

    stage_run(&stage, 300);

    assert_string_equal(the_watch()->endpoint, "http://b:1");
}

static void older_store_than_was_told_is_read_anew(void **state)
{
    (void)state;
    etcd_follow_check(&follow, 5, 4);
    stage_run(&stage, 0);

    stage_header(&message, 4);
    stage_reply(stage_find(&stage, ETCD_RANGE, NULL), &message);
    expect("begin; end 4; ");
}

#define CLAIM(name)    cmocka_unit_test_setup_teardown(name, make, end)
#define WATCHING(name) cmocka_unit_test_setup_teardown(name, make_watching, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(pages_are_read_at_one_revision_then_the_watch_begins),
        CLAIM(empty_store_is_told_too),
        CLAIM(hidden_keys_are_not_shown),
        CLAIM(compaction_while_reading_starts_over),
        CLAIM(unreachable_members_are_asked_again_after_a_while),
        WATCHING(revisions_are_told_one_after_the_other),
        WATCHING(fragment_is_told_when_its_revision_is_whole),
        WATCHING(broken_watch_goes_on_where_it_stood_elsewhere),
        WATCHING(watch_that_came_too_late_leads_to_reading_all),
        WATCHING(message_that_is_none_ends_the_watch),
        WATCHING(revision_that_does_not_come_is_brought_by_a_mark),
        WATCHING(silent_watch_is_tried_and_left_when_it_is_dead),
        WATCHING(silent_watch_at_a_member_that_requests_have_left_is_left_at_once),
        WATCHING(older_store_than_was_told_is_read_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
