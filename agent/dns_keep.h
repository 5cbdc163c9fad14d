/* dns_keep.h - a part of the catalog, copied into the form that DNS needs. */
#ifndef AGENT_DNS_KEEP_H
#define AGENT_DNS_KEEP_H

#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "dns/view.h"

/* One service, or one node, in one allocation: this, then the arrays, then the texts. To be
 * freed by free(). */
struct dns_kept {
    struct dns_kept *next; /* of those to be freed; the owner's, as are the next two */
    uint64_t seen_at; /* the catalog's index when this was last found to be current */
    uint64_t print;   /* of what it was made from */
    struct dns_service service;
    struct dns_instance *instances; /* those of `service` */
    struct dns_node *nodes;         /* the service's, or just the one */
    struct dns_picked picked;       /* of a query: the owner's */
};

/* These instances, in this order, under a name. NULL when memory is out. */
struct dns_kept *dns_keep_service(const struct catalog *catalog, const char *name,
                                  const struct catalog_service *const *from,
                                  size_t count);

/* A node alone. NULL when memory is out. */
struct dns_kept *dns_keep_node(const struct catalog_node *node);

#endif
