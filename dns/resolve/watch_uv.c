#include "dns/resolve/watch_uv.h"

#include <assert.h>
#include <stdlib.h>

#include <uv.h>

#include "base/err.h"

struct watched {
    uv_poll_t poll; /* `data` is ours */
    struct dns_watch *watch;
    struct watched *next;
    int socket;
};

struct dns_watch {
    uv_loop_t *loop;
    uv_timer_t timer;
    struct dns_watch_owner owner;
    struct watched *sockets;
    size_t open_handles;
};

static void handle_closed(struct dns_watch *watch)
{
    assert(watch->open_handles > 0);
    if (--watch->open_handles == 0) {
        struct dns_watch_owner owner = watch->owner;
        free(watch);
        owner.on_closed(owner.context);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct watched *watched = handle->data;
    struct dns_watch *watch = watched->watch;

    free(watched);
    handle_closed(watch);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = poll->data;
    struct dns_watch *watch = watched->watch;
    unsigned ready = 0;

    /* An error is for the library to find when it reads and writes. */
    if (status != 0 || (events & UV_READABLE) != 0) {
        ready |= DNS_WATCH_READ;
    }
    if (status != 0 || (events & UV_WRITABLE) != 0) {
        ready |= DNS_WATCH_WRITE;
    }
    watch->owner.on_ready(watch->owner.context, watched->socket, ready);
}

static void on_timer(uv_timer_t *timer)
{
    struct dns_watch *watch = timer->data;

    watch->owner.on_time(watch->owner.context);
}

int dns_watch_start(struct uv_loop_s *loop, const struct dns_watch_owner *owner,
                    struct dns_watch **out)
{
    struct dns_watch *watch = calloc(1, sizeof *watch);

    if (watch == NULL) {
        return RC_ENOMEM;
    }
    watch->loop = loop;
    watch->owner = *owner;
    (void)uv_timer_init(loop, &watch->timer); /* always 0 */
    watch->timer.data = watch;
    watch->open_handles = 1;
    *out = watch;
    return RC_OK;
}

static void unwatch(struct watched **place)
{
    struct watched *watched = *place;

    *place = watched->next;
    uv_close((uv_handle_t *)&watched->poll, on_poll_closed);
}

static int add(struct dns_watch *watch, int socket)
{
    struct watched *watched = calloc(1, sizeof *watched);

    if (watched == NULL) {
        return RC_ENOMEM;
    }
    if (uv_poll_init(watch->loop, &watched->poll, socket) != 0) {
        free(watched);
        return RC_EIO;
    }
    watched->poll.data = watched;
    watched->watch = watch;
    watched->socket = socket;
    watched->next = watch->sockets;
    watch->sockets = watched;
    watch->open_handles++;
    return RC_OK;
}

int dns_watch_socket(struct dns_watch *watch, int socket, unsigned events)
{
    struct watched **place = &watch->sockets;
    int wanted = ((events & DNS_WATCH_READ) != 0 ? UV_READABLE : 0) |
                 ((events & DNS_WATCH_WRITE) != 0 ? UV_WRITABLE : 0);

    while (*place != NULL && (*place)->socket != socket) {
        place = &(*place)->next;
    }
    if (events == 0) {
        if (*place != NULL) {
            unwatch(place);
        }
        return RC_OK;
    }
    if (*place == NULL) {
        int err = add(watch, socket);
        if (err != RC_OK) {
            return err;
        }
        place = &watch->sockets;
    }
    return uv_poll_start(&(*place)->poll, wanted, on_poll) == 0 ? RC_OK : RC_EIO;
}

void dns_watch_timer(struct dns_watch *watch, uint64_t ms)
{
    (void)uv_timer_start(&watch->timer, on_timer, ms, 0); /* fails only when closing */
}

void dns_watch_close(struct dns_watch *watch)
{
    while (watch->sockets != NULL) {
        unwatch(&watch->sockets);
    }
    uv_close((uv_handle_t *)&watch->timer, on_timer_closed);
}
