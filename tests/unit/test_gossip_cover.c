/* test_gossip_cover.c - encryption switched on in a running pool, and nothing that undoes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/envelope.h"
#include "agent/gossip/wire.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

enum { NODES = 4 };

static const struct gossip_key key = {.size = 32, .bytes = {1}};

static void nonce_of(void *ctx, uint8_t *out, size_t size)
{
    uint64_t *counter = ctx;

    (*counter)++;
    memset(out, 0, size);
    assert_true(size > sizeof *counter);
    memcpy(out + 1, counter, sizeof *counter); /* the first byte stays 0: see count() */
}

/* How much of what arrives is encrypted. */
struct traffic {
    size_t plain;
    size_t sealed;
};

static void count(struct net *net, const struct net_bytes *bytes)
{
    struct traffic *traffic = net->tap_context;
    bool is_packet = bytes->pipe == NET_PACKET;
    /* A sealed packet begins with its version, a sealed stream with a frame; ping (0) and
     * indirect ping (1) are told from versions by their map, which no nonce here looks like. */
    bool is_sealed = is_packet ? bytes->at[0] <= 1 && (bytes->at[1] & 0xf0) != 0x80
                               : bytes->at[0] == WIRE_ENCRYPT;

    traffic->sealed += is_sealed;
    traffic->plain += !is_sealed;
}

static void expect_all_alive(const struct net *net)
{
    for (size_t i = 0; i < (size_t)NODES * NODES; i++) {
        if (net_status(net, i / NODES, i % NODES) != GOSSIP_ALIVE) {
            fail_msg("n%zu does not see n%zu", i / NODES, i % NODES);
        }
    }
}

static size_t failures(const struct net *net)
{
    size_t sum = 0;

    for (size_t i = 0; i < NODES; i++) {
        for (size_t k = 0; k < net->nodes[i].seen_count; k++) {
            sum += net->nodes[i].seen[k].event == GOSSIP_EVENT_FAILED;
        }
    }
    return sum;
}

static void set_cover(struct net *net, size_t i, bool sends_plain, bool takes_plain)
{
    gossip_set_cover(
        net->nodes[i].gossip,
        (struct gossip_cover){.sends_plain = sends_plain, .takes_plain = takes_plain});
    net_run_ms(net, 4000); /* one after the other, as an operator does it */
    expect_all_alive(net);
}

static void encryption_is_switched_on_without_losing_anybody(void **state)
{
    uint64_t nonces = 0;
    const struct gossip_options staged = {
        .keys = &key,
        .key_count = 1,
        .nonce = nonce_of,
        .nonce_ctx = &nonces,
        .cover = {.sends_plain = true, .takes_plain = true}};
    struct traffic traffic = {0};
    struct net *net = net_create(8);

    (void)state;
    net_pool(net, NODES, "fast");
    net->tap = count;
    net->tap_context = &traffic;
    for (size_t i = 0; i < NODES; i++) { /* first round: the key is there */
        net_kill(net, i);
        net_restart(net, i, &staged);
        net_join(net, i, (i + 1) % NODES);
        net_run_ms(net, 4000);
        expect_all_alive(net);
    }
    assert_int_equal(traffic.sealed, 0);
    for (size_t i = 0; i < NODES; i++) { /* second round: it is used */
        set_cover(net, i, false, true);
    }
    for (size_t i = 0; i < NODES; i++) { /* third round: it is demanded */
        set_cover(net, i, false, false);
    }
    memset(&traffic, 0, sizeof traffic);
    net_run_ms(net, 60000);

    expect_all_alive(net);
    assert_int_equal(failures(net), 0);
    assert_int_equal(traffic.plain, 0);
    assert_true(traffic.sealed > 100);

    for (size_t i = 0; i < NODES; i++) { /* and back */
        set_cover(net, i, false, true);
    }
    for (size_t i = 0; i < NODES; i++) {
        set_cover(net, i, true, true);
    }
    assert_int_equal(failures(net), 0);
    net_destroy(net);
}

