/* pack.c - the subset of MessagePack that memberlist and Serf speak. */
#include "agent/gossip/pack.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

enum {
    FIXINT_MAX = 0x7f,
    FIXMAP = 0x80,
    FIXARRAY = 0x90,
    FIXSTR = 0xa0,
    FIXSTR_END = 0xc0,
    NEGATIVE_FIXINT = 0xe0
};

struct pack_bytes pack_text(const char *text)
{
    assert(text != NULL);
    return (struct pack_bytes){(const uint8_t *)text, strlen(text)};
}

bool pack_equals(struct pack_bytes a, struct pack_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static struct pack_item bytes_item(struct rc_cursor *in, size_t size)
{
    const uint8_t *at = rc_cursor_take(in, size);
    return (struct pack_item){.kind = PACK_BYTES, .bytes = {at, at == NULL ? 0 : size}};
}

/* Every item of an array takes a byte and every pair of a map two, so a count beyond what is
 * left cannot be true: refused before anybody reserves memory for it. */
static struct pack_item container(struct rc_cursor *in, enum pack_kind kind,
                                  uint32_t count)
{
    size_t least = kind == PACK_MAP ? 2 : 1;

    if (count > rc_cursor_left(in) / least) {
        rc_cursor_fail(in, RC_ETRUNCATED);
        count = 0;
    }
    return (struct pack_item){.kind = kind, .count = count};
}

static struct pack_item number_item(uint64_t value)
{
    return (struct pack_item){.kind = PACK_UNSIGNED, .number = value};
}

static struct pack_item signed_item(int64_t value)
{
    return (struct pack_item){.kind = value < 0 ? PACK_NEGATIVE : PACK_UNSIGNED,
                              .number = (uint64_t)value};
}

static struct pack_item float32_item(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (struct pack_item){.kind = PACK_FLOAT, .real = (double)value};
}

static struct pack_item float64_item(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (struct pack_item){.kind = PACK_FLOAT, .real = value};
}

static struct pack_item ext_item(struct rc_cursor *in, size_t size)
{
    (void)rc_cursor_u8(in); /* its type */
    (void)rc_cursor_take(in, size);
    return (struct pack_item){.kind = PACK_EXT};
}

/* The formats c0..df, one byte each (msgpack specification, "formats"). */
static struct pack_item long_form(struct rc_cursor *in, uint8_t head)
{
    switch (head) {
    case 0xc0:
        return (struct pack_item){.kind = PACK_NIL};
    case 0xc2:
    case 0xc3:
        return (struct pack_item){.kind = PACK_BOOL, .number = head & 1};
    case 0xc4:
    case 0xd9:
        return bytes_item(in, rc_cursor_u8(in));
    case 0xc5:
    case 0xda:
        return bytes_item(in, rc_cursor_u16(in));
    case 0xc6:
    case 0xdb:
        return bytes_item(in, rc_cursor_u32(in));
    case 0xc7:
        return ext_item(in, rc_cursor_u8(in));
    case 0xc8:
        return ext_item(in, rc_cursor_u16(in));
    case 0xc9:
        return ext_item(in, rc_cursor_u32(in));
    case 0xca:
        return float32_item(rc_cursor_u32(in));
    case 0xcb:
        return float64_item(rc_cursor_u64(in));
    case 0xcc:
        return number_item(rc_cursor_u8(in));
    case 0xcd:
        return number_item(rc_cursor_u16(in));
    case 0xce:
        return number_item(rc_cursor_u32(in));
    case 0xcf:
        return number_item(rc_cursor_u64(in));
    case 0xd0:
        return signed_item((int8_t)rc_cursor_u8(in));
    case 0xd1:
        return signed_item((int16_t)rc_cursor_u16(in));
    case 0xd2:
        return signed_item((int32_t)rc_cursor_u32(in));
    case 0xd3:
        return signed_item((int64_t)rc_cursor_u64(in));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return ext_item(in, (size_t)1 << (head - 0xd4));
    case 0xdc:
        return container(in, PACK_ARRAY, rc_cursor_u16(in));
    case 0xdd:
        return container(in, PACK_ARRAY, rc_cursor_u32(in));
    case 0xde:
        return container(in, PACK_MAP, rc_cursor_u16(in));
    case 0xdf:
        return container(in, PACK_MAP, rc_cursor_u32(in));
    default: /* c1 is never used */
        rc_cursor_fail(in, RC_EMALFORMED);
        return (struct pack_item){.kind = PACK_NIL};
    }
}

struct pack_item pack_read(struct rc_cursor *in)
{
    uint8_t head = rc_cursor_u8(in);

    if (in->err != RC_OK) {
        return (struct pack_item){.kind = PACK_NIL};
    }
    if (head <= FIXINT_MAX) {
        return number_item(head);
    }
    if (head < FIXARRAY) {
        return container(in, PACK_MAP, head - FIXMAP);
    }
    if (head < FIXSTR) {
        return container(in, PACK_ARRAY, head - FIXARRAY);
    }
    if (head < FIXSTR_END) {
        return bytes_item(in, head - FIXSTR);
    }
    if (head >= NEGATIVE_FIXINT) {
        return signed_item((int8_t)head);
    }
    return long_form(in, head);
}

/* Counts what is still to come instead of descending, so no input is too deep for it. */
void pack_skip(struct rc_cursor *in)
{
    uint64_t waiting = 1;

    while (waiting > 0 && in->err == RC_OK) {
        struct pack_item item = pack_read(in);
        waiting--;
        if (item.kind == PACK_ARRAY) {
            waiting += item.count;
        } else if (item.kind == PACK_MAP) {
            waiting += 2 * (uint64_t)item.count;
        }
        if (waiting > rc_cursor_left(in)) {
            rc_cursor_fail(in, RC_ETRUNCATED);
        }
    }
}

static void expect(struct rc_cursor *in, const struct pack_item *item,
                   enum pack_kind kind)
{
    if (item->kind != kind && item->kind != PACK_NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
}

struct pack_bytes pack_read_bytes(struct rc_cursor *in)
{
    struct pack_item item = pack_read(in);
    expect(in, &item, PACK_BYTES);
    return in->err == RC_OK ? item.bytes : (struct pack_bytes){NULL, 0};
}

uint64_t pack_read_number(struct rc_cursor *in, uint64_t max)
{
    struct pack_item item = pack_read(in);
    if (item.kind != PACK_BOOL) {
        expect(in, &item, PACK_UNSIGNED);
    }
    if (item.number > max) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return in->err == RC_OK ? item.number : 0;
}

bool pack_read_bool(struct rc_cursor *in)
{
    return pack_read_number(in, 1) != 0;
}

double pack_read_double(struct rc_cursor *in)
{
    struct pack_item item = pack_read(in);
    if (item.kind == PACK_UNSIGNED) {
        return (double)item.number;
    }
    if (item.kind == PACK_NEGATIVE) {
        return (double)(int64_t)item.number;
    }
    expect(in, &item, PACK_FLOAT);
    return item.real;
}

uint32_t pack_read_array(struct rc_cursor *in)
{
    struct pack_item item = pack_read(in);
    expect(in, &item, PACK_ARRAY);
    return in->err == RC_OK ? item.count : 0;
}

uint32_t pack_read_map(struct rc_cursor *in)
{
    struct pack_item item = pack_read(in);
    expect(in, &item, PACK_MAP);
    return in->err == RC_OK ? item.count : 0;
}

static void write_big_endian(struct rc_buffer *out, uint8_t head, uint64_t value,
                             size_t size)
{
    uint8_t bytes[9] = {head};

    assert(size <= 8);
    for (size_t i = 0; i < size; i++) {
        bytes[1 + i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
    rc_buffer_append(out, bytes, 1 + size);
}

void pack_write_nil(struct rc_buffer *out)
{
    rc_buffer_byte(out, 0xc0);
}

void pack_write_bool(struct rc_buffer *out, bool value)
{
    rc_buffer_byte(out, value ? 0xc3 : 0xc2);
}

void pack_write_number(struct rc_buffer *out, uint64_t value)
{
    if (value <= FIXINT_MAX) {
        rc_buffer_byte(out, (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        write_big_endian(out, 0xcc, value, 1);
    } else if (value <= UINT16_MAX) {
        write_big_endian(out, 0xcd, value, 2);
    } else if (value <= UINT32_MAX) {
        write_big_endian(out, 0xce, value, 4);
    } else {
        write_big_endian(out, 0xcf, value, 8);
    }
}

void pack_write_double(struct rc_buffer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    write_big_endian(out, 0xcb, bits, 8);
}

static void write_head(struct rc_buffer *out, uint8_t fix, size_t fix_max, uint8_t head16,
                       size_t count)
{
    assert(count <= UINT32_MAX);
    if (count <= fix_max) {
        rc_buffer_byte(out, (uint8_t)(fix + count));
    } else if (count <= UINT16_MAX) {
        write_big_endian(out, head16, count, 2);
    } else {
        write_big_endian(out, (uint8_t)(head16 + 1), count, 4);
    }
}

void pack_write_bytes(struct rc_buffer *out, struct pack_bytes bytes)
{
    if (bytes.at == NULL) {
        pack_write_nil(out);
        return;
    }
    write_head(out, FIXSTR, 31, 0xda, bytes.size);
    rc_buffer_append(out, bytes.at, bytes.size);
}

void pack_write_text(struct rc_buffer *out, const char *text)
{
    pack_write_bytes(out, pack_text(text));
}

void pack_write_array(struct rc_buffer *out, size_t count)
{
    write_head(out, FIXARRAY, 15, 0xdc, count);
}

void pack_write_map(struct rc_buffer *out, size_t count)
{
    write_head(out, FIXMAP, 15, 0xde, count);
}
