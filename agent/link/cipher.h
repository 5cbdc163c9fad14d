/* cipher.h - the two encrypted streams of a link, frame by frame.
 *
 * libsodium's secretstream (XChaCha20-Poly1305): frames cannot be changed, left out, repeated or
 * reordered, and the last one says that it is the last. A frame on the wire is the length of
 * what follows in 4 bytes, which are sealed along, and the sealed bytes. In front of all stands
 * the stream's header. The key is changed every 2^20 frames or after an hour. */
#ifndef AGENT_LINK_CIPHER_H
#define AGENT_LINK_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

struct cipher;

enum {
    CIPHER_HEADER_SIZE = 24,
    CIPHER_LENGTH_SIZE = 4,
    CIPHER_OVERHEAD = 17,
    CIPHER_FRAME_MAX = 64 << 10, /* plain bytes */
    CIPHER_REKEY_FRAMES = 1 << 20,
    CIPHER_REKEY_MS = 3600 * 1000
};

enum cipher_kind { CIPHER_MORE, CIPHER_LAST };

/* NULL when memory is out. The keys are copied. */
struct cipher *cipher_create(const uint8_t send_key[32], const uint8_t receive_key[32],
                             uint64_t now_ms);
void cipher_destroy(struct cipher *cipher); /* NULL is allowed */

/* What must be sent before any frame, and fed from the other side. */
void cipher_header(const struct cipher *cipher, uint8_t out[CIPHER_HEADER_SIZE]);
int cipher_take_header(struct cipher *cipher,
                       const uint8_t header[CIPHER_HEADER_SIZE]); /* RC_OK, RC_EDENIED */

/* Appends a frame with `size` (at most CIPHER_FRAME_MAX) bytes. RC_OK or RC_ENOMEM. */
int cipher_seal(struct cipher *cipher, uint64_t now_ms, const void *plain, size_t size,
                enum cipher_kind kind, struct rc_buffer *out);

/* The size of the sealed bytes behind this length. RC_OK, or RC_ETOOBIG: no frame is so long
 * or so short. */
int cipher_length(const uint8_t length[CIPHER_LENGTH_SIZE], size_t *out);

/* Opens the sealed bytes behind `length` into `out`, which is replaced. RC_OK; RC_EDENIED:
 * they are not the next frame; RC_ENOMEM. `*kind` tells whether more may come. */
int cipher_open(struct cipher *cipher, const uint8_t length[CIPHER_LENGTH_SIZE],
                const uint8_t *sealed, size_t size, struct rc_buffer *out,
                enum cipher_kind *kind);

#endif
