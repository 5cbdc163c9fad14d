/* http_veil_uv.c - see http_veil_uv.h. */
#include "proxy/http/http_veil_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { NOT_ARMED = -1 };

struct http_veil {
    struct http_socket *socket;
    struct tls_stream *stream;
    uv_idle_t again; /* runs while there is something to read that no event will tell */
    uv_poll_cb on_event;
    int wanted; /* by the owner */
    int armed;  /* at libuv */
    int shake_events;
    int error;       /* an errno: why the handshake failed */
    enum tls_io end; /* of the stream, met behind text; DONE = not met */
    bool shaking;
    bool more;        /* read ahead */
    bool reads_later; /* reading wants to write first */
    bool muted;
};

static void on_veil(uv_poll_t *handle, int status, int events);

static void on_again(uv_idle_t *handle)
{
    struct http_veil *veil = handle->data;
    veil->on_event(&veil->socket->poll, 0, UV_READABLE);
}

/* Arms what is awaited now, and nothing else. */
static void rearm(struct http_veil *veil)
{
    int events = veil->shaking ? veil->shake_events : veil->wanted;
    bool reads = (veil->wanted & UV_READABLE) != 0 && !veil->shaking;

    if (reads && veil->reads_later) {
        events |= UV_WRITABLE;
    }
    if (events != veil->armed) {
        veil->armed = events;
        /* UV_PRIORITIZED stands for "only errors". */
        (void)uv_poll_start(&veil->socket->poll, events == 0 ? UV_PRIORITIZED : events,
                            on_veil);
    }
    if (reads && veil->more) {
        (void)uv_idle_start(&veil->again, on_again);
    } else {
        (void)uv_idle_stop(&veil->again);
    }
}

