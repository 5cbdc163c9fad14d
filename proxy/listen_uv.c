/* listen_uv.c - see listen_uv.h. */
#include "proxy/listen_uv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "proxy/worker_uv.h"

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
    int failed = bind(fd, (struct sockaddr *)&name, (socklen_t)size);
    int why = errno;
    (void)close(fd);
    errno = why;
    return failed == 0 ? RC_OK : RC_EIO;
}

static int open_one(const struct config_listener *listener, size_t workers, size_t stride,
                    int *fds)
{
    int err = is_free(&listener->address);
    for (size_t w = 0; err == RC_OK && w < workers; w++) {
        err = worker_listen(&listener->address, &fds[w * stride]);
    }
    return err;
}

int listen_all(const struct config *config, const struct config *former, size_t workers,
               int **fds, char error[CONFIG_ERROR_MAX])
{
    size_t count = config->listener_count;
    int *made = malloc((count * workers + 1) * sizeof *made);
    if (made == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < count * workers; i++) {
        made[i] = -1;
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (stands_in(former, listener)) {
            continue;
        }
        if (open_one(listener, workers, count, made + i) != RC_OK) {
            char address[RC_ADDRESS_TEXT_MAX];
            rc_address_format(&listener->address, address);
            (void)snprintf(error, CONFIG_ERROR_MAX, "line %u: cannot listen on %s: %s",
                           listener->line, address, strerrordesc_np(errno));
            listen_close(made, count * workers);
            free(made);
            return RC_EIO;
        }
    }
    *fds = made;
    return RC_OK;
}
