/* etcd_engine.h - the store's truth in an etcd cluster, spoken to in its own gRPC.
 *
 * For pools where one server is not enough: etcd's members agree by Raft, and any number of
 * servers may stand before them. Speaks to etcd 3.4 and later over HTTP/2 by libcurl, which is
 * loaded when the first such engine is opened. Keys stand under `prefix`, so that one
 * cluster may serve several pools; below it "engine/" is the engine's own and never shown.
 *
 * It holds to one member while that one answers well, and moves on when it does not. What was
 * surely not sent is tried at each member once; a write that was sent is never sent again.
 *
 * Sources: etcd API reference v3; gRPC over HTTP2; "etcd API guarantees" (KV, Watch, Lease). */
#ifndef AGENT_ENGINE_ETCD_ENGINE_H
#define AGENT_ENGINE_ETCD_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "agent/store/engine.h"

struct uv_loop_s;

enum { ETCD_ENDPOINTS_MAX = ENGINE_MEMBERS_MAX };

struct etcd_options {
    const char *const *endpoints; /* "https://10.0.0.1:2379", at least one */
    size_t endpoint_count;
    const char *prefix; /* "rollcall/dc1/"; not empty, begins what is ours */

    /* TLS of https endpoints; NULL: the system's authorities, no certificate of our own. */
    const char *ca_file;
    const char *cert_file;
    const char *key_file;

    const char *user; /* of etcd's own users; NULL: none */
    const char *password;

    uint32_t request_ms; /* how long one request may take; 0: 1,000 */
    uint32_t history_ms; /* so long etcd's history is kept at least; 0: an hour */
};

/* Opens the engine on `loop`, which must outlive it, and starts to reach the members; that none
 * answers is no error here. `options` is copied. engine_class.close ends and frees it.
 *
 * Returns RC_OK, RC_EINVAL (endpoints, prefix or files make no sense), RC_ENOTFOUND (no
 * libcurl) or RC_ENOMEM; `error` then says why, in one line for people. */
int etcd_engine_open(struct uv_loop_s *loop, const struct etcd_options *options,
                     struct engine **out, char *error, size_t error_size);

#endif
