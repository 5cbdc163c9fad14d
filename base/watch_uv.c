/* watch_uv.c - uv_poll and uv_timer, freed by themselves after they are closed. */
#include "base/watch_uv.h"

#include <stdlib.h>

#include <uv.h>

struct watch {
    uv_poll_t poll;
    int file;
    void (*on_ready)(void *context, int file, unsigned events);
    void *context;
};

struct watch_timer {
    uv_timer_t timer;
    void (*on_due)(void *context);
    void *context;
};

static void on_poll(uv_poll_t *poll, int status, int ready)
{
    const struct watch *watch = poll->data;
    unsigned events = WATCH_NOTHING;

    if (status < 0 || (ready & UV_READABLE) != 0) {
        events |= WATCH_READ;
    }
    if (status < 0 || (ready & UV_WRITABLE) != 0) {
        events |= WATCH_WRITE;
    }
    watch->on_ready(watch->context, watch->file, events);
}

struct watch *watch_uv_open(struct uv_loop_s *loop, int file,
                            void (*on_ready)(void *context, int file, unsigned events),
                            void *context)
{
    struct watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL || uv_poll_init(loop, &watch->poll, file) != 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->file = file;
    watch->on_ready = on_ready;
    watch->context = context;
    return watch;
}

void watch_uv_set(struct watch *watch, unsigned events)
{
    int wanted = ((events & WATCH_READ) != 0 ? UV_READABLE : 0) |
                 ((events & WATCH_WRITE) != 0 ? UV_WRITABLE : 0);

    if (wanted == 0) {
        (void)uv_poll_stop(&watch->poll);
    } else {
        (void)uv_poll_start(&watch->poll, wanted, on_poll);
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_uv_close(struct watch *watch)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)&watch->poll, on_poll_closed);
    }
}

static void on_timer(uv_timer_t *handle)
{
    const struct watch_timer *timer = handle->data;

    timer->on_due(timer->context);
}

struct watch_timer *watch_uv_timer_open(struct uv_loop_s *loop,
                                        void (*on_due)(void *context), void *context)
{
    struct watch_timer *timer = calloc(1, sizeof *timer);

    if (timer == NULL || uv_timer_init(loop, &timer->timer) != 0) {
        free(timer);
        return NULL;
    }
    timer->timer.data = timer;
    timer->on_due = on_due;
    timer->context = context;
    return timer;
}

void watch_uv_timer_set(struct watch_timer *timer, int64_t after_ms)
{
    if (after_ms < 0) {
        (void)uv_timer_stop(&timer->timer);
    } else {
        (void)uv_timer_start(&timer->timer, on_timer, (uint64_t)after_ms, 0);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void watch_uv_timer_close(struct watch_timer *timer)
{
    if (timer != NULL) {
        uv_close((uv_handle_t *)&timer->timer, on_timer_closed);
    }
}
