/* explain_ask.c - see explain_ask.h. Blocking: a command has nothing else to do. */
#include "proxy/explain/explain_ask.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"

enum { PATIENCE_S = 3, REPLY_MAX = 16 << 20 };

static int connect_to(const struct rc_address *address)
{
    struct sockaddr_storage to = {0};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t size = rc_address_to_sockaddr(address, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, (socklen_t)size) != 0) {
        int kept = errno;
        (void)close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

/* All until the end: the other side closes, as it was asked to. */
static int read_all(int fd, struct rc_buffer *out)
{
    char piece[8 * 1024];
    for (;;) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || out->size > REPLY_MAX) {
            return RC_EIO;
        }
        if (got == 0) {
            return RC_OK;
        }
        rc_buffer_append(out, piece, (size_t)got);
    }
}

/* The body behind a head that says 200. */
static int take_body(struct rc_buffer *reply, struct rc_buffer *out, const char **why)
{
    const char *text = rc_buffer_string(reply);
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL || !rc_text_starts_with(text, "HTTP/1.") || strlen(text) < 12 ||
        strncmp(text + 9, "200", 3) != 0) {
        *why = "something else answers there";
        return RC_EIO;
    }
    rc_buffer_text(out, end + 4);
    return RC_OK;
}

int explain_ask(const struct rc_address *admin, const char *path, struct rc_buffer *out,
                const char **why)
{
    char request[256];
    char host[RC_ADDRESS_TEXT_MAX];
    struct rc_buffer reply = {0};
    int fd = connect_to(admin);

    if (fd < 0) {
        *why = strerrordesc_np(errno);
        return RC_EIO;
    }
    rc_address_format(admin, host);
    int size =
        snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    int err = send(fd, request, (size_t)size, MSG_NOSIGNAL) == size ? read_all(fd, &reply)
                                                                    : RC_EIO;
    if (err != RC_OK) {
        *why = strerrordesc_np(errno);
    } else {
        err = take_body(&reply, out, why);
    }
    (void)close(fd);
    rc_buffer_fini(&reply);
    return err;
}
