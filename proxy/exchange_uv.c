/* exchange_uv.c - one request: where it goes, how often it is tried. */
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

static bool try_attempts(struct exchange *x);

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
        exchange_answer(x, http1_fault_status(fault), http1_fault_text(fault));
        return;
    }
    if (size == 0) {
        exchange_blame(x, ACCESS_LOG_TIME);
        exchange_answer(x, 408, "the request head did not arrive in time");
        return;
    }
    const char *bytes = (const char *)client->in->bytes + client->in->start;
    unsigned status = understand(x, bytes, size, &why);
    slab_consume(client->in, size);
    if (status != 0) {
        exchange_answer(x, status, why);
        return;
    }
    client_drained(client);
    uint64_t now_ms = http_now_ms(x->http);
    x->give_up_ms = now_ms + x->pool->queue_timeout_ms;
    x->window_end_ms = now_ms + HTTP_RATE_WINDOW_MS;
    if (try_attempts(x)) {
        request_pump(x);
    }
}

/* --- attempts --- */

/* The pool of our route in the worker's present snapshot, or -1. */
static int present_pool(const struct exchange *x)
{
    const struct worker *worker = x->http->worker;
    return x->snapshot->shared == worker->snapshot->shared
               ? (int)x->route->pool
               : worker_find_pool(worker, x->pool->name);
}

static const struct snapshot_member *pick(struct exchange *x)
{
    const char *query = strchr(x->names.path, '?');
    struct balance_request request = {
        .key = x->names.path,
        .key_size =
            query == NULL ? strlen(x->names.path) : (size_t)(query - x->names.path),
        .excluded = (const struct instance *const *)x->tried,
        .excluded_count = x->tried_count,
    };
    int pool = present_pool(x);

    if (pool < 0) {
        return NULL;
    }
    const struct snapshot_member *member =
        worker_pick(x->http->worker, (size_t)pool, &request);
    if (member == NULL && x->tried_count > 0) { /* all have failed once: again then */
        request.excluded_count = 0;
        member = worker_pick(x->http->worker, (size_t)pool, &request);
    }
    return member;
}

void exchange_release_outbound(struct exchange *x, enum instance_outcome outcome,
                               enum outbound_fate fate)
{
    if (x->out != NULL) {
        struct outbound *out = x->out;
        x->out = NULL;
        outbound_release(out, fate, x->pool);
    }
    if (x->instance != NULL) {
        worker_use_end(x->http->worker, x->pool, x->instance, outcome);
        instance_release(x->instance);
        x->instance = NULL;
    }
}

/* Our own shortages are no reason to blame an instance. */
static bool is_our_shortage(int error)
{
    return error == EADDRNOTAVAIL || error == EMFILE || error == ENFILE ||
           error == ENOBUFS || error == ENOMEM || error == EACCES || error == EPERM;
}

/* How an attempt started. */
enum start { STARTED, REFUSED, NOBODY, SHORTAGE };

static enum start start_attempt(struct exchange *x)
{
    const struct snapshot_member *member = pick(x);

    if (member == NULL) {
        return NOBODY;
    }
    x->attempts++;
    x->instance = instance_retain(member->instance);
    worker_use_begin(x->http->worker, x->instance);
    x->address = x->instance->address;
    x->sent = false;
    x->request_sent = 0;
    x->send_broken = false;
    x->scan = (struct http1_scan){0};
    struct outbound *out = NULL;
    if (!x->fresh_only) {
        out = outbound_reuse(x->http, x->instance, retry_class_of(x->method));
    }
    x->reused = out != NULL;
    x->connect_start_ns = rc_clock_ns();
    if (out == NULL) {
        out = outbound_connect(x->http, x->instance);
    }
    if (out == NULL) {
        return is_our_shortage(errno) ? SHORTAGE : REFUSED;
    }
    x->out = out;
    out->exchange = x;
    x->phase = out->connected ? EXCHANGE_WAITING : EXCHANGE_CONNECTING;
    x->when = out->connected ? ACCESS_LOG_HEAD : ACCESS_LOG_CONNECT;
    outbound_rearm(out);
    exchange_touch(x);
    return STARTED;
}