struct http_veil *http_veil_open(struct http_socket *socket, struct tls_stream *stream)
{
    struct http_veil *made = calloc(1, sizeof *made);
    if (made == NULL) {
        tls_stream_destroy(stream);
        return NULL;
    }
    made->socket = socket;
    made->stream = stream;
    made->armed = NOT_ARMED;
    made->shaking = true;
    made->end = TLS_IO_DONE;
    made->shake_events = tls_stream_is_ours(stream) ? UV_WRITABLE : UV_READABLE;
    (void)uv_idle_init(socket->poll.loop, &made->again); /* cannot fail */
    made->again.data = made;
    return made;
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void http_veil_close(struct http_veil *veil, enum http_veil_end how)
{
    if (how == HTTP_VEIL_TOLD && !veil->muted) {
        tls_stream_end(veil->stream);
    }
    tls_stream_destroy(veil->stream);
    veil->stream = NULL;
    uv_close((uv_handle_t *)&veil->again, on_closed);
}

void http_veil_mute(struct http_veil *veil)
{
    veil->muted = true;
}

void http_veil_arm(struct http_veil *veil, int events, uv_poll_cb on_event)
{
    veil->wanted = events;
    veil->on_event = on_event;
    rearm(veil);
}

void http_veil_rest(struct http_veil *veil)
{
    veil->more = false;
    rearm(veil);
}

bool http_veil_is_shaking(const struct http_veil *veil)
{
    return veil->shaking;
}

struct tls_stream *http_veil_stream(const struct http_veil *veil)
{
    return veil->stream;
}

int http_veil_error(const struct http_veil *veil)
{
    return veil->error;
}

/* --- events --- */

static void fail_handshake(struct http_veil *veil)
{
    uv_poll_t *poll = &veil->socket->poll;
    veil->error = EPROTO;
    veil->armed = NOT_ARMED;
    (void)uv_poll_stop(poll);
    veil->on_event(poll, UV_EPROTO, 0);
}

static void shake(struct http_veil *veil)
{
    switch (tls_stream_shake(veil->stream)) {
    case TLS_IO_WANTS_READ:
        veil->shake_events = UV_READABLE;
        rearm(veil);
        return;
    case TLS_IO_WANTS_WRITE:
        veil->shake_events = UV_WRITABLE;
        rearm(veil);
        return;
    case TLS_IO_DONE:
        veil->shaking = false;
        veil->more = tls_stream_has_more(veil->stream);
        rearm(veil);
        if (veil->wanted != 0) {
            veil->on_event(&veil->socket->poll, 0, veil->wanted);
        }
        return;
    case TLS_IO_ENDED:
    case TLS_IO_BROKEN:
        fail_handshake(veil);
        return;
    }
}

static void on_veil(uv_poll_t *handle, int status, int events)
{
    /* The poll is the socket's first member. */
    struct http_veil *veil = ((struct http_socket *)handle)->veil;

    if (status < 0) {
        veil->armed = NOT_ARMED; /* libuv has stopped the handle */
    }
    if (veil->shaking) {
        shake(veil);
        return;
    }
    if (veil->reads_later && (events & UV_WRITABLE) != 0) {
        veil->reads_later = false;
        events = (events & ~UV_WRITABLE) | UV_READABLE | (veil->wanted & UV_WRITABLE);
        rearm(veil);
    }
    veil->on_event(handle, status, events);
}

/* --- reading and writing --- */

static enum http_io name_end(enum tls_io io)
{
    switch (io) {
    case TLS_IO_ENDED:
        return HTTP_IO_ENDED;
    case TLS_IO_BROKEN:
        return HTTP_IO_BROKEN;
    case TLS_IO_DONE:
    case TLS_IO_WANTS_READ:
    case TLS_IO_WANTS_WRITE:
        break;
    }
    return HTTP_IO_BLOCKED;
}

/* Reads records until there is no room or no record. How it stopped. */
static enum tls_io read_records(struct http_veil *veil, struct slab_buffer *into)
{
    enum tls_io io = TLS_IO_DONE;
    while (io == TLS_IO_DONE && into->end < SLAB_BYTES) {
        size_t size = SLAB_BYTES - into->end;
        io = tls_stream_read(veil->stream, into->bytes + into->end, &size);
        into->end += (uint32_t)size;
        if (io == TLS_IO_DONE && !tls_stream_has_more(veil->stream)) {
            break;
        }
    }
    return io;
}

enum http_io http_veil_read(struct http_veil *veil, struct slab_buffer *into)
{
    uint32_t before = into->end;

    if (veil->shaking) {
        return HTTP_IO_BLOCKED;
    }
    if (veil->end != TLS_IO_DONE) {
        return name_end(veil->end);
    }
    enum tls_io io = read_records(veil, into);
    veil->end = io == TLS_IO_ENDED || io == TLS_IO_BROKEN ? io : TLS_IO_DONE;
    veil->reads_later = io == TLS_IO_WANTS_WRITE;
    bool text = into->end != before;
    bool behind = veil->end != TLS_IO_DONE && text; /* the end is told next time */
    veil->more = behind || (io == TLS_IO_DONE && tls_stream_has_more(veil->stream));
    rearm(veil);
    return text ? HTTP_IO_DONE : name_end(io);
}

enum http_io http_veil_write(struct http_veil *veil, struct slab_buffer *from,
                             const uint8_t *extra, size_t size, size_t *extra_sent)
{
    size_t held = slab_size(from);
    size_t sent = 0;
    struct tls_pieces pieces = {
        .first = held > 0 ? from->bytes + from->start : NULL,
        .first_size = held,
        .second = extra,
        .second_size = size,
    };
    if (veil->shaking) {
        return HTTP_IO_BLOCKED;
    }
    uint64_t now_ms = uv_now(veil->socket->poll.loop);
    enum tls_io io = tls_stream_write(veil->stream, &pieces, now_ms, &sent);
    size_t of_buffer = sent < held ? sent : held;
    if (of_buffer > 0) {
        slab_consume(from, of_buffer);
    }
    *extra_sent = sent - of_buffer;
    return io == TLS_IO_DONE ? HTTP_IO_DONE : name_end(io);
}
