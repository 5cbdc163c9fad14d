/* meter.c - see meter.h. */
#include "proxy/upstream/meter.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_OCTAVE = 6 }; /* 2^6 us = 64 us */

struct window {
    uint64_t older_at_ms;
    uint64_t newer_at_ms;
    struct meter_reading older;
    struct meter_reading newer;
};

struct meter {
    _Atomic uint32_t references;
    struct window *window; /* NULL before the first tick; the reading thread's */
    _Atomic(struct meter_lane *) lanes[METER_LANES];
};

struct meter *meter_create(void)
{
    struct meter *meter = calloc(1, sizeof *meter);

    if (meter != NULL) {
        atomic_init(&meter->references, 1);
    }
    return meter;
}

struct meter *meter_retain(struct meter *meter)
{
    (void)atomic_fetch_add_explicit(&meter->references, 1, memory_order_relaxed);
    return meter;
}

void meter_release(struct meter *meter)
{
    if (meter == NULL ||
        atomic_fetch_sub_explicit(&meter->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (unsigned i = 0; i < METER_LANES; i++) {
        free(atomic_load_explicit(&meter->lanes[i], memory_order_relaxed));
    }
    free(meter->window);
    free(meter);
}

struct meter_lane *meter_lane(struct meter *meter, unsigned worker)
{
    assert(worker < METER_LANES);
    struct meter_lane *lane =
        atomic_load_explicit(&meter->lanes[worker], memory_order_relaxed);
    if (lane != NULL) {
        return lane;
    }
    size_t size = (sizeof *lane + 63) / 64 * 64; /* whole lines: lanes share none */
    lane = aligned_alloc(64, size);
    if (lane != NULL) {
        memset(lane, 0, size);
        atomic_store_explicit(&meter->lanes[worker], lane, memory_order_release);
    }
    return lane;
}

/* --- counting --- */

unsigned meter_bucket(uint64_t us)
{
    if (us < UINT64_C(1) << FIRST_OCTAVE) {
        return 0;
    }
    unsigned octave = 63 - (unsigned)__builtin_clzll(us);
    if (octave >= FIRST_OCTAVE + METER_OCTAVES) {
        return METER_BUCKETS - 1;
    }
    unsigned quarter = (unsigned)(us >> (octave - 2)) & 3;
    return 1 + (octave - FIRST_OCTAVE) * 4 + quarter;
}

uint64_t meter_bucket_end_us(unsigned bucket)
{
    assert(bucket < METER_BUCKETS);
    if (bucket == 0) {
        return UINT64_C(1) << FIRST_OCTAVE;
    }
    if (bucket == METER_BUCKETS - 1) {
        return UINT64_MAX;
    }
    unsigned octave = FIRST_OCTAVE + (bucket - 1) / 4;
    uint64_t quarter = (bucket - 1) % 4;
    return (quarter + 5) << (octave - 2);
}

unsigned meter_class(unsigned status)
{
    unsigned class = status / 100;
    return status == 499 || class >= METER_CLASSES ? 0 : class;
}

void meter_count(struct meter_lane *lane, unsigned status)
{
    if (lane != NULL) {
        meter_add(&lane->classes[meter_class(status)], 1);
    }
}

void meter_time(struct meter_lane *lane, uint64_t ns)
{
    if (lane != NULL) {
        uint64_t us = ns / 1000;
        meter_add(&lane->buckets[meter_bucket(us)], 1);
        meter_add(&lane->sum_us, us);
    }
}

void meter_refuse(struct meter_lane *lane, enum refusal refusal)
{
    assert(refusal < REFUSAL_COUNT);
    if (lane != NULL && refusal != REFUSAL_NONE) {
        meter_add(&lane->refusals[refusal], 1);
    }
}

void meter_bytes(struct meter_lane *lane, uint64_t in, uint64_t out)
{
    if (lane != NULL) {
        meter_add(&lane->bytes_in, in);
        meter_add(&lane->bytes_out, out);
    }
}

/* --- reading --- */

static uint64_t look(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void add_lane(const struct meter_lane *lane, struct meter_reading *out)
{
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        uint64_t count = look(&lane->buckets[i]);
        out->buckets[i] += count;
        out->timed += count;
    }
    for (unsigned i = 0; i < METER_CLASSES; i++) {
        uint64_t count = look(&lane->classes[i]);
        out->classes[i] += count;
        out->requests += count;
    }
    for (unsigned i = 0; i < REFUSAL_COUNT; i++) {
        out->refusals[i] += look(&lane->refusals[i]);
    }
    out->sum_us += look(&lane->sum_us);
    out->bytes_in += look(&lane->bytes_in);
    out->bytes_out += look(&lane->bytes_out);
    /* A connection that ends between the two reads must not make the difference negative. */
    out->closed += look(&lane->closed);
    out->opened += look(&lane->opened);
}

void meter_read(const struct meter *meter, struct meter_reading *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < METER_LANES; i++) {
        const struct meter_lane *lane =
            atomic_load_explicit(&meter->lanes[i], memory_order_acquire);
        if (lane != NULL) {
            add_lane(lane, out);
        }
    }
    out->opened = out->opened > out->closed ? out->opened : out->closed;
}

void meter_tick(struct meter *meter, uint64_t now_ms)
{
    struct window *window = meter->window;

    if (window == NULL) {
        window = meter->window = calloc(1, sizeof *window);
        if (window != NULL) {
            meter_read(meter, &window->newer);
            window->older = window->newer;
            window->older_at_ms = window->newer_at_ms = now_ms;
        }
        return;
    }
    if (now_ms - window->newer_at_ms >= METER_WINDOW_MS) {
        window->older = window->newer;
        window->older_at_ms = window->newer_at_ms;
        meter_read(meter, &window->newer);
        window->newer_at_ms = now_ms;
    }
}

uint64_t meter_recent(const struct meter *meter, uint64_t now_ms,
                      struct meter_reading *out)
{
    const struct window *window = meter->window;

    memset(out, 0, sizeof *out);
    if (window == NULL || now_ms <= window->older_at_ms) {
        return 0;
    }
    meter_read(meter, out);
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        out->buckets[i] -= window->older.buckets[i];
    }
    for (unsigned i = 0; i < METER_CLASSES; i++) {
        out->classes[i] -= window->older.classes[i];
    }
    for (unsigned i = 0; i < REFUSAL_COUNT; i++) {
        out->refusals[i] -= window->older.refusals[i];
    }
    out->timed -= window->older.timed;
    out->sum_us -= window->older.sum_us;
    out->requests -= window->older.requests;
    out->bytes_in -= window->older.bytes_in;
    out->bytes_out -= window->older.bytes_out;
    out->opened -= window->older.opened;
    out->closed -= window->older.closed;
    return now_ms - window->older_at_ms;
}

