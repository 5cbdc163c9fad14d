/* clock.c - the two clocks. */
#include "base/clock.h"

#include <assert.h>
#include <time.h>

static uint64_t read_ns(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);

    assert(failed == 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t rc_clock_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t rc_clock_ms(void)
{
    return read_ns(CLOCK_MONOTONIC) / 1000000;
}

uint64_t rc_clock_boot_ms(void)
{
    return read_ns(CLOCK_BOOTTIME) / 1000000;
}

uint64_t rc_clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}
