/* buffer.c - growing bytes. */
#include "base/buffer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { FIRST_CAPACITY = 256 };

void rc_buffer_fini(struct rc_buffer *buffer)
{
    size_t max = buffer->max;

    free(buffer->bytes);
    *buffer = (struct rc_buffer){.max = max};
}

void rc_buffer_clear(struct rc_buffer *buffer)
{
    buffer->size = 0;
    buffer->err = RC_OK;
    if (buffer->bytes != NULL) {
        buffer->bytes[0] = 0;
    }
}

static int grow(struct rc_buffer *buffer, size_t needed)
{
    size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;

    while (capacity < needed) {
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    }
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL) {
        return buffer->err = RC_ENOMEM;
    }
    bytes[buffer->size] = 0;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return RC_OK;
}

int rc_buffer_reserve(struct rc_buffer *buffer, size_t size)
{
    size_t max = buffer->max > 0 ? buffer->max : SIZE_MAX - 1;

    if (buffer->err != RC_OK) {
        return buffer->err;
    }
    if (buffer->size > max || size > max - buffer->size) {
        return buffer->err = RC_ETOOBIG;
    }
    size_t needed = buffer->size + size + 1; /* the NUL */
    return needed <= buffer->capacity ? RC_OK : grow(buffer, needed);
}

void rc_buffer_append(struct rc_buffer *buffer, const void *bytes, size_t size)
{
    if (size == 0 || rc_buffer_reserve(buffer, size) != RC_OK) {
        return;
    }
    memcpy(buffer->bytes + buffer->size, bytes, size);
    buffer->size += size;
    buffer->bytes[buffer->size] = 0;
}

void rc_buffer_text(struct rc_buffer *buffer, const char *text)
{
    rc_buffer_append(buffer, text, strlen(text));
}

void rc_buffer_byte(struct rc_buffer *buffer, uint8_t byte)
{
    rc_buffer_append(buffer, &byte, 1);
}

void rc_buffer_format(struct rc_buffer *buffer, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    rc_buffer_vformat(buffer, format, arguments);
    va_end(arguments);
}

void rc_buffer_vformat(struct rc_buffer *buffer, const char *format, va_list arguments)
{
    va_list measured;

    va_copy(measured, arguments);
    int size = vsnprintf(NULL, 0, format, measured);
    va_end(measured);
    assert(size >= 0); /* our own format strings are never wrong */
    if (rc_buffer_reserve(buffer, (size_t)size) != RC_OK) {
        return;
    }
    char *place = (char *)buffer->bytes + buffer->size;
    (void)vsnprintf(place, (size_t)size + 1, format, arguments);
    buffer->size += (size_t)size;
}

void rc_buffer_consume(struct rc_buffer *buffer, size_t size)
{
    if (size >= buffer->size) {
        size = buffer->size;
    }
    if (size == 0) {
        return;
    }
    buffer->size -= size;
    memmove(buffer->bytes, buffer->bytes + size, buffer->size + 1);
}

const char *rc_buffer_string(const struct rc_buffer *buffer)
{
    return buffer->bytes != NULL ? (const char *)buffer->bytes : "";
}

char *rc_buffer_steal(struct rc_buffer *buffer)
{
    char *text = NULL;

    if (buffer->err == RC_OK && buffer->size > 0) {
        text = (char *)buffer->bytes;
        buffer->bytes = NULL;
    }
    rc_buffer_fini(buffer);
    return text;
}
