/* http_socket_uv.c - thin calls around a descriptor. */
#include "proxy/http/http_socket_uv.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/http/http_veil_uv.h"

int http_socket_open(struct http_socket *socket, uv_loop_t *loop, int fd, void *owner)
{
    socket->fd = fd;
    socket->events = 0;
    socket->veil = NULL;
    if (uv_poll_init(loop, &socket->poll, fd) != 0) {
        (void)close(fd);
        socket->fd = -1;
        return RC_EIO;
    }
    socket->poll.data = owner;
    return RC_OK;
}

void http_socket_arm(struct http_socket *socket, int events, uv_poll_cb on_event)
{
    if (socket->fd < 0 || socket->events == events) {
        return;
    }
    socket->events = events;
    if (socket->veil != NULL) {
        http_veil_arm(socket->veil, events, on_event);
        return;
    }
    /* UV_PRIORITIZED stands for "only errors": it never fires by itself. */
    (void)uv_poll_start(&socket->poll, events == 0 ? UV_PRIORITIZED : events, on_event);
}

void http_socket_close(struct http_socket *socket, uv_close_cb on_closed)
{
    assert(socket->fd >= 0);
    if (socket->veil != NULL) {
        http_veil_close(socket->veil, HTTP_VEIL_TOLD);
        socket->veil = NULL;
    }
    uv_close((uv_handle_t *)&socket->poll, on_closed);
    (void)close(socket->fd);
    socket->fd = -1;
}

void http_socket_reset(struct http_socket *socket)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (socket->veil != NULL) {
        http_veil_mute(socket->veil);
    }
    (void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

int http_socket_secure(struct http_socket *socket, struct tls_stream *stream)
{
    assert(socket->veil == NULL);
    socket->veil = http_veil_open(socket, stream);
    socket->events = -1; /* what was armed was for plain bytes */
    return socket->veil != NULL ? RC_OK : RC_ENOMEM;
}

void http_socket_unveil(struct http_socket *socket)
{
    http_veil_close(socket->veil, HTTP_VEIL_MUTE);
    socket->veil = NULL;
    (void)uv_poll_stop(&socket->poll);
    socket->events = -1;
}

bool http_socket_is_shaking(const struct http_socket *socket)
{
    return socket->veil != NULL && http_veil_is_shaking(socket->veil);
}

struct tls_stream *http_socket_stream(const struct http_socket *socket)
{
    return socket->veil != NULL ? http_veil_stream(socket->veil) : NULL;
}

int http_socket_error(const struct http_socket *socket)
{
    int error = 0;
    socklen_t size = sizeof error;

    if (socket->veil != NULL && http_veil_error(socket->veil) != 0) {
        return http_veil_error(socket->veil);
    }
    return getsockopt(socket->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error
                                                                            : errno;
}

bool http_socket_is_plain(const struct http_socket *socket)
{
    return socket->veil == NULL;
}

int http_socket_end(struct http_socket *socket)
{
    if (socket->veil != NULL) {
        tls_stream_end(http_veil_stream(socket->veil));
    }
    return shutdown(socket->fd, SHUT_WR) == 0 ? RC_OK : RC_EIO;
}

bool http_socket_is_quiet(struct http_socket *socket)
{
    char byte = 0;
    if (socket->veil != NULL) {
        return tls_stream_is_quiet(http_veil_stream(socket->veil));
    }
    ssize_t got = recv(socket->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got < 0 && errno == EAGAIN;
}

enum http_io http_socket_discard(struct http_socket *socket, uint32_t *count,
                                 uint32_t count_max)
{
    char space[8192];

    if (socket->veil != NULL) {
        http_veil_rest(socket->veil); /* sealed bytes can be forgotten unread */
    }
    while (*count < count_max) {
        ssize_t got = recv(socket->fd, space, sizeof space, 0);
        if (got < 0) {
            return errno == EAGAIN || errno == EINTR ? HTTP_IO_BLOCKED : HTTP_IO_BROKEN;
        }
        if (got == 0) {
            return HTTP_IO_ENDED;
        }
        *count += (uint32_t)got;
    }
    return HTTP_IO_DONE;
}

enum http_io http_socket_read(struct http_socket *socket, struct slab_buffer *into)
{
    size_t room = slab_room(into);
    if (room == 0) {
        return HTTP_IO_FULL;
    }
    if (socket->veil != NULL) {
        return http_veil_read(socket->veil, into);
    }
    ssize_t got = recv(socket->fd, into->bytes + into->end, room, 0);
    if (got > 0) {
        into->end += (uint32_t)got;
        return HTTP_IO_DONE;
    }
    if (got == 0) {
        return HTTP_IO_ENDED;
    }
    return errno == EAGAIN || errno == EINTR ? HTTP_IO_BLOCKED : HTTP_IO_BROKEN;
}

/* One call for one piece or for two. */
static ssize_t send_pieces(int fd, const struct slab_buffer *from, const uint8_t *extra,
                           size_t size)
{
    size_t held = slab_size(from);

    if (held == 0) {
        return send(fd, extra, size, MSG_NOSIGNAL);
    }
    if (size == 0) {
        return send(fd, from->bytes + from->start, held, MSG_NOSIGNAL);
    }
    struct iovec pieces[2] = {
        {.iov_base = (void *)(from->bytes + from->start), .iov_len = held},
        {.iov_base = (void *)extra, .iov_len = size}, /* sendmsg does not write to it */
    };
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = 2};
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

enum http_io http_socket_write(struct http_socket *socket, struct slab_buffer *from,
                               const uint8_t *extra, size_t size, size_t *extra_sent)
{
    size_t held = slab_size(from);
    ssize_t sent = -1;

    *extra_sent = 0;
    if (held + size == 0) {
        return HTTP_IO_DONE;
    }
    if (socket->veil != NULL) {
        return http_veil_write(socket->veil, from, extra, size, extra_sent);
    }
    do {
        sent = send_pieces(socket->fd, from, extra, size);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0) {
        return errno == EAGAIN ? HTTP_IO_BLOCKED : HTTP_IO_BROKEN;
    }
    size_t of_buffer = (size_t)sent < held ? (size_t)sent : held;
    if (of_buffer > 0) {
        slab_consume(from, of_buffer);
    }
    *extra_sent = (size_t)sent - of_buffer;
    return (size_t)sent == held + size ? HTTP_IO_DONE : HTTP_IO_BLOCKED;
}
