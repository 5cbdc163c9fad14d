#include <sodium.h>

#include "base/siphash.h"

_Static_assert(RC_SIPHASH_KEY_SIZE == crypto_shorthash_siphash24_KEYBYTES, "key");
_Static_assert(RC_SIPHASH_SIZE == crypto_shorthash_siphash24_BYTES, "hash");

void rc_siphash(const uint8_t key[RC_SIPHASH_KEY_SIZE], const void *bytes, size_t size,
                uint8_t out[RC_SIPHASH_SIZE])
{
    (void)crypto_shorthash_siphash24(out, bytes, size, key); /* always 0 */
}
