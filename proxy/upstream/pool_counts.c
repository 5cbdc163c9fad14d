/* pool_counts.c - see pool_counts.h. */
#include "proxy/upstream/pool_counts.h"

#include <assert.h>
#include <stdlib.h>

struct pool_counts *pool_counts_create(void)
{
    struct pool_counts *made = calloc(1, sizeof *made);
    if (made != NULL) {
        atomic_init(&made->references, 1);
    }
    return made;
}

struct pool_counts *pool_counts_retain(struct pool_counts *counts)
{
    (void)atomic_fetch_add_explicit(&counts->references, 1, memory_order_relaxed);
    return counts;
}

void pool_counts_release(struct pool_counts *counts)
{
    if (counts != NULL &&
        atomic_fetch_sub_explicit(&counts->references, 1, memory_order_acq_rel) == 1) {
        free(counts);
    }
}

void pool_counts_add(_Atomic uint64_t *of)
{
    (void)atomic_fetch_add_explicit(of, 1, memory_order_relaxed);
}

bool pool_counts_enter(struct pool_counts *counts, uint32_t max)
{
    uint32_t before =
        atomic_fetch_add_explicit(&counts->waiting, 1, memory_order_relaxed);
    if (before < max) {
        pool_counts_add(&counts->queued);
        return true;
    }
    (void)atomic_fetch_sub_explicit(&counts->waiting, 1, memory_order_relaxed);
    pool_counts_add(&counts->queue_full);
    return false;
}

void pool_counts_leave(struct pool_counts *counts)
{
    uint32_t before =
        atomic_fetch_sub_explicit(&counts->waiting, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}
