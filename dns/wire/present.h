/* present.h - an answer in words, as people and their tools write it.
 *
 * The presentation format of RFC 1035 section 5.1 and of each type's own RFC; what we know
 * no form for is written by RFC 3597. For telling people, never for deciding. */
#ifndef DNS_WIRE_PRESENT_H
#define DNS_WIRE_PRESENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "dns/wire/name.h"
#include "dns/wire/response.h"

enum { DNS_PRESENT_TYPE_MAX = 12 /* "TYPE65535" and a NUL */ };

/* The mnemonic of a type, or TYPE and its number, in `space`. */
void dns_present_type(uint16_t type, char space[DNS_PRESENT_TYPE_MAX]);

/* A mnemonic (any case) or TYPE and a number. RC_OK, or RC_ENOTFOUND. */
int dns_present_read_type(const char *text, uint16_t *out);

/* The mnemonics that dns_present_read_type() knows, separated by ", ". */
void dns_present_types(struct rc_buffer *out);

/* The mnemonic of a response code; "?" for one that we never send. Static. */
const char *dns_present_rcode(uint16_t rcode);

/* A name with its final dot; bytes that are no letters, digits, '-' or '_' are escaped. */
void dns_present_name(const struct dns_name *name, struct rc_buffer *out);

/* A record on one line: owner, TTL, class, type, data. */
void dns_present_record(const struct dns_response *response,
                        const struct dns_received *record, struct rc_buffer *out);

/* What an OPT record of a message says. */
struct dns_present_edns {
    uint16_t size;    /* that the answer announces; 0: there is no OPT */
    uint16_t rcode;   /* the whole of it, with the bits of the header */
    int32_t extended; /* the first extended error (RFC 8914), or -1 */
};
void dns_present_edns(const struct dns_response *response, struct dns_present_edns *out);

/* The words of RFC 8914 for an extended error; "" for those we never send. Static. */
const char *dns_present_extended(int32_t code);

#endif
