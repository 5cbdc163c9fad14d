/* sim_play.c - one seed of one scenario, from the first node to the last claim. */
#include "tests/sim/sim_play.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/sim/sim_peek.h"
#include "tests/sim/sim_state.h"
#include "tests/sim/wire_structs.h"

enum {
    SMALL_POOL = 128, /* smaller ones grow node by node */
    BATCH = 32,
    GROWING_MAX_MS = 600000,
    STEP_MS = 20,
    BATCH_MS = 100,
    LOOK_EVERY_MS = 100,
    FAULTS_STREAM = 5,
    WORKLOAD_STREAM = 6
};

/* ---- growing the pool */

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

static void grow(struct sim *sim, const struct play_options *o)
{
    uint64_t apart = strangers(o);

    if (o->nodes <= SMALL_POOL) {
        grow_slowly(sim, o);
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

/* ---- the end */

static uint64_t suspicion_ms(const struct sim *sim)
{
    const struct gossip_profile *p = &sim->profile;
    uint64_t digits = 1;

    for (size_t n = sim->node_count; n >= 10; n /= 10) {
        digits++;
    }
    return p->suspicion_mult * digits * p->probe_every_ms * p->suspicion_max_mult;
}

/* By when all views are right after the last fault: the living have noticed all deaths, the
 * failed have been tried again often enough (each node tries one of them now and then), and
 * what rumours missed was exchanged. */
static uint64_t bound_ms(const struct sim *sim)
{
    const struct gossip_profile *p = &sim->profile;

    return 3 * suspicion_ms(sim) + 20ULL * p->reconnect_every_ms +
           4ULL * p->push_pull_every_ms + 30000;
}

static void settle(struct sim *sim)
{
    uint64_t start_ms = sim_now_ms(sim);
    uint64_t limit_ms = bound_ms(sim);

    while (!sim_members_right(sim) || !check_living_agree(sim)) {
        if (sim_now_ms(sim) - start_ms > limit_ms) {
            peek_print_wrong(sim);
            check_print_differences(sim);
            sim_fail(sim,
                     "%llu ms after the last fault views differ still (%llu of "
                     "members are wrong)",
                     (unsigned long long)limit_ms, (unsigned long long)sim->wrong_pairs);
        }
        sim_run(sim, LOOK_EVERY_MS);
    }
    samples_add(&sim->measure.times[MEASURE_HEAL], (sim_now_ms(sim) - start_ms) * 1000);
}

/* ---- all of it */

static bool is_sealed(const struct play_options *o, uint64_t seed)
{
    uint32_t every = o->scenario->sealed_every;

    return o->is_encrypted || (every > 0 && seed % every == 0);
}

static uint64_t notice_ms(const char *profile)
{
    return strcmp(profile, "fast") == 0 ? 15000 : 60000;
}

void play_plan(const struct play_options *o, uint64_t seed, struct step_list *out)
{
    struct plan plan = {.nodes = o->nodes,
                        .for_ms = o->for_ms,
                        .notice_ms = notice_ms(o->profile),
                        .parameter = o->scenario->parameter,
                        .wire = is_sealed(o, seed) ? PLAN_SEALED : PLAN_PLAIN};

    rc_random_init(&plan.faults, seed * 8 + FAULTS_STREAM);
    rc_random_init(&plan.workload, seed * 8 + WORKLOAD_STREAM);
    o->scenario->make(&plan);
    *out = plan.list;
}

static uint64_t run_steps(struct sim *sim, const struct play_options *o,
                          const struct step_list *steps)
{
    uint64_t start_ms = sim_now_ms(sim);
    uint64_t end_ms = step_last_end_ms(steps) + 1;

    end_ms = end_ms > o->for_ms || o->script != NULL ? end_ms : o->for_ms;
    step_schedule(sim, steps);
    if (o->until_ms > 0 && o->until_ms < start_ms + end_ms) {
        sim_run(sim, o->until_ms > start_ms ? o->until_ms - start_ms : 0);
    } else {
        sim_run(sim, end_ms);
        settle(sim);
    }
    return sim_now_ms(sim) - start_ms;
}

void play(const struct play_options *o, uint64_t seed, struct outcome *out)
{
    struct step_list made = {0};

    assert(o->nodes > 0);
    wire_pass(o->mode);
    uint64_t start_us = rc_clock_ns() / 1000;
    size_t empty = mallinfo2().uordblks;
    struct sim *sim = sim_create(&(struct sim_options){.seed = seed,
                                                       .profile = o->profile,
                                                       .reap_ms = o->scenario->reap_ms,
                                                       .encrypted = is_sealed(o, seed),
                                                       .catalogs = o->catalogs});

    sim->is_tracing = o->is_tracing;
    /* Refutations are forgotten with the other rumours of a pool that grows fast. */
    sim->is_strict = o->nodes <= SMALL_POOL;
    sim->replay = o->replay;
    if (o->script == NULL) {
        play_plan(o, seed, &made);
    }
    grow(sim, o);
    *out = (struct outcome){.seed = seed};
    out->memory_per_node = (mallinfo2().uordblks - empty) / o->nodes;
    measure_reset(sim);
    sim->is_strict = true;
    sim->false_failures = 0;
    sim->failures_of_the_calm = 0;
    out->virtual_ms = run_steps(sim, o, o->script != NULL ? o->script : &made);
    out->digest = sim->digest;
    out->false_failures = sim->false_failures;
    out->failures_of_the_calm = sim->failures_of_the_calm;
    out->wall_us = rc_clock_ns() / 1000 - start_us;
    out->measure = sim->measure;
    sim->measure = (struct measure){0};
    sim_destroy(sim);
    step_fini(&made);
}
