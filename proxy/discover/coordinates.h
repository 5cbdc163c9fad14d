/* coordinates.h - how far other nodes are, by what an agent says of network coordinates.
 *
 * Vivaldi coordinates as Serf and Consul keep them (Dabek et al. 2004; Consul's documentation,
 * "Network coordinates"): seconds in a few dimensions, a height, an adjustment. Pure. */
#ifndef PROXY_DISCOVER_COORDINATES_H
#define PROXY_DISCOVER_COORDINATES_H

#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"

enum { COORDINATES_DIMENSIONS_MAX = 16, COORDINATES_NODES_MAX = 4096 };

struct coordinate {
    double vector[COORDINATES_DIMENSIONS_MAX];
    size_t dimensions; /* 0 = unknown */
    double height;
    double adjustment;
};

struct coordinates_node {
    char node[CONFIG_NAME_MAX];
    struct coordinate at;
};

/* The body of /v1/agent/self: which node it is. RC_OK or RC_EMALFORMED. */
int coordinates_read_self(const char *body, size_t size, char node[CONFIG_NAME_MAX]);

/* The body of /v1/coordinate/nodes: what can be read of it, at most COORDINATES_NODES_MAX. `*nodes` is
 * owned by the caller, who frees it with free(). RC_OK, RC_EMALFORMED or RC_ENOMEM. */
int coordinates_read_nodes(const char *body, size_t size, struct coordinates_node **nodes,
                           size_t *count);

/* The estimated round trip between two, in us; UINT32_MAX when it cannot be told. */
uint32_t coordinates_distance_us(const struct coordinate *a, const struct coordinate *b);

#endif
