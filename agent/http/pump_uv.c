#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <uv.h>

#include "agent/http/http.h"
#include "agent/http/pump.h"
#include "base/err.h"

enum { TOLD_AT_ONCE = 256 }; /* then others have their turn; the rest is told again */

struct pump {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_idle_t soon; /* instead of a timer of 0 ms, which would keep I/O from its turn */
    uv_poll_t polls[HTTP_LISTENERS_MAX];
    size_t poll_count;
    int sockets; /* epoll: of those that no daemon looks at; no handle for each */
    uv_poll_t sockets_poll;
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
    if (pump->sockets >= 0) {
        (void)close(pump->sockets);
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
    if (pump->sockets_poll.data != NULL) {
        uv_close((uv_handle_t *)&pump->sockets_poll, on_handle_closed);
    }
    for (size_t i = 0; i < pump->poll_count; i++) {
        uv_close((uv_handle_t *)&pump->polls[i], on_handle_closed);
    }
}

static void on_sockets(uv_poll_t *poll, int status, int events);

static int open_sockets(struct pump *pump)
{
    pump->sockets = epoll_create1(EPOLL_CLOEXEC);
    if (pump->sockets < 0 ||
        uv_poll_init(pump->loop, &pump->sockets_poll, pump->sockets) != 0) {
        return RC_EIO;
    }
    pump->sockets_poll.data = pump;
    pump->open_handles++;
    return uv_poll_start(&pump->sockets_poll, UV_READABLE, on_sockets) == 0 ? RC_OK
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
    if (open_sockets(pump) != RC_OK) {
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

static unsigned told_of(uint32_t events)
{
    return ((events & EPOLLIN) != 0 ? PUMP_READABLE : 0U) |
           ((events & EPOLLOUT) != 0 ? PUMP_WRITABLE : 0U) |
           ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 ? PUMP_HANGUP : 0U);
}

/* One at a time: what is told may end the watch of others. */
static void on_sockets(uv_poll_t *poll, int status, int events)
{
    const struct pump *pump = poll->data;
    struct epoll_event event;

    (void)status, (void)events;
    for (size_t i = 0; i < TOLD_AT_ONCE; i++) {
        if (epoll_wait(pump->sockets, &event, 1, 0) != 1) {
            return;
        }
        pump->owner.happened(pump->owner.context, event.data.ptr, told_of(event.events));
    }
}

static int control(const struct pump *pump, int operation, int descriptor,
                   struct epoll_event *event)
{
    return epoll_ctl(pump->sockets, operation, descriptor, event) == 0 ? RC_OK : RC_EIO;
}

static struct epoll_event event_of(unsigned events, void *subject)
{
    return (struct epoll_event){
        .events = EPOLLONESHOT | ((events & PUMP_READABLE) != 0 ? EPOLLIN : 0U) |
                  ((events & PUMP_WRITABLE) != 0 ? EPOLLOUT : 0U) |
                  ((events & PUMP_HANGUP) != 0 ? EPOLLRDHUP : 0U),
        .data.ptr = subject,
    };
}

int pump_watch(struct pump *pump, int descriptor, unsigned events, void *subject)
{
    struct epoll_event event = event_of(events, subject);

    return control(pump, EPOLL_CTL_ADD, descriptor, &event);
}

int pump_watch_on(struct pump *pump, int descriptor, unsigned events, void *subject)
{
    struct epoll_event event = event_of(events, subject);

    return control(pump, EPOLL_CTL_MOD, descriptor, &event);
}

void pump_end_watch(struct pump *pump, int descriptor)
{
    (void)control(pump, EPOLL_CTL_DEL, descriptor, NULL); /* it is there */
}
