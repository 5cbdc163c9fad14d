/* dns_prepared.h - a prepared query carried out for an answer of the DNS server. */
#ifndef AGENT_DNS_PREPARED_H
#define AGENT_DNS_PREPARED_H

#include "agent/dns_keep.h"
#include "agent/dns_view.h"

struct prepared_book;

/* Whether the outcome holds until something changes, or is good for one answer. */
enum dns_prepared_use { DNS_PREPARED_AGAIN, DNS_PREPARED_ONCE };

struct dns_prepared_ground {
    const struct catalog *catalog; /* all borrowed */
    const struct prepared_book *book;
    const struct dns_view_queries *queries;
    const struct dns_view_gate *gate;
};

/* Finds the query of that name or id, letter case aside, and what it picks, of what may be
 * shown, with `picked` filled in. To be freed by free(). NULL: there is no such query, or no
 * memory. */
struct dns_kept *dns_prepared_keep(const struct dns_prepared_ground *ground,
                                   struct rc_span name, enum dns_prepared_use *use);

#endif
