/* forward_flight.h - questions under way to other servers, and who waits for them.
 *
 * Equal questions are asked once. A question goes to one server after the other until one
 * answers or its time is over. A fixed number of questions and of those who wait, and a
 * smaller one for each client, so that nobody can use up what others need. Pure: it says what
 * to do, the edge does it. */
#ifndef DNS_FORWARD_FORWARD_FLIGHT_H
#define DNS_FORWARD_FORWARD_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"
#include "dns/forward/forward_key.h"
#include "dns/forward/forward_options.h"

enum {
    DNS_FLIGHTS_MAX = 1024,
    DNS_WAITERS_MAX = 2048,        /* of all flights */
    DNS_WAITERS_CLIENT_MAX = 64,   /* of one address */
    DNS_WAITERS_LOOPBACK_MAX = 512 /* all that runs on this machine has that address */
};

/* Somebody who waits; the edge embeds it in what it knows of them. */
struct dns_waiter {
    struct dns_waiter *next; /* of the flight */
    struct rc_address client;
};

struct dns_flight {
    struct dns_flight *next; /* of a bucket, or free */
    struct dns_flight *newer;
    struct dns_flight *older;
    struct dns_forward_key key;
    struct dns_waiter *waiters; /* the last one first */
    uint64_t deadline_ms;
    uint8_t order[DNS_FORWARD_SERVERS_MAX];
    uint8_t count;          /* of `order` */
    uint8_t position;       /* of the server that is asked */
    uint8_t hops;           /* of the mark to send */
    uint8_t failure;        /* what to tell if all fail: an enum dns_upstream_result */
    uint64_t instance;      /* of the mark to send */
    enum dns_part is_plain; /* the server is asked without EDNS */
    void *asked;            /* the edge's: the attempt that is waited for */
};

struct dns_flights;

/* NULL when memory is out. */
struct dns_flights *dns_flights_create(uint64_t seed);
void dns_flights_destroy(
    struct dns_flights *flights); /* all have ended; NULL is allowed */

/* The flight of an equal question, or NULL. */
struct dns_flight *dns_flights_find(struct dns_flights *flights,
                                    const struct dns_forward_key *key);

/* Whether somebody may wait for one more question, of that client. */
bool dns_flights_has_room(struct dns_flights *flights, const struct dns_forward_key *key,
                          const struct rc_address *client);

/* A new one, ended by dns_flights_end(); NULL: there are too many. */
struct dns_flight *dns_flights_begin(struct dns_flights *flights,
                                     const struct dns_forward_key *key,
                                     uint64_t deadline_ms);

/* Adds somebody who waits. RC_OK, or RC_ETOOBIG: too many wait, or too many of that client's. */
int dns_flights_join(struct dns_flights *flights, struct dns_flight *flight,
                     struct dns_waiter *waiter);

/* The flight is over: returns those who wait, first come first, and frees it. */
struct dns_waiter *dns_flights_end(struct dns_flights *flights,
                                   struct dns_flight *flight);

/* The oldest, or NULL; later ones by `newer`. Deadlines only grow. */
struct dns_flight *dns_flights_oldest(struct dns_flights *flights);

size_t dns_flights_count(const struct dns_flights *flights);
size_t dns_flights_waiters(const struct dns_flights *flights);

#endif
