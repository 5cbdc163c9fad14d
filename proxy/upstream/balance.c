/* balance.c - see balance.h. */
#include "proxy/upstream/balance.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/logarithm.h"
#include "base/table.h"

enum { SCAN_ALL_MAX = 8 }; /* least request looks at everybody up to here */

/* One member's turn in the smooth weighted round robin. */
struct turn {
    const struct instance *instance; /* for comparison only; may be gone */
    int64_t current;
};

struct balance {
    struct rc_random random;
    struct turn *turns; /* parallel to the pool's members */
    size_t count;
    uint64_t panics;
};

/* Who is asked for: the usable, or what is left when there is nobody usable. */
enum tier { TIER_NEAR, TIER_USABLE, TIER_DRAINING, TIER_LAST_RESORT, TIER_NOBODY };

uint64_t balance_key(const void *bytes, size_t size)
{
    uint64_t hash = size > 0 ? rc_hash(bytes, size, 0) : 0;
    return hash == 0 && size > 0 ? 1 : hash;
}

uint64_t balance_source(const struct rc_address *peer)
{
    return balance_key(peer->ip, sizeof peer->ip);
}

struct balance *balance_create(uint64_t seed)
{
    struct balance *made = calloc(1, sizeof *made);
    if (made != NULL) {
        rc_random_init(&made->random, seed);
    }
    return made;
}

void balance_destroy(struct balance *balance)
{
    if (balance != NULL) {
        free(balance->turns);
        free(balance);
    }
}

static int64_t former_turn(const struct balance *balance, const struct instance *instance)
{
    for (size_t i = 0; i < balance->count; i++) {
        if (balance->turns[i].instance == instance) {
            return balance->turns[i].current;
        }
    }
    return 0;
}

int balance_sync(struct balance *balance, const struct snapshot_pool *pool)
{
    struct turn *turns = calloc(pool->count > 0 ? pool->count : 1, sizeof *turns);
    if (turns == NULL) {
        balance->count = 0;
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < pool->count; i++) {
        const struct instance *instance = pool->members[i].instance;
        turns[i] = (struct turn){instance, former_turn(balance, instance)};
    }
    if (balance->count == 0 && pool->count > 0) {
        /* A random first turn: many workers and proxies must not all begin with the same. */
        turns[rc_random_below(&balance->random, pool->count)].current = 1;
    }
    free(balance->turns);
    balance->turns = turns;
    balance->count = pool->count;
    return RC_OK;
}

uint64_t balance_panics(const struct balance *balance)
{
    return balance->panics;
}

uint32_t balance_weight(const struct snapshot_member *member, uint32_t slow_start_ms,
                        uint64_t now_ms)
{
    uint64_t full = member->weight;
    uint64_t age_ms = now_ms - member->up_since_ms;
    if (member->state != UPSTREAM_WARMING || member->up_since_ms == 0 ||
        age_ms >= slow_start_ms || now_ms < member->up_since_ms) {
        return (uint32_t)full;
    }
    uint64_t part = full / 10 + (full - full / 10) * age_ms / slow_start_ms;
    return part > 0 ? (uint32_t)part : 1;
}

/* --- who may be chosen --- */

static bool is_excluded(const struct balance_request *request,
                        const struct instance *instance)
{
    for (size_t i = 0; i < request->excluded_count; i++) {
        if (request->excluded[i] == instance) {
            return true;
        }
    }
    return false;
}

static enum tier tier_of(const struct snapshot_pool *pool,
                         const struct snapshot_member *member)
{
    if (upstream_is_usable(member->state)) {
        return member->weight > 0 ? TIER_USABLE : TIER_DRAINING;
    }
    if (member->state == UPSTREAM_DRAINING) {
        return TIER_DRAINING;
    }
    if (pool->panic && member->weight > 0) {
        return TIER_USABLE;
    }
    return member->state == UPSTREAM_FAILING ? TIER_NOBODY : TIER_LAST_RESORT;
}

static bool is_in(const struct snapshot_pool *pool, const struct snapshot_member *member,
                  enum tier tier)
{
    if (tier == TIER_NEAR) {
        return member->near && tier_of(pool, member) == TIER_USABLE;
    }
    return tier_of(pool, member) == tier;
}

