/* client_uv.c - connections from users: heads come in, one exchange runs at a time. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void client_close(struct client *client)
{
    struct http *http = client->http;

    if (client->state == CLIENT_CLOSED) {
        return;
    }
    assert(client->exchange == NULL);
    client->state = CLIENT_CLOSED;
    if (client->stream != NULL) {
        h2_stream_client_close(client);
        return;
    }
    if (client->h2 != NULL) {
        h2_link_close(client);
    }
    secure_leave(client);
    LIST_REMOVE(client, link);
    http->client_count--;
    timer_clear(&http->wheel, &client->timer);
    slab_return(&http->slab, &client->in);
    slab_return(&http->slab, &client->out);
    http_socket_close(&client->socket, on_closed);
    limit_leave(&client->grant);
    worker_connection_done(http->worker, client->listener);
}

bool client_may_stay(const struct client *client)
{
    const struct worker *worker = client->http->worker;
    return !worker->draining && !worker->snapshot->draining && !client->http->aborted;
}

void client_set_deadline(struct client *client, uint64_t due_ms)
{
    http_set_timer(client->http, &client->timer, due_ms);
}

/* --- reading --- */

/* No buffer to read into: the one answer that needs none. */
static void refuse_for_memory(struct client *client)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Length: 28\r\nConnection: close\r\n\r\n"
                                 "the proxy is out of buffers\n";
    size_t sent = 0;
    (void)http_socket_write(&client->socket, NULL, (const uint8_t *)answer,
                            sizeof answer - 1, &sent);
    client_close(client);
}

/* The client sends nothing more. */
static void on_end(struct client *client)
{
    client->ended = true;
    client_rearm(client);
    struct exchange *x = client->exchange;
    if (x == NULL) {
        client_close(client);
    } else if (x->phase == EXCHANGE_TUNNEL) {
        tunnel_pump(x);
    } else if (!x->request_read) {
        request_pump(x); /* the rest may be in the buffer */
        if (client->exchange == x && !x->request_read && x->phase < EXCHANGE_FLUSHING) {
            exchange_client_gone(x);
        }
    }
}

static void on_gone(struct client *client)
{
    if (client->exchange != NULL) {
        exchange_client_gone(client->exchange);
    } else {
        client_close(client);
    }
}

/* Serves the heads that lie in the buffer, one after the other, as long as each is answered at
 * once; a running exchange comes back here when it is over. */
static void run(struct client *client)
{
    if (client->running) {
        return;
    }
    client->running = true;
    while ((client->state == CLIENT_IDLE || client->state == CLIENT_HEAD) &&
           slab_size(client->in) > 0) {
        size_t size = 0;
        const char *bytes = (const char *)client->in->bytes + client->in->start;
        enum http1_fault fault =
            http1_scan(&client->scan, bytes, slab_size(client->in), &size);
        if (fault == HTTP1_SOUND && size == 0) {
            break;
        }
        client->state = CLIENT_BUSY;
        if (client->served == 0 && h2_link_is_wanted(client, bytes, size)) {
            h2_link_open(client);
            break;
        }
        exchange_begin(client, size, fault);
    }
    client->running = false;
}

/* What to do after `run` when no exchange is running: wait for more, within limits. */
static void settle(struct client *client)
{
    const struct config_listener *listener = worker_listener_config(client->listener);
    uint64_t now_ms = http_now_ms(client->http);

    if (client->state != CLIENT_IDLE && client->state != CLIENT_HEAD) {
        return;
    }
    if (client->ended) {
        client_close(client);
        return;
    }
    if (slab_size(client->in) > 0) {
        if (client->state == CLIENT_IDLE) {
            client->state = CLIENT_HEAD;
            client_set_deadline(client, now_ms + listener->head_timeout_ms);
        }
        return;
    }
    slab_return(&client->http->slab, &client->in);
    if (!client_may_stay(client)) {
        client_close(client);
        return;
    }
    client_set_deadline(client,
                        now_ms + (client->served > 0 ? listener->keepalive_ms
                                                     : listener->head_timeout_ms));
}

