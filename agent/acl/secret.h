/* secret.h - how tokens are kept: never as they are.
 *
 * BLAKE2b (RFC 7693) with a key that only the store's servers have, so that whoever sees the
 * hashes cannot try guesses on them. Looking a token up by its hash also takes the same time
 * whatever it shares with a real one. secret_sodium.c is the edge to libsodium. */
#ifndef AGENT_ACL_SECRET_H
#define AGENT_ACL_SECRET_H

#include <stddef.h>
#include <stdint.h>

enum { SECRET_KEY_SIZE = 32, SECRET_HASH_SIZE = 32 };

void secret_hash(const uint8_t key[SECRET_KEY_SIZE], const char *secret,
                 uint8_t out[SECRET_HASH_SIZE]);

/* Without a key: of what is no secret. */
void secret_digest(const void *bytes, size_t size, uint8_t out[SECRET_HASH_SIZE]);

#endif
