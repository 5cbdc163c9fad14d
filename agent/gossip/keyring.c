/* keyring.c - the keys of a pool, in order. */
#include "agent/gossip/keyring.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

static void wipe(struct keyring_slot *slot)
{
    seal_destroy(slot->seal);
    explicit_bzero(slot, sizeof *slot);
}

void keyring_fini(struct keyring *ring)
{
    for (size_t i = 0; i < ring->count; i++) {
        wipe(&ring->slots[i]);
    }
    ring->count = 0;
}

size_t keyring_find(const struct keyring *ring, const struct gossip_key *key)
{
    size_t i = 0;

    while (i < ring->count &&
           (ring->slots[i].key.size != key->size ||
            memcmp(ring->slots[i].key.bytes, key->bytes, key->size) != 0)) {
        i++;
    }
    return i;
}

int keyring_add(struct keyring *ring, const struct gossip_key *key)
{
    if (key->size != 16 && key->size != 24 && key->size != 32) {
        return RC_EINVAL;
    }
    if (keyring_find(ring, key) < ring->count) {
        return RC_OK;
    }
    if (ring->count == GOSSIP_KEYS_MAX) {
        return RC_ETOOBIG;
    }
    struct keyring_slot *slot = &ring->slots[ring->count];
    int err = seal_create(key->bytes, key->size, &slot->seal);
    if (err == RC_OK) {
        slot->key = *key;
        ring->count++;
    }
    return err;
}

int keyring_use(struct keyring *ring, const struct gossip_key *key)
{
    size_t place = keyring_find(ring, key);

    if (place == ring->count) {
        return RC_ENOTFOUND;
    }
    struct keyring_slot first = ring->slots[place];
    memmove(&ring->slots[1], &ring->slots[0], place * sizeof ring->slots[0]);
    ring->slots[0] = first;
    explicit_bzero(&first, sizeof first);
    return RC_OK;
}

int keyring_remove(struct keyring *ring, const struct gossip_key *key)
{
    size_t place = keyring_find(ring, key);

    if (place == ring->count) {
        return RC_OK;
    }
    if (place == 0) {
        return RC_EDENIED;
    }
    wipe(&ring->slots[place]);
    ring->count--;
    memmove(&ring->slots[place], &ring->slots[place + 1],
            (ring->count - place) * sizeof ring->slots[0]);
    explicit_bzero(&ring->slots[ring->count], sizeof ring->slots[0]);
    return RC_OK;
}

size_t keyring_keys(const struct keyring *ring, struct gossip_key out[GOSSIP_KEYS_MAX])
{
    for (size_t i = 0; i < ring->count; i++) {
        out[i] = ring->slots[i].key;
    }
    return ring->count;
}

int keyring_lock(const struct keyring *ring, const uint8_t nonce[SEAL_NONCE_SIZE],
                 struct rc_pack_bytes aad, struct rc_pack_bytes plain, uint8_t *out)
{
    assert(ring->count > 0);
    return seal_lock(ring->slots[0].seal, nonce, aad, plain, out);
}

int keyring_unlock(const struct keyring *ring, const uint8_t nonce[SEAL_NONCE_SIZE],
                   struct rc_pack_bytes aad, struct rc_pack_bytes sealed, uint8_t *out,
                   size_t *place)
{
    for (size_t i = 0; i < ring->count; i++) {
        if (seal_unlock(ring->slots[i].seal, nonce, aad, sealed, out) == RC_OK) {
            *place = i;
            return RC_OK;
        }
    }
    return RC_EDENIED;
}
