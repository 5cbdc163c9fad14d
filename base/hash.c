/* hash.c - SipHash-2-4 (Aumasson, Bernstein 2012): the hash of base/table.h. */
#include "base/table.h"

static uint64_t rotate_left(uint64_t value, unsigned by)
{
    return value << by | value >> (64 - by);
}

static void mix(uint64_t v[4], unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate_left(v[1], 13) ^ v[0];
        v[3] = rotate_left(v[3], 16) ^ v[2];
        v[0] = rotate_left(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate_left(v[1], 17) ^ v[2];
        v[3] = rotate_left(v[3], 21) ^ v[0];
        v[2] = rotate_left(v[2], 32);
    }
}

/* Up to eight bytes as a little-endian number. */
static uint64_t word_of(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

uint64_t rc_hash(const void *bytes, size_t size, uint64_t seed)
{
    const uint8_t *at = bytes;
    /* The key is 128 bits: the seed, and the seed turned by half its width. */
    uint64_t second = rotate_left(seed, 32);
    uint64_t v[4] = {
        UINT64_C(0x736f6d6570736575) ^ seed,
        UINT64_C(0x646f72616e646f6d) ^ second,
        UINT64_C(0x6c7967656e657261) ^ seed,
        UINT64_C(0x7465646279746573) ^ second,
    };
    size_t whole = size - size % 8;

    for (size_t i = 0; i < whole; i += 8) {
        uint64_t word = word_of(at + i, 8);
        v[3] ^= word;
        mix(v, 2);
        v[0] ^= word;
    }
    uint64_t last = (uint64_t)size << 56;
    if (size > whole) {
        last |= word_of(at + whole, size - whole);
    }
    v[3] ^= last;
    mix(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    mix(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
