/* pool_counts.h - what became of choices in one pool, all threads together.
 *
 * Relaxed atomics that only grow, but `waiting`. Reference-counted: the lineup holds one, each
 * snapshot another. */
#ifndef PROXY_UPSTREAM_POOL_COUNTS_H
#define PROXY_UPSTREAM_POOL_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pool_counts {
    _Atomic uint32_t references;
    _Atomic uint32_t waiting;       /* requests in the queue now */
    _Atomic uint64_t queued;        /* had to wait */
    _Atomic uint64_t queue_full;    /* refused at once, because too many waited */
    _Atomic uint64_t queue_expired; /* waited in vain */
    _Atomic uint64_t panics;        /* choices among those who do not pass */
    _Atomic uint64_t spills; /* choices of one who is not near, though near ones live */
};

/* NULL when memory is out. */
struct pool_counts *pool_counts_create(void);
struct pool_counts *pool_counts_retain(struct pool_counts *counts);
void pool_counts_release(struct pool_counts *counts); /* NULL is allowed */

/* One more of something. */
void pool_counts_add(_Atomic uint64_t *of);

/* Takes a place in a queue of `max`. False: it is full. */
bool pool_counts_enter(struct pool_counts *counts, uint32_t max);
void pool_counts_leave(struct pool_counts *counts);

#endif