void meter_sum(struct meter_reading *sum, const struct meter_reading *more)
{
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        sum->buckets[i] += more->buckets[i];
    }
    for (unsigned i = 0; i < METER_CLASSES; i++) {
        sum->classes[i] += more->classes[i];
    }
    for (unsigned i = 0; i < REFUSAL_COUNT; i++) {
        sum->refusals[i] += more->refusals[i];
    }
    sum->timed += more->timed;
    sum->sum_us += more->sum_us;
    sum->requests += more->requests;
    sum->bytes_in += more->bytes_in;
    sum->bytes_out += more->bytes_out;
    sum->opened += more->opened;
    sum->closed += more->closed;
}

/* Where in its bucket: as if what fell into it lay evenly. */
static uint64_t within(unsigned bucket, uint64_t rank, uint64_t count)
{
    uint64_t begin = bucket == 0 ? 0 : meter_bucket_end_us(bucket - 1);

    if (bucket == METER_BUCKETS - 1) {
        return begin;
    }
    return begin + (meter_bucket_end_us(bucket) - begin) * rank / count;
}

uint64_t meter_quantile_us(const struct meter_reading *reading, unsigned per_mille)
{
    assert(per_mille <= 1000);
    uint64_t rank = (reading->timed * per_mille + 999) / 1000;
    uint64_t below = 0;

    if (reading->timed == 0) {
        return 0;
    }
    rank = rank > 0 ? rank : 1;
    for (unsigned i = 0; i < METER_BUCKETS; i++) {
        if (below + reading->buckets[i] >= rank) {
            return within(i, rank - below, reading->buckets[i]);
        }
        below += reading->buckets[i];
    }
    return meter_bucket_end_us(METER_BUCKETS - 2);
}
