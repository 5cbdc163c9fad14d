#include "dns/forward/forward_flight.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"

enum { BUCKETS = 1024 };

/* How many wait that came from one address. */
struct client {
    struct client *next; /* of a bucket, or free */
    struct rc_address ip;
    size_t count;
};

struct dns_flights {
    uint64_t seed;
    struct dns_flight *buckets[BUCKETS];
    struct client *client_buckets[BUCKETS];
    struct dns_flight *newest;
    struct dns_flight *oldest;
    struct dns_flight *free_flights;
    struct client *free_clients;
    size_t count;
    size_t waiters;
    size_t flights_used; /* those behind were never touched, and cost no memory */
    size_t clients_used;
    struct dns_flight flights[DNS_FLIGHTS_MAX];
    struct client clients[DNS_WAITERS_MAX];
};

struct dns_flights *dns_flights_create(uint64_t seed)
{
    struct dns_flights *flights = calloc(1, sizeof *flights);

    if (flights == NULL) {
        return NULL;
    }
    flights->seed = seed;
    return flights;
}

void dns_flights_destroy(struct dns_flights *flights)
{
    assert(flights == NULL || flights->count == 0);
    free(flights);
}

static struct dns_flight **bucket_of(struct dns_flights *flights,
                                     const struct dns_forward_key *key)
{
    return &flights->buckets[key->hash % BUCKETS];
}

struct dns_flight *dns_flights_find(struct dns_flights *flights,
                                    const struct dns_forward_key *key)
{
    struct dns_flight *flight = *bucket_of(flights, key);

    while (flight != NULL && !dns_forward_key_equals(&flight->key, key)) {
        flight = flight->next;
    }
    return flight;
}

struct dns_flight *dns_flights_begin(struct dns_flights *flights,
                                     const struct dns_forward_key *key,
                                     uint64_t deadline_ms)
{
    struct dns_flight *flight = flights->free_flights;
    struct dns_flight **bucket = bucket_of(flights, key);

    if (flight != NULL) {
        flights->free_flights = flight->next;
    } else if (flights->flights_used < DNS_FLIGHTS_MAX) {
        flight = &flights->flights[flights->flights_used++];
    } else {
        return NULL;
    }
    memset(flight, 0, sizeof *flight);
    flight->key = *key;
    flight->deadline_ms = deadline_ms;
    flight->next = *bucket;
    *bucket = flight;
    flight->older = flights->newest;
    *(flight->older != NULL ? &flight->older->newer : &flights->oldest) = flight;
    flights->newest = flight;
    flights->count++;
    return flight;
}

static struct client **client_place(struct dns_flights *flights,
                                    const struct rc_address *ip)
{
    uint64_t hash = rc_hash(ip->ip, sizeof ip->ip, flights->seed);
    struct client **place = &flights->client_buckets[hash % BUCKETS];

    while (*place != NULL && !rc_address_ip_equals(&(*place)->ip, ip)) {
        place = &(*place)->next;
    }
    return place;
}

static bool may_wait(const struct dns_flights *flights, const struct client *known,
                     const struct rc_address *ip)
{
    size_t max =
        rc_address_is_loopback(ip) ? DNS_WAITERS_LOOPBACK_MAX : DNS_WAITERS_CLIENT_MAX;

    return flights->waiters < DNS_WAITERS_MAX && (known == NULL || known->count < max);
}

bool dns_flights_has_room(struct dns_flights *flights, const struct dns_forward_key *key,
                          const struct rc_address *client)
{
    return may_wait(flights, *client_place(flights, client), client) &&
           (flights->count < DNS_FLIGHTS_MAX || dns_flights_find(flights, key) != NULL);
}

int dns_flights_join(struct dns_flights *flights, struct dns_flight *flight,
                     struct dns_waiter *waiter)
{
    struct client **place = client_place(flights, &waiter->client);

    if (!may_wait(flights, *place, &waiter->client)) {
        return RC_ETOOBIG;
    }
    if (*place == NULL) {
        struct client *client = flights->free_clients;
        if (client != NULL) {
            flights->free_clients = client->next;
        } else {
            assert(flights->clients_used < DNS_WAITERS_MAX); /* as many as may wait */
            client = &flights->clients[flights->clients_used++];
        }
        *client = (struct client){.ip = waiter->client};
        *place = client;
    }
    (*place)->count++;
    flights->waiters++;
    waiter->next = flight->waiters;
    flight->waiters = waiter;
    return RC_OK;
}

static void leave(struct dns_flights *flights, const struct dns_waiter *waiter)
{
    struct client **place = client_place(flights, &waiter->client);
    struct client *client = *place;

    assert(client != NULL && client->count > 0 && flights->waiters > 0);
    flights->waiters--;
    if (--client->count == 0) {
        *place = client->next;
        client->next = flights->free_clients;
        flights->free_clients = client;
    }
}

struct dns_waiter *dns_flights_end(struct dns_flights *flights, struct dns_flight *flight)
{
    struct dns_flight **place = bucket_of(flights, &flight->key);
    struct dns_waiter *first = NULL;

    while (*place != flight) {
        place = &(*place)->next;
    }
    *place = flight->next;
    *(flight->newer != NULL ? &flight->newer->older : &flights->newest) = flight->older;
    *(flight->older != NULL ? &flight->older->newer : &flights->oldest) = flight->newer;
    while (flight->waiters != NULL) {
        struct dns_waiter *waiter = flight->waiters;
        flight->waiters = waiter->next;
        leave(flights, waiter);
        waiter->next = first;
        first = waiter;
    }
    flight->next = flights->free_flights;
    flights->free_flights = flight;
    assert(flights->count > 0);
    flights->count--;
    return first;
}

struct dns_flight *dns_flights_oldest(struct dns_flights *flights)
{
    return flights->oldest;
}

size_t dns_flights_count(const struct dns_flights *flights)
{
    return flights->count;
}

size_t dns_flights_waiters(const struct dns_flights *flights)
{
    return flights->waiters;
}
