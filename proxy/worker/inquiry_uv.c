/* inquiry_uv.c - see inquiry_uv.h. */
#include "proxy/worker/inquiry_uv.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <uv.h>

#include "base/err.h"

struct inquiry {
    _Atomic uint32_t references;
    uv_mutex_t lock;
    uv_cond_t answered;
    bool done;
    size_t skip;
    size_t take;
    size_t total;
    size_t count;
    struct inquiry_connection connections[];
};

struct inquiry *inquiry_create(size_t skip, size_t take)
{
    assert(take <= INQUIRY_TAKE_MAX);
    struct inquiry *made =
        calloc(1, sizeof *made + take * sizeof(struct inquiry_connection));
    if (made == NULL) {
        return NULL;
    }
    if (uv_mutex_init(&made->lock) != 0) {
        free(made);
        return NULL;
    }
    if (uv_cond_init(&made->answered) != 0) {
        uv_mutex_destroy(&made->lock);
        free(made);
        return NULL;
    }
    atomic_init(&made->references, 1);
    made->skip = skip;
    made->take = take;
    return made;
}

struct inquiry *inquiry_retain(struct inquiry *inquiry)
{
    (void)atomic_fetch_add(&inquiry->references, 1);
    return inquiry;
}

void inquiry_release(struct inquiry *inquiry)
{
    if (inquiry != NULL && atomic_fetch_sub(&inquiry->references, 1) == 1) {
        uv_cond_destroy(&inquiry->answered);
        uv_mutex_destroy(&inquiry->lock);
        free(inquiry);
    }
}

struct inquiry_connection *inquiry_add(struct inquiry *inquiry)
{
    inquiry->total++;
    if (inquiry->total <= inquiry->skip || inquiry->count == inquiry->take) {
        return NULL;
    }
    return &inquiry->connections[inquiry->count++];
}

void inquiry_done(struct inquiry *inquiry)
{
    uv_mutex_lock(&inquiry->lock);
    inquiry->done = true;
    uv_cond_signal(&inquiry->answered);
    uv_mutex_unlock(&inquiry->lock);
}

int inquiry_wait(struct inquiry *inquiry, uint64_t patience_ms)
{
    int timed_out = 0;

    uv_mutex_lock(&inquiry->lock);
    while (!inquiry->done && timed_out == 0) {
        timed_out =
            uv_cond_timedwait(&inquiry->answered, &inquiry->lock, patience_ms * 1000000);
    }
    bool done = inquiry->done;
    uv_mutex_unlock(&inquiry->lock);
    return done ? RC_OK : RC_EAGAIN;
}

size_t inquiry_total(const struct inquiry *inquiry)
{
    return inquiry->total;
}

size_t inquiry_count(const struct inquiry *inquiry)
{
    return inquiry->count;
}

const struct inquiry_connection *inquiry_at(const struct inquiry *inquiry, size_t at)
{
    assert(at < inquiry->count);
    return &inquiry->connections[at];
}
