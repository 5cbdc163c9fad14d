#include "dns/tcp_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/metrics.h"
#include "dns/stream.h"

enum {
    BACKLOG = 128,
    READ_SIZE = 16384,
    SWEEP_EVERY_MS = 500,
    CROWDED = DNS_TCP_CONNECTIONS_MAX * 9 / 10,
    KEEP_MAX = 4096 /* an output buffer gives back more than that when it is empty */
};

struct connection {
    uv_tcp_t handle; /* `data` is ours */
    struct dns_tcp *tcp;
    struct connection *next;
    struct connection *previous;
    struct rc_address peer;
    struct dns_stream input;
    struct rc_buffer output; /* answers, with their lengths before them */
    size_t sending;          /* bytes of `output` that `write` is busy with */
    uv_write_t write;
    uint64_t due_ms;                      /* when it is closed if nothing happens */
    enum { OPEN, ENDING, CLOSING } state; /* ENDING: after what is in `output` */
};

struct dns_tcp {
    uv_loop_t *loop;
    struct dns_tcp_options options;
    uv_tcp_t listeners[DNS_TCP_LISTENERS_MAX];
    size_t listener_count;
    uv_timer_t sweep; /* runs while there are connections */
    struct connection *connections;
    size_t connection_count;
    size_t open_handles;
    uint8_t read_space[READ_SIZE];
    uint8_t answer[DNS_MESSAGE_MAX];
    void (*on_closed)(void *context);
    void *context;
};

static void write_output(struct connection *c);
static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space);

static void handle_closed(struct dns_tcp *tcp)
{
    assert(tcp->open_handles > 0);
    if (--tcp->open_handles == 0) {
        void (*on_closed)(void *) = tcp->on_closed;
        void *context = tcp->context;
        free(tcp);
        on_closed(context);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct dns_tcp *tcp = c->tcp;

    dns_stream_fini(&c->input);
    rc_buffer_fini(&c->output);
    free(c);
    handle_closed(tcp);
}

static void drop(struct connection *c)
{
    struct dns_tcp *tcp = c->tcp;

    if (c->state == CLOSING) {
        return;
    }
    c->state = CLOSING;
    *(c->previous != NULL ? &c->previous->next : &tcp->connections) = c->next;
    if (c->next != NULL) {
        c->next->previous = c->previous;
    }
    tcp->connection_count--;
    rc_metric_set(tcp->options.meter->connections, (double)tcp->connection_count);
    if (tcp->connection_count == 0) {
        (void)uv_timer_stop(&tcp->sweep);
    }
    uv_close((uv_handle_t *)&c->handle, on_connection_closed);
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    const struct connection *c = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)c->tcp->read_space, READ_SIZE);
}

/* Sets the time by which something has to happen. */
static void expect(struct connection *c)
{
    uint64_t now_ms = uv_now(c->tcp->loop);

    if (c->output.size > 0) {
        c->due_ms = now_ms + DNS_TCP_IDLE_MS;
    } else if (dns_stream_pending(&c->input) > 0) {
        c->due_ms = now_ms + DNS_TCP_PARTIAL_MS;
    } else {
        c->due_ms = now_ms + (c->tcp->connection_count >= CROWDED ? 0 : DNS_TCP_IDLE_MS);
    }
}

static int answer_message(struct connection *c, const uint8_t *query, size_t size)
{
    struct dns_tcp *tcp = c->tcp;

    uint64_t start_ns = rc_clock_ns();
    struct dns_outcome outcome = dns_answer(tcp->options.answerer, DNS_CHANNEL_TCP, query,
                                            size, tcp->answer, sizeof tcp->answer);
    dns_meter_count(tcp->options.meter, DNS_PROTOCOL_TCP, &outcome,
                    rc_clock_ns() - start_ns);
    if (outcome.size == 0) {
        return RC_EMALFORMED; /* an answer where a query belongs */
    }
    const uint8_t length[2] = {(uint8_t)(outcome.size >> 8), (uint8_t)outcome.size};
    rc_buffer_append(&c->output, length, sizeof length);
    rc_buffer_append(&c->output, tcp->answer, outcome.size);
    return c->output.err;
}

