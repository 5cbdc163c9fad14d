/* lzw.h - unpacking what Go peers compressed, and packing for them.
 *
 * LZW with the least significant bit first and literals of 8 bits, as Go's compress/lzw
 * writes it. We compress states (push/pull) only: packets are too small to gain. */
#ifndef AGENT_GOSSIP_LZW_H
#define AGENT_GOSSIP_LZW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Appends the unpacked bytes to `out`, at most `max` of them. RC_OK, RC_EMALFORMED (a code
 * that cannot be, or no end code), RC_ETOOBIG or RC_ENOMEM. */
int lzw_decode(const uint8_t *bytes, size_t size, size_t max, struct rc_buffer *out);

/* Appends the packed bytes to `out`. RC_OK, RC_EINVAL (`size` is 0) or RC_ENOMEM. */
int lzw_encode(const uint8_t *bytes, size_t size, struct rc_buffer *out);

#endif
