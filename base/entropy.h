/* entropy.h - bytes that nobody can guess: for keys, nonces, ids and the seeds of generators. */
#ifndef BASE_ENTROPY_H
#define BASE_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

/* Fills `out` from the system's generator (libsodium). Never fails once the system runs. */
void rc_entropy(void *out, size_t size);

/* A seed for struct rc_random. */
uint64_t rc_entropy_u64(void);

#endif
