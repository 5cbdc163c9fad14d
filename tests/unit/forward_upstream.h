/* forward_upstream.h - a server that others ask, for tests: it writes answers record by record. */
#ifndef TESTS_UNIT_FORWARD_UPSTREAM_H
#define TESTS_UNIT_FORWARD_UPSTREAM_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"
#include "dns/forward/forward_message.h"

struct forward_upstream {
    uint8_t sent[DNS_FORWARD_QUERY_MAX]; /* the query that is answered */
    size_t sent_size;
    uint8_t bytes[DNS_MESSAGE_MAX]; /* the answer */
    size_t size;
    uint16_t ttl_at[DNS_KEPT_RECORDS_MAX];
    struct dns_kept kept; /* of the last forward_upstream_read() */
};

/* A question of `name` is sent, in letters of random case by `seed`, and its answer begun: no
 * records, with `flags` and code in the header. */
void forward_upstream_begin(struct forward_upstream *upstream, const char *name,
                            uint16_t type, unsigned flags, uint64_t seed);

/* A record; `owner` NULL is a pointer to the question. */
struct forward_record {
    const char *owner;
    uint16_t type;
    uint32_t ttl_s;
    const void *data;
    size_t size;
};

/* Appends a record. */
void forward_upstream_add(struct forward_upstream *upstream, enum dns_section section,
                          struct forward_record record);

/* The same for A 10.0.0.`last`, and an SOA with that MINIMUM. */
void forward_upstream_add_a(struct forward_upstream *upstream, const char *owner,
                            uint32_t ttl_s, uint8_t last);
void forward_upstream_add_soa(struct forward_upstream *upstream, uint32_t ttl_s,
                              uint32_t minimum_s);

/* Reads the answer. */
int forward_upstream_read(struct forward_upstream *upstream);

#endif
