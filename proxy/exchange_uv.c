/* exchange_uv.c - one request: understood, routed, and told what happens around it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http_state_uv.h"

/* --- beginning --- */

static void put_name(char *space, size_t size, struct rc_span text)
{
    size_t take = text.size < size - 1 ? text.size : size - 1;
    if (take > 0) {
        memcpy(space, text.at, take);
    }
    space[take] = '\0';
}

static struct exchange *create(struct client *client)
{
    struct http *http = client->http;
    struct exchange *x = calloc(1, sizeof *x);

    if (x == NULL) {
        return NULL;
    }
    x->http = http;
    x->client = client;
    x->snapshot = snapshot_retain(http->worker->snapshot);
    x->listener = worker_listener_config(client->listener);
    x->start_ns = rc_clock_ns();
    x->wall_ms = rc_clock_wall_ms();
    x->when = ACCESS_LOG_REQUEST;
    x->replayable = true;
    client->exchange = x;
    retry_budget_begin(&http->budget);
    return x;
}

/* What only the combined form of the log shows. */
static void take_combined(struct exchange *x, const char *bytes,
                          const struct http1_field *field)
{
    struct rc_span name = http1_text(bytes, field->name);
    struct rc_span value = http1_text(bytes, field->value);

    if (rc_span_equals_nocase(name, "user-agent")) {
        put_name(x->names.agent, sizeof x->names.agent, value);
    } else if (rc_span_equals_nocase(name, "referer")) {
        put_name(x->names.referrer, sizeof x->names.referrer, value);
    }
}

static void take_names(struct exchange *x, const char *bytes,
                       const struct http1_request *request)
{
    put_name(x->names.method, sizeof x->names.method,
             http1_text(bytes, request->method_text));
    put_name(x->names.host, sizeof x->names.host, http1_text(bytes, request->host));
    struct http1_span path = request->path.size > 0 ? request->path : request->target;
    put_name(x->names.path, sizeof x->names.path, http1_text(bytes, path));
    for (size_t i = 0; i < request->head.count; i++) {
        const struct http1_field *field = &request->head.fields[i];
        if (field->known == HTTP1_X_REQUEST_ID &&
            config_trusts(x->listener, &x->client->peer)) {
            put_name(x->names.request_id, sizeof x->names.request_id,
                     http1_text(bytes, field->value));
        }
        if (x->listener->log_form == CONFIG_LOG_COMBINED && field->known == HTTP1_OTHER) {
            take_combined(x, bytes, field);
        }
    }
}

/* 128 random bits, so that ids of many proxies do not meet. */
static void make_request_id(struct exchange *x)
{
    struct rc_random *random = &x->http->worker->random;
    uint64_t bits[2] = {rc_random_next(random), rc_random_next(random)};

    if (x->names.request_id[0] == '\0') {
        rc_text_to_hex(bits, sizeof bits, x->names.request_id);
    }
}

static void take_request(struct exchange *x, const struct http1_request *request)
{
    const struct http1_head *head = &request->head;

    x->method = request->method;
    x->head_only = request->method == HTTP1_HEAD;
    x->http10 = head->minor == 0;
    x->body = framing_of_request(head);
    framing_decoder_init(&x->decoder, &x->body);
    x->request_read = x->body.kind == FRAMING_NONE;
    x->keep_client = (head->says & HTTP1_SAYS_CLOSE) == 0 &&
                     (!x->http10 || (head->says & HTTP1_SAYS_KEEP_ALIVE) != 0);
}

/* The host without its port. */
static size_t name_size(struct rc_span host)
{
    for (size_t i = host.size; i > 0 && host.at[i - 1] != ']'; i--) {
        if (host.at[i - 1] == ':') {
            return i - 1;
        }
    }
    return host.size;
}

static bool find_route(struct exchange *x, const char *bytes,
                       const struct http1_request *request)
{
    struct rc_span host = http1_text(bytes, request->host);
    struct rc_span path = http1_text(bytes, request->path);
    const char *query = path.size > 0 ? memchr(path.at, '?', path.size) : NULL;
    size_t size = query == NULL ? path.size : (size_t)(query - path.at);
    bool implied = size == 0; /* "http://host" and "*" mean the root */

    x->route = config_find_route(x->listener, host.at, name_size(host),
                                 implied ? "/" : path.at, implied ? 1 : size);
    if (x->route == NULL) {
        return false;
    }
    x->pool = &x->snapshot->config->pools[x->route->pool];
    return true;
}