/* ---- Downgrades. */

struct world {
    struct net *net;
    uint64_t nonces;
    struct gossip_options options;
    struct envelope envelope; /* of one who has the key */
};

static uint64_t refused(const struct world *world, enum gossip_refusal why)
{
    struct gossip_counters counters;

    gossip_counters(world->net->nodes[0].gossip, &counters);
    return counters.refused[why];
}

static void build(struct world *world)
{
    memset(world, 0, sizeof *world);
    world->options = (struct gossip_options){.keys = &key,
                                             .key_count = 1,
                                             .label = "blue",
                                             .nonce = nonce_of,
                                             .nonce_ctx = &world->nonces};
    world->net = net_create(9);
    (void)net_add(world->net, &world->options);
    assert_int_equal(envelope_init(&world->envelope, &world->options), RC_OK);
}

static void destroy(struct world *world)
{
    envelope_fini(&world->envelope);
    net_destroy(world->net);
}

static const struct rc_address stranger = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 7946};

static void alive_message(struct rc_buffer *out)
{
    static const uint8_t ip[] = {10, 9, 9, 9};
    const struct wire_alive alive = {.address = {ip, sizeof ip},
                                     .incarnation = 1,
                                     .node = rc_pack_text("intruder"),
                                     .port = 7946,
                                     .versions = {{1, 5, 2, 2, 5, 5}}};

    wire_write_typed(WIRE_ALIVE, &wire_format_alive, &alive, out);
}

static void give_packet(struct world *world, const struct rc_buffer *packet)
{
    gossip_packet(world->net->nodes[0].gossip, world->net->now_ns, &stranger,
                  packet->bytes, packet->size);
    net_drain(world->net, 0);
}

static void expect_alone(const struct world *world)
{
    assert_int_equal(gossip_member_count(world->net->nodes[0].gossip), 1);
}

static void what_is_sealed_well_is_taken(void **state)
{
    struct world world;
    struct rc_buffer plain = {0};
    struct rc_buffer packet = {0};

    (void)state;
    build(&world);
    alive_message(&plain);
    envelope_close_packet(&world.envelope,
                          (struct rc_pack_bytes){plain.bytes, plain.size}, &packet);
    give_packet(&world, &packet);
    assert_int_equal(gossip_member_count(world.net->nodes[0].gossip), 2);
    rc_buffer_fini(&plain);
    rc_buffer_fini(&packet);
    destroy(&world);
}

static void no_other_version_opens(void **state)
{
    struct world world;
    struct rc_buffer plain = {0};
    struct rc_buffer packet = {0};
    size_t version_at = 2 + strlen("blue");

    (void)state;
    build(&world);
    alive_message(&plain);
    envelope_close_packet(&world.envelope,
                          (struct rc_pack_bytes){plain.bytes, plain.size}, &packet);
    assert_int_equal(packet.bytes[version_at], 1);
    for (unsigned version = 2; version < 256; version++) {
        packet.bytes[version_at] = (uint8_t)version;
        give_packet(&world, &packet);
    }
    expect_alone(&world);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_PLAIN), 254);
    rc_buffer_fini(&plain);
    rc_buffer_fini(&packet);
    destroy(&world);
}

static void nothing_plain_is_taken_from_a_packet(void **state)
{
    struct world world;
    struct rc_buffer packet = {0};

    (void)state;
    build(&world);
    rc_buffer_byte(&packet, WIRE_LABEL);
    rc_buffer_byte(&packet, 4);
    rc_buffer_text(&packet, "blue");
    alive_message(&packet);
    give_packet(&world, &packet);
    expect_alone(&world);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_PLAIN), 1);
    rc_buffer_fini(&packet);
    destroy(&world);
}

