/* pack.h - MessagePack, as memberlist, Serf and the catalog speak it.
 *
 * Writing (pack_msgpack.c) goes through msgpack-c and keeps to the old "raw" family for
 * strings and bytes alike (fixstr, a16, a32), which every generation of Go peers reads.
 *
 * Reading (pack.c) is our own, because msgpack-c's unpacker builds a tree: it allocates what
 * a count claims before the bytes are there, so a lying packet of a few bytes costs memory.
 * Here nothing is allocated, byte strings are slices of the input, and no count is believed
 * beyond the bytes left. It is tolerant: either string family where bytes are wanted, any
 * width and sign where a number is wanted, nil as zero everywhere. */
#ifndef BASE_PACK_H
#define BASE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"
#include "base/text.h"

struct rc_pack_bytes {
    const uint8_t *at; /* borrowed; NULL means nil */
    size_t size;
};

struct rc_pack_bytes rc_pack_text(const char *text); /* without its NUL; borrowed */
bool rc_pack_equals(struct rc_pack_bytes a, struct rc_pack_bytes b);

/* ---- reading. Failures stick in the cursor: RC_ETRUNCATED when bytes are missing,
 * RC_EMALFORMED otherwise; what is read after one is zero. */

enum rc_pack_kind {
    RC_PACK_NIL,
    RC_PACK_BOOL,
    RC_PACK_UNSIGNED,
    RC_PACK_NEGATIVE,
    RC_PACK_FLOAT,
    RC_PACK_BYTES,
    RC_PACK_ARRAY,
    RC_PACK_MAP,
    RC_PACK_EXT
};

struct rc_pack_item {
    enum rc_pack_kind kind;
    uint64_t number;            /* BOOL, UNSIGNED; NEGATIVE: as two's complement */
    double real;                /* FLOAT */
    struct rc_pack_bytes bytes; /* BYTES */
    uint32_t count; /* ARRAY: items, MAP: pairs; never more than bytes are left */
};

/* Reads one item: a whole scalar or byte string, or the head of an array or map. */
struct rc_pack_item rc_pack_read(struct rc_cursor *in);

/* Skips one value with all that is inside it. */
void rc_pack_skip(struct rc_cursor *in);

/* One value of a wanted type; another type fails the cursor with RC_EMALFORMED. */
struct rc_pack_bytes rc_pack_read_bytes(struct rc_cursor *in);
uint64_t rc_pack_read_number(struct rc_cursor *in, uint64_t max);
bool rc_pack_read_bool(struct rc_cursor *in);
double rc_pack_read_double(struct rc_cursor *in);
uint32_t rc_pack_read_array(struct rc_cursor *in);
uint32_t rc_pack_read_map(struct rc_cursor *in);

/* An array read as a structure, its fields in a fixed order: what a shorter one, of an
 * earlier version, lacks is zero or empty; what a longer one has more is skipped. */
struct rc_pack_items {
    size_t left; /* items not yet read */
};

struct rc_pack_items rc_pack_open(struct rc_cursor *in);
struct rc_pack_items rc_pack_next_array(struct rc_cursor *in, struct rc_pack_items *from);
uint64_t rc_pack_next_number(struct rc_cursor *in, struct rc_pack_items *from);
/* Text or bytes; nil gives "". A slice of the input, never NULL. */
struct rc_span rc_pack_next_text(struct rc_cursor *in, struct rc_pack_items *from);
/* Skips what is left of the array, whatever it holds. */
void rc_pack_close(struct rc_cursor *in, struct rc_pack_items *from);

/* ---- writing. Failures stick in the buffer. Numbers and heads take their shortest form. */

void rc_pack_write_nil(struct rc_buffer *out);
void rc_pack_write_bool(struct rc_buffer *out, bool value);
void rc_pack_write_number(struct rc_buffer *out, uint64_t value);
void rc_pack_write_double(struct rc_buffer *out, double value);
void rc_pack_write_float(struct rc_buffer *out, float value); /* read as a double */
void rc_pack_write_bytes(struct rc_buffer *out,
                         struct rc_pack_bytes bytes); /* NULL: nil */
void rc_pack_write_text(struct rc_buffer *out, const char *text);
void rc_pack_write_array(struct rc_buffer *out, size_t count);
void rc_pack_write_map(struct rc_buffer *out, size_t count);

/* An array whose count is told afterwards: returns its place, for rc_pack_write_close(). */
size_t rc_pack_write_open(struct rc_buffer *out);
void rc_pack_write_close(struct rc_buffer *out, size_t place, size_t count);

#endif
