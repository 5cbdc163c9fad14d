/* dns_apart.h - an answer of the DNS server taken apart, to be compared with another.
 *
 * Reads what we write and is strict about it: every name, pointer and count. */
#ifndef TESTS_UNIT_DNS_APART_H
#define TESTS_UNIT_DNS_APART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/wire/message.h"

enum { DNS_APART_RECORDS_MAX = 6000 };

/* A record in a form in which equal ones are equal bytes: names whole and in lower case. */
struct dns_apart_record {
    uint8_t *bytes; /* owner, type, class, TTL, data */
    size_t size;
    enum dns_section section;
    uint16_t type;
    uint16_t owner_size; /* of `bytes` */
};

struct dns_apart {
    uint16_t id;
    uint16_t flags; /* with the rcode */
    bool has_question;
    struct dns_name question;
    bool has_opt;
    uint16_t opt_size; /* the UDP size that it announces */
    uint32_t opt_ttl;
    uint8_t opt_data[256];
    size_t opt_data_size;
    size_t counts[DNS_SECTION_COUNT]; /* without OPT */
    size_t count;
    struct dns_apart_record records[DNS_APART_RECORDS_MAX]; /* sorted */
    uint8_t space[1 << 20];
};

/* NULL, or what is wrong with it. */
const char *dns_apart_read(const uint8_t *bytes, size_t size, struct dns_apart *out);

/* Compares like memcmp(); section first. */
int dns_apart_compare(const struct dns_apart_record *a, const struct dns_apart_record *b);

/* True if `whole` has that record in its answer section. */
bool dns_apart_has_answer(const struct dns_apart *whole,
                          const struct dns_apart_record *record);

#endif
