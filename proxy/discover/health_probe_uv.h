/* health_probe_uv.h - asks one instance again and again whether it is well: `check` of a pool.
 *
 * A connection per question: for `tcp` that it stands is enough, for `http` a GET must be answered
 * with a status in range. The first question comes at a random part of the interval, and
 * each pause varies by a tenth, so that many proxies spread. Runs on control's loop: all
 * workers share the verdict. */
#ifndef PROXY_DISCOVER_HEALTH_PROBE_UV_H
#define PROXY_DISCOVER_HEALTH_PROBE_UV_H

#include <uv.h>

#include "proxy/discover/probe_streak.h"
#include "proxy/upstream/instance.h"

struct health_probe;

struct health_probe_options {
    uv_loop_t *loop;
    struct instance *instance; /* retained */
    struct config_check check; /* copied */
    enum config_proxy_send proxy_send;
    uint64_t seed;
    /* The verdict changed; `problem` (static) says why it failed last, or NULL. Never from within
     * start or after close. */
    void (*told)(void *context, struct instance *instance, enum lineup_check verdict,
                 const char *problem);
    void *context;
};

/* NULL when memory is out. */
struct health_probe *health_probe_start(const struct health_probe_options *options);

/* NULL is allowed; memory goes with the last handle. */
void health_probe_close(struct health_probe *probe);
const struct instance *health_probe_instance(const struct health_probe *probe);

#endif
