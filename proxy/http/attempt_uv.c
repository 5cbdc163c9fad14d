/* attempt_uv.c - where a request is tried, and whether it may be tried again. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/http/http_state_uv.h"
#include "proxy/tls/tls_stream_openssl.h"
#include "proxy/worker/proxy_header_uv.h"

/* The pool of our route in the worker's present snapshot, or -1. A pool that the request itself
 * names is asked for when there is none yet: then it is there after a while. */
static int present_pool(const struct exchange *x)
{
    struct worker *worker = x->http->worker;
    int pool = x->snapshot->shared == worker->snapshot->shared
                   ? (int)x->route->pool
                   : worker_find_pool(worker, x->pool->name);
    if (x->service[0] == '\0' || pool < 0) {
        return pool;
    }
    int derived = worker_find_derived(worker, (size_t)pool, x->service);
    if (derived < 0) {
        worker_want_pool(worker, (size_t)pool, x->service);
    }
    return derived;
}

/* `also` is not wanted either; may be NULL. */
static const struct snapshot_member *pick(struct exchange *x, struct instance *also)
{
    const struct instance *excluded[HTTP_TRIED_MAX + 1];
    size_t count = x->tried_count;

    memcpy(excluded, x->tried, count * sizeof(struct instance *));
    if (also != NULL) {
        excluded[count++] = also;
    }
    struct balance_request request = {
        .key = x->affinity.key,
        .sticky = x->affinity.sticky,
        .excluded = excluded,
        .excluded_count = count,
    };
    int pool = present_pool(x);

    if (pool < 0) {
        return NULL;
    }
    const struct snapshot_member *member =
        worker_pick(x->http->worker, (size_t)pool, &request);
    if (member == NULL && also == NULL &&
        count > 0) { /* all have failed once: again then */
        request.excluded_count = 0;
        member = worker_pick(x->http->worker, (size_t)pool, &request);
    }
    return member;
}

void attempt_release(struct exchange *x, enum instance_outcome outcome,
                     enum outbound_fate fate)
{
    if (x->out != NULL) {
        struct outbound *out = x->out;
        x->out = NULL;
        splice_forget(x, &x->up);
        outbound_release(out, fate, x->pool);
    }
    if (x->instance != NULL) {
        worker_use_end(x->http->worker, x->pool, x->instance, outcome);
        instance_release(x->instance);
        x->instance = NULL;
        if (x->http->queued > 0) {
            queue_wake(x);
        }
    }
}

/* Our own shortages are no reason to blame an instance. */
static bool is_our_shortage(int error)
{
    return error == EADDRNOTAVAIL || error == EMFILE || error == ENFILE ||
           error == ENOBUFS || error == ENOMEM || error == EACCES || error == EPERM;
}

struct tls_context *attempt_tls(const struct exchange *x)
{
    return x->snapshot->pools[x->pool - x->snapshot->config->pools].tls;
}

/* How an attempt started. */
enum start { STARTED, REFUSED, NOBODY, SHORTAGE };

static enum start start_attempt(struct exchange *x)
{
    const struct snapshot_member *member = pick(x, NULL);

