/* dns_asker.h - questions asked of an answerer over dns_world.h, and what came back. */
#ifndef TESTS_UNIT_DNS_ASKER_H
#define TESTS_UNIT_DNS_ASKER_H

#include <stdbool.h>

#include "dns/answer/answer.h"
#include "dns/wire/message.h"
#include "tests/unit/dns_world.h"

enum { DNS_NO_EDNS = 0 };

struct dns_asker {
    struct dns_world *world;
    struct dns_options options; /* domain "rollcall", alternative "consul." */
    struct dns_answerer *answerer;
    struct dns_client client;
    struct dns_outcome outcome;
    unsigned opcode;    /* of the next question, as are the next two */
    uint32_t edns_word; /* the TTL field of its OPT: version and flags */
    uint16_t class;
    uint8_t query[DNS_UDP_PLAIN_MAX];
    size_t query_size;
    uint8_t answer[DNS_MESSAGE_MAX];
};

/* Fixtures for cmocka. */
int dns_asker_set_up(void **state);
int dns_asker_tear_down(void **state);

/* Asks with an OPT of `edns_size`, or none. "\\." in `text` is a dot within a label. */
void dns_asker_ask_on(struct dns_asker *asker, enum dns_channel channel, const char *text,
                      uint16_t type, uint16_t edns_size);

/* The same over TCP without EDNS. */
void dns_asker_ask(struct dns_asker *asker, const char *text, uint16_t type);

/* How many records of `type` a section has; 0 as type counts all. */
size_t dns_asker_count(const struct dns_asker *asker, enum dns_section section,
                       uint16_t type);

/* Whether a record of that type in the answer section has this data (of TXT: a
 * string; of CNAME, NS, PTR and SRV: a name as text). */
bool dns_asker_has(const struct dns_asker *asker, uint16_t type, const char *data);

/* The name exists, without such a record; or it does not exist. Both with SOA. */
void dns_asker_assert_nodata(const struct dns_asker *asker, const char *why);
void dns_asker_assert_nxdomain(const struct dns_asker *asker, const char *why);

#endif
