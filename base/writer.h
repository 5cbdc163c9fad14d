/* writer.h - writing bytes into a space of fixed size.
 *
 * The mirror of cursor.h: the first write that does not fit sticks as
 * RC_ETOOBIG, later ones do nothing. For packets; buffer.h is for what grows. */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include <stddef.h>
#include <stdint.h>

struct rc_writer {
    uint8_t *start; /* borrowed */
    uint8_t *at;    /* where the next byte goes */
    uint8_t *end;
    int err; /* RC_OK or RC_ETOOBIG */
};

struct rc_writer rc_writer_over(void *space, size_t size);

/* Bytes written so far; stays at the last good length after a failure. */
size_t rc_writer_size(const struct rc_writer *writer);

/* Bytes that still fit; 0 after a failure. */
size_t rc_writer_left(const struct rc_writer *writer);

/* Big-endian unsigned integers and raw bytes. */
void rc_writer_u8(struct rc_writer *writer, uint8_t value);
void rc_writer_u16(struct rc_writer *writer, uint16_t value);
void rc_writer_u32(struct rc_writer *writer, uint32_t value);
void rc_writer_u64(struct rc_writer *writer, uint64_t value);
void rc_writer_bytes(struct rc_writer *writer, const void *bytes, size_t size);

/* Reserves `size` bytes to be filled later; NULL when they do not fit. */
uint8_t *rc_writer_reserve(struct rc_writer *writer, size_t size);

#endif
