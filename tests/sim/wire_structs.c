#include "tests/sim/wire_structs.h"

#include <assert.h>
#include <string.h>

#include "agent/gossip/wire_format.h"
#include "base/err.h"

/* Names of the linker's: see wire_structs.h.
 * NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,readability-identifier-naming) */

enum {
    HEAD_SHORT = 3, /* MessagePack's raw 16: a skip over it needs no double */
    HEAD_LONG = 5,
    RAW_16 = 0xda,
    RAW_32 = 0xdb,
    CRC_SIZE = 5
};

static enum wire_passing passing; /* see wire_pass() */

void wire_pass(enum wire_passing how)
{
    passing = how;
}

/* ---- lengths, as MessagePack has them */

static size_t number_size(uint64_t value)
{
    if (value < 0x80) {
        return 1;
    }
    if (value <= UINT8_MAX) {
        return 2;
    }
    if (value <= UINT16_MAX) {
        return 3;
    }
    return value <= UINT32_MAX ? 5 : 9;
}

static size_t bytes_size(const struct rc_pack_bytes *bytes)
{
    if (bytes->at == NULL) {
        return 1;
    }
    size_t head = bytes->size < 32            ? 1
                  : bytes->size <= UINT16_MAX ? HEAD_SHORT
                                              : HEAD_LONG;
    return head + bytes->size;
}

static uint64_t number_at(const struct wire_field *field, const void *place)
{
    switch (field->kind) {
    case WIRE_FIELD_U8:
        return *(const uint8_t *)place;
    case WIRE_FIELD_U16:
        return *(const uint16_t *)place;
    case WIRE_FIELD_U32:
        return *(const uint32_t *)place;
    case WIRE_FIELD_U64:
        return *(const uint64_t *)place;
    case WIRE_FIELD_BOOL:
        return *(const bool *)place;
    case WIRE_FIELD_BYTES:
    case WIRE_FIELD_RAW:
    case WIRE_FIELD_DOUBLE:
    case WIRE_FIELD_VERSIONS:
        break;
    }
    assert(false);
    return 0;
}

static size_t value_size(const struct wire_field *field, const void *place)
{
    const struct rc_pack_bytes *bytes = place;

    switch (field->kind) {
    case WIRE_FIELD_BYTES:
        return bytes_size(bytes);
    case WIRE_FIELD_RAW:
        return bytes->at == NULL ? 1 : bytes->size;
    case WIRE_FIELD_U8:
    case WIRE_FIELD_U16:
    case WIRE_FIELD_U32:
    case WIRE_FIELD_U64:
        return number_size(number_at(field, place));
    case WIRE_FIELD_BOOL:
        return 1;
    case WIRE_FIELD_DOUBLE:
        return 1 + sizeof(float);
    case WIRE_FIELD_VERSIONS:
        return 1 + WIRE_VERSIONS_SIZE;
    }
    return 0;
}

static bool is_left_out(const struct wire_field *field, const void *place)
{
    if (field->presence == WIRE_ALWAYS) {
        return false;
    }
    return field->kind == WIRE_FIELD_U16
               ? *(const uint16_t *)place == 0
               : ((const struct rc_pack_bytes *)place)->size == 0;
}

size_t wire_size(const struct wire_format *format, const void *message)
{
    const uint8_t *base = message;
    size_t size = 0;
    size_t count = 0;

    for (size_t i = 0; i < format->count; i++) {
        const struct wire_field *field = &format->fields[i];
        if (!is_left_out(field, base + field->offset)) {
            size += 1 + strlen(field->name) + value_size(field, base + field->offset);
            count++;
        }
    }
    return size + (count < 16 ? 1 : 3);
}

/* ---- writing */

static void put_number(struct rc_buffer *out, uint64_t value)
{
    while (value >= 0x80) {
        rc_buffer_byte(out, (uint8_t)(value | 0x80));
        value >>= 7;
    }
    rc_buffer_byte(out, (uint8_t)value);
}

