/* fuzz_gossip_packet.c - any datagram, at a member of a small pool.
 *
 * The first byte chooses how the rest is used: bit 0 puts the right encryption around it, so
 * that what lies behind is reached too; bit 1 ends with a leave. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/envelope.h"
#include "agent/gossip/gossip.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SEALED = 1, LEAVING = 2, NS_IN_MS = 1000000, PACKETS_MAX = 16 };

static void zero_nonce(void *ctx, uint8_t *out, size_t size)
{
    (void)ctx;
    memset(out, 0, size);
}

static void drain(struct gossip *g)
{
    struct gossip_action action;

    while (gossip_next_action(g, &action)) {
        if (action.type == GOSSIP_SEND_PACKET || action.type == GOSSIP_STREAM_SEND) {
            assert(action.size > 0 && action.bytes != NULL);
            assert(action.type != GOSSIP_SEND_PACKET || action.size <= 1405);
        }
    }
}

static void feed(struct gossip *g, const struct envelope *envelope, uint64_t now_ns,
                 struct rc_pack_bytes packet)
{
    const struct rc_address from = {RC_ADDRESS_IPV4, {10, 0, 0, 2}, 7946};
    struct rc_buffer sealed = {0};

    if (envelope->keyring.count > 0) {
        envelope_close_packet(envelope, packet, &sealed);
        packet = (struct rc_pack_bytes){sealed.bytes, sealed.size};
    }
    gossip_packet(g, now_ns, &from, packet.at, packet.size);
    rc_buffer_fini(&sealed);
    drain(g);
}

/* Two bytes of length, then a packet, and so on: some faults need what came before. */
static void feed_all(struct gossip *g, const struct envelope *envelope, uint64_t now_ns,
                     struct rc_cursor *in)
{
    for (size_t i = 0; i < PACKETS_MAX && rc_cursor_left(in) > 2; i++) {
        size_t size = rc_cursor_u16(in);
        if (size > rc_cursor_left(in)) {
            size = rc_cursor_left(in);
        }
        const uint8_t *packet = rc_cursor_take(in, size);
        feed(g, envelope, now_ns + i * 100 * NS_IN_MS,
             (struct rc_pack_bytes){packet, size});
        gossip_tick(g, now_ns + i * 100 * NS_IN_MS);
        drain(g);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct gossip_key key = {.size = 32, .bytes = {1}};
    static const struct gossip_tag tags[] = {{"rc", "1"}, {"role", "web"}};
    struct gossip_options options = {
        .name = "alpha",
        .address = {RC_ADDRESS_IPV4, {127, 0, 0, 11}, 17946},
        .tags = tags,
        .tag_count = 2,
        .profile = gossip_profile_find("fast"),
        .nonce = zero_nonce,
        .random_seed = 1,
    };
    struct rc_cursor in = rc_cursor_over(bytes, size);
    uint64_t now_ns = (uint64_t)1000 * NS_IN_MS;
    struct envelope envelope;
    struct gossip *g = NULL;

    uint8_t how = rc_cursor_u8(&in);
    options.keys = &key;
    options.key_count = how & SEALED;
    if (in.err != RC_OK || envelope_init(&envelope, &options) != RC_OK) {
        return 0;
    }
    if (gossip_create(&options, now_ns, &g) == RC_OK) {
        feed_all(g, &envelope, now_ns, &in);
        if ((how & LEAVING) != 0) {
            gossip_leave(g, now_ns + (uint64_t)2000 * NS_IN_MS);
        }
        for (uint64_t i = 0; i < 40; i++) { /* suspicions fire, the dead are purged */
            now_ns += (uint64_t)1500 * NS_IN_MS;
            gossip_tick(g, now_ns);
            drain(g);
        }
    }
    gossip_destroy(g);
    envelope_fini(&envelope);
    return 0;
}
