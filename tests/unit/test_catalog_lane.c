/* What the catalog's lane costs at most: digests, caps of syncs, storms, streams at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/catalog/digest.h"
#include "base/err.h"

enum { PACKET = 1400, NOW = 100000, CAP = 256 * 1024, STREAM = 7 };

static struct catalog *make(const char *name)
{
    struct catalog_options options = {
        .node_name = name, .seed = 1, .now_ms = NOW, .wall_ms = 1700000000000};
    struct catalog *c = NULL;

    assert_int_equal(catalog_create(&options, &c), RC_OK);
    return c;
}

static void tell_member(struct catalog *c, const char *name)
{
    struct catalog_member member = {.name = name, .address = "10.0.0.1", .peer = true};

    catalog_member_event(c, NOW, 1, &member);
}

static void put_service(struct catalog *c, uint64_t now_ms, const char *id, size_t tags)
{
    static char text[201];
    const char *const tag[] = {text, text, text, text, text, text, text, text};
    struct catalog_service service = {.id = id, .name = id, .tags = tag};

    memset(text, 't', sizeof text - 1);
    service.tag_count = tags;
    assert_int_equal(catalog_put_service(c, now_ms, &service, NULL), RC_OK);
}

/* `c` learns the records of `count` nodes, each with one service of 200 bytes a tag. */
static void learn_many(struct catalog *c, size_t count, size_t tags)
{
    for (size_t i = 0; i < count; i++) {
        struct rc_buffer record = {0};
        char name[32];
        (void)snprintf(name, sizeof name, "node-%zu", i);
        struct catalog *other = make(name);
        put_service(other, NOW, "web", tags);
        catalog_export_record(other, &record);
        assert_int_equal(catalog_receive(c, NOW, NULL, record.bytes, record.size), RC_OK);
        tell_member(c, name);
        rc_buffer_fini(&record);
        catalog_destroy(other);
    }
}

/* Takes what waits; returns how many actions were of `type`. */
static size_t drain(struct catalog *c, enum catalog_action_type type)
{
    struct catalog_action action;
    size_t count = 0;

    while (catalog_next_action(c, &action)) {
        count += action.type == type;
    }
    return count;
}

static void hear_summary(struct catalog *c, uint64_t now_ms, const struct catalog *of)
{
    uint8_t summary[CATALOG_SUMMARY_SIZE];

    catalog_summary(of, summary);
    catalog_peer_summary(c, now_ms, catalog_self(of)->name, summary);
}

/* How a stream between two catalogs went. */
struct talk {
    size_t opened;
    size_t messages;
    size_t longest;
    size_t bytes;
    size_t closed;
};

/* Does what `from` wants; what it sends reaches `to`. `most` messages, then the line is dead. */
static bool carry(struct catalog *from, struct catalog *to, uint64_t now_ms, size_t most,
                  struct talk *talk)
{
    struct catalog_action action;
    bool busy = false;

    while (catalog_next_action(from, &action)) {
        busy = true;
        if (action.type == CATALOG_STREAM_OPEN) {
            talk->opened++;
            catalog_stream_opened(from, now_ms, action.member, STREAM);
        } else if (action.type == CATALOG_STREAM_CLOSE) {
            talk->closed++;
            catalog_stream_closed(to, now_ms, STREAM);
        } else if (action.type == CATALOG_STREAM_SEND && talk->messages < most) {
            talk->messages++;
            talk->bytes += action.size;
            talk->longest = action.size > talk->longest ? action.size : talk->longest;
            assert_int_equal(
                catalog_stream_message(to, now_ms, STREAM, action.bytes, action.size),
                RC_OK);
        }
    }
    return busy;
}

static struct talk converse(struct catalog *a, struct catalog *b, uint64_t now_ms,
                            size_t most)
{
    struct talk talk = {0};

    while (carry(a, b, now_ms, most, &talk) || carry(b, a, now_ms, most, &talk)) {
    }
    return talk;
}

static void a_digest_takes_14_bytes(void **state)
{
    struct digest digest = {digest_key("node-1"), 1700000000000, 100};
    struct rc_buffer out = {0};
    struct digest back;

    (void)state;
    digest_write(&out, &digest);
    assert_in_range(out.size, 1, 14);
    digest.epoch = UINT64_MAX;
    digest.version = UINT64_MAX;
    digest_write(&out, &digest);
    struct rc_cursor in = rc_cursor_over(out.bytes, out.size);
    assert_true(digest_read(&in, &back));
    assert_int_equal(back.epoch, 1700000000000);
    assert_int_equal(back.version, 100);
    assert_true(digest_read(&in, &back));
    assert_true(back.epoch == UINT64_MAX && back.version == UINT64_MAX);
    assert_false(digest_read(&in, &back));
    assert_int_equal(in.err, RC_OK);
    rc_buffer_fini(&out);
}

