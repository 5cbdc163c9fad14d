/* answer.h - the question of a packet and a view of the catalog give the answer packet.
 *
 * Names, records, codes and settings are Consul's (its DNS interface of version 1.10);
 * where we differ on purpose is listed in tests/fixtures/dns/DEVIATIONS.md. What to do
 * with bad queries follows RFC 1035, 6891, 8906 and 9619. Pure: no clock, no socket, no
 * allocation. Names of other zones, and what only another thread can say, are passed on
 * by the verdict. */
#ifndef DNS_ANSWER_ANSWER_H
#define DNS_ANSWER_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/random.h"
#include "dns/answer/rate.h"
#include "dns/answer/view.h"

struct dns_cookie_secrets; /* cookie.h */

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
    enum dns_choice consul_compat; /* where we differ on purpose, do as Consul does */
    uint32_t udp_answer_limit;     /* 0: as many as fit, else so many without EDNS */
    uint32_t a_record_limit;       /* 0: none, else so many A and AAAA in an answer */
    uint64_t max_stale_ms; /* a node silent for longer: the answer says so; default:
                                    * never */
    struct {
        uint32_t refresh_s;
        uint32_t retry_s;
        uint32_t expire_s;
        uint32_t min_ttl_s;
    } soa;
    const char *nsid;     /* name of this server for who asks (RFC 5001), or NULL */
    const char *version;  /* of version.bind in class CHAOS, or NULL */
    const char *identity; /* of id.server in class CHAOS, or NULL */
    const struct dns_cookie_secrets *cookies; /* NULL: none are given */
    struct dns_rate *rate;                    /* NULL: nobody is limited */
};

/* Consul's defaults, but TC on, no answer limit and no TXT in additional. */
void dns_options_init(struct dns_options *options);

/* How the query came, which decides how large its answer may be. */
enum dns_channel { DNS_CHANNEL_UDP_REMOTE, DNS_CHANNEL_UDP_LOCAL, DNS_CHANNEL_TCP };

/* Who asks, and when: filled in by the edge, once for each packet or connection. */
struct dns_client {
    struct rc_address peer; /* with its port */
    enum dns_channel channel;
    enum dns_choice may_recurse; /* its questions about other zones are passed on */
    enum dns_choice is_counted;  /* by the limit, when its question came: not once more */
    uint32_t idle_ms; /* TCP: how long a connection may be idle now (RFC 7828) */
    uint64_t now_ms;  /* monotonic, as of the batch */
    uint64_t wall_ms; /* since 1970 UTC, as of the batch */
};

struct dns_extras;  /* edns.h */
struct dns_foreign; /* foreign.h */
struct dns_name;    /* name.h */
struct dns_query;   /* message.h */

/* Who has the answer. With FORWARD and AGENT `out` holds what to say if they cannot be
 * asked: REFUSED, or SERVFAIL. */
enum dns_verdict {
    DNS_VERDICT_NOTHING, /* it deserves no answer */
    DNS_VERDICT_ANSWER,  /* `out` */
    DNS_VERDICT_FORWARD, /* other servers: a name of another zone, or ours leads there */
    DNS_VERDICT_AGENT,   /* the agent's own loop: the view said DNS_ELSEWHERE */
    DNS_VERDICT_COUNT
};

/* What was done because a client's network asks too often (rate.h). */
enum dns_limit { DNS_LIMIT_NONE, DNS_LIMIT_SLIPPED, DNS_LIMIT_DROPPED, DNS_LIMIT_COUNT };

/* What came of a query. */
struct dns_outcome {
    enum dns_verdict verdict;
    const struct dns_query *query;   /* as read, with NOTHING NULL; borrowed until the
                                    * answerer's next call, as are the packet's bytes */
    const struct dns_extras *extras; /* of the OPT in `out`; borrowed like `query` */
    const struct dns_name *foreign;  /* FORWARD: the host of another zone that a name of
                                      * ours leads to, borrowed; NULL: the question's */
    size_t size;                     /* of the answer in `out`; 0: send nothing */
    uint16_t type;                   /* of the question; 0 if it was not understood */
    uint16_t rcode;                  /* with EDNS bits: 16 is BADVERS */
    enum dns_choice truncated;
    enum dns_limit limit;
    enum dns_rate_class limit_class; /* unless that is NONE */
};

struct dns_answerer; /* options prepared for use, and working space */

/* `options` and `view` are borrowed and must outlive the answerer; one answerer serves
 * one thread. RC_OK, RC_EMALFORMED (a domain is not a host name), RC_ENOMEM. */
int dns_answerer_create(const struct dns_options *options, const struct dns_view *view,
                        uint64_t random_seed, struct dns_answerer **out);
void dns_answerer_destroy(struct dns_answerer *answerer); /* NULL is allowed */

/* Where hosts of other zones are looked up; borrowed; NULL: nowhere, as at first. */
void dns_answerer_set_foreign(struct dns_answerer *answerer,
                              const struct dns_foreign *foreign);

/* Answers the `size` bytes of `query` into `out` (`out_max` bytes, at least 512; more
 * than 65 535 is not used). A packet that deserves no answer gives size 0. */
struct dns_outcome dns_answer(struct dns_answerer *answerer,
                              const struct dns_client *client, const uint8_t *query,
                              size_t size, uint8_t *out, size_t out_max);

/* The same without the short way of lane.h: for tests, which hold the two equal. */
struct dns_outcome dns_answer_at_length(struct dns_answerer *answerer,
                                        const struct dns_client *client,
                                        const uint8_t *query, size_t size, uint8_t *out,
                                        size_t out_max);

#endif
