/* buffer.h - bytes that grow, up to a stated maximum.
 *
 * A zeroed struct is an empty buffer without a limit. Failure sticks like in
 * writer.h, so a long series of appends is tested once, at the end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct rc_buffer {
    uint8_t *
        bytes; /* owned; NULL while empty; always followed by a NUL byte once allocated */
    size_t size;     /* bytes in use, without that NUL */
    size_t capacity; /* bytes allocated */
    size_t max;      /* 0: no limit */
    int err;         /* RC_OK, RC_ENOMEM or RC_ETOOBIG */
};

/* Frees the bytes and leaves an empty buffer with the same limit. */
void rc_buffer_fini(struct rc_buffer *buffer);

/* Empties it and clears the error, keeping the allocation. */
void rc_buffer_clear(struct rc_buffer *buffer);

/* Makes room for `size` more bytes. Returns RC_OK or the sticking error. */
int rc_buffer_reserve(struct rc_buffer *buffer, size_t size);

void rc_buffer_append(struct rc_buffer *buffer, const void *bytes, size_t size);
void rc_buffer_text(struct rc_buffer *buffer, const char *text); /* without its NUL */
void rc_buffer_byte(struct rc_buffer *buffer, uint8_t byte);
void rc_buffer_format(struct rc_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void rc_buffer_vformat(struct rc_buffer *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Drops the first `size` bytes (at most all) and moves the rest to the front. */
void rc_buffer_consume(struct rc_buffer *buffer, size_t size);

/* The content as a NUL-terminated string; "" while empty. Borrowed until the next call. */
const char *rc_buffer_string(const struct rc_buffer *buffer);

/* Hands the bytes over to the caller, who frees them with free(); NULL if empty or failed. */
char *rc_buffer_steal(struct rc_buffer *buffer);

#endif