/* Builds the head for the instance into x->request. RC_OK, RC_ENOMEM or RC_ETOOBIG. */
static int build_request(struct exchange *x, const char *bytes,
                         const struct http1_request *request)
{
    char port[8];
    char address[RC_ADDRESS_TEXT_MAX];

    x->request = http_lend(x->http);
    if (x->request == NULL) {
        return RC_ENOMEM;
    }
    x->wants_websocket = x->route->upgrade_websocket && forward_is_websocket(request);
    (void)snprintf(port, sizeof port, "%u", (unsigned)x->listener->address.port);
    bool nameless = request->host.size == 0;
    if (nameless) {
        rc_address_format(&x->listener->address, address);
    }
    struct forward_request from = {
        .bytes = bytes,
        .request = request,
        .peer = rc_span_of(x->client->peer_text),
        .port = rc_span_of(port),
        .scheme = rc_span_of("http"),
        .default_host = rc_span_of(nameless ? address : NULL),
        .request_id = rc_span_of(x->names.request_id),
        .trust = config_trusts(x->listener, &x->client->peer) ? FORWARD_APPEND
                                                              : FORWARD_REPLACE,
        .upgrade = x->wants_websocket ? FORWARD_WEBSOCKET : FORWARD_PLAIN,
    };
    struct rc_writer out = rc_writer_over(x->request->bytes, SLAB_BYTES);
    int err = forward_request(&from, &out);
    x->request->end = (uint32_t)rc_writer_size(&out);
    return err;
}

/* Reads the head, finds the way and prepares what goes there. Returns the status to refuse with
 * and why, or 0. */
static unsigned understand(struct exchange *x, const char *bytes, size_t size,
                           const char **why)
{
    struct http1_request request;

    enum http1_fault fault = http1_request_parse(bytes, size, &request);
    take_names(x, bytes, &request);
    if (fault != HTTP1_SOUND) {
        rc_metric_add(x->http->metrics.bad_requests[fault], 1);
        *why = http1_fault_text(fault);
        return http1_fault_status(fault);
    }
    take_request(x, &request);
    make_request_id(x);
    if (request.method == HTTP1_TRACE || request.method == HTTP1_CONNECT) {
        *why = "this method is not served here";
        return 405;
    }
    if (forward_stops_here(bytes, &request)) {
        *why = "Max-Forwards ends here";
        return 200;
    }
    if (!find_route(x, bytes, &request)) {
        *why = "no route for this host and path";
        return 404;
    }
    uint64_t limit = x->route->body_limit_bytes;
    if (limit != 0 && x->body.kind == FRAMING_LENGTH && x->body.length > limit) {
        *why = "the body is larger than this route allows";
        return 413;
    }
    switch (build_request(x, bytes, &request)) {
    case RC_OK:
        return 0;
    case RC_ENOMEM:
        *why = "the proxy is out of buffers";
        return 503;
    default:
        *why = http1_fault_text(HTTP1_HEAD_TOO_LARGE);
        return 431;
    }
}

void exchange_begin(struct client *client, size_t size, enum http1_fault fault)
{
    struct exchange *x = create(client);
    const char *why = NULL;

    if (x == NULL) {
        client_exchange_over(client, CLIENT_CLOSES);
        return;
    }
    if (fault != HTTP1_SOUND) {
        rc_metric_add(x->http->metrics.bad_requests[fault], 1);
        answer_send(x, http1_fault_status(fault), http1_fault_text(fault));
        return;
    }
    if (size == 0) {
        answer_blame(x, ACCESS_LOG_TIME);
        answer_send(x, 408, "the request head did not arrive in time");
        return;
    }
    const char *bytes = (const char *)client->in->bytes + client->in->start;
    unsigned status = understand(x, bytes, size, &why);
    slab_consume(client->in, size);
    if (status != 0) {
        answer_send(x, status, why);
        return;
    }
    client_drained(client);
    uint64_t now_ms = http_now_ms(x->http);
    x->give_up_ms = now_ms + x->pool->queue_timeout_ms;
    x->window_end_ms = now_ms + HTTP_RATE_WINDOW_MS;
    attempt_start(x);
}

