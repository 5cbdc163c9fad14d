/* resolve_ares.h - where are the instances of a service, asked over DNS?
 *
 * SRV questions to given servers by c-ares on a libuv loop. The raw answers go
 * through our own codec, because c-ares 1.18 hides TTLs and the additional
 * section. Targets without an address in the answer are asked for in parallel.
 * No cache, no timer for refreshing: that is the caller's policy. */
#ifndef DNS_RESOLVE_RESOLVE_ARES_H
#define DNS_RESOLVE_RESOLVE_ARES_H

#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

struct uv_loop_s; /* uv_loop_t of libuv */

enum {
    DNS_RESOLVE_SERVERS_MAX = 8,
    DNS_RESOLVE_TARGETS_MAX = 1024,
    DNS_RESOLVE_NAME_MAX = 256 /* a name as text with its NUL */
};

enum dns_transport {
    DNS_TRANSPORT_TCP, /* the default: nothing is cut */
    DNS_TRANSPORT_UDP, /* a cut answer is repeated over TCP */
};

struct dns_resolve_options {
    const struct rc_address *servers; /* tried in this order; copied; port 0 means 53 */
    size_t server_count;              /* 1 to DNS_RESOLVE_SERVERS_MAX */
    enum dns_transport transport;
    uint32_t timeout_ms; /* of one try; 0 means 2 000 */
    uint32_t tries;      /* per server; 0 means 2 */
};

/* What the answer is worth. Removing what a result lacks is right only after FULL. */
enum dns_verdict {
    DNS_VERDICT_FULL,    /* all targets, each with an address */
    DNS_VERDICT_PARTIAL, /* cut, or some targets had no address: those listed are good */
    DNS_VERDICT_EMPTY,   /* the server says that there are none (NXDOMAIN or no SRV) */
    DNS_VERDICT_FAILED,  /* no server gave an answer; says nothing about the service */
    DNS_VERDICT_COUNT
};

/* One instance at one address; a target with several is listed once for each. */
struct dns_target {
    struct rc_address address; /* with the SRV port */
    uint16_t priority;         /* the lowest is to be used first */
    uint16_t weight;
    char name[DNS_RESOLVE_NAME_MAX]; /* the SRV target, lower case, without final dot */
};

struct dns_result {
    enum dns_verdict verdict;
    const struct dns_target *targets; /* borrowed during the callback; unordered */
    size_t target_count;
    uint32_t
        min_ttl_s; /* smallest TTL of all records used; of EMPTY the SOA minimum, or 0 */
    const char *problem; /* of PARTIAL and FAILED: why, in words; static. Else NULL */
};

/* Called exactly once for each accepted question, never from within dns_resolve_srv(). */
typedef void (*dns_resolve_done)(void *context, const struct dns_result *result);

struct dns_resolver;

/* A resolver on `loop`. RC_OK with `*out` owned by the caller until dns_resolver_close();
 * RC_EINVAL (no or too many servers), RC_ENOMEM, RC_EIO (c-ares does not start). */
int dns_resolver_start(struct uv_loop_s *loop, const struct dns_resolve_options *options,
                       struct dns_resolver **out);

/* Asks for the SRV records of `name` ("_web._tcp.service.rollcall", final dot allowed).
 * Several questions may be under way. RC_OK, RC_EMALFORMED (no such name can exist),
 * RC_EAGAIN (64 are under way), RC_ENOMEM, RC_ECLOSED. */
int dns_resolve_srv(struct dns_resolver *resolver, const char *name,
                    dns_resolve_done done, void *context);

/* Asks for the A and AAAA records of `name`; `port` goes into each address, the weight is 1.
 * Likewise. */
int dns_resolve_addresses(struct dns_resolver *resolver, const char *name, uint16_t port,
                          dns_resolve_done done, void *context);

/* Ends all questions (each `done` hears FAILED, from within this call), then its handles;
 * frees `resolver` and calls `on_closed`, which may be NULL, from the loop. */
void dns_resolver_close(struct dns_resolver *resolver, void (*on_closed)(void *context),
                        void *context);

#endif
