/* http_uv.c - one worker's HTTP: opened with the worker, told of snapshots, closed with it. */
#include "proxy/http/http_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/http/maintenance_uv.h"

uint64_t http_now_ms(const struct http *http)
{
    return uv_now(http->worker->loop);
}

struct slab_buffer *http_lend(struct http *http)
{
    struct slab_buffer *buffer = slab_lend(&http->slab);
    http->starved = http->starved || buffer == NULL;
    return buffer;
}

/* As large as it is, the allocator would walk its lists for each. */
struct exchange *http_exchange(struct http *http)
{
    struct exchange *x = http->spare;

    if (x == NULL) {
        return calloc(1, sizeof *x);
    }
    http->spare = x->next_dead;
    http->spare_count--;
    memset(x, 0, sizeof *x);
    return x;
}

static void put_away(struct http *http, struct exchange *x)
{
    if (http->spare_count >= HTTP_SPARE_MAX) {
        free(x);
        return;
    }
    x->next_dead = http->spare;
    http->spare = x;
    http->spare_count++;
}

void http_leave(struct http *http)
{
    if (http->queued > 0) {
        queue_serve(http);
    }
    while (http->dead != NULL) {
        struct exchange *x = http->dead;
        http->dead = x->next_dead;
        put_away(http, x);
    }
    while (http->dead_streams != NULL) {
        struct client *stream = http->dead_streams;
        http->dead_streams = stream->next_dead;
        free(stream);
    }
}

/* --- time --- */

static void show_gauges(struct http *http)
{
    uint64_t dropped = 0;

    rc_metric_set(http->metrics.running, (double)http->budget.running);
    rc_metric_set(http->metrics.clients, (double)http->client_count);
    rc_metric_set(http->metrics.buffers, (double)http->slab.lent);
    for (size_t i = 0; i < http->log_count; i++) {
        dropped += access_log_uv_dropped(http->logs[i]);
    }
    rc_metric_add(http->metrics.log_dropped, dropped - http->log_dropped_told);
    http->log_dropped_told = dropped;
}

/* Nobody works on those any more: before a stop they are closed. */
static void close_idle_clients(struct http *http)
{
    uint64_t soon_ms = http_now_ms(http) + HTTP_FRESH_MS;
    struct client *client = LIST_FIRST(&http->clients);

    while (client != NULL) {
        struct client *next = LIST_NEXT(client, link);
        bool shaking =
            client->secure == CLIENT_WAITS_FOR_TLS || client->secure == CLIENT_SHAKING;
        if (client->h2 != NULL) {
            h2_link_leave(client);
        } else if (client->state == CLIENT_IDLE && slab_size(client->in) == 0 &&
                   !shaking && client->served > 0) {
            client_close(client);
        } else if (client->state == CLIENT_IDLE && client->timer.due_ms > soon_ms) {
            client_set_deadline(client, soon_ms); /* it has just come, to ask */
        }
        client = next;
    }
}

/* Those who paused for want of a buffer have nothing that could wake them. */
static void feed_starved(struct http *http)
{
    struct client *client = NULL;

    if (!http->starved || http->slab.lent >= http->slab.lent_max) {
        return;
    }
    http->starved = false;
    LIST_FOREACH(client, &http->clients, link)
    {
        client_drained(client);
        if (client->exchange != NULL && client->exchange->out != NULL) {
            outbound_drained(client->exchange->out);
        }
    }
}

static void on_tick(uv_timer_t *handle)
{
    struct http *http = handle->data;
    uint64_t now_ms = http_now_ms(http);
    struct timer *timer = NULL;

    while ((timer = timer_wheel_next(&http->wheel, now_ms)) != NULL) {
        switch ((enum http_timer_kind)timer->kind) {
        case HTTP_TIMER_CLIENT:
            client_on_timer(
                (struct client *)((char *)timer - offsetof(struct client, timer)));
            break;
        case HTTP_TIMER_OUTBOUND:
            outbound_on_timer(
                (struct outbound *)((char *)timer - offsetof(struct outbound, timer)));
            break;
        }
    }
    if (http->worker->draining) {
        close_idle_clients(http);
    }
    feed_starved(http);
    http_leave(http);
    show_gauges(http);
    if (http->wheel.count == 0) {
        (void)uv_timer_stop(&http->tick);
    }
}

void http_set_timer(struct http *http, struct timer *timer, uint64_t due_ms)
{
    timer_set(&http->wheel, timer, due_ms);
    if (!uv_is_active((uv_handle_t *)&http->tick) && !http->aborted) {
        (void)uv_timer_start(&http->tick, on_tick, TIMER_SLOT_MS, TIMER_SLOT_MS);
    }
}