/* Answers the messages that are whole. RC_OK: there may be more, but the output is full;
 * RC_EAGAIN: there are none left. */
static int fill_output(struct connection *c)
{
    const uint8_t *message;
    size_t size;
    int err = RC_OK;

    while (err == RC_OK && c->output.size < DNS_TCP_OUTPUT_MAX) {
        err = dns_stream_next(&c->input, &message, &size);
        if (err == RC_OK) {
            err = answer_message(c, message, size);
        }
    }
    return err;
}

/* While the client does not take its answers, no further query of it is read. */
static void answer_waiting(struct connection *c)
{
    int err = RC_OK;

    while (err == RC_OK && c->state != CLOSING && c->sending == 0) {
        err = fill_output(c);
        if (err == RC_OK || err == RC_EAGAIN) {
            write_output(c);
        } else {
            drop(c);
        }
    }
    if (c->state == ENDING && c->output.size == 0) {
        drop(c);
    }
    if (c->state == CLOSING) {
        return;
    }
    if (c->state == OPEN && c->sending == 0) {
        (void)uv_read_start((uv_stream_t *)&c->handle, on_allocate, on_read);
    } else {
        (void)uv_read_stop((uv_stream_t *)&c->handle);
    }
    if (c->output.size == 0 && c->output.capacity > KEEP_MAX) {
        rc_buffer_fini(&c->output);
    }
    expect(c);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space)
{
    struct connection *c = stream->data;

    if (c->state != OPEN || count == 0) {
        return;
    }
    if (count == UV_EOF) {
        (void)uv_read_stop(stream);
        c->state = ENDING;
        answer_waiting(c);
        return;
    }
    if (count < 0 || dns_stream_feed(&c->input, space->base, (size_t)count) != RC_OK) {
        drop(c);
        return;
    }
    /* A query that trickles in is not given more time at every byte. */
    size_t before = dns_stream_pending(&c->input) - (size_t)count;
    uint64_t due_ms = c->due_ms;
    answer_waiting(c);
    if (c->state == OPEN && before > 0 && c->output.size == 0 &&
        dns_stream_pending(&c->input) == before + (size_t)count) {
        c->due_ms = due_ms;
    }
}

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;

    if (c->state == CLOSING) {
        return;
    }
    if (status < 0) {
        drop(c);
        return;
    }
    rc_buffer_consume(&c->output, c->sending);
    c->sending = 0;
    answer_waiting(c);
}

