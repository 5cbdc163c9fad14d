/* role_probe_uv.h - one standing connection to a PostgreSQL server, asking what it is.
 *
 * Says PRIMARY, STANDBY, or UNKNOWN when the server refuses, is silent for two
 * intervals, or is away; then it connects again every interval. */
#ifndef PROXY_DISCOVER_ROLE_PROBE_UV_H
#define PROXY_DISCOVER_ROLE_PROBE_UV_H

#include <uv.h>

#include "proxy/config/config.h"
#include "proxy/upstream/instance.h"
#include "proxy/upstream/upstream.h"

struct role_probe;

struct role_probe_options {
    uv_loop_t *loop;
    struct instance *instance;      /* retained */
    const struct config_pool *pool; /* probe_*: copied */
    /* Called when role or timeline changed; `problem` says why UNKNOWN. Never from within
     * role_probe_start or after role_probe_close. */
    void (*told)(void *context, struct instance *instance, enum upstream_role role,
                 uint32_t timeline, const char *problem);
    void *context;
};

/* NULL when memory is out. */
struct role_probe *role_probe_start(const struct role_probe_options *options);
void role_probe_close(
    struct role_probe *probe); /* NULL is allowed; memory goes with the last handle */
const struct instance *role_probe_instance(const struct role_probe *probe);

#endif
