/* dns_view.h - the catalog as the DNS server sees it.
 *
 * Nodes that are alive or suspected; instances with their health and the tags that count
 * now (the tag "primary" only at the holder of the highest term). What was asked for once
 * is kept in the form that DNS needs, copied, until it changes in the catalog. */
#ifndef AGENT_DNS_VIEW_H
#define AGENT_DNS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "dns/view.h"

struct catalog;
struct dns_view_source;

/* `catalog` is borrowed until dns_view_destroy(). RC_OK, or RC_ENOMEM. */
int dns_view_create(const struct catalog *catalog, const char *datacenter, uint64_t seed,
                    struct dns_view_source **out);
void dns_view_destroy(struct dns_view_source *source); /* NULL is allowed */

/* What whoever asks by DNS may see. Without one: everything. */
enum dns_view_kind { DNS_VIEW_SERVICE, DNS_VIEW_NODE };
struct dns_view_gate {
    void *context;
    uint64_t (*serial)(void *context); /* changes with what is shown; 0: everything is */
    bool (*shows)(void *context, enum dns_view_kind kind, const char *name);
};

/* `gate` is copied. */
void dns_view_guard(struct dns_view_source *source, const struct dns_view_gate *gate);

struct catalog_service;
struct prepared_book;

/* Where prepared queries come from. Without: there are none. */
struct dns_view_queries {
    void *context;
    /* All there are, up to date; how certain it is that there are no others. */
    const struct prepared_book *(*book)(void *context, enum dns_certainty *certainty);
    /* Puts those first that are nearest to `near`: a node's name, "_agent" or "_ip"; of those as
     * near as each other any. */
    void (*sort)(void *context, const char *near, const struct catalog_service **found,
                 size_t count);
};

/* `queries` is copied. */
void dns_view_set_queries(struct dns_view_source *source,
                          const struct dns_view_queries *queries);

/* For dns_server_options; lives as long as `source`. */
const struct dns_view *dns_view_of(struct dns_view_source *source);

#endif
