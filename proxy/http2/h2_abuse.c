/* h2_abuse.c - leaky buckets. */
#include "proxy/http2/h2_abuse.h"

#include <assert.h>

/* What a bucket holds, and what leaks out of it in a second. Browsers reset all streams of a
 * page that is left (up to the 128 we allow), at most once in a while; nobody needs more than a
 * few settings and pings. CONTINUATION: a head of 16 KiB fits into two frames. */
static const struct {
    const char *name;
    uint32_t burst;
    uint32_t rate;
} limits[H2_NUISANCE_COUNT] = {
    [H2_RESETS] = {"reset", 400, 50},       [H2_FAULTS] = {"fault", 100, 10},
    [H2_CONTROL] = {"control", 1000, 50},   [H2_WINDOWS] = {"window_update", 2000, 100},
    [H2_TINY] = {"tiny_data", 10000, 1000}, [H2_PIECES] = {"continuation", 8, 0},
};

static void leak(struct h2_abuse *abuse, uint64_t now_ms)
{
    assert(now_ms >= abuse->since_ms);
    uint64_t seconds = (now_ms - abuse->since_ms) / 1000;

    if (seconds == 0) {
        return;
    }
    abuse->since_ms += seconds * 1000;
    for (int i = 0; i < H2_NUISANCE_COUNT; i++) {
        uint64_t leaked = seconds * limits[i].rate;
        abuse->levels[i] =
            leaked < abuse->levels[i] ? abuse->levels[i] - (uint32_t)leaked : 0;
    }
}

bool h2_abuse_count(struct h2_abuse *abuse, enum h2_nuisance kind, uint64_t now_ms)
{
    leak(abuse, now_ms);
    if (abuse->levels[kind] >= limits[kind].burst) {
        return false;
    }
    abuse->levels[kind]++;
    return true;
}

void h2_abuse_forgive(struct h2_abuse *abuse, enum h2_nuisance kind, uint32_t count)
{
    abuse->levels[kind] -= count < abuse->levels[kind] ? count : abuse->levels[kind];
}

const char *h2_abuse_name(enum h2_nuisance kind)
{
    return limits[kind].name;
}
