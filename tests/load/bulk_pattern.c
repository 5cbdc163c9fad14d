/* bulk_pattern.c - see bulk_pattern.h. */
#include "tests/load/bulk_pattern.h"

#include <assert.h>
#include <string.h>

void bulk_pattern_init(struct bulk_pattern *pattern)
{
    uint32_t state = 1;

    for (size_t i = 0; i < sizeof pattern->bytes; i++) {
        state = i % BULK_PERIOD == 0 ? 1 : state * 1664525U + 1013904223U;
        pattern->bytes[i] = (uint8_t)(state >> 24U);
    }
}

const uint8_t *bulk_pattern_at(const struct bulk_pattern *pattern, uint64_t offset)
{
    return pattern->bytes + offset % BULK_PERIOD;
}

bool bulk_pattern_holds(const struct bulk_pattern *pattern, uint64_t offset,
                        const void *bytes, size_t size)
{
    assert(size <= BULK_PIECE_MAX);
    return memcmp(bulk_pattern_at(pattern, offset), bytes, size) == 0;
}
