/* admin_uv.c - see admin_uv.h. */
#include "proxy/admin/admin_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"

struct admin_loop {
    struct admin *admin;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
};

static void run(struct admin_loop *a);

static void on_timer(uv_timer_t *timer)
{
    run(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void run(struct admin_loop *a)
{
    admin_run(a->admin);
    int64_t wait_ms = admin_timeout_ms(a->admin);
    if (wait_ms >= 0) {
        (void)uv_timer_start(&a->timer, on_timer, (uint64_t)wait_ms, 0);
    } else {
        (void)uv_timer_stop(&a->timer);
    }
}

int admin_loop_start(uv_loop_t *loop, int fd, enum admin_scope scope,
                     const struct admin_hooks *hooks, struct admin_loop **out)
{
    struct admin_loop *a = calloc(1, sizeof *a);
    if (a == NULL) {
        (void)close(fd);
        return RC_ENOMEM;
    }
    int err = admin_start(fd, scope, hooks, &a->admin);
    if (err == RC_OK && uv_poll_init(loop, &a->poll, admin_fd(a->admin)) != 0) {
        admin_stop(a->admin);
        err = RC_ENOMEM;
    }
    if (err != RC_OK) {
        free(a);
        return err;
    }
    (void)uv_timer_init(loop, &a->timer); /* cannot fail */
    a->poll.data = a;
    a->timer.data = a;
    a->open_handles = 2;
    (void)uv_poll_start(&a->poll, UV_READABLE, on_readable);
    *out = a;
    return RC_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct admin_loop *a = handle->data;
    assert(a->open_handles > 0);
    if (--a->open_handles == 0) {
        admin_stop(a->admin);
        free(a);
    }
}

void admin_loop_close(struct admin_loop *admin)
{
    if (admin != NULL) {
        uv_close((uv_handle_t *)&admin->poll, on_closed);
        uv_close((uv_handle_t *)&admin->timer, on_closed);
    }
}