    if (member == NULL ||
        !worker_use_try(x->http->worker, member->instance, x->pool->in_flight_max)) {
        return NOBODY;
    }
    queue_leave(x);
    x->attempts++;
    x->instance = instance_retain(member->instance);
    x->new_sticky = member->sticky != x->affinity.sticky ? member->sticky : 0;
    x->address = x->instance->address;
    x->sent = false;
    x->request_sent = 0;
    x->send_broken = false;
    x->scan = (struct http1_scan){0};
    struct outbound *out = NULL;
    if (!x->fresh_only && x->pool->proxy_send == CONFIG_PROXY_SEND_OFF) {
        out = outbound_reuse(x->http, x->instance, attempt_class(x), attempt_tls(x));
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

static struct pool_counts *counts_of(const struct exchange *x)
{
    int pool = present_pool(x);
    return pool < 0 ? NULL : worker_pool(x->http->worker, (size_t)pool)->counts;
}

/* No instance just now: wait for one, or say so. */
static void queue(struct exchange *x)
{
    uint64_t now_ms = http_now_ms(x->http);

    x->phase = EXCHANGE_QUEUED;
    x->when = ACCESS_LOG_QUEUE;
    if (now_ms >= x->give_up_ms) {
        if (x->queue_counts != NULL) {
            pool_counts_add(&x->queue_counts->queue_expired);
        }
        answer_because(x, REFUSAL_NO_INSTANCE);
        answer_nobody(x);
        return;
    }
    if (x->queue == NULL && queue_enter(x, counts_of(x)) == QUEUE_FULL) {
        answer_because(x, REFUSAL_QUEUE_FULL);
        answer_blame(x, ACCESS_LOG_PROXY);
        answer_send(x, 503, "503 too many requests wait for an instance");
        return;
    }
    /* Who is not the first is called when he is. */
    uint64_t again_ms = now_ms + HTTP_REPICK_MS;
    bool waits = queue_is_behind(x) || again_ms > x->give_up_ms;
    client_set_deadline(x->client, waits ? x->give_up_ms : again_ms);
}

enum retry_class attempt_class(const struct exchange *x)
{
    enum retry_class class = retry_class_of(x->method);
    /* The key makes the instance do it once however often it is asked (the route says so). */
    return class == RETRY_ONCE && x->has_key ? RETRY_IDEMPOTENT : class;
}

static uint32_t attempts_max(const struct exchange *x)
{
    return x->route->retry_attempts < HTTP_TRIED_MAX ? x->route->retry_attempts
                                                     : HTTP_TRIED_MAX;
}

/* Ends the attempt and asks the rules whether another one may follow. */
static bool may_repeat(struct exchange *x, enum retry_failure failure)
{
    struct retry_attempt attempt = {
        .method = attempt_class(x),
        .failure = failure,
        .number = x->attempts - (x->hedge.out != NULL ? 1 : 0),
        .attempts_max = attempts_max(x),
        .sent = x->sent,
        .replayable = x->replayable,
        .status_listed = failure == RETRY_STATUS ||
                         (failure == RETRY_DRAINING && x->route->retry_draining_posts),
    };
    if (x->head_sent || x->interim > 0 || !retry_is_allowed(&attempt)) {
        return false;
    }
    if (x->hedge.out != NULL) {
        return true; /* it runs already */
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
    if (failure != RETRY_STATUS && failure != RETRY_DRAINING) { /* it gave no status */
        meter_count(meter_lane(x->instance->meter, x->http->worker->number), 0);
    }
    if (x->tried_count < HTTP_TRIED_MAX) {
        x->tried[x->tried_count++] = instance_retain(x->instance);
    }
    attempt_release(x, outcome, OUTBOUND_CLOSE);
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

/* 502, saying what is wrong with the certificate. */
static void answer_insecure(struct exchange *x)
{
    char address[RC_ADDRESS_TEXT_MAX];
    char text[TLS_PROBLEM_MAX + RC_ADDRESS_TEXT_MAX];
    rc_address_format(&x->address, address);
    (void)snprintf(text, sizeof text, "TLS with instance %s came to nothing: %.300s",
                   address, x->tls_problem);
    answer_send(x, 502, text);
}

static void answer_failure(struct exchange *x, enum retry_failure failure)
{
    static const struct {
        unsigned status;
        const char *text;
    } answers[RETRY_FAILURE_COUNT] = {
        [RETRY_CONNECT_FAILED] = {503, ""},
        [RETRY_TLS_FAILED] = {502, ""},
        [RETRY_STALE] = {502, "the instance closed the connection without an answer"},
        [RETRY_CLOSED] = {502, "the instance closed the connection without an answer"},
        [RETRY_TIMED_OUT] = {504, "the instance did not answer in time"},
        [RETRY_STATUS] = {502, "the instance failed"},
        [RETRY_DRAINING] = {503, "the instance is stopping"},
        [RETRY_BAD_HEAD] = {502, "the instance sent a malformed answer"},
    };
    answer_blame(x, failure == RETRY_TIMED_OUT ? ACCESS_LOG_TIME : ACCESS_LOG_INSTANCE);
    if (failure == RETRY_CONNECT_FAILED) {
        answer_nobody(x);
    } else if (failure == RETRY_TLS_FAILED) {
        answer_insecure(x);
    } else {
        answer_send(x, answers[failure].status, answers[failure].text);
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
            if (course_has_no_service(x)) {
                answer_because(x, REFUSAL_NO_ROUTE);
                answer_send(x, 404, "no service of this name");
                return false;
            }
            queue(x);
            return false;
        case SHORTAGE:
            attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
            answer_blame(x, ACCESS_LOG_PROXY);
            answer_because(x, REFUSAL_NO_DESCRIPTOR);
            answer_send(x, 503, "the proxy is out of ports or descriptors");
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

void attempt_start(struct exchange *x)
{
    if (queue_is_behind(x)) {
        queue(x);
        return;
    }
    if (try_attempts(x)) {
        request_pump(x);
    }
}

bool attempt_may_hedge(struct exchange *x, const struct snapshot_member **member)
{
    struct retry_attempt attempt = {.method = RETRY_SAFE,
                                    .failure = RETRY_TIMED_OUT,
                                    .number = x->attempts,
                                    .sent = true,
                                    .replayable = true};

    *member = x->attempts < attempts_max(x) ? pick(x, x->instance) : NULL;
    if (*member == NULL) {
        return false;
    }
    struct instance *instance = (*member)->instance;
    if (!worker_use_try(x->http->worker, instance, x->pool->in_flight_max)) {
        return false;
    }
    if (!retry_budget_take(&x->http->budget, &attempt)) {
        rc_metric_add(x->http->metrics.budget_refusals, 1);
        worker_use_end(x->http->worker, x->pool, instance, INSTANCE_NOT_TO_BLAME);
        return false;
    }
    x->attempts++;
    return true;
}

static void go_on_with_hedge(struct exchange *x)
{
    hedge_adopt(x);
    request_pump(x);
}

void attempt_failed(struct exchange *x, enum retry_failure failure,
                    enum instance_outcome outcome)
{
    bool hedged = x->hedge.out != NULL;
    bool again = hedged || may_repeat(x, failure);

    end_attempt(x, failure, outcome);
    if (hedged) {
        go_on_with_hedge(x);
        return;
    }
    if (!again) {
        answer_failure(x, failure);
        return;
    }
    if (prepare_repeat(x) && try_attempts(x)) {
        request_pump(x);
    }
}

bool attempt_repeat_instead(struct exchange *x, enum retry_failure failure,
                            enum instance_outcome outcome)
{
    if (!may_repeat(x, failure)) {
        return false;
    }
    end_attempt(x, failure, outcome);
    if (x->hedge.out != NULL) {
        go_on_with_hedge(x);
    } else if (prepare_repeat(x) && try_attempts(x)) {
        request_pump(x);
    }
    return true;
}

int attempt_begin_tls(const struct exchange *x, struct outbound *out,
                      struct tls_context *context)
{
    struct tls_stream *stream =
        tls_stream_connect(context, out->socket.fd, x->pool->server_name,
                           &out->pool->instance->address, &out->pool->memory);
    if (stream == NULL || http_socket_secure(&out->socket, stream) != RC_OK) {
        return RC_ENOMEM;
    }
    out->tls = context;
    outbound_rearm(out);
    return RC_OK;
}

/* The connection stands, but the one at its end is not who it should be, or speaks no TLS. */
static void on_tls_failed(struct exchange *x)
{
    enum { WORDS_EVERY_MS = 1000 };
    struct http *http = x->http;
    uint64_t now_ms = http_now_ms(http);

    x->tls_problem = tls_stream_problem(http_socket_stream(&x->out->socket));
    atomic_store_explicit(&x->instance->tls_problem, x->tls_problem,
                          memory_order_relaxed);
    if (now_ms - http->secure.warned_at_ms >= WORDS_EVERY_MS) {
        http->secure.warned_at_ms = now_ms;
        rc_log(RC_LOG_WARN, "proxy",
               "TLS with instance %s of pool %s came to nothing: %s", x->instance->id,
               x->pool->name, x->tls_problem);
    }
    attempt_failed(x, RETRY_TLS_FAILED, INSTANCE_CONNECT_FAILED);
}

static void forget_tls_problem(struct instance *instance)
{
    if (atomic_load_explicit(&instance->tls_problem, memory_order_relaxed) != NULL) {
        atomic_store_explicit(&instance->tls_problem, NULL, memory_order_relaxed);
    }
}

void attempt_on_connected(struct exchange *x)
{
    int error = http_socket_error(&x->out->socket);
    struct tls_context *tls = attempt_tls(x);

    if (error != 0 && is_our_shortage(error)) {
        attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
        answer_because(x, REFUSAL_NO_DESCRIPTOR);
        answer_send(x, 503, "the proxy is out of ports or descriptors");
        return;
    }
    if (error != 0 && x->out->tls != NULL && error == EPROTO) {
        on_tls_failed(x);
        return;
    }
    if (error != 0) {
        attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        return;
    }
    if (x->out->tls == NULL &&
        proxy_header_send(x->out->socket.fd, x->pool, client_fd(x->client),
                          &x->client->peer) != RC_OK) {
        attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
        return;
    }
    if (tls != NULL && x->out->tls == NULL) {
        if (attempt_begin_tls(x, x->out, tls) != RC_OK) {
            attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_NOT_TO_BLAME);
        }
        return;
    }
    if (tls != NULL) {
        forget_tls_problem(x->instance);
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
