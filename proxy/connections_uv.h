/* connections_uv.h - `/connections` of the admin port: the clients that are connected now. */
#ifndef PROXY_CONNECTIONS_UV_H
#define PROXY_CONNECTIONS_UV_H

#include "base/buffer.h"
#include "proxy/worker/worker_uv.h"

/* Asks each worker, and appends {"total":.., "connections":[..]} with `limit` of them (at most
 * INQUIRY_TAKE_MAX) after the first `offset`; "silent" counts workers that did not answer in
 * time. Control's thread, which waits for them, at most a quarter of a second each. */
void connections_tell(struct worker *const *workers, size_t count, size_t offset,
                      size_t limit, struct rc_buffer *out);

#endif
