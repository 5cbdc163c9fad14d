/* answer_uv.c - how an exchange ends: our own answers, cuts, counts and the log. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http/http_state_uv.h"

enum { ANSWER_MAX = 1024, ANSWER_TEXT_MAX = 512 }; /* bytes */

void answer_blame(struct exchange *x, enum access_log_who who)
{
    if (x->who == ACCESS_LOG_NOBODY) {
        x->who = who;
    }
}

void answer_because(struct exchange *x, enum refusal refusal)
{
    if (x->refusal == REFUSAL_NONE) {
        x->refusal = refusal;
    }
}

/* The reason that a status of ours has when nobody gave one. What a route itself answers is no
 * refusal. */
static enum refusal usual_reason(const struct exchange *x, unsigned status)
{
    switch (status) {
    case 400:
    case 417:
    case 501:
    case 505:
        return REFUSAL_BAD_REQUEST;
    case 404:
        return x->route == NULL ? REFUSAL_NO_ROUTE : REFUSAL_NONE;
    case 405:
        return x->route == NULL ? REFUSAL_METHOD : REFUSAL_NONE;
    case 408:
        return x->route == NULL ? REFUSAL_HEAD_TIME : REFUSAL_BODY_TIME;
    case 413:
        return REFUSAL_BODY_SIZE;
    case 414:
    case 431:
        return REFUSAL_HEAD_SIZE;
    case 429:
        return REFUSAL_RATE;
    case 502:
        return x->last_failure == RETRY_BAD_HEAD ? REFUSAL_BAD_ANSWER
                                                 : REFUSAL_INSTANCE_BROKE;
    case 503:
        return x->attempts > 0 ? REFUSAL_CONNECT : REFUSAL_NO_INSTANCE;
    case 504:
        return REFUSAL_INSTANCE_TIME;
    default:
        return REFUSAL_NONE;
    }
}

/* --- the end --- */

static struct rc_span span_of(const char *text)
{
    return (struct rc_span){text, strlen(text)};
}

/* What the client spoke, beside the request. */
static void name_protocols(const struct exchange *x, struct access_log_entry *entry)
{
    bool http2 = x->client->stream != NULL;
    const struct client *carrier = http2 ? h2_stream_carrier(x->client) : x->client;
    const struct tls_stream *stream = http_socket_stream(&carrier->socket);
    const char *http1 = x->http10 ? "HTTP/1.0" : "HTTP/1.1";

    entry->protocol = rc_span_of(http2 ? "HTTP/2" : http1);
    if (stream != NULL) {
        entry->tls = rc_span_of(tls_stream_version(stream));
        entry->sni = rc_span_of(tls_stream_asked_name(stream));
    }
}

static void write_log(const struct exchange *x, uint64_t total_ns)
{
    char address[RC_ADDRESS_TEXT_MAX];
    char listener[RC_ADDRESS_TEXT_MAX];

    if (x->listener->log_form == CONFIG_LOG_OFF) {
        return;
    }
    struct access_log_uv *log = http_log(x->http, x->listener->log_path);
    if (log == NULL) {
        return;
    }
    rc_address_format(&x->address, address); /* empty if none was tried */
    rc_address_format(&x->listener->address, listener);
    struct access_log_entry entry = {
        .wall_ms = x->wall_ms,
        .client = span_of(x->client->peer_text),
        .listener = span_of(listener),
        .scheme = span_of(x->client->secure == CLIENT_PLAIN ? "http" : "https"),
        .method = span_of(x->names.method),
        .host = span_of(x->names.host),
        .path = span_of(x->names.path),
        .route = rc_span_of(x->route == NULL ? NULL : x->route->label),
        .pool = rc_span_of(x->pool == NULL ? NULL : x->pool->name),
        .instance = span_of(address),
        .request_id = span_of(x->names.request_id),
        .trace_id = span_of(x->names.trace_id),
        .traceparent = span_of(x->names.traceparent),
        .referrer = span_of(x->names.referrer),
        .agent = span_of(x->names.agent),
        .status = x->status,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .attempts = x->attempts,
        .total_us = total_ns / 1000,
        .connect_us = x->connect_ns / 1000,
        .first_byte_us = x->first_byte_ns / 1000,
        .upstream_us = x->upstream_ns / 1000,
        .reused = x->reused,
        .who = x->who,
        .phase = x->who == ACCESS_LOG_NOBODY ? ACCESS_LOG_NO_PHASE : x->when,
        .refusal = x->refusal,
    };
    name_protocols(x, &entry);
    access_log_uv_add(log, x->listener, &entry);
}

