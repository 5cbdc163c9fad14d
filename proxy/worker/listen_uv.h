/* listen_uv.h - the listening sockets that a configuration needs, for all workers at once. */
#ifndef PROXY_WORKER_LISTEN_UV_H
#define PROXY_WORKER_LISTEN_UV_H

#include <stddef.h>

#include "proxy/config/config.h"
#include "proxy/worker/handed_uv.h"

/* What is there before: the configuration that is served (NULL: none yet), the sockets that were
 * handed to us or opened earlier, and how many workers there are. */
struct listen_options {
    const struct config *former;
    struct handed *handed;
    size_t workers;
};

/* Opens a socket for each worker and each listener of `config` that does not stand in the former
 * one: `*fds` (freed by the caller) holds config->listener_count for the first worker, then for the
 * second, and so on; -1 where the former socket stays. Where sockets of that address were handed to
 * us they are copied, which also lets a listener change its mode; of new ones a copy is added there.
 * Where a second socket of an address cannot be had, workers share one.
 * RC_OK, RC_ENOMEM, or RC_EIO with nothing left open and one clear line in `error`. */
int listen_all(const struct config *config, const struct listen_options *options,
               int **fds, char error[CONFIG_ERROR_MAX]);

/* Closes those that are not -1. */
void listen_close(const int *fds, size_t count);

#endif
