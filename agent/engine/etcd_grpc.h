/* etcd_grpc.h - the etcd engine's edge: gRPC calls to its members, on the loop.
 *
 * All calls to one member share one connection of HTTP/2 (http2_nghttp2.h) over TCP or TLS
 * (etcd_wire_curl.h), made when it is first needed. Each request is one message, which ends the
 * client's half of its stream: a watch and a keepalive of etcd go on after that. */
#ifndef AGENT_ENGINE_ETCD_GRPC_H
#define AGENT_ENGINE_ETCD_GRPC_H

#include <stddef.h>

#include "agent/engine/etcd_edge.h"
#include "agent/engine/etcd_engine.h"

struct uv_loop_s;

/* Fills `out`. `options` is copied as far as it is needed. RC_OK, RC_ENOTFOUND (a library;
 * `error` says which package has it) or RC_ENOMEM. */
int etcd_grpc_open(struct uv_loop_s *loop, const struct etcd_options *options,
                   struct etcd_edge *out, char *error, size_t error_size);

#endif
