/* nearness_uv.h - keeps a pool told of how far its instances' nodes are: `prefer near`.
 *
 * Asks the agent which node it runs on, and for all coordinates every ten seconds. Without an answer
 * the last one stays. */
#ifndef PROXY_DISCOVER_NEARNESS_UV_H
#define PROXY_DISCOVER_NEARNESS_UV_H

#include <uv.h>

#include "proxy/upstream/lineup.h"

struct nearness;

struct nearness_options {
    uv_loop_t *loop;
    const struct config *config; /* borrowed during the call */
    struct lineup *lineup;       /* borrowed */
    uint64_t seed;
    void (*changed)(void *context); /* distances changed; never from within a call */
    void *context;
};

/* NULL when memory is out. */
struct nearness *nearness_start(const struct nearness_options *options);

/* Tells the lineup what is known, as it has new members. */
void nearness_apply(struct nearness *nearness); /* NULL is allowed */
void nearness_close(struct nearness *nearness); /* NULL is allowed */

#endif
