/* bulk_pattern.h - bytes whose value is known from where they stand in a body.
 *
 * Both ends of a long transfer make the same bytes, so that a piece that is lost, doubled,
 * moved or changed on the way is seen at the first byte of it. */
#ifndef TESTS_LOAD_BULK_PATTERN_H
#define TESTS_LOAD_BULK_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BULK_PIECE_MAX = 1 << 20, BULK_PERIOD = 65521 /* prime: no buffer divides it */ };

struct bulk_pattern {
    uint8_t bytes[BULK_PERIOD + BULK_PIECE_MAX];
};

void bulk_pattern_init(struct bulk_pattern *pattern);

/* BULK_PIECE_MAX bytes as they stand from `offset` on. Borrowed. */
const uint8_t *bulk_pattern_at(const struct bulk_pattern *pattern, uint64_t offset);

/* True if `size` bytes (at most BULK_PIECE_MAX) are those of `offset`. */
bool bulk_pattern_holds(const struct bulk_pattern *pattern, uint64_t offset,
                        const void *bytes, size_t size);

#endif
