/* writer.c - bounded writing. */
#include "base/writer.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"

struct rc_writer rc_writer_over(void *space, size_t size)
{
    assert(space != NULL);
    uint8_t *start = space;
    return (struct rc_writer){.start = start, .at = start, .end = start + size};
}

size_t rc_writer_size(const struct rc_writer *writer)
{
    return (size_t)(writer->at - writer->start);
}

size_t rc_writer_left(const struct rc_writer *writer)
{
    return writer->err == RC_OK ? (size_t)(writer->end - writer->at) : 0;
}

uint8_t *rc_writer_reserve(struct rc_writer *writer, size_t size)
{
    if (writer->err != RC_OK) {
        return NULL;
    }
    if (rc_writer_left(writer) < size) {
        writer->err = RC_ETOOBIG;
        return NULL;
    }
    uint8_t *place = writer->at;
    writer->at += size;
    return place;
}

static void put_number(struct rc_writer *writer, uint64_t value, size_t size)
{
    uint8_t *place = rc_writer_reserve(writer, size);

    for (size_t i = 0; place != NULL && i < size; i++) {
        place[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
    }
}

void rc_writer_u8(struct rc_writer *writer, uint8_t value)
{
    put_number(writer, value, 1);
}

void rc_writer_u16(struct rc_writer *writer, uint16_t value)
{
    put_number(writer, value, 2);
}

void rc_writer_u32(struct rc_writer *writer, uint32_t value)
{
    put_number(writer, value, 4);
}

void rc_writer_u64(struct rc_writer *writer, uint64_t value)
{
    put_number(writer, value, 8);
}

void rc_writer_bytes(struct rc_writer *writer, const void *bytes, size_t size)
{
    uint8_t *place = rc_writer_reserve(writer, size);

    if (place != NULL && size > 0) {
        memcpy(place, bytes, size);
    }
}
