/* pack_msgpack.c - writing MessagePack with msgpack-c. */
#include "base/pack.h"

#include <assert.h>

#include <msgpack.h>

#include "base/err.h"

static int append(void *data, const char *bytes, size_t size)
{
    struct rc_buffer *out = data;

    rc_buffer_append(out, bytes, size);
    return out->err;
}

/* What the packer's functions return is what append() returned, and sticks in the buffer:
 * so it is dropped everywhere below. */
static msgpack_packer packer_on(struct rc_buffer *out)
{
    msgpack_packer packer;

    msgpack_packer_init(&packer, out, append);
    return packer;
}

static void write_scalar(struct rc_buffer *out, msgpack_object scalar)
{
    msgpack_packer packer = packer_on(out);

    (void)msgpack_pack_object(&packer, scalar);
}

void rc_pack_write_nil(struct rc_buffer *out)
{
    write_scalar(out, (msgpack_object){.type = MSGPACK_OBJECT_NIL});
}

void rc_pack_write_bool(struct rc_buffer *out, bool value)
{
    write_scalar(out,
                 (msgpack_object){.type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = value});
}

void rc_pack_write_number(struct rc_buffer *out, uint64_t value)
{
    write_scalar(
        out, (msgpack_object){.type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = value});
}

void rc_pack_write_float(struct rc_buffer *out, float value)
{
    write_scalar(
        out, (msgpack_object){.type = MSGPACK_OBJECT_FLOAT32, .via.f64 = (double)value});
}

void rc_pack_write_double(struct rc_buffer *out, double value)
{
    write_scalar(out, (msgpack_object){.type = MSGPACK_OBJECT_FLOAT64, .via.f64 = value});
}

/* "v4raw" is msgpack-c's word for the strings of before 2013, when there was one family. */
void rc_pack_write_bytes(struct rc_buffer *out, struct rc_pack_bytes bytes)
{
    assert(bytes.size <= UINT32_MAX);
    if (bytes.at == NULL) {
        rc_pack_write_nil(out);
        return;
    }
    msgpack_packer packer = packer_on(out);
    (void)msgpack_pack_v4raw(&packer, bytes.size);
    (void)msgpack_pack_v4raw_body(&packer, bytes.at, bytes.size);
}

void rc_pack_write_text(struct rc_buffer *out, const char *text)
{
    rc_pack_write_bytes(out, rc_pack_text(text));
}

void rc_pack_write_array(struct rc_buffer *out, size_t count)
{
    msgpack_packer packer = packer_on(out);

    assert(count <= UINT32_MAX);
    (void)msgpack_pack_array(&packer, count);
}

void rc_pack_write_map(struct rc_buffer *out, size_t count)
{
    msgpack_packer packer = packer_on(out);

    assert(count <= UINT32_MAX);
    (void)msgpack_pack_map(&packer, count);
}

/* The widest head, so that any count fits in its last four bytes. */
size_t rc_pack_write_open(struct rc_buffer *out)
{
    size_t place = out->size;

    rc_pack_write_array(out, UINT32_MAX);
    return place;
}

void rc_pack_write_close(struct rc_buffer *out, size_t place, size_t count)
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
