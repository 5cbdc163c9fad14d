/* sim_play.c - one seed of one scenario, from the first node to the last claim. */
#include "tests/sim/sim_play.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/sim/sim_grow.h"
#include "tests/sim/sim_peek.h"
#include "tests/sim/sim_state.h"
#include "tests/sim/wire_structs.h"

enum { LOOK_EVERY_MS = 100, FAULTS_STREAM = 5, WORKLOAD_STREAM = 6 };

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
    sim->is_strict = o->nodes <= GROW_SLOWLY_MAX;
    sim->replay = o->replay;
    if (o->script == NULL) {
        play_plan(o, seed, &made);
    }
    grow_pool(sim, o);
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
