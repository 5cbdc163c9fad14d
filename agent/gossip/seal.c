/* seal.c - chooses who does AES-GCM for a key. */
#include "agent/gossip/seal.h"

#include <stdlib.h>

#include "base/err.h"

struct seal {
    const struct seal_engine *engine;
    void *state;
    size_t key_size;
};

int seal_create(const uint8_t *key, size_t size, struct seal **out)
{
    static const struct seal_engine *const engines[] = {&seal_sodium, &seal_openssl};

    return seal_create_by(engines, sizeof engines / sizeof engines[0], key, size, out);
}

int seal_create_by(const struct seal_engine *const *engines, size_t count,
                   const uint8_t *key, size_t size, struct seal **out)
{
    int err = RC_EUNSUPPORTED;

    if (size != 16 && size != 24 && size != 32) {
        return RC_EINVAL;
    }
    struct seal *seal = calloc(1, sizeof *seal);
    if (seal == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < count && err == RC_EUNSUPPORTED; i++) {
        seal->engine = engines[i];
        err = engines[i]->create(key, size, &seal->state);
    }
    if (err != RC_OK) {
        free(seal);
        return err;
    }
    seal->key_size = size;
    *out = seal;
    return RC_OK;
}

void seal_destroy(struct seal *seal)
{
    if (seal != NULL) {
        seal->engine->destroy(seal->state);
        free(seal);
    }
}

const char *seal_cipher(const struct seal *seal)
{
    bool by_sodium = seal->engine == &seal_sodium; /* which does 32 bytes only */

    if (seal->key_size == 16) {
        return "AES-128-GCM, libcrypto";
    }
    if (seal->key_size == 24) {
        return "AES-192-GCM, libcrypto";
    }
    return by_sodium ? "AES-256-GCM, libsodium" : "AES-256-GCM, libcrypto";
}

int seal_lock(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE],
              struct rc_pack_bytes aad, struct rc_pack_bytes plain, uint8_t *out)
{
    return seal->engine->lock(seal->state, nonce, aad, plain, out);
}

int seal_unlock(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE],
                struct rc_pack_bytes aad, struct rc_pack_bytes sealed, uint8_t *out)
{
    if (sealed.size < SEAL_TAG_SIZE) {
        return RC_EDENIED;
    }
    return seal->engine->unlock(seal->state, nonce, aad, sealed, out);
}
