/* forward_message.h - questions that we send to other servers, and what they answer.
 *
 * RFC 1035 section 4. Queries are our own, nothing of the client's goes out but name, type
 * and the bits DO and CD: an OPT of 1 232 bytes with our loop mark, and letters of random
 * case, which the answer must repeat byte for byte (draft-vixie-dnsext-dns0x20): who wants
 * to forge an answer has to guess them too. */
#ifndef DNS_FORWARD_FORWARD_MESSAGE_H
#define DNS_FORWARD_FORWARD_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/wire/message.h"

enum {
    DNS_KEPT_RECORDS_MAX = 5958,      /* more do not fit a message: 11 bytes each */
    DNS_FORWARD_QUERY_MAX = 320,      /* header, question, OPT with our mark */
    DNS_FORWARD_TTL_MAX_S = 3600,     /* nothing is kept for longer */
    DNS_FORWARD_NEGATIVE_MAX_S = 300, /* nor that there is nothing */
    DNS_FORWARD_FAILURE_S = 1, /* RFC 9520 section 3.2: failures at least so long */
    DNS_FORWARD_HOPS_MAX = 4,  /* of our mark; more is a loop */
    DNS_EDNS_DO = 0x8000
};

/* The option DNS_OPTION_LOOP_MARK: who asked first, and how many of us passed it on. */
struct dns_forward_mark {
    uint64_t instance; /* of an agent, the same for all its workers */
    uint8_t hops;      /* 1: asked by that agent itself; 0: no mark */
};

/* What is asked. Two are the same question if these are, but for letter case. */
struct dns_forward_question {
    const struct dns_name *name; /* borrowed */
    uint16_t type;
    enum dns_part wants_dnssec; /* DO: signatures, too */
    enum dns_part unchecked;    /* CD: also what fails validation */
};

/* The mark of a query; hops 0 if it has none that we understand. */
struct dns_forward_mark dns_forward_mark_read(const struct dns_query *query);

/* Writes a query with id 0; returns its size. Without EDNS if `edns` is MISSING. */
size_t dns_forward_query_write(const struct dns_forward_question *question,
                               const struct dns_forward_mark *mark, enum dns_part edns,
                               struct rc_random *random,
                               uint8_t out[DNS_FORWARD_QUERY_MAX]);

/* An answer as it can be kept: all records but OPT, from the byte behind the question, so
 * that names which point to the question take on the letters of whoever asks. */
struct dns_kept {
    uint16_t rcode;
    uint16_t counts[DNS_SECTION_COUNT];
    uint16_t record_count;           /* of all sections */
    enum dns_part authentic;         /* AD: validated, says the upstream */
    enum dns_part cut;               /* TC, even over TCP */
    uint32_t ttl_s;                  /* the smallest; 0: not to be kept */
    enum dns_extended_error failure; /* why there is no answer; NONE: there is one */
    size_t records_at;               /* where they begin in the message */
    size_t size;                     /* of the records */
    const uint8_t *records;          /* borrowed */
    const uint16_t *ttl_at;          /* of each record, from `records`; borrowed */
};

/* Reads an answer to `sent` (the query, `sent_size` bytes). TTLs above our limits are
 * lowered, and the name of the question made lower case where it is repeated, in `bytes`
 * itself, which `out` borrows, as it does `ttl_at`.
 *
 * RC_OK: it answers the question, `out->rcode` says how. RC_EMALFORMED: it is no answer to
 * that, letter by letter, or broken in itself. */
int dns_kept_read(uint8_t *bytes, size_t size, const uint8_t *sent, size_t sent_size,
                  uint16_t ttl_at[DNS_KEPT_RECORDS_MAX], struct dns_kept *out);

/* How old an answer is, or that it is stale: then all TTLs are DNS_FORWARD_STALE_TTL_S. */
enum { DNS_FORWARD_STALE_TTL_S = 30, DNS_FORWARD_AGE_STALE = -1 };

/* What the answer to a client is made of, besides the records. */
struct dns_forward_frame {
    const struct dns_query *query;
    const struct dns_extras *extras;
    size_t limit; /* of the answer: by dns_answer_limit() */
};

/* Writes kept records as an answer: TTLs less `age_s`, cut at a record's end if it is over
 * the limit, TC if it is an answer that is missing. Returns its size; `*is_cut` says whether
 * TC is set. */
size_t dns_kept_write(const struct dns_kept *kept, int64_t age_s,
                      const struct dns_forward_frame *frame, uint8_t *out,
                      enum dns_part *is_cut);

/* An answer without records. */
size_t dns_forward_error_write(uint16_t rcode, const struct dns_forward_frame *frame,
                               uint8_t *out);

#endif
