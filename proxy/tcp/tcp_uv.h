/* tcp_uv.h - `listen tcp`: pick, connect, and let all bytes pass. */
#ifndef PROXY_TCP_TCP_UV_H
#define PROXY_TCP_TCP_UV_H

#include "proxy/worker/worker_uv.h"

extern const struct worker_protocol tcp_protocol;

#endif
