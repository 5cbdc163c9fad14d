/* dns_catalogs.h - a catalog with a board that follows it: for tests of what DNS is told. */
#ifndef TESTS_UNIT_DNS_CATALOGS_H
#define TESTS_UNIT_DNS_CATALOGS_H

#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "agent/dns/dns_feed.h"

enum { DNS_CATALOGS_WALL_MS = 1000000 };

/* Node "web1" is ours; "pg1" and "pg2" are agents whose records reach us as rumours. What may
 * be shown says the gate that is set; none at first. */
struct dns_catalogs {
    struct catalog *ours;
    struct catalog *theirs[2];
    struct dns_board *board;
    struct dns_board_reader *reader;
    const struct dns_view *view;
    struct dns_feed *feed;
    struct dns_gate gate;
    uint64_t now_ms;
};

/* For cmocka: `*state` is a struct dns_catalogs. */
int dns_catalogs_set_up(void **state);
int dns_catalogs_tear_down(void **state);

/* The feed has its turn. */
void dns_catalogs_turn(struct dns_catalogs *f);

/* What gossip says of a node of the others. */
void dns_catalogs_member(struct dns_catalogs *f, size_t i,
                         enum catalog_liveness liveness);

/* Everything that the others have to tell reaches us: soon, not at once, because rumours that
 * follow each other closely are told together. */
void dns_catalogs_spread(struct dns_catalogs *f);

/* An instance of "Postgres" at the node's address, and a check of it ("": of the node). */
void dns_catalogs_put(struct dns_catalogs *f, struct catalog *catalog, const char *id,
                      const char *tag, uint64_t term);
void dns_catalogs_check(struct dns_catalogs *f, struct catalog *catalog,
                        const char *service, enum check_status status);

#endif