static bool is_nothing(const struct wire_field *field, const void *place)
{
    switch (field->kind) {
    case WIRE_FIELD_BYTES:
    case WIRE_FIELD_RAW:
        return ((const struct rc_pack_bytes *)place)->at == NULL ||
               is_left_out(field, place);
    case WIRE_FIELD_DOUBLE:
    case WIRE_FIELD_VERSIONS:
        return false;
    case WIRE_FIELD_U8:
    case WIRE_FIELD_U16:
    case WIRE_FIELD_U32:
    case WIRE_FIELD_U64:
    case WIRE_FIELD_BOOL:
        break;
    }
    return number_at(field, place) == 0;
}

static void put_value(const struct wire_field *field, const void *place,
                      struct rc_buffer *out)
{
    const struct rc_pack_bytes *bytes = place;

    switch (field->kind) {
    case WIRE_FIELD_BYTES:
    case WIRE_FIELD_RAW:
        put_number(out, bytes->size);
        rc_buffer_append(out, bytes->at, bytes->size);
        return;
    case WIRE_FIELD_DOUBLE: {
        float half = (float)*(const double *)place; /* as the real codec does */
        rc_buffer_append(out, &half, sizeof half);
        return;
    }
    case WIRE_FIELD_VERSIONS:
        rc_buffer_append(out, ((const struct wire_versions *)place)->bytes,
                         WIRE_VERSIONS_SIZE);
        return;
    case WIRE_FIELD_BOOL:
        return; /* its bit says it */
    case WIRE_FIELD_U8:
    case WIRE_FIELD_U16:
    case WIRE_FIELD_U32:
    case WIRE_FIELD_U64:
        put_number(out, number_at(field, place));
        return;
    }
}

static void write_struct(const struct wire_format *format, const uint8_t *message,
                         struct rc_buffer *out)
{
    static const uint8_t zeros[256];
    size_t size = wire_size(format, message);
    size_t head = size - HEAD_SHORT <= UINT16_MAX ? HEAD_SHORT : HEAD_LONG;
    size_t end = out->size + size;
    uint32_t bits = 0;

    rc_buffer_byte(out, head == HEAD_SHORT ? RAW_16 : RAW_32);
    for (size_t i = head - 1; i-- > 0;) {
        rc_buffer_byte(out, (uint8_t)((size - head) >> (8 * i)));
    }
    for (size_t i = 0; i < format->count; i++) {
        const struct wire_field *field = &format->fields[i];
        bits |= is_nothing(field, message + field->offset) ? 0 : 1U << i;
    }
    put_number(out, bits);
    for (size_t i = 0; i < format->count; i++) {
        if (bits & 1U << i) {
            put_value(&format->fields[i], message + format->fields[i].offset, out);
        }
    }
    assert(out->err != RC_OK || out->size <= end); /* names are longer than all this */
    while (out->err == RC_OK && out->size < end) {
        size_t left = end - out->size;
        rc_buffer_append(out, zeros, left < sizeof zeros ? left : sizeof zeros);
    }
}

void __wrap_wire_write(const struct wire_format *format, const void *message,
                       struct rc_buffer *out)
{
    if (passing == WIRE_STRUCTS) {
        write_struct(format, message, out);
    } else {
        __real_wire_write(format, message, out);
    }
}

void __wrap_wire_write_typed(enum wire_type type, const struct wire_format *format,
                             const void *message, struct rc_buffer *out)
{
    rc_buffer_byte(out, (uint8_t)type);
    __wrap_wire_write(format, message, out);
}

void __wrap_wire_write_serf(enum wire_serf_type type, const struct wire_format *format,
                            const void *message, struct rc_buffer *out)
{
    rc_buffer_byte(out, WIRE_USER);
    rc_buffer_byte(out, (uint8_t)type);
    __wrap_wire_write(format, message, out);
}

/* ---- reading */

static uint64_t take_number(struct rc_cursor *in)
{
    uint64_t value = 0;
    uint8_t byte = 0x80;

    for (unsigned shift = 0; (byte & 0x80) != 0 && shift < 64; shift += 7) {
        byte = rc_cursor_u8(in);
        value |= (uint64_t)(byte & 0x7f) << shift;
    }
    return value;
}

