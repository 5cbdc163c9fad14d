/* broadcast.h - messages waiting to be spread, each a limited number of times.
 *
 * memberlist's queue: a message about a subject replaces the older one about it; packets
 * take what was sent least, then what is longest, then newest. Bounded: when full, what was
 * sent most often goes. */
#ifndef AGENT_GOSSIP_BROADCAST_H
#define AGENT_GOSSIP_BROADCAST_H

#include <stddef.h>
#include <stdint.h>

#include "base/pack.h"
#include "base/table.h"

/* A message larger than this fits no packet, even without a label and encryption. */
enum { BROADCAST_SIZE_MAX = 1300, BROADCAST_SUBJECT_MAX = 260 };

struct broadcast;

struct broadcast_queue {
    struct broadcast **items;    /* what is to be sent next comes last */
    struct rc_table *by_subject; /* NULL until the first message */
    size_t count;
    size_t capacity;
    size_t max; /* messages */
    uint64_t next_id;
    uint64_t dropped; /* to make room, before their time */
    uint64_t refused; /* larger than `size_max` */
    size_t size_max;  /* of a message; what fits no packet would wait for ever */
};

/* `size_max` 0: BROADCAST_SIZE_MAX. */
void broadcast_init(struct broadcast_queue *queue, size_t max, size_t size_max);
void broadcast_fini(struct broadcast_queue *queue);

/* Queues a copy of `message`. `subject` (kind and name; size 0: none) replaces what waits
 * under the same. `*id`, if asked for, lets one wait for it. RC_OK, RC_ETOOBIG, RC_ENOMEM. */
int broadcast_add(struct broadcast_queue *queue, struct rc_pack_bytes subject,
                  struct rc_pack_bytes message, uint64_t *id);

/* Whether the message with `id` still has transmissions to go. */
bool broadcast_is_waiting(const struct broadcast_queue *queue, uint64_t id);

/* What a packet takes: messages are appended to `bytes`, their lengths to `sizes`. */
struct broadcast_parts {
    struct rc_buffer *bytes; /* borrowed */
    uint16_t *sizes;         /* borrowed; room for `max` */
    size_t count;
    size_t max;
    size_t room; /* bytes left in the packet */
    size_t cost; /* bytes each part costs on top of its size */
    uint64_t
        packet; /* a packet may be filled in several goes: what carries the same number
                        as the last time is not put in twice. 0: one go */
    bool
        is_extra; /* to one who may be gone: carried, but not counted as a transmission */
};

/* Fills `parts`; a message is dropped after its transmission number `limit`. */
void broadcast_fill(struct broadcast_queue *queue, uint32_t limit,
                    struct broadcast_parts *parts);

#endif
