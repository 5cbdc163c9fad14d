/* keyring.h - the keys of a pool, in order: the first one locks, all unlock.
 *
 * memberlist's keyring: adding what is there and removing what is not are no errors, the
 * first key cannot be removed. Keys never leave it but through keyring_keys(), for the one
 * who stores them. Nothing here knows files or the pool. */
#ifndef AGENT_GOSSIP_KEYRING_H
#define AGENT_GOSSIP_KEYRING_H

#include "agent/gossip/gossip.h"
#include "agent/gossip/seal.h"

struct keyring_slot {
    struct gossip_key key;
    struct seal *seal;
};

/* A zeroed struct is an empty ring: nothing is encrypted. */
struct keyring {
    struct keyring_slot slots[GOSSIP_KEYS_MAX];
    size_t count;
};

/* Wipes and frees all keys. */
void keyring_fini(struct keyring *ring);

/* Adds `key` at the end, or does nothing if it is there. RC_OK, RC_EINVAL (not 16, 24 or 32
 * bytes), RC_ETOOBIG (GOSSIP_KEYS_MAX are there), RC_ENOTFOUND (it needs libcrypto, which is
 * not installed), RC_ENOMEM. */
int keyring_add(struct keyring *ring, const struct gossip_key *key);

/* Moves `key` to the front. RC_OK or RC_ENOTFOUND. */
int keyring_use(struct keyring *ring, const struct gossip_key *key);

/* RC_OK, also if it was not there; RC_EDENIED for the first one. */
int keyring_remove(struct keyring *ring, const struct gossip_key *key);

/* The place of `key`; `ring->count` if it is not there. */
size_t keyring_find(const struct keyring *ring, const struct gossip_key *key);

/* Copies all keys, in order; returns how many. The caller wipes them. */
size_t keyring_keys(const struct keyring *ring, struct gossip_key out[GOSSIP_KEYS_MAX]);

/* Encrypts under the first key; the ring is not empty. As seal_lock(). */
int keyring_lock(const struct keyring *ring, const uint8_t nonce[SEAL_NONCE_SIZE],
                 struct rc_pack_bytes aad, struct rc_pack_bytes plain, uint8_t *out);

/* Tries every key. RC_OK with the place of the one that fits in `*place`, or RC_EDENIED. */
int keyring_unlock(const struct keyring *ring, const uint8_t nonce[SEAL_NONCE_SIZE],
                   struct rc_pack_bytes aad, struct rc_pack_bytes sealed, uint8_t *out,
                   size_t *place);

#endif
