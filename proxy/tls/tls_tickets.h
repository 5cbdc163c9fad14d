/* tls_tickets.h - the keys that session tickets are sealed with (RFC 5077 section 5.5).
 *
 * One ring for all listeners, made by control and read by all workers: whoever meets another
 * worker, or the same after a reload, resumes. Each rotation makes a new key; the two before it
 * still open what they sealed. No locks: a rotation writes where nobody looks any more. */
#ifndef PROXY_TLS_TLS_TICKETS_H
#define PROXY_TLS_TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TLS_TICKETS_NAME = 16, /* bytes */
    TLS_TICKETS_KEPT = 3,  /* keys that open: the newest, and two before it */
    TLS_TICKETS_ROTATE_MS = 12 * 3600 * 1000,
    TLS_TICKETS_LIFE_S = 24 * 3600 /* of a session: what the kept keys cover for sure */
};

struct tls_ticket_key {
    uint8_t name[TLS_TICKETS_NAME]; /* in clear before each ticket */
    uint8_t seal[32];               /* AES-256 */
    uint8_t sign[32];               /* HMAC-SHA-256 */
};

struct tls_tickets;

/* A ring with a first key; one reference. NULL when memory is out. */
struct tls_tickets *tls_tickets_create(void);
struct tls_tickets *tls_tickets_retain(struct tls_tickets *tickets); /* any thread */
void tls_tickets_release(struct tls_tickets *tickets);               /* NULL is allowed */

/* A new key from now on. One thread only, and the same for tls_tickets_tick. */
void tls_tickets_rotate(struct tls_tickets *tickets);

/* A new key if it is time. To be called now and then. */
void tls_tickets_tick(struct tls_tickets *tickets, uint64_t now_ms);

/* Any thread. The key to seal with; borrowed until the third rotation from now. */
const struct tls_ticket_key *tls_tickets_newest(const struct tls_tickets *tickets);

/* The key of this name if it still opens, else NULL. `*newest` tells whether it still seals. */
const struct tls_ticket_key *tls_tickets_find(const struct tls_tickets *tickets,
                                              const uint8_t name[TLS_TICKETS_NAME],
                                              bool *newest);

#endif
