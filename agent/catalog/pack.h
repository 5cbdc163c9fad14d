/* pack.h - the catalog's little MessagePack: numbers, text, arrays; tolerant and bounded.
 *
 * Only what the catalog sends. Reading works in place and allocates nothing, so a count
 * that lies costs nothing (a tree-building decoder would reserve what the count claims).
 * Structures are arrays of fields in a fixed order: a shorter one leaves the rest at zero,
 * a longer one, from a later version, is skipped to its end. */
#ifndef AGENT_CATALOG_PACK_H
#define AGENT_CATALOG_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/text.h"

void pack_nil(struct rc_buffer *out);
void pack_uint(struct rc_buffer *out, uint64_t value); /* the shortest form */
void pack_text(struct rc_buffer *out, const char *text);
void pack_text_bytes(struct rc_buffer *out, const void *bytes, size_t size);
void pack_bin(struct rc_buffer *out, const void *bytes, size_t size);
void pack_array(struct rc_buffer *out, size_t count);

/* An array whose count is told afterwards: returns its place, for pack_array_close(). */
size_t pack_array_open(struct rc_buffer *out);
void pack_array_close(struct rc_buffer *out, size_t place, size_t count);

/* An array being read: how many of its items are left. Reading beyond gives zero values. */
struct unpack_array {
    size_t left;
};

/* Opens the next item as an array. nil counts as an empty one. More items than bytes left
 * fail the cursor with RC_EMALFORMED, as does every item of a wrong type. */
struct unpack_array unpack_open(struct rc_cursor *in);
struct unpack_array unpack_array(struct rc_cursor *in, struct unpack_array *from);
uint64_t unpack_uint(struct rc_cursor *in, struct unpack_array *from);
struct rc_span unpack_text(struct rc_cursor *in, struct unpack_array *from); /* nil: "" */
struct rc_span unpack_bin(struct rc_cursor *in, struct unpack_array *from);

/* Skips what is left of an array, whatever it holds. */
void unpack_close(struct rc_cursor *in, struct unpack_array *from);

#endif
