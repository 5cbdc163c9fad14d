/* protobuf.h - messages of Protocol Buffers, field by field.
 *
 * Reading takes one field after the other from a cursor, in place and without allocating: a
 * message inside another is a cursor over its bytes. A field of another kind than was expected
 * reads as zero or empty, one that nobody knows is passed over. Failures stick in the cursor,
 * as RC_ETRUNCATED or RC_EMALFORMED; in writing, in the buffer.
 *
 * Source: Protocol Buffers, "Encoding" (wire types 0, 1, 2 and 5; groups are refused). */
#ifndef AGENT_ENGINE_PROTOBUF_H
#define AGENT_ENGINE_PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/pack.h"

struct protobuf_field {
    uint32_t number;            /* which field: 1 and more */
    uint64_t value;             /* of a number; negative ones as their two's complement */
    struct rc_pack_bytes bytes; /* of bytes, texts and messages; never NULL */
};

/* The next field; false at the message's end, and when the bytes are none. */
bool protobuf_next(struct rc_cursor *in, struct protobuf_field *out);

/* A cursor over the message in `field`. What it fails with is passed on by
 * protobuf_leave(). */
struct rc_cursor protobuf_enter(const struct protobuf_field *field);
void protobuf_leave(struct rc_cursor *in, const struct rc_cursor *inner);

/* ---- writing ------------------------------------------------------------------------ */

void protobuf_put_number(struct rc_buffer *out, uint32_t number, uint64_t value);
void protobuf_put_bytes(struct rc_buffer *out, uint32_t number,
                        struct rc_pack_bytes bytes);

/* Only the head of a field of `size` bytes, which the caller appends. */
void protobuf_put_head(struct rc_buffer *out, uint32_t number, size_t size);

/* A message whose length is told afterwards: returns its place, for protobuf_close(). */
size_t protobuf_open(struct rc_buffer *out, uint32_t number);
void protobuf_close(struct rc_buffer *out, size_t place);

#endif
