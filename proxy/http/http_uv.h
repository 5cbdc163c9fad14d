/* http_uv.h - the HTTP protocol of a worker: its clients and their exchanges with instances.
 *
 * To the worker this is one table of functions (worker_uv.h tells when each is called). Inside,
 * client_uv.c serves connections from users, exchange_uv.c one request, attempt_uv.c its way to
 * an instance, request_uv.c and response_uv.c its bytes, answer_uv.c its end, tunnel_uv.c what
 * comes after an upgrade, outbound_uv.c the connections to instances. http_state_uv.h holds what
 * they share. */
#ifndef PROXY_HTTP_HTTP_UV_H
#define PROXY_HTTP_HTTP_UV_H

#include "proxy/worker/worker_uv.h"

extern const struct worker_protocol http_protocol;

#endif
