/* ready.h - the records of a service, made once and then only copied.
 *
 * On an immutable service hang lists of its records in wire form, one list for each tag
 * and type that was asked for. Records do not depend on where they stand: their owner is
 * a pointer to the question, targets are whole, so an answer in a fresh order is another
 * order of copying. Lists are made by whoever needs one first, in whichever thread, stay
 * as they are and go with the service: nothing is ever invalidated.
 *
 * Which records there are is said by pick.c and reply.c, which make them. What cannot be
 * served so (host names, silent nodes, very many instances) is left to answer.c. */
#ifndef DNS_ANSWER_READY_H
#define DNS_ANSWER_READY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/text.h"
#include "dns/answer/pick.h"
#include "dns/answer/reply.h"
#include "dns/answer/view.h"

enum {
    DNS_READY_RECORDS_MAX = 1024,
    DNS_READY_LISTS_MAX = 64, /* on one shelf: further tags have none */
    DNS_READY_SLACK = 16      /* bytes behind the answer that copying may spoil */
};

struct dns_ready;

/* Where lists are kept: part of whatever holds the service. All zero is empty. */
struct dns_shelf {
    _Atomic(struct dns_ready *) first;
};

/* Frees all lists. To be called when no thread can reach the service any more. */
void dns_shelf_clear(struct dns_shelf *shelf);

/* What makes two lists of a service different. */
struct dns_ready_key {
    struct rc_span tag; /* lower case; empty: any */
    uint16_t type;      /* A, AAAA or SRV */
    uint32_t ttl_s;
    enum dns_strictness strictness;
};

/* Whether `service` has what is asked for. If it is usable, `*out` is the list, made now if
 * need be, which lives as long as the service; or NULL: answer.c has to do it. `pick` is
 * working space. For a tag that nobody has none is kept, or strangers could fill the
 * shelf. */
enum dns_existence dns_ready_get(const struct dns_ground *ground,
                                 const struct dns_service *service,
                                 const struct dns_ready_key *key, struct dns_pick *pick,
                                 const struct dns_ready **out);

/* Bytes that the whole list takes in an answer, its additional records included. */
size_t dns_ready_size(const struct dns_ready *ready);

/* Working space of one thread. */
struct dns_ready_space {
    struct rc_random *random;              /* borrowed */
    uint16_t order[DNS_READY_RECORDS_MAX]; /* a multiple of four */
    uint64_t seen[DNS_READY_RECORDS_MAX / 64];
};

/* An answer that records are copied into. */
struct dns_copy {
    uint8_t *message;
    size_t at;    /* where the next record goes; moved on */
    size_t end;   /* no record goes beyond, but DNS_READY_SLACK bytes may be spoilt */
    size_t limit; /* of answers; SIZE_MAX: none */
    uint16_t answers;
    uint16_t additional;
    enum dns_choice is_cut; /* answers were left out because of `end` */
};

/* Copies the records in a fresh random order, as many as `limit` and `end` allow, then
 * the addresses of SRV targets. `copy->end` is at most 0x4000. */
void dns_ready_copy(const struct dns_ready *ready, struct dns_ready_space *space,
                    struct dns_copy *copy);

#endif
