/* postgres_uv.h - `listen postgres`: sessions to the primary, or to standbys, or held. */
#ifndef PROXY_POSTGRES_POSTGRES_UV_H
#define PROXY_POSTGRES_POSTGRES_UV_H

#include "proxy/worker/worker_uv.h"

extern const struct worker_protocol postgres_protocol;

#endif