static uint32_t load_of(const struct snapshot_member *member)
{
    return atomic_load_explicit(&member->instance->in_flight, memory_order_relaxed);
}

struct field { /* one pick's view */
    const struct snapshot_pool *pool;
    const struct balance_request *request;
    enum tier tier;
};

/* The weight at which a member takes part, 0 = not at all. */
static uint32_t takes_part(const struct field *field,
                           const struct snapshot_member *member)
{
    const struct config_pool *config = field->pool->config;
    if (!is_in(field->pool, member, field->tier) ||
        is_excluded(field->request, member->instance) || member->state == UPSTREAM_GONE ||
        load_of(member) >= config->in_flight_max) {
        return 0;
    }
    uint32_t weight =
        balance_weight(member, config->slow_start_ms, field->request->now_ms);
    return weight > 0 ? weight : 1; /* of weight 0: last, but then like the others */
}

/* --- the ways to choose --- */

static const struct snapshot_member *round_robin(struct balance *balance,
                                                 const struct field *field)
{
    const struct snapshot_pool *pool = field->pool;
    size_t best = pool->count;
    int64_t total = 0;

    for (size_t i = 0; i < pool->count; i++) {
        uint32_t weight = takes_part(field, &pool->members[i]);
        if (weight == 0) {
            continue;
        }
        total += weight;
        balance->turns[i].current += weight;
        if (best == pool->count ||
            balance->turns[i].current > balance->turns[best].current) {
            best = i;
        }
    }
    if (best == pool->count) {
        return NULL;
    }
    balance->turns[best].current -= total;
    return &pool->members[best];
}

/* True if `a` is the less busy one: (in_flight + 1) / weight, compared crosswise. */
static bool less_busy(const struct snapshot_member *a, uint32_t weight_a,
                      const struct snapshot_member *b, uint32_t weight_b)
{
    return (uint64_t)(load_of(a) + 1) * weight_b < (uint64_t)(load_of(b) + 1) * weight_a;
}

static const struct snapshot_member *least_of_all(struct balance *balance,
                                                  const struct field *field)
{
    const struct snapshot_pool *pool = field->pool;
    const struct snapshot_member *best = NULL;
    uint32_t best_weight = 0;
    size_t start = pool->count > 0 ? rc_random_below(&balance->random, pool->count) : 0;

    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[(start + i) % pool->count];
        uint32_t weight = takes_part(field, member);
        if (weight > 0 &&
            (best == NULL || less_busy(member, weight, best, best_weight))) {
            best = member;
            best_weight = weight;
        }
    }
    return best;
}

static const struct snapshot_member *least_request(struct balance *balance,
                                                   const struct field *field)
{
    const struct snapshot_pool *pool = field->pool;
    if (pool->count <= SCAN_ALL_MAX) {
        return least_of_all(balance, field);
    }
    const struct snapshot_member *a =
        &pool->members[rc_random_below(&balance->random, pool->count)];
    const struct snapshot_member *b =
        &pool->members[rc_random_below(&balance->random, pool->count)];
    uint32_t weight_a = takes_part(field, a);
    uint32_t weight_b = takes_part(field, b);
    if (weight_a == 0 || weight_b == 0) {
        return least_of_all(balance, field); /* rare: many are unusable */
    }
    return less_busy(a, weight_a, b, weight_b) ? a : b;
}

