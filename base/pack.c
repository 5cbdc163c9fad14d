/* pack.c - reading MessagePack in place. */
#include "base/pack.h"

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

struct rc_pack_bytes rc_pack_text(const char *text)
{
    assert(text != NULL);
    return (struct rc_pack_bytes){(const uint8_t *)text, strlen(text)};
}

bool rc_pack_equals(struct rc_pack_bytes a, struct rc_pack_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.at, b.at, a.size) == 0);
}

static struct rc_pack_item bytes_item(struct rc_cursor *in, size_t size)
{
    const uint8_t *at = rc_cursor_take(in, size);
    return (struct rc_pack_item){.kind = RC_PACK_BYTES,
                                 .bytes = {at, at == NULL ? 0 : size}};
}

/* Every item of an array takes a byte and every pair of a map two, so a count beyond what is
 * left cannot be true: refused before anybody reserves memory for it. */
static struct rc_pack_item container(struct rc_cursor *in, enum rc_pack_kind kind,
                                     uint32_t count)
{
    size_t least = kind == RC_PACK_MAP ? 2 : 1;

    if (count > rc_cursor_left(in) / least) {
        rc_cursor_fail(in, RC_ETRUNCATED);
        count = 0;
    }
    return (struct rc_pack_item){.kind = kind, .count = count};
}

static struct rc_pack_item number_item(uint64_t value)
{
    return (struct rc_pack_item){.kind = RC_PACK_UNSIGNED, .number = value};
}

static struct rc_pack_item signed_item(int64_t value)
{
    return (struct rc_pack_item){.kind = value < 0 ? RC_PACK_NEGATIVE : RC_PACK_UNSIGNED,
                                 .number = (uint64_t)value};
}

static struct rc_pack_item float32_item(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return (struct rc_pack_item){.kind = RC_PACK_FLOAT, .real = (double)value};
}

static struct rc_pack_item float64_item(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (struct rc_pack_item){.kind = RC_PACK_FLOAT, .real = value};
}

static struct rc_pack_item ext_item(struct rc_cursor *in, size_t size)
{
    (void)rc_cursor_u8(in); /* its type */
    (void)rc_cursor_take(in, size);
    return (struct rc_pack_item){.kind = RC_PACK_EXT};
}

/* The formats c0..df, one byte each (msgpack specification, "formats"). */
static struct rc_pack_item long_form(struct rc_cursor *in, uint8_t head)
{
    switch (head) {
    case 0xc0:
        return (struct rc_pack_item){.kind = RC_PACK_NIL};
    case 0xc2:
    case 0xc3:
        return (struct rc_pack_item){.kind = RC_PACK_BOOL, .number = head & 1};
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
        return container(in, RC_PACK_ARRAY, rc_cursor_u16(in));
    case 0xdd:
        return container(in, RC_PACK_ARRAY, rc_cursor_u32(in));
    case 0xde:
        return container(in, RC_PACK_MAP, rc_cursor_u16(in));
    case 0xdf:
        return container(in, RC_PACK_MAP, rc_cursor_u32(in));
    default: /* c1 is never used */
        rc_cursor_fail(in, RC_EMALFORMED);
        return (struct rc_pack_item){.kind = RC_PACK_NIL};
    }
}

struct rc_pack_item rc_pack_read(struct rc_cursor *in)
{
    uint8_t head = rc_cursor_u8(in);

    if (in->err != RC_OK) {
        return (struct rc_pack_item){.kind = RC_PACK_NIL};
    }
    if (head <= FIXINT_MAX) {
        return number_item(head);
    }
    if (head < FIXARRAY) {
        return container(in, RC_PACK_MAP, head - FIXMAP);
    }
    if (head < FIXSTR) {
        return container(in, RC_PACK_ARRAY, head - FIXARRAY);
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
static void skip_values(struct rc_cursor *in, uint64_t waiting)
{
    while (waiting > 0 && in->err == RC_OK) {
        struct rc_pack_item item = rc_pack_read(in);
        waiting--;
        if (item.kind == RC_PACK_ARRAY) {
            waiting += item.count;
        } else if (item.kind == RC_PACK_MAP) {
            waiting += 2 * (uint64_t)item.count;
        }
        if (waiting > rc_cursor_left(in)) {
            rc_cursor_fail(in, RC_ETRUNCATED);
        }
    }
}

void rc_pack_skip(struct rc_cursor *in)
{
    skip_values(in, 1);
}

static void expect(struct rc_cursor *in, const struct rc_pack_item *item,
                   enum rc_pack_kind kind)
{
    if (item->kind != kind && item->kind != RC_PACK_NIL) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
}

struct rc_pack_bytes rc_pack_read_bytes(struct rc_cursor *in)
{
    struct rc_pack_item item = rc_pack_read(in);
    expect(in, &item, RC_PACK_BYTES);
    return in->err == RC_OK ? item.bytes : (struct rc_pack_bytes){NULL, 0};
}

uint64_t rc_pack_read_number(struct rc_cursor *in, uint64_t max)
{
    struct rc_pack_item item = rc_pack_read(in);
    if (item.kind != RC_PACK_BOOL) {
        expect(in, &item, RC_PACK_UNSIGNED);
    }
    if (item.number > max) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return in->err == RC_OK ? item.number : 0;
}

bool rc_pack_read_bool(struct rc_cursor *in)
{
    return rc_pack_read_number(in, 1) != 0;
}

double rc_pack_read_double(struct rc_cursor *in)
{
    struct rc_pack_item item = rc_pack_read(in);
    if (item.kind == RC_PACK_UNSIGNED) {
        return (double)item.number;
    }
    if (item.kind == RC_PACK_NEGATIVE) {
        return (double)(int64_t)item.number;
    }
    expect(in, &item, RC_PACK_FLOAT);
    return item.real;
}

uint32_t rc_pack_read_array(struct rc_cursor *in)
{
    struct rc_pack_item item = rc_pack_read(in);
    expect(in, &item, RC_PACK_ARRAY);
    return in->err == RC_OK ? item.count : 0;
}

uint32_t rc_pack_read_map(struct rc_cursor *in)
{
    struct rc_pack_item item = rc_pack_read(in);
    expect(in, &item, RC_PACK_MAP);
    return in->err == RC_OK ? item.count : 0;
}

struct rc_pack_items rc_pack_open(struct rc_cursor *in)
{
    return (struct rc_pack_items){rc_pack_read_array(in)};
}

/* Takes one item from the array; false when there is none, or after a failure. */
static bool take(const struct rc_cursor *in, struct rc_pack_items *from)
{
    if (in->err != RC_OK || from->left == 0) {
        return false;
    }
    from->left--;
    return true;
}

struct rc_pack_items rc_pack_next_array(struct rc_cursor *in, struct rc_pack_items *from)
{
    return take(in, from) ? rc_pack_open(in) : (struct rc_pack_items){0};
}

uint64_t rc_pack_next_number(struct rc_cursor *in, struct rc_pack_items *from)
{
    return take(in, from) ? rc_pack_read_number(in, UINT64_MAX) : 0;
}

struct rc_span rc_pack_next_text(struct rc_cursor *in, struct rc_pack_items *from)
{
    struct rc_pack_bytes bytes = {NULL, 0};

    if (take(in, from)) {
        bytes = rc_pack_read_bytes(in);
    }
    return bytes.at == NULL ? (struct rc_span){"", 0}
                            : (struct rc_span){(const char *)bytes.at, bytes.size};
}

void rc_pack_close(struct rc_cursor *in, struct rc_pack_items *from)
{
    uint64_t waiting = from->left;

    from->left = 0;
    skip_values(in, waiting);
}
