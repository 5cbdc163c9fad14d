#include "base/epoch.h"

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/err.h"

enum { OUTSIDE = 0, CACHE_LINE = 64 };

/* A line of its own, so that readers do not slow each other down. */
struct rc_epoch_reader {
    alignas(CACHE_LINE) _Atomic uint64_t inside_since; /* epoch, or OUTSIDE */
    const _Atomic uint64_t *now;                       /* the writer's */
    struct rc_epoch_reader *next;
};

struct rc_epoch {
    alignas(CACHE_LINE) _Atomic uint64_t now;
    struct rc_epoch_reader *readers;
    size_t reader_count;
    struct rc_epoch_link *oldest; /* of what was retired, in that order */
    struct rc_epoch_link *newest;
    size_t waiting;
    rc_epoch_release release;
    void *context;
};

int rc_epoch_create(rc_epoch_release release, void *context, struct rc_epoch **out)
{
    struct rc_epoch *epoch = aligned_alloc(CACHE_LINE, sizeof *epoch);

    assert(release != NULL);
    if (epoch == NULL) {
        return RC_ENOMEM;
    }
    *epoch = (struct rc_epoch){.release = release, .context = context};
    atomic_init(&epoch->now, OUTSIDE + 1);
    *out = epoch;
    return RC_OK;
}

static void release_oldest(struct rc_epoch *epoch)
{
    struct rc_epoch_link *link = epoch->oldest;

    epoch->oldest = link->next;
    if (epoch->oldest == NULL) {
        epoch->newest = NULL;
    }
    epoch->waiting--;
    epoch->release(epoch->context, link);
}

void rc_epoch_destroy(struct rc_epoch *epoch)
{
    if (epoch == NULL) {
        return;
    }
    while (epoch->oldest != NULL) {
        release_oldest(epoch);
    }
    while (epoch->readers != NULL) {
        rc_epoch_part(epoch, epoch->readers);
    }
    free(epoch);
}

int rc_epoch_join(struct rc_epoch *epoch, struct rc_epoch_reader **out)
{
    if (epoch->reader_count >= RC_EPOCH_READERS_MAX) {
        return RC_ETOOBIG;
    }
    struct rc_epoch_reader *reader = aligned_alloc(CACHE_LINE, sizeof *reader);
    if (reader == NULL) {
        return RC_ENOMEM;
    }
    atomic_init(&reader->inside_since, OUTSIDE);
    reader->now = &epoch->now;
    reader->next = epoch->readers;
    epoch->readers = reader;
    epoch->reader_count++;
    *out = reader;
    return RC_OK;
}

void rc_epoch_part(struct rc_epoch *epoch, struct rc_epoch_reader *reader)
{
    struct rc_epoch_reader **place = &epoch->readers;

    if (reader == NULL) {
        return;
    }
    assert(atomic_load(&reader->inside_since) == OUTSIDE);
    while (*place != reader) {
        assert(*place != NULL);
        place = &(*place)->next;
    }
    *place = reader->next;
    epoch->reader_count--;
    free(reader);
}

/* Either the writer sees that we are inside, or we see what it stored before it looked: both
 * are in the one order of all seq_cst operations. An epoch that is old by the time it is
 * announced only keeps more from being freed. */
void rc_epoch_enter(struct rc_epoch_reader *reader)
{
    uint64_t now = atomic_load_explicit(reader->now, memory_order_seq_cst);
    uint64_t before =
        atomic_exchange_explicit(&reader->inside_since, now, memory_order_seq_cst);

    assert(before == OUTSIDE);
    (void)before;
}

void rc_epoch_leave(struct rc_epoch_reader *reader)
{
    atomic_store_explicit(&reader->inside_since, OUTSIDE, memory_order_release);
}

void rc_epoch_retire(struct rc_epoch *epoch, struct rc_epoch_link *link)
{
    link->next = NULL;
    link->retired_at = atomic_load_explicit(&epoch->now, memory_order_relaxed);
    if (epoch->newest != NULL) {
        epoch->newest->next = link;
    } else {
        epoch->oldest = link;
    }
    epoch->newest = link;
    epoch->waiting++;
}

/* The epoch since which somebody is inside, UINT64_MAX: nobody is. */
static uint64_t longest_inside(const struct rc_epoch *epoch)
{
    uint64_t since = UINT64_MAX;

    for (const struct rc_epoch_reader *reader = epoch->readers; reader != NULL;
         reader = reader->next) {
        uint64_t its = atomic_load_explicit(&reader->inside_since, memory_order_seq_cst);
        if (its != OUTSIDE && its < since) {
            since = its;
        }
    }
    return since;
}

void rc_epoch_collect(struct rc_epoch *epoch)
{
    if (epoch->waiting == 0) {
        return;
    }
    uint64_t now = atomic_fetch_add_explicit(&epoch->now, 1, memory_order_seq_cst);
    uint64_t since = longest_inside(epoch);

    /* What a release retires is of the epoch that begins now: `now` keeps it for the next. */
    while (epoch->oldest != NULL && epoch->oldest->retired_at <= now &&
           epoch->oldest->retired_at < since) {
        release_oldest(epoch);
    }
}

size_t rc_epoch_waiting(const struct rc_epoch *epoch)
{
    return epoch->waiting;
}
