/* cursor.c - bounded reading; the only place that moves a pointer over foreign bytes. */
#include "base/cursor.h"

#include <assert.h>

#include "base/err.h"

struct rc_cursor rc_cursor_over(const void *bytes, size_t size)
{
    static const uint8_t nothing[1] = {0};

    assert(bytes != NULL || size == 0);
    const uint8_t *start = bytes != NULL ? bytes : nothing;
    return (struct rc_cursor){.at = start, .end = start + size, .err = RC_OK};
}

size_t rc_cursor_left(const struct rc_cursor *cursor)
{
    return cursor->err == RC_OK ? (size_t)(cursor->end - cursor->at) : 0;
}

const uint8_t *rc_cursor_take(struct rc_cursor *cursor, size_t size)
{
    if (cursor->err != RC_OK) {
        return NULL;
    }
    if (rc_cursor_left(cursor) < size) { /* compare lengths: `at + size` may wrap */
        cursor->err = RC_ETRUNCATED;
        return NULL;
    }
    const uint8_t *slice = cursor->at;
    cursor->at += size;
    return slice;
}

static uint64_t take_number(struct rc_cursor *cursor, size_t size)
{
    const uint8_t *bytes = rc_cursor_take(cursor, size);
    uint64_t value = 0;

    for (size_t i = 0; bytes != NULL && i < size; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

uint8_t rc_cursor_u8(struct rc_cursor *cursor)
{
    return (uint8_t)take_number(cursor, 1);
}

uint16_t rc_cursor_u16(struct rc_cursor *cursor)
{
    return (uint16_t)take_number(cursor, 2);
}

uint32_t rc_cursor_u32(struct rc_cursor *cursor)
{
    return (uint32_t)take_number(cursor, 4);
}

uint64_t rc_cursor_u64(struct rc_cursor *cursor)
{
    return take_number(cursor, 8);
}

void rc_cursor_fail(struct rc_cursor *cursor, int err)
{
    assert(err != RC_OK);
    if (cursor->err == RC_OK) {
        cursor->err = err;
    }
}
