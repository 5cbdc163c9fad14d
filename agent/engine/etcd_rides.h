/* etcd_rides.h - transactions on their way: what waits, what is under way, how it ends.
 *
 * One goes at once, alone; what comes while it is under way waits and rides together
 * (etcd_queue.h). Where several rode together, the first of the next ones is not sent before the
 * loop's turn is over: the others, who were answered in the same turn, come with it. When one of several is refused all were, and each goes again alone. A write
 * that was lost shuts the gate (etcd_gate.h): the rest waits until writes are accepted. Pure. */
#ifndef AGENT_ENGINE_ETCD_RIDES_H
#define AGENT_ENGINE_ETCD_RIDES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"
#include "agent/engine/etcd_follow.h"
#include "agent/engine/etcd_gate.h"
#include "agent/engine/etcd_look.h"
#include "agent/engine/etcd_queue.h"

struct etcd_rides {
    struct etcd_asker *asker; /* borrowed, like the next three */
    struct etcd_gate *gate;
    struct etcd_follow *follow; /* told how far the store is */
    struct etcd_look *look;     /* told that it is full */
    struct etcd_queue queue;
    size_t under_way;  /* requests */
    size_t last_count; /* riders of the last one that was sent */
    bool is_closing;
};

/* `write` is taken. It is answered later, never from inside. */
void etcd_rides_put(struct etcd_rides *rides, struct etcd_write *write);

/* Sends what waits, as far as requests may be under way. */
void etcd_rides_pump(struct etcd_rides *rides);

/* Does what is due at `now_ms`: gives up what has waited at the shut gate for as long as a
 * request may take. Answers from inside. */
void etcd_rides_wake(struct etcd_rides *rides, uint64_t now_ms);

/* Nothing is sent any more. */
void etcd_rides_stop(struct etcd_rides *rides);

/* Answers all that waits with RC_ECLOSED, from inside. The asker is closed before. */
void etcd_rides_fini(struct etcd_rides *rides);

#endif
