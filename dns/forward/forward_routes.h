/* forward_routes.h - which servers are asked about a name, and in which order?
 *
 * The longest suffix of the name wins, label by label; then the servers of that route,
 * healthy ones first, the fastest of them first. No question is asked for health's sake: what
 * is known comes from answers to clients, of which a server that is down, or was not asked
 * for a while, gets a copy now and then. Pure. */
#ifndef DNS_FORWARD_FORWARD_ROUTES_H
#define DNS_FORWARD_FORWARD_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "base/random.h"
#include "dns/forward/forward_options.h"
#include "dns/wire/name.h"

enum {
    DNS_UPSTREAMS_MAX = 128,
    DNS_UPSTREAM_NONE = DNS_UPSTREAMS_MAX,
    DNS_UPSTREAM_DOWN_AFTER = 2,       /* failures in a row */
    DNS_UPSTREAM_AGAIN_MIN_MS = 1000,  /* a server that is down gets a copy, then twice */
    DNS_UPSTREAM_AGAIN_MAX_MS = 30000, /* as late each time */
    DNS_UPSTREAM_MEASURE_MS = 60000    /* a slower one: to see whether it still is */
};

/* What came of asking one server. */
enum dns_upstream_result {
    DNS_UPSTREAM_ANSWERED,  /* something that is an answer, be it that there is none */
    DNS_UPSTREAM_DECLINED,  /* SERVFAIL, REFUSED: perhaps only for that name */
    DNS_UPSTREAM_SILENT,    /* no answer in time */
    DNS_UPSTREAM_UNREACHED, /* the system could not send, or the port is closed */
    DNS_UPSTREAM_GARBLED,   /* no answer to that question */
    DNS_UPSTREAM_RESULT_COUNT
};

enum dns_upstream_news {
    DNS_UPSTREAM_AS_BEFORE,
    DNS_UPSTREAM_WENT_DOWN,
    DNS_UPSTREAM_CAME_BACK
};

struct dns_upstream {
    struct rc_address address;
    uint64_t smoothed_us; /* of its answers; 0: none yet */
    uint64_t asked_ms;    /* when last */
    uint64_t again_ms;    /* down: when to try again */
    uint32_t failures;    /* in a row */
    uint32_t wait_ms;     /* down: between tries */
    enum dns_choice is_down;
    enum dns_choice without_edns; /* it does not understand OPT */
};

struct dns_routes;

/* Routes to the servers of `options`, `system` standing for those of the system's file.
 * Those that are ourselves are left out; `*self` is one of them (family NONE: none). RC_OK
 * with `*out` owned by the caller, RC_EMALFORMED (a suffix is not a name), RC_ETOOBIG (too
 * many servers), RC_ENOMEM. */
int dns_routes_create(const struct dns_forward_options *options,
                      const struct rc_address *system, size_t system_count,
                      struct rc_address *self, struct dns_routes **out);
void dns_routes_destroy(struct dns_routes *routes); /* NULL is allowed */

size_t dns_routes_upstream_count(const struct dns_routes *routes);
struct dns_upstream *dns_routes_upstream(struct dns_routes *routes, size_t i);

/* Fills `order` with the servers to ask about `name`, the first one first; none that is in a
 * loop. Returns how many; 0: there is no route, or nobody on it. */
size_t dns_routes_order(struct dns_routes *routes, const struct dns_name *name,
                        struct rc_random *random, uint8_t order[DNS_FORWARD_SERVERS_MAX]);

/* Whether there is a route for that name, be it that nobody on it may be asked. */
bool dns_routes_has(const struct dns_routes *routes, const struct dns_name *name);

/* A server of `order` that should get a copy of the question now, or DNS_UPSTREAM_NONE. It
 * counts as asked. */
size_t dns_routes_copy_to(struct dns_routes *routes, const uint8_t *order, size_t count,
                          uint64_t now_ms);

/* What came of asking server `i`. */
enum dns_upstream_news dns_routes_result(struct dns_routes *routes, size_t i,
                                         enum dns_upstream_result result,
                                         uint64_t took_us, uint64_t now_ms);

#endif
