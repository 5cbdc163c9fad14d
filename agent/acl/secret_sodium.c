#include <string.h>

#include <sodium.h>

#include "agent/acl/secret.h"

_Static_assert(SECRET_KEY_SIZE >= crypto_generichash_KEYBYTES_MIN, "too short a key");

/* It fails only for sizes that are wrong at compile time. */
void secret_hash(const uint8_t key[SECRET_KEY_SIZE], const char *secret,
                 uint8_t out[SECRET_HASH_SIZE])
{
    (void)crypto_generichash(out, SECRET_HASH_SIZE, (const uint8_t *)secret,
                             strlen(secret), key, SECRET_KEY_SIZE);
}

void secret_digest(const void *bytes, size_t size, uint8_t out[SECRET_HASH_SIZE])
{
    (void)crypto_generichash(out, SECRET_HASH_SIZE, bytes, size, NULL, 0);
}
