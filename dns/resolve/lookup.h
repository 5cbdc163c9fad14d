/* lookup.h - one search for the instances of a service: SRV, then the addresses it lacks.
 *
 * Pure: says what to ask, is told the answers, ends with a result (resolve_ares.h). */
#ifndef DNS_RESOLVE_LOOKUP_H
#define DNS_RESOLVE_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#include "dns/resolve/resolve_ares.h"

struct dns_lookup;

enum {
    DNS_LOOKUP_CHAIN_MAX = 8,    /* aliases followed */
    DNS_LOOKUP_ASKED_MAX = 256,  /* targets asked for by name; more stay unresolved */
    DNS_LOOKUP_ADDRESSES_MAX = 8 /* of one target; more are ignored */
};

/* A question to be sent. */
struct dns_lookup_question {
    char name[DNS_RESOLVE_NAME_MAX];
    uint16_t type; /* SRV, A or AAAA */
    size_t id;     /* hand it back with the answer */
};

/* RC_OK, RC_EMALFORMED (no domain name) or RC_ENOMEM. */
int dns_lookup_create(const char *name, uint64_t seed, struct dns_lookup **out);

/* One for the addresses of `name` itself, without SRV records. As above. */
int dns_lookup_create_addresses(const char *name, uint16_t port, uint64_t seed,
                                struct dns_lookup **out);
void dns_lookup_destroy(struct dns_lookup *lookup); /* NULL is allowed */

/* The next question to send now: RC_OK, or RC_ENOTFOUND if there is none. */
int dns_lookup_next(struct dns_lookup *lookup, struct dns_lookup_question *out);

/* An answer, or that there is none: `bytes` NULL, and `problem` (static) says why. Each
 * question is to be told exactly once. */
void dns_lookup_answer(struct dns_lookup *lookup, size_t id, const uint8_t *bytes,
                       size_t size, const char *problem);

/* RC_EAGAIN while questions wait or are under way; then RC_OK, with the targets
 * borrowed from `lookup`. RC_ENOMEM: as FAILED. */
int dns_lookup_result(struct dns_lookup *lookup, struct dns_result *out);

#endif
