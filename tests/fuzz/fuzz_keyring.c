/* Any bytes as an order about keys, or as a member's answer to one of ours. The first byte
 * tells which; the ring stays a ring, the table stays a table. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "agent/gossip/key_query.h"
#include "agent/gossip/keyring_round.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

enum { SMALL = 64 };

static void nonce_of(void *ctx, uint8_t *out, size_t size)
{
    (void)ctx;
    memset(out, 1, size);
}

static void check_ring(const struct gossip *g)
{
    const struct keyring *ring = &g->envelope.keyring;

    assert(ring->count >= 1 && ring->count <= GOSSIP_KEYS_MAX);
    for (size_t i = 0; i < ring->count; i++) {
        assert(keyring_find(ring, &ring->slots[i].key) == i); /* none twice */
    }
}

static void order(struct gossip *g, uint8_t kind, struct rc_pack_bytes payload)
{
    static const char *const names[] = {"install-key", "use-key", "remove-key",
                                        "list-keys"};
    size_t max = (kind & 0x10) != 0 ? SMALL : GOSSIP_QUERY_SIZE_MAX;
    struct rc_buffer out = {0};

    int err = key_query_answer(g, rc_pack_text(names[kind & 3]), payload, max, &out);
    assert(err == RC_OK || err == RC_ETOOBIG);
    assert(err != RC_OK || out.size <= max);
    check_ring(g);
    rc_buffer_fini(&out);
}

static void answer(struct gossip *g, struct rc_pack_bytes payload)
{
    const struct keyring_request use = {.order = KEYRING_USE, .key = {.size = 32}};
    struct keyring_round *round = NULL;
    struct rc_buffer why = {0};

    if (keyring_round_local(g, &round) != RC_OK) {
        return;
    }
    keyring_round_answer(round, "n1", payload.at, payload.size);
    keyring_round_answer(round, "n1", payload.at, payload.size); /* counts once */
    assert(round->answered <= round->expected && round->answered <= 2);
    assert(round->key_count <= KEYRING_HELD_MAX);
    for (size_t i = 0; i < round->key_count; i++) {
        assert(round->keys[i].nodes <= 2 && round->keys[i].primaries <= 2);
        assert(strlen(round->keys[i].text) < KEYRING_TEXT_MAX);
    }
    (void)keyring_round_allows(round, "n0", &use, &why);
    rc_buffer_fini(&why);
    keyring_round_destroy(round);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct gossip_key keys[] = {{.size = 32, .bytes = {1}},
                                             {.size = 32, .bytes = {2}}};
    const struct gossip_options options = {
        .name = "n0",
        .address = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 7946},
        .keys = keys,
        .key_count = 2,
        .nonce = nonce_of,
    };
    struct gossip *g = NULL;

    if (size == 0 || gossip_create(&options, 1000, &g) != RC_OK) {
        return 0;
    }
    struct rc_pack_bytes payload = {bytes + 1, size - 1};
    if ((bytes[0] & 4) != 0) {
        answer(g, payload);
    } else {
        order(g, bytes[0], payload);
    }
    gossip_destroy(g);
    return 0;
}
