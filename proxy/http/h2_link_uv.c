/* h2_link_uv.c - connections that speak HTTP/2: bytes to frames and back, a client for each
 * stream. What is to be written is gathered until the end of the loop's turn. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/http2/h2_session_nghttp2.h"

enum {
    LEAVE_STEP_MS = 500
}; /* between the two GOAWAYs: a client's requests on their way */

struct h2_link {
    struct client *carrier; /* whose socket this is */
    struct h2_session *session;
    TAILQ_ENTRY(h2_link) dirty_link;
    struct client_list streams;
    uint64_t idle_since_ms;
    uint64_t head_since_ms;  /* 0 = none is incomplete */
    uint64_t leave_since_ms; /* 0 = it stays */
    bool left;               /* the second GOAWAY is said */
    uint32_t count;          /* of streams that are served */
    bool dirty;
    bool failed; /* nothing more is read; what is framed is still written */
};

static void mark(struct h2_link *link)
{
    struct http *http = link->carrier->http;

    if (!link->dirty) {
        link->dirty = true;
        TAILQ_INSERT_TAIL(&http->h2_dirty, link, dirty_link);
    }
}

/* --- streams --- */

static struct client *open_stream(struct h2_link *link, struct h2_stream *stream)
{
    struct client *carrier = link->carrier;
    struct http *http = carrier->http;
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        return NULL;
    }
    client->socket.fd = -1;
    client->http = http;
    client->listener = carrier->listener;
    client->timer.kind = HTTP_TIMER_CLIENT;
    client->peer = carrier->peer;
    client->secure = carrier->secure;
    memcpy(client->peer_text, carrier->peer_text, sizeof client->peer_text);
    client->h2 = link;
    client->stream = stream;
    client->state = CLIENT_BUSY;
    stream->owner = client;
    stream->out = &client->out;
    LIST_INSERT_HEAD(&http->clients, client, link);
    LIST_INSERT_HEAD(&link->streams, client, sibling);
    link->count++;
    return client;
}

struct client *h2_stream_carrier(const struct client *client)
{
    return client->h2->carrier;
}

int h2_stream_client_fd(const struct client *client)
{
    return client->h2->carrier->socket.fd;
}

void h2_stream_client_close(struct client *client)
{
    struct http *http = client->http;
    struct h2_link *link = client->h2;

    LIST_REMOVE(client, link);
    LIST_REMOVE(client, sibling);
    timer_clear(&http->wheel, &client->timer);
    h2_stream_client_drained(client);
    slab_return(&http->slab, &client->in);
    h2_stream_release(client->stream);
    slab_return(&http->slab, &client->out);
    client->next_dead = http->dead_streams;
    http->dead_streams = client;
    link->carrier->served++;
    link->count--;
    link->idle_since_ms = http_now_ms(http);
    mark(link);
}

/* The next buffer of the request body, when the one before is used up. True if there is news for
 * the exchange. */
static bool refill(struct client *client)
{
    struct h2_stream *stream = client->stream;
    bool had_ended = client->ended;
    bool fresh = false;

    if (slab_size(client->in) == 0) {
        slab_return(&client->http->slab, &client->in);
        client->in = h2_stream_take(stream);
        fresh = client->in != NULL;
    }
    client->ended = stream->ended && stream->in == NULL;
    return fresh || (client->ended && !had_ended);
}

void h2_stream_client_drained(struct client *client)
{
    struct h2_stream *stream = client->stream;
    size_t passed = stream->held - stream->waiting - slab_size(client->in);

    if (passed > 0) {
        h2_stream_consumed(stream, passed);
        mark(client->h2);
    }
    if (client->state != CLIENT_CLOSED && refill(client)) {
        h2_stream_wake(stream, H2_MORE);
        mark(client->h2);
    }
    if (client->blocked &&
        client->out == NULL) { /* waits for a buffer, not for a window */
        h2_stream_wake(stream, H2_DRAINED);
        mark(client->h2);
    }
}

void h2_link_drained(struct client *client)
{
    if (client->paused) {
        client->paused = false;
        client_rearm(client);
        mark(client->h2);
    }
}

int h2_stream_client_head(struct client *client, size_t size)
{
    struct h2_field fields[H2_HEAD_FIELDS_MAX];
    struct slab_buffer *out = client->out;
    uint8_t *at = out->bytes + out->end - size;
    enum h2_answer answer = H2_ANSWER_WITH_BODY;
    size_t count = 0;
    size_t head_size = 0;

    int err = h2_head_split((const char *)at, size, fields, &count, &head_size);
    if (err != RC_OK) {
        return err;
    }
    if (fields[0].value.at[0] == '1') {
        answer = H2_ANSWER_INTERIM;
    } else if (size == head_size && client->exchange->response.kind == FRAMING_NONE) {
        answer = H2_ANSWER_WHOLE;
    }
    err = h2_stream_head(client->stream, fields, count, answer);
    memmove(at, at + head_size, size - head_size);
    out->end -= (uint32_t)head_size;
    if (slab_size(out) == 0) {
        slab_return(&client->http->slab, &client->out);
    }
    mark(client->h2);
    return err;
}

