/* cursor.h - reading bytes that came from outside, without ever leaving them.
 *
 * The first failed read sticks: later reads return zero or NULL and change
 * nothing, so a parser reads a header straight down and tests `err` once. */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stddef.h>
#include <stdint.h>

struct rc_cursor {
    const uint8_t *at;  /* next unread byte; borrowed */
    const uint8_t *end; /* one past the last byte */
    int err;            /* RC_OK, or why the first failed read failed */
};

/* A cursor over `size` bytes, which must outlive it. `bytes` may be NULL if size is 0. */
struct rc_cursor rc_cursor_over(const void *bytes, size_t size);

/* Bytes not yet read; 0 after a failure. */
size_t rc_cursor_left(const struct rc_cursor *cursor);

/* The next `size` bytes in place, or NULL and RC_ETRUNCATED. */
const uint8_t *rc_cursor_take(struct rc_cursor *cursor, size_t size);

/* Big-endian unsigned integers; 0 and RC_ETRUNCATED when too few bytes are left. */
uint8_t rc_cursor_u8(struct rc_cursor *cursor);
uint16_t rc_cursor_u16(struct rc_cursor *cursor);
uint32_t rc_cursor_u32(struct rc_cursor *cursor);
uint64_t rc_cursor_u64(struct rc_cursor *cursor);

/* Marks the cursor failed with `err` unless it failed before; for a parser's own rules. */
void rc_cursor_fail(struct rc_cursor *cursor, int err);

#endif
