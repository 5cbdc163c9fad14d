/* tls_stream_openssl.h - TLS straight over a descriptor: for protocols that own their sockets.
 *
 * Non-blocking and without a clock: each call goes as far as the socket allows and says what it
 * waits for. What was read ahead is told by tls_stream_has_more(), as the descriptor itself
 * will not become readable for it. The descriptor stays its owner's. One thread. */
#ifndef PROXY_TLS_TLS_STREAM_OPENSSL_H
#define PROXY_TLS_TLS_STREAM_OPENSSL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/text.h"
#include "proxy/tls/tls_openssl.h"

struct tls_stream;

/* Our side of a client's connection. NULL when memory is out. */
struct tls_stream *tls_stream_accept(struct tls_context *context, int fd);

/* The session that a server gave us last, for the next connection to it. Zeroed at the start. */
struct tls_memory {
    struct tls_context *context; /* under which it was verified; one reference */
    void *session;               /* owned */
};
void tls_memory_clear(struct tls_memory *memory);

/* The same towards a server, whose certificate must be for `name`, or for the IP address when `name`
 * is empty. `memory` lives as long as the stream. */
struct tls_stream *tls_stream_connect(struct tls_context *context, int fd,
                                      const char *name, const struct rc_address *address,
                                      struct tls_memory *memory);
void tls_stream_destroy(struct tls_stream *stream); /* NULL is allowed; sends nothing */

enum tls_io {
    TLS_IO_DONE,
    TLS_IO_WANTS_READ,  /* when the descriptor is readable */
    TLS_IO_WANTS_WRITE, /* when it is writable */
    TLS_IO_ENDED, /* the peer has said that no more comes; a client need not say so */
    TLS_IO_BROKEN /* tls_stream_problem() says why; a server that ends without a word, too */
};

/* Goes on with the handshake. DONE, WANTS_* or BROKEN. */
enum tls_io tls_stream_shake(struct tls_stream *stream);

/* Reads up to `*size` bytes of text, and sets it. After the handshake. */
enum tls_io tls_stream_read(struct tls_stream *stream, void *into, size_t *size);

/* True if nothing can be read now: no text, no end. What is no text is taken. */
bool tls_stream_is_quiet(struct tls_stream *stream);

/* True if bytes are here that the descriptor does not show: read on. */
bool tls_stream_has_more(const struct tls_stream *stream);

/* Writes both pieces as far as the socket takes them; `*sent` counts. Short records after silence,
 * so that the first can be read when the first packet is there; full ones then; never two
 * where one would do. After WANTS_WRITE the same bytes have to be offered again, more may
 * follow them. */
struct tls_pieces {
    const uint8_t *first;
    size_t first_size;
    const uint8_t *second;
    size_t second_size;
};
enum tls_io tls_stream_write(struct tls_stream *stream, const struct tls_pieces *pieces,
                             uint64_t now_ms, size_t *sent);

/* Says that no more comes, if it can be said at once. */
void tls_stream_end(struct tls_stream *stream);

/* True where we are the client: towards a server. */
bool tls_stream_is_ours(const struct tls_stream *stream);

/* --- after the handshake --- */

/* What the two sides have agreed on by ALPN (RFC 7301). */
enum tls_protocol {
    TLS_PROTOCOL_NONE, /* nothing was said: HTTP/1.1 */
    TLS_PROTOCOL_HTTP1,
    TLS_PROTOCOL_HTTP2
};
enum tls_protocol tls_agreed_protocol(const struct tls_stream *stream);

/* "TLSv1.3"; and the name that the client asked for, or NULL. Both live as long as the stream. */
const char *tls_stream_version(const struct tls_stream *stream);
const char *tls_stream_asked_name(const struct tls_stream *stream);

bool tls_stream_is_resumed(const struct tls_stream *stream);

/* May a request for this host be answered here? Not if the client asked for another name in its
 * handshake and was shown a certificate that is not for this one (RFC 9110 section 7.4). */
bool tls_stream_covers(struct tls_stream *stream, const char *host, size_t size);

/* --- when it failed --- */

/* Why, in words that stay; "" = it did not. */
const char *tls_stream_problem(const struct tls_stream *stream);

/* The client spoke HTTP in the clear. */
bool tls_stream_met_http(const struct tls_stream *stream);

#endif
