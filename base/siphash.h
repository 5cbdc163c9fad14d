/* siphash.h - SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash of short inputs.
 *
 * Nobody without the key can choose inputs that collide, nor tell the hash of another
 * input. For tables that strangers fill, and for cookies; not for signatures. */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum { RC_SIPHASH_KEY_SIZE = 16, RC_SIPHASH_SIZE = 8 };

/* The hash as the paper writes it down: least significant byte first. */
void rc_siphash(const uint8_t key[RC_SIPHASH_KEY_SIZE], const void *bytes, size_t size,
                uint8_t out[RC_SIPHASH_SIZE]);

#endif
