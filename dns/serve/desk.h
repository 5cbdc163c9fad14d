/* desk.h - questions that only another thread can answer: carried there, and back.
 *
 * A desk stands between two threads: the one that asks, and the one that answers. Each uses
 * its own functions only, and there is no lock: slips of paper, a fixed number, go over in
 * one queue and come back in another. Who wakes the other side is not said here. */
#ifndef DNS_SERVE_DESK_H
#define DNS_SERVE_DESK_H

#include <stddef.h>
#include <stdint.h>

#include "dns/answer/answer.h"
#include "dns/serve/later.h"

enum {
    DNS_DESK_SLIPS = 128,     /* on their way or being answered, at most */
    DNS_DESK_QUERY_MAX = 1536 /* no sensible query is longer */
};

struct dns_desk;

struct dns_desk_slip {
    struct dns_client client; /* written by the thread that asks */
    struct dns_later *later;
    size_t query_size;
    uint8_t query[DNS_DESK_QUERY_MAX];
    struct dns_outcome outcome; /* written by the one that answers; without `query` */
    uint8_t *answer;            /* of malloc(), outcome.size bytes; NULL: none */
};

/* NULL when memory is out. */
struct dns_desk *dns_desk_create(void);
/* Both threads have left it. Who still waits hears that there is no answer. NULL is
 * allowed. */
void dns_desk_destroy(struct dns_desk *desk);

/* ---- the thread that asks ------------------------------------------------------------ */

/* A free slip, to be filled in and handed to dns_desk_ask(). NULL: all are in use. */
struct dns_desk_slip *dns_desk_take(struct dns_desk *desk);
void dns_desk_ask(struct dns_desk *desk, struct dns_desk_slip *slip);

/* The next slip that came back, or NULL; to be ended by dns_desk_put_back(), which frees its
 * answer. */
struct dns_desk_slip *dns_desk_collect(struct dns_desk *desk);
void dns_desk_put_back(struct dns_desk *desk, struct dns_desk_slip *slip);

/* ---- the thread that answers --------------------------------------------------------- */

/* The next question, or NULL; to be ended by dns_desk_return(). */
struct dns_desk_slip *dns_desk_next(struct dns_desk *desk);
void dns_desk_return(struct dns_desk *desk, struct dns_desk_slip *slip);

#endif
