/* http_socket_uv.h - a descriptor under libuv's eye: armed, read, written, closed.
 *
 * Readiness, not completion: libuv tells when a call may succeed, the call is ours. */
#ifndef PROXY_HTTP_SOCKET_UV_H
#define PROXY_HTTP_SOCKET_UV_H

#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "proxy/slab.h"

/* Embedded in its owner, whose pointer is poll.data. */
struct http_socket {
    uv_poll_t poll;
    int fd;     /* -1 once closed */
    int events; /* armed */
};

/* Starts to watch `fd`, which it takes. RC_OK or RC_EIO (then `fd` is closed). */
int http_socket_open(struct http_socket *socket, uv_loop_t *loop, int fd, void *owner);
void http_socket_arm(struct http_socket *socket, int events, uv_poll_cb on_event);
void http_socket_close(struct http_socket *socket, uv_close_cb on_closed);
void http_socket_reset(struct http_socket *socket); /* the next close sends RST */

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

#endif
