/* etcd_endpoints.h - which member of the cluster is asked.
 *
 * One is kept while it answers well, since changing costs connections. It is left when it
 * fails, or when it has been much slower than the best for some looks in a row. One that
 * failed is not chosen for a while that doubles, unless there is no other. The first is gone
 * back to when it was well for some looks in a row: it is the nearest, so what is lost elsewhere
 * delays nobody here. Pure. */
#ifndef AGENT_ENGINE_ETCD_ENDPOINTS_H
#define AGENT_ENGINE_ETCD_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_engine.h"

struct etcd_endpoint {
    char *url;         /* owned; without a final slash */
    unsigned failures; /* in a row */
    uint64_t down_until_ms;
    uint64_t took_us;    /* of looks at it, smoothed; 0: never looked at */
    unsigned slow_looks; /* in a row */
    unsigned well_looks; /* since it last failed or was slow */
    uint64_t member;     /* its id; 0: not known */
};

struct etcd_endpoints {
    struct etcd_endpoint items[ETCD_ENDPOINTS_MAX];
    size_t count;
    size_t current;
};

enum etcd_verdict { ETCD_ANSWERED, ETCD_FAILED };

/* Copies the URLs. RC_OK, RC_EINVAL (none, too many, or not http:// or https://), RC_ENOMEM. */
int etcd_endpoints_init(struct etcd_endpoints *endpoints, const char *const *urls,
                        size_t count);
void etcd_endpoints_fini(struct etcd_endpoints *endpoints);

/* The one to ask, of those whose bit in `tried` is not set; `count` when all are tried. */
size_t etcd_endpoints_pick(const struct etcd_endpoints *endpoints, uint32_t tried,
                           uint64_t now_ms);

/* How a request to it ended. A failure of the current one moves on to the next. */
void etcd_endpoints_report(struct etcd_endpoints *endpoints, size_t index,
                           enum etcd_verdict verdict, uint64_t now_ms);

/* How long a look at it took, without the cluster having to agree; it has a leader. */
void etcd_endpoints_looked(struct etcd_endpoints *endpoints, size_t index,
                           uint64_t took_us);

#endif
