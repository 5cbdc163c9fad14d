/* random.c - xoshiro256++ (Blackman, Vigna 2019), seeded by splitmix64. */
#include "base/random.h"

#include <assert.h>

static uint64_t rotate_left(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

void rc_random_init(struct rc_random *random, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t mixed = seed;
        mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
        random->state[i] = mixed ^ mixed >> 31;
    }
}

uint64_t rc_random_next(struct rc_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rc_random_below(struct rc_random *random, uint64_t bound)
{
    assert(bound > 0);
    uint64_t uneven = (UINT64_MAX % bound + 1) % bound; /* 2^64 mod bound */
    uint64_t value = rc_random_next(random);

    while (value > UINT64_MAX - uneven) { /* the last, incomplete round would be biased */
        value = rc_random_next(random);
    }
    return value % bound;
}

int rc_random_chance(struct rc_random *random, uint32_t parts_per_million)
{
    return rc_random_below(random, 1000000) < parts_per_million;
}