static void another_label_or_none_is_refused(void **state)
{
    static const char *const labels[] = {"", "red", "bluf", "blu", "blues"};
    struct world world;
    struct rc_buffer plain = {0};
    struct rc_buffer packet = {0};

    (void)state;
    build(&world);
    alive_message(&plain);
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++) {
        struct gossip_options options = world.options;
        struct envelope envelope;
        options.label = labels[i];
        assert_int_equal(envelope_init(&envelope, &options), RC_OK);
        rc_buffer_clear(&packet);
        envelope_close_packet(&envelope, (struct rc_pack_bytes){plain.bytes, plain.size},
                              &packet);
        give_packet(&world, &packet);
        /* The right label in front does not help: it is under the tag. */
        if (labels[i][0] == '\0') {
            struct rc_buffer forged = {0};
            rc_buffer_byte(&forged, WIRE_LABEL);
            rc_buffer_byte(&forged, 4);
            rc_buffer_text(&forged, "blue");
            rc_buffer_append(&forged, packet.bytes, packet.size);
            give_packet(&world, &forged);
            rc_buffer_fini(&forged);
        }
        envelope_fini(&envelope);
    }
    expect_alone(&world);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_LABEL), 5);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_KEY), 1);
    rc_buffer_fini(&plain);
    rc_buffer_fini(&packet);
    destroy(&world);
}

static uint32_t dial(struct world *world)
{
    uint32_t id = 0;

    assert_int_equal(gossip_stream_accepted(world->net->nodes[0].gossip,
                                            world->net->now_ns, &stranger, &id),
                     RC_OK);
    return id;
}

static void give_stream(struct world *world, uint32_t id, const struct rc_buffer *bytes)
{
    gossip_stream_data(world->net->nodes[0].gossip, world->net->now_ns, id, bytes->bytes,
                       bytes->size);
}

/* Whether the answer on the stream, if any, is encrypted. */
static void expect_nothing_plain(struct world *world)
{
    struct gossip_action action;

    while (gossip_next_action(world->net->nodes[0].gossip, &action)) {
        if (action.type == GOSSIP_STREAM_SEND) {
            assert_int_equal(action.bytes[0], WIRE_ENCRYPT);
        }
    }
}

static void nothing_plain_is_taken_from_a_stream(void **state)
{
    static const char label[] = "\xf4\x04"
                                "blue";
    const struct wire_ping ping = {.seq = 1, .node = rc_pack_text("n0")};
    struct world world;
    struct rc_buffer bytes = {0};

    (void)state;
    build(&world);
    rc_buffer_append(&bytes, label, sizeof label - 1);
    wire_write_typed(WIRE_PING, &wire_format_ping, &ping, &bytes);
    give_stream(&world, dial(&world), &bytes);
    expect_nothing_plain(&world);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_PLAIN), 1);
    rc_buffer_fini(&bytes);
    destroy(&world);
}

static void a_stream_that_began_encrypted_stays_so(void **state)
{
    struct world world;
    struct rc_buffer bytes = {0};
    const uint8_t lane[] = {WIRE_LANE};

    (void)state;
    build(&world);
    gossip_set_cover(world.net->nodes[0].gossip,
                     (struct gossip_cover){.takes_plain = true});
    uint32_t id = dial(&world);
    envelope_open_stream(&world.envelope, &bytes);
    envelope_close_frame(&world.envelope, (struct rc_pack_bytes){lane, sizeof lane},
                         &bytes);
    give_stream(&world, id, &bytes);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_PLAIN), 0);
    rc_buffer_clear(&bytes);
    rc_buffer_append(&bytes, "\0\0\0\1x", 5);
    give_stream(&world, id, &bytes);
    assert_int_equal(refused(&world, GOSSIP_REFUSED_PLAIN), 1);
    expect_nothing_plain(&world);
    rc_buffer_fini(&bytes);
    destroy(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encryption_is_switched_on_without_losing_anybody),
        cmocka_unit_test(what_is_sealed_well_is_taken),
        cmocka_unit_test(no_other_version_opens),
        cmocka_unit_test(nothing_plain_is_taken_from_a_packet),
        cmocka_unit_test(another_label_or_none_is_refused),
        cmocka_unit_test(nothing_plain_is_taken_from_a_stream),
        cmocka_unit_test(a_stream_that_began_encrypted_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
