/* limit.h - rates and counts by client, in a table of fixed size that all workers share.
 *
 * No lock: an entry is one word of memory, changed by compare-and-swap. A rate is kept by the
 * generic cell rate algorithm (ITU-T I.371): the time at which the client's debt is paid. A
 * count is the number of those who are in.
 *
 * A client has eight places where its entry may be. Of a rate, the entry with the least debt
 * makes room when all are taken: who floods stays known. Of a count nobody can be put out:
 * who finds no place is let in, and counted by limit_overflows. Two clients share an entry
 * when 16 (a count: 32) bits of their hashes agree beside the place, which nobody without
 * the seed can arrange. */
#ifndef PROXY_LIMIT_LIMIT_H
#define PROXY_LIMIT_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/address.h"

enum { LIMIT_PLACES = 32768, LIMIT_WAYS = 8 }; /* 256 KiB a table */

struct limit;

/* Empty, with one reference. `now_us` is monotonic; so are all below. NULL when memory is out. */
struct limit *limit_create(uint64_t seed, uint64_t now_us);
struct limit *limit_retain(struct limit *limit);
void limit_release(struct limit *limit); /* NULL is allowed */

/* Who an address counts as: itself, or the /64 of IPv6, as one subscriber has at least that. */
uint64_t limit_key_of_source(const struct limit *limit, const struct rc_address *source);
uint64_t limit_key_of_text(const struct limit *limit, const void *bytes, size_t size);

struct limit_rate {
    uint64_t interval_us; /* of one, at the rate */
    uint32_t burst;       /* at once after a pause; at least 1 */
};

/* One more by `key`, if the rate allows. Else false, and `*wait_us` says when it would. */
bool limit_take(struct limit *limit, uint64_t key, const struct limit_rate *rate,
                uint64_t now_us, uint64_t *wait_us);

/* A place in a count, to be given back. Zeroed: none. */
struct limit_grant {
    struct limit *limit; /* retained */
    uint32_t place;
};

/* One more of `key` at once, if fewer than `max` are in. Else false. `out` is given back by
 * limit_leave, whatever the answer. */
bool limit_enter(struct limit *limit, uint64_t key, uint32_t max,
                 struct limit_grant *out);
void limit_leave(struct limit_grant *grant);

/* How often a client was let in as no place was left, or an unpaid debt was forgotten. */
uint64_t limit_overflows(const struct limit *limit);

#endif
