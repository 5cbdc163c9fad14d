#include "dns/wire/stream.h"

#include <assert.h>

#include "base/cursor.h"
#include "base/err.h"
#include "dns/wire/message.h"

enum {
    LENGTH_SIZE = 2,
    KEEP_MAX = 4096 /* an empty stream gives back more than that */
};

void dns_stream_fini(struct dns_stream *stream)
{
    rc_buffer_fini(&stream->bytes);
    stream->at = 0;
}

size_t dns_stream_pending(const struct dns_stream *stream)
{
    assert(stream->at <= stream->bytes.size);
    return stream->bytes.size - stream->at;
}

/* Messages taken are dropped here, not one by one: several may wait in a row. */
static void drop_taken(struct dns_stream *stream)
{
    rc_buffer_consume(&stream->bytes, stream->at);
    stream->at = 0;
    if (stream->bytes.size == 0 && stream->bytes.capacity > KEEP_MAX) {
        rc_buffer_fini(&stream->bytes);
    }
}

int dns_stream_feed(struct dns_stream *stream, const void *bytes, size_t size)
{
    drop_taken(stream);
    rc_buffer_append(&stream->bytes, bytes, size);
    return stream->bytes.err;
}

int dns_stream_next(struct dns_stream *stream, const uint8_t **out, size_t *out_size)
{
    struct rc_cursor cursor = rc_cursor_over(
        stream->bytes.bytes == NULL ? NULL : stream->bytes.bytes + stream->at,
        dns_stream_pending(stream));

    size_t size = rc_cursor_u16(&cursor);
    if (cursor.err != RC_OK) {
        return RC_EAGAIN;
    }
    if (size < DNS_HEADER_SIZE) {
        return RC_EMALFORMED;
    }
    const uint8_t *message = rc_cursor_take(&cursor, size);
    if (message == NULL) {
        return RC_EAGAIN;
    }
    stream->at += LENGTH_SIZE + size;
    *out = message;
    *out_size = size;
    return RC_OK;
}