static void on_bytes(struct client *client)
{
    struct exchange *x = client->exchange;

    if (x == NULL) {
        run(client);
        settle(client);
    } else if (x->phase == EXCHANGE_TUNNEL) {
        tunnel_pump(x);
    } else if (!x->request_read) {
        request_pump(x);
    }
}

/* Half closed after an answer: what still comes is read and forgotten, so that the answer is not
 * overtaken by a reset (RFC 9112 section 9.6). */
static void discard(struct client *client)
{
    enum http_io io =
        http_socket_discard(&client->socket, &client->lingered, HTTP_LINGER_BYTES);
    if (io != HTTP_IO_BLOCKED) {
        client_close(client);
    }
}

static enum http_io read_once(struct client *client)
{
    if (client->in == NULL) {
        client->in = http_lend(client->http);
    }
    return client->in == NULL ? HTTP_IO_FULL
                              : http_socket_read(&client->socket, client->in);
}

/* What a read brought instead of bytes. */
static void on_no_bytes(struct client *client, enum http_io io)
{
    switch (io) {
    case HTTP_IO_FULL:
        if (client->in == NULL && client->exchange == NULL) {
            refuse_for_memory(client);
            return;
        }
        client->paused = true;
        client_rearm(client);
        return;
    case HTTP_IO_ENDED:
        on_end(client);
        return;
    case HTTP_IO_BROKEN:
        on_gone(client);
        return;
    case HTTP_IO_DONE:
    case HTTP_IO_BLOCKED:
        return;
    }
}

/* True: there may be more to read at once. */
static bool take_bytes(struct client *client, size_t *moved)
{
    size_t before = slab_size(client->in);
    enum http_io io = read_once(client);

    if (io != HTTP_IO_DONE) {
        on_no_bytes(client, io);
        return false;
    }
    *moved += slab_size(client->in) - before;
    bool filled = client->in->end == SLAB_BYTES;
    on_bytes(client);
    if (client->exchange != NULL) {
        client->exchange->up.bulk = filled;
    }
    if (client->h2 != NULL) {
        return false; /* the rest is read as frames */
    }
    return filled; /* else the socket is empty; if not, libuv tells us again */
}

/* The same for a long body that passes without being read. */
static bool take_spliced(struct client *client, size_t *moved)
{
    struct exchange *x = client->exchange;
    enum http_io io = splice_request(x, moved);

    if (io == HTTP_IO_DONE) {
        request_pump(x);
        return true;
    }
    if (io == HTTP_IO_FULL && x->up.refused) {
        return take_bytes(client, moved);
    }
    on_no_bytes(client, io);
    return false;
}

static bool wants_splice(const struct client *client)
{
    const struct exchange *x = client->exchange;
    return x != NULL && (x->up.pipe != NULL || splice_takes_request(x));
}

static void on_readable(struct client *client)
{
    size_t moved = 0;
    bool more = true;

    while (more && client->state != CLIENT_CLOSED && moved < HTTP_TURN_BYTES_MAX) {
        if (client->state == CLIENT_LINGER) {
            discard(client);
            return;
        }
        more = wants_splice(client) ? take_spliced(client, &moved)
                                    : take_bytes(client, &moved);
    }
}

static void on_client(uv_poll_t *handle, int status, int events)
{
    struct client *client = handle->data;
    struct http *http = client->http;

    if (client->h2 != NULL) {
        h2_link_on_event(client, status, events);
        http_leave(http);
        return;
    }
    if (client->secure == CLIENT_SHAKING && !secure_on_event(client, status)) {
        http_leave(http);
        return;
    }
    if (status < 0 || (events & UV_PRIORITIZED) != 0) {
        client->socket.events = -1; /* libuv has stopped the handle */
        on_gone(client);
        http_leave(http);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        client->blocked = false;
        client_rearm(client);
        if (client->exchange != NULL) {
            response_pump(client->exchange);
        }
    }
    if ((events & UV_READABLE) != 0 && client->state != CLIENT_CLOSED) {
        on_readable(client);
    }
    http_leave(http);
}

