/* selectors.h - what filter expressions may select in each kind of object.
 *
 * The names are those of the JSON that render.h writes. Indexes and check definitions are not
 * selectable, as in Consul. The objects handed to filter_accepts() are named beside each. */
#ifndef AGENT_HTTP_SELECTORS_H
#define AGENT_HTTP_SELECTORS_H

#include "agent/http/filter.h"

struct local_check;
struct local_service;

/* struct selected_local_service */
struct selected_local_service {
    const struct local_service *service;
    const char *datacenter;
};
extern const struct filter_schema selectors_local_service;

/* struct selected_local_check */
struct selected_local_check {
    const struct local_check *check;
    const struct local_service *service; /* or NULL */
    const char *node;
};
extern const struct filter_schema selectors_local_check;

extern const struct filter_schema selectors_node;         /* struct catalog_node */
extern const struct filter_schema selectors_service;      /* struct catalog_service */
extern const struct filter_schema selectors_service_node; /* struct catalog_service */
extern const struct filter_schema selectors_instance;     /* struct catalog_service */
extern const struct filter_schema selectors_check;        /* struct catalog_check */

#endif
