/* http2_nghttp2.h - the client's side of one HTTP/2 connection, without its bytes' way.
 *
 * Requests go in, bytes to be sent come out; bytes that came go in, headers, data and ends come
 * out. libnghttp2, which libcurl brings with it, is loaded when it is first needed. Pings,
 * settings and windows are its affair.
 *
 * Source: RFC 9113. */
#ifndef AGENT_ENGINE_HTTP2_NGHTTP2_H
#define AGENT_ENGINE_HTTP2_NGHTTP2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/* One request; part of the caller's own, who keeps it and `body` until it has ended. */
struct http2_stream {
    int32_t id; /* 0: not begun */
    const uint8_t *body;
    size_t body_size;
    size_t body_used;
    bool is_sent; /* its head is on the way, or may be */
};

/* How a stream ended: all came, or the other side broke it off. HTTP2_REFUSED: it was not even
 * looked at (RFC 9113 section 8.7). */
enum http2_end { HTTP2_WHOLE, HTTP2_BROKEN, HTTP2_REFUSED };

/* Called from inside http2_feed() and http2_take(); nothing may be asked of `http2` from there. */
struct http2_events {
    /* Headers and trailers; both borrowed. */
    void (*on_header)(struct http2_stream *stream, struct rc_span name,
                      struct rc_span value);
    void (*on_data)(struct http2_stream *stream, const uint8_t *bytes, size_t size);
    void (*on_end)(struct http2_stream *stream, enum http2_end end);
};

struct http2;

/* Whether there is libnghttp2: RC_OK, or RC_ENOTFOUND and `error` says which package has it. */
int http2_load(char *error, size_t error_size);

/* RC_OK, or as http2_load(), or RC_ENOMEM. `events` is borrowed. */
int http2_create(const struct http2_events *events, struct http2 **out, char *error,
                 size_t error_size);
void http2_destroy(struct http2 *http2); /* NULL is allowed; ends nothing */

struct http2_header {
    const char *name; /* lower case */
    const char *value;
};

/* Sends a POST of `stream`'s body. False: no memory, or no streams are left. */
bool http2_post(struct http2 *http2, const struct http2_header *headers, size_t count,
                struct http2_stream *stream);

/* Breaks it off: nothing more is said of it. Nothing if it was not begun. */
void http2_cancel(struct http2 *http2, struct http2_stream *stream);

/* Whether new requests are taken: not once the other side is going away. */
bool http2_is_open(struct http2 *http2);

/* Whether it has ended: nothing is left to say or to hear. */
bool http2_is_over(struct http2 *http2);

/* Whether there is something to be sent. */
bool http2_has_more(struct http2 *http2);

/* The next bytes to be sent, borrowed until the next call; 0: none for now. RC_EIO fails the
 * connection. */
int http2_take(struct http2 *http2, const uint8_t **bytes, size_t *size);

/* RC_OK, or RC_EMALFORMED: that is not HTTP/2. */
int http2_feed(struct http2 *http2, const uint8_t *bytes, size_t size);

#endif
