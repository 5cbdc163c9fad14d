/* watch_uv.c - see watch_uv.h. */
#include "proxy/discover/watch_uv.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/discover/watch_reply.h"

enum {
    CONNECT_TIMEOUT_MS = 2000,
    PAUSE_MIN_MS = 50,
    PAUSE_MAX_MS = 2000,
    BUSY_PAUSE_MS = 500, /* when an agent answers without waiting and without news */
    CHUNK = 64 * 1024,
};

struct watch {
    struct watch_options options;
    struct rc_random random;
    uv_timer_t timer; /* pause between polls, or the limit of one poll */
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    struct rc_buffer request;
    struct rc_buffer reply;
    uint64_t index;
    uint64_t asked_at_ms;
    uint32_t pause_ms;
    bool socket_open;
    bool closing;
    bool timer_closed;
};

static void poll_now(struct watch *w);

static void free_if_closed(struct watch *w)
{
    if (w->closing && !w->socket_open && w->timer_closed) {
        rc_buffer_fini(&w->request);
        rc_buffer_fini(&w->reply);
        free(w);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    poll_now(timer->data);
}

static void pause_for(struct watch *w, uint64_t ms)
{
    if (!w->closing) {
        (void)uv_timer_start(&w->timer, on_pause_over, ms, 0);
    }
}

/* The socket is closed: what comes next was decided before, in pause_ms. */
static void on_socket_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    w->socket_open = false;
    if (w->closing) {
        free_if_closed(w);
    } else if (w->pause_ms == 0) {
        poll_now(w);
    } else {
        pause_for(w, w->pause_ms / 2 + rc_random_below(&w->random, w->pause_ms));
    }
}

static void end_poll(struct watch *w)
{
    (void)uv_timer_stop(&w->timer);
    if (w->socket_open && !uv_is_closing((uv_handle_t *)&w->socket)) {
        uv_close((uv_handle_t *)&w->socket, on_socket_closed);
    }
}

static void fail(struct watch *w, const char *problem)
{
    if (uv_is_closing((uv_handle_t *)&w->socket) || w->closing) {
        return;
    }
    w->index = 0;
    w->pause_ms = w->pause_ms == 0 ? PAUSE_MIN_MS : w->pause_ms * 2;
    uint32_t most_ms =
        w->options.pause_max_ms > 0 ? w->options.pause_max_ms : PAUSE_MAX_MS;
    if (w->pause_ms > most_ms) {
        w->pause_ms = most_ms;
    }
    end_poll(w);
    w->options.failed(w->options.context, problem);
}

static void succeed(struct watch *w, const struct watch_reply *reply)
{
    uint64_t age_ms = rc_clock_boot_ms() - w->asked_at_ms;
    uint64_t index = w->index;
    const char *problem = w->options.replied(w->options.context, reply, age_ms);
    if (w->closing) {
        return;
    }
    if (problem != NULL) {
        fail(w, problem);
        return;
    }
    bool news = reply->index != index;
    uint32_t busy_ms = w->options.question.wait_ms < BUSY_PAUSE_MS
                           ? w->options.question.wait_ms
                           : BUSY_PAUSE_MS;
    bool at_once = age_ms < busy_ms;
    w->pause_ms = !news && at_once ? busy_ms : 0;
    w->index = reply->index < index ? 0 : reply->index; /* it went back: start anew */
    if (w->options.every_ms > 0) {
        w->pause_ms = w->options.every_ms;
        w->index = 0;
    }
    end_poll(w);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct watch *w = handle->data;
    (void)suggested;
    bool ok = rc_buffer_reserve(&w->reply, CHUNK) == RC_OK;
    *out =
        uv_buf_init(ok ? (char *)w->reply.bytes + w->reply.size : NULL, ok ? CHUNK : 0);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space)
{
    struct watch *w = stream->data;
    struct watch_reply reply;
    (void)space;
    if (count == 0) {
        return;
    }
    if (count > 0) {
        w->reply.size += (size_t)count;
        w->reply.bytes[w->reply.size] = '\0';
    }
    int err = watch_reply_parse(w->reply.bytes, w->reply.size,
                                count < 0 ? WATCH_ENDED : WATCH_OPEN, &reply);
    if (err == RC_OK) {
        succeed(w, &reply);
    } else if (err != RC_EAGAIN) {
        fail(w, count < 0 ? "the agent closed the connection"
                          : "the agent's answer is no HTTP");
    }
}

static void on_limit(uv_timer_t *timer)
{
    fail(timer->data, "the agent does not answer");
}

static void on_written(uv_write_t *write, int status)
{
    struct watch *w = write->data;
    if (status != 0 && status != UV_ECANCELED) {
        fail(w, "the agent closed the connection");
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct watch *w = connect->data;
    if (status != 0) {
        if (status != UV_ECANCELED) {
            fail(w, "the agent cannot be reached");
        }
        return;
    }
    uint64_t wait_ms = w->options.question.wait_ms;
    uint64_t limit_ms = wait_ms + wait_ms / 8 + 5000;
    (void)uv_timer_start(&w->timer, on_limit, limit_ms, 0);
    uv_buf_t bytes = uv_buf_init((char *)w->request.bytes, (unsigned)w->request.size);
    w->write.data = w;
    if (uv_read_start((uv_stream_t *)&w->socket, on_alloc, on_read) != 0 ||
        uv_write(&w->write, (uv_stream_t *)&w->socket, &bytes, 1, on_written) != 0) {
        fail(w, "the agent closed the connection");
    }
}

static void poll_now(struct watch *w)
{
    struct sockaddr_storage name;
    assert(!w->socket_open && !w->closing);
    if (uv_tcp_init(w->options.loop, &w->socket) != 0) {
        pause_for(w, PAUSE_MAX_MS);
        return;
    }
    w->socket_open = true;
    w->socket.data = w;
    w->connect.data = w;
    w->asked_at_ms = rc_clock_boot_ms();
    rc_buffer_clear(&w->reply);
    rc_buffer_clear(&w->request);
    w->options.question.index = w->index;
    watch_reply_ask(&w->request, &w->options.question);
    (void)rc_address_to_sockaddr(&w->options.agent, &name);
    (void)uv_timer_start(&w->timer, on_limit, CONNECT_TIMEOUT_MS, 0);
    if (w->request.err != RC_OK ||
        uv_tcp_connect(&w->connect, &w->socket, (const struct sockaddr *)&name,
                       on_connected) != 0) {
        fail(w, "the agent cannot be reached");
    }
}

struct watch *watch_start(const struct watch_options *options)
{
    struct watch *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->options = *options;
    w->reply.max = WATCH_REPLY_MAX + 2 * CHUNK;
    rc_random_init(&w->random, options->seed);
    (void)uv_timer_init(options->loop, &w->timer); /* cannot fail */
    w->timer.data = w;
    pause_for(w, 0);
    return w;
}

void watch_set_wait(struct watch *watch, uint32_t wait_ms)
{
    watch->options.question.wait_ms = wait_ms;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    w->timer_closed = true;
    free_if_closed(w);
}

void watch_close(struct watch *watch)
{
    if (watch == NULL || watch->closing) {
        return;
    }
    end_poll(watch);
    watch->closing = true;
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
