/* seal_sodium.c - AES-256-GCM by libsodium, where the CPU has the instructions. */
#include <assert.h>
#include <stdlib.h>

#include <sodium.h>

#include "agent/gossip/seal.h"
#include "base/err.h"

static_assert(SEAL_TAG_SIZE == crypto_aead_aes256gcm_ABYTES, "tag size");
static_assert(SEAL_NONCE_SIZE == crypto_aead_aes256gcm_NPUBBYTES, "nonce size");

static int create(const uint8_t *key, size_t size, void **out)
{
    if (size != crypto_aead_aes256gcm_KEYBYTES || sodium_init() < 0 ||
        !crypto_aead_aes256gcm_is_available()) {
        return RC_EUNSUPPORTED;
    }
    /* The expanded key wants an alignment of 16, which sodium_malloc() does not promise. */
    void *state = NULL;
    if (posix_memalign(&state, 16, sizeof(crypto_aead_aes256gcm_state)) != 0) {
        return RC_ENOMEM;
    }
    (void)crypto_aead_aes256gcm_beforenm(state, key); /* always 0 */
    *out = state;
    return RC_OK;
}

static void destroy(void *state)
{
    if (state != NULL) {
        sodium_memzero(state, sizeof(crypto_aead_aes256gcm_state));
        free(state);
    }
}

static int lock(void *state, const uint8_t *nonce, struct rc_pack_bytes aad,
                struct rc_pack_bytes plain, uint8_t *out)
{
    int failed = crypto_aead_aes256gcm_encrypt_afternm(
        out, NULL, plain.at, plain.size, aad.at, aad.size, NULL, nonce, state);
    return failed ? RC_EIO : RC_OK;
}

static int unlock(void *state, const uint8_t *nonce, struct rc_pack_bytes aad,
                  struct rc_pack_bytes sealed, uint8_t *out)
{
    int failed = crypto_aead_aes256gcm_decrypt_afternm(
        out, NULL, NULL, sealed.at, sealed.size, aad.at, aad.size, nonce, state);
    return failed ? RC_EDENIED : RC_OK;
}

const struct seal_engine seal_sodium = {create, destroy, lock, unlock};

void seal_fingerprint(const uint8_t *key, size_t size, char out[SEAL_PRINT_SIZE])
{
    static const uint8_t purpose[] = "rollcall: fingerprint of a gossip key";
    uint8_t hash[crypto_generichash_BYTES_MIN];

    (void)crypto_generichash(hash, sizeof hash, key, size, purpose, sizeof purpose - 1);
    (void)sodium_bin2hex(out, SEAL_PRINT_SIZE, hash, (SEAL_PRINT_SIZE - 1) / 2);
}
