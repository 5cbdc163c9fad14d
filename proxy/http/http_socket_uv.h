/* http_socket_uv.h - a connection under libuv's eye: armed, read, written, closed.
 *
 * Readiness, not completion: libuv tells when a call may succeed, the call is ours. The one
 * place that knows whether a connection is plain or TLS: whoever owns it reads and writes the
 * same way in both cases, and asks only where it wants to touch the descriptor itself. */
#ifndef PROXY_HTTP_HTTP_SOCKET_UV_H
#define PROXY_HTTP_HTTP_SOCKET_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proxy/worker/slab.h"

struct tls_stream; /* proxy/tls/tls_stream_openssl.h */

/* Embedded in its owner, whose pointer is poll.data. */
struct http_socket {
    uv_poll_t poll;
    int fd;                 /* -1 once closed */
    int events;             /* armed */
    struct http_veil *veil; /* what TLS needs; NULL = plain */
};

/* Starts to watch `fd`, which it takes. RC_OK or RC_EIO (then `fd` is closed). */
int http_socket_open(struct http_socket *socket, uv_loop_t *loop, int fd, void *owner);
void http_socket_arm(struct http_socket *socket, int events, uv_poll_cb on_event);
void http_socket_close(struct http_socket *socket, uv_close_cb on_closed);
void http_socket_reset(struct http_socket *socket); /* the next close sends RST */

/* From now on the connection is TLS by `stream`, which is taken, also on error; before
 * anything is read. The owner arms anew. The handshake is made between the events: until it is done reading and writing are
 * BLOCKED; then the owner gets the events that he waits for, once. When it fails he gets
 * a status below 0. RC_OK or RC_ENOMEM. */
int http_socket_secure(struct http_socket *socket, struct tls_stream *stream);

/* True until the handshake is done, or has failed and the owner has closed. */
bool http_socket_is_shaking(const struct http_socket *socket);

/* After a handshake that failed: plain again, to say so in words. */
void http_socket_unveil(struct http_socket *socket);

/* NULL = plain. Borrowed: for tls_agreed_protocol() and its kin. */
struct tls_stream *http_socket_stream(const struct http_socket *socket);

/* Why it could not connect: an errno, EPROTO where tls_stream_problem() knows; 0 = it could. */
int http_socket_error(const struct http_socket *socket);

/* True if the bytes on the descriptor are those that are read and written here: only then may
 * it be spliced, peeked at or written to directly. */
bool http_socket_is_plain(const struct http_socket *socket);

/* Says that no more comes; reading goes on. RC_OK or RC_EIO. */
int http_socket_end(struct http_socket *socket);

/* True if nothing has come since the last read, no end of stream either. */
bool http_socket_is_quiet(struct http_socket *socket);

/* How reading or writing went. */
enum http_io {
    HTTP_IO_DONE,
    HTTP_IO_BLOCKED,
    HTTP_IO_ENDED,
    HTTP_IO_BROKEN,
    HTTP_IO_FULL
};

/* Reads once into the free room: DONE (bytes came), BLOCKED (none now), ENDED (end of stream),
 * BROKEN (error), FULL (no room). */
enum http_io http_socket_read(struct http_socket *socket, struct slab_buffer *into);
/* Writes the buffer (may be NULL), then `size` more bytes, as far as the socket takes them.
 * What of the buffer is written is consumed from it; `*extra_sent` counts the others. DONE
 * (all), BLOCKED or BROKEN. */
enum http_io http_socket_write(struct http_socket *socket, struct slab_buffer *from,
                               const uint8_t *extra, size_t size, size_t *extra_sent);
/* Reads what there is, forgets it and adds its size to `*count`. BLOCKED (all that came),
 * ENDED, BROKEN, or DONE when `*count` has reached `count_max`. */
enum http_io http_socket_discard(struct http_socket *socket, uint32_t *count,
                                 uint32_t count_max);

#endif
