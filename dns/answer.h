/* answer.h - the question of a packet and a view of the catalog give the answer packet.
 *
 * Names, records, codes and settings are Consul's (its DNS interface of version 1.10);
 * where we differ on purpose is listed in tests/fixtures/dns/DEVIATIONS.md. What to do
 * with bad queries follows RFC 1035, 6891, 8906 and 9619. Pure: no clock, no socket, no
 * allocation. Recursion, cookies and rate limits are not here. */
#ifndef DNS_ANSWER_H
#define DNS_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "dns/view.h"

enum {
    DNS_MESSAGE_MAX = 65535,
    DNS_UDP_PLAIN_MAX = 512,   /* RFC 1035 section 4.2.1 */
    DNS_UDP_REMOTE_MAX = 1232, /* passes every path unfragmented (DNS flag day 2020) */
    DNS_UDP_LOCAL_MAX = 65507  /* largest UDP payload over IPv4 */
};

enum dns_choice { DNS_NO, DNS_YES };

/* TTL of a service name: "web", "web*" (prefix) or "*". Exact wins, then the longest. */
struct dns_service_ttl {
    const char *pattern;
    uint32_t ttl_s;
};

/* Consul's `domain`, `alt_domain` and `dns_config`. All texts and arrays are borrowed.
 * Fill with dns_options_init() first. All but the domains may change between answers. */
struct dns_options {
    const char *domain;     /* "rollcall": at most 200 characters, final dot allowed */
    const char *alt_domain; /* a second zone, or NULL */
    uint32_t node_ttl_s;
    const struct dns_service_ttl *service_ttls;
    size_t service_ttl_count;
    enum dns_choice only_passing;     /* leave out instances with a warning */
    enum dns_choice enable_truncate;  /* TC on cut answers; default yes */
    enum dns_choice node_meta_txt;    /* node metadata as TXT in additional; default no */
    enum dns_choice empty_service_ok; /* known, none usable: NODATA, not NXDOMAIN */
    enum dns_choice disable_compression;
    uint32_t udp_answer_limit; /* 0: as many as fit, else so many without EDNS */
    uint32_t a_record_limit;   /* 0: none, else so many A and AAAA in an answer */
    struct {
        uint32_t refresh_s;
        uint32_t retry_s;
        uint32_t expire_s;
        uint32_t min_ttl_s;
    } soa;
};

/* Consul's defaults, but TC on, no answer limit and no TXT in additional. */
void dns_options_init(struct dns_options *options);

/* How the query came, which decides how large its answer may be. */
enum dns_channel { DNS_CHANNEL_UDP_REMOTE, DNS_CHANNEL_UDP_LOCAL, DNS_CHANNEL_TCP };

/* What came of a query; for counting. */
struct dns_outcome {
    size_t size;    /* of the answer in `out`; 0: send nothing */
    uint16_t type;  /* of the question; 0 if it was not understood */
    uint16_t rcode; /* with EDNS bits: 16 is BADVERS */
    enum dns_choice truncated;
};

struct dns_answerer; /* options prepared for use, and working space */

/* `options` and `view` are borrowed and must outlive the answerer; one answerer serves
 * one thread. RC_OK, RC_EMALFORMED (a domain is not a host name), RC_ENOMEM. */
int dns_answerer_create(const struct dns_options *options, const struct dns_view *view,
                        uint64_t random_seed, struct dns_answerer **out);
void dns_answerer_destroy(struct dns_answerer *answerer); /* NULL is allowed */

/* Answers the `size` bytes of `query` into `out` (`out_max` bytes, at least 512; more
 * than 65 535 is not used). A packet that deserves no answer gives size 0. */
struct dns_outcome dns_answer(struct dns_answerer *answerer, enum dns_channel channel,
                              const uint8_t *query, size_t size, uint8_t *out,
                              size_t out_max);

#endif
