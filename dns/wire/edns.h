/* edns.h - the options of an OPT record: those of a query read, those of an answer written.
 *
 * RFC 6891 section 6.1.2. Which option means what: NSID RFC 5001, COOKIE RFC 7873,
 * edns-tcp-keepalive RFC 7828, extended errors RFC 8914. Padding (RFC 7830), client subnet
 * (RFC 7871) and whatever else is unknown here are passed over. */
#ifndef DNS_WIRE_EDNS_H
#define DNS_WIRE_EDNS_H

#include <stddef.h>
#include <stdint.h>

#include "base/writer.h"

enum dns_part { DNS_PART_MISSING, DNS_PART_PRESENT };

/* Numbers of the IANA registry. */
enum dns_option {
    DNS_OPTION_NSID = 3,
    DNS_OPTION_COOKIE = 10,
    DNS_OPTION_KEEPALIVE = 11,
    DNS_OPTION_EXTENDED_ERROR = 15,
    DNS_OPTION_LOOP_MARK = 65313 /* for local use: on questions that an agent forwards */
};

/* Extended errors of RFC 8914; 0 is its "other", which we never send. */
enum dns_extended_error {
    DNS_EXTENDED_NONE = 0,
    DNS_EXTENDED_STALE = 3,
    DNS_EXTENDED_NOT_READY = 14,
    DNS_EXTENDED_BLOCKED = 15,
    DNS_EXTENDED_PROHIBITED = 18,
    DNS_EXTENDED_NOT_AUTHORITATIVE = 20,
    DNS_EXTENDED_NO_UPSTREAM = 22,   /* no reachable authority */
    DNS_EXTENDED_UPSTREAM_ERROR = 23 /* network error */
};

enum {
    DNS_COOKIE_CLIENT_SIZE = 8,
    DNS_COOKIE_SIZE = 24, /* client's and ours, RFC 9018 section 4 */
    DNS_NSID_MAX = 128,
    DNS_EXTENDED_MAX = 4
};

/* The options of a query that we act on. All bytes are borrowed from the query. */
struct dns_asked {
    const uint8_t *cookie; /* the first one, client's part first */
    size_t cookie_size;    /* 0: none; else 8, or 16 to 40 */
    const uint8_t *loop_mark;
    size_t loop_mark_size; /* of its data; 0: none */
    enum dns_part nsid;
    enum dns_part keepalive;
};

/* Reads the data of an OPT record. RC_OK, or RC_EMALFORMED: an option reaches beyond the
 * data, or a cookie is not of a length that RFC 7873 section 4 allows. */
int dns_asked_read(const uint8_t *rdata, size_t size, struct dns_asked *out);

struct dns_extended {
    enum dns_extended_error code;
    const char *text; /* borrowed; may be NULL */
};

/* What our OPT record carries. Nothing is sent of it to a client that sent no OPT. */
struct dns_extras {
    size_t cookie_size; /* 0: none, or DNS_COOKIE_SIZE */
    size_t nsid_size;   /* 0: none; at most DNS_NSID_MAX */
    const char *nsid;   /* borrowed */
    enum dns_part keepalive;
    uint16_t keepalive_ds; /* tenths of a second */
    uint16_t error_count;
    struct dns_extended errors[DNS_EXTENDED_MAX];
    uint8_t cookie[DNS_COOKIE_SIZE];
};

/* Nothing. The rest is filled in by whoever knows it. */
void dns_extras_init(struct dns_extras *extras);

/* Adds an extended error; more than DNS_EXTENDED_MAX are not sent. */
void dns_extras_add_error(struct dns_extras *extras, enum dns_extended_error code,
                          const char *text);

/* Bytes to keep free for the options: all but extended errors, of which one without text
 * may come later. */
size_t dns_extras_size(const struct dns_extras *extras);

/* Appends RDLENGTH and options. Extended errors, and before them their texts, are left
 * out where they do not fit. */
void dns_extras_write(const struct dns_extras *extras, struct rc_writer *bytes);

#endif