/* No instance just now: wait for one, or say so. */
static void queue(struct exchange *x)
{
    uint64_t now_ms = http_now_ms(x->http);

    x->phase = EXCHANGE_QUEUED;
    x->when = ACCESS_LOG_QUEUE;
    if (now_ms >= x->give_up_ms) {
        exchange_answer_nobody(x);
        return;
    }
    client_set_deadline(x->client, now_ms + HTTP_REPICK_MS);
}

/* Ends the attempt and asks the rules whether another one may follow. */
static bool may_repeat(struct exchange *x, enum retry_failure failure)
{
    struct retry_attempt attempt = {
        .method = retry_class_of(x->method),
        .failure = failure,
        .number = x->attempts,
        .attempts_max = x->route->retry_attempts < HTTP_TRIED_MAX
                            ? x->route->retry_attempts
                            : HTTP_TRIED_MAX,
        .sent = x->sent,
        .replayable = x->replayable,
        .status_listed = failure == RETRY_STATUS,
    };
    if (x->head_sent || x->interim > 0 || !retry_is_allowed(&attempt)) {
        return false;
    }
    if (!retry_budget_take(&x->http->budget, &attempt)) {
        rc_metric_add(x->http->metrics.budget_refusals, 1);
        return false;
    }
    return true;
}

static void end_attempt(struct exchange *x, enum retry_failure failure,
                        enum instance_outcome outcome)
{
    x->last_failure = failure;
    x->fresh_only = x->fresh_only || failure == RETRY_STALE;
    if (x->tried_count < HTTP_TRIED_MAX) {
        x->tried[x->tried_count++] = instance_retain(x->instance);
    }
    exchange_release_outbound(x, outcome, OUTBOUND_CLOSE);
}

/* True: go on at once. False: later, by the timer. */
static bool prepare_repeat(struct exchange *x)
{
    struct http_pool_metrics *metrics = http_pool_metrics(x->http, x->pool->name);
    uint32_t pause_ms =
        retry_pause_ms(x->attempts + 1, rc_random_next(&x->http->worker->random));

    if (metrics != NULL) {
        rc_metric_add(metrics->retries[x->last_failure], 1);
    }
    if (pause_ms == 0) {
        return true;
    }
    uint64_t now_ms = http_now_ms(x->http);
    x->phase = EXCHANGE_QUEUED;
    x->when = ACCESS_LOG_QUEUE;
    x->give_up_ms = now_ms + pause_ms + x->pool->queue_timeout_ms;
    client_set_deadline(x->client, now_ms + pause_ms);
    return false;
}

static void answer_failure(struct exchange *x, enum retry_failure failure)
{
    static const struct {
        unsigned status;
        const char *text;
    } answers[RETRY_FAILURE_COUNT] = {
        [RETRY_CONNECT_FAILED] = {503, ""},
        [RETRY_STALE] = {502, "the instance closed the connection without an answer"},
        [RETRY_CLOSED] = {502, "the instance closed the connection without an answer"},
        [RETRY_TIMED_OUT] = {504, "the instance did not answer in time"},
        [RETRY_STATUS] = {502, "the instance failed"},
        [RETRY_DRAINING] = {503, "the instance is stopping"},
        [RETRY_BAD_HEAD] = {502, "the instance sent a malformed answer"},
    };
    exchange_blame(x, failure == RETRY_TIMED_OUT ? ACCESS_LOG_TIME : ACCESS_LOG_INSTANCE);
    if (failure == RETRY_CONNECT_FAILED) {
        exchange_answer_nobody(x);
    } else {
        exchange_answer(x, answers[failure].status, answers[failure].text);
    }
}

