/* acceptor_uv.h - the listening sockets of one worker, and fairness among them.
 *
 * At most 64 connections are accepted in one turn of the loop; at a listener's limit
 * the rest waits in the kernel's queue; when descriptors run out, a reserved one
 * is spent on closing the next client instead of spinning. Worker's thread only,
 * except acceptor_connections. */
#ifndef PROXY_WORKER_ACCEPTOR_UV_H
#define PROXY_WORKER_ACCEPTOR_UV_H

#include <stdint.h>

#include "proxy/worker/worker_uv.h"

struct acceptor;

/* For the loop and the snapshot of `worker`. RC_OK or RC_ENOMEM. */
int acceptor_create(struct worker *worker, const struct worker_protocol *const *protocols,
                    struct acceptor **out);

/* Follows worker->snapshot: `fds` has one entry for each configured listener, taken; -1 keeps the
 * socket that this address and mode has already. Listeners no longer named are drained. */
void acceptor_update(struct acceptor *acceptor, const int *fds);

/* Accepts whatever waits in the queues, then closes every listening socket. */
void acceptor_drain(struct acceptor *acceptor);

/* Closes every listening socket at once; connections are the protocols' matter. */
void acceptor_close(struct acceptor *acceptor);

/* Frees it, after the loop has ended. NULL is allowed. */
void acceptor_destroy(struct acceptor *acceptor);

void acceptor_connection_done(struct acceptor *acceptor,
                              struct worker_listener *listener);
const struct config_listener *acceptor_config(const struct worker_listener *listener);
struct meter_lane *acceptor_lane(const struct worker_listener *listener);
struct meter_lane *acceptor_route_lane(const struct worker_listener *listener,
                                       size_t route);
struct limit *acceptor_limit(const struct worker_listener *listener,
                             const struct config_limit *limit);
struct limit_grant acceptor_take_grant(struct acceptor *acceptor);
struct tls_context *acceptor_tls(const struct worker_listener *listener);
const char *acceptor_pool_name(const struct worker_listener *listener);

/* Connections handed over and not yet done. Any thread. */
uint32_t acceptor_connections(const struct acceptor *acceptor);

#endif
