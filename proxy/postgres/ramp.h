/* ramp.h - how fast those who were held are let go: so many a second, evenly.
 *
 * A token bucket of a twentieth of a second: a primary that has just come must not meet a thousand
 * clients at once. Pure. */
#ifndef PROXY_POSTGRES_RAMP_H
#define PROXY_POSTGRES_RAMP_H

#include <stdbool.h>
#include <stdint.h>

struct ramp {
    uint64_t at_ms;       /* of the last look */
    uint64_t thousandths; /* of a client that may go */
};

/* True if one may go now, of `per_second` (0 = all). `now_ms` never goes back. */
bool ramp_take(struct ramp *ramp, uint32_t per_second, uint64_t now_ms);

#endif
