#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/http/permits.h"
#include "agent/http/routes.h"
#include "agent/http/server_mhd.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/metrics.h"

enum {
    STREAM_BLOCK_BYTES = 4096,
    STREAM_HELD_MAX = 256 * 1024, /* log lines waiting for a slow reader */
    OWN_HEADERS = 4,              /* see header_at() */
    UNREAD_MAX_BYTES = 128 << 20, /* answers that wait for their readers, in all */
    UNREAD_SMALL_BYTES = 64 * 1024,
};

/* ---- Answers. */

static const char no_sniff[] = "X-Content-Type-Options"; /* what we say it is, it is */

/* The first of all answers; then the exchange's own. */
static struct http_reply_header header_at(const struct http *http,
                                          const struct http_exchange *x, size_t at)
{
    enum http_acl_default policy = permits_default(http->api.permits);

    switch (at) {
    case 0:
        return (struct http_reply_header){"Vary", "Accept-Encoding"};
    case 1:
        return (struct http_reply_header){"X-Consul-Default-Acl-Policy",
                                          policy == HTTP_ACL_ALLOW ? "allow" : "deny"};
    case 2:
        return (struct http_reply_header){"Content-Type", x->content_type};
    case 3:
        return (struct http_reply_header){
            no_sniff, exchange_header_value(x, no_sniff) == NULL ? "nosniff" : NULL};
    default:
        return exchange_header_at(x, at - OWN_HEADERS);
    }
}

static void add_headers(const struct http *http, const struct http_exchange *x,
                        struct MHD_Response *response)
{
    for (size_t i = 0; i < OWN_HEADERS + x->header_count; i++) {
        struct http_reply_header header = header_at(http, x, i);
        if (header.value != NULL) {
            /* Fails only without memory, or for a value that is no header value. */
            (void)MHD_add_response_header(response, header.name, header.value);
        }
    }
}

void answer_each_header(const struct http *http, const struct http_exchange *x,
                        struct rc_buffer *head)
{
    for (size_t i = 0; i < OWN_HEADERS + x->header_count; i++) {
        struct http_reply_header header = header_at(http, x, i);
        if (header.value != NULL) {
            answer_head_add(head, header.name, header.value);
        }
    }
}

/* Queues `response`, which is given up, as the answer. */
static enum MHD_Result queue(struct connection *connection, struct MHD_Response *response)
{
    if (response == NULL) {
        return MHD_NO;
    }
    add_headers(connection->http, &connection->exchange, response);
    enum MHD_Result queued =
        MHD_queue_response(connection->mhd, connection->exchange.status, response);
    MHD_destroy_response(response);
    return queued;
}

void answer_count(const struct http *http, struct http_exchange *x, size_t times)
{
    char labels[192];

    if (http->api.metrics == NULL) {
        return;
    }
    (void)snprintf(labels, sizeof labels, "path=\"%s\",code=\"%u\"", routes_label(x),
                   x->status);
    rc_metric_add(rc_metrics_counter(http->api.metrics, "rollcall_http_requests_total",
                                     labels,
                                     "HTTP requests answered, by route and status."),
                  times);
}

/* An answer is kept until its client has read it: those who do not read must not fill the
 * memory. Small answers always find room. */
static void keep_unread(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;
    struct http *http = connection->http;

    if (x->out.size > UNREAD_SMALL_BYTES &&
        http->unread_bytes + x->out.size > UNREAD_MAX_BYTES) {
        http->freed_bytes += x->out.capacity;
        rc_buffer_fini(&x->out);
        exchange_error(x, 503, "Too many large answers wait to be read by their clients");
    }
    if (connection->mhd != NULL) { /* what is held counts when it was not taken at once */
        connection->unread_bytes = x->out.size;
        http->unread_bytes += x->out.size;
    }
}

void answer_was_read(struct connection *connection)
{
    assert(connection->http->unread_bytes >= connection->unread_bytes);
    connection->http->unread_bytes -= connection->unread_bytes;
    connection->unread_bytes = 0;
}

/* The bytes stay in the connection's buffer until the answer is out. */
enum MHD_Result answer_queue(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;

    if (x->out.err != RC_OK) {
        exchange_error(x, 500, "%s", rc_strerror(x->out.err));
    }
    if (x->page == NULL) {
        keep_unread(connection);
    }
    answer_count(connection->http, x, 1 + connection->follower_count);
    connection->state = CONNECTION_DONE;
    if (connection->mhd == NULL) {
        held_answer(connection);
        return MHD_YES;
    }
    if (x->page != NULL) {
        /* MHD takes the bytes as not const, but PERSISTENT means it only reads them. */
        return queue(connection,
                     MHD_create_response_from_buffer(x->page_size, (void *)x->page,
                                                     MHD_RESPMEM_PERSISTENT));
    }
    return queue(connection, MHD_create_response_from_buffer(x->out.size, x->out.bytes,
                                                             MHD_RESPMEM_PERSISTENT));
}

/* ---- Log lines as a stream. */

static void on_log_line(void *context, const char *line)
{
    struct connection *connection = context;
    struct rc_buffer *out = &connection->exchange.out;

    if (!pthread_equal(pthread_self(), connection->http->thread) ||
        out->size > STREAM_HELD_MAX) {
        return; /* a reader that does not keep up loses lines, nobody else waits */
    }
    rc_buffer_text(out, line);
    rc_buffer_byte(out, '\n');
    connection_resume(connection);
}

static ssize_t read_stream(void *context, uint64_t position, char *space, size_t size)
{
    struct connection *connection = context;
    struct rc_buffer *out = &connection->exchange.out;

    (void)position;
    if (connection->gone) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (out->size == 0) {
        connection_suspend(connection);
        return 0;
    }
    size = size < out->size ? size : out->size;
    memcpy(space, out->bytes, size);
    rc_buffer_consume(out, size);
    return (ssize_t)size;
}

enum MHD_Result answer_stream(struct connection *connection)
{
    struct http_exchange *x = &connection->exchange;

    assert(connection->mhd != NULL); /* no route waits and then streams */
    connection->listener_id =
        rc_log_listen((enum rc_log_level)x->stream_level, on_log_line, connection);
    if (connection->listener_id < 0) {
        exchange_error(x, 429, "Too many monitors at this agent");
        return answer_queue(connection);
    }
    rc_buffer_clear(&x->out);
    answer_count(connection->http, x, 1);
    connection->state = CONNECTION_DONE;
    return queue(connection,
                 MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                                   read_stream, connection, NULL));
}

void answer_end_stream(struct connection *connection)
{
    if (connection->listener_id >= 0) {
        rc_log_unlisten(connection->listener_id);
        connection->listener_id = -1;
    }
}

/* ---- Buffers. */

void answer_borrow(struct http *http, struct http_exchange *x)
{
    if (x->out.bytes == NULL && http->spare_count > 0) {
        x->out = http->spares[--http->spare_count];
    }
}

void answer_return(struct http *http, struct http_exchange *x)
{
    struct rc_buffer *out = &x->out;

    if (out->bytes == NULL || out->capacity > HTTP_SPARE_BYTES_MAX ||
        http->spare_count == HTTP_SPARES_MAX) {
        http->freed_bytes += out->capacity;
        rc_buffer_fini(out);
        return;
    }
    rc_buffer_clear(out);
    http->spares[http->spare_count++] = *out;
    *out = (struct rc_buffer){0};
}