static void numbers_beyond_64_bits_are_no_digest(void **state)
{
    uint8_t bytes[DIGEST_KEY_SIZE + 11] = {0};
    struct rc_cursor in = rc_cursor_over(bytes, sizeof bytes);
    struct digest digest;

    (void)state;
    memset(bytes, 0xff, sizeof bytes);
    assert_false(digest_read(&in, &digest));
    assert_int_equal(in.err, RC_EMALFORMED);
}

static void who_joins_gets_everything_in_one_stream(void **state)
{
    struct catalog *old = make("old");
    struct catalog *young = make("young");

    (void)state;
    learn_many(old, 400, 8); /* 0.7 MB: three times the cap of a message */
    tell_member(young, "old");
    tell_member(old, "young");
    (void)drain(old, CATALOG_KICK);
    (void)drain(young, CATALOG_KICK);
    hear_summary(young, NOW, old);
    catalog_tick(young, NOW + 1);
    struct talk talk = converse(young, old, NOW + 1, SIZE_MAX);

    assert_int_equal(talk.opened, 1);
    assert_int_equal(talk.closed, 1);
    assert_in_range(talk.longest, CAP / 2, CAP);
    uint8_t one[CATALOG_SUMMARY_SIZE];
    uint8_t other[CATALOG_SUMMARY_SIZE];
    catalog_summary(old, one);
    catalog_summary(young, other);
    assert_memory_equal(one, other, sizeof one);
    catalog_destroy(old);
    catalog_destroy(young);
}

static void only_what_differs_is_exchanged(void **state)
{
    struct catalog *a = make("a");
    struct catalog *b = make("b");

    (void)state;
    learn_many(a, 300, 1);
    learn_many(b, 300, 1);
    tell_member(a, "b");
    tell_member(b, "a");
    hear_summary(a, NOW, b);
    catalog_tick(a, NOW + 500);
    (void)converse(a, b, NOW + 500, SIZE_MAX);
    put_service(b, NOW + 500, "new", 0);
    (void)drain(b, CATALOG_KICK);
    hear_summary(a, NOW + 20000, b);
    catalog_tick(a, NOW + 21000);
    struct talk talk = converse(a, b, NOW + 21000, SIZE_MAX);

    assert_non_null(catalog_service_find(catalog_node_find(a, "b"), "new"));
    assert_in_range(talk.bytes, 2048, 2048 + 300); /* the buckets, and next to nothing */
    catalog_destroy(a);
    catalog_destroy(b);
}

static void what_the_cap_cuts_off_is_a_prefix(void **state)
{
    struct catalog *a = make("a");
    struct catalog *b = make("b");
    char id[16];

    (void)state;
    tell_member(a, "b");
    tell_member(b, "a");
    put_service(b, NOW, "first", 0);
    hear_summary(a, NOW, b);
    catalog_tick(a, NOW);
    (void)converse(a, b, NOW, SIZE_MAX);
    for (unsigned i = 0; i < 400; i++) { /* 0.6 MB of changes to one record */
        (void)snprintf(id, sizeof id, "s%03u", i);
        put_service(b, NOW + 1 + i, id, 8);
    }
    (void)drain(b, CATALOG_KICK);
    hear_summary(a, NOW + 20000, b);
    catalog_tick(a, NOW + 21000);
    (void)converse(a, b, NOW + 21000,
                   2); /* a question, an answer, and the line is dead */

    const struct catalog_node *node = catalog_node_find(a, "b");
    assert_in_range(node->service_count, 50, 350);
    assert_int_equal(node->version,
                     node->service_count); /* one version each, none left out */
    (void)snprintf(id, sizeof id, "s%03zu", node->service_count - 2);
    assert_non_null(catalog_service_find(node, id));
    catalog_destroy(a);
    catalog_destroy(b);
}

