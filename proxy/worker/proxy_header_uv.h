/* proxy_header_uv.h - the PROXY protocol at the edge: awaited from who stands before us, sent to instances.
 *
 * A header comes before TLS and before any byte of the listener's protocol, and not a byte behind
 * it is read here. It must be whole within PROXY_HEADER_LIMIT_MS. */
#ifndef PROXY_WORKER_PROXY_HEADER_UV_H
#define PROXY_WORKER_PROXY_HEADER_UV_H

#include <uv.h>

#include "base/address.h"
#include "proxy/config/config.h"

enum { PROXY_HEADER_LIMIT_MS = 3000 };

struct proxy_header;

/* Called once, never from within proxy_header_await. `fd` is owned by the callee, and `peer` is the true
 * client. Or `fd` is -1 and `err` says why: RC_EMALFORMED (none, a wrong one, or too long), RC_ETIMEOUT,
 * RC_ECLOSED (the connection ended before it was whole); then it is closed without a word. */
typedef void (*proxy_header_done)(void *context, int fd, const struct rc_address *peer,
                                  int err);

/* Takes `fd`, a fresh connection from `peer`. NULL when memory is out: then `fd` is still the caller's. */
struct proxy_header *proxy_header_await(uv_loop_t *loop, int fd,
                                        const struct rc_address *peer,
                                        proxy_header_done done, void *context);

/* Gives it up and closes the connection; `done` is not called. Not to be used after `done`. */
void proxy_header_cancel(struct proxy_header *header);

/* Says on the fresh connection `fd` whom it is for, if the pool wants that: the client `peer`, whose
 * connection with us is `client_fd`; or we ourselves, if `peer` is NULL. RC_OK, or RC_EIO: then the
 * connection is of no use. */
int proxy_header_send(int fd, const struct config_pool *pool, int client_fd,
                      const struct rc_address *peer);

#endif
