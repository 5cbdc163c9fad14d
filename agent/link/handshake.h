/* handshake.h - two agents prove to each other who they are, and agree on keys.
 *
 * Three messages of fixed size; the one who connected speaks first:
 *   1 hello   version, the name of a key of the pool, an ephemeral X25519 key, and a MAC of
 *             these under that key: who does not know it is turned away before any work
 *   2 answer  an ephemeral key; sealed: the server's Ed25519 key and its signature of
 *             everything said so far, if it has a credential
 *   3 proof   sealed: the same of the one who connected
 * The sealing keys come from the Diffie-Hellman value and the pool's key together, over the
 * transcript; so each side proves that it knows the pool's key, nothing said can be changed or
 * said again, and keys that become known later open nothing that was recorded. The keys of the
 * stream come from the whole transcript. (The shape is Noise's NNpsk0 with SIGMA's signatures.)
 *
 * Without a key in the pool the ring holds one of zeros: the same messages, and nobody proves
 * anything. It is up to the caller to put it there.
 *
 * Pure: bytes and 32 random bytes in, bytes and keys out. handshake_sodium.c is the crypto. */
#ifndef AGENT_LINK_HANDSHAKE_H
#define AGENT_LINK_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/link/credential.h"

enum {
    HANDSHAKE_VERSION = 1,
    HANDSHAKE_KEYS_MAX = 16,
    HANDSHAKE_KEY_ID_SIZE = 8,
    HANDSHAKE_SECRET_SIZE = 32,
    HANDSHAKE_HELLO_SIZE = 4 + HANDSHAKE_KEY_ID_SIZE + 32 + 32,
    HANDSHAKE_CLAIM_SIZE = 1 + CREDENTIAL_PUBLIC_SIZE + CREDENTIAL_SIGNATURE_SIZE + 16,
    HANDSHAKE_ANSWER_SIZE = 4 + 32 + HANDSHAKE_CLAIM_SIZE,
    HANDSHAKE_PROOF_SIZE = HANDSHAKE_CLAIM_SIZE,
    HANDSHAKE_MESSAGE_MAX = HANDSHAKE_ANSWER_SIZE
};

/* What a link takes of a key of the pool. */
struct handshake_key {
    uint8_t id[HANDSHAKE_KEY_ID_SIZE]; /* tells it from others, and nothing about it */
    uint8_t secret[HANDSHAKE_SECRET_SIZE];
};

/* All are taken from others; the first is used towards others. */
struct handshake_ring {
    struct handshake_key keys[HANDSHAKE_KEYS_MAX];
    size_t count;
};

/* From a key of the pool, 16 to 32 bytes; `size` 0: the key of zeros. */
void handshake_key_from(const void *key, size_t size, struct handshake_key *out);

/* The key of this name, or NULL. */
const struct handshake_key *handshake_ring_find(const struct handshake_ring *ring,
                                                const uint8_t id[HANDSHAKE_KEY_ID_SIZE]);

enum handshake_role { HANDSHAKE_CALLER, HANDSHAKE_CALLED };

/* Who the other one has proven to be. */
struct handshake_peer {
    bool has_credential;
    uint8_t public_key[CREDENTIAL_PUBLIC_SIZE];
};

struct handshake_result {
    uint8_t send_key[32];
    uint8_t receive_key[32];
    uint8_t key_id[HANDSHAKE_KEY_ID_SIZE]; /* of the pool's key that it rests on */
    struct handshake_peer peer;
};

struct handshake {
    enum handshake_role role;
    unsigned taken; /* messages */
    bool is_done;
    bool has_failed;
    const struct handshake_ring *ring;     /* borrowed */
    const struct credential *credential;   /* borrowed */
    uint8_t secret[HANDSHAKE_SECRET_SIZE]; /* ephemeral */
    uint8_t pool_secret[HANDSHAKE_SECRET_SIZE];
    uint8_t transcript[32];
    uint8_t master[32];
    struct handshake_result result; /* when it is done */
};

/* `ring` (not empty) and `credential` (may be not set) are borrowed until it is over; `secret`
 * is 32 random bytes, never used twice. */
void handshake_init(struct handshake *h, enum handshake_role role,
                    const struct handshake_ring *ring,
                    const struct credential *credential,
                    const uint8_t secret[HANDSHAKE_SECRET_SIZE]);

/* Wipes it. */
void handshake_fini(struct handshake *h);

/* The caller's first message; returns its size. */
size_t handshake_begin(struct handshake *h, uint8_t out[HANDSHAKE_MESSAGE_MAX]);

/* How long the other's next message is; 0: nothing is to come. */
size_t handshake_wants(const struct handshake *h);

/* Takes a message of exactly that size; `*out_size` bytes (0: none) are to be sent.
 * RC_OK; RC_EDENIED: whoever sent it does not know a key of ours, or lies, and nothing more is
 * taken; RC_EUNSUPPORTED: another version. */
int handshake_take(struct handshake *h, const uint8_t *message,
                   uint8_t out[HANDSHAKE_MESSAGE_MAX], size_t *out_size);

#endif
