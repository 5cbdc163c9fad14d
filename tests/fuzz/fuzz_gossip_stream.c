/* fuzz_gossip_stream.c - any bytes on a stream, accepted or dialed, in pieces of any size.
 *
 * The first byte: bit 0 puts the right encryption frame around the rest, bit 1 makes it the
 * answer to a join of ours, bits 4-7 set the size of the pieces. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/gossip/envelope.h"
#include "agent/gossip/gossip.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SEALED = 1, DIALED = 2, NS_IN_MS = 1000000 };

static void zero_nonce(void *ctx, uint8_t *out, size_t size)
{
    (void)ctx;
    memset(out, 0, size);
}

/* The catalog's side of a lane stream: echoes once and hangs up on a "q". */
static void on_message(void *ctx, uint64_t now_ms, uint32_t stream, const uint8_t *bytes,
                       size_t size)
{
    struct gossip *const *g = ctx;

    (void)gossip_lane_send(*g, now_ms * NS_IN_MS, stream, bytes, size);
    if (size > 0 && bytes[0] == 'q') {
        gossip_lane_close(*g, now_ms * NS_IN_MS, stream);
    }
}

/* Returns the stream that was opened, or 0. */
static uint32_t drain(struct gossip *g)
{
    struct gossip_action action;
    uint32_t opened = 0;

    while (gossip_next_action(g, &action)) {
        opened = action.type == GOSSIP_STREAM_OPEN ? action.stream : opened;
    }
    return opened;
}

static uint32_t begin(struct gossip *g, uint64_t now_ns, uint8_t how)
{
    const struct rc_address peer = {RC_ADDRESS_IPV4, {10, 0, 0, 2}, 7946};
    uint32_t stream = 0;

    if ((how & DIALED) != 0) {
        int err = gossip_join(g, now_ns, &peer, 1);
        assert(err == RC_OK);
        (void)err;
        return drain(g);
    }
    int err = gossip_stream_accepted(g, now_ns, &peer, &stream);
    assert(err == RC_OK);
    (void)err;
    return stream;
}

static void feed(struct gossip *g, uint64_t now_ns, uint8_t how,
                 struct rc_pack_bytes content)
{
    size_t piece = (size_t)1 << (how >> 4);
    uint32_t stream = begin(g, now_ns, how);

    for (size_t at = 0; at < content.size; at += piece) {
        size_t size = content.size - at < piece ? content.size - at : piece;
        gossip_stream_data(g, now_ns, stream, content.at + at, size);
        (void)drain(g);
    }
    for (uint64_t i = 1; i <= 10; i++) {
        gossip_tick(g, now_ns + i * 1500 * NS_IN_MS);
        (void)drain(g);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct gossip_key key = {.size = 32, .bytes = {1}};
    struct gossip *g = NULL;
    struct gossip_options options = {
        .name = "alpha",
        .address = {RC_ADDRESS_IPV4, {127, 0, 0, 11}, 17946},
        .profile = gossip_profile_find("fast"),
        .nonce = zero_nonce,
        .random_seed = 1,
        .lane = {.ctx = &g, .stream_message = on_message},
    };
    struct envelope envelope;
    struct rc_buffer sealed = {0};

    if (size < 2) {
        return 0;
    }
    struct rc_pack_bytes content = {bytes + 1, size - 1};
    options.keys = &key;
    options.key_count = bytes[0] & SEALED;
    if (envelope_init(&envelope, &options) != RC_OK) {
        return 0;
    }
    if (envelope.keyring.count > 0) {
        envelope_close_frame(&envelope, content, &sealed);
        content = (struct rc_pack_bytes){sealed.bytes, sealed.size};
    }
    uint64_t now_ns = (uint64_t)1000 * NS_IN_MS;
    if (gossip_create(&options, now_ns, &g) == RC_OK) {
        feed(g, now_ns, bytes[0], content);
    }
    gossip_destroy(g);
    envelope_fini(&envelope);
    rc_buffer_fini(&sealed);
    return 0;
}
