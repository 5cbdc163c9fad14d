/* dns_view.h - the catalog as the DNS server sees it.
 *
 * Nodes that are alive or suspected; instances with their health and the tags that count
 * now (the tag "primary" only at the holder of the highest term). What was asked for once
 * is kept in the form that DNS needs, copied, until it changes in the catalog. */
#ifndef AGENT_DNS_VIEW_H
#define AGENT_DNS_VIEW_H

#include <stdint.h>

#include "dns/view.h"

struct catalog;
struct dns_view_source;

/* `catalog` is borrowed until dns_view_destroy(). RC_OK, or RC_ENOMEM. */
int dns_view_create(const struct catalog *catalog, const char *datacenter, uint64_t seed,
                    struct dns_view_source **out);
void dns_view_destroy(struct dns_view_source *source); /* NULL is allowed */

/* For dns_server_options; lives as long as `source`. */
const struct dns_view *dns_view_of(struct dns_view_source *source);

#endif