static void a_gap_costs_only_what_is_missing(void **state)
{
    struct catalog *a = make("a");
    struct catalog *b = make("b");
    uint8_t rumour[PACKET];

    (void)state;
    learn_many(a, 300, 1);
    tell_member(a, "b");
    tell_member(b, "a");
    put_service(b, NOW, "one", 0);
    while (catalog_fill(b, NOW, rumour, sizeof rumour) > 0) { /* nobody hears it */
    }
    put_service(b, NOW + 9000, "two", 0);
    size_t size = catalog_fill(b, NOW + 9000, rumour, sizeof rumour);
    (void)drain(b, CATALOG_KICK);
    assert_int_equal(catalog_receive(a, NOW + 9000, "b", rumour, size), RC_OK);
    catalog_tick(a, NOW + 9100);
    struct talk talk = converse(a, b, NOW + 9100, SIZE_MAX);

    assert_non_null(catalog_service_find(catalog_node_find(a, "b"), "one"));
    assert_in_range(talk.bytes, 1, 200); /* no comparison of 300 owners */
    catalog_destroy(a);
    catalog_destroy(b);
}

static void far_behind_asks_at_once_and_a_little_waits(void **state)
{
    uint8_t summary[CATALOG_SUMMARY_SIZE];
    struct catalog *a = make("a");

    (void)state;
    tell_member(a, "b");
    hear_summary(a, NOW, a); /* equal: nothing */
    catalog_summary(a, summary);
    summary[23] ^= 1;
    catalog_peer_summary(a, NOW, "b", summary); /* never asked before: at once */
    catalog_tick(a, NOW);
    assert_int_equal(drain(a, CATALOG_STREAM_OPEN), 1);
    catalog_stream_closed(a, NOW, 0);

    catalog_peer_summary(a, NOW + 5000, "b", summary);
    assert_in_range(catalog_deadline_ms(a), NOW + 5300, NOW + 5500);
    summary[7] += 51; /* versions behind: that is no rumour on its way */
    catalog_peer_summary(a, NOW + 5000, "b", summary);
    assert_in_range(catalog_deadline_ms(a), NOW + 5000, NOW + 5040);
    catalog_destroy(a);
}

static void who_is_ahead_waits_to_be_asked(void **state)
{
    struct catalog *a = make("a");
    struct catalog *b = make("b");

    (void)state;
    tell_member(a, "b");
    put_service(a, NOW, "one", 0);
    (void)drain(a, CATALOG_KICK);
    hear_summary(a, NOW + 1000, b);
    catalog_tick(a, NOW + 9000);
    assert_int_equal(drain(a, CATALOG_STREAM_OPEN), 0);
    catalog_destroy(a);
    catalog_destroy(b);
}

/* Only what is asked for is read as a question: an ANSWER without anything. */
static const uint8_t question[] = {1, 0x94, 2, 0, 0xc0, 0x90};

static void streams_of_both_sides_are_counted_apart(void **state)
{
    struct catalog *a = make("a");
    struct catalog *b = make("b");
    uint64_t stream = 100;

    (void)state;
    tell_member(a, "b");
    put_service(b, NOW, "one", 0);
    for (; stream < 120; stream++) {
        assert_int_equal(
            catalog_stream_message(a, NOW, stream, question, sizeof question), RC_OK);
    }
    assert_int_equal(catalog_stream_message(a, NOW, stream, question, sizeof question),
                     RC_ETOOBIG);
    assert_int_equal(drain(a, CATALOG_STREAM_CLOSE), 1);

    hear_summary(a, NOW, b); /* all of theirs do not keep us from asking, */
    for (unsigned i = 0; i < 10; i++) {
        catalog_tick(a, NOW + i * 500);
        hear_summary(a, NOW + i * 500, b);
    }
    catalog_tick(a, NOW + 5000);
    assert_in_range(catalog_counters(a)->syncs_started, 2, 4); /* ... four at a time */
    assert_true(catalog_counters(a)->syncs_refused >= 1);
    catalog_destroy(a);
    catalog_destroy(b);
}

static void in_a_storm_rumours_are_few_and_the_rest_is_left_to_syncs(void **state)
{
    struct catalog *c = make("me");
    uint8_t rumour[PACKET];
    size_t told = 0;

    (void)state;
    learn_many(c, 300, 0);
    assert_true(catalog_counters(c)->rumours_dropped >= 300 - 128);
    for (unsigned packet = 0; packet < 1000; packet++) {
        size_t left = PACKET;
        size_t size = 0;
        while ((size = catalog_fill(c, NOW, rumour, left)) > 0) {
            assert_true(size <= left);
            left -= size;
            told++;
        }
    }
    assert_in_range(told, 128 * 3, 128 * 8); /* not 13 times, as in calm */
    catalog_destroy(c);
}