enum http_io h2_stream_client_send(struct client *client, const uint8_t *extra,
                                   size_t size, size_t *extra_sent)
{
    *extra_sent = 0;
    if (client->stream->gone) {
        return HTTP_IO_BROKEN;
    }
    if (size > 0 && client->out == NULL) {
        client->out = http_lend(client->http);
    }
    if (size > 0 && client->out != NULL) {
        size_t room = slab_room(client->out);
        *extra_sent = size < room ? size : room;
        slab_append(client->out, extra, *extra_sent);
    }
    if (slab_size(client->out) > 0) {
        h2_stream_resume(client->stream);
        mark(client->h2);
    }
    bool taken = size > 0 ? *extra_sent == size : slab_size(client->out) == 0;
    return taken ? HTTP_IO_DONE : HTTP_IO_BLOCKED;
}

enum http_io h2_stream_client_finish(struct client *client)
{
    if (client->stream->sent) {
        return HTTP_IO_DONE;
    }
    if (client->stream->gone) {
        return HTTP_IO_BROKEN;
    }
    h2_stream_finish(client->stream);
    mark(client->h2);
    return HTTP_IO_BLOCKED;
}

/* --- news --- */

static void begin(struct h2_link *link, struct h2_stream *stream)
{
    struct client *client = open_stream(link, stream);

    if (client == NULL) {
        h2_stream_release(stream);
        return;
    }
    client->in = h2_stream_take(stream);
    exchange_begin(client, stream->head_size, stream->fault);
}

static void on_more(struct client *client)
{
    struct exchange *x = client->exchange;

    (void)refill(client);
    if (x != NULL && !x->request_read) {
        request_pump(x);
    }
}

static void on_drained(struct client *client)
{
    client->blocked = false;
    if (slab_size(client->out) == 0) {
        slab_return(&client->http->slab, &client->out);
    }
    if (client->exchange != NULL) {
        response_pump(client->exchange);
    }
}

/* Whatever is done first may end the stream: its client stays readable for this turn. */
static void on_news(struct h2_link *link, struct h2_stream *stream, unsigned news)
{
    if ((news & H2_REQUEST) != 0) {
        begin(link, stream);
        return; /* what else there is to be told of it is told again */
    }
    struct client *client = stream->owner;
    if ((news & (H2_DRAINED | H2_SENT)) != 0) {
        on_drained(client);
    }
    if ((news & H2_MORE) != 0 && client->state != CLIENT_CLOSED) {
        on_more(client);
    }
    if ((news & H2_GONE) == 0 || client->state == CLIENT_CLOSED) {
        return;
    }
    if (client->exchange != NULL) {
        exchange_client_gone(client->exchange);
    } else {
        client_close(client);
    }
}

static void take_news(struct h2_link *link)
{
    struct h2_stream *stream = NULL;
    unsigned news = 0;

    while ((stream = h2_session_next(link->session, &news)) != NULL) {
        on_news(link, stream, news);
    }
}

/* --- writing --- */

/* Writes what is framed. False: no more now. */
static bool write_out(struct client *carrier)
{
    size_t none = 0;
    enum http_io io = http_socket_write(&carrier->socket, carrier->out, NULL, 0, &none);

    if (io == HTTP_IO_BROKEN) {
        client_close(carrier);
        return false;
    }
    if (io == HTTP_IO_BLOCKED) {
        carrier->blocked = true;
        client_rearm(carrier);
        return false;
    }
    return true;
}

/* Frames and writes until there is nothing more, or no more goes. False: it is closed. */
static bool flush(struct h2_link *link)
{
    struct client *carrier = link->carrier;
    size_t written = 0;

    while (!carrier->blocked && written < HTTP_TURN_BYTES_MAX) {
        if (carrier->out == NULL) {
            carrier->out = http_lend(carrier->http);
        }
        if (carrier->out == NULL) {
            carrier->paused = true; /* the tick calls again when there are buffers */
            client_rearm(carrier);
            return true;
        }
        if (h2_session_fill(link->session, carrier->out) != RC_OK) {
            client_close(carrier);
            return false;
        }
        size_t size = slab_size(carrier->out);
        if (size == 0) {
            break;
        }
        written += size;
        if (!write_out(carrier)) {
            break;
        }
        take_news(link);
    }
    if (carrier->state == CLIENT_CLOSED) {
        return false;
    }
    if (slab_size(carrier->out) == 0) {
        slab_return(&carrier->http->slab, &carrier->out);
    }
    return true;
}

