/* protobuf.c - varints, heads and lengths. */
#include "agent/engine/protobuf.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

enum { VARINT_MAX = 10, NUMBER_MAX = (1 << 29) - 1 };

/* Seven bits in each byte, the lowest first. */
static uint64_t take_varint(struct rc_cursor *in)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t byte = rc_cursor_u8(in);
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            return in->err == RC_OK ? value : 0;
        }
    }
    rc_cursor_fail(in, RC_EMALFORMED);
    return 0;
}

/* A number of `size` bytes, the lowest first. */
static uint64_t take_fixed(struct rc_cursor *in, size_t size)
{
    const uint8_t *bytes = rc_cursor_take(in, size);
    uint64_t value = 0;

    for (size_t i = size; bytes != NULL && i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

static struct rc_pack_bytes take_bytes(struct rc_cursor *in)
{
    uint64_t size = take_varint(in);

    if (size > rc_cursor_left(in)) {
        rc_cursor_fail(in, RC_ETRUNCATED);
    }
    const uint8_t *at = rc_cursor_take(in, (size_t)size);
    return at == NULL ? rc_pack_text("") : (struct rc_pack_bytes){at, (size_t)size};
}

bool protobuf_next(struct rc_cursor *in, struct protobuf_field *out)
{
    *out = (struct protobuf_field){.bytes = rc_pack_text("")};
    if (rc_cursor_left(in) == 0) {
        return false;
    }
    uint64_t head = take_varint(in);
    uint64_t number = head >> 3;
    switch (head & 7) {
    case WIRE_VARINT:
        out->value = take_varint(in);
        break;
    case WIRE_FIXED64:
        out->value = take_fixed(in, 8);
        break;
    case WIRE_BYTES:
        out->bytes = take_bytes(in);
        break;
    case WIRE_FIXED32:
        out->value = take_fixed(in, 4);
        break;
    default:
        rc_cursor_fail(in, RC_EMALFORMED);
        break;
    }
    if (number == 0 || number > NUMBER_MAX) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    out->number = (uint32_t)number;
    return in->err == RC_OK;
}

struct rc_cursor protobuf_enter(const struct protobuf_field *field)
{
    return rc_cursor_over(field->bytes.at, field->bytes.size);
}

void protobuf_leave(struct rc_cursor *in, const struct rc_cursor *inner)
{
    if (inner->err != RC_OK) {
        rc_cursor_fail(in, inner->err);
    }
}

/* ---- writing ------------------------------------------------------------------------ */

static size_t varint_of(uint64_t value, uint8_t space[VARINT_MAX])
{
    size_t size = 0;

    while (value >= 0x80) {
        space[size++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    space[size++] = (uint8_t)value;
    return size;
}

static void put_varint(struct rc_buffer *out, uint64_t value)
{
    uint8_t space[VARINT_MAX];

    rc_buffer_append(out, space, varint_of(value, space));
}

static void put_tag(struct rc_buffer *out, uint32_t number, enum wire_type type)
{
    assert(number >= 1 && number <= NUMBER_MAX);
    put_varint(out, (uint64_t)number << 3 | type);
}

void protobuf_put_number(struct rc_buffer *out, uint32_t number, uint64_t value)
{
    put_tag(out, number, WIRE_VARINT);
    put_varint(out, value);
}

void protobuf_put_head(struct rc_buffer *out, uint32_t number, size_t size)
{
    put_tag(out, number, WIRE_BYTES);
    put_varint(out, size);
}

void protobuf_put_bytes(struct rc_buffer *out, uint32_t number,
                        struct rc_pack_bytes bytes)
{
    protobuf_put_head(out, number, bytes.size);
    rc_buffer_append(out, bytes.at, bytes.size);
}

size_t protobuf_open(struct rc_buffer *out, uint32_t number)
{
    put_tag(out, number, WIRE_BYTES);
    return out->size;
}

/* The length comes before what it counts, which so has to move on. */
void protobuf_close(struct rc_buffer *out, size_t place)
{
    uint8_t space[VARINT_MAX];

    if (out->err != RC_OK) {
        return;
    }
    assert(place <= out->size);
    size_t inside = out->size - place;
    size_t size = varint_of(inside, space);
    rc_buffer_append(out, space, size);
    if (out->err == RC_OK) {
        memmove(out->bytes + place + size, out->bytes + place, inside);
        memcpy(out->bytes + place, space, size);
    }
}
