/* attempt_uv.c - where a request is tried, and whether it may be tried again. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "proxy/http_state_uv.h"

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

void attempt_release(struct exchange *x, enum instance_outcome outcome,
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
        answer_nobody(x);
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
    answer_blame(x, failure == RETRY_TIMED_OUT ? ACCESS_LOG_TIME : ACCESS_LOG_INSTANCE);
    if (failure == RETRY_CONNECT_FAILED) {
        answer_nobody(x);
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
            queue(x);
            return false;
        case SHORTAGE:
            attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
            answer_blame(x, ACCESS_LOG_PROXY);
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
    if (try_attempts(x)) {
        request_pump(x);
    }
}

void attempt_failed(struct exchange *x, enum retry_failure failure,
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

bool attempt_repeat_instead(struct exchange *x, enum retry_failure failure,
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

void attempt_on_connected(struct exchange *x)
{
    int error = outbound_connect_error(x->out);

    if (error != 0 && is_our_shortage(error)) {
        attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
        answer_send(x, 503, "the proxy is out of ports or descriptors");
        return;
    }
    if (error != 0) {
        attempt_failed(x, RETRY_CONNECT_FAILED, INSTANCE_CONNECT_FAILED);
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
