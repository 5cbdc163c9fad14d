/* seal.h - AES-GCM with one key: what keeps a pool's packets private and unforged.
 *
 * 32-byte keys use libsodium where the CPU has AES instructions; all else (16 and 24 bytes,
 * older CPUs) uses libcrypto, loaded when the first such key appears. NIST SP 800-38D with
 * 12-byte nonces and 16-byte tags. Nonces are the caller's: never the same twice. */
#ifndef AGENT_GOSSIP_SEAL_H
#define AGENT_GOSSIP_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/pack.h"

enum {
    SEAL_NONCE_SIZE = 12,
    SEAL_TAG_SIZE = 16,
    SEAL_KEY_MAX = 32,
    SEAL_PRINT_SIZE = 17
};

struct seal;

/* One way to do it. `create` returns RC_OK, RC_EUNSUPPORTED (not this key or CPU),
 * RC_ENOTFOUND (the library is missing) or RC_ENOMEM; the rest as the functions below. */
struct seal_engine {
    int (*create)(const uint8_t *key, size_t size, void **out);
    void (*destroy)(void *state);
    int (*lock)(void *state, const uint8_t *nonce, struct rc_pack_bytes aad,
                struct rc_pack_bytes plain, uint8_t *out);
    int (*unlock)(void *state, const uint8_t *nonce, struct rc_pack_bytes aad,
                  struct rc_pack_bytes sealed, uint8_t *out);
};

extern const struct seal_engine seal_sodium;
extern const struct seal_engine seal_openssl;

/* RC_OK, RC_EINVAL (not 16, 24 or 32 bytes), RC_ENOTFOUND (libcrypto wanted and missing),
 * RC_ENOMEM. */
int seal_create(const uint8_t *key, size_t size, struct seal **out);
/* The same by the first of `engines` that can: for tests of the fallback. */
int seal_create_by(const struct seal_engine *const *engines, size_t count,
                   const uint8_t *key, size_t size, struct seal **out);
void seal_destroy(struct seal *seal); /* wipes the key; NULL is allowed */

/* "AES-256-GCM, libsodium": what is done, and by whom; static. */
const char *seal_cipher(const struct seal *seal);

/* Which key it is, for people who compare: 16 hex digits of a hash that leads nowhere back. */
void seal_fingerprint(const uint8_t *key, size_t size, char out[SEAL_PRINT_SIZE]);

/* Encrypts into `out`, which has room for plain.size + SEAL_TAG_SIZE. RC_OK or RC_EIO. */
int seal_lock(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE],
              struct rc_pack_bytes aad, struct rc_pack_bytes plain, uint8_t *out);

/* Decrypts into `out`, which has room for sealed.size - SEAL_TAG_SIZE. RC_OK, or RC_EDENIED
 * when key, nonce, aad or a single bit is wrong. */
int seal_unlock(const struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE],
                struct rc_pack_bytes aad, struct rc_pack_bytes sealed, uint8_t *out);

#endif