/* --- counting and logging --- */

static struct http_pool_metrics *make_pool_metrics(struct rc_metrics *metrics,
                                                   const char *pool)
{
    char labels[CONFIG_NAME_MAX + 64];
    struct http_pool_metrics *made = calloc(1, sizeof *made);

    if (made == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < RETRY_FAILURE_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "pool=\"%s\",reason=\"%s\"", pool,
                       retry_failure_name((enum retry_failure)i));
        made->retries[i] =
            rc_metrics_counter(metrics, "rollcall_proxy_http_retries_total", labels,
                               "Attempts after the first, by why the one before failed.");
    }
    return made;
}

struct http_pool_metrics *http_pool_metrics(struct http *http, const char *pool)
{
    struct http_pool_metrics *metrics = rc_table_get(http->metrics.pools, pool);

    if (metrics != NULL) {
        return metrics;
    }
    metrics = make_pool_metrics(http->worker->metrics, pool);
    if (metrics != NULL &&
        rc_table_put(http->metrics.pools, pool, metrics, NULL) != RC_OK) {
        free(metrics);
        return NULL;
    }
    return metrics;
}

static void open_fault_metrics(struct http_metrics *m, struct rc_metrics *metrics)
{
    char labels[64];

    for (int i = 0; i < HTTP1_FAULT_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "reason=\"%s\"",
                       http1_fault_label((enum http1_fault)i));
        m->bad_requests[i] =
            rc_metrics_counter(metrics, "rollcall_proxy_http_bad_requests_total", labels,
                               "Requests refused because they break a rule.");
        m->bad_responses[i] =
            rc_metrics_counter(metrics, "rollcall_proxy_http_bad_responses_total", labels,
                               "Responses that break a rule.");
    }
}

static void open_hedge_metrics(struct http_metrics *m, struct rc_metrics *metrics)
{
    static const char *const labels[HTTP_HEDGE_COUNT] = {
        [HTTP_HEDGE_WON] = "result=\"won\"",
        [HTTP_HEDGE_LOST] = "result=\"lost\"",
        [HTTP_HEDGE_FAILED] = "result=\"failed\"",
    };

    for (int i = 0; i < HTTP_HEDGE_COUNT; i++) {
        m->hedges[i] =
            rc_metrics_counter(metrics, "rollcall_proxy_http_hedges_total", labels[i],
                               "Second instances asked while the first was slow.");
    }
}

static struct rc_metric *gauge(struct worker *worker, const char *name, const char *help)
{
    char labels[32];
    (void)snprintf(labels, sizeof labels, "worker=\"%u\"", worker->number);
    return rc_metrics_gauge(worker->metrics, name, labels, help);
}

static void open_metrics(struct http_metrics *m, struct worker *worker)
{
    struct rc_metrics *metrics = worker->metrics;

    open_fault_metrics(m, metrics);
    m->connects = rc_metrics_counter(metrics, "rollcall_proxy_http_connects_total", NULL,
                                     "Connections opened to instances.");
    m->connect_time = rc_metrics_histogram(metrics, "rollcall_proxy_http_connect_seconds",
                                           NULL, "Time to connect to an instance.");
    m->reuses = rc_metrics_counter(metrics, "rollcall_proxy_http_reuses_total", NULL,
                                   "Requests sent on a kept connection.");
    m->stale = rc_metrics_counter(metrics, "rollcall_proxy_http_stale_total", NULL,
                                  "Kept connections that the instance closed.");
    m->budget_refusals =
        rc_metrics_counter(metrics, "rollcall_proxy_http_retry_refusals_total", NULL,
                           "Repeats not made because the budget was used up.");
    open_hedge_metrics(m, metrics);
    m->log_dropped =
        rc_metrics_counter(metrics, "rollcall_proxy_access_log_dropped_total", NULL,
                           "Lines lost because the disk was too slow.");
    m->patterns_given_up = rc_metrics_counter(
        metrics, "rollcall_proxy_http_patterns_given_up_total", NULL,
        "Regular expressions that took too many steps: counted as no match.");
    m->running =
        gauge(worker, "rollcall_proxy_http_running", "Requests that are being served.");
    m->clients = gauge(worker, "rollcall_proxy_http_clients", "Client connections.");
    m->buffers = gauge(worker, "rollcall_proxy_http_buffers", "Buffers in use.");
}