static void count(const struct exchange *x, uint64_t total_ns)
{
    meter_count(x->lane, x->status);
    meter_time(x->lane, total_ns);
    meter_bytes(x->lane, x->bytes_in, x->bytes_out);
    meter_refuse(x->lane, x->refusal);
}

void answer_finish(struct exchange *x, enum client_next next)
{
    struct http *http = x->http;
    struct client *client = x->client;
    uint64_t total_ns = rc_clock_ns() - x->start_ns;

    assert(x->phase != EXCHANGE_OVER);
    assert(x->out == NULL && x->instance == NULL);
    hedge_drop(x);
    queue_leave(x);
    x->phase = EXCHANGE_OVER;
    count(x, total_ns);
    write_log(x, total_ns);
    if (x->grant_count > 0) {
        quota_return(x);
    }
    retry_budget_end(&http->budget, x->attempts);
    slab_return(&http->slab, &x->request);
    splice_forget(x, &x->down);
    while (x->tried_count > 0) {
        instance_release(x->tried[--x->tried_count]);
    }
    snapshot_release(x->snapshot);
    x->snapshot = NULL;
    x->next_dead = http->dead;
    http->dead = x;
    client_exchange_over(client, next);
}

void answer_cut(struct exchange *x, enum access_log_who who,
                enum instance_outcome outcome)
{
    answer_blame(x, who);
    attempt_release(x, outcome, OUTBOUND_CLOSE);
    answer_finish(x, x->truncate_loud ? CLIENT_RESETS : CLIENT_CLOSES);
}

/* --- answers --- */

/* Puts the answer into the client's buffer and lets it go. */
static void send_answer(struct exchange *x, struct forward_answer *answer)
{
    struct client *client = x->client;

    x->keep_client = x->keep_client && x->request_read && client_may_stay(client);
    enum forward_connection kept = x->http10 ? FORWARD_KEEP_ALIVE : FORWARD_SILENT;
    answer->connection = x->keep_client ? kept : FORWARD_CLOSE;
    answer->head_only = x->head_only;
    answer->hsts = secure_hsts(x);
    struct slab_buffer *out = client->out;
    struct rc_writer writer = rc_writer_over(out->bytes + out->end, slab_room(out));
    if (forward_answer(answer, &writer) != RC_OK) {
        answer_finish(x, CLIENT_CLOSES);
        return;
    }
    out->end += (uint32_t)rc_writer_size(&writer);
    if (client_take_head(client, rc_writer_size(&writer)) != RC_OK) {
        answer_finish(x, CLIENT_CLOSES);
        return;
    }
    x->head_sent = true;
    x->phase = EXCHANGE_FLUSHING;
    exchange_touch(x);
    response_pump(x);
}

/* True if there is a buffer with that much room for an answer. */
static bool has_room(struct exchange *x, size_t size)
{
    struct client *client = x->client;

    if (client->out == NULL) {
        client->out = http_lend(x->http);
    }
    /* Interim heads may fill the buffer of a client that does not read. */
    return !x->head_sent && client->out != NULL && slab_room(client->out) >= size;
}

