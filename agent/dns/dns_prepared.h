/* dns_prepared.h - prepared queries, carried out for answers of the DNS server.
 *
 * Of the agent's own loop only: near is asked of gossip, definitions of the store. What a query
 * picks is kept until something changes. */
#ifndef AGENT_DNS_DNS_PREPARED_H
#define AGENT_DNS_DNS_PREPARED_H

#include <stddef.h>
#include <stdint.h>

#include "agent/dns/dns_form.h"

struct catalog;
struct catalog_service;
struct dns_prepared;
struct prepared_book;

/* Where prepared queries come from. All zero: there are none. */
struct dns_prepared_source {
    void *context;
    /* All there are, up to date; how certain it is that there are no others. */
    const struct prepared_book *(*book)(void *context, enum dns_certainty *certainty);
    /* Puts those first that are nearest to `near`: a node's name, "_agent" or "_ip"; of those as
     * near as each other any. */
    void (*sort)(void *context, const char *near, const struct catalog_service **found,
                 size_t count);
};

/* `catalog` and `board` are borrowed until dns_prepared_destroy(), which comes before the
 * board's; `gate` is copied. RC_OK or RC_ENOMEM. */
int dns_prepared_create(const struct catalog *catalog, const struct dns_board *board,
                        const struct dns_gate *gate, struct dns_prepared **out);
void dns_prepared_destroy(struct dns_prepared *prepared); /* NULL is allowed */

/* `source` is copied. */
void dns_prepared_set_source(struct dns_prepared *prepared,
                             const struct dns_prepared_source *source);

/* For dns_board_set_queries(), until dns_prepared_destroy(). */
struct dns_board_queries dns_prepared_queries(struct dns_prepared *prepared);

#endif