struct access_log_uv *http_log(struct http *http, const char *path)
{
    for (size_t i = 0; i < http->log_count; i++) {
        if (strcmp(access_log_uv_path(http->logs[i]), path) == 0) {
            return http->logs[i];
        }
    }
    if (http->log_count == HTTP_LOGS_MAX || http->aborted) {
        return NULL;
    }
    struct access_log_uv **log = &http->logs[http->log_count];
    if (access_log_uv_open(http->worker->loop, path, log) != RC_OK) {
        rc_log(RC_LOG_ERROR, "proxy", "access log %s cannot be opened", path);
        return NULL;
    }
    http->log_count++;
    return *log;
}

/* --- the protocol --- */

static void free_http(struct http *http)
{
    route_scratch_destroy(http->routes);
    maintenance_destroy(http->maintenance);
    size_t position = 0;
    struct http_pool_metrics *metrics = NULL;

    while (http->spare != NULL) {
        struct exchange *x = http->spare;
        http->spare = x->next_dead;
        free(x);
    }
    while (http->metrics.pools != NULL &&
           (metrics = rc_table_next(http->metrics.pools, &position, NULL)) != NULL) {
        free(metrics);
    }
    rc_table_destroy(http->metrics.pools);
    rc_table_destroy(http->pools);
    free(http);
}

static int open_http(struct worker *worker, void **state)
{
    struct http *http = calloc(1, sizeof *http);

    if (http == NULL) {
        return RC_ENOMEM;
    }
    http->worker = worker;
    LIST_INIT(&http->clients);
    TAILQ_INIT(&http->queues);
    slab_init(&http->slab, worker->snapshot->config->buffer_limit_bytes);
    http->pools = rc_table_create(rc_random_next(&worker->random));
    http->metrics.pools = rc_table_create(rc_random_next(&worker->random));
    http->routes = route_scratch_create();
    http->maintenance = maintenance_create();
    if (http->pools == NULL || http->metrics.pools == NULL || http->routes == NULL ||
        http->maintenance == NULL) {
        free_http(http);
        return RC_ENOMEM;
    }
    open_metrics(&http->metrics, worker);
    h2_link_init(http);
    secure_open(&http->secure, worker->metrics);
    timer_wheel_init(&http->wheel, uv_now(worker->loop));
    (void)uv_timer_init(worker->loop, &http->tick); /* cannot fail */
    uv_unref((uv_handle_t *)&http->tick);
    http->tick.data = http;
    *state = http;
    return RC_OK;
}

static void accept_http(struct worker *worker, struct worker_listener *listener, int fd,
                        const struct rc_address *peer)
{
    client_accept(worker_state(worker, CONFIG_HTTP), listener, fd, peer);
}

static void snapshot_changed(struct worker *worker, void *state,
                             const struct snapshot *old)
{
    struct http *http = state;
    struct client *client = LIST_FIRST(&http->clients);

    outbound_sweep(http);
    while (client != NULL) {
        struct client *next = LIST_NEXT(client, link);
        if (client->exchange != NULL) {
            exchange_on_snapshot(client->exchange);
        }
        client = next;
    }
    if (old->hangups != worker->snapshot->hangups) { /* log files may have moved */
        for (size_t i = 0; i < http->log_count; i++) {
            access_log_uv_reopen(http->logs[i]);
        }
    }
    if (worker->draining) {
        close_idle_clients(http);
    }
    http_leave(http);
}

static void abort_http(struct worker *worker, void *state)
{
    struct http *http = state;
    struct client *client = NULL;

    (void)worker;
    http->aborted = true;
    while ((client = LIST_FIRST(&http->clients)) != NULL) {
        if (client->exchange != NULL) {
            answer_cut(client->exchange, ACCESS_LOG_PROXY, INSTANCE_NOT_TO_BLAME);
        }
        client_close(client);
    }
    outbound_abort(http);
    http_leave(http);
    for (size_t i = 0; i < http->log_count; i++) {
        access_log_uv_close(http->logs[i]);
    }
    http->log_count = 0;
    h2_link_fini(http);
    if (!uv_is_closing((uv_handle_t *)&http->tick)) {
        uv_close((uv_handle_t *)&http->tick, NULL);
    }
}

static void close_http(struct worker *worker, void *state)
{
    struct http *http = state;

    (void)worker;
    outbound_pools_free(http);
    slab_fini(&http->slab);
    free_http(http);
}

const struct worker_protocol http_protocol = {
    .name = "http",
    .open = open_http,
    .accept = accept_http,
    .snapshot_changed = snapshot_changed,
    .list = client_list_all,
    .abort = abort_http,
    .close = close_http,
};
