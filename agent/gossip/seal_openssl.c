/* seal_openssl.c - AES-GCM for every key size by libcrypto, loaded on first use. */
#include <limits.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "agent/gossip/seal.h"
#include "base/err.h"
#include "base/library.h"

/* The functions of libcrypto that we call, under their own names. */
struct crypto {
    EVP_CIPHER_CTX *(*EVP_CIPHER_CTX_new)(void);
    void (*EVP_CIPHER_CTX_free)(EVP_CIPHER_CTX *);
    int (*EVP_CipherInit_ex)(EVP_CIPHER_CTX *, const EVP_CIPHER *, ENGINE *,
                             const unsigned char *, const unsigned char *, int);
    int (*EVP_CipherUpdate)(EVP_CIPHER_CTX *, unsigned char *, int *,
                            const unsigned char *, int);
    int (*EVP_CipherFinal_ex)(EVP_CIPHER_CTX *, unsigned char *, int *);
    int (*EVP_CIPHER_CTX_ctrl)(EVP_CIPHER_CTX *, int, int, void *);
    const EVP_CIPHER *(*EVP_aes_128_gcm)(void);
    const EVP_CIPHER *(*EVP_aes_192_gcm)(void);
    const EVP_CIPHER *(*EVP_aes_256_gcm)(void);
};

struct state {
    struct crypto crypto;
    EVP_CIPHER_CTX *context; /* holds the key */
};

enum direction { UNLOCK, LOCK };

/* POSIX lets a function pointer be stored through a void **; C11 only tolerates it. */
#define SYMBOL(crypto, name)            \
    {                                   \
#name, (void **)&(crypto)->name \
    }

static int load(struct crypto *crypto)
{
    const struct rc_symbol symbols[] = {
        SYMBOL(crypto, EVP_CIPHER_CTX_new), SYMBOL(crypto, EVP_CIPHER_CTX_free),
        SYMBOL(crypto, EVP_CipherInit_ex),  SYMBOL(crypto, EVP_CipherUpdate),
        SYMBOL(crypto, EVP_CipherFinal_ex), SYMBOL(crypto, EVP_CIPHER_CTX_ctrl),
        SYMBOL(crypto, EVP_aes_128_gcm),    SYMBOL(crypto, EVP_aes_192_gcm),
        SYMBOL(crypto, EVP_aes_256_gcm),
    };
    char ignored[160]; /* RC_ENOTFOUND says enough */

    return rc_library_load("libcrypto.so.3", "libssl3", symbols,
                           sizeof symbols / sizeof symbols[0], ignored, sizeof ignored);
}

static const EVP_CIPHER *cipher_for(const struct crypto *crypto, size_t key_size)
{
    if (key_size == 16) {
        return crypto->EVP_aes_128_gcm();
    }
    return key_size == 24 ? crypto->EVP_aes_192_gcm() : crypto->EVP_aes_256_gcm();
}

static void destroy(void *opaque)
{
    struct state *state = opaque;

    if (state != NULL) {
        if (state->context != NULL) {
            state->crypto.EVP_CIPHER_CTX_free(state->context);
        }
        free(state);
    }
}

static int create(const uint8_t *key, size_t size, void **out)
{
    struct state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return RC_ENOMEM;
    }
    int err = load(&state->crypto);
    if (err != RC_OK) {
        destroy(state);
        return err;
    }
    state->context = state->crypto.EVP_CIPHER_CTX_new();
    if (state->context == NULL ||
        state->crypto.EVP_CipherInit_ex(state->context, cipher_for(&state->crypto, size),
                                        NULL, key, NULL, (int)LOCK) != 1) {
        destroy(state);
        return RC_ENOMEM;
    }
    *out = state;
    return RC_OK;
}

/* Key stays, nonce and direction change; then all of aad and text in one go. */
static int run(struct state *state, enum direction direction, const uint8_t *nonce,
               struct rc_pack_bytes aad, struct rc_pack_bytes text, uint8_t *out)
{
    const struct crypto *c = &state->crypto;
    int written = 0;

    if (aad.size > INT_MAX || text.size > INT_MAX) {
        return RC_ETOOBIG;
    }
    if (c->EVP_CipherInit_ex(state->context, NULL, NULL, NULL, nonce, (int)direction) !=
        1) {
        return RC_EIO;
    }
    if (aad.size > 0 &&
        c->EVP_CipherUpdate(state->context, NULL, &written, aad.at, (int)aad.size) != 1) {
        return RC_EIO;
    }
    if (text.size > 0 && c->EVP_CipherUpdate(state->context, out, &written, text.at,
                                             (int)text.size) != 1) {
        return RC_EIO;
    }
    return RC_OK;
}

static int lock(void *opaque, const uint8_t *nonce, struct rc_pack_bytes aad,
                struct rc_pack_bytes plain, uint8_t *out)
{
    struct state *state = opaque;
    const struct crypto *c = &state->crypto;
    int written = 0;

    int err = run(state, LOCK, nonce, aad, plain, out);
    if (err != RC_OK) {
        return err;
    }
    if (c->EVP_CipherFinal_ex(state->context, out + plain.size, &written) != 1 ||
        c->EVP_CIPHER_CTX_ctrl(state->context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE,
                               out + plain.size) != 1) {
        return RC_EIO;
    }
    return RC_OK;
}

static int unlock(void *opaque, const uint8_t *nonce, struct rc_pack_bytes aad,
                  struct rc_pack_bytes sealed, uint8_t *out)
{
    struct state *state = opaque;
    const struct crypto *c = &state->crypto;
    struct rc_pack_bytes text = {sealed.at, sealed.size - SEAL_TAG_SIZE};
    uint8_t tag[SEAL_TAG_SIZE];
    uint8_t nothing[SEAL_TAG_SIZE];
    int written = 0;

    int err = run(state, UNLOCK, nonce, aad, text, out);
    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < sizeof tag; i++) { /* libcrypto wants it writable */
        tag[i] = sealed.at[text.size + i];
    }
    if (c->EVP_CIPHER_CTX_ctrl(state->context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE,
                               tag) != 1 ||
        c->EVP_CipherFinal_ex(state->context, nothing, &written) != 1) {
        return RC_EDENIED;
    }
    return RC_OK;
}

const struct seal_engine seal_openssl = {create, destroy, lock, unlock};
