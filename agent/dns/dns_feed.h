/* dns_feed.h - keeps the board that DNS answers from as the catalog is.
 *
 * Follows what the catalog says has changed, and looks at everything when too much has, when
 * somebody else may see other things, or when memory was out. Whatever changed between two
 * turns is put up once. Nodes that are alive or suspected are shown, others are hidden; of
 * unique tags an instance has those that count now. */
#ifndef AGENT_DNS_DNS_FEED_H
#define AGENT_DNS_DNS_FEED_H

#include <stddef.h>

#include "agent/dns/dns_form.h"

struct catalog;
struct catalog_change;
struct dns_board;
struct dns_feed;

/* `catalog` and `board` are borrowed until dns_feed_destroy(); `gate` is copied. Nothing is put
 * up yet. RC_OK or RC_ENOMEM. */
int dns_feed_create(const struct catalog *catalog, struct dns_board *board,
                    const struct dns_gate *gate, struct dns_feed **out);
void dns_feed_destroy(struct dns_feed *feed); /* NULL is allowed */

/* Brings the board up to date. `changes` are all that the catalog told since the last turn; the
 * first turn needs none. To be called now and then without any: the gate is looked at, and what
 * readers have left is freed. */
void dns_feed_turn(struct dns_feed *feed, const struct catalog_change *changes,
                   size_t count);

/* The same before the turn, for somebody who is to find in DNS what he has just written:
 * `changes` are what waits to be taken, and the next turn gets them again. Too much to be told
 * apart waits for the turn. */
void dns_feed_ahead(struct dns_feed *feed, const struct catalog_change *changes,
                    size_t count);

#endif
