/* name.h - domain names: from the wire, from text, and compared.
 *
 * RFC 1035 sections 3.1 and 4.1.4; letter case is kept and does not count (RFC 4343). */
#ifndef DNS_WIRE_NAME_H
#define DNS_WIRE_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/text.h"

enum {
    DNS_NAME_MAX = 255, /* wire bytes, the root's zero included */
    DNS_LABEL_MAX = 63,
    DNS_LABELS_MAX = 127,
    DNS_NAME_TEXT_MAX = 256 /* labels with dots, and a NUL */
};

struct dns_name {
    uint8_t size;                   /* bytes used of `wire`, at least 1 */
    uint8_t label_count;            /* the root not counted */
    uint8_t starts[DNS_LABELS_MAX]; /* where each label's length byte is in `wire` */
    uint8_t wire[DNS_NAME_MAX];     /* without compression */
};

/* Reads a name at `cursor`, which must be a cursor over the message that starts at
 * `message` and is left behind the name. Pointers must lead back, to a name behind the
 * header that ends before the one with the pointer begins. Returns RC_OK, RC_ETRUNCATED or
 * RC_EMALFORMED; `out` is valid only after RC_OK. */
int dns_name_read(struct rc_cursor *cursor, const uint8_t *message, struct dns_name *out);

/* "web.service.rollcall", final dot allowed; "" and "." are the root. No escapes.
 * RC_OK, or RC_EMALFORMED (an empty or too long label, too long altogether). */
int dns_name_from_text(const char *text, struct dns_name *out);

/* The same, placed under `suffix`: "web1" under "node.dc1.rollcall". */
int dns_name_under(const char *text, const struct dns_name *suffix, struct dns_name *out);

/* `count` labels from `first`, lower case, with dots between, NUL-terminated. Returns
 * the length, or 0 if there is none or a label holds a dot or a NUL: no text means that
 * name. */
size_t dns_name_to_text(const struct dns_name *name, size_t first, size_t count,
                        char space[DNS_NAME_TEXT_MAX]);

/* Label `i`, 0 being the leftmost; borrowed from `name`. */
struct rc_span dns_name_label(const struct dns_name *name, size_t i);

bool dns_name_equals(const struct dns_name *a, const struct dns_name *b);

/* True for every name under `suffix`, and for `suffix` itself. */
bool dns_name_ends_with(const struct dns_name *name, const struct dns_name *suffix);

#endif
