/* etcd_http_curl.h - the etcd engine's edge: HTTP/1.1 by libcurl on the loop.
 *
 * Connections are kept and shared; at most so many as requests are under way. libcurl is loaded
 * when the first edge is opened. Answers are given from the loop's turn, never from inside
 * libcurl, so that they may send and cancel. */
#ifndef AGENT_ENGINE_ETCD_HTTP_CURL_H
#define AGENT_ENGINE_ETCD_HTTP_CURL_H

#include <stddef.h>

#include "agent/engine/etcd_edge.h"
#include "agent/engine/etcd_engine.h"

struct uv_loop_s;

/* Fills `out`. `options` is copied as far as it is needed. RC_OK, RC_ENOTFOUND (libcurl; `error` says which package has it) or RC_ENOMEM. */
int etcd_http_open(struct uv_loop_s *loop, const struct etcd_options *options,
                   struct etcd_edge *out, char *error, size_t error_size);

#endif
