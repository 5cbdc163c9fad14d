/* listen_uv.h - the listening sockets that a configuration needs, for all workers at once. */
#ifndef PROXY_LISTEN_UV_H
#define PROXY_LISTEN_UV_H

#include <stddef.h>

#include "proxy/config.h"

/* Opens a socket for each worker and each listener of `config` that does not stand in `former`
 * (NULL: all are new): `*fds` (freed by the caller) holds config->listener_count for the first
 * worker, then for the second, and so on; -1 where the former socket stays. RC_OK, RC_ENOMEM, or
 * RC_EIO with nothing left open and one clear line in `error`. */
int listen_all(const struct config *config, const struct config *former, size_t workers,
               int **fds, char error[CONFIG_ERROR_MAX]);

/* Closes those that are not -1. */
void listen_close(const int *fds, size_t count);

#endif
