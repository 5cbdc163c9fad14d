/* mpack.h - the catalog's little MessagePack: numbers, text, arrays; tolerant and bounded.
 *
 * Only what the catalog sends. Reading works in place and allocates nothing, so a count
 * that lies costs nothing (a tree-building decoder would reserve what the count claims).
 * Structures are arrays of fields in a fixed order: a shorter one leaves the rest at zero,
 * a longer one, from a later version, is skipped to its end. */
#ifndef AGENT_CATALOG_MPACK_H
#define AGENT_CATALOG_MPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/text.h"

void mpack_nil(struct rc_buffer *out);
void mpack_uint(struct rc_buffer *out, uint64_t value); /* the shortest form */
void mpack_text(struct rc_buffer *out, const char *text);
void mpack_text_bytes(struct rc_buffer *out, const void *bytes, size_t size);
void mpack_bin(struct rc_buffer *out, const void *bytes, size_t size);
void mpack_array(struct rc_buffer *out, size_t count);

/* An array whose count is told afterwards: returns its place, for mpack_array_close(). */
size_t mpack_array_open(struct rc_buffer *out);
void mpack_array_close(struct rc_buffer *out, size_t place, size_t count);

/* An array being read: how many of its items are left. Reading beyond gives zero values. */
struct mpack_items {
    size_t left;
};

/* Opens the next item as an array. nil counts as an empty one. More items than bytes left
 * fail the cursor with RC_EMALFORMED, as does every item of a wrong type. */
struct mpack_items mpack_read_open(struct rc_cursor *in);
struct mpack_items mpack_read_array(struct rc_cursor *in, struct mpack_items *from);
uint64_t mpack_read_uint(struct rc_cursor *in, struct mpack_items *from);
struct rc_span mpack_read_text(struct rc_cursor *in,
                               struct mpack_items *from); /* nil: "" */
struct rc_span mpack_read_bin(struct rc_cursor *in, struct mpack_items *from);

/* Skips what is left of an array, whatever it holds. */
void mpack_read_close(struct rc_cursor *in, struct mpack_items *from);

#endif
