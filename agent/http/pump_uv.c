#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <uv.h>

#include "agent/http/http.h"
#include "agent/http/pump.h"
#include "base/err.h"

struct pump {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_idle_t soon; /* instead of a timer of 0 ms, which would keep I/O from its turn */
    uv_poll_t polls[HTTP_LISTENERS_MAX];
    size_t poll_count;
    int hangups; /* epoll: of sockets that are not to be read now; no handle for each */
    uv_poll_t hangup_poll;
    size_t open_handles;
    struct pump_owner owner;
    void (*on_closed)(void *context);
    void *context;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct pump *pump = poll->data;

    (void)status; /* an error shows when the daemon looks */
    (void)events;
    pump->owner.run(pump->owner.context);
}

static void on_timer(uv_timer_t *timer)
{
    struct pump *pump = timer->data;
    pump->owner.run(pump->owner.context);
}

static void on_soon(uv_idle_t *soon)
{
    struct pump *pump = soon->data;

    (void)uv_idle_stop(soon); /* always succeeds */
    pump->owner.run(pump->owner.context);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct pump *pump = handle->data;

    assert(pump->open_handles > 0);
    if (--pump->open_handles > 0) {
        return;
    }
    void (*on_closed)(void *) = pump->on_closed;
    void *context = pump->context;
    if (pump->hangups >= 0) {
        (void)close(pump->hangups);
    }
    free(pump);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

void pump_close(struct pump *pump, void (*on_closed)(void *context), void *context)
{
    pump->on_closed = on_closed;
    pump->context = context;
    uv_close((uv_handle_t *)&pump->timer, on_handle_closed);
    uv_close((uv_handle_t *)&pump->soon, on_handle_closed);
    if (pump->hangup_poll.data != NULL) {
        uv_close((uv_handle_t *)&pump->hangup_poll, on_handle_closed);
    }
    for (size_t i = 0; i < pump->poll_count; i++) {
        uv_close((uv_handle_t *)&pump->polls[i], on_handle_closed);
    }
}

static void on_hangups(uv_poll_t *poll, int status, int events);

static int open_hangups(struct pump *pump)
{
    pump->hangups = epoll_create1(EPOLL_CLOEXEC);
    if (pump->hangups < 0 ||
        uv_poll_init(pump->loop, &pump->hangup_poll, pump->hangups) != 0) {
        return RC_EIO;
    }
    pump->hangup_poll.data = pump;
    pump->open_handles++;
    return uv_poll_start(&pump->hangup_poll, UV_READABLE, on_hangups) == 0 ? RC_OK
                                                                           : RC_EIO;
}

int pump_start(uv_loop_t *loop, const int *descriptors, size_t count,
               const struct pump_owner *owner, struct pump **out)
{
    assert(count > 0 && count <= HTTP_LISTENERS_MAX);

    struct pump *pump = calloc(1, sizeof *pump);
    if (pump == NULL) {
        return RC_ENOMEM;
    }
    pump->loop = loop;
    pump->owner = *owner;
    (void)uv_timer_init(loop, &pump->timer); /* always succeeds */
    (void)uv_idle_init(loop, &pump->soon);   /* likewise */
    pump->timer.data = pump;
    pump->soon.data = pump;
    pump->open_handles = 2;
    if (open_hangups(pump) != RC_OK) {
        pump_close(pump, NULL, NULL);
        return RC_EIO;
    }
    for (size_t i = 0; i < count; i++) {
        if (uv_poll_init(loop, &pump->polls[i], descriptors[i]) != 0) {
            pump_close(pump, NULL, NULL);
            return RC_EIO;
        }
        pump->polls[i].data = pump;
        pump->poll_count++;
        pump->open_handles++;
        if (uv_poll_start(&pump->polls[i], UV_READABLE, on_readable) != 0) {
            pump_close(pump, NULL, NULL);
            return RC_EIO;
        }
    }
    *out = pump;
    return RC_OK;
}

void pump_wait(struct pump *pump, uint64_t wait_ms)
{
    if (uv_is_closing((uv_handle_t *)&pump->timer)) {
        return;
    }
    /* Starting fails only when closing, stopping never. */
    if (wait_ms == 0) {
        (void)uv_idle_start(&pump->soon, on_soon);
        return;
    }
    (void)uv_idle_stop(&pump->soon);
    if (wait_ms == UINT64_MAX) {
        (void)uv_timer_stop(&pump->timer);
    } else {
        (void)uv_timer_start(&pump->timer, on_timer, wait_ms, 0);
    }
}

uint64_t pump_now_ms(struct pump *pump)
{
    return uv_now(pump->loop);
}

/* One at a time: what is told may end the watch of others. */
static void on_hangups(uv_poll_t *poll, int status, int events)
{
    const struct pump *pump = poll->data;
    struct epoll_event event;

    (void)status, (void)events;
    while (epoll_wait(pump->hangups, &event, 1, 0) == 1) {
        pump->owner.hung_up(pump->owner.context, event.data.ptr);
    }
}

int pump_watch_hangup(struct pump *pump, int descriptor, void *subject)
{
    struct epoll_event event = {
        .events = EPOLLRDHUP | EPOLLONESHOT, /* told once */
        .data.ptr = subject,
    };

    return epoll_ctl(pump->hangups, EPOLL_CTL_ADD, descriptor, &event) == 0 ? RC_OK
                                                                            : RC_EIO;
}

void pump_end_hangup(struct pump *pump, int descriptor)
{
    (void)epoll_ctl(pump->hangups, EPOLL_CTL_DEL, descriptor, NULL); /* it is there */
}
