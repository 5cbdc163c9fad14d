#include "agent/http/lift_mhd.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/err.h"

int lift_take(const struct lift *lift, int descriptor)
{
    int own = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);

    if (own >= 0 && dup3(lift->sink, descriptor, O_CLOEXEC) < 0) {
        (void)close(own);
        return -1;
    }
    return own;
}

void lift_undo(int descriptor, int own)
{
    (void)dup3(own, descriptor, O_CLOEXEC); /* the number is in use: it cannot fail */
    (void)close(own);
}

bool lift_bytes_read(int descriptor, uint64_t *out)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int unread = 0;

    /* In this order: what comes in between makes the sum too large. */
    if (ioctl(descriptor, SIOCINQ, &unread) != 0 || unread < 0 ||
        getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) +
                   sizeof info.tcpi_bytes_received) {
        return false;
    }
    *out = (uint64_t)info.tcpi_bytes_received - (unsigned)unread;
    return true;
}

/* ---- The trial. */

static const char request[] = "GET /trial HTTP/1.1\r\nHost: trial\r\n\r\n";

enum { RUNS_MAX = 4 };

struct trial {
    struct MHD_Daemon *daemon;
    struct MHD_Connection *suspended; /* NULL: not yet */
    unsigned asked;
    bool is_closed;
    size_t head_size;
    int sockets[2]; /* the client's, the server's */
};

/* The signature is libmicrohttpd's. NOLINTNEXTLINE(readability-function-size) */
static enum MHD_Result on_request(void *closure, struct MHD_Connection *mhd,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    struct trial *trial = closure;

    (void)url, (void)method, (void)version, (void)upload;
    *upload_size = 0; /* there is no body */
    *context = trial;
    trial->asked++;
    if (trial->asked == 2) { /* the request has come whole */
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
        trial->head_size = info != NULL ? info->header_size : 0;
        trial->suspended = mhd;
        MHD_suspend_connection(mhd);
    }
    return trial->asked <= 2 ? MHD_YES : MHD_NO;
}

static void on_connection(void *closure, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct trial *trial = closure;

    (void)mhd, (void)context;
    trial->is_closed = trial->is_closed || code == MHD_CONNECTION_NOTIFY_CLOSED;
}

static void run(struct trial *trial, const bool *until)
{
    for (unsigned i = 0; i < RUNS_MAX && (until == NULL || !*until); i++) {
        (void)MHD_run(trial->daemon);
    }
}

/* Removing it must fail: it is not there. */
static bool is_polled(const struct trial *trial)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(trial->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    return info == NULL ||
           epoll_ctl(info->epoll_fd, EPOLL_CTL_DEL, trial->sockets[1], NULL) == 0;
}

/* Whether what is sent into `own` arrives, behind nothing else. */
static bool is_alive(const struct trial *trial, int own)
{
    char bytes[2];

    return send(own, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 &&
           recv(trial->sockets[0], bytes, sizeof bytes, MSG_DONTWAIT) == 1 &&
           bytes[0] == 'x' &&
           recv(trial->sockets[0], bytes, sizeof bytes, MSG_DONTWAIT) < 0;
}

static const char *try_suspended(struct trial *trial, const struct lift *lift)
{
    if (trial->head_size != strlen(request)) {
        return "it counts the bytes of requests in another way";
    }
    if (is_polled(trial)) {
        return "it polls sockets of suspended connections";
    }
    int own = lift_take(lift, trial->sockets[1]);
    if (own < 0) {
        return "there are no descriptors left";
    }
    MHD_resume_connection(trial->suspended);
    trial->suspended = NULL;
    run(trial, &trial->is_closed);
    const char *why = !trial->is_closed ? "it does not close connections that are refused"
                      : !is_alive(trial, own) ? "it does not leave the socket alone"
                                              : NULL;
    (void)close(own);
    return why;
}

static const char *try_out(struct trial *trial, const struct lift *lift)
{
    const char *why = "it does not suspend connections";

    if (send(trial->sockets[0], request, strlen(request), MSG_NOSIGNAL) !=
            (ssize_t)strlen(request) ||
        MHD_add_connection(trial->daemon, trial->sockets[1], NULL, 0) != MHD_YES) {
        return "it does not take connections";
    }
    run(trial, NULL);
    if (trial->suspended != NULL) {
        why = try_suspended(trial, lift);
    }
    if (trial->suspended != NULL) { /* a daemon must not end with it */
        MHD_resume_connection(trial->suspended);
        run(trial, &trial->is_closed);
    }
    return why;
}

static const char *try_daemon(const struct lift *lift)
{
    struct trial trial = {0};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                   trial.sockets) != 0) {
        return "there are no descriptors left";
    }
    trial.daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET, 0, NULL,
        NULL, on_request, &trial, MHD_OPTION_NOTIFY_CONNECTION, on_connection, &trial,
        MHD_OPTION_END);
    const char *why = "it does not start";
    if (trial.daemon != NULL) {
        why = try_out(&trial, lift);
        MHD_stop_daemon(trial.daemon); /* and with it the server's socket */
    } else {
        (void)close(trial.sockets[1]);
    }
    (void)close(trial.sockets[0]);
    return why;
}

int lift_open(struct lift *lift, const char **why)
{
    int sockets[2];

    lift->sink = -1;
    *why = "there are no descriptors left";
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) !=
        0) {
        return RC_EIO;
    }
    (void)close(sockets[1]);
    lift->sink = sockets[0];
    *why = try_daemon(lift);
    if (*why != NULL) {
        lift_close(lift);
        return RC_EIO;
    }
    return RC_OK;
}

void lift_close(struct lift *lift)
{
    if (lift->sink >= 0) {
        (void)close(lift->sink);
        lift->sink = -1;
    }
}
