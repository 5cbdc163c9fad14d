/* splice_uv.c - long bodies that pass through a pipe, uncopied, where both sides are plain.
 *
 * A direction is spliced when a read has filled a buffer and much is still to come; short
 * bodies, and long ones that trickle, are copied. What is in a pipe has been taken from one
 * side and is owed to the other: it goes behind what waits in that side's buffer, and nothing
 * more is read until it is gone. */
#include <assert.h>
#include <errno.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/worker/local_peer_uv.h"

enum { LITTLE = 16 * 1024 }; /* what one splice brings: less is cheaper copied */

static bool both_plain(const struct exchange *x)
{
    return !client_frames_bodies(x->client) && http_socket_is_plain(&x->client->socket) &&
           http_socket_is_plain(&x->out->socket);
}

/* Is so much to come that a pipe is worth it? Once one was, for as long as a buffer is exceeded. */
static bool is_long(const struct framing_decoder *decoder, bool spliced)
{
    return framing_payload_left(decoder) >= (spliced ? SLAB_BYTES : PIPE_WORTH);
}

static enum http_io io_of(enum pipe_io io)
{
    switch (io) {
    case PIPE_MOVED:
        return HTTP_IO_DONE;
    case PIPE_BLOCKED:
        return HTTP_IO_BLOCKED;
    case PIPE_ENDED:
        return HTTP_IO_ENDED;
    case PIPE_BROKEN:
        return HTTP_IO_BROKEN;
    }
    return HTTP_IO_BROKEN;
}

/* Borrows a pipe and fills it from a socket with payload that is meant for another one. DONE: it
 * is in `way`. */
static enum http_io fill(struct exchange *x, struct splice_way *way,
                         struct framing_decoder *decoder, int from, int to)
{
    struct pipe_pool *pool = &x->http->worker->pipes;
    uint64_t left = framing_payload_left(decoder);

    way->pipe = pipe_lend(pool);
    if (way->pipe == NULL) {
        way->refused = true;
        return HTTP_IO_FULL;
    }
    size_t max = left < way->pipe->size ? (size_t)left : way->pipe->size;
    enum http_io io = io_of(pipe_fill(way->pipe, from, max));
    if (io != HTTP_IO_DONE) {
        int why = errno;
        pipe_return(pool, &way->pipe);
        errno = why;
        return io;
    }
    framing_skip(decoder, way->pipe->held);
    rc_metric_add(x->http->worker->spliced, way->pipe->held);
    if (!way->spliced) {
        way->spliced = true;
        local_peer_unpace(to);
    }
    way->bulk = way->pipe->held >= LITTLE;
    return HTTP_IO_DONE;
}

/* Sends what is in the pipe; when it is empty, DONE, it is given back. */
static enum http_io drain(struct exchange *x, struct splice_way *way,
                          const struct framing_decoder *decoder, int to, size_t *moved)
{
    enum pipe_after after = framing_payload_left(decoder) > 0 && !way->chunk
                                ? PIPE_AFTER_MORE
                                : PIPE_AFTER_UNKNOWN;
    enum http_io io = io_of(pipe_drain(way->pipe, to, after, moved));

    if (io == HTTP_IO_DONE) {
        pipe_return(&x->http->worker->pipes, &way->pipe);
    }
    return io;
}

/* Before a pipe, when its bytes are to be a chunk. */
static void begin_chunk(struct splice_way *way, struct slab_buffer *buffer)
{
    char line[FRAMING_CHUNK_LINE_MAX];

    slab_append(buffer, line, framing_chunk_line(way->pipe->held, line));
    way->chunk = true;
}

static void end_chunk(struct splice_way *way, struct slab_buffer *buffer)
{
    if (way->chunk) {
        way->chunk = false;
        slab_append(buffer, "\r\n", 2);
    }
}

/* --- instance to client --- */

bool splice_takes_response(const struct exchange *x)
{
    const struct splice_way *way = &x->down;

    return way->bulk && !way->refused && x->phase == EXCHANGE_RELAYING &&
           way->pipe == NULL && !x->client->blocked && slab_size(x->out->in) == 0 &&
           slab_size(x->client->out) == 0 &&
           is_long(&x->response_decoder, way->spliced) && both_plain(x);
}

enum http_io splice_response(struct exchange *x, size_t *moved)
{
    enum http_io io =
        fill(x, &x->down, &x->response_decoder, x->out->socket.fd, x->client->socket.fd);

    if (io != HTTP_IO_DONE) {
        return io;
    }
    *moved += x->down.pipe->held;
    if (x->chunked_out) {
        begin_chunk(&x->down, x->client->out);
    }
    return HTTP_IO_DONE;
}

enum http_io splice_send_response(struct exchange *x)
{
    struct client *client = x->client;
    size_t sent = 0;

    if (x->down.pipe == NULL) {
        return HTTP_IO_DONE;
    }
    enum http_io io = client_send(client, NULL, 0, &sent); /* the chunk's line */
    if (io != HTTP_IO_DONE) {
        return io;
    }
    io = drain(x, &x->down, &x->response_decoder, client->socket.fd, &sent);
    if (sent > 0) {
        x->bytes_out += sent;
        exchange_touch(x);
    }
    if (io == HTTP_IO_DONE) {
        end_chunk(&x->down, client->out);
    }
    return io;
}

/* --- client to instance --- */

static bool is_within_limit(const struct exchange *x)
{
    uint64_t limit = x->route->body_limit_bytes;
    return limit == 0 || x->bytes_in + framing_payload_left(&x->decoder) <= limit;
}

bool splice_takes_request(const struct exchange *x)
{
    const struct splice_way *way = &x->up;

    return way->bulk && !way->refused && way->pipe == NULL &&
           (x->phase == EXCHANGE_WAITING || x->phase == EXCHANGE_RELAYING) &&
           !x->send_broken && !x->out->blocked && x->request_sent == x->request->end &&
           slab_size(x->client->in) == 0 && is_long(&x->decoder, way->spliced) &&
           is_within_limit(x) && both_plain(x);
}

enum http_io splice_request(struct exchange *x, size_t *moved)
{
    if (x->up.pipe != NULL) {
        return HTTP_IO_FULL;
    }
    enum http_io io =
        fill(x, &x->up, &x->decoder, x->client->socket.fd, x->out->socket.fd);
    if (io != HTTP_IO_DONE) {
        return io;
    }
    size_t held = x->up.pipe->held;
    *moved += held;
    x->bytes_in += held;
    x->window_bytes += held;
    x->request_read = framing_is_done(&x->decoder);
    x->replayable = false; /* and what was sent makes room */
    x->request->end = 0;
    x->request_sent = 0;
    if (x->body.kind == FRAMING_CHUNKED) {
        begin_chunk(&x->up, x->request);
    }
    return HTTP_IO_DONE;
}

enum http_io splice_send_request(struct exchange *x)
{
    size_t sent = 0;

    if (x->up.pipe == NULL) {
        return HTTP_IO_DONE;
    }
    enum http_io io = drain(x, &x->up, &x->decoder, x->out->socket.fd, &sent);
    if (sent > 0) {
        exchange_touch(x);
    }
    if (io == HTTP_IO_DONE) {
        end_chunk(&x->up, x->request);
    }
    return io;
}

void splice_forget(struct exchange *x, struct splice_way *way)
{
    pipe_return(&x->http->worker->pipes, &way->pipe);
    way->chunk = false;
}
