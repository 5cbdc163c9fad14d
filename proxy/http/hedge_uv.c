/* hedge_uv.c - a second instance is asked when the first one is slow; who answers first is heard
 * (Dean and Barroso, The Tail at Scale, 2013). */
#include "base/clock.h"
#include "base/err.h"
#include "proxy/http/http_state_uv.h"

/* Nothing may be done twice that cannot be, nothing of the answer may have come, and all of the
 * request must be here to be sent again. */
static bool could_be_hedged(const struct exchange *x)
{
    return x->route != NULL && x->route->hedge_ms > 0 && !x->hedge.tried &&
           x->phase == EXCHANGE_WAITING && attempt_class(x) == RETRY_SAFE &&
           !x->wants_websocket && x->body.kind == FRAMING_NONE && x->replayable &&
           request_is_sent(x) && !x->send_broken && x->interim == 0 &&
           slab_size(x->out->in) == 0 && x->pool->proxy_send == CONFIG_PROXY_SEND_OFF;
}

uint64_t hedge_due_ms(const struct exchange *x)
{
    return could_be_hedged(x) ? x->progress_ms + x->route->hedge_ms : UINT64_MAX;
}

static void count(const struct exchange *x, enum http_hedge result)
{
    rc_metric_add(x->http->metrics.hedges[result], 1);
}

static void let_go(struct exchange *x, enum instance_outcome outcome,
                   enum http_hedge result)
{
    struct outbound *out = x->hedge.out;
    struct instance *instance = x->hedge.instance;

    x->hedge.out = NULL;
    x->hedge.instance = NULL;
    outbound_release(out, OUTBOUND_CLOSE, x->pool);
    worker_use_end(x->http->worker, x->pool, instance, outcome);
    instance_release(instance);
    count(x, result);
    if (x->http->queued > 0) {
        queue_wake(x);
    }
}

void hedge_drop(struct exchange *x)
{
    if (x->hedge.out != NULL) {
        let_go(x, INSTANCE_NOT_TO_BLAME, HTTP_HEDGE_LOST);
    }
}

/* Sends what is left of the request. False: the connection is broken. */
static bool send_request(struct exchange *x)
{
    struct hedge *hedge = &x->hedge;
    size_t sent = 0;

    enum http_io io = http_socket_write(&hedge->out->socket, NULL,
                                        x->request->bytes + hedge->request_sent,
                                        x->request->end - hedge->request_sent, &sent);
    hedge->request_sent += (uint32_t)sent;
    bool blocked = io == HTTP_IO_BLOCKED;
    if (blocked != hedge->out->blocked) {
        hedge->out->blocked = blocked;
        outbound_rearm(hedge->out);
    }
    return io != HTTP_IO_BROKEN;
}

void hedge_start(struct exchange *x)
{
    struct hedge *hedge = &x->hedge;
    const struct snapshot_member *member = NULL;

    hedge->tried = true;
    if (!attempt_may_hedge(x, &member)) {
        return;
    }
    struct instance *instance = member->instance;
    struct outbound *out = outbound_reuse(x->http, instance, RETRY_SAFE, attempt_tls(x));
    bool reused = out != NULL;
    out = reused ? out : outbound_connect(x->http, instance);
    if (out == NULL) {
        worker_use_end(x->http->worker, x->pool, instance, INSTANCE_NOT_TO_BLAME);
        return;
    }
    hedge->out = out;
    hedge->instance = instance_retain(instance);
    hedge->new_sticky = member->sticky != x->affinity.sticky ? member->sticky : 0;
    hedge->request_sent = 0;
    hedge->reused = reused;
    hedge->start_ns = rc_clock_ns();
    out->exchange = x;
    outbound_rearm(out);
    if (out->connected && !send_request(x)) {
        let_go(x, INSTANCE_NOT_TO_BLAME, HTTP_HEDGE_FAILED);
    }
}

void hedge_adopt(struct exchange *x)
{
    struct hedge *hedge = &x->hedge;

    x->out = hedge->out;
    x->instance = hedge->instance;
    x->address = x->instance->address;
    x->new_sticky = hedge->new_sticky;
    x->request_sent = hedge->request_sent;
    x->sent = hedge->request_sent > 0;
    x->send_broken = false;
    x->reused = hedge->reused;
    x->connect_start_ns = hedge->start_ns;
    x->scan = (struct http1_scan){0};
    hedge->out = NULL;
    hedge->instance = NULL;
    x->phase = x->out->connected ? EXCHANGE_WAITING : EXCHANGE_CONNECTING;
    x->when = x->out->connected ? ACCESS_LOG_HEAD : ACCESS_LOG_CONNECT;
    count(x, HTTP_HEDGE_WON);
    exchange_touch(x);
}

/* The first bytes have come: the other one is not waited for any more. */
static void win(struct exchange *x)
{
    attempt_release(x, INSTANCE_NOT_TO_BLAME, OUTBOUND_CLOSE);
    hedge_adopt(x);
    response_pump(x);
}

static void on_readable(struct exchange *x)
{
    struct outbound *out = x->hedge.out;

    if (slab_size(x->out->in) > 0) { /* the first one speaks already */
        hedge_drop(x);
        return;
    }
    if (out->in == NULL) {
        out->in = http_lend(x->http);
    }
    enum http_io io =
        out->in == NULL ? HTTP_IO_FULL : http_socket_read(&out->socket, out->in);
    switch (io) {
    case HTTP_IO_DONE:
        win(x);
        return;
    case HTTP_IO_BLOCKED:
        return;
    case HTTP_IO_FULL:
        let_go(x, INSTANCE_NOT_TO_BLAME, HTTP_HEDGE_FAILED);
        return;
    case HTTP_IO_ENDED:
    case HTTP_IO_BROKEN:
        let_go(x, out->reused ? INSTANCE_NOT_TO_BLAME : INSTANCE_BROKE,
               HTTP_HEDGE_FAILED);
        return;
    }
}

static void on_connected(struct exchange *x)
{
    struct outbound *out = x->hedge.out;
    struct tls_context *tls = attempt_tls(x);

    if (http_socket_error(&out->socket) != 0) {
        let_go(x, INSTANCE_CONNECT_FAILED, HTTP_HEDGE_FAILED);
        return;
    }
    if (tls != NULL && out->tls == NULL) {
        if (attempt_begin_tls(x, out, tls) != RC_OK) {
            let_go(x, INSTANCE_NOT_TO_BLAME, HTTP_HEDGE_FAILED);
        }
        return;
    }
    out->connected = true;
    outbound_rearm(out);
    if (!send_request(x)) {
        let_go(x, INSTANCE_BROKE, HTTP_HEDGE_FAILED);
    }
}

void hedge_on_event(struct exchange *x, int status, int events)
{
    if (!x->hedge.out->connected) {
        on_connected(x);
        return;
    }
    if ((events & UV_WRITABLE) != 0 && !send_request(x)) {
        let_go(x, INSTANCE_NOT_TO_BLAME, HTTP_HEDGE_FAILED);
        return;
    }
    if (status < 0 || (events & (UV_READABLE | UV_PRIORITIZED)) != 0) {
        on_readable(x);
    }
}
