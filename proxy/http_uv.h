/* http_uv.h - the HTTP protocol of a worker: its clients and their exchanges with instances.
 *
 * To main.c this is one table of functions (worker_uv.h tells when each is called). Inside,
 * four files share the work: client_uv.c (connections from users), exchange_uv.c (one
 * request and its attempts), relay_uv.c (bytes of bodies and tunnels), outbound_uv.c
 * (connections to instances). http_state_uv.h holds what they share. */
#ifndef PROXY_HTTP_UV_H
#define PROXY_HTTP_UV_H

#include "proxy/worker_uv.h"

extern const struct worker_protocol http_protocol;

#endif
