/* listen_uv.c - see listen_uv.h. */
#include "proxy/worker/listen_uv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/worker/worker_uv.h"

void listen_close(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

static bool stands_in(const struct config *former, const struct config_listener *listener)
{
    for (size_t i = 0; former != NULL && i < former->listener_count; i++) {
        const struct config_listener *other = &former->listeners[i];
        if (other->mode == listener->mode &&
            rc_address_equals(&other->address, &listener->address)) {
            return true;
        }
    }
    return false;
}

/* SO_REUSEPORT would let a second rollcall-proxy share the port in silence: this looks first
 * whether somebody else has it, by a bind without that option. */
static int is_free(const struct rc_address *address)
{
    struct sockaddr_storage name;
    size_t size = rc_address_to_sockaddr(address, &name);
    int one = 1;
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return RC_EIO;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (name.ss_family == AF_INET6) { /* as worker_listen() will: 0.0.0.0 may be ours */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    int failed = bind(fd, (struct sockaddr *)&name, (socklen_t)size);
    int why = errno;
    (void)close(fd);
    errno = why;
    return failed == 0 ? RC_OK : RC_EIO;
}

/* A copy of one that we have, or -1. */
static int copy_of(const struct listen_options *options, const struct rc_address *address,
                   size_t worker)
{
    int fd = handed_nth(options->handed, address, worker);
    return fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* A new one, of which a copy is kept. */
static int open_new(const struct listen_options *options,
                    const struct rc_address *address, int *fd)
{
    int err = worker_listen(address, fd);
    if (err == RC_OK) {
        err = handed_add(options->handed, address, *fd);
    }
    return err;
}

static int open_one(const struct listen_options *options,
                    const struct rc_address *address, size_t stride, int *fds)
{
    bool ours = handed_nth(options->handed, address, 0) >= 0;
    /* At a reload, "any address" and one address of the same port are both ours. */
    bool may_share =
        options->former != NULL && handed_has_port(options->handed, address->port);
    int err = ours || may_share ? RC_OK : is_free(address);

    for (size_t w = 0; err == RC_OK && w < options->workers; w++) {
        fds[w * stride] = copy_of(options, address, w);
        if (fds[w * stride] < 0) {
            err = open_new(options, address, &fds[w * stride]);
        }
        if (err != RC_OK && ours) { /* opened by who did not say SO_REUSEPORT */
            fds[w * stride] = copy_of(options, address, 0);
            err = fds[w * stride] >= 0 ? RC_OK : RC_EIO;
        }
    }
    return err;
}

int listen_all(const struct config *config, const struct listen_options *options,
               int **fds, char error[CONFIG_ERROR_MAX])
{
    size_t count = config->listener_count;
    size_t all = count * options->workers;
    int *made = malloc((all + 1) * sizeof *made);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < all; i++) {
        made[i] = -1;
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (stands_in(options->former, listener)) {
            continue;
        }
        if (open_one(options, &listener->address, count, made + i) != RC_OK) {
            char address[RC_ADDRESS_TEXT_MAX];
            rc_address_format(&listener->address, address);
            (void)snprintf(error, CONFIG_ERROR_MAX, "line %u: cannot listen on %s: %s",
                           listener->line, address, strerrordesc_np(errno));
            listen_close(made, all);
            free(made);
            handed_keep(options->handed, options->former);
            return RC_EIO;
        }
    }
    *fds = made;
    return RC_OK;
}
