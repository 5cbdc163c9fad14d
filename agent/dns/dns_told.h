/* dns_told.h - what does DNS say to a question, and which instances are in that?
 *
 * The question goes through dns_answer() itself, as a packet; nothing is worked out a second
 * time. Pure. */
#ifndef AGENT_DNS_DNS_TOLD_H
#define AGENT_DNS_DNS_TOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "dns/answer/answer.h"
#include "dns/answer/question.h"
#include "dns/wire/message.h"
#include "dns/wire/present.h"
#include "dns/wire/response.h"

struct rc_table;

/* How a question is sent. */
struct dns_told_way {
    enum dns_channel channel;
    uint16_t edns_size; /* 0: without EDNS */
    bool forwards;      /* questions about other zones would be passed on */
    uint64_t now_ms;    /* monotonic */
    uint64_t wall_ms;
};

struct dns_told {
    struct dns_outcome outcome;
    struct dns_response response; /* of `bytes`; only where is_readable */
    struct dns_present_edns edns;
    bool is_readable;
    uint16_t type;
    struct rc_table *things; /* what its answer section points to; NULL: not looked at */
    uint8_t query[DNS_UDP_PLAIN_MAX];
    uint8_t bytes[DNS_MESSAGE_MAX];
};

/* Asks. RC_OK with `*out` owned by the caller (dns_told_destroy), or RC_ENOMEM. */
int dns_told_create(struct dns_answerer *answerer, const struct dns_name *name,
                    uint16_t type, const struct dns_told_way *way, struct dns_told **out);
void dns_told_destroy(struct dns_told *told); /* NULL is allowed */

/* Lists where the records of the answer section point, for dns_told_has(). RC_OK or RC_ENOMEM. */
int dns_told_list(struct dns_told *told, const struct dns_zones *zones);

/* Whether an instance is in the answer: its address or alias (A, AAAA, ANY), or an SRV record of
 * its place and port. */
bool dns_told_has(const struct dns_told *told, const struct dns_zones *zones,
                  const struct catalog_service *instance);

/* Where an instance is: its own address, or its node's. A host name too. */
const char *dns_told_address(const struct catalog_service *instance);

#endif
