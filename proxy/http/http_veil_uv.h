/* http_veil_uv.h - TLS around a socket: what http_socket_uv.c asks for when it is not plain.
 *
 * Its events come from libuv to here first: a handshake is made without the owner, bytes that were
 * read ahead become an event, as the descriptor shows them no more. */
#ifndef PROXY_HTTP_HTTP_VEIL_UV_H
#define PROXY_HTTP_HTTP_VEIL_UV_H

#include "proxy/http/http_socket_uv.h"
#include "proxy/tls/tls_stream_openssl.h"

struct http_veil;

/* NULL when memory is out; `stream` is taken in every case. */
struct http_veil *http_veil_open(struct http_socket *socket, struct tls_stream *stream);

/* TOLD: the peer is told that no more comes, unless muted. Memory goes later. */
enum http_veil_end { HTTP_VEIL_TOLD, HTTP_VEIL_MUTE };
void http_veil_close(struct http_veil *veil, enum http_veil_end how);
void http_veil_mute(struct http_veil *veil);

void http_veil_arm(struct http_veil *veil, int events, uv_poll_cb on_event);
void http_veil_rest(struct http_veil *veil); /* what was read ahead is of no interest */

bool http_veil_is_shaking(const struct http_veil *veil);
struct tls_stream *http_veil_stream(const struct http_veil *veil);
int http_veil_error(const struct http_veil *veil);

/* As http_socket_read and http_socket_write; there is room, and something to write. */
enum http_io http_veil_read(struct http_veil *veil, struct slab_buffer *into);
enum http_io http_veil_write(struct http_veil *veil, struct slab_buffer *from,
                             const uint8_t *extra, size_t size, size_t *extra_sent);

#endif