/* One write for all answers that are ready; the rest waits for the socket. */
static void write_output(struct connection *c)
{
    uv_stream_t *stream = (uv_stream_t *)&c->handle;

    if (c->output.size == 0) {
        return;
    }
    uv_buf_t part = uv_buf_init((char *)c->output.bytes, (unsigned)c->output.size);
    int count = uv_try_write(stream, &part, 1);
    if (count > 0) {
        rc_buffer_consume(&c->output, (size_t)count);
    } else if (count != UV_EAGAIN) {
        drop(c);
        return;
    }
    if (c->output.size == 0) {
        return;
    }
    part = uv_buf_init((char *)c->output.bytes, (unsigned)c->output.size);
    c->write.data = c;
    c->sending = c->output.size;
    if (uv_write(&c->write, stream, &part, 1, on_written) != 0) {
        drop(c);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    const struct dns_tcp *tcp = timer->data;
    uint64_t now_ms = uv_now(tcp->loop);
    struct connection *next;

    for (struct connection *c = tcp->connections; c != NULL; c = next) {
        next = c->next;
        if (now_ms >= c->due_ms) {
            drop(c);
        }
    }
}

static size_t count_from(const struct dns_tcp *tcp, const struct rc_address *peer)
{
    size_t count = 0;

    for (const struct connection *c = tcp->connections; c != NULL; c = c->next) {
        count += rc_address_ip_equals(&c->peer, peer) ? 1 : 0;
    }
    return count;
}

static void add_connection(struct dns_tcp *tcp, struct connection *c)
{
    c->next = tcp->connections;
    if (c->next != NULL) {
        c->next->previous = c;
    }
    tcp->connections = c;
    tcp->connection_count++;
    rc_metric_set(tcp->options.meter->connections, (double)tcp->connection_count);
    if (tcp->connection_count == 1) {
        (void)uv_timer_start(&tcp->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct dns_tcp *tcp = listener->data;
    struct sockaddr_storage storage;
    int size = sizeof storage;

    struct connection *c = status == 0 ? calloc(1, sizeof *c) : NULL;
    if (c == NULL) {
        return; /* libuv pauses accepting when descriptors are out */
    }
    c->tcp = tcp;
    (void)uv_tcp_init(tcp->loop, &c->handle); /* cannot fail without a socket */
    c->handle.data = c;
    tcp->open_handles++;
    add_connection(tcp, c);
    if (uv_accept(listener, (uv_stream_t *)&c->handle) != 0 ||
        uv_tcp_getpeername(&c->handle, (struct sockaddr *)&storage, &size) != 0 ||
        rc_address_from_sockaddr((struct sockaddr *)&storage, &c->peer) != RC_OK) {
        drop(c);
        return;
    }
    if (tcp->connection_count > DNS_TCP_CONNECTIONS_MAX ||
        count_from(tcp, &c->peer) > DNS_TCP_PER_ADDRESS_MAX) {
        rc_metric_add(tcp->options.meter->refused, 1);
        drop(c);
        return;
    }
    (void)uv_tcp_nodelay(&c->handle, 1);
    c->due_ms = uv_now(tcp->loop) + DNS_TCP_FIRST_MS;
    if (uv_read_start((uv_stream_t *)&c->handle, on_allocate, on_read) != 0) {
        drop(c);
    }
}

int dns_tcp_start(uv_loop_t *loop, const struct dns_tcp_options *options,
                  struct dns_tcp **out)
{
    struct dns_tcp *tcp = calloc(1, sizeof *tcp);

    if (tcp == NULL) {
        return RC_ENOMEM;
    }
    tcp->loop = loop;
    tcp->options = *options;
    (void)uv_timer_init(loop, &tcp->sweep); /* always 0 */
    tcp->sweep.data = tcp;
    tcp->open_handles = 1;
    *out = tcp;
    return RC_OK;
}

int dns_tcp_listen(struct dns_tcp *tcp, const struct rc_address *address)
{
    struct sockaddr_storage storage;
    unsigned flags = address->family == RC_ADDRESS_IPV6 ? UV_TCP_IPV6ONLY : 0;

    assert(tcp->listener_count < DNS_TCP_LISTENERS_MAX);
    uv_tcp_t *listener = &tcp->listeners[tcp->listener_count];
    (void)rc_address_to_sockaddr(address, &storage);
    int code = uv_tcp_init(tcp->loop, listener);
    if (code != 0) {
        errno = -code;
        return RC_EIO;
    }
    listener->data = tcp;
    tcp->listener_count++;
    tcp->open_handles++;
    code = uv_tcp_bind(listener, (const struct sockaddr *)&storage, flags);
    if (code == 0) {
        code = uv_listen((uv_stream_t *)listener, BACKLOG, on_connection);
    }
    errno = -code;
    return code == 0 ? RC_OK : RC_EIO;
}

void dns_tcp_close(struct dns_tcp *tcp, void (*on_closed)(void *context), void *context)
{
    tcp->on_closed = on_closed;
    tcp->context = context;
    for (size_t i = 0; i < tcp->listener_count; i++) {
        uv_close((uv_handle_t *)&tcp->listeners[i], on_handle_closed);
    }
    while (tcp->connections != NULL) {
        drop(tcp->connections);
    }
    uv_close((uv_handle_t *)&tcp->sweep, on_handle_closed);
}
