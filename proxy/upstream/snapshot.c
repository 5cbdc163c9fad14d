/* snapshot.c - see snapshot.h. */
#include "proxy/upstream/snapshot.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

struct snapshot_config *snapshot_config_create(struct config *config,
                                               struct certificates *certificates)
{
    struct snapshot_config *shared = calloc(1, sizeof *shared);
    if (shared != NULL && meters_init(&shared->meters, config) != RC_OK) {
        meters_fini(&shared->meters);
        free(shared);
        shared = NULL;
    }
    if (shared == NULL) {
        config_destroy(config);
        certificates_destroy(certificates);
        return NULL;
    }
    atomic_init(&shared->references, 1);
    shared->config = config;
    shared->certificates = certificates;
    return shared;
}

struct snapshot_config *snapshot_config_retain(struct snapshot_config *shared)
{
    (void)atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void snapshot_config_release(struct snapshot_config *shared)
{
    if (shared != NULL &&
        atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) == 1) {
        config_destroy(shared->config);
        certificates_destroy(shared->certificates);
        meters_fini(&shared->meters);
        limits_fini(&shared->limits);
        free(shared);
    }
}

struct snapshot *snapshot_create(struct snapshot_config *shared, uint64_t generation)
{
    struct snapshot *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    size_t count = shared->config->pool_count;
    made->pools = calloc(count > 0 ? count : 1, sizeof *made->pools);
    if (made->pools == NULL) {
        free(made);
        return NULL;
    }
    atomic_init(&made->references, 1);
    made->generation = generation;
    made->shared = snapshot_config_retain(shared);
    made->config = shared->config;
    made->pool_count = count;
    for (size_t i = 0; i < count; i++) {
        made->pools[i].config = &made->config->pools[i];
        made->pools[i].tls =
            shared->certificates != NULL ? shared->certificates->pools[i] : NULL;
    }
    return made;
}

int snapshot_derive(struct snapshot *snapshot, struct derived *const *derived,
                    size_t count)
{
    size_t fixed = snapshot->config->pool_count;
    assert(snapshot->pool_count == fixed);
    struct snapshot_pool *grown =
        realloc(snapshot->pools, (fixed + count + 1) * sizeof *grown);
    if (grown == NULL) {
        return RC_ENOMEM;
    }
    snapshot->pools = grown;
    for (size_t i = 0; i < count; i++) {
        struct derived *d = derived_retain(derived[i]);
        grown[fixed + i] = (struct snapshot_pool){
            .config = &d->config, .derived = d, .tls = grown[d->pattern].tls};
    }
    snapshot->pool_count = fixed + count;
    return RC_OK;
}

int snapshot_reserve(struct snapshot *snapshot, size_t pool, size_t count)
{
    assert(pool < snapshot->pool_count);
    struct snapshot_pool *into = &snapshot->pools[pool];
    assert(into->members == NULL);
    into->members = calloc(count > 0 ? count : 1, sizeof *into->members);
    if (into->members == NULL) {
        return RC_ENOMEM;
    }
    into->count = count;
    into->primary = count;
    return RC_OK;
}

struct snapshot *snapshot_retain(struct snapshot *snapshot)
{
    (void)atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

static void destroy(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        struct snapshot_pool *pool = &snapshot->pools[i];
        for (size_t k = 0; k < pool->count; k++) {
            instance_release(pool->members[k].instance);
        }
        free(pool->members);
        pgtally_release(pool->tally);
        pool_counts_release(pool->counts);
        derived_release(pool->derived);
    }
    free(snapshot->pools);
    snapshot_config_release(snapshot->shared);
    free(snapshot);
}

void snapshot_release(struct snapshot *snapshot)
{
    if (snapshot != NULL &&
        atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) == 1) {
        destroy(snapshot);
    }
}

const struct snapshot_member *snapshot_find(const struct snapshot_pool *pool,
                                            const struct instance *instance)
{
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->members[i].instance == instance) {
            return &pool->members[i];
        }
    }
    return NULL;
}

const struct snapshot_pool *snapshot_find_pool(const struct snapshot *snapshot,
                                               const char *name)
{
    for (size_t i = 0; i < snapshot->pool_count; i++) {
        if (rc_text_equals(snapshot->pools[i].config->name, name)) {
            return &snapshot->pools[i];
        }
    }
    return NULL;
}

const struct snapshot_pool *snapshot_find_derived(const struct snapshot *snapshot,
                                                  size_t pattern, const char *service)
{
    size_t low = snapshot->config->pool_count;
    size_t high = snapshot->pool_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct snapshot_pool *pool = &snapshot->pools[middle];
        int order = derived_compare(pool->derived, pattern, service);
        if (order == 0) {
            return pool;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
