/* tls_tickets.c - see tls_tickets.h. */
#include "proxy/tls/tls_tickets.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/entropy.h"

enum {
    RING = 8
}; /* far more than are kept: who holds a key is done long before it is written over */

struct tls_tickets {
    _Atomic uint32_t references;
    _Atomic unsigned newest; /* grows; its key stands at newest % RING */
    struct tls_ticket_key keys[RING];
    uint64_t rotated_at_ms; /* 0 = not ticked yet */
};

struct tls_tickets *tls_tickets_create(void)
{
    struct tls_tickets *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    atomic_init(&made->references, 1);
    atomic_init(&made->newest, TLS_TICKETS_KEPT);
    rc_entropy(made->keys, sizeof made->keys); /* also those that were never used */
    return made;
}

struct tls_tickets *tls_tickets_retain(struct tls_tickets *tickets)
{
    (void)atomic_fetch_add_explicit(&tickets->references, 1, memory_order_relaxed);
    return tickets;
}

void tls_tickets_release(struct tls_tickets *tickets)
{
    if (tickets != NULL &&
        atomic_fetch_sub_explicit(&tickets->references, 1, memory_order_acq_rel) == 1) {
        explicit_bzero(tickets, sizeof *tickets);
        free(tickets);
    }
}

void tls_tickets_rotate(struct tls_tickets *tickets)
{
    unsigned next = atomic_load_explicit(&tickets->newest, memory_order_relaxed) + 1;
    struct tls_ticket_key *key = &tickets->keys[next % RING];
    rc_entropy(key, sizeof *key);
    atomic_store_explicit(&tickets->newest, next, memory_order_release);
}

void tls_tickets_tick(struct tls_tickets *tickets, uint64_t now_ms)
{
    if (tickets->rotated_at_ms == 0) {
        tickets->rotated_at_ms = now_ms;
    } else if (now_ms - tickets->rotated_at_ms >= TLS_TICKETS_ROTATE_MS) {
        tickets->rotated_at_ms = now_ms;
        tls_tickets_rotate(tickets);
    }
}

const struct tls_ticket_key *tls_tickets_newest(const struct tls_tickets *tickets)
{
    unsigned newest = atomic_load_explicit(&tickets->newest, memory_order_acquire);
    return &tickets->keys[newest % RING];
}

const struct tls_ticket_key *tls_tickets_find(const struct tls_tickets *tickets,
                                              const uint8_t name[TLS_TICKETS_NAME],
                                              bool *newest)
{
    unsigned top = atomic_load_explicit(&tickets->newest, memory_order_acquire);
    for (unsigned age = 0; age < TLS_TICKETS_KEPT; age++) {
        const struct tls_ticket_key *key = &tickets->keys[(top - age) % RING];
        if (memcmp(key->name, name, TLS_TICKETS_NAME) == 0) {
            *newest = age == 0;
            return key;
        }
    }
    return NULL;
}
