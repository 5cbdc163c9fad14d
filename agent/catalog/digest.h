/* digest.h - one owner's place in time in about 14 bytes, for syncs.
 *
 * Owner as 48 bits of a hash, epoch and version as numbers of seven bits a byte. Two owners
 * of 10,000 share a hash once in five million pools; then one of the two is brought up to
 * date by rumours alone. For this folder only. */
#ifndef AGENT_CATALOG_DIGEST_H
#define AGENT_CATALOG_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"

enum { DIGEST_KEY_SIZE = 6 };

struct digest_key {
    uint8_t bytes[DIGEST_KEY_SIZE];
};

struct digest {
    struct digest_key key;
    uint64_t epoch;
    uint64_t version;
};

struct digest_key digest_key(const char *owner);

/* Appends it to `out`. */
void digest_write(struct rc_buffer *out, const struct digest *digest);

/* Reads one. False at the end and after an error, which sticks in the cursor. */
bool digest_read(struct rc_cursor *in, struct digest *out);

#endif
