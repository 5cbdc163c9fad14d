/* explain_instances.c - who is in the pool now, by the word of the running proxy, and who is
 * next. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/explain/explain.h"
#include "proxy/explain/explain_facts.h"
#include "proxy/upstream/balance.h"

static enum upstream_state state_of(const char *name)
{
    for (int i = 0; i < UPSTREAM_STATE_COUNT; i++) {
        if (rc_text_equals(upstream_state_name((enum upstream_state)i), name)) {
            return (enum upstream_state)i;
        }
    }
    return UPSTREAM_EJECTED;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* As a worker would have it. False: no memory, or no instance. */
static bool take_member(const json_t *from, struct snapshot_member *out)
{
    struct rc_address address;
    const char *id = text_of(from, "id");
    if (id[0] == '\0' ||
        rc_address_parse(text_of(from, "address"), 0, &address) != RC_OK) {
        return false;
    }
    *out = (struct snapshot_member){
        .instance = instance_create(id, &address),
        .state = state_of(text_of(from, "state")),
        .present = true,
        .weight = (uint32_t)number_of(from, "weight"),
        .distance_us = DISTANCE_UNKNOWN,
        .near = true,
    };
    return out->instance != NULL;
}

static void tell_members(struct explanation *e, const json_t *instances)
{
    for (size_t i = 0; i < json_array_size(instances); i++) {
        const json_t *one = json_array_get(instances, i);
        const char *why = text_of(one, "why");
        enum upstream_state state = state_of(text_of(one, "state"));
        explain_add(e, "instances", "%s %s: %s%s%s%s, weight %lld, %lld in flight",
                    text_of(one, "id"), text_of(one, "address"), text_of(one, "state"),
                    upstream_is_usable(state) ? "" : " (takes nothing new)",
                    why[0] != '\0' ? ", " : "", why, (long long)number_of(one, "weight"),
                    (long long)number_of(one, "in_flight"));
    }
}

/* Those that take requests now; `members` has room for all. */
static size_t take_members(const json_t *instances, struct snapshot_member *members)
{
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(instances); i++) {
        if (take_member(json_array_get(instances, i), &members[count])) {
            count++;
        }
    }
    return count;
}

static void tell_hash(struct explanation *e, const struct snapshot_pool *pool)
{
    struct balance_request request = {.key = e->affinity.key};
    struct balance *balance = balance_create(1);
    const struct snapshot_member *chosen = NULL;
    if (balance != NULL && balance_sync(balance, pool) == RC_OK) {
        chosen = balance_pick(balance, pool, &request);
    }
    explain_put(
        e, "chosen", "%s by the hash%s", chosen != NULL ? chosen->instance->id : "nobody",
        e->pool->bounded_percent > 0 ? ", unless it has more than its share" : "");
    balance_destroy(balance);
}

static void tell_choice(struct explanation *e, const struct snapshot_pool *pool)
{
    size_t usable = 0;
    for (size_t i = 0; i < pool->count; i++) {
        usable += upstream_is_usable(pool->members[i].state) ? 1 : 0;
    }
    if (usable == 0) {
        explain_put(e, "chosen",
                    "nobody is usable: it waits up to queue_timeout, then 503");
    } else if (e->pool->sticky[0] != '\0' && e->affinity.sticky != 0) {
        explain_put(e, "chosen", "the one that the cookie %s names, if it is usable",
                    e->pool->sticky);
    } else if (e->pool->balance == CONFIG_HASH && e->affinity.key != 0) {
        tell_hash(e, pool);
    } else {
        explain_put(e, "chosen", "one of %zu usable, by %s%s", usable,
                    config_balance_name(e->pool->balance),
                    e->pool->near_ms > 0 ? ", those that are near first" : "");
    }
}

static const json_t *find_pool(const json_t *root, const char *name)
{
    const json_t *pools = json_object_get(root, "pools");
    for (size_t i = 0; i < json_array_size(pools); i++) {
        const json_t *pool = json_array_get(pools, i);
        if (rc_text_equals(text_of(pool, "name"), name)) {
            return pool;
        }
    }
    return NULL;
}

static void tell_pool(struct explanation *e, const json_t *found)
{
    const json_t *instances = json_object_get(found, "instances");
    size_t count = json_array_size(instances);
    struct snapshot_pool pool = {.config = e->pool, .known = true};

    if (count == 0) {
        explain_put(e, "instances", "none: discovery names no instance");
        return;
    }
    tell_members(e, instances);
    pool.members = calloc(count, sizeof *pool.members);
    if (pool.members == NULL) {
        return;
    }
    pool.count = take_members(instances, pool.members);
    pool.primary = pool.count;
    tell_choice(e, &pool);
    for (size_t i = 0; i < pool.count; i++) {
        instance_release(pool.members[i].instance);
    }
    free(pool.members);
}

void explain_instances(struct explanation *e, const struct config *config,
                       const char *text, size_t size, const char *problem)
{
    (void)config;
    if (e->pool == NULL) {
        return;
    }
    if (text == NULL) {
        explain_put(e, "instances", "not known: %s", problem);
        return;
    }
    json_error_t fault;
    json_t *root = json_loadb(text, size, 0, &fault);
    const json_t *found = root != NULL ? find_pool(root, e->pool_name) : NULL;
    if (found == NULL) {
        explain_put(e, "instances",
                    root == NULL ? "not known: the admin port answered no JSON"
                                 : "the running proxy has no pool of this name (yet)");
    } else {
        tell_pool(e, found);
    }
    json_decref(root);
}
