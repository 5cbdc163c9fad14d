/* glance.h - a common query, read at a glance.
 *
 * What nearly all clients send: one question whose name is not compressed, and at most an
 * OPT record without options. message.h reads these and all others; this is its shortcut
 * and never sees anything else in a query. */
#ifndef DNS_WIRE_GLANCE_H
#define DNS_WIRE_GLANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/wire/message.h"

enum {
    DNS_GLANCE_LABELS_MAX = 10,
    DNS_GLANCE_STEP = 8,
    DNS_GLANCE_ECHO_MAX = DNS_NAME_MAX + DNS_GLANCE_STEP
};

struct dns_glance {
    struct dns_query query; /* as dns_query_read() has it, but for `name` */
    uint8_t label_count;
    uint8_t starts[DNS_GLANCE_LABELS_MAX]; /* of length bytes in `name` */
    uint16_t name_size;
    /* In wire form, lower case; then zeros up to a whole step at least. */
    uint8_t name[DNS_NAME_MAX + 2 * DNS_GLANCE_STEP];
};

/* Prepares `glance` for any number of queries. */
void dns_glance_init(struct dns_glance *glance);

/* True if it was such a query; then `echo` begins with the question as sent. If not,
 * `glance` has no meaning. `echo` has room for DNS_GLANCE_ECHO_MAX bytes, all of which may
 * be written to. */
bool dns_glance_read(struct dns_glance *glance, const uint8_t *bytes, size_t size,
                     uint8_t *echo);

/* Turns `name` into lower case; up to DNS_GLANCE_STEP - 1 bytes behind it, too. */
void dns_glance_fold(uint8_t *name, size_t size);

#endif
