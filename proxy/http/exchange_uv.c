/* exchange_uv.c - one request: understood, routed, and told what happens around it. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/log/trace.h"

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
    struct exchange *x = http_exchange(http);

    if (x == NULL) {
        return NULL;
    }
    x->http = http;
    x->client = client;
    x->snapshot = snapshot_retain(http->worker->snapshot);
    x->listener = worker_listener_config(client->listener);
    x->lane = worker_listener_lane(client->listener);
    x->start_ns = rc_clock_ns();
    if (x->listener->log_form != CONFIG_LOG_OFF) {
        x->wall_ms = rc_clock_wall_ms();
    }
    x->when = ACCESS_LOG_REQUEST;
    x->replayable = true;
    client->exchange = x;
    retry_budget_begin(&http->budget);
    return x;
}

/* What only some forms of the log show. */
static void take_for_log(struct exchange *x, const char *bytes,
                         const struct http1_field *field)
{
    struct rc_span name = http1_text(bytes, field->name);
    struct rc_span value = http1_text(bytes, field->value);
    struct exchange_names *names = &x->names;

    if (x->listener->log_wants_agent && rc_span_equals_nocase(name, "user-agent")) {
        put_name(names->agent, sizeof names->agent, value);
    } else if (x->listener->log_wants_agent && rc_span_equals_nocase(name, "referer")) {
        put_name(names->referrer, sizeof names->referrer, value);
    } else if (x->listener->log_wants_trace) {
        enum trace_field kind = trace_field_of(name);
        struct rc_span id = trace_id_of(kind, value);
        if (kind == TRACE_PARENT && id.size > 0) {
            put_name(names->traceparent, sizeof names->traceparent, value);
        }
        if (kind != TRACE_NONE && id.size > 0) {
            put_name(names->trace_id, sizeof names->trace_id, id);
        }
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
    bool keep = x->listener->log_wants_agent || x->listener->log_wants_trace;
    for (size_t i = 0; i < request->head.count; i++) {
        const struct http1_field *field = &request->head.fields[i];
        if (field->known == HTTP1_X_REQUEST_ID &&
            config_trusts(x->listener, &x->client->peer)) {
            put_name(x->names.request_id, sizeof x->names.request_id,
                     http1_text(bytes, field->value));
        }
        if (keep && field->known == HTTP1_OTHER) {
            take_for_log(x, bytes, field);
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
    struct framing read_as = client_framing(x->client, &x->body);
    framing_decoder_init(&x->decoder, &read_as);
    x->request_read = x->body.kind == FRAMING_NONE;
    x->keep_client = (head->says & HTTP1_SAYS_CLOSE) == 0 &&
                     (!x->http10 || (head->says & HTTP1_SAYS_KEEP_ALIVE) != 0);
}

/* Builds the head for the instance into x->request. RC_OK, RC_ENOMEM or RC_ETOOBIG. */
static int build_request(struct exchange *x, const char *bytes,
                         const struct http1_request *request,
                         const struct course_shape *shape)
{
    char address[RC_ADDRESS_TEXT_MAX];

    x->request = http_lend(x->http);
    if (x->request == NULL) {
        return RC_ENOMEM;
    }
    x->wants_websocket = x->route->upgrade_websocket && forward_is_websocket(request);
    bool nameless = request->host.size == 0;
    if (nameless) {
        rc_address_format(&x->listener->address, address);
    }
    struct forward_request from = {
        .bytes = bytes,
        .request = request,
        .peer = rc_span_of(x->client->peer_text),
        .port = rc_span_of(x->listener->port_text),
        .scheme = exchange_scheme(x),
        .default_host = rc_span_of(nameless ? address : NULL),
        .request_id = rc_span_of(x->names.request_id),
        .trust = config_trusts(x->listener, &x->client->peer) ? FORWARD_APPEND
                                                              : FORWARD_REPLACE,
        .upgrade = x->wants_websocket ? FORWARD_WEBSOCKET : FORWARD_PLAIN,
        .target = shape->target,
        .edits = shape->edits,
        .values = &shape->values,
        .via = x->route->via,
        .forwarded = x->route->forwarded,
    };
    struct rc_writer out = rc_writer_over(x->request->bytes, SLAB_BYTES);
    int err = forward_request(&from, &out);
    x->request->end = (uint32_t)rc_writer_size(&out);
    return err;
}

/* Writes what goes to the instance. Returns the status to refuse with and why, or 0. */
static unsigned prepare(struct exchange *x, const char *bytes,
                        const struct http1_request *request,
                        const struct route_choice *choice, const char **why)
{
    struct course_shape shape;

    shape.target = (struct rc_span){NULL, 0}; /* the values are big, and seldom used */
    shape.edits = NULL;
    unsigned status = course_shape(x, bytes, request, choice, &shape, why);
    if (status != 0) {
        return status;
    }
    switch (build_request(x, bytes, request, &shape)) {
    case RC_OK:
        return 0;
    case RC_ENOMEM:
        *why = "the proxy is out of buffers";
        answer_because(x, REFUSAL_NO_BUFFER);
        return 503;
    default:
        *why = http1_fault_text(HTTP1_HEAD_TOO_LARGE);
        return 431;
    }
}

/* What the request asks of us, or breaks. */
static unsigned judge(struct exchange *x, const char *bytes,
                      const struct http1_request *request, const char **why)
{
    if (request->method == HTTP1_TRACE || request->method == HTTP1_CONNECT) {
        /* What comes behind CONNECT may be meant for the tunnel. */
        x->keep_client = x->keep_client && request->method == HTTP1_TRACE;
        *why = "this method is not served here";
        return 405;
    }
    if (forward_stops_here(bytes, request)) {
        *why = "Max-Forwards ends here";
        return 200;
    }
    if (x->client->secure != CLIENT_PLAIN &&
        secure_is_misdirected(x->client, http1_text(bytes, request->host))) {
        *why = "the certificate of this connection is not for this host: use another";
        return 421;
    }
    return 0;
}

/* Reads the head, finds the way and prepares what goes there. Returns the status to refuse with
 * and why, or 0; then `own` has a status if the route answers itself. */
static unsigned understand(struct exchange *x, const char *bytes, size_t size,
                           struct forward_answer *own, const char **why)
{
    struct http1_request request;
    struct route_choice choice;

    enum http1_fault fault = http1_request_parse(bytes, size, &request);
    take_names(x, bytes, &request);
    if (fault != HTTP1_SOUND) {
        rc_metric_add(x->http->metrics.bad_requests[fault], 1);
        *why = http1_fault_text(fault);
        return http1_fault_status(fault);
    }
    take_request(x, &request);
    make_request_id(x);
    if (request.head.size > x->listener->head_limit ||
        request.head.count > x->listener->header_lines) {
        *why = "the request head is larger than this listener allows";
        return 431;
    }
    unsigned status = judge(x, bytes, &request, why);
    if (status == 0 && x->listener->limits.count > 0) {
        status = quota_take(x, &x->listener->limits, bytes, &request, why);
    }
    if (status == 0) {
        status = course_choose(x, bytes, &request, &choice, why);
    }
    if (status == 0 && x->route->limits.count > 0) {
        status = quota_take(x, &x->route->limits, bytes, &request, why);
    }
    if (status == 0) {
        status = course_answer(x, &choice, own, why);
    }
    if (status != 0 || own->status != 0) {
        return status;
    }
    uint64_t limit = x->route->body_limit_bytes;
    if (limit != 0 && x->body.kind == FRAMING_LENGTH && x->body.length > limit) {
        *why = "the body is larger than this route allows";
        return 413;
    }
    return prepare(x, bytes, &request, &choice, why);
}

void exchange_begin(struct client *client, size_t size, enum http1_fault fault)
{
    struct exchange *x = create(client);
    struct forward_answer own = {0};
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
    unsigned status = understand(x, bytes, size, &own, &why);
    slab_consume(client->in, size);
    if (status != 0) {
        answer_send(x, status, why);
        return;
    }
    if (own.status != 0) {
        answer_own(x, &own);
        return;
    }
    client_drained(client);
    uint64_t now_ms = http_now_ms(x->http);
    x->give_up_ms = now_ms + x->pool->queue_timeout_ms;
    x->window_end_ms = now_ms + HTTP_RATE_WINDOW_MS;
    attempt_start(x);
}

/* --- events --- */

void exchange_on_outbound(struct exchange *x, const struct outbound *from, int status,
                          int events)
{
    struct outbound *out = x->out;

    if (from == x->hedge.out) {
        hedge_on_event(x, status, events);
        return;
    }
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
        return x->route->connect_timeout_ms;
    case EXCHANGE_WAITING:
        return x->request_read && request_is_sent(x) ? x->route->response_timeout_ms
                                                     : x->route->body_timeout_ms;
    case EXCHANGE_TUNNEL:
        return x->route->tunnel_idle_ms;
    case EXCHANGE_QUEUED:
    case EXCHANGE_RELAYING:
    case EXCHANGE_FLUSHING:
    case EXCHANGE_OVER:
        return x->route != NULL ? x->route->body_timeout_ms
                                : x->listener->body_timeout_ms;
    }
    return 0;
}

void exchange_touch(struct exchange *x)
{
    x->progress_ms = http_now_ms(x->http);
    uint64_t due_ms = x->progress_ms + patience_ms(x);
    bool leaving = x->tunnel_end_ms != 0 && x->tunnel_end_ms < due_ms;
    uint64_t hedge_ms = hedge_due_ms(x);
    due_ms = leaving ? x->tunnel_end_ms : due_ms;
    client_set_deadline(x->client, hedge_ms < due_ms ? hedge_ms : due_ms);
}

static void on_waiting_too_long(struct exchange *x)
{
    bool all_sent = request_is_sent(x);
    uint64_t now_ms = http_now_ms(x->http);

    if (now_ms < x->progress_ms + patience_ms(x)) { /* it was set for a hedge */
        if (hedge_due_ms(x) <= now_ms) {
            hedge_start(x);
        }
        client_set_deadline(x->client, x->progress_ms + patience_ms(x));
        return;
    }
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
        answer_because(x,
                       x->client->blocked ? REFUSAL_SLOW_READER : REFUSAL_INSTANCE_TIME);
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
