/* preference.c - see preference.h. */
#include "proxy/upstream/preference.h"

enum { NEAR_PERCENT = 50 }; /* of the near must pass, unless `panic` says otherwise */

/* Who could be used if his checks passed. */
static bool counts(const struct snapshot_member *member)
{
    return member->present || member->state == UPSTREAM_FAILING;
}

static bool is_usable(const struct snapshot_member *member)
{
    return upstream_is_usable(member->state) && member->weight > 0;
}

static bool panics(const struct snapshot_pool *pool)
{
    size_t usable = 0;
    size_t there = 0;
    for (size_t i = 0; i < pool->count; i++) {
        there += counts(&pool->members[i]);
        usable += counts(&pool->members[i]) && upstream_is_usable(pool->members[i].state);
    }
    return usable * 100 < there * pool->config->panic_percent;
}

static uint32_t nearest_us(const struct snapshot_pool *pool)
{
    uint32_t nearest = DISTANCE_UNKNOWN;
    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[i];
        if (is_usable(member) && member->distance_us < nearest) {
            nearest = member->distance_us;
        }
    }
    return nearest;
}

static bool prefers_near(struct snapshot_pool *pool)
{
    uint32_t nearest = nearest_us(pool);
    uint64_t reach_us = (uint64_t)nearest + (uint64_t)pool->config->near_ms * 1000;
    uint32_t least =
        pool->config->panic_percent > 0 ? pool->config->panic_percent : NEAR_PERCENT;
    size_t there = 0;
    size_t usable = 0;
    if (nearest == DISTANCE_UNKNOWN) {
        return false;
    }
    for (size_t i = 0; i < pool->count; i++) {
        struct snapshot_member *member = &pool->members[i];
        member->near =
            member->distance_us != DISTANCE_UNKNOWN && member->distance_us <= reach_us;
        there += member->near && counts(member);
        usable += member->near && is_usable(member);
    }
    return usable * 100 >= there * least;
}

void preference_settle(struct snapshot_pool *pool)
{
    pool->panic = pool->config->panic_percent > 0 && panics(pool);
    pool->prefer_near = pool->config->near_ms > 0 && !pool->panic && prefers_near(pool);
}
