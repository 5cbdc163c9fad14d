#include <assert.h>
#include <stdlib.h>

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
    size_t open_handles;
    struct pump_owner owner;
    void (*on_closed)(void *context);
    void *context;
};

struct hangup {
    uv_poll_t poll;
    struct pump *pump;
    void *subject;
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
    for (size_t i = 0; i < pump->poll_count; i++) {
        uv_close((uv_handle_t *)&pump->polls[i], on_handle_closed);
    }
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

static void on_hangup(uv_poll_t *poll, int status, int events)
{
    struct hangup *hangup = poll->data;

    (void)status; /* an error is as good a reason to look */
    (void)events;
    (void)uv_poll_stop(poll); /* told once */
    hangup->pump->owner.hung_up(hangup->pump->owner.context, hangup->subject);
}

struct hangup *pump_watch_hangup(struct pump *pump, int descriptor, void *subject)
{
    struct hangup *hangup = calloc(1, sizeof *hangup);

    if (hangup == NULL) {
        return NULL;
    }
    if (uv_poll_init(pump->loop, &hangup->poll, descriptor) != 0) {
        free(hangup);
        return NULL;
    }
    hangup->poll.data = hangup;
    hangup->pump = pump;
    hangup->subject = subject;
    if (uv_poll_start(&hangup->poll, UV_DISCONNECT, on_hangup) != 0) {
        pump_end_hangup(hangup);
        return NULL;
    }
    return hangup;
}

static void on_hangup_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void pump_end_hangup(struct hangup *hangup)
{
    if (hangup != NULL) {
        uv_close((uv_handle_t *)&hangup->poll, on_hangup_closed);
    }
}
