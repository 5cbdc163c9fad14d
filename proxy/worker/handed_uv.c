/* handed_uv.c - see handed_uv.h. */
#include "proxy/worker/handed_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/text.h"

enum { FIRST_FD = 3, RECEIVED_MAX = 4096 };

static int put(struct handed *handed, const struct rc_address *address, int fd)
{
    struct handed_socket *more =
        reallocarray(handed->sockets, handed->count + 1, sizeof *more);
    if (more == NULL) {
        return RC_ENOMEM;
    }
    handed->sockets = more;
    more[handed->count++] = (struct handed_socket){.address = *address, .fd = fd};
    return RC_OK;
}

/* --- receiving --- */

static uint64_t number_of(const char *variable)
{
    uint64_t number = 0;
    const char *text = getenv(variable); // NOLINT(concurrency-mt-unsafe): before threads
    if (text == NULL || rc_text_to_u64(text, INT32_MAX, &number) != RC_OK) {
        return 0;
    }
    return number;
}

static void receive_one(struct handed *out, int fd)
{
    struct sockaddr_storage name;
    socklen_t name_size = sizeof name;
    int listens = 0;
    socklen_t size = sizeof listens;
    struct rc_address address;

    bool good =
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 &&
        getsockname(fd, (struct sockaddr *)&name, &name_size) == 0 &&
        rc_address_from_sockaddr((struct sockaddr *)&name, &address) == RC_OK &&
        fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
        fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0 && put(out, &address, fd) == RC_OK;
    if (!good) {
        (void)close(fd);
    }
}

void handed_receive(struct handed *out)
{
    static const char *const variables[] = {HANDED_VARIABLE, "LISTEN_FDS", "LISTEN_PID",
                                            "LISTEN_FDNAMES"};
    uint64_t ours = number_of(HANDED_VARIABLE);
    uint64_t systemd =
        number_of("LISTEN_PID") == (uint64_t)getpid() ? number_of("LISTEN_FDS") : 0;
    uint64_t count = ours > 0 ? ours : systemd;

    *out = (struct handed){.ready_fd = -1};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        (void)unsetenv(variables[i]); // NOLINT(concurrency-mt-unsafe): before threads
    }
    if (count > RECEIVED_MAX) {
        return;
    }
    for (int i = 0; i < (int)count; i++) {
        receive_one(out, FIRST_FD + i);
    }
    if (ours > 0 && fcntl(FIRST_FD + (int)ours, F_SETFD, FD_CLOEXEC) == 0) {
        out->ready_fd = FIRST_FD + (int)ours;
    }
}

/* --- keeping --- */

int handed_nth(const struct handed *handed, const struct rc_address *address, size_t nth)
{
    for (size_t i = 0; i < handed->count; i++) {
        if (rc_address_equals(&handed->sockets[i].address, address) && nth-- == 0) {
            return handed->sockets[i].fd;
        }
    }
    return -1;
}

size_t handed_most(const struct handed *handed)
{
    size_t most = 0;
    for (size_t i = 0; i < handed->count; i++) {
        while (handed_nth(handed, &handed->sockets[i].address, most) >= 0) {
            most++;
        }
    }
    return most;
}

bool handed_has_port(const struct handed *handed, uint16_t port)
{
    for (size_t i = 0; i < handed->count; i++) {
        if (handed->sockets[i].address.port == port) {
            return true;
        }
    }
    return false;
}

int handed_add(struct handed *handed, const struct rc_address *address, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (copy < 0) {
        return RC_EIO;
    }
    int err = put(handed, address, copy);
    if (err != RC_OK) {
        (void)close(copy);
    }
    return err;
}

static bool is_named(const struct config *config, const struct rc_address *address)
{
    if (config == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        if (rc_address_equals(&config->listeners[i].address, address)) {
            return true;
        }
    }
    return rc_address_equals(&config->admin, address) ||
           rc_address_equals(&config->figures, address);
}

void handed_keep(struct handed *handed, const struct config *config)
{
    size_t kept = 0;
    for (size_t i = 0; i < handed->count; i++) {
        if (is_named(config, &handed->sockets[i].address)) {
            handed->sockets[kept++] = handed->sockets[i];
        } else {
            (void)close(handed->sockets[i].fd);
        }
    }
    handed->count = kept;
    if (kept == 0) {
        free(handed->sockets);
        handed->sockets = NULL;
    }
}
