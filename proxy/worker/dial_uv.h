/* dial_uv.h - a TCP connection to an address, or not, within a time. */
#ifndef PROXY_WORKER_DIAL_UV_H
#define PROXY_WORKER_DIAL_UV_H

#include <uv.h>

#include "base/address.h"

struct dial;

/* Called once, never from within dial_start: `fd` is connected, non-blocking, TCP_NODELAY, with
 * keepalive, and owned by the callee; or -1 and `err` says why: RC_EIO (refused, unreachable),
 * RC_ETIMEOUT, RC_EAGAIN (we ran out of ports or descriptors: not the instance's fault). */
typedef void (*dial_done)(void *context, int fd, int err);

/* NULL when memory is out. */
struct dial *dial_start(uv_loop_t *loop, const struct rc_address *address,
                        uint32_t timeout_ms, dial_done done, void *context);

/* Gives it up; `done` is not called. Not to be used after `done` was called. */
void dial_cancel(struct dial *dial);

#endif
