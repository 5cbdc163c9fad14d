#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "agent/link/credential.h"
#include "base/err.h"
#include "base/text.h"

static_assert(CREDENTIAL_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "public key");
static_assert(CREDENTIAL_SECRET_SIZE == crypto_sign_SECRETKEYBYTES, "secret key");
static_assert(CREDENTIAL_SEED_SIZE == crypto_sign_SEEDBYTES, "seed");

static const char public_head[] = "rollcall-server-public:";
static const char secret_head[] = "rollcall-server-secret:";

enum { KEY_SIZE = 32, BASE64_SIZE = 44 };

void credential_from_seed(const uint8_t seed[CREDENTIAL_SEED_SIZE],
                          struct credential *out)
{
    (void)crypto_sign_seed_keypair(out->public_key, out->secret, seed); /* always 0 */
    out->is_set = true;
}

void credential_fini(struct credential *credential)
{
    sodium_memzero(credential, sizeof *credential);
}

void credential_sign(const struct credential *credential, const void *message,
                     size_t size, uint8_t out[CREDENTIAL_SIGNATURE_SIZE])
{
    assert(credential->is_set);
    (void)crypto_sign_detached(out, NULL, message, size,
                               credential->secret); /* always 0 */
}

bool credential_verify(const uint8_t key[CREDENTIAL_PUBLIC_SIZE], const void *message,
                       size_t size, const uint8_t signature[CREDENTIAL_SIGNATURE_SIZE])
{
    return crypto_sign_verify_detached(signature, message, size, key) == 0;
}

static void show(const char *head, const uint8_t key[KEY_SIZE],
                 char out[CREDENTIAL_TEXT_MAX])
{
    char text[BASE64_SIZE + 1];

    rc_text_to_base64(key, KEY_SIZE, text);
    (void)snprintf(out, CREDENTIAL_TEXT_MAX, "%s%s", head, text);
    sodium_memzero(text, sizeof text);
}

static int read_key(const char *head, const char *text, uint8_t out[KEY_SIZE])
{
    char base64[BASE64_SIZE + 1];
    uint8_t bytes[BASE64_SIZE];
    size_t size = 0;

    if (!rc_text_starts_with(text, head)) {
        return RC_EMALFORMED;
    }
    text += strlen(head);
    size_t length = strcspn(text, "\r\n");
    if (length != BASE64_SIZE || strspn(text + length, "\r\n") != strlen(text + length)) {
        return RC_EMALFORMED;
    }
    memcpy(base64, text, length);
    base64[length] = '\0';
    int err = rc_text_from_base64(base64, bytes, sizeof bytes, &size);
    if (err == RC_OK && size == KEY_SIZE) {
        memcpy(out, bytes, KEY_SIZE);
    } else {
        err = RC_EMALFORMED;
    }
    sodium_memzero(base64, sizeof base64);
    sodium_memzero(bytes, sizeof bytes);
    return err;
}

void credential_show_public(const uint8_t key[CREDENTIAL_PUBLIC_SIZE],
                            char out[CREDENTIAL_TEXT_MAX])
{
    show(public_head, key, out);
}

int credential_read_public(const char *text, uint8_t out[CREDENTIAL_PUBLIC_SIZE])
{
    return read_key(public_head, text, out);
}

void credential_show_secret(const struct credential *credential,
                            char out[CREDENTIAL_TEXT_MAX])
{
    show(secret_head, credential->secret, out); /* the seed stands first */
}

int credential_read_secret(const char *text, struct credential *out)
{
    uint8_t seed[CREDENTIAL_SEED_SIZE];

    int err = read_key(secret_head, text, seed);
    if (err == RC_OK) {
        credential_from_seed(seed, out);
    }
    sodium_memzero(seed, sizeof seed);
    return err;
}
