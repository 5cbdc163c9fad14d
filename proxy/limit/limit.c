/* limit.c - see limit.h. */
#include "proxy/limit/limit.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/table.h"

enum {
    SETS = LIMIT_PLACES / LIMIT_WAYS,
    DEBT_BITS = 48, /* us: nine years */
    COUNT_BITS = 32,
    NO_PLACE = LIMIT_PLACES
};

struct limit {
    _Atomic uint32_t references;
    _Atomic uint64_t overflows;
    uint64_t seed;
    uint64_t began_us;
    _Atomic uint64_t places[LIMIT_PLACES];
};

struct limit *limit_create(uint64_t seed, uint64_t now_us)
{
    struct limit *limit = calloc(1, sizeof *limit);

    if (limit != NULL) {
        atomic_init(&limit->references, 1);
        limit->seed = seed;
        limit->began_us = now_us;
    }
    return limit;
}

struct limit *limit_retain(struct limit *limit)
{
    (void)atomic_fetch_add_explicit(&limit->references, 1, memory_order_relaxed);
    return limit;
}

void limit_release(struct limit *limit)
{
    if (limit != NULL &&
        atomic_fetch_sub_explicit(&limit->references, 1, memory_order_acq_rel) == 1) {
        free(limit);
    }
}

uint64_t limit_key_of_text(const struct limit *limit, const void *bytes, size_t size)
{
    return rc_hash(bytes, size, limit->seed);
}

uint64_t limit_key_of_source(const struct limit *limit, const struct rc_address *source)
{
    size_t size = source->family == RC_ADDRESS_IPV6 ? 8 : rc_address_ip_size(source);
    return rc_hash(source->ip, size, limit->seed);
}

uint64_t limit_overflows(const struct limit *limit)
{
    return atomic_load_explicit(&limit->overflows, memory_order_relaxed);
}

static void note_overflow(struct limit *limit)
{
    (void)atomic_fetch_add_explicit(&limit->overflows, 1, memory_order_relaxed);
}

/* The first place that a key may have. */
static _Atomic uint64_t *set_of(struct limit *limit, uint64_t key)
{
    return &limit->places[(key % SETS) * LIMIT_WAYS];
}

/* The part of the key that stands in its place: never 0, which is an empty place. */
static uint64_t tag_of(uint64_t key, unsigned bits)
{
    uint64_t tag = key >> (64 - bits);
    return tag > 0 ? tag : 1;
}

/* --- rates --- */

/* Where the key's debt stands, or else the place of the least debt. */
static size_t find_debt(_Atomic uint64_t *set, uint64_t tag, uint64_t *word)
{
    size_t least = 0;
    uint64_t least_word = 0;
    uint64_t least_debt = UINT64_MAX;
    uint64_t mask = (UINT64_C(1) << DEBT_BITS) - 1;

    for (size_t i = 0; i < LIMIT_WAYS; i++) {
        uint64_t now = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (now >> DEBT_BITS == tag) {
            *word = now;
            return i;
        }
        if ((now & mask) < least_debt) {
            least = i;
            least_word = now;
            least_debt = now & mask;
        }
    }
    *word = least_word;
    return least;
}

bool limit_take(struct limit *limit, uint64_t key, const struct limit_rate *rate,
                uint64_t now_us, uint64_t *wait_us)
{
    uint64_t tag = tag_of(key, 64 - DEBT_BITS);
    uint64_t mask = (UINT64_C(1) << DEBT_BITS) - 1;
    uint64_t at = (now_us - limit->began_us) & mask;
    uint64_t slack = (rate->burst - 1) * rate->interval_us;
    _Atomic uint64_t *set = set_of(limit, key);

    for (;;) {
        uint64_t word = 0;
        size_t place = find_debt(set, tag, &word);
        bool own = word >> DEBT_BITS == tag;
        uint64_t paid_at = own && (word & mask) > at ? word & mask : at;
        if (paid_at - at > slack) {
            *wait_us = paid_at - at - slack;
            return false;
        }
        uint64_t next = tag << DEBT_BITS | ((paid_at + rate->interval_us) & mask);
        if (atomic_compare_exchange_weak_explicit(
                &set[place], &word, next, memory_order_relaxed, memory_order_relaxed)) {
            if (!own && (word & mask) > at) {
                note_overflow(limit);
            }
            return true;
        }
    }
}

/* --- counts --- */

/* The key's own place, else an empty one, else NO_PLACE. */
static size_t find_count(_Atomic uint64_t *set, uint64_t tag, uint64_t *word)
{
    size_t empty = NO_PLACE;

    for (size_t i = 0; i < LIMIT_WAYS; i++) {
        uint64_t now = atomic_load_explicit(&set[i], memory_order_relaxed);
        if (now >> COUNT_BITS == tag) {
            *word = now;
            return i;
        }
        if (now == 0 && empty == NO_PLACE) {
            empty = i;
        }
    }
    *word = 0;
    return empty;
}

bool limit_enter(struct limit *limit, uint64_t key, uint32_t max, struct limit_grant *out)
{
    uint64_t tag = tag_of(key, 64 - COUNT_BITS);
    _Atomic uint64_t *set = set_of(limit, key);

    *out = (struct limit_grant){0};
    for (;;) {
        uint64_t word = 0;
        size_t place = find_count(set, tag, &word);
        if (place == NO_PLACE) {
            note_overflow(limit);
            return true;
        }
        if ((word & UINT32_MAX) >= max) {
            return false;
        }
        uint64_t next = tag << COUNT_BITS | ((word & UINT32_MAX) + 1);
        if (atomic_compare_exchange_weak_explicit(
                &set[place], &word, next, memory_order_relaxed, memory_order_relaxed)) {
            out->limit = limit_retain(limit);
            out->place = (uint32_t)(&set[place] - limit->places);
            return true;
        }
    }
}

void limit_leave(struct limit_grant *grant)
{
    if (grant->limit == NULL) {
        return;
    }
    _Atomic uint64_t *place = &grant->limit->places[grant->place];
    uint64_t word = atomic_load_explicit(place, memory_order_relaxed);
    uint64_t next = 0;
    do {
        assert((word & UINT32_MAX) > 0);
        next = (word & UINT32_MAX) == 1 ? 0 : word - 1;
    } while (!atomic_compare_exchange_weak_explicit(
        place, &word, next, memory_order_relaxed, memory_order_relaxed));
    limit_release(grant->limit);
    *grant = (struct limit_grant){0};
}
