/* lzw.h - unpacking what Go peers compressed.
 *
 * LZW with the least significant bit first and literals of 8 bits, as Go's compress/lzw
 * writes it. We never compress: every peer reads uncompressed messages. */
#ifndef AGENT_GOSSIP_LZW_H
#define AGENT_GOSSIP_LZW_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Appends the unpacked bytes to `out`, at most `max` of them. RC_OK, RC_EMALFORMED (a code
 * that cannot be, or no end code), RC_ETOOBIG or RC_ENOMEM. */
int lzw_decode(const uint8_t *bytes, size_t size, size_t max, struct rc_buffer *out);

#endif
