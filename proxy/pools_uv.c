/* pools_uv.c - see pools_uv.h. */
#include "proxy/pools_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/random.h"
#include "base/text.h"

enum {
    UNUSED_MS = 600 * 1000, /* a derived pool that nobody asks for */
    EMPTY_MS = 10 * 1000,   /* one that has turned out to have no instances */
};

struct made { /* on request */
    struct derived *derived;
    struct pool *pool;
};

struct pools {
    struct pools_options options;
    const struct config *config;
    struct dns_resolver *resolver;
    struct rc_random random;
    struct pool **fixed; /* one for each of the configuration */
    size_t fixed_count;
    struct made *made; /* in the order of derived_compare */
    size_t made_count;
    uint64_t revision;
};

struct pools *pools_create(const struct pools_options *options)
{
    struct pools *pools = calloc(1, sizeof *pools);
    if (pools != NULL) {
        pools->options = *options;
        rc_random_init(&pools->random, options->seed);
    }
    return pools;
}

static void close_fixed(struct pools *pools)
{
    for (size_t i = 0; i < pools->fixed_count; i++) {
        pool_close(pools->fixed[i]);
    }
    free((void *)pools->fixed);
    pools->fixed = NULL;
    pools->fixed_count = 0;
}

static void end_made(struct made *made)
{
    pool_close(made->pool);
    derived_release(made->derived);
    *made = (struct made){0};
}

void pools_close(struct pools *pools)
{
    if (pools == NULL) {
        return;
    }
    close_fixed(pools);
    for (size_t i = 0; i < pools->made_count; i++) {
        end_made(&pools->made[i]);
    }
    free(pools->made);
    free(pools);
}

static struct pool *start(struct pools *pools, const struct config_pool *config)
{
    struct pool_options options = {
        .loop = pools->options.loop,
        .config = pools->config,
        .pool = config,
        .resolver = pools->resolver,
        .metrics = pools->options.metrics,
        .seed = rc_random_next(&pools->random),
        .changed = pools->options.changed,
        .context = pools->options.context,
    };
    return pool_start(&options);
}

/* --- another configuration --- */

static struct pool *take_former(struct pools *pools, const char *name)
{
    for (size_t i = 0; i < pools->fixed_count; i++) {
        struct pool *found = pools->fixed[i];
        if (found != NULL && rc_text_equals(pool_name(found), name)) {
            pools->fixed[i] = NULL;
            return found;
        }
    }
    return NULL;
}

static int follow_fixed(struct pools *pools)
{
    const struct config *config = pools->config;
    struct pool **now = calloc(config->pool_count + 1, sizeof(struct pool *));
    int err = now != NULL ? RC_OK : RC_ENOMEM;

    for (size_t i = 0; err == RC_OK && i < config->pool_count; i++) {
        now[i] = take_former(pools, config->pools[i].name);
        if (now[i] != NULL) {
            err = pool_configure(now[i], config, &config->pools[i], pools->resolver);
        } else {
            now[i] = start(pools, &config->pools[i]);
            err = now[i] != NULL ? RC_OK : RC_ENOMEM;
        }
    }
    close_fixed(pools);
    pools->fixed = now;
    pools->fixed_count = now != NULL ? config->pool_count : 0;
    return err;
}

/* The index of a pattern, or the number of pools: there is none of this name. */
static size_t find_pattern(const struct config *config, const char *name)
{
    size_t i = 0;
    while (i < config->pool_count &&
           !(config->pools[i].pattern && rc_text_equals(config->pools[i].name, name))) {
        i++;
    }
    return i;
}

/* Turns one to the pattern of the same name. False: it has none any more. */
static bool follow_made(struct pools *pools, struct made *made,
                        const struct config *former)
{
    const char *name = former->pools[made->derived->pattern].name;
    size_t pattern = find_pattern(pools->config, name);
    int err = RC_OK;
    if (pattern == pools->config->pool_count) {
        return false;
    }
    struct derived *next =
        derived_create(pools->config, pattern, made->derived->config.service,
                       atomic_load(&made->derived->used_at_ms), &err);
    if (next == NULL) {
        return false;
    }
    err = pool_configure(made->pool, pools->config, &next->config, pools->resolver);
    derived_release(made->derived);
    made->derived = next;
    return err == RC_OK;
}

static int compare_made(const void *a, const void *b)
{
    const struct made *left = a;
    const struct made *right = b;
    return derived_compare(left->derived, right->derived->pattern,
                           right->derived->config.service);
}

int pools_follow(struct pools *pools, const struct config *config,
                 struct dns_resolver *resolver)
{
    const struct config *former = pools->config;
    size_t kept = 0;
    pools->config = config;
    pools->resolver = resolver;
    for (size_t i = 0; i < pools->made_count; i++) {
        if (follow_made(pools, &pools->made[i], former)) {
            pools->made[kept++] = pools->made[i];
        } else {
            end_made(&pools->made[i]);
        }
    }
    pools->made_count = kept;
    if (kept > 1) {
        qsort(pools->made, kept, sizeof *pools->made, compare_made);
    }
    return follow_fixed(pools);
}

/* --- on request --- */

/* Where it stands, or would stand. */
static size_t place_of(const struct pools *pools, size_t pattern, const char *service)
{
    size_t at = 0;
    while (at < pools->made_count &&
           derived_compare(pools->made[at].derived, pattern, service) < 0) {
        at++;
    }
    return at;
}

