/* test_gossip_queue.c - the parts of gossip that decide what goes first and when: broadcast
 * queue, deadlines, suspicion times, tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/broadcast.h"
#include "agent/gossip/deadline.h"
#include "agent/gossip/suspicion.h"
#include "agent/gossip/tags.h"
#include "base/err.h"

enum { MS = 1000000, PARTS_MAX = 127 };

static const struct rc_pack_bytes no_subject = {NULL, 0};

struct packet {
    struct rc_buffer bytes;
    uint16_t sizes[PARTS_MAX];
    struct broadcast_parts parts;
    bool is_extra;
};

static void fill(struct packet *packet, struct broadcast_queue *queue, uint32_t limit,
                 size_t room)
{
    rc_buffer_clear(&packet->bytes);
    packet->parts = (struct broadcast_parts){.bytes = &packet->bytes,
                                             .sizes = packet->sizes,
                                             .max = PARTS_MAX,
                                             .room = room,
                                             .cost = 2,
                                             .is_extra = packet->is_extra};
    broadcast_fill(queue, limit, &packet->parts);
}

static void add(struct broadcast_queue *queue, const char *subject, const char *message)
{
    assert_int_equal(
        broadcast_add(queue, rc_pack_text(subject), rc_pack_text(message), NULL), RC_OK);
}

static void a_newer_message_takes_the_place_of_the_older(void **state)
{
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};

    (void)state;
    broadcast_init(&queue, 10, 0);
    add(&queue, "n1", "n1 is alive");
    add(&queue, "n1", "n1 is dead!");
    fill(&packet, &queue, 4, 1000);

    assert_int_equal(packet.parts.count, 1);
    assert_string_equal(rc_buffer_string(&packet.bytes), "n1 is dead!");
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void what_was_sent_least_goes_first_and_all_are_sent_to_the_limit(void **state)
{
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};
    uint64_t id;

    (void)state;
    broadcast_init(&queue, 10, 0);
    assert_int_equal(
        broadcast_add(&queue, no_subject, rc_pack_text("first message"), &id), RC_OK);
    fill(&packet, &queue, 2, 20);
    assert_string_equal(rc_buffer_string(&packet.bytes), "first message");
    assert_int_equal(
        broadcast_add(&queue, no_subject, rc_pack_text("later message"), NULL), RC_OK);
    fill(&packet, &queue, 2, 20); /* room for one */
    assert_string_equal(rc_buffer_string(&packet.bytes), "later message");
    assert_true(broadcast_is_waiting(&queue, id));
    fill(&packet, &queue, 2, 1000);
    assert_int_equal(packet.parts.count, 2);

    assert_false(broadcast_is_waiting(&queue, id));
    fill(&packet, &queue, 2, 1000);
    assert_int_equal(packet.parts.count, 0);
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void a_packet_to_one_who_may_be_gone_is_no_transmission(void **state)
{
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};

    (void)state;
    broadcast_init(&queue, 10, 0);
    add(&queue, "n1", "n1 is dead");
    packet.is_extra = true;
    for (size_t i = 0; i < 10; i++) {
        fill(&packet, &queue, 1, 1000);
        assert_int_equal(packet.parts.count, 1);
    }
    packet.is_extra = false;
    fill(&packet, &queue, 1, 1000);
    assert_int_equal(packet.parts.count, 1);
    assert_int_equal(queue.count, 0);
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void
what_fits_no_packet_is_refused_and_a_full_queue_drops_the_most_sent(void **state)
{
    static const uint8_t huge[BROADCAST_SIZE_MAX + 1];
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};
    uint64_t old;

    (void)state;
    broadcast_init(&queue, 2, 0);
    assert_int_equal(broadcast_add(&queue, no_subject,
                                   (struct rc_pack_bytes){huge, sizeof huge}, NULL),
                     RC_ETOOBIG);
    assert_int_equal(broadcast_add(&queue, no_subject, rc_pack_text("old message"), &old),
                     RC_OK);
    fill(&packet, &queue, 9, 1000);
    add(&queue, "a", "message one");
    add(&queue, "b", "message two");

    assert_int_equal(queue.count, 2);
    assert_false(broadcast_is_waiting(&queue, old));
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void a_packet_never_gets_more_parts_than_old_peers_can_read(void **state)
{
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};
    char subject[8];

    (void)state;
    broadcast_init(&queue, 500, 0);
    for (int i = 0; i < 300; i++) {
        subject[0] = (char)('a' + i / 26);
        subject[1] = (char)('a' + i % 26);
        subject[2] = '\0';
        add(&queue, subject, "tiny!!!");
    }
    fill(&packet, &queue, 9, 65000);

    assert_int_equal(packet.parts.count, PARTS_MAX);
    assert_int_equal(queue.count, 300);
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void deadlines_fire_in_order_and_equals_as_they_were_set(void **state)
{
    static const uint64_t at[] = {50, 10, 30, 10, 70, 30, 20};
    static const size_t order[] = {1, 3, 6, 2, 5, 4};
    struct deadline deadlines[7] = {{0}};
    struct deadline_heap heap = {0};

    (void)state;
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(deadline_set(&heap, &deadlines[i], at[i]), RC_OK);
    }
    deadline_clear(&heap, &deadlines[0]);
    assert_false(deadline_is_set(&deadlines[0]));
    assert_null(deadline_take(&heap, 9));

    for (size_t i = 0; i < 6; i++) {
        assert_ptr_equal(deadline_take(&heap, 100), &deadlines[order[i]]);
    }
    assert_true(deadline_first(&heap) == UINT64_MAX);
    deadline_heap_fini(&heap);
}

