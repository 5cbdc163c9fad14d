/* pack.h - the subset of MessagePack that memberlist and Serf speak.
 *
 * Reading is tolerant: either string family where bytes are wanted, any width and sign
 * where a number is wanted, nil as zero everywhere. Writing keeps to the old "raw" family
 * (fixstr, a16, a32), which every generation of Go peers reads. Nothing is allocated by
 * reading: byte strings are slices of the input. */
#ifndef AGENT_GOSSIP_PACK_H
#define AGENT_GOSSIP_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/cursor.h"

struct pack_bytes {
    const uint8_t *at; /* borrowed; NULL means nil */
    size_t size;
};

enum pack_kind {
    PACK_NIL,
    PACK_BOOL,
    PACK_UNSIGNED,
    PACK_NEGATIVE,
    PACK_FLOAT,
    PACK_BYTES,
    PACK_ARRAY,
    PACK_MAP,
    PACK_EXT
};

struct pack_item {
    enum pack_kind kind;
    uint64_t number;         /* BOOL, UNSIGNED; NEGATIVE: as two's complement */
    double real;             /* FLOAT */
    struct pack_bytes bytes; /* BYTES */
    uint32_t count; /* ARRAY: items, MAP: pairs; never more than bytes are left */
};

struct pack_bytes pack_text(const char *text); /* without its NUL; borrowed */
bool pack_equals(struct pack_bytes a, struct pack_bytes b);

/* Reads one item: a whole scalar or byte string, or the head of an array or map. Failures
 * stick in the cursor: RC_ETRUNCATED when bytes are missing, RC_EMALFORMED. */
struct pack_item pack_read(struct rc_cursor *in);

/* Skips one value with all that is inside it. */
void pack_skip(struct rc_cursor *in);

/* One value of a wanted type; another type fails the cursor with RC_EMALFORMED. */
struct pack_bytes pack_read_bytes(struct rc_cursor *in);
uint64_t pack_read_number(struct rc_cursor *in, uint64_t max);
bool pack_read_bool(struct rc_cursor *in);
double pack_read_double(struct rc_cursor *in);
uint32_t pack_read_array(struct rc_cursor *in);
uint32_t pack_read_map(struct rc_cursor *in);

void pack_write_nil(struct rc_buffer *out);
void pack_write_bool(struct rc_buffer *out, bool value);
void pack_write_number(struct rc_buffer *out, uint64_t value);
void pack_write_double(struct rc_buffer *out, double value);
void pack_write_bytes(struct rc_buffer *out, struct pack_bytes bytes); /* nil if NULL */
void pack_write_text(struct rc_buffer *out, const char *text);
void pack_write_array(struct rc_buffer *out, size_t count);
void pack_write_map(struct rc_buffer *out, size_t count);

#endif
