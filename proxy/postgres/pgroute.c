/* pgroute.c - see pgroute.h. */
#include "proxy/postgres/pgroute.h"

#include <assert.h>

static bool is_usable(const struct snapshot_member *member)
{
    return member->present &&
           (upstream_is_usable(member->state) || member->state == UPSTREAM_EJECTED ||
            member->state == UPSTREAM_TRIAL);
}

static uint32_t sessions_of(const struct snapshot_member *member)
{
    return atomic_load_explicit(&member->instance->in_flight, memory_order_relaxed);
}

static const struct snapshot_member *primary_of(const struct snapshot_pool *pool)
{
    return pool->primary < pool->count ? &pool->members[pool->primary] : NULL;
}

/* Nobody tells roles: each usable one in turn, `avoid` last. */
static const struct snapshot_member *any_in_turn(const struct snapshot_pool *pool,
                                                 const struct pgroute_wish *wish,
                                                 size_t turn)
{
    const struct snapshot_member *avoided = NULL;
    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[(turn + i) % pool->count];
        if (!is_usable(member)) {
            continue;
        }
        if (member->instance != wish->avoid) {
            return member;
        }
        avoided = member;
    }
    return avoided;
}

/* The standby with the fewest sessions, `avoid` last; slow starters and ejected after others. */
static const struct snapshot_member *least_standby(const struct snapshot_pool *pool,
                                                   const struct pgroute_wish *wish)
{
    const struct snapshot_member *best = NULL;
    uint64_t best_cost = UINT64_MAX;
    for (size_t i = 0; i < pool->count; i++) {
        const struct snapshot_member *member = &pool->members[i];
        if (member->role != UPSTREAM_ROLE_STANDBY || !is_usable(member)) {
            continue;
        }
        uint64_t cost = sessions_of(member);
        cost += member->instance == wish->avoid ? UINT64_C(1) << 40 : 0;
        cost += upstream_is_usable(member->state) ? 0 : UINT64_C(1) << 33;
        if (cost < best_cost) {
            best = member;
            best_cost = cost;
        }
    }
    return best;
}

const struct snapshot_member *pgroute_pick(const struct snapshot_pool *pool,
                                           const struct pgroute_wish *wish, size_t turn)
{
    if (!pool->roles_known || wish->target == CONFIG_TARGET_ANY) {
        return any_in_turn(pool, wish, turn);
    }
    if (wish->target == CONFIG_TARGET_PRIMARY) {
        return primary_of(pool);
    }
    const struct snapshot_member *standby = least_standby(pool, wish);
    return standby == NULL && wish->fallback_primary ? primary_of(pool) : standby;
}

/* Writing needs the same holder under the same term, and a word about it that counts. */
static enum pgroute_fate fate_under_lease(const struct snapshot_pool *pool,
                                          const struct snapshot_member *member,
                                          const struct pgroute_session *session)
{
    if (session->kind == PGROUTE_READS) {
        return member == NULL || !member->present || member->role != UPSTREAM_ROLE_STANDBY
                   ? PGROUTE_LEAVE
                   : PGROUTE_STAY;
    }
    return member != NULL && member == primary_of(pool) && pool->term == session->term
               ? PGROUTE_STAY
               : PGROUTE_CUT;
}

enum pgroute_fate pgroute_fate(const struct snapshot_pool *pool,
                               const struct instance *instance,
                               const struct pgroute_session *session)
{
    const struct snapshot_member *member =
        pool != NULL ? snapshot_find(pool, instance) : NULL;
    if (pool != NULL && pool->managed) {
        return fate_under_lease(pool, member, session);
    }
    if (session->kind == PGROUTE_READS) {
        return member == NULL || !member->present ? PGROUTE_LEAVE : PGROUTE_STAY;
    }
    if (member == NULL || !member->present || member->role == UPSTREAM_ROLE_STANDBY) {
        return PGROUTE_CUT;
    }
    const struct snapshot_member *primary = primary_of(pool);
    if (primary != NULL && primary != member) {
        return PGROUTE_CUT;
    }
    return pool->roles_known && member->role == UPSTREAM_ROLE_NONE ? PGROUTE_CUT
                                                                   : PGROUTE_STAY;
}

struct pgroute_session pgroute_session_on(const struct snapshot_pool *pool,
                                          const struct instance *instance,
                                          const struct pgroute_session *before)
{
    const struct snapshot_member *primary = pool != NULL ? primary_of(pool) : NULL;
    if (pool == NULL || !pool->managed || before->kind == PGROUTE_WRITES ||
        primary == NULL || primary->instance != instance) {
        return *before;
    }
    return (struct pgroute_session){PGROUTE_WRITES, pool->term};
}

bool pgroute_may_cancel(const struct snapshot_pool *pool, uint64_t term)
{
    return !pool->managed || term == 0 || term == pool->term;
}
