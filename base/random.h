/* random.h - one small generator that is handed in, so a seed replays a run.
 *
 * xoshiro256++ (Blackman, Vigna 2019). For choices, jitter and shuffles; never for
 * keys or nonces, which come from libsodium at the edge. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct rc_random {
    uint64_t state[4];
};

void rc_random_init(struct rc_random *random, uint64_t seed);
uint64_t rc_random_next(struct rc_random *random);

/* A number in [0, bound); bound must not be 0. Without bias. */
uint64_t rc_random_below(struct rc_random *random, uint64_t bound);

/* True with probability `parts_per_million` / 1 000 000. */
int rc_random_chance(struct rc_random *random, uint32_t parts_per_million);

#endif
