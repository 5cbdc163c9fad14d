#include "agent/catalog/mpack.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

/* Leading bytes (msgpack specification, "Formats"). */
enum {
    FIX_MAP = 0x80,
    FIX_ARRAY = 0x90,
    FIX_TEXT = 0xa0,
    NIL = 0xc0,
    BIN8 = 0xc4,
    BIN16 = 0xc5,
    BIN32 = 0xc6,
    UINT8 = 0xcc,
    UINT16 = 0xcd,
    UINT32 = 0xce,
    UINT64 = 0xcf,
    TEXT8 = 0xd9,
    TEXT16 = 0xda,
    TEXT32 = 0xdb,
    ARRAY16 = 0xdc,
    ARRAY32 = 0xdd,
    FIX_NEGATIVE = 0xe0
};

static void big_endian(struct rc_buffer *out, uint64_t value, unsigned bytes)
{
    uint8_t space[8];

    assert(bytes <= sizeof space);
    for (unsigned i = 0; i < bytes; i++) {
        space[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    }
    rc_buffer_append(out, space, bytes);
}

static void headed(struct rc_buffer *out, uint8_t head, uint64_t value, unsigned bytes)
{
    rc_buffer_byte(out, head);
    big_endian(out, value, bytes);
}

void mpack_nil(struct rc_buffer *out)
{
    rc_buffer_byte(out, NIL);
}

void mpack_uint(struct rc_buffer *out, uint64_t value)
{
    if (value < FIX_MAP) {
        rc_buffer_byte(out, (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        headed(out, UINT8, value, 1);
    } else if (value <= UINT16_MAX) {
        headed(out, UINT16, value, 2);
    } else if (value <= UINT32_MAX) {
        headed(out, UINT32, value, 4);
    } else {
        headed(out, UINT64, value, 8);
    }
}

void mpack_text(struct rc_buffer *out, const char *text)
{
    mpack_text_bytes(out, text, strlen(text));
}

void mpack_text_bytes(struct rc_buffer *out, const void *bytes, size_t size)
{
    assert(size <= UINT32_MAX);
    if (size < 32) {
        rc_buffer_byte(out, (uint8_t)(FIX_TEXT | size));
    } else if (size <= UINT8_MAX) {
        headed(out, TEXT8, size, 1);
    } else if (size <= UINT16_MAX) {
        headed(out, TEXT16, size, 2);
    } else {
        headed(out, TEXT32, size, 4);
    }
    rc_buffer_append(out, bytes, size);
}

void mpack_bin(struct rc_buffer *out, const void *bytes, size_t size)
{
    assert(size <= UINT32_MAX);
    if (size <= UINT8_MAX) {
        headed(out, BIN8, size, 1);
    } else if (size <= UINT16_MAX) {
        headed(out, BIN16, size, 2);
    } else {
        headed(out, BIN32, size, 4);
    }
    rc_buffer_append(out, bytes, size);
}

void mpack_array(struct rc_buffer *out, size_t count)
{
    assert(count <= UINT32_MAX);
    if (count < 16) {
        rc_buffer_byte(out, (uint8_t)(FIX_ARRAY | count));
    } else if (count <= UINT16_MAX) {
        headed(out, ARRAY16, count, 2);
    } else {
        headed(out, ARRAY32, count, 4);
    }
}

size_t mpack_array_open(struct rc_buffer *out)
{
    size_t place = out->size;

    headed(out, ARRAY32, 0, 4);
    return place;
}

void mpack_array_close(struct rc_buffer *out, size_t place, size_t count)
{
    assert(count <= UINT32_MAX);
    if (out->err != RC_OK) {
        return;
    }
    assert(out->size >= place + 5);
    for (unsigned i = 0; i < 4; i++) {
        out->bytes[place + 1 + i] = (uint8_t)(count >> (8 * (3 - i)));
    }
}

/* Takes one item from the array; false when there is none, or after a failure. */
static bool take(const struct rc_cursor *in, struct mpack_items *from)
{
    if (in->err != RC_OK || from->left == 0) {
        return false;
    }
    from->left--;
    return true;
}

static uint64_t number_of(struct rc_cursor *in, unsigned bytes)
{
    switch (bytes) {
    case 1:
        return rc_cursor_u8(in);
    case 2:
        return rc_cursor_u16(in);
    case 4:
        return rc_cursor_u32(in);
    default:
        return rc_cursor_u64(in);
    }
}

/* Length of an item that starts with `head` and is one of a family of up to three forms
 * with 1, 2 or 4 bytes of length, the first form being `first`. */
static size_t length_of(struct rc_cursor *in, uint8_t head, uint8_t first,
                        unsigned first_bytes)
{
    return (size_t)number_of(in, first_bytes << (head - first));
}

static struct mpack_items open_array(struct rc_cursor *in)
{
    struct mpack_items array = {0};
    uint8_t head = rc_cursor_u8(in);

    if (in->err != RC_OK || head == NIL) {
        return array;
    }
    if ((head & 0xf0) == FIX_ARRAY) {
        array.left = head & 0x0f;
    } else if (head == ARRAY16 || head == ARRAY32) {
        array.left = length_of(in, head, ARRAY16, 2);
    } else {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    if (array.left > rc_cursor_left(in)) { /* an item takes a byte at least */
        rc_cursor_fail(in, RC_EMALFORMED);
        array.left = 0;
    }
    return array;
}

struct mpack_items mpack_read_open(struct rc_cursor *in)
{
    return open_array(in);
}

struct mpack_items mpack_read_array(struct rc_cursor *in, struct mpack_items *from)
{
    struct mpack_items none = {0};

    return take(in, from) ? open_array(in) : none;
}

uint64_t mpack_read_uint(struct rc_cursor *in, struct mpack_items *from)
{
    if (!take(in, from)) {
        return 0;
    }
    uint8_t head = rc_cursor_u8(in);
    if (head < FIX_MAP) {
        return head;
    }
    if (head >= UINT8 && head <= UINT64) {
        return number_of(in, 1U << (head - UINT8));
    }
    if (head != NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return 0;
}

static struct rc_span slice(struct rc_cursor *in, size_t size)
{
    const uint8_t *at = rc_cursor_take(in, size);
    struct rc_span span = {"", 0};

    if (at != NULL) {
        span.at = (const char *)at;
        span.size = size;
    }
    return span;
}

struct rc_span mpack_read_text(struct rc_cursor *in, struct mpack_items *from)
{
    struct rc_span none = {"", 0};

    if (!take(in, from)) {
        return none;
    }
    uint8_t head = rc_cursor_u8(in);
    if ((head & 0xe0) == FIX_TEXT) {
        return slice(in, head & 0x1f);
    }
    if (head >= TEXT8 && head <= TEXT32) {
        return slice(in, length_of(in, head, TEXT8, 1));
    }
    if (head != NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return none;
}

struct rc_span mpack_read_bin(struct rc_cursor *in, struct mpack_items *from)
{
    struct rc_span none = {"", 0};

    if (!take(in, from)) {
        return none;
    }
    uint8_t head = rc_cursor_u8(in);
    if (head >= BIN8 && head <= BIN32) {
        return slice(in, length_of(in, head, BIN8, 1));
    }
    if (head != NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return none;
}

/* What follows a leading byte from 0xc0 to 0xdf: that many bytes, of which the first
 * `counted` are a length of further bytes (or, for containers, of items). */
struct form {
    uint8_t fixed;   /* plain bytes */
    uint8_t counted; /* size of the length field */
    uint8_t items;   /* for containers: items per count */
};

static const struct form
    forms[32] =
        {
            [0x04] = {0, 1, 0}, [0x05] = {0, 2, 0},
            [0x06] = {0, 4, 0}, /* bin */
            [0x07] = {1, 1, 0}, [0x08] = {1, 2, 0},
            [0x09] = {1, 4, 0},                     /* ext: a type byte too */
            [0x0a] = {4, 0, 0}, [0x0b] = {8, 0, 0}, /* float */
            [0x0c] = {1, 0, 0}, [0x0d] = {2, 0, 0},
            [0x0e] = {4, 0, 0}, [0x0f] = {8, 0, 0},
            [0x10] = {1, 0, 0}, [0x11] = {2, 0, 0},
            [0x12] = {4, 0, 0}, [0x13] = {8, 0, 0},
            [0x14] = {2, 0, 0}, [0x15] = {3, 0, 0},
            [0x16] = {5, 0, 0}, /* fixext */
            [0x17] = {9, 0, 0}, [0x18] = {17, 0, 0},
            [0x19] = {0, 1, 0}, [0x1a] = {0, 2, 0},
            [0x1b] = {0, 4, 0},                     /* str */
            [0x1c] = {0, 2, 1}, [0x1d] = {0, 4, 1}, /* array */
            [0x1e] = {0, 2, 2}, [0x1f] = {0, 4, 2}, /* map */
};

/* Skips one item without its children; returns how many children it has. */
static uint64_t skip_head(struct rc_cursor *in)
{
    uint8_t head = rc_cursor_u8(in);

    if (in->err != RC_OK || head < FIX_MAP || head >= FIX_NEGATIVE) {
        return 0;
    }
    if (head < FIX_ARRAY) {
        return 2 * (uint64_t)(head & 0x0fU);
    }
    if (head < FIX_TEXT) {
        return head & 0x0fU;
    }
    if (head < NIL) {
        (void)rc_cursor_take(in, head & 0x1fU);
        return 0;
    }
    const struct form *form = &forms[head - NIL];
    uint64_t length = form->counted == 0 ? 0 : number_of(in, form->counted);
    if (form->items != 0) {
        return length * form->items;
    }
    (void)rc_cursor_take(in, (size_t)length + form->fixed);
    return 0;
}

void mpack_read_close(struct rc_cursor *in, struct mpack_items *from)
{
    uint64_t waiting = from->left; /* a count instead of recursion */

    from->left = 0;
    while (waiting > 0 && in->err == RC_OK) {
        waiting += skip_head(in);
        waiting--;
        if (waiting > rc_cursor_left(in)) {
            rc_cursor_fail(in, RC_ETRUNCATED);
        }
    }
}
