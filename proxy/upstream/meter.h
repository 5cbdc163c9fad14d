/* meter.h - what passes one place: requests, how long they took, and what was refused.
 *
 * A place is a route, a listener, or an instance. Each worker counts in a lane of its own, so
 * a count is a plain addition to a line of memory that nobody else writes; whoever wants to
 * know adds the lanes up. Time falls into buckets of a quarter of an octave from 64 us to
 * 67 s, so a percentile is wrong by an eighth at most. */
#ifndef PROXY_UPSTREAM_METER_H
#define PROXY_UPSTREAM_METER_H

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/limit/refusal.h"

enum {
    METER_LANES = 64, /* workers, at most: control_uv.c has no more */
    METER_OCTAVES = 20,
    METER_BUCKETS = 2 + METER_OCTAVES * 4, /* below 64 us, the quarters, and beyond */
    METER_CLASSES = 6,                     /* 1..5 for 1xx..5xx; 0: no status, or 499 */
    METER_WINDOW_MS = 5000                 /* rates are of the last one to two of these */
};

/* What one worker counts. Written by that worker only. */
struct meter_lane {
    _Atomic uint64_t buckets[METER_BUCKETS];
    _Atomic uint64_t sum_us;
    _Atomic uint64_t classes[METER_CLASSES];
    _Atomic uint64_t refusals[REFUSAL_COUNT];
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t opened; /* connections */
    _Atomic uint64_t closed;
};

/* The sum of the lanes at one moment. */
struct meter_reading {
    uint64_t buckets[METER_BUCKETS];
    uint64_t timed; /* sum of the buckets */
    uint64_t sum_us;
    uint64_t classes[METER_CLASSES];
    uint64_t requests; /* sum of the classes */
    uint64_t refusals[REFUSAL_COUNT];
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t opened;
    uint64_t closed;
};

struct meter;

/* Empty, with one reference. NULL when memory is out. */
struct meter *meter_create(void);
struct meter *meter_retain(struct meter *meter);
void meter_release(struct meter *meter); /* NULL is allowed */

/* The lane of this worker, made when it first asks; NULL when memory is out, which all that
 * counts allows. Borrowed for as long as the meter. */
struct meter_lane *meter_lane(struct meter *meter, unsigned worker);

static inline void meter_add(_Atomic uint64_t *count, uint64_t amount)
{
    /* No other thread writes it: no locked instruction is needed. */
    uint64_t now = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, now + amount, memory_order_relaxed);
}

/* The class of a status: 1..5, or 0. */
unsigned meter_class(unsigned status);

/* A request that ended with this status (0, 499: none was given), or a time that was measured. */
void meter_count(struct meter_lane *lane, unsigned status);
void meter_time(struct meter_lane *lane, uint64_t ns);
void meter_refuse(struct meter_lane *lane, enum refusal refusal);
void meter_bytes(struct meter_lane *lane, uint64_t in, uint64_t out);

/* --- whoever wants to know; one thread --- */

void meter_read(const struct meter *meter, struct meter_reading *out);

/* Looks at it now and then, at least every METER_WINDOW_MS, so that meter_recent has something
 * to compare with. `now_ms` is monotonic. */
void meter_tick(struct meter *meter, uint64_t now_ms);

/* What came since a while: METER_WINDOW_MS to twice that, or since the first tick. Returns the
 * while in ms, 0 when there is none yet (then `out` is zero). */
uint64_t meter_recent(const struct meter *meter, uint64_t now_ms,
                      struct meter_reading *out);

/* Adds one reading to another. */
void meter_sum(struct meter_reading *sum, const struct meter_reading *more);

/* The time that `per_mille` of what was timed did not exceed, in us; 0 when nothing was. What
 * lies beyond the last bucket counts as its beginning. */
uint64_t meter_quantile_us(const struct meter_reading *reading, unsigned per_mille);

/* The bucket of a time, and where a bucket ends (exclusive; the last one does not: UINT64_MAX). */
unsigned meter_bucket(uint64_t us);
uint64_t meter_bucket_end_us(unsigned bucket);

#endif
