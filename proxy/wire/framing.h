/* framing.h - where the body of a message ends, and what of its bytes is payload.
 *
 * RFC 9112 sections 6 and 7. The decoder is fed whatever has arrived and gives the payload
 * in place; the proxy always writes its own framing around it, so that nothing ambiguous
 * passes through. Stricter than the RFC: every line ends in CRLF, chunk extensions are
 * bounded and dropped, no white space around a chunk size. */
#ifndef PROXY_WIRE_FRAMING_H
#define PROXY_WIRE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/wire/http1.h"

enum {
    FRAMING_SIZE_DIGITS_MAX = 16,   /* hexadecimal digits of a chunk size */
    FRAMING_EXTENSION_MAX = 256,    /* bytes of the extensions of one chunk */
    FRAMING_EXTENSIONS_MAX = 16384, /* bytes of all extensions of one body */
    FRAMING_CHUNK_LINE_MAX = 18     /* 16 digits and CRLF */
};

enum framing_kind {
    FRAMING_NONE,    /* no body */
    FRAMING_LENGTH,  /* exactly so many bytes */
    FRAMING_CHUNKED, /* until the last chunk and its trailers */
    FRAMING_CLOSE    /* until the connection ends: responses only */
};

/* The body that follows a head. */
struct framing {
    enum framing_kind kind;
    uint64_t length; /* FRAMING_LENGTH: never 0, that is FRAMING_NONE */
};

/* RFC 9112 section 6.3, for a request that http1_request_parse found sound. */
struct framing framing_of_request(const struct http1_head *head);

/* The same for the response to a request with `method`: none for HEAD, 1xx, 204 and 304. */
struct framing framing_of_response(const struct http1_response *response,
                                   enum http1_method method);

/* True if a response that has no body by its status announces one nevertheless: whatever
 * follows on the connection cannot be trusted. */
bool framing_contradicts(const struct http1_response *response, enum http1_method method);

enum framing_state {
    FRAMING_DATA,      /* inside payload */
    FRAMING_SIZE,      /* in the digits of a chunk size */
    FRAMING_EXTENSION, /* after the size, before CRLF */
    FRAMING_QUOTED,    /* in a quoted string of an extension */
    FRAMING_ESCAPED,   /* after a backslash in it */
    FRAMING_SIZE_LF,
    FRAMING_DATA_CR,
    FRAMING_DATA_LF,
    FRAMING_TRAILER,
    FRAMING_DONE,
    FRAMING_STATE_COUNT
};

/* Visible so that it can be embedded; read by framing_is_done only. */
struct framing_decoder {
    enum framing_kind kind;
    enum framing_state state;
    uint64_t left;       /* payload bytes of the body or of this chunk */
    uint16_t digits;     /* of this chunk size */
    uint16_t extension;  /* bytes on this line */
    uint16_t extensions; /* bytes in this body */
};

/* One step of decoding: the first `consumed` bytes are done with; the payload among them is
 * `payload_size` bytes at `payload` (borrowed from the input). */
struct framing_piece {
    size_t consumed;
    const uint8_t *payload;
    size_t payload_size;
    const uint8_t *trailer; /* complete trailer lines, once, at the end; else NULL */
    size_t trailer_size;
};

void framing_decoder_init(struct framing_decoder *decoder, const struct framing *framing);

/* Decodes the next piece. A piece without progress (consumed is 0) asks for more bytes behind
 * the same ones: a trailer section is taken whole, so the caller must be able to hold
 * HTTP1_TRAILER_MAX + 2 bytes. RC_OK; RC_EMALFORMED or RC_ETOOBIG when the body breaks the
 * rules: then nothing behind it has a meaning any more. */
int framing_decode(struct framing_decoder *decoder, const uint8_t *bytes, size_t size,
                   struct framing_piece *out);

bool framing_is_done(const struct framing_decoder *decoder);

/* Payload bytes that come next, before anything else does. UINT64_MAX: until the connection
 * ends. */
uint64_t framing_payload_left(const struct framing_decoder *decoder);

/* So many of them, at most, have gone their way without being shown to framing_decode(). */
void framing_skip(struct framing_decoder *decoder, uint64_t size);

/* The connection has ended. RC_OK if the body ends with it or before it, else RC_ETRUNCATED. */
int framing_end(struct framing_decoder *decoder);

/* The line before a chunk of `size` payload bytes (not 0), which is to be followed by CRLF.
 * Returns its length. */
size_t framing_chunk_line(uint64_t size, char space[FRAMING_CHUNK_LINE_MAX]);

#endif
