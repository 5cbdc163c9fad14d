#include <sodium.h>

#include "base/entropy.h"

void rc_entropy(void *out, size_t size)
{
    randombytes_buf(out, size);
}

uint64_t rc_entropy_u64(void)
{
    uint64_t out = 0;
    randombytes_buf(&out, sizeof out);
    return out;
}