static void what_was_told_least_goes_first(void **state)
{
    struct catalog *c = make("me");
    struct catalog *peer = make("peer");
    uint8_t rumour[PACKET];

    (void)state;
    learn_many(c, 60, 0);
    for (unsigned packet = 0; packet < 6; packet++) { /* a dozen fit into each */
        size_t left = PACKET;
        size_t size = 0;
        while ((size = catalog_fill(c, NOW, rumour, left)) > 0) {
            (void)catalog_receive(peer, NOW, "me", rumour, size);
            left -= size;
        }
    }
    for (unsigned i = 0; i < 60; i++) { /* five packets' worth: all of them arrived */
        char name[32];
        (void)snprintf(name, sizeof name, "node-%u", i);
        tell_member(peer, name);
    }
    assert_int_equal(catalog_name_find(peer, "web")->instance_count, 60);
    catalog_destroy(c);
    catalog_destroy(peer);
}

static void text_alone_asks_for_no_packets(void **state)
{
    struct catalog *c = make("me");
    struct catalog_check check = {.id = "disk", .output = "90 %"};
    struct catalog_result result = {.check_id = "disk", .output = "91 %"};
    uint8_t rumour[PACKET];

    (void)state;
    assert_int_equal(catalog_put_check(c, NOW, &check, NULL), RC_OK);
    assert_int_equal(drain(c, CATALOG_KICK), 1);
    while (catalog_fill(c, NOW, rumour, sizeof rumour) > 0) {
    }
    assert_int_equal(catalog_update_check(c, NOW + 9000, &result), RC_OK);
    assert_int_equal(drain(c, CATALOG_KICK), 0);
    assert_true(catalog_fill(c, NOW + 9000, rumour, sizeof rumour) > 0);

    result.status = CHECK_CRITICAL;
    assert_int_equal(catalog_update_check(c, NOW + 9500, &result), RC_OK);
    assert_int_equal(drain(c, CATALOG_KICK), 1);
    catalog_destroy(c);
}

static void a_change_is_kicked_until_it_was_told_enough(void **state)
{
    struct catalog *c = make("me");
    uint8_t rumour[PACKET];
    unsigned kicks = 0;

    (void)state;
    put_service(c, NOW, "web", 0);
    for (uint64_t now_ms = NOW; now_ms < NOW + 10000; now_ms += 10) {
        catalog_tick(c, now_ms);
        if (drain(c, CATALOG_KICK) > 0) {
            kicks++;
            for (unsigned i = 0; i < 4; i++) { /* a packet to each of four */
                (void)catalog_fill(c, now_ms, rumour, sizeof rumour);
            }
        }
    }
    assert_in_range(kicks, 2, 4);
    assert_true(catalog_deadline_ms(c) > NOW + 10000 + 100); /* and then there is quiet */
    catalog_destroy(c);
}

static void the_oldest_grave_makes_room(void **state)
{
    struct catalog *c = make("me");
    struct catalog *last = make("last");
    struct rc_buffer record = {0};

    (void)state;
    learn_many(c, 4200, 0);
    for (unsigned i = 0; i < 4200; i++) { /* more graves than are kept */
        char name[32];
        (void)snprintf(name, sizeof name, "node-%u", i);
        struct catalog_member member = {.name = name, .liveness = CATALOG_LEFT};
        catalog_member_event(c, NOW, 1, &member);
    }
    put_service(last, NOW, "web", 0);
    catalog_export_record(last, &record);
    tell_member(c, "last");
    assert_int_equal(catalog_receive(c, NOW, NULL, record.bytes, record.size), RC_OK);
    struct catalog_member member = {.name = "last", .liveness = CATALOG_LEFT};
    catalog_member_event(c, NOW, 1, &member);

    assert_int_equal(catalog_receive(c, NOW, NULL, record.bytes, record.size),
                     RC_EDENIED); /* the newest grave is guarded */
    rc_buffer_fini(&record);
    catalog_destroy(c);
    catalog_destroy(last);
}

/* ---- memory that goes bad */

static void damage(const void *memory)
{
    *(char *)memory = (char)(*(const char *)memory ^ 1); /* only a fault writes there */
}

/* Two that know each other's records; `b` offers "web". */
static void make_pair(struct catalog **a, struct catalog **b)
{
    *a = make("a");
    *b = make("b");
    tell_member(*a, "b");
    tell_member(*b, "a");
    put_service(*b, NOW, "web", 1);
    (void)drain(*b, CATALOG_KICK);
    hear_summary(*a, NOW, *b);
    catalog_tick(*a, NOW);
    (void)converse(*a, *b, NOW, SIZE_MAX);
}

