/* message.h - DNS messages: a query read, an answer written.
 *
 * RFC 1035 section 4, EDNS0 by RFC 6891. Nothing is decided here about names. */
#ifndef DNS_WIRE_MESSAGE_H
#define DNS_WIRE_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/writer.h"
#include "dns/wire/edns.h"
#include "dns/wire/name.h"

/* Numbers of the IANA registry, as far as we act on them. */
enum dns_type {
    DNS_TYPE_A = 1,
    DNS_TYPE_NS = 2,
    DNS_TYPE_CNAME = 5,
    DNS_TYPE_SOA = 6,
    DNS_TYPE_PTR = 12,
    DNS_TYPE_TXT = 16,
    DNS_TYPE_SIG = 24,
    DNS_TYPE_AAAA = 28,
    DNS_TYPE_SRV = 33,
    DNS_TYPE_OPT = 41,
    DNS_TYPE_TSIG = 250,
    DNS_TYPE_IXFR = 251,
    DNS_TYPE_AXFR = 252,
    DNS_TYPE_ANY = 255
};

enum dns_rcode {
    DNS_RCODE_NOERROR = 0,
    DNS_RCODE_FORMERR = 1,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NOTIMP = 4,
    DNS_RCODE_REFUSED = 5,
    DNS_RCODE_BADVERS = 16,
    DNS_RCODE_BADCOOKIE = 23
};

enum {
    DNS_CLASS_IN = 1,
    DNS_CLASS_CHAOS = 3,
    DNS_HEADER_SIZE = 12,
    DNS_FLAG_QR = 0x8000,
    DNS_FLAG_AA = 0x0400,
    DNS_FLAG_TC = 0x0200,
    DNS_FLAG_RD = 0x0100,
    DNS_FLAG_RA = 0x0080,
    DNS_FLAG_AD = 0x0020,
    DNS_FLAG_CD = 0x0010,
    DNS_OPCODE_MASK = 0x7800,
    DNS_OPCODE_NOTIFY = 4 << 11,       /* at its place among the flags */
    DNS_QUESTION_AT = DNS_HEADER_SIZE, /* where the question's name is in an answer */
    DNS_EDNS_SIZE = 1232               /* the UDP size we announce */
};

/* What becomes of queries that are wrong. */
enum dns_patience { DNS_PATIENCE_NONE, DNS_PATIENCE_OF_CONSUL };

struct dns_query {
    enum dns_patience patience;
    uint16_t id;
    uint16_t flags;         /* as sent */
    uint16_t rcode;         /* NOERROR, or why it cannot be answered */
    enum dns_part question; /* understood, so an answer echoes it; MISSING with NOERROR:
                             * asks for nothing but a cookie (RFC 7873 section 5.4) */
    const uint8_t *bytes;   /* the question as sent, case kept; borrowed */
    size_t question_size;   /* of those */
    struct dns_name name;
    uint16_t type;
    uint16_t class;
    enum dns_part edns; /* a readable OPT record */
    uint16_t edns_size; /* what the client can take over UDP */
    uint16_t edns_flags;
    struct dns_asked asked; /* all zero without options */
};

/* Reads a query. RC_OK: it is to be answered, with `out->rcode` if that is not NOERROR.
 * RC_EMALFORMED: it deserves no answer (shorter than a header, or itself an answer). */
int dns_query_read(const uint8_t *bytes, size_t size, struct dns_query *out);

/* The same as Consul does it: NOTIFY is a query like any other, every version of EDNS is
 * version 0, options that cannot be read are none. */
int dns_query_read_as_consul(const uint8_t *bytes, size_t size, struct dns_query *out);

enum dns_section {
    DNS_SECTION_ANSWER,
    DNS_SECTION_AUTHORITY,
    DNS_SECTION_ADDITIONAL,
    DNS_SECTION_COUNT
};

enum { DNS_ANCHORS_MAX = 8 };

/* An answer under construction: whole records, as long as they fit. */
struct dns_writer {
    struct rc_writer bytes;
    struct rc_writer mark; /* where the open record began */
    uint8_t *rdlength;     /* of the open record */
    size_t reserved;       /* kept free at the end for OPT */
    uint16_t counts[DNS_SECTION_COUNT];
    uint16_t anchors[DNS_ANCHORS_MAX]; /* names that later ones may point to */
    size_t anchor_count;
    enum dns_part compression;
};

/* Starts an answer to `query` of at most `size` (>= 512) bytes: a header, filled in at
 * the end, and the question. Room is kept for `extras` and one extended error more. */
void dns_writer_begin(struct dns_writer *writer, const struct dns_query *query,
                      const struct dns_extras *extras, uint8_t *space, size_t size,
                      enum dns_part compression);

/* Opens a record. Its owner is a name already in the message, or any name. */
void dns_record_open_at(struct dns_writer *writer, size_t owner_at, uint16_t type,
                        uint32_t ttl_s);
void dns_record_open(struct dns_writer *writer, const struct dns_name *owner,
                     uint16_t type, uint32_t ttl_s);

/* Makes the record that was just opened one of another class than IN. */
void dns_record_class(struct dns_writer *writer, uint16_t class);

/* Appends a name to the open record's data, compressed against names written before: for
 * types of RFC 1035 only (RFC 3597 section 4). Other data goes to `writer->bytes`. */
void dns_record_name(struct dns_writer *writer, const struct dns_name *name);

/* Counts the open record in `section`; PRESENT. If it did not fit, it is taken back and
 * the message is as before; MISSING. */
enum dns_part dns_record_close(struct dns_writer *writer, enum dns_section section);

/* Keeps `size` bytes free for records that come later; MISSING: there is not so much. */
enum dns_part dns_writer_set_aside(struct dns_writer *writer, size_t size);
void dns_writer_give_back(struct dns_writer *writer, size_t size);

/* Where the next byte will stand in the message; for owners of later records. */
size_t dns_writer_at(const struct dns_writer *writer);

/* Completes the message: OPT with `extras` if the query had one, flags (AA, TC as given),
 * code, counts. Returns its size. */
size_t dns_writer_end(struct dns_writer *writer, const struct dns_query *query,
                      uint16_t flags, uint16_t rcode, const struct dns_extras *extras);

#endif