void client_rearm(struct client *client)
{
    if (client->stream != NULL) {
        return; /* its connection is armed for all */
    }
    int events = (client->paused || client->ended ? 0 : UV_READABLE) |
                 (client->blocked ? UV_WRITABLE : 0);
    http_socket_arm(&client->socket, events, on_client);
}

void client_drained(struct client *client)
{
    if (client->stream != NULL) {
        h2_stream_client_drained(client);
        return;
    }
    if (client->h2 != NULL) {
        h2_link_drained(client);
        return;
    }
    if (slab_size(client->in) == 0) {
        slab_return(&client->http->slab, &client->in);
    }
    if (client->paused && slab_size(client->in) <= SLAB_BYTES / 2) {
        client->paused = false;
        client_rearm(client);
    }
}

/* --- from one exchange to the next --- */

void client_linger(struct client *client)
{
    struct http *http = client->http;

    slab_return(&http->slab, &client->in);
    slab_return(&http->slab, &client->out);
    if (client->ended || http_socket_end(&client->socket) != RC_OK) {
        client_close(client);
        return;
    }
    client->state = CLIENT_LINGER;
    client->paused = false;
    client->blocked = false;
    client->lingered = 0;
    client_rearm(client);
    client_set_deadline(client, http_now_ms(http) + HTTP_LINGER_MS);
}

void client_exchange_over(struct client *client, enum client_next next)
{
    assert(client->state == CLIENT_BUSY);
    client->exchange = NULL;
    client->served++;
    if (client->stream != NULL) {
        client_close(client);
        return;
    }
    switch (next) {
    case CLIENT_GOES_ON:
        client->state = CLIENT_IDLE;
        client->scan = (struct http1_scan){0};
        slab_return(&client->http->slab, &client->out);
        client_drained(client);
        if (!client->running) {
            run(client);
            settle(client);
        }
        return;
    case CLIENT_LINGERS:
        client_linger(client);
        return;
    case CLIENT_RESETS:
        http_socket_reset(&client->socket);
        client_close(client);
        return;
    case CLIENT_CLOSES:
        client_close(client);
        return;
    }
}

/* --- time --- */

void client_on_timer(struct client *client)
{
    if (client->h2 != NULL) {
        h2_link_on_timer(client);
        return;
    }
    switch (client->state) {
    case CLIENT_HEAD: /* RFC 9110 section 15.5.9: say so, as something was received */
        client->state = CLIENT_BUSY;
        exchange_begin(client, 0, HTTP1_SOUND);
        return;
    case CLIENT_BUSY:
        if (client->exchange != NULL) {
            exchange_on_timer(client->exchange);
        }
        return;
    case CLIENT_IDLE:
        if (client->secure == CLIENT_SHAKING || client->secure == CLIENT_WAITS_FOR_TLS) {
            secure_on_timer(client);
            return;
        }
        client_close(client);
        return;
    case CLIENT_LINGER:
        client_close(client);
        return;
    case CLIENT_CLOSED:
        return;
    }
}

void client_accept(struct http *http, struct worker_listener *listener, int fd,
                   const struct rc_address *peer)
{
    struct client *client = calloc(1, sizeof *client);

    if (client == NULL) {
        (void)close(fd);
    }
    if (client == NULL ||
        http_socket_open(&client->socket, http->worker->loop, fd, client) != RC_OK) {
        free(client);
        worker_connection_done(http->worker, listener);
        return;
    }
    client->http = http;
    client->listener = listener;
    client->grant = worker_take_grant(http->worker);
    client->since_ms = http_now_ms(http);
    client->timer.kind = HTTP_TIMER_CLIENT;
    client->peer = *peer;
    rc_address_format_ip(peer, client->peer_text);
    LIST_INSERT_HEAD(&http->clients, client, link);
    http->client_count++;
    if (worker_listener_config(listener)->tls == CONFIG_TLS_END) {
        secure_begin(client);
        return;
    }
    client_rearm(client);
    uint32_t wait_ms = worker_listener_config(listener)->head_timeout_ms;
    client_set_deadline(client, http_now_ms(http) + wait_ms);
}