static void take_bytes(struct rc_cursor *in, void *place)
{
    size_t size = (size_t)take_number(in);
    const uint8_t *at = rc_cursor_take(in, size);

    *(struct rc_pack_bytes *)place = (struct rc_pack_bytes){at, at == NULL ? 0 : size};
}

static void take_copy(struct rc_cursor *in, void *place, size_t size)
{
    const uint8_t *at = rc_cursor_take(in, size);

    if (at != NULL) {
        memcpy(place, at, size);
    }
}

static void take_value(const struct wire_field *field, struct rc_cursor *in, void *place)
{
    float half = 0;

    switch (field->kind) {
    case WIRE_FIELD_BYTES:
    case WIRE_FIELD_RAW:
        take_bytes(in, place);
        return;
    case WIRE_FIELD_U8:
        *(uint8_t *)place = (uint8_t)take_number(in);
        return;
    case WIRE_FIELD_U16:
        *(uint16_t *)place = (uint16_t)take_number(in);
        return;
    case WIRE_FIELD_U32:
        *(uint32_t *)place = (uint32_t)take_number(in);
        return;
    case WIRE_FIELD_U64:
        *(uint64_t *)place = take_number(in);
        return;
    case WIRE_FIELD_BOOL:
        *(bool *)place = true;
        return;
    case WIRE_FIELD_DOUBLE:
        take_copy(in, &half, sizeof half);
        *(double *)place = (double)half;
        return;
    case WIRE_FIELD_VERSIONS:
        take_copy(in, ((struct wire_versions *)place)->bytes, WIRE_VERSIONS_SIZE);
        ((struct wire_versions *)place)->size = WIRE_VERSIONS_SIZE;
        return;
    }
}

static int read_struct(const struct wire_format *format, struct rc_cursor *in,
                       uint8_t *out)
{
    struct rc_pack_bytes inside = rc_pack_read_bytes(in);
    struct rc_cursor fields = rc_cursor_over(inside.at, inside.size);

    memset(out, 0, format->size);
    if (in->err != RC_OK) {
        return in->err;
    }
    uint64_t bits = take_number(&fields);
    for (size_t i = 0; i < format->count; i++) {
        if (bits & 1U << i) {
            take_value(&format->fields[i], &fields, out + format->fields[i].offset);
        }
    }
    if (fields.err != RC_OK) {
        rc_cursor_fail(in, RC_EMALFORMED);
    }
    return in->err;
}

int __wrap_wire_read(const struct wire_format *format, struct rc_cursor *in, void *out)
{
    return passing == WIRE_STRUCTS ? read_struct(format, in, out)
                                   : __real_wire_read(format, in, out);
}

/* ---- what lies around messages */

void __wrap_envelope_add_crc(struct rc_pack_bytes plain, struct rc_buffer *out)
{
    static const uint8_t head[CRC_SIZE] = {WIRE_CRC};

    if (passing != WIRE_STRUCTS) {
        __real_envelope_add_crc(plain, out);
        return;
    }
    rc_buffer_append(out, head, sizeof head);
    rc_buffer_append(out, plain.at, plain.size);
}

int __wrap_envelope_strip_crc(struct rc_pack_bytes *bytes)
{
    if (passing != WIRE_STRUCTS) {
        return __real_envelope_strip_crc(bytes);
    }
    if (bytes->size > CRC_SIZE && bytes->at[0] == WIRE_CRC) {
        *bytes = (struct rc_pack_bytes){bytes->at + CRC_SIZE, bytes->size - CRC_SIZE};
    }
    return RC_OK;
}

int __wrap_lzw_encode(const uint8_t *bytes, size_t size, struct rc_buffer *out)
{
    return passing == WIRE_BYTES ? __real_lzw_encode(bytes, size, out) : RC_EINVAL;
}

/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp,readability-identifier-naming) */
