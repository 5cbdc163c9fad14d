#include "dns/serve/connection_uv.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

enum { KEEP_MAX = 4096 /* an empty buffer gives back more than that */ };

static void on_closed(uv_handle_t *handle)
{
    struct dns_connection *c = handle->data;
    struct dns_connection_ground *ground = c->ground;

    dns_stream_fini(&c->input);
    rc_buffer_fini(&c->output);
    rc_buffer_fini(&c->leaving);
    free(c);
    ground->on_freed(ground->context);
}

void dns_connection_drop(struct dns_connection *c)
{
    if (c->state == DNS_CONNECTION_CLOSING) {
        return;
    }
    c->state = DNS_CONNECTION_CLOSING;
    dns_outlet_close(&c->outlet);
    c->ground->on_ended(c->ground->context, c);
    uv_close((uv_handle_t *)&c->handle, on_closed);
}

/* ---- Answers out. */

static void serve(struct dns_connection *c);

static void on_written(uv_write_t *write, int status)
{
    struct dns_connection *c = write->data;

    if (c->state == DNS_CONNECTION_CLOSING) {
        return;
    }
    if (status < 0) {
        dns_connection_drop(c);
        return;
    }
    rc_buffer_consume(&c->leaving, c->leaving.size);
    serve(c);
}

static void give_back(struct rc_buffer *buffer)
{
    if (buffer->size == 0 && buffer->capacity > KEEP_MAX) {
        rc_buffer_fini(buffer);
    }
}

/* One write for all answers that are ready. What the socket does not take leaves the buffer
 * with that write, so that more can be gathered behind it. */
static void write_output(struct dns_connection *c)
{
    uv_stream_t *stream = (uv_stream_t *)&c->handle;

    if (c->leaving.size > 0 || c->output.size == 0) {
        return;
    }
    uv_buf_t part = uv_buf_init((char *)c->output.bytes, (unsigned)c->output.size);
    int count = uv_try_write(stream, &part, 1);
    if (count > 0) {
        rc_buffer_consume(&c->output, (size_t)count);
    } else if (count != UV_EAGAIN) {
        dns_connection_drop(c);
        return;
    }
    if (c->output.size == 0) {
        return;
    }
    struct rc_buffer empty = c->leaving;
    c->leaving = c->output;
    c->output = empty;
    part = uv_buf_init((char *)c->leaving.bytes, (unsigned)c->leaving.size);
    c->write.data = c;
    if (uv_write(&c->write, stream, &part, 1, on_written) != 0) {
        dns_connection_drop(c);
    }
}

static void append_answer(struct dns_connection *c, const uint8_t *bytes, size_t size)
{
    const uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};

    rc_buffer_append(&c->output, length, sizeof length);
    rc_buffer_append(&c->output, bytes, size);
}

static void send_later(struct dns_outlet *outlet, const struct dns_later *later,
                       const uint8_t *bytes, size_t size)
{
    struct dns_connection *c = (struct dns_connection *)outlet; /* its first member */

    (void)later;
    if (size > 0) {
        append_answer(c, bytes, size);
    }
    c->is_ready = DNS_YES;
    c->ground->on_ready(c->ground->context);
}

/* ---- Queries in. */

static int answer_message(struct dns_connection *c, const uint8_t *query, size_t size)
{
    struct dns_connection_ground *ground = c->ground;
    struct dns_client client = {
        .peer = c->peer, .channel = DNS_CHANNEL_TCP, .idle_ms = ground->idle_ms};
    const struct dns_packet packet = {
        .outlet = &c->outlet, .client = &client, .query = query, .size = size};

    if (c->has_asked == DNS_NO) {
        c->has_asked = DNS_YES;
        c->ground->on_asked(c->ground->context);
    }
    struct dns_outcome outcome =
        dns_clerk_answer(ground->clerk, &packet, ground->answer, sizeof ground->answer);
    if (outcome.verdict == DNS_VERDICT_NOTHING) {
        return RC_EMALFORMED; /* an answer where a query belongs */
    }
    if (outcome.size > 0) {
        append_answer(c, ground->answer, outcome.size);
    }
    return c->output.err;
}

static enum dns_choice may_take_more(const struct dns_connection *c)
{
    return c->leaving.size == 0 && c->output.size < DNS_TCP_OUTPUT_MAX &&
                   c->outlet.waiting_count < DNS_TCP_UNANSWERED_MAX
               ? DNS_YES
               : DNS_NO;
}

/* Answers the messages that are whole. RC_EAGAIN: there are none left; RC_OK: there may be,
 * but it is not their turn. */
static int answer_messages(struct dns_connection *c)
{
    const uint8_t *message;
    size_t size;
    int err = RC_OK;

    while (err == RC_OK && may_take_more(c) == DNS_YES) {
        err = dns_stream_next(&c->input, &message, &size);
        if (err == RC_OK) {
            err = answer_message(c, message, size);
        }
    }
    return err;
}

