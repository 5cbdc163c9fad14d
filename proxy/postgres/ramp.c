/* ramp.c - see ramp.h. */
#include "proxy/postgres/ramp.h"

enum { ONE = 1000, BURST_PART = 20, GAP_MAX_MS = 1000 };

bool ramp_take(struct ramp *ramp, uint32_t per_second, uint64_t now_ms)
{
    uint64_t most = (uint64_t)per_second * ONE / BURST_PART;
    uint64_t gap_ms = now_ms - ramp->at_ms;

    if (per_second == 0) {
        return true;
    }
    most = most < ONE ? ONE : most;
    gap_ms = gap_ms > GAP_MAX_MS ? GAP_MAX_MS : gap_ms;
    ramp->thousandths += gap_ms * per_second;
    ramp->thousandths = ramp->thousandths > most ? most : ramp->thousandths;
    ramp->at_ms = now_ms;
    if (ramp->thousandths < ONE) {
        return false;
    }
    ramp->thousandths -= ONE;
    return true;
}