static void a_packet_filled_in_two_goes_has_nothing_twice(void **state)
{
    struct broadcast_queue queue;
    struct packet packet = {.bytes = {0}};

    (void)state;
    broadcast_init(&queue, 10, 0);
    add(&queue, "n1", "n1 is alive");
    packet.parts = (struct broadcast_parts){.bytes = &packet.bytes,
                                            .sizes = packet.sizes,
                                            .max = PARTS_MAX,
                                            .room = 1000,
                                            .cost = 2,
                                            .packet = 7};
    broadcast_fill(&queue, 4, &packet.parts);
    broadcast_fill(&queue, 4, &packet.parts);
    assert_int_equal(packet.parts.count, 1);
    packet.parts.packet = 8;
    broadcast_fill(&queue, 4, &packet.parts);
    assert_int_equal(packet.parts.count, 2);
    broadcast_fini(&queue);
    rc_buffer_fini(&packet.bytes);
}

static void suspicion_lasts_as_long_as_memberlists(void **state)
{
    static const struct {
        size_t members;
        uint64_t min_ms;
        uint64_t max_ms;
        uint32_t wanted;
    } cases[] = {
        {2, 4000, 24000, 0},   {3, 4000, 24000, 0},     {5, 4000, 24000, 2},
        {100, 8000, 48000, 2}, {1000, 12000, 72000, 2}, {10000, 16000, 96000, 2},
    };
    const struct gossip_profile *lan = gossip_profile_find("lan");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct suspicion suspicion;
        suspicion_init(&suspicion, lan, cases[i].members, 1, 0);
        assert_int_equal(suspicion.min_ms, cases[i].min_ms);
        assert_int_equal(suspicion.max_ms, cases[i].max_ms);
        assert_int_equal(suspicion.wanted, cases[i].wanted);
        uint64_t end_ms = suspicion_end_ns(&suspicion) / MS;
        assert_int_equal(end_ms,
                         cases[i].wanted == 0 ? cases[i].min_ms : cases[i].max_ms);
    }
}

static void only_new_accusers_shorten_a_suspicion(void **state)
{
    struct suspicion suspicion;

    (void)state;
    suspicion_init(&suspicion, gossip_profile_find("lan"), 5, 1, 0);
    assert_false(suspicion_confirm(&suspicion, 1)); /* the first accuser again */
    assert_true(suspicion_confirm(&suspicion, 2));
    assert_int_equal(suspicion_end_ns(&suspicion) / MS,
                     11381); /* 24 - 20 ln 2 / ln 3 s */
    assert_false(suspicion_confirm(&suspicion, 2));
    assert_true(suspicion_confirm(&suspicion, 3));
    assert_int_equal(suspicion_end_ns(&suspicion) / MS, 4000);
    assert_false(suspicion_confirm(&suspicion, 4)); /* enough */
}

static void tags_survive_the_wire_in_order_of_their_keys(void **state)
{
    static const struct gossip_tag tags[] = {
        {"role", "web"}, {"dc", "east"}, {"empty", ""}};
    struct rc_buffer meta = {0};
    struct gossip_tag *read = NULL;
    size_t count = 0;

    (void)state;
    assert_int_equal(tags_write(tags, 3, &meta), RC_OK);
    assert_int_equal(
        tags_read((struct rc_pack_bytes){meta.bytes, meta.size}, &read, &count), RC_OK);

    assert_int_equal(count, 3);
    assert_string_equal(read[0].key, "dc");
    assert_string_equal(read[1].value, "");
    assert_string_equal(read[2].value, "web");
    free(read);
    rc_buffer_fini(&meta);
}

static void odd_meta_is_one_role_or_nothing(void **state)
{
    static const struct {
        const char *meta;
        size_t size;
        size_t count;
    } cases[] = {
        {"", 0, 0},
        {"web", 3, 1},                 /* Serf's protocol before 3 */
        {"\xff\x80", 2, 0},            /* no tags */
        {"\xff\x81\xa1k", 4, 0},       /* cut off */
        {"\xff\x81\xa1\0\xa1v", 6, 0}, /* cannot be shown */
        {"\xff\x93\1\2\3", 5, 0},      /* no map */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_pack_bytes meta = {(const uint8_t *)cases[i].meta, cases[i].size};
        struct gossip_tag *tags = NULL;
        size_t count = 9;
        assert_int_equal(tags_read(meta, &tags, &count), RC_OK);
        assert_int_equal(count, cases[i].count);
        free(tags);
    }
}

static void tags_too_large_for_the_wire_are_refused(void **state)
{
    char value[GOSSIP_TAGS_BYTES_MAX + 1];
    const struct gossip_tag tag = {"k", value};
    struct rc_buffer meta = {0};

    (void)state;
    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';

    assert_int_equal(tags_write(&tag, 1, &meta), RC_ETOOBIG);
    rc_buffer_fini(&meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_newer_message_takes_the_place_of_the_older),
        cmocka_unit_test(what_was_sent_least_goes_first_and_all_are_sent_to_the_limit),
        cmocka_unit_test(
            what_fits_no_packet_is_refused_and_a_full_queue_drops_the_most_sent),
        cmocka_unit_test(a_packet_to_one_who_may_be_gone_is_no_transmission),
        cmocka_unit_test(a_packet_never_gets_more_parts_than_old_peers_can_read),
        cmocka_unit_test(deadlines_fire_in_order_and_equals_as_they_were_set),
        cmocka_unit_test(a_packet_filled_in_two_goes_has_nothing_twice),
        cmocka_unit_test(suspicion_lasts_as_long_as_memberlists),
        cmocka_unit_test(only_new_accusers_shorten_a_suspicion),
        cmocka_unit_test(tags_survive_the_wire_in_order_of_their_keys),
        cmocka_unit_test(odd_meta_is_one_role_or_nothing),
        cmocka_unit_test(tags_too_large_for_the_wire_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
