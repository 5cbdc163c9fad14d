/* sim_grow.c - how the nodes of a scenario come to know each other before it begins.
 *
 * Small pools as people start them; larger ones faster, by the same joins, but without much of
 * what gossip would make of it: that is most of the work, and the figures are not of that. */
#include "tests/sim/sim_grow.h"

#include <assert.h>
#include <stdio.h>

#include "tests/sim/sim_peek.h"
#include "tests/sim/sim_state.h"

enum {
    GIANT_POOL = 2000, /* larger ones grow through hubs */
    HUNDRED = 100,     /* the nodes of a hub, itself included */
    FULL_BATCH = 64,   /* states of all nodes, of more than a megabyte each */
    SMALL_BATCH = 2048,
    HUBS_BATCH = 8,
    REST_MS = 25,
    BATCH = 32,
    GROWING_MAX_MS = 600000,
    STEP_MS = 20,
    BATCH_MS = 100,
    LOOK_EVERY_MS = 100
};

/* ---- nodes, and what they must know */

static uint32_t pool_of(const struct play_options *o, size_t node)
{
    uint32_t pools = o->scenario->pools > 0 ? o->scenario->pools : 1;

    return (uint32_t)(node * pools / o->nodes);
}

static void add_services(struct sim *sim, const struct play_options *o, size_t node)
{
    char name[16];

    for (uint32_t i = 0; o->catalogs == SIM_WITH_CATALOGS && i < o->services; i++) {
        (void)snprintf(name, sizeof name, "s%u", i);
        sim_register(sim, node, name);
    }
}

static void add_node(struct sim *sim, const struct play_options *o, size_t *first)
{
    size_t node = sim_add(sim);

    add_services(sim, o, node);
    if (node > 0 && pool_of(o, node) != pool_of(o, node - 1)) {
        *first = node;
    }
    if (node > *first) {
        size_t known = node - *first;
        sim_join(sim, node, *first + rc_random_below(&sim->choices, known));
    }
}

/* Pairs that do not know each other because they are of different pools. */
static uint64_t strangers(const struct play_options *o)
{
    uint64_t count = 0;

    for (size_t i = 0; i < o->nodes; i++) {
        for (size_t k = 0; o->scenario->pools > 1 && k < o->nodes; k++) {
            count += pool_of(o, i) != pool_of(o, k) ? 1 : 0;
        }
    }
    return count;
}

static bool has_all_records(const struct sim *sim, const struct play_options *o)
{
    size_t instances = 0;

    for (size_t i = 0; i < o->nodes; i++) {
        const struct catalog *c = sim->nodes[i]->catalog;
        const struct catalog_name *name = c == NULL ? NULL : catalog_name_find(c, "s0");
        if (name == NULL) {
            return c == NULL || o->services == 0;
        }
        instances = name->instance_count;
        if (instances * (o->scenario->pools > 1 ? o->scenario->pools : 1) < o->nodes) {
            return false;
        }
    }
    return true;
}

static void forget_rumours(const struct sim *sim)
{
    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i]->gossip != NULL) {
            peek_forget_rumours(sim->nodes[i]->gossip);
        }
    }
}

/* ---- ways to come together */

/* Nodes join one after the other, as people start them. */
static void grow_slowly(struct sim *sim, const struct play_options *o)
{
    size_t first = 0;

    for (size_t i = 0; i < o->nodes; i++) {
        add_node(sim, o, &first);
        sim_run(sim, STEP_MS);
    }
}

/* All join the first node of their pool in batches, and once more when it knows all. What they
 * would tell each other meanwhile is forgotten: it is most of the work, and changes nothing. */
static void grow_fast(struct sim *sim, const struct play_options *o)
{
    size_t nodes = o->nodes;
    size_t first = 0;

    assert(nodes > 0);
    for (size_t i = 0; i < 2 * nodes; i++) {
        size_t node = i % nodes;
        first = pool_of(o, node) == pool_of(o, first) && node != 0 ? first : node;
        if (i < nodes) {
            (void)sim_add(sim);
            add_services(sim, o, node);
        }
        if (node != first) {
            sim_join(sim, node, first);
        }
        if (i % BATCH == BATCH - 1) {
            sim_run(sim, BATCH_MS);
            forget_rumours(sim);
        }
    }
}

/* ---- giants */

/* Lets what was begun come to its end, and nothing else begin. */
static void rest(struct sim *sim, uint64_t ms)
{
    sim_run(sim, ms);
    forget_rumours(sim);
    for (size_t i = 0; i < sim->node_count; i++) {
        peek_forget_check(sim->nodes[i]->gossip);
    }
}

/* Each node joins the hub of its hundred; of each hundred one at a time. */
static void join_hubs(struct sim *sim, size_t nodes, size_t batch)
{
    size_t joined = 0;

    for (size_t i = 1; i < HUNDRED; i++) {
        for (size_t hub = 0; hub + i < nodes; hub += HUNDRED) {
            sim_join(sim, hub + i, hub);
            if (++joined % batch == 0) {
                rest(sim, REST_MS);
            }
        }
    }
    rest(sim, REST_MS);
}

/* The first node has much to send. */
static void rest_until_sent(struct sim *sim)
{
    rest(sim, REST_MS); /* by then it has been asked */
    uint64_t until_ns = sim->nodes[0]->line_free_ns;
    uint64_t busy_ns = until_ns > sim->now_ns ? until_ns - sim->now_ns : 0;
    rest(sim, busy_ns / SIM_MS + REST_MS);
}

/* The hubs join the first of them, a few at a time: it takes 64 MB of states at once. */
static void join_first(struct sim *sim, size_t nodes)
{
    for (size_t hub = HUNDRED; hub < nodes; hub += HUNDRED) {
        sim_join(sim, hub, 0);
        if (hub / HUNDRED % HUBS_BATCH == 0) {
            rest_until_sent(sim);
        }
    }
    rest_until_sent(sim);
}

/* So that nearly each entry of a state that is exchanged is news: of each hundred nodes the first
 * learns of the others, and the first of all of all; then it goes back the same way. */
static void grow_through_hubs(struct sim *sim, const struct play_options *o)
{
    sim->is_hushed = true;
    for (size_t i = 0; i < o->nodes; i++) {
        size_t node = sim_add(sim);
        add_services(sim, o, node);
        peek_hold_rumours(sim->nodes[node]->gossip);
    }
    join_hubs(sim, o->nodes, SMALL_BATCH);
    join_first(sim, o->nodes);
    join_first(sim, o->nodes);
    join_hubs(sim, o->nodes, FULL_BATCH);
    for (size_t i = 0; i < o->nodes; i++) {
        peek_release_rumours(sim->nodes[i]->gossip);
    }
    sim->is_hushed = false;
}

/* ---- all of it */

void grow_pool(struct sim *sim, const struct play_options *o)
{
    uint64_t apart = strangers(o);

    if (o->nodes <= GROW_SLOWLY_MAX) {
        grow_slowly(sim, o);
    } else if (o->nodes > GIANT_POOL && o->scenario->pools <= 1) {
        grow_through_hubs(sim, o);
    } else {
        grow_fast(sim, o);
    }
    uint64_t start_ms = sim_now_ms(sim);
    while (sim->wrong_pairs != apart || !has_all_records(sim, o)) {
        if (sim_now_ms(sim) - start_ms > GROWING_MAX_MS) {
            sim_fail(sim, "the pool did not come together: %llu views are wrong",
                     (unsigned long long)sim->wrong_pairs);
        }
        sim_run(sim, LOOK_EVERY_MS);
    }
    forget_rumours(sim);
    sim_run(sim, 1000);
}
