/* answer_uv.c - how an exchange ends: our own answers, cuts, counts and the log. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/http_state_uv.h"

enum { ANSWER_MAX = 1024, ANSWER_TEXT_MAX = 512 }; /* bytes */

void answer_blame(struct exchange *x, enum access_log_who who)
{
    if (x->who == ACCESS_LOG_NOBODY) {
        x->who = who;
    }
}

/* --- the end --- */

static struct rc_span span_of(const char *text)
{
    return (struct rc_span){text, strlen(text)};
}

static void write_log(const struct exchange *x, uint64_t total_ns)
{
    char address[RC_ADDRESS_TEXT_MAX];

    if (x->listener->log_form == CONFIG_LOG_OFF) {
        return;
    }
    struct access_log_uv *log = http_log(x->http, x->listener->log_path);
    if (log == NULL) {
        return;
    }
    rc_address_format(&x->address, address); /* empty if none was tried */
    struct access_log_entry entry = {
        .wall_ms = x->wall_ms,
        .client = span_of(x->client->peer_text),
        .method = span_of(x->names.method),
        .host = span_of(x->names.host),
        .path = span_of(x->names.path),
        .pool = rc_span_of(x->pool == NULL ? NULL : x->pool->name),
        .instance = span_of(address),
        .request_id = span_of(x->names.request_id),
        .referrer = span_of(x->names.referrer),
        .agent = span_of(x->names.agent),
        .status = x->status,
        .bytes_in = x->bytes_in,
        .bytes_out = x->bytes_out,
        .attempts = x->attempts,
        .total_us = total_ns / 1000,
        .connect_us = x->connect_ns / 1000,
        .first_byte_us = x->first_byte_ns / 1000,
        .reused = x->reused,
        .who = x->who,
        .phase = x->who == ACCESS_LOG_NOBODY ? ACCESS_LOG_NO_PHASE : x->when,
    };
    access_log_uv_add(log, x->listener->log_form, &entry);
}

static void count(const struct exchange *x, uint64_t total_ns)
{
    struct http *http = x->http;
    struct http_pool_metrics *metrics =
        http_pool_metrics(http, x->pool == NULL ? "" : x->pool->name);
    unsigned class = x->status == 499 ? 0 : x->status / 100;

    rc_metric_add(http->metrics.received, x->bytes_in);
    rc_metric_add(http->metrics.sent, x->bytes_out);
    if (metrics == NULL || class >= HTTP_CODE_CLASSES) {
        return;
    }
    rc_metric_add(metrics->requests[class], 1);
    rc_metric_observe_ns(metrics->duration, total_ns);
    if (x->first_byte_ns != 0) {
        rc_metric_observe_ns(metrics->first_byte, x->first_byte_ns);
    }
}

void answer_finish(struct exchange *x, enum client_next next)
{
    struct http *http = x->http;
    struct client *client = x->client;
    uint64_t total_ns = rc_clock_ns() - x->start_ns;

    assert(x->phase != EXCHANGE_OVER);
    assert(x->out == NULL && x->instance == NULL);
    x->phase = EXCHANGE_OVER;
    count(x, total_ns);
    write_log(x, total_ns);
    retry_budget_end(&http->budget, x->attempts);
    slab_return(&http->slab, &x->request);
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

void answer_send(struct exchange *x, unsigned status, const char *text)
{
    struct client *client = x->client;

    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    x->status = status;
    if (status >= 400 && status < 500) {
        answer_blame(x, ACCESS_LOG_CLIENT);
    }
    answer_blame(x, ACCESS_LOG_PROXY);
    if (client->out == NULL) {
        client->out = http_lend(x->http);
    }
    /* Interim heads may fill the buffer of a client that does not read. */
    if (x->head_sent || client->out == NULL || slab_room(client->out) < ANSWER_MAX) {
        answer_finish(x, CLIENT_CLOSES);
        return;
    }
    x->keep_client = x->keep_client && x->request_read && client_may_stay(client);
    enum forward_connection kept = x->http10 ? FORWARD_KEEP_ALIVE : FORWARD_SILENT;
    struct forward_answer answer = {
        .status = status,
        .text = text,
        .more = status == 405 ? "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n"
                              : NULL,
        .connection = x->keep_client ? kept : FORWARD_CLOSE,
        .head_only = x->head_only,
    };
    struct slab_buffer *out = client->out;
    struct rc_writer writer = rc_writer_over(out->bytes + out->end, slab_room(out));
    int err = forward_answer(&answer, &writer);
    assert(err == RC_OK);
    (void)err;
    out->end += (uint32_t)rc_writer_size(&writer);
    x->head_sent = true;
    x->phase = EXCHANGE_FLUSHING;
    exchange_touch(x);
    response_pump(x);
}

/* What the states of the pool's members say, in words. */
static void describe(const struct exchange *x, char *space, size_t size)
{
    const struct worker *worker = x->http->worker;
    int index = worker_find_pool(worker, x->pool->name);
    size_t states[UPSTREAM_STATE_COUNT] = {0};
    size_t at = 0;

    space[0] = '\0';
    if (index < 0) {
        (void)snprintf(space, size, "its pool has left the configuration");
        return;
    }
    const struct snapshot_pool *pool = worker_pool(worker, (size_t)index);
    if (pool->count == 0) {
        (void)snprintf(space, size, "%s",
                       pool->known ? "discovery names no instance"
                                   : "discovery has not answered yet");
        return;
    }
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

    describe(x, reason, sizeof reason);
    (void)snprintf(text, sizeof text,
                   "503 no instance of service \"%s\" is alive (reason: %s)", name,
                   reason);
    answer_blame(x, ACCESS_LOG_INSTANCE);
    answer_send(x, 503, text);
}
