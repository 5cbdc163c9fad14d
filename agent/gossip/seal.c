/* seal.c - chooses who does AES-GCM for a key. */
#include "agent/gossip/seal.h"

#include <stdlib.h>

#include "base/err.h"

struct seal {
    const struct seal_engine *engine;
    void *state;
};

int seal_create(const uint8_t *key, size_t size, struct seal **out)
{
    static const struct seal_engine *const engines[] = {&seal_sodium, &seal_openssl};
    int err = RC_EUNSUPPORTED;

    if (size != 16 && size != 24 && size != 32) {
        return RC_EINVAL;
    }
    struct seal *seal = calloc(1, sizeof *seal);
    if (seal == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < 2 && err == RC_EUNSUPPORTED; i++) {
        seal->engine = engines[i];
        err = engines[i]->create(key, size, &seal->state);
    }
    if (err != RC_OK) {
        free(seal);
        return err;
    }
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
