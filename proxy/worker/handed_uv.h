/* handed_uv.h - the listening sockets that a process was handed, and those that it will hand on.
 *
 * A socket that somebody else opened for us (systemd's socket activation, sd_listen_fds(3); or the
 * process that we replace) keeps its queue of clients: nobody is reset when one process ends
 * and another begins. Control keeps a copy of each listening socket here; workers have their own.
 * A copy that stays when the workers' have gone is a queue that nobody serves: forget in time. */
#ifndef PROXY_WORKER_HANDED_UV_H
#define PROXY_WORKER_HANDED_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "proxy/config/config.h"

/* Number of sockets, from descriptor 3 on; then a pipe where one byte says "I serve". Set by a
 * process that wants to be replaced, for the one that replaces it. */
#define HANDED_VARIABLE "ROLLCALL_PROXY_SOCKETS"

struct handed_socket {
    struct rc_address address;
    int fd;
};

struct handed {
    struct handed_socket *sockets;
    size_t count;
    int ready_fd; /* of that pipe; -1 = we replace nobody */
};

/* Takes what the environment tells of, and that out of the environment, so that nobody else believes
 * it. Descriptors that are no listening sockets are closed, as are those that no memory is for. */
void handed_receive(struct handed *out);

/* Number `nth` of this address, borrowed, or -1. */
int handed_nth(const struct handed *handed, const struct rc_address *address, size_t nth);

/* How many the address has that has most of them. */
size_t handed_most(const struct handed *handed);

/* One of them has this port, at whatever address. */
bool handed_has_port(const struct handed *handed, uint16_t port);

/* Keeps a copy of `fd`. RC_OK, RC_ENOMEM, or RC_EIO with errno kept. */
int handed_add(struct handed *handed, const struct rc_address *address, int fd);

/* Closes those whose address `config` (NULL: names none) does not name. */
void handed_keep(struct handed *handed, const struct config *config);

#endif
