/* bound_queries.h - prepared queries that go with their session.
 *
 * The store knows nothing of what a definition says, so a server looks for those whose session is
 * no more, and deletes them as they stood: what somebody has changed meanwhile stays for the
 * next look. Any number of servers may do so at once. Pure.
 *
 * Rules: Consul's "Prepared Queries", Session. */
#ifndef AGENT_BOUND_QUERIES_H
#define AGENT_BOUND_QUERIES_H

#include <stddef.h>

#include "agent/store/store.h"

struct prepared_book;

/* Brings `book` up to date and asks the store to delete such queries; `told` (may be NULL) hears
 * of each with its words, `done` of each outcome: not RC_OK, look again. Returns how many.
 */
struct bound_queries {
    struct store *store;
    struct prepared_book *book;
    void (*told)(void *context, const char *id, const char *session);
    store_done *done;
    void *context;
};
size_t bound_queries_end(const struct bound_queries *bound, uint64_t now_ms);

#endif