void answer_send(struct exchange *x, unsigned status, const char *text)
{
    char more[32];
    struct forward_answer answer = {
        .status = status,
        .text = text,
        .more = status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"
                              : NULL,
    };

    if (x->retry_after_s > 0) {
        (void)snprintf(more, sizeof more, "Retry-After: %u\r\n", x->retry_after_s);
        answer.more = more;
    }
    hedge_drop(x);
    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    x->status = status;
    answer_because(x, usual_reason(x, status));
    if (status >= 400 && status < 500) {
        answer_blame(x, ACCESS_LOG_CLIENT);
    }
    answer_blame(x, ACCESS_LOG_PROXY);
    if (!has_room(x, ANSWER_MAX)) {
        answer_finish(x, CLIENT_CLOSES);
        return;
    }
    send_answer(x, &answer);
}

void answer_own(struct exchange *x, const struct forward_answer *answer)
{
    struct template_values values;
    struct forward_answer whole = *answer;

    x->status = answer->status;
    answer_blame(x, ACCESS_LOG_PROXY);
    if (!has_room(x, ANSWER_MAX)) {
        answer_finish(x, CLIENT_CLOSES);
        return;
    }
    if (x->route->response.count > 0) {
        course_response_values(x, &values);
        whole.edits = &x->route->response;
        whole.values = &values;
    }
    send_answer(x, &whole);
}

/* Of a service that the request names: -1 also while its pool is being made. */
static int index_of_pool(const struct exchange *x)
{
    struct worker *worker = x->http->worker;
    int index = worker_find_pool(worker, x->pool->name);
    return index >= 0 && x->service[0] != '\0'
               ? worker_find_derived(worker, (size_t)index, x->service)
               : index;
}

/* How many members stand where: "2 critical, 1 draining". Its size. */
static size_t describe_states(const struct snapshot_pool *pool, char *space, size_t size)
{
    size_t states[UPSTREAM_STATE_COUNT] = {0};
    size_t at = 0;

    for (size_t i = 0; i < pool->count; i++) {
        states[pool->members[i].state]++;
    }
    for (int state = 0; state < UPSTREAM_STATE_COUNT; state++) {
        if (states[state] > 0 && at < size) {
            int wrote =
                snprintf(space + at, size - at, "%s%zu %s", at > 0 ? ", " : "",
                         states[state], upstream_state_name((enum upstream_state)state));
            at += wrote > 0 ? (size_t)wrote : 0;
        }
    }
    return at;
}

/* Why a pool has no members at all, or NULL; `pool` is NULL where there is none. */
static const char *why_empty(const struct exchange *x, const struct snapshot_pool *pool)
{
    if (pool == NULL && x->service[0] == '\0') {
        return "its pool has left the configuration";
    }
    if (pool == NULL || (pool->count == 0 && !pool->known)) {
        return "discovery has not answered yet";
    }
    return pool->count == 0 ? "discovery names no instance" : NULL;
}

/* What the states of the pool's members say, in words. */
static void describe(const struct exchange *x, char *space, size_t size)
{
    int index = index_of_pool(x);
    const struct snapshot_pool *pool =
        index < 0 ? NULL : worker_pool(x->http->worker, (size_t)index);
    const char *empty = why_empty(x, pool);

    space[0] = '\0';
    if (empty != NULL) {
        (void)snprintf(space, size, "%s", empty);
        return;
    }
    size_t at = describe_states(pool, space, size);
    if (x->attempts > 0 && at < size) {
        (void)snprintf(space + at, size - at, "; %u tried, none could be connected to",
                       x->attempts);
    }
}

void answer_nobody(struct exchange *x)
{
    char reason[256];
    char text[ANSWER_TEXT_MAX];
    const char *name = x->pool->service[0] != '\0' ? x->pool->service : x->pool->name;
    name = x->service[0] != '\0' ? x->service : name;

    describe(x, reason, sizeof reason);
    (void)snprintf(text, sizeof text,
                   "503 no instance of service \"%s\" is alive (reason: %s)", name,
                   reason);
    answer_blame(x, ACCESS_LOG_INSTANCE);
    answer_send(x, 503, text);
}
