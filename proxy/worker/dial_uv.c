/* dial_uv.c - see dial_uv.h. */
#include "proxy/worker/dial_uv.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/worker/silence.h"

struct dial {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd;  /* -1: could not even be made */
    int err; /* of what failed at once */
    unsigned open_handles;
    dial_done done;
    void *context;
};

static void on_closed(uv_handle_t *handle)
{
    struct dial *dial = handle->data;
    assert(dial->open_handles > 0);
    if (--dial->open_handles == 0) {
        free(dial);
    }
}

static void close_handles(struct dial *dial)
{
    if (dial->open_handles == 2) {
        uv_close((uv_handle_t *)&dial->poll, on_closed);
    }
    uv_close((uv_handle_t *)&dial->timer, on_closed);
}

/* The handles let go of the descriptor before the owner wraps it in his own. */
static void finish(struct dial *dial, int err)
{
    int fd = dial->fd;
    close_handles(dial);
    if (err != RC_OK && fd >= 0) {
        (void)close(fd);
        fd = -1;
    }
    dial->done(dial->context, fd, err);
}

static int translate(int number)
{
    switch (number) {
    case 0:
        return RC_OK;
    case EADDRNOTAVAIL:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return RC_EAGAIN;
    case ETIMEDOUT:
        return RC_ETIMEOUT;
    default:
        return RC_EIO;
    }
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
    struct dial *dial = poll->data;
    int number = 0;
    socklen_t size = sizeof number;
    (void)events;
    if (status != 0 || getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0) {
        number = number != 0 ? number : EIO;
    }
    finish(dial, translate(number));
}

static void on_timer(uv_timer_t *timer)
{
    struct dial *dial = timer->data;
    finish(dial, dial->err != RC_OK ? dial->err : RC_ETIMEOUT);
}

static int open_socket(const struct rc_address *address)
{
    struct sockaddr_storage name;
    size_t size = rc_address_to_sockaddr(address, &name);
    int one = 1;
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    silence_watch(fd);
    if (connect(fd, (struct sockaddr *)&name, (socklen_t)size) != 0 &&
        errno != EINPROGRESS) {
        int why = errno;
        (void)close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

struct dial *dial_start(uv_loop_t *loop, const struct rc_address *address,
                        uint32_t timeout_ms, dial_done done, void *context)
{
    struct dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL) {
        return NULL;
    }
    dial->done = done;
    dial->context = context;
    (void)uv_timer_init(loop, &dial->timer); /* cannot fail */
    dial->timer.data = dial;
    dial->open_handles = 1;
    dial->fd = open_socket(address);
    dial->err = dial->fd < 0 ? translate(errno) : RC_OK;
    if (dial->fd >= 0 && uv_poll_init(loop, &dial->poll, dial->fd) == 0) {
        dial->poll.data = dial;
        dial->open_handles = 2;
        (void)uv_poll_start(&dial->poll, UV_WRITABLE, on_writable);
    } else if (dial->err == RC_OK) {
        dial->err = RC_EAGAIN;
    }
    (void)uv_timer_start(&dial->timer, on_timer, dial->err == RC_OK ? timeout_ms : 0, 0);
    return dial;
}

void dial_cancel(struct dial *dial)
{
    int fd = dial->fd;
    close_handles(dial);
    if (fd >= 0) {
        (void)close(fd);
    }
}
