/* stream.h - whole DNS messages out of a TCP byte stream, split at any byte.
 *
 * Each message has a length of two bytes before it (RFC 1035 section 4.2.2). */
#ifndef DNS_WIRE_STREAM_H
#define DNS_WIRE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* A zeroed struct is an empty stream. Memory grows with what came, not with what a length
 * claims. */
struct dns_stream {
    struct rc_buffer bytes;
    size_t at; /* where the next message's length begins */
};

void dns_stream_fini(struct dns_stream *stream);

/* Takes in bytes as they arrive. RC_OK or RC_ENOMEM. */
int dns_stream_feed(struct dns_stream *stream, const void *bytes, size_t size);

/* The next whole message, borrowed until the next call with this stream. RC_OK, RC_EAGAIN
 * (more bytes are needed), or RC_EMALFORMED (a length below a header's: close). */
int dns_stream_next(struct dns_stream *stream, const uint8_t **out, size_t *out_size);

/* Bytes of a message that has begun but is not whole: 0 after dns_stream_next() took
 * all. */
size_t dns_stream_pending(const struct dns_stream *stream);

#endif
