/* store.c - a store's life and clock. */
#include "agent/store/store.h"

#include <assert.h>
#include <stdlib.h>

#include "agent/store/store_plan.h"
#include "agent/store/store_state.h"

static const char *const prefixes[TABLE_COUNT] = {[STORE_KV] = "kv/",
                                                  [STORE_SESSIONS] = "session/",
                                                  [STORE_QUERIES] = "query/",
                                                  [STORE_TOKENS] = "acl/token/",
                                                  [STORE_POLICIES] = "acl/policy/",
                                                  [STORE_ROLES] = "acl/role/",
                                                  [STORE_SETTINGS] = "setting/",
                                                  [TABLE_HELD] = "held/",
                                                  [TABLE_REQUESTS] = "req/"};

const char *store_table_prefix(unsigned table)
{
    assert(table < TABLE_COUNT);
    return prefixes[table];
}

static bool make_parts(struct store *store)
{
    bool is_whole = true;

    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        store->tables[i] = mirror_create(0);
        is_whole = is_whole && store->tables[i] != NULL;
    }
    store->holds = mirror_create(0);
    store->touched = mirror_create(0);
    store->unsettled = mirror_create(0);
    store->delays = mirror_create(0);
    store->slots = calloc(1, sizeof *store->slots);
    store->plan = plan_create();
    return is_whole && store->holds != NULL && store->touched != NULL &&
           store->unsettled != NULL && store->delays != NULL && store->slots != NULL &&
           store->plan != NULL;
}

struct store *store_create(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof *store);

    if (store == NULL) {
        return NULL;
    }
    store->engine = options->engine;
    store->listener = options->listener;
    store->now_ms = options->now_ms;
    store->fresh_as_of_ms = options->now_ms;
    store->next_delay_ms = UINT64_MAX;
    store->next_settle_ms = UINT64_MAX;
    store->next_retry_ms = UINT64_MAX;
    store->next_sweep_ms = options->now_ms + SWEEP_EVERY_MS;
    if (!make_parts(store)) {
        store_destroy(store);
        return NULL;
    }
    engine_follow(store->engine,
                  &(const struct engine_follower){.context = store,
                                                  .begin = follow_begin,
                                                  .put = follow_put,
                                                  .removed = follow_removed,
                                                  .end = follow_end});
    return store;
}

void store_destroy(struct store *store)
{
    if (store == NULL) {
        return;
    }
    request_end_all(store);
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        mirror_destroy(store->tables[i]);
        mirror_destroy(store->incoming[i]);
    }
    mirror_destroy(store->holds);
    mirror_destroy(store->touched);
    mirror_destroy(store->unsettled);
    mirror_destroy(store->delays);
    rc_buffer_fini(&store->changes);
    rc_buffer_fini(&store->scratch);
    plan_destroy(store->plan);
    free(store->slots);
    free(store);
}

void store_hear(struct store *store, uint64_t now_ms)
{
    store->now_ms = now_ms > store->now_ms ? now_ms : store->now_ms;
}

uint64_t store_deadline_ms(const struct store *store)
{
    uint64_t settle = settle_deadline_ms(store);
    uint64_t request = request_deadline_ms(store);

    return settle < request ? settle : request;
}

void store_tick(struct store *store, uint64_t now_ms)
{
    store_hear(store, now_ms);
    settle_tick(store);
    request_tick(store);
}
