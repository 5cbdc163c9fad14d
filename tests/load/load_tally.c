#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "tests/load/load.h"

enum { SUB_BITS = 5, SUBS = 1 << SUB_BITS }; /* buckets are 3 % wide */

static size_t bucket_of(uint64_t ns)
{
    if (ns < SUBS) {
        return ns;
    }
    unsigned high = 63U - (unsigned)__builtin_clzll(ns);
    size_t found = ((size_t)(high - SUB_BITS + 1) << SUB_BITS) +
                   ((ns >> (high - SUB_BITS)) & (SUBS - 1));
    assert(found < LOAD_BUCKETS);
    return found;
}

static uint64_t begin_of(size_t bucket)
{
    if (bucket < SUBS) {
        return bucket;
    }
    size_t shift = (bucket >> SUB_BITS) - 1;
    return (uint64_t)(SUBS + (bucket & (SUBS - 1))) << shift;
}

void load_tally_time(struct load_tally *tally, uint64_t ns)
{
    tally->buckets[bucket_of(ns)]++;
    tally->max_ns = ns > tally->max_ns ? ns : tally->max_ns;
}

/* The time that all but a share of the answers did not exceed, in us. */
static double below(const struct load_tally *tally, double share)
{
    uint64_t all = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        all += tally->buckets[i];
    }
    uint64_t wanted = (uint64_t)((double)all * share);
    for (size_t i = 0; i < LOAD_BUCKETS; i++) {
        seen += tally->buckets[i];
        if (seen > wanted) {
            uint64_t end_ns = begin_of(i + 1);
            return (double)(end_ns < tally->max_ns ? end_ns : tally->max_ns) / 1e3;
        }
    }
    return (double)tally->max_ns / 1e3;
}

void load_tally_print(const struct load_stream *stream, double seconds)
{
    const struct load_tally *tally = &stream->tally;

    printf("{\"seconds\": %.3f, \"sent\": %" PRIu64 ", \"answered\": %" PRIu64
           ", \"lost\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"late\": %" PRIu64
           ", \"truncated\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"open_max\": %" PRIu64
           ", ",
           seconds, tally->sent, tally->answered, tally->lost, tally->failed, tally->late,
           tally->truncated, tally->bytes, tally->open_max);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, "
           "\"rcodes\": {",
           below(tally, 0.5), below(tally, 0.99), below(tally, 0.999),
           (double)tally->max_ns / 1e3);
    const char *between = "";
    for (int i = 0; i < LOAD_RCODES; i++) {
        if (tally->rcodes[i] != 0) {
            printf("%s\"%d\": %" PRIu64, between, i, tally->rcodes[i]);
            between = ", ";
        }
    }
    (void)puts("}}");
}
