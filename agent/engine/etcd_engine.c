/* etcd_engine.c - the engine on a real loop: its core over gRPC. */
#include "agent/engine/etcd_engine.h"

#include <stdio.h>
#include <unistd.h>

#include "agent/engine/etcd_core.h"
#include "agent/engine/etcd_grpc.h"
#include "base/err.h"

static const char *unreadable_of(const struct etcd_options *options)
{
    const char *const files[] = {options->ca_file, options->cert_file, options->key_file};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (files[i] != NULL && access(files[i], R_OK) != 0) {
            return files[i];
        }
    }
    return NULL;
}

static void on_edge_dropped(void *owner)
{
    (void)owner;
}

int etcd_engine_open(struct uv_loop_s *loop, const struct etcd_options *options,
                     struct engine **out, char *error, size_t error_size)
{
    const char *unreadable = unreadable_of(options);
    struct etcd_edge edge;

    if (unreadable != NULL) {
        (void)snprintf(error, error_size, "%s: cannot be read", unreadable);
        return RC_EINVAL;
    }
    (void)snprintf(error, error_size, "out of memory");
    int err = etcd_grpc_open(loop, options, &edge, error, error_size);
    if (err != RC_OK) {
        return err;
    }
    err = etcd_core_create(options, &edge, out);
    if (err != RC_OK) {
        edge.close(edge.context, on_edge_dropped, NULL);
    }
    if (err == RC_EINVAL) {
        (void)snprintf(error, error_size,
                       "etcd needs a prefix, and 1 to %d endpoints such as "
                       "https://10.0.0.1:2379",
                       ETCD_ENDPOINTS_MAX);
    }
    return err;
}