/* Rendezvous: weight / -ln(u) with u from the hash of key and instance, in (0, 1). */
static double score_of(uint64_t key, const struct instance *instance, uint32_t weight)
{
    uint64_t parts[2] = {key, instance->id_hash};
    uint64_t hash = rc_hash(parts, sizeof parts, 0);
    double u = ((double)(hash >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
    return (double)weight / -rc_logarithm(u);
}

/* What one instance may carry: factor x average x its share of the weight, rounded up. */
struct bound {
    uint64_t in_flight; /* of all who take part, with the request to come */
    uint64_t weight;
    uint32_t percent; /* 0 = no bound */
};

static bool is_overloaded(const struct bound *bound, const struct snapshot_member *member,
                          uint32_t weight)
{
    if (bound->percent == 0 || bound->weight == 0) {
        return false;
    }
    uint64_t share = bound->in_flight * bound->percent * weight;
    uint64_t whole = bound->weight * 100;
    return load_of(member) + 1 > (share + whole - 1) / whole;
}

static struct bound bound_of(const struct field *field)
{
    struct bound bound = {.in_flight = 1,
                          .percent = field->pool->config->bounded_percent};
    for (size_t i = 0; i < field->pool->count; i++) {
        const struct snapshot_member *member = &field->pool->members[i];
        uint32_t weight = takes_part(field, member);
        if (weight > 0) {
            bound.in_flight += load_of(member);
            bound.weight += weight;
        }
    }
    return bound;
}

static const struct snapshot_member *by_hash(const struct field *field)
{
    const struct snapshot_pool *pool = field->pool;
    const struct snapshot_member *best = NULL;    /* within its bound */
    const struct snapshot_member *anybody = NULL; /* should all be over it */
    double best_score = -1;
    double any_score = -1;
    uint64_t key = field->request->key;
    struct bound bound = bound_of(field);

    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[i];
        uint32_t weight = takes_part(field, member);
        if (weight == 0) {
            continue;
        }
        double score = score_of(key, member->instance, weight);
        if (score > any_score) {
            any_score = score;
            anybody = member;
        }
        if (score > best_score && !is_overloaded(&bound, member, weight)) {
            best_score = score;
            best = member;
        }
    }
    return best != NULL ? best : anybody;
}

/* A half-open instance whose one slot is free takes the next request. */
static const struct snapshot_member *take_trial(const struct snapshot_pool *pool,
                                                const struct balance_request *request)
{
    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[i];
        uint32_t none = 0;
        if (member->state == UPSTREAM_TRIAL && !is_excluded(request, member->instance) &&
            atomic_compare_exchange_strong_explicit(&member->instance->trials, &none, 1,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed)) {
            return member;
        }
    }
    return NULL;
}

static const struct snapshot_member *choose(struct balance *balance,
                                            const struct field *field)
{
    switch (field->pool->config->balance) {
    case CONFIG_LEAST_REQUEST:
        return least_request(balance, field);
    case CONFIG_HASH:
        return field->request->key != 0 ? by_hash(field) : round_robin(balance, field);
    case CONFIG_ROUND_ROBIN:
    case CONFIG_BALANCE_COUNT:
        break;
    }
    return round_robin(balance, field);
}

/* The instance that the client's cookie names, if it is usable and has room. */
static const struct snapshot_member *stay(const struct snapshot_pool *pool,
                                          const struct balance_request *request)
{
    struct field field = {pool, request, TIER_USABLE};
    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[i];
        if (member->sticky == request->sticky && takes_part(&field, member) > 0) {
            return member;
        }
    }
    return NULL;
}

/* A choice that is worth counting. */
static void note(struct balance *balance, const struct snapshot_pool *pool,
                 const struct snapshot_member *chosen)
{
    bool passes = upstream_is_usable(chosen->state) || chosen->state == UPSTREAM_DRAINING;
    if (!passes) {
        balance->panics++;
    }
    if (!passes && pool->counts != NULL) {
        pool_counts_add(&pool->counts->panics);
    } else if (pool->prefer_near && !chosen->near && pool->counts != NULL) {
        pool_counts_add(&pool->counts->spills);
    }
}

const struct snapshot_member *balance_pick(struct balance *balance,
                                           const struct snapshot_pool *pool,
                                           const struct balance_request *request)
{
    assert(balance->count == pool->count || balance->turns == NULL);
    if (balance->count != pool->count) {
        return NULL; /* balance_sync found no memory */
    }
    const struct snapshot_member *chosen = take_trial(pool, request);
    if (chosen != NULL) {
        return chosen;
    }
    if (request->sticky != 0) {
        chosen = stay(pool, request);
    }
    unsigned tier = pool->prefer_near ? TIER_NEAR : TIER_USABLE;
    for (; chosen == NULL && tier < TIER_NOBODY; tier++) {
        struct field field = {pool, request, (enum tier)tier};
        chosen = choose(balance, &field);
    }
    if (chosen != NULL && (chosen->state != UPSTREAM_UP || pool->prefer_near)) {
        note(balance, pool, chosen);
    }
    return chosen;
}
