/* proxy_header_uv.c - see proxy_header_uv.h. */
#include "proxy/worker/proxy_header_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/wire/proxy_protocol.h"

struct proxy_header {
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
    int fd;
    struct rc_address peer;
    proxy_header_done done;
    void *context;
    size_t size; /* bytes taken off the socket: all of the header */
    uint8_t bytes[PROXY_PROTOCOL_MAX];
};

static void on_closed(uv_handle_t *handle)
{
    struct proxy_header *h = handle->data;
    assert(h->open_handles > 0);
    if (--h->open_handles == 0) {
        free(h);
    }
}

/* The handles let go of the descriptor before its next owner wraps it in his own. */
static void close_handles(struct proxy_header *h)
{
    uv_close((uv_handle_t *)&h->poll, on_closed);
    uv_close((uv_handle_t *)&h->timer, on_closed);
}

static void finish(struct proxy_header *h, int err)
{
    close_handles(h);
    if (err != RC_OK) {
        (void)close(h->fd);
    }
    h->done(h->context, err == RC_OK ? h->fd : -1, &h->peer, err);
}

/* Takes `size` bytes, which have been looked at, off the socket. */
static int take(struct proxy_header *h, size_t size)
{
    if (recv(h->fd, h->bytes + h->size, size, MSG_DONTWAIT) != (ssize_t)size) {
        return RC_ECLOSED;
    }
    h->size += size;
    return RC_OK;
}

/* Looks before it takes: what is behind the header belongs to the listener's protocol. RC_EAGAIN: more
 * is to come. */
static int read_some(struct proxy_header *h)
{
    struct proxy_protocol said;

    ssize_t seen = recv(h->fd, h->bytes + h->size, sizeof h->bytes - h->size,
                        MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0 && (errno == EAGAIN || errno == EINTR)) {
        return RC_EAGAIN;
    }
    if (seen <= 0) {
        return RC_ECLOSED;
    }
    int err = proxy_protocol_parse(h->bytes, h->size + (size_t)seen, &said);
    if (err == RC_ETRUNCATED) {
        err = take(h, (size_t)seen);
        return err == RC_OK ? RC_EAGAIN : err;
    }
    if (err != RC_OK) {
        return RC_EMALFORMED;
    }
    assert(said.size > h->size);
    if (said.from.family != RC_ADDRESS_NONE) {
        h->peer = said.from;
    }
    return take(h, said.size - h->size);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct proxy_header *h = poll->data;
    (void)events;
    int err = status == 0 ? read_some(h) : RC_ECLOSED;
    if (err != RC_EAGAIN) {
        finish(h, err);
    }
}

static void on_timer(uv_timer_t *timer)
{
    finish(timer->data, RC_ETIMEOUT);
}

struct proxy_header *proxy_header_await(uv_loop_t *loop, int fd,
                                        const struct rc_address *peer,
                                        proxy_header_done done, void *context)
{
    struct proxy_header *h = malloc(sizeof *h);
    if (h == NULL || uv_poll_init(loop, &h->poll, fd) != 0) {
        free(h);
        return NULL;
    }
    h->fd = fd;
    h->peer = *peer;
    h->done = done;
    h->context = context;
    h->size = 0;
    (void)uv_timer_init(loop, &h->timer); /* cannot fail */
    h->poll.data = h;
    h->timer.data = h;
    h->open_handles = 2;
    (void)uv_poll_start(&h->poll, UV_READABLE, on_readable);
    (void)uv_timer_start(&h->timer, on_timer, PROXY_HEADER_LIMIT_MS, 0);
    return h;
}

void proxy_header_cancel(struct proxy_header *header)
{
    close_handles(header);
    (void)close(header->fd);
}

int proxy_header_send(int fd, const struct config_pool *pool, int client_fd,
                      const struct rc_address *peer)
{
    uint8_t bytes[PROXY_PROTOCOL_WRITTEN_MAX];
    struct rc_address from = {.family = RC_ADDRESS_NONE};
    struct rc_address to = {.family = RC_ADDRESS_NONE};
    struct sockaddr_storage name;
    socklen_t name_size = sizeof name;

    if (pool == NULL || pool->proxy_send == CONFIG_PROXY_SEND_OFF) {
        return RC_OK;
    }
    if (peer != NULL &&
        getsockname(client_fd, (struct sockaddr *)&name, &name_size) == 0 &&
        rc_address_from_sockaddr((struct sockaddr *)&name, &to) == RC_OK) {
        from = *peer;
    }
    size_t size = proxy_protocol_write(
        pool->proxy_send == CONFIG_PROXY_SEND_V1 ? PROXY_PROTOCOL_V1 : PROXY_PROTOCOL_V2,
        &from, &to, bytes);
    /* The first bytes of a connection always have room. */
    ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent == (ssize_t)size ? RC_OK : RC_EIO;
}