/* --- time --- */

/* When it is looked at again: a head that does not end, or nothing to do for long. */
static uint64_t deadline_ms(struct h2_link *link)
{
    struct client *carrier = link->carrier;
    const struct config_listener *listener = worker_listener_config(carrier->listener);
    uint64_t now_ms = http_now_ms(carrier->http);
    uint64_t since_ms = link->count > 0 ? now_ms : link->idle_since_ms;
    uint64_t due_ms = since_ms + listener->keepalive_ms;

    if (!h2_session_is_in_head(link->session)) {
        link->head_since_ms = 0;
    } else if (link->head_since_ms == 0) {
        link->head_since_ms = now_ms;
    }
    if (h2_session_is_lingering(link->session) && now_ms + HTTP_LINGER_MS < due_ms) {
        due_ms = now_ms + HTTP_LINGER_MS;
    }
    uint64_t step_ms = link->leave_since_ms + LEAVE_STEP_MS;
    if (link->leave_since_ms != 0 && !link->left && step_ms < due_ms) {
        due_ms = step_ms; /* the client may say nothing any more */
    }
    if (carrier->served == 0 && link->count == 0) {
        due_ms = since_ms + listener->head_timeout_ms;
    }
    if (link->head_since_ms != 0 &&
        link->head_since_ms + listener->head_timeout_ms < due_ms) {
        due_ms = link->head_since_ms + listener->head_timeout_ms;
    }
    return due_ms;
}

void h2_link_on_timer(struct client *client)
{
    struct h2_link *link = client->h2;

    if (client->stream != NULL) {
        if (client->exchange != NULL) {
            exchange_on_timer(client->exchange);
        }
        return;
    }
    h2_session_end_lingering(link->session);
    mark(link);
    if (link->leave_since_ms != 0) {
        h2_link_leave(client);
    }
    uint64_t due_ms = deadline_ms(link);
    if (due_ms > http_now_ms(client->http)) {
        client_set_deadline(client, due_ms);
        return;
    }
    h2_session_leave(link->session, H2_LEAVE_NOW);
    if (flush(link)) {
        client_close(client);
    }
}

void h2_link_leave(struct client *client)
{
    struct h2_link *link = client->h2;
    uint64_t now_ms = http_now_ms(client->http);

    if (client->stream != NULL) {
        return;
    }
    if (link->leave_since_ms == 0) {
        link->leave_since_ms = now_ms;
        h2_session_leave(link->session, H2_LEAVE_SOON);
        mark(link);
    } else if (!link->left && now_ms >= link->leave_since_ms + LEAVE_STEP_MS) {
        link->left = true;
        h2_session_leave(link->session, H2_LEAVE_NOW);
        mark(link);
    }
}

/* --- the end of a turn --- */

/* Ends it in order: what was written arrives although more is being sent to us. */
static void end(struct h2_link *link)
{
    struct client *carrier = link->carrier;
    enum h2_nuisance nuisance = h2_session_nuisance(link->session);

    if (nuisance != H2_NUISANCE_COUNT) {
        rc_metric_add(carrier->http->metrics.h2_calmed[nuisance], 1);
    }
    h2_link_close(carrier);
    client_linger(carrier);
}

/* False: it is closed. */
static bool settle(struct h2_link *link)
{
    struct client *carrier = link->carrier;

    take_news(link);
    if (!flush(link)) {
        return false;
    }
    bool written = slab_size(carrier->out) == 0;
    if (written && (link->failed || h2_session_is_over(link->session))) {
        end(link);
        return false;
    }
    if (!client_may_stay(carrier)) {
        h2_link_leave(carrier);
    }
    client_set_deadline(carrier, deadline_ms(link));
    return true;
}

static void on_again(uv_idle_t *handle)
{
    (void)handle; /* as long as it is there the loop does not wait */
}

static void on_turn(uv_prepare_t *handle)
{
    struct http *http = handle->data;
    struct h2_link *link = TAILQ_FIRST(&http->h2_dirty);
    struct h2_link *next = NULL;

    for (; link != NULL; link = next) {
        next = TAILQ_NEXT(link, dirty_link);
        if (!settle(link)) {
            continue;
        }
        bool more = !link->carrier->blocked && h2_session_wants_write(link->session) &&
                    link->carrier->out == NULL && !link->carrier->paused;
        if (!more) { /* else after the others' events */
            TAILQ_REMOVE(&http->h2_dirty, link, dirty_link);
            link->dirty = false;
        }
    }
    if (TAILQ_EMPTY(&http->h2_dirty)) {
        (void)uv_idle_stop(&http->h2_again);
    } else {
        (void)uv_idle_start(&http->h2_again, on_again);
    }
    http_leave(http);
}

/* --- bytes in --- */