static void damaged_memory_is_found_and_repaired(void **state)
{
    uint8_t before[CATALOG_SUMMARY_SIZE];
    uint8_t after[CATALOG_SUMMARY_SIZE];
    struct catalog *a = NULL;
    struct catalog *b = NULL;

    (void)state;
    make_pair(&a, &b);
    catalog_summary(a, before);
    damage(catalog_service_find(catalog_node_find(a, "b"), "web")->tags[0]);
    catalog_tick(a, NOW + 60000); /* once a minute all is looked at */
    assert_int_equal(catalog_counters(a)->records_damaged, 1);
    catalog_summary(a, after);
    assert_memory_not_equal(before, after, sizeof before); /* so others see it too */

    hear_summary(a, NOW + 60000, b);
    catalog_tick(a, NOW + 61000);
    (void)converse(a, b, NOW + 61000, SIZE_MAX);
    catalog_summary(a, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(catalog_service_find(catalog_node_find(a, "b"), "web")->tags[0][0],
                     't');
    catalog_tick(a, NOW + 130000);
    assert_int_equal(catalog_counters(a)->records_damaged, 1);
    catalog_destroy(a);
    catalog_destroy(b);
}

static void a_damaged_result_is_repaired_too(void **state)
{
    struct catalog *a = NULL;
    struct catalog *b = NULL;
    struct catalog_check check = {.id = "disk", .output = "fine"};

    (void)state;
    make_pair(&a, &b);
    assert_int_equal(catalog_put_check(b, NOW, &check, NULL), RC_OK);
    hear_summary(a, NOW + 5000, b);
    catalog_tick(a, NOW + 6000);
    (void)converse(a, b, NOW + 6000, SIZE_MAX);
    damage(&catalog_check_find(catalog_node_find(a, "b"), "disk")->status);
    catalog_tick(a, NOW + 60000);
    hear_summary(a, NOW + 60000, b);
    catalog_tick(a, NOW + 61000);
    (void)converse(a, b, NOW + 61000, SIZE_MAX);

    assert_int_equal(catalog_check_find(catalog_node_find(a, "b"), "disk")->status,
                     CHECK_PASSING);
    catalog_destroy(a);
    catalog_destroy(b);
}

static void damaged_memory_is_not_told(void **state)
{
    struct catalog *a = NULL;
    struct catalog *b = NULL;
    struct catalog *young = make("young");

    (void)state;
    make_pair(&a, &b);
    tell_member(a, "young");
    tell_member(young, "a");
    tell_member(young, "b");
    damage(&catalog_service_find(catalog_node_find(a, "b"), "web")->port);
    hear_summary(young, NOW + 1000, a);
    catalog_tick(young, NOW + 2000);
    (void)converse(young, a, NOW + 2000, SIZE_MAX);

    assert_null(catalog_service_find(catalog_node_find(young, "b"), "web"));
    assert_int_equal(catalog_counters(a)->records_damaged, 1);
    catalog_destroy(a);
    catalog_destroy(b);
    catalog_destroy(young);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_takes_14_bytes),
        cmocka_unit_test(numbers_beyond_64_bits_are_no_digest),
        cmocka_unit_test(who_joins_gets_everything_in_one_stream),
        cmocka_unit_test(only_what_differs_is_exchanged),
        cmocka_unit_test(what_the_cap_cuts_off_is_a_prefix),
        cmocka_unit_test(a_gap_costs_only_what_is_missing),
        cmocka_unit_test(far_behind_asks_at_once_and_a_little_waits),
        cmocka_unit_test(who_is_ahead_waits_to_be_asked),
        cmocka_unit_test(streams_of_both_sides_are_counted_apart),
        cmocka_unit_test(in_a_storm_rumours_are_few_and_the_rest_is_left_to_syncs),
        cmocka_unit_test(what_was_told_least_goes_first),
        cmocka_unit_test(text_alone_asks_for_no_packets),
        cmocka_unit_test(a_change_is_kicked_until_it_was_told_enough),
        cmocka_unit_test(the_oldest_grave_makes_room),
        cmocka_unit_test(damaged_memory_is_found_and_repaired),
        cmocka_unit_test(a_damaged_result_is_repaired_too),
        cmocka_unit_test(damaged_memory_is_not_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
