/* pick.h - which instances of a service go into an answer, and in which order?
 *
 * Every answer gets a fresh random order, so that clients that take the first one spread.
 * No allocation: a pick is working space of fixed size, reused from answer to answer. */
#ifndef DNS_ANSWER_PICK_H
#define DNS_ANSWER_PICK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/random.h"
#include "base/text.h"
#include "dns/answer/view.h"

enum { DNS_PICK_MAX = 4096 }; /* more do not fit into any message */

/* Does a service have what was asked for? */
enum dns_existence {
    DNS_EXISTENCE_NONE,     /* no instance at all, or none with that tag */
    DNS_EXISTENCE_UNUSABLE, /* instances, but none that may be used */
    DNS_EXISTENCE_BELOW,    /* usable ones, whose tag ends in this one: "a.b" for "b" */
    DNS_EXISTENCE_USABLE
};

enum dns_strictness { DNS_ALLOW_WARNING, DNS_ONLY_PASSING };

struct dns_pick {
    const struct dns_instance *instances; /* borrowed */
    size_t count;                         /* of usable ones, in `order` */
    size_t taken;                         /* of those, from the front */
    enum dns_order order_wanted;
    size_t seen_size; /* a power of two */
    uint16_t order[DNS_PICK_MAX];
    uint16_t seen[2 * DNS_PICK_MAX]; /* open addressing: index + 1, or 0 */
};

/* Where an instance is to be reached: its own place, or else its node's. */
const struct dns_place *dns_instance_place(const struct dns_instance *instance);
/* True if it has no place of its own. */
bool dns_instance_is_at_node(const struct dns_instance *instance);

/* Chooses the usable instances of `service` (NULL: there are none) with `tag`, which is
 * in lower case; an empty tag is any. With more than DNS_PICK_MAX a random part of
 * them. */
enum dns_existence dns_pick_begin(struct dns_pick *pick,
                                  const struct dns_service *service, struct rc_span tag,
                                  enum dns_strictness strictness,
                                  struct rc_random *random);

/* Chooses what a prepared query picked: all of it, as far as it fits. */
enum dns_existence dns_pick_begin_query(struct dns_pick *pick,
                                        const struct dns_picked *picked);

/* The next instance, in random order unless a query keeps its own; NULL at the end. */
const struct dns_instance *dns_pick_next(struct dns_pick *pick, struct rc_random *random);

/* The one taken last was not wanted: as if it had not been chosen. */
void dns_pick_drop(struct dns_pick *pick);

/* Instance number `i` (< taken) in the order in which they were taken. */
const struct dns_instance *dns_pick_taken(const struct dns_pick *pick, size_t i);

/* What makes two instances the same for an answer. */
enum dns_sameness {
    DNS_SAME_ADDRESS, /* equal IP addresses */
    DNS_SAME_TARGET,  /* also named alike: both by their node, or neither */
    DNS_SAME_RECORD   /* of SRV: also of one port and weight; hosts by their names */
};

/* Forgets what was seen; with rewind also what was taken: all anew. */
void dns_pick_forget(struct dns_pick *pick);
void dns_pick_rewind(struct dns_pick *pick);

/* True for the first of all instances that are the same as number `i` (< taken), which
 * has an IP address (or, for SAME_RECORD, has none). One `sameness` from one dns_pick_forget() to the next. */
bool dns_pick_is_new(struct dns_pick *pick, size_t i, enum dns_sameness sameness);

#endif