static void feed(struct h2_link *link, const struct slab_buffer *from)
{
    struct client *carrier = link->carrier;
    const uint8_t *bytes = from->bytes + from->start;

    if (h2_session_feed(link->session, bytes, slab_size(from),
                        http_now_ms(carrier->http)) != RC_OK) {
        link->failed = true;
        carrier->ended = true; /* nothing more is read */
        client_rearm(carrier);
    }
    take_news(link);
    mark(link);
}

static void on_readable(struct h2_link *link)
{
    struct client *carrier = link->carrier;
    struct http *http = carrier->http;
    struct slab_buffer *in = http_lend(http);
    size_t moved = 0;
    bool more = in != NULL;

    if (in == NULL) {
        carrier->paused = true; /* the tick calls again */
        client_rearm(carrier);
        return;
    }
    while (more && !link->failed && moved < HTTP_TURN_BYTES_MAX) {
        enum http_io io = http_socket_read(&carrier->socket, in);
        if (io == HTTP_IO_ENDED || io == HTTP_IO_BROKEN) {
            slab_return(&http->slab, &in);
            client_close(carrier);
            return;
        }
        moved += slab_size(in);
        /* What TLS reads is a record at most: only BLOCKED says that there is no more. */
        more = io == HTTP_IO_DONE &&
               (in->end == SLAB_BYTES || !http_socket_is_plain(&carrier->socket));
        if (io == HTTP_IO_DONE) {
            feed(link, in);
        }
        in->start = 0;
        in->end = 0;
    }
    slab_return(&http->slab, &in);
}

void h2_link_on_event(struct client *client, int status, int events)
{
    struct h2_link *link = client->h2;

    if (status < 0 || (events & UV_PRIORITIZED) != 0) {
        client->socket.events = -1; /* libuv has stopped the handle */
        client_close(client);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        client->blocked = false;
        client_rearm(client);
        mark(link);
    }
    if ((events & UV_READABLE) != 0) {
        on_readable(link);
    }
}

/* --- beginning and end --- */

bool h2_link_is_wanted(const struct client *client, const char *bytes, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\n";

    return size == sizeof preface - 1 && memcmp(bytes, preface, size) == 0 &&
           worker_listener_config(client->listener)->http2_clear;
}

void h2_link_open(struct client *client)
{
    struct http *http = client->http;
    const struct config_listener *listener = worker_listener_config(client->listener);
    struct h2_link *link = calloc(1, sizeof *link);
    struct h2_session_options options = {
        .slab = &http->slab,
        .streams_max = listener->http2_streams,
        .now_ms = http_now_ms(http),
    };

    assert(client->exchange == NULL);
    client->state = CLIENT_BUSY;
    if (link == NULL || h2_session_create(&options, &link->session) != RC_OK) {
        free(link);
        client_close(client);
        return;
    }
    link->carrier = client;
    link->idle_since_ms = options.now_ms;
    LIST_INIT(&link->streams);
    client->h2 = link;
    mark(link);
    if (client->in != NULL) {
        feed(link, client->in);
        slab_return(&http->slab, &client->in);
    }
}

void h2_link_close(struct client *client)
{
    struct h2_link *link = client->h2;
    struct client *stream = NULL;

    while ((stream = LIST_FIRST(&link->streams)) != NULL) {
        if (stream->exchange != NULL) {
            exchange_client_gone(stream->exchange);
        } else {
            client_close(stream);
        }
    }
    if (link->dirty) {
        TAILQ_REMOVE(&client->http->h2_dirty, link, dirty_link);
    }
    h2_session_destroy(link->session);
    free(link);
    client->h2 = NULL;
}

void h2_link_init(struct http *http)
{
    char label[64];

    TAILQ_INIT(&http->h2_dirty);
    (void)uv_prepare_init(http->worker->loop, &http->h2_turn); /* cannot fail */
    (void)uv_prepare_start(&http->h2_turn, on_turn);
    uv_unref((uv_handle_t *)&http->h2_turn);
    (void)uv_idle_init(http->worker->loop, &http->h2_again);
    http->h2_turn.data = http;
    for (int i = 0; i < H2_NUISANCE_COUNT; i++) {
        (void)snprintf(label, sizeof label, "reason=\"%s\"",
                       h2_abuse_name((enum h2_nuisance)i));
        http->metrics.h2_calmed[i] =
            rc_metrics_counter(http->worker->metrics, "rollcall_proxy_http2_calmed_total",
                               label, "HTTP/2 connections ended: they only made work.");
    }
}

void h2_link_fini(struct http *http)
{
    if (!uv_is_closing((uv_handle_t *)&http->h2_turn)) {
        uv_close((uv_handle_t *)&http->h2_turn, NULL);
        uv_close((uv_handle_t *)&http->h2_again, NULL);
    }
}
