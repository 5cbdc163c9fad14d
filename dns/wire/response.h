/* response.h - the records of an answer that somebody sent us.
 *
 * RFC 1035 section 4. Nothing in it is believed but its own bytes: every length is
 * checked, records of other classes than IN are passed over. */
#ifndef DNS_WIRE_RESPONSE_H
#define DNS_WIRE_RESPONSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/cursor.h"
#include "dns/wire/message.h"
#include "dns/wire/name.h"

struct dns_response {
    const uint8_t *bytes; /* borrowed, as long as this is used */
    size_t size;
    uint16_t flags;
    uint16_t rcode; /* the four bits of the header */
    struct dns_name name;
    uint16_t type; /* of the question */
    uint16_t counts[DNS_SECTION_COUNT];
    size_t first_record; /* offset */

    /* Where dns_response_next() is. */
    struct rc_cursor cursor;
    int section;
    uint16_t taken; /* of that section */
};

struct dns_received {
    enum dns_section section;
    struct dns_name owner;
    uint16_t type;
    uint32_t ttl_s;
    size_t at; /* of its data in the message */
    size_t size;
};

/* Reads header and question. RC_OK, or RC_EMALFORMED (also for a query). */
int dns_response_open(const uint8_t *bytes, size_t size, struct dns_response *out);

/* The next record of class IN: RC_OK, RC_ENOTFOUND (that was all), RC_EMALFORMED. */
int dns_response_next(struct dns_response *response, struct dns_received *out);

/* Back to the first record. */
void dns_response_rewind(struct dns_response *response);

/* What the data of a record says, by its type; RC_OK or RC_EMALFORMED. */
int dns_received_address(const struct dns_response *response,
                         const struct dns_received *record, struct rc_address *out);
int dns_received_cname(const struct dns_response *response,
                       const struct dns_received *record, struct dns_name *out);

struct dns_received_srv {
    uint16_t priority;
    uint16_t weight;
    uint16_t port;
    struct dns_name target;
};
int dns_received_srv(const struct dns_response *response,
                     const struct dns_received *record, struct dns_received_srv *out);

/* How long a denial holds: the smaller of the SOA's TTL and its MINIMUM (RFC 2308). */
int dns_received_soa(const struct dns_response *response,
                     const struct dns_received *record, uint32_t *out_ttl_s);

#endif
