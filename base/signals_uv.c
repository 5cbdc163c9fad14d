#include "base/signals_uv.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/err.h"

enum { READ_MAX = 8 };

/* All that is pending in one read: the lowest number comes first, and who reads them one by one
 * may meet nothing but SIGHUP while reloading is slower than whoever asks for it. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct rc_signals *signals = poll->data;
    struct signalfd_siginfo infos[READ_MAX];

    (void)status;
    (void)events;
    ssize_t size = read(signals->fd, infos, sizeof infos);
    for (ssize_t i = 0; i < size / (ssize_t)sizeof infos[0]; i++) {
        if (!uv_is_closing((uv_handle_t *)poll)) {
            signals->on_signal(signals->context, (int)infos[i].ssi_signo);
        }
    }
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct rc_signals *signals = handle->data;
    if (signals->on_closed != NULL) {
        signals->on_closed(signals->context);
    }
}

int rc_signals_open(struct rc_signals *signals, uv_loop_t *loop, int more,
                    void (*on_signal)(void *context, int number), void *context)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    if (more != 0) {
        (void)sigaddset(&set, more);
    }
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        return RC_EIO;
    }
    *signals = (struct rc_signals){.fd = fd, .on_signal = on_signal, .context = context};
    if (uv_poll_init(loop, &signals->poll, fd) != 0) {
        (void)close(fd);
        return RC_EIO;
    }
    signals->poll.data = signals;
    (void)uv_poll_start(&signals->poll, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&signals->poll);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    return RC_OK;
}

void rc_signals_close(struct rc_signals *signals, void (*on_closed)(void *context))
{
    signals->on_closed = on_closed;
    uv_close((uv_handle_t *)&signals->poll, on_poll_closed);
    (void)close(signals->fd);
}