/* --- events --- */

void exchange_on_outbound(struct exchange *x, int status, int events)
{
    struct outbound *out = x->out;

    if (x->phase == EXCHANGE_CONNECTING) {
        attempt_on_connected(x);
        return;
    }
    if ((events & UV_WRITABLE) != 0) {
        out->blocked = false;
        outbound_rearm(out);
        request_pump(x);
    }
    bool readable = status < 0 || (events & (UV_READABLE | UV_PRIORITIZED)) != 0;
    if (!readable || x->out != out) {
        return;
    }
    if (x->phase == EXCHANGE_TUNNEL) {
        tunnel_on_bytes(x);
    } else {
        response_on_bytes(x);
    }
}

void exchange_on_snapshot(struct exchange *x)
{
    if (x->phase == EXCHANGE_QUEUED) {
        attempt_start(x);
    } else if (x->phase == EXCHANGE_TUNNEL && x->out->pool->gone &&
               x->tunnel_end_ms == 0) {
        x->tunnel_end_ms = http_now_ms(x->http) + x->snapshot->config->drain_timeout_ms;
        exchange_touch(x);
    }
}

void exchange_client_gone(struct exchange *x)
{
    answer_blame(x, ACCESS_LOG_CLIENT);
    if (!x->head_sent) {
        x->status = 499;
    }
    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    answer_finish(x, CLIENT_CLOSES);
}

/* --- time --- */

static uint32_t patience_ms(const struct exchange *x)
{
    switch (x->phase) {
    case EXCHANGE_CONNECTING:
        return x->pool->connect_timeout_ms;
    case EXCHANGE_WAITING:
        return x->request_read && x->request_sent == x->request->end
                   ? x->pool->response_timeout_ms
                   : x->listener->body_timeout_ms;
    case EXCHANGE_TUNNEL:
        return x->route->tunnel_idle_ms;
    case EXCHANGE_QUEUED:
    case EXCHANGE_RELAYING:
    case EXCHANGE_FLUSHING:
    case EXCHANGE_OVER:
        return x->listener->body_timeout_ms;
    }
    return 0;
}

void exchange_touch(struct exchange *x)
{
    x->progress_ms = http_now_ms(x->http);
    uint64_t due_ms = x->progress_ms + patience_ms(x);
    bool leaving = x->tunnel_end_ms != 0 && x->tunnel_end_ms < due_ms;
    client_set_deadline(x->client, leaving ? x->tunnel_end_ms : due_ms);
}

static void on_waiting_too_long(struct exchange *x)
{
    bool all_sent = x->request_sent == x->request->end;

    if (x->request_read || !all_sent) {
        attempt_failed(x, RETRY_TIMED_OUT, INSTANCE_TIMED_OUT);
        return;
    }
    answer_blame(x, ACCESS_LOG_TIME);
    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    answer_send(x, 408, "the request body did not arrive in time");
}

void exchange_on_timer(struct exchange *x)
{
    switch (x->phase) {
    case EXCHANGE_QUEUED:
        attempt_start(x);
        return;
    case EXCHANGE_CONNECTING:
        attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        return;
    case EXCHANGE_WAITING:
        on_waiting_too_long(x);
        return;
    case EXCHANGE_RELAYING:
        answer_cut(x, x->client->blocked ? ACCESS_LOG_CLIENT : ACCESS_LOG_TIME,
                   x->client->blocked ? INSTANCE_NOT_TO_BLAME : INSTANCE_TIMED_OUT);
        return;
    case EXCHANGE_TUNNEL:
    case EXCHANGE_FLUSHING:
        answer_blame(x, ACCESS_LOG_TIME);
        attempt_release(x, INSTANCE_OK, OUTBOUND_CLOSE);
        answer_finish(x, CLIENT_CLOSES);
        return;
    case EXCHANGE_OVER:
        return;
    }
}