static int insert(struct pools *pools, size_t at, const struct made *made)
{
    struct made *grown = realloc(pools->made, (pools->made_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return RC_ENOMEM;
    }
    pools->made = grown;
    memmove(grown + at + 1, grown + at, (pools->made_count - at) * sizeof *grown);
    grown[at] = *made;
    pools->revision++;
    pools->made_count++;
    return RC_OK;
}

/* Names that were no service make way for others, so that strangers cannot fill the table. False:
 * there is none. */
static bool forget_an_empty_one(struct pools *pools)
{
    size_t oldest = pools->made_count;
    uint64_t oldest_ms = UINT64_MAX;
    for (size_t i = 0; i < pools->made_count; i++) {
        const struct lineup *lineup = pool_lineup(pools->made[i].pool);
        uint64_t used_ms = atomic_load_explicit(&pools->made[i].derived->used_at_ms,
                                                memory_order_relaxed);
        if (lineup_is_known(lineup) && lineup_count(lineup) == 0 && used_ms < oldest_ms) {
            oldest = i;
            oldest_ms = used_ms;
        }
    }
    if (oldest == pools->made_count) {
        return false;
    }
    end_made(&pools->made[oldest]);
    pools->made_count--;
    memmove(&pools->made[oldest], &pools->made[oldest + 1],
            (pools->made_count - oldest) * sizeof *pools->made);
    return true;
}

int pools_want(struct pools *pools, const char *pattern_name, const char *service)
{
    size_t pattern = find_pattern(pools->config, pattern_name);
    struct made made = {0};
    int err = RC_OK;
    if (pattern == pools->config->pool_count) {
        return RC_ENOTFOUND;
    }
    size_t at = place_of(pools, pattern, service);
    if (at < pools->made_count &&
        derived_compare(pools->made[at].derived, pattern, service) == 0) {
        return RC_OK;
    }
    if (pools->made_count >= POOLS_DERIVED_MAX) {
        if (!forget_an_empty_one(pools)) {
            return RC_ETOOBIG;
        }
        at = place_of(pools, pattern, service);
    }
    made.derived = derived_create(pools->config, pattern, service, rc_clock_ms(), &err);
    if (made.derived == NULL) {
        return err;
    }
    made.pool = start(pools, &made.derived->config);
    err = made.pool != NULL ? insert(pools, at, &made) : RC_ENOMEM;
    if (err != RC_OK) {
        end_made(&made);
        return err;
    }
    rc_log(RC_LOG_INFO, "proxy", "pool %s: made for a request", pool_name(made.pool));
    return RC_OK;
}

static bool is_over(const struct made *made, uint64_t now_ms)
{
    const struct lineup *lineup = pool_lineup(made->pool);
    uint64_t used_ms =
        atomic_load_explicit(&made->derived->used_at_ms, memory_order_relaxed);
    bool empty = lineup_is_known(lineup) && lineup_count(lineup) == 0;
    uint64_t patience_ms = empty ? EMPTY_MS : UNUSED_MS;
    return now_ms > used_ms && now_ms - used_ms > patience_ms;
}

static bool forget_unused(struct pools *pools)
{
    uint64_t now_ms = rc_clock_ms();
    size_t kept = 0;
    for (size_t i = 0; i < pools->made_count; i++) {
        if (is_over(&pools->made[i], now_ms)) {
            rc_log(RC_LOG_INFO, "proxy", "pool %s: not asked for any more",
                   pool_name(pools->made[i].pool));
            end_made(&pools->made[i]);
        } else {
            pools->made[kept++] = pools->made[i];
        }
    }
    bool changed = kept != pools->made_count;
    pools->revision += changed ? 1 : 0;
    pools->made_count = kept;
    return changed;
}

/* --- all --- */

bool pools_tick(struct pools *pools)
{
    bool changed = false;
    for (size_t i = 0; i < pools_count(pools); i++) {
        changed = pool_tick(pools_at(pools, i)) || changed;
    }
    return forget_unused(pools) || changed;
}

void pools_refresh(struct pools *pools)
{
    for (size_t i = 0; i < pools_count(pools); i++) {
        pool_refresh(pools_at(pools, i));
    }
}

uint64_t pools_revision(const struct pools *pools)
{
    return pools->revision;
}

size_t pools_count(const struct pools *pools)
{
    return pools->fixed_count + pools->made_count;
}

struct pool *pools_at(const struct pools *pools, size_t index)
{
    assert(index < pools_count(pools));
    return index < pools->fixed_count ? pools->fixed[index]
                                      : pools->made[index - pools->fixed_count].pool;
}

const struct config_pool *pools_config(const struct pools *pools, size_t index)
{
    assert(index < pools_count(pools));
    return index < pools->fixed_count
               ? &pools->config->pools[index]
               : &pools->made[index - pools->fixed_count].derived->config;
}

bool pools_are_known(const struct pools *pools)
{
    for (size_t i = 0; i < pools->fixed_count; i++) {
        if (!pools->config->pools[i].pattern &&
            !lineup_is_known(pool_lineup(pools->fixed[i]))) {
            return false;
        }
    }
    return true;
}

static int derive_all(const struct pools *pools, struct snapshot *snapshot)
{
    struct derived **all = calloc(pools->made_count + 1, sizeof(struct derived *));
    if (all == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; i < pools->made_count; i++) {
        all[i] = pools->made[i].derived;
    }
    int err = snapshot_derive(snapshot, all, pools->made_count);
    free((void *)all);
    return err;
}

struct snapshot *pools_snapshot(const struct pools *pools, struct snapshot_config *shared,
                                uint64_t generation)
{
    assert(shared->config == pools->config);
    struct snapshot *made = snapshot_create(shared, generation);
    if (made == NULL) {
        return NULL;
    }
    int err = derive_all(pools, made);
    for (size_t i = 0; err == RC_OK && i < pools_count(pools); i++) {
        err = lineup_fill(pool_lineup(pools_at(pools, i)), made, i);
    }
    if (err != RC_OK) {
        snapshot_release(made);
        return NULL;
    }
    return made;
}
