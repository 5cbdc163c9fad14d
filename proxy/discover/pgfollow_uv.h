/* pgfollow_uv.h - follows a PostgreSQL cluster on the agent: the wire of pgview.h. */
#ifndef PROXY_DISCOVER_PGFOLLOW_UV_H
#define PROXY_DISCOVER_PGFOLLOW_UV_H

#include <uv.h>

#include "proxy/discover/pgview.h"

struct pgfollow;

struct pgfollow_options {
    uv_loop_t *loop;
    const struct config *config;    /* borrowed during the call */
    const struct config_pool *pool; /* borrowed during the call */
    struct pgview *view;            /* borrowed until the close; answers go into it */
    uint64_t seed;
    /* The view has heard something. */
    void (*heard)(void *context);
    /* No answer, with `problem` in words. Neither is called after the close. */
    void (*failed)(void *context, const char *problem);
    void *context;
};

/* NULL when memory is out. */
struct pgfollow *pgfollow_start(const struct pgfollow_options *options);
void pgfollow_close(struct pgfollow *follow); /* NULL is allowed */

#endif