/* Tries instances until one takes the connection, or all is said. True if an attempt runs. */
static bool try_attempts(struct exchange *x)
{
    for (;;) {
        switch (start_attempt(x)) {
        case STARTED:
            return true;
        case NOBODY:
            queue(x);
            return false;
        case SHORTAGE:
            exchange_release_outbound(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
            exchange_blame(x, ACCESS_LOG_PROXY);
            exchange_answer(x, 503, "the proxy is out of ports or descriptors");
            return false;
        case REFUSED:
            break;
        }
        bool again = may_repeat(x, RETRY_CONNECT_FAILED);
        end_attempt(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        if (!again) {
            answer_failure(x, RETRY_CONNECT_FAILED);
            return false;
        }
        if (!prepare_repeat(x)) {
            return false;
        }
    }
}

void exchange_attempt_failed(struct exchange *x, enum retry_failure failure,
                             enum instance_outcome outcome)
{
    bool again = may_repeat(x, failure);

    end_attempt(x, failure, outcome);
    if (!again) {
        answer_failure(x, failure);
        return;
    }
    if (prepare_repeat(x) && try_attempts(x)) {
        request_pump(x);
    }
}

bool exchange_repeat_instead(struct exchange *x, enum retry_failure failure,
                             enum instance_outcome outcome)
{
    if (!may_repeat(x, failure)) {
        return false;
    }
    end_attempt(x, failure, outcome);
    if (prepare_repeat(x) && try_attempts(x)) {
        request_pump(x);
    }
    return true;
}

/* --- events --- */

static void on_connected(struct exchange *x)
{
    int error = outbound_connect_error(x->out);

    if (error != 0 && is_our_shortage(error)) {
        exchange_release_outbound(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
        exchange_answer(x, 503, "the proxy is out of ports or descriptors");
        return;
    }
    if (error != 0) {
        exchange_attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        return;
    }
    x->out->connected = true;
    x->connect_ns = rc_clock_ns() - x->connect_start_ns;
    rc_metric_observe_ns(x->http->metrics.connect_time, x->connect_ns);
    x->phase = EXCHANGE_WAITING;
    x->when = ACCESS_LOG_HEAD;
    outbound_rearm(x->out);
    exchange_touch(x);
    request_pump(x);
}

void exchange_on_outbound(struct exchange *x, int status, int events)
{
    struct outbound *out = x->out;

    if (x->phase == EXCHANGE_CONNECTING) {
        on_connected(x);
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

static void look_again(struct exchange *x)
{
    if (try_attempts(x)) {
        request_pump(x);
    }
}

void exchange_on_snapshot(struct exchange *x)
{
    if (x->phase == EXCHANGE_QUEUED) {
        look_again(x);
    } else if (x->phase == EXCHANGE_TUNNEL && x->out->pool->gone &&
               x->tunnel_end_ms == 0) {
        x->tunnel_end_ms = http_now_ms(x->http) + x->snapshot->config->drain_timeout_ms;
        exchange_touch(x);
    }
}

void exchange_client_gone(struct exchange *x)
{
    exchange_blame(x, ACCESS_LOG_CLIENT);
    if (!x->head_sent) {
        x->status = 499;
    }
    exchange_release_outbound(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    exchange_finish(x, CLIENT_CLOSES);
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
        exchange_attempt_failed(x, RETRY_TIMED_OUT, INSTANCE_TIMED_OUT);
        return;
    }
    exchange_blame(x, ACCESS_LOG_TIME);
    exchange_release_outbound(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    exchange_answer(x, 408, "the request body did not arrive in time");
}

void exchange_on_timer(struct exchange *x)
{
    switch (x->phase) {
    case EXCHANGE_QUEUED:
        look_again(x);
        return;
    case EXCHANGE_CONNECTING:
        exchange_attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        return;
    case EXCHANGE_WAITING:
        on_waiting_too_long(x);
        return;
    case EXCHANGE_RELAYING:
        exchange_cut(x, x->client->blocked ? ACCESS_LOG_CLIENT : ACCESS_LOG_TIME,
                     x->client->blocked ? INSTANCE_NOT_TO_BLAME : INSTANCE_TIMED_OUT);
        return;
    case EXCHANGE_TUNNEL:
    case EXCHANGE_FLUSHING:
        exchange_blame(x, ACCESS_LOG_TIME);
        exchange_release_outbound(x, INSTANCE_OK, OUTBOUND_CLOSE);
        exchange_finish(x, CLIENT_CLOSES);
        return;
    case EXCHANGE_OVER:
        return;
    }
}
