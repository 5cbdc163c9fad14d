/* later.h - who asked, so that an answer can be sent later, in any order.
 *
 * An answer that others have (the forwarder, the agent's own loop) arrives when the packet
 * that asked is long gone, and over TCP perhaps the connection too. A pool of fixed size
 * belongs to one thread; everything here is called on that thread. Pure. */
#ifndef DNS_SERVE_LATER_H
#define DNS_SERVE_LATER_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"

enum { DNS_LATER_MAX = 4096 /* of one worker */ };

struct dns_clerk; /* clerk_uv.h */
struct dns_later;
struct dns_laters;

/* What answers leave by: a UDP socket or a TCP connection embeds one. Zeroed but for
 * `send`. */
struct dns_outlet {
    /* Sends an answer to `later`, who is freed afterwards; size 0: there is none. */
    void (*send)(struct dns_outlet *outlet, const struct dns_later *later,
                 const uint8_t *bytes, size_t size);
    struct dns_later *waiting;
    size_t waiting_count;
};

struct dns_later {
    struct dns_clerk *clerk;   /* that asks for him; of whoever takes it */
    struct dns_client client;  /* as it asked */
    struct rc_address local;   /* UDP: answered from there; NONE: the socket's own */
    uint32_t scope;            /* UDP: interface of a link-local peer; 0: none */
    uint16_t type;             /* of the question */
    uint64_t asked_ns;         /* when */
    struct dns_outlet *outlet; /* NULL: gone */
    struct dns_laters *pool;   /* below: of the pool only */
    struct dns_later *next;    /* waiting at the same outlet, or free */
    struct dns_later *previous;
};

/* A pool of `count`; NULL when memory is out. All must have been answered before it is
 * destroyed; NULL is allowed. */
struct dns_laters *dns_laters_create(size_t count);
void dns_laters_destroy(struct dns_laters *pool);

/* How many wait now, and how often there was no room since it was created. */
size_t dns_laters_waiting(const struct dns_laters *pool);
uint64_t dns_laters_refused(const struct dns_laters *pool);

/* Remembers `client` at `outlet`. To be ended by dns_later_answer(). NULL when the pool is
 * used up: the caller says so now (SERVFAIL). */
struct dns_later *dns_later_take(struct dns_laters *pool, struct dns_outlet *outlet,
                                 const struct dns_client *client);

/* Sends the answer, already fit for the client (its id, question and size), and frees
 * `later`. Size 0: there will be no answer. `bytes` are borrowed for the call. */
void dns_later_answer(struct dns_later *later, const uint8_t *bytes, size_t size);

/* The outlet goes away: who waits at it will not be sent anything. */
void dns_outlet_close(struct dns_outlet *outlet);

#endif