/* Sets the time by which something has to happen. */
static void expect(struct dns_connection *c)
{
    const struct dns_connection_ground *ground = c->ground;
    uint64_t now_ms = uv_now(ground->loop);

    if (c->has_asked == DNS_NO) {
        return; /* as it was when it came */
    }
    if (c->leaving.size > 0 || c->outlet.waiting_count > 0) {
        c->due_ms = now_ms + DNS_TCP_IDLE_MS;
    } else if (dns_stream_pending(&c->input) > 0) {
        c->due_ms = now_ms + DNS_TCP_PARTIAL_MS;
    } else {
        c->due_ms = now_ms + ground->idle_ms;
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    const struct dns_connection *c = handle->data;

    (void)suggested;
    *out = uv_buf_init((char *)c->ground->read_space, DNS_TCP_READ_SIZE);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space);

static void read_or_not(struct dns_connection *c)
{
    uv_stream_t *stream = (uv_stream_t *)&c->handle;

    if (c->state == DNS_CONNECTION_OPEN && may_take_more(c) == DNS_YES) {
        (void)uv_read_start(stream, on_allocate, on_read); /* or it reads already */
    } else {
        (void)uv_read_stop(stream);
    }
}

/* Answers what it can, as long as the client takes its answers, and decides what is waited
 * for next. */
static void serve(struct dns_connection *c)
{
    int err = RC_OK;

    while (err == RC_OK && c->state != DNS_CONNECTION_CLOSING &&
           may_take_more(c) == DNS_YES) {
        dns_clerk_begin(c->ground->clerk);
        err = answer_messages(c);
        dns_clerk_end(c->ground->clerk, DNS_PROTOCOL_TCP);
        if (err == RC_OK || err == RC_EAGAIN) {
            write_output(c);
        } else {
            dns_connection_drop(c);
        }
    }
    if (c->state == DNS_CONNECTION_ENDING && c->leaving.size == 0 &&
        c->output.size == 0 && c->outlet.waiting_count == 0) {
        dns_connection_drop(c);
    }
    if (c->state == DNS_CONNECTION_CLOSING) {
        return;
    }
    read_or_not(c);
    give_back(&c->output);
    give_back(&c->leaving);
    expect(c);
}

void dns_connection_flush(struct dns_connection *c)
{
    if (c->is_ready == DNS_NO || c->state == DNS_CONNECTION_CLOSING) {
        return;
    }
    c->is_ready = DNS_NO;
    if (c->output.err != RC_OK || c->output.size > DNS_TCP_OUTPUT_END) {
        dns_connection_drop(c);
        return;
    }
    write_output(c);
    serve(c);
}

/* Who sends as fast as it can has its turn once in each round of the loop; libuv alone would
 * read it up to 32 times. */
static void let_others_go_first(struct dns_connection *c)
{
    (void)uv_read_stop((uv_stream_t *)&c->handle);
    c->is_ready = DNS_YES;
    c->ground->on_ready(c->ground->context);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space)
{
    struct dns_connection *c = stream->data;

    if (c->state != DNS_CONNECTION_OPEN || count == 0) {
        return;
    }
    if (count == UV_EOF) {
        c->state = DNS_CONNECTION_ENDING;
        serve(c);
        return;
    }
    if (count < 0 || dns_stream_feed(&c->input, space->base, (size_t)count) != RC_OK) {
        dns_connection_drop(c);
        return;
    }
    /* A query that trickles in is not given more time at every byte. */
    size_t before = dns_stream_pending(&c->input) - (size_t)count;
    uint64_t due_ms = c->due_ms;
    serve(c);
    if (c->state == DNS_CONNECTION_OPEN && before > 0 && c->leaving.size == 0 &&
        c->outlet.waiting_count == 0 &&
        dns_stream_pending(&c->input) == before + (size_t)count) {
        c->due_ms = due_ms;
    }
    if (c->state == DNS_CONNECTION_OPEN && count == DNS_TCP_READ_SIZE) {
        let_others_go_first(c);
    }
}

struct dns_connection *dns_connection_open(struct dns_connection_ground *ground, int fd,
                                           const struct rc_address *peer)
{
    struct dns_connection *c = calloc(1, sizeof *c);

    if (c == NULL) {
        (void)close(fd);
        return NULL;
    }
    c->outlet.send = send_later;
    c->ground = ground;
    c->peer = *peer;
    c->due_ms = uv_now(ground->loop) + DNS_TCP_FIRST_MS;
    (void)uv_tcp_init(ground->loop, &c->handle); /* cannot fail without a socket */
    c->handle.data = c;
    if (uv_tcp_open(&c->handle, fd) != 0) {
        (void)close(fd);
    } else {
        (void)uv_tcp_nodelay(&c->handle, 1);
        (void)uv_read_start((uv_stream_t *)&c->handle, on_allocate, on_read);
    }
    return c;
}
