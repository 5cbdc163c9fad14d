/* sim_scenario.c - the named stories a pool is put through. */
#include "tests/sim/sim_scenario.h"

#include <stdbool.h>
#include <string.h>

/* 64 bits wide, unlike an enum: products of them are times. */
#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS UINT64_C(60000)
#define DAY_MS    UINT64_C(86400000)
#define PERCENT   UINT64_C(10000) /* ppm */

enum { SERVICES = 3 };

static uint32_t some_node(struct plan *plan)
{
    return (uint32_t)rc_random_below(&plan->faults, plan->nodes);
}

static void add(struct plan *plan, const struct sim_step *step)
{
    step_add(&plan->list, step);
}

/* Timed changes of services all along, `every_ms` apart. */
static void add_changes(struct plan *plan, uint64_t every_ms)
{
    for (uint64_t at_ms = every_ms; at_ms < plan->for_ms; at_ms += every_ms) {
        uint64_t jitter_ms = rc_random_below(&plan->workload, every_ms);
        uint32_t node = (uint32_t)rc_random_below(&plan->workload, plan->nodes);
        add(plan,
            &(struct sim_step){.at_ms = at_ms + jitter_ms,
                               .kind = STEP_CHANGE,
                               .node = node,
                               .count = 8,
                               .amount = rc_random_below(&plan->workload, SERVICES)});
    }
}

static void idle(struct plan *plan)
{
    (void)plan;
}

static void change(struct plan *plan)
{
    add_changes(plan, 2 * SECOND_MS);
}

/* `parameter` check results a second in the whole pool, one in a hundred timed. */
static void flips(struct plan *plan)
{
    uint64_t count = plan->parameter * plan->for_ms / SECOND_MS;

    for (uint64_t i = 0; i < count; i++) {
        add(plan, &(struct sim_step){
                      .at_ms = i * plan->for_ms / count,
                      .kind = i % 100 == 99 ? STEP_CHANGE : STEP_FLIP,
                      .node = (uint32_t)rc_random_below(&plan->workload, plan->nodes),
                      .count = 8,
                      .amount = rc_random_below(&plan->workload, SERVICES)});
    }
}

/* ---- one kind of fault, again and again */

static void join_storm(struct plan *plan)
{
    uint64_t count = plan->parameter > 0 ? plan->parameter : plan->nodes / 2;

    add(plan, &(struct sim_step){
                  .at_ms = SECOND_MS, .kind = STEP_START, .count = (uint32_t)count});
    add_changes(plan, 5 * SECOND_MS);
}

/* Steps of one kind, far enough apart that each is noticed before the next. */
static void repeat(struct plan *plan, const struct sim_step *step)
{
    uint64_t apart_ms = 2 * plan->notice_ms + step->for_ms;

    for (uint64_t at_ms = SECOND_MS; at_ms < plan->for_ms; at_ms += apart_ms) {
        struct sim_step next = *step;
        next.at_ms = at_ms + rc_random_below(&plan->faults, SECOND_MS);
        next.node = some_node(plan);
        add(plan, &next);
    }
    add_changes(plan, 5 * SECOND_MS);
}

static void crash(struct plan *plan)
{
    repeat(plan, &(struct sim_step){.kind = STEP_CRASH, .for_ms = plan->notice_ms});
}

static void leave(struct plan *plan)
{
    repeat(plan, &(struct sim_step){.kind = STEP_LEAVE, .for_ms = plan->notice_ms});
}

static void restart(struct plan *plan)
{
    repeat(plan, &(struct sim_step){
                     .kind = STEP_KILL, .amount = plan->parameter, .for_ms = SECOND_MS});
}

/* A name that died comes back elsewhere, after its reclaim time. */
static void move(struct plan *plan)
{
    repeat(plan, &(struct sim_step){.kind = STEP_CRASH,
                                    .amount = RETURN_MOVED,
                                    .for_ms = plan->notice_ms + 40 * SECOND_MS});
}

static void pause_one(struct plan *plan)
{
    repeat(plan,
           &(struct sim_step){.kind = STEP_PAUSE, .count = 1, .for_ms = plan->parameter});
}

static void pause_half(struct plan *plan)
{
    repeat(plan, &(struct sim_step){.kind = STEP_PAUSE,
                                    .count = plan->nodes / 2,
                                    .for_ms = plan->parameter});
}

static void loss(struct plan *plan)
{
    add(plan, &(struct sim_step){
                  .kind = STEP_LOSS, .amount = plan->parameter, .for_ms = plan->for_ms});
    add_changes(plan, 2 * SECOND_MS);
}

static void part_halves(struct plan *plan)
{
    add(plan, &(struct sim_step){.at_ms = SECOND_MS,
                                 .kind = STEP_PART,
                                 .count = plan->nodes / 2,
                                 .for_ms = plan->parameter});
    add_changes(plan, 5 * SECOND_MS);
}

/* Both halves have forgotten each other: one address of the other half must be tried, as an
 * agent tries the addresses it was given. */
static void part_and_forget(struct plan *plan)
{
    part_halves(plan);
    add(plan, &(struct sim_step){.at_ms = 3 * SECOND_MS + plan->parameter,
                                 .kind = STEP_JOIN,
                                 .node = 0,
                                 .amount = plan->nodes - 1});
}

static void one_way(struct plan *plan)
{
    uint32_t from = some_node(plan);

    add(plan, &(struct sim_step){.at_ms = SECOND_MS,
                                 .kind = STEP_CUT,
                                 .node = from,
                                 .count = 1,
                                 .amount = (from + 1) % plan->nodes,
                                 .for_ms = plan->for_ms - SECOND_MS});
    add_changes(plan, 5 * SECOND_MS);
}

/* One node can send, but hears nobody. */
static void deaf(struct plan *plan)
{
    add(plan, &(struct sim_step){.at_ms = SECOND_MS,
                                 .kind = STEP_CUT,
                                 .count = 2,
                                 .amount = some_node(plan),
                                 .for_ms = plan->for_ms / 2});
}

static void one_trait(struct plan *plan)
{
    add(plan, &(struct sim_step){.at_ms = SECOND_MS,
                                 .kind = (enum step_kind)plan->parameter,
                                 .node = some_node(plan),
                                 .for_ms = plan->for_ms - SECOND_MS});
    add_changes(plan, 5 * SECOND_MS);
}

static void skew(struct plan *plan)
{
    static const uint64_t rates[] = {999000, 1001000, 990000, 1010000, 900000, 1100000};
    uint32_t each = plan->nodes / 12 + 1;

    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        add(plan, &(struct sim_step){.kind = STEP_CLOCK,
                                     .node = (uint32_t)i * each,
                                     .count = each,
                                     .amount = rates[i],
                                     .for_ms = plan->for_ms});
    }
    add_changes(plan, 2 * SECOND_MS);
}

static void jump(struct plan *plan)
{
    for (uint64_t at_ms = SECOND_MS; at_ms < plan->for_ms; at_ms += 10 * SECOND_MS) {
        add(plan,
            &(struct sim_step){.at_ms = at_ms,
                               .kind = STEP_JUMP,
                               .node = some_node(plan),
                               .count = 1 + (uint32_t)rc_random_below(&plan->faults, 2),
                               .amount = DAY_MS});
    }
    add_changes(plan, 2 * SECOND_MS);
}

static void merge(struct plan *plan)
{
    add(plan, &(struct sim_step){.at_ms = 5 * SECOND_MS,
                                 .kind = STEP_JOIN,
                                 .node = plan->nodes - 1,
                                 .amount = 0});
    add_changes(plan, 5 * SECOND_MS);
}

/* Four of a hundred are stopped for 5 s, run for 1 s, and so on. */
static void starved(struct plan *plan)
{
    uint32_t count = plan->nodes / 25 + 1;

    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = i * plan->nodes / count;
        uint64_t at_ms = SECOND_MS + rc_random_below(&plan->faults, 5 * SECOND_MS);
        while (at_ms + 5 * SECOND_MS < plan->for_ms) {
            add(plan, &(struct sim_step){.at_ms = at_ms,
                                         .kind = STEP_PAUSE,
                                         .node = node,
                                         .count = 1,
                                         .for_ms = 5 * SECOND_MS});
            at_ms += 6 * SECOND_MS + rc_random_below(&plan->faults, SECOND_MS);
        }
    }
}

/* A tenth of the pool goes and comes back every minute, one way or another. */
static void churn(struct plan *plan)
{
    static const enum step_kind ways[] = {STEP_CRASH, STEP_KILL, STEP_LEAVE};
    uint64_t events = plan->nodes * plan->for_ms / MINUTE_MS / 10;

    for (uint64_t i = 0; i < events; i++) {
        uint64_t down_ms =
            SECOND_MS + rc_random_below(&plan->faults, 2 * plan->notice_ms);
        add(plan,
            &(struct sim_step){.at_ms = rc_random_below(&plan->faults, plan->for_ms),
                               .kind = ways[rc_random_below(&plan->faults, 3)],
                               .node = some_node(plan),
                               .amount = rc_random_below(&plan->faults, 2),
                               .for_ms = down_ms});
    }
    add_changes(plan, 2 * SECOND_MS);
}

/* ---- everything at once */

static struct sim_step any_fault(struct plan *plan)
{
    static const struct {
        enum step_kind kind;
        uint32_t weight;
        uint64_t amount; /* drawn below this, plus one for ppm */
        uint64_t longest_ms;
    } faults[] = {
        {STEP_CRASH, 10, 4, 20 * SECOND_MS},
        {STEP_KILL, 8, 4, 8 * SECOND_MS},
        {STEP_LEAVE, 6, 2, 10 * SECOND_MS},
        {STEP_PAUSE, 10, 1, 12 * SECOND_MS},
        {STEP_PART, 8, 1, 20 * SECOND_MS},
        {STEP_CUT, 6, 0, 15 * SECOND_MS},
        {STEP_NO_UDP, 3, 1, 20 * SECOND_MS},
        {STEP_NAT, 2, 1, 15 * SECOND_MS},
        {STEP_REFUSE, 3, 1, 20 * SECOND_MS},
        {STEP_LOSS, 6, 40 * PERCENT, 15 * SECOND_MS},
        {STEP_BURST, 3, 2 * PERCENT, 15 * SECOND_MS},
        {STEP_DUPLICATE, 3, 20 * PERCENT, 20 * SECOND_MS},
        {STEP_REORDER, 3, 30 * PERCENT, 20 * SECOND_MS},
        {STEP_CORRUPT, 3, 3 * PERCENT, 20 * SECOND_MS},
        {STEP_TEAR, 4, 30 * PERCENT, 15 * SECOND_MS},
        {STEP_CLOCK, 3, 0, 30 * SECOND_MS},
        {STEP_JUMP, 2, DAY_MS, 0},
        {STEP_START, 2, 1, 0},
    };
    uint32_t sum = 0;
    size_t place = 0;

    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        sum += faults[i].weight;
    }
    uint64_t drawn = rc_random_below(&plan->faults, sum);
    while (drawn >= faults[place].weight) {
        drawn -= faults[place++].weight;
    }
    uint64_t longest_ms = faults[place].longest_ms;
    return (struct sim_step){
        .at_ms = rc_random_below(&plan->faults, plan->for_ms),
        .kind = faults[place].kind,
        .node = some_node(plan),
        .count = 1,
        .amount = faults[place].amount > 0
                      ? rc_random_below(&plan->faults, faults[place].amount)
                      : 0,
        .for_ms = longest_ms > 0 ? 200 + rc_random_below(&plan->faults, longest_ms) : 0,
    };
}

/* Draws what depends on the kind. */
static void refine(struct plan *plan, struct sim_step *step)
{
    bool is_many = step->kind == STEP_PAUSE && rc_random_below(&plan->faults, 5) == 0;

    if (step->kind == STEP_PART || is_many) {
        step->count = 1 + (uint32_t)rc_random_below(&plan->faults, plan->nodes / 2);
    } else if (step->kind == STEP_CUT) {
        step->amount = some_node(plan);
        step->count = rc_random_below(&plan->faults, 4) == 0 ? 2 : 1;
    } else if (step->kind == STEP_CORRUPT && plan->wire == PLAN_PLAIN) {
        step->amount = 0; /* what UDP's checksum misses, nobody can tell without keys */
    } else if (step->kind == STEP_CLOCK) {
        step->amount = 900000 + rc_random_below(&plan->faults, 200000);
    } else if (step->kind == STEP_JUMP) {
        step->count = 1 + (uint32_t)rc_random_below(&plan->faults, 2);
    }
}

static void mixed(struct plan *plan)
{
    uint64_t faults = 3 + rc_random_below(&plan->faults, plan->for_ms / (2 * SECOND_MS));
    uint64_t changes = plan->for_ms / 400;

    for (uint64_t i = 0; i < faults; i++) {
        struct sim_step step = any_fault(plan);
        refine(plan, &step);
        add(plan, &step);
    }
    for (uint64_t i = 0; i < changes; i++) {
        bool is_service = rc_random_below(&plan->workload, 3) == 0;
        add(plan, &(struct sim_step){
                      .at_ms = rc_random_below(&plan->workload, plan->for_ms),
                      .kind = is_service ? STEP_SERVICE : STEP_FLIP,
                      .node = (uint32_t)rc_random_below(&plan->workload, plan->nodes),
                      .count = (uint32_t)rc_random_below(&plan->workload, 400),
                      .amount = rc_random_below(&plan->workload, SERVICES)});
    }
}

static const struct scenario scenarios[] = {
    {"idle", "nothing happens", idle, 2 * MINUTE_MS, 0, 0, 0, 0},
    {"change", "a service changes every 2 s, each timed until all know", change,
     2 * MINUTE_MS, 0, 0, 0, 0},
    {"flips", "500 check results a second in the pool", flips, MINUTE_MS, 500, 0, 0, 0},
    {"join-1", "one node joins", join_storm, MINUTE_MS, 1, 0, 0, 0},
    {"join-2", "two join at once", join_storm, MINUTE_MS, 2, 0, 0, 0},
    {"join-10", "ten join at once", join_storm, MINUTE_MS, 10, 0, 0, 0},
    {"join-half", "half as many again join at once", join_storm, MINUTE_MS, 0, 0, 0, 0},
    {"crash", "nodes lose power, one after the other", crash, 10 * MINUTE_MS, 0, 0, 0, 0},
    {"leave", "nodes leave and return", leave, 10 * MINUTE_MS, 0, 0, 0, 0},
    {"restart", "kill -9 and start again a second later", restart, 5 * MINUTE_MS,
     RETURN_SAME, 0, 0, 0},
    {"restart-empty", "the same without the disk", restart, 5 * MINUTE_MS, RETURN_EMPTY,
     0, 0, 0},
    {"restart-old", "the same with an old disk", restart, 5 * MINUTE_MS, RETURN_OLD, 0, 0,
     0},
    {"move", "a dead node's name comes back at another address", move, 5 * MINUTE_MS, 0,
     0, 0, 0},
    {"loss-5", "5 % of packets are lost", loss, 10 * MINUTE_MS, 5 * PERCENT, 0, 0, 0},
    {"loss-10", "10 %", loss, 10 * MINUTE_MS, 10 * PERCENT, 0, 0, 0},
    {"loss-20", "20 %", loss, 10 * MINUTE_MS, 20 * PERCENT, 0, 0, 0},
    {"loss-50", "50 %", loss, 10 * MINUTE_MS, 50 * PERCENT, 0, 0, 0},
    {"part-10s", "two halves for 10 s", part_halves, MINUTE_MS, 10 * SECOND_MS, 0, 0, 0},
    {"part-10m", "two halves for 10 minutes", part_halves, 11 * MINUTE_MS, 10 * MINUTE_MS,
     0, 0, 0},
    {"part-reap", "two halves until each has forgotten the other", part_and_forget,
     6 * MINUTE_MS, 5 * MINUTE_MS, 0, 0, 2 * MINUTE_MS},
    {"one-way", "one link works in one direction only", one_way, 2 * MINUTE_MS, 0, 0, 0,
     0},
    {"deaf", "one node can send but hears nobody", deaf, 2 * MINUTE_MS, 0, 0, 0, 0},
    {"no-udp", "UDP of one node is blocked", one_trait, 2 * MINUTE_MS, STEP_NO_UDP, 0, 0,
     0},
    {"nat", "one node is not reached at its address", one_trait, 2 * MINUTE_MS, STEP_NAT,
     0, 0, 0},
    {"refuse", "one node refuses streams", one_trait, 2 * MINUTE_MS, STEP_REFUSE, 0, 0,
     0},
    {"pause-1s", "one node stands still for 1 s, again and again", pause_one,
     5 * MINUTE_MS, 1 * SECOND_MS, 0, 0, 0},
    {"pause-3s", "3 s", pause_one, 5 * MINUTE_MS, 3 * SECOND_MS, 0, 0, 0},
    {"pause-6s", "6 s", pause_one, 5 * MINUTE_MS, 6 * SECOND_MS, 0, 0, 0},
    {"pause-60s", "60 s", pause_one, 10 * MINUTE_MS, 60 * SECOND_MS, 0, 0, 0},
    {"pause-half", "half the nodes stand still for 40 s", pause_half, 2 * MINUTE_MS,
     40 * SECOND_MS, 0, 0, 0},
    {"starved", "4 of 100 nodes are stopped 5 s at a time", starved, 10 * MINUTE_MS, 0, 0,
     0, 0},
    {"skew", "clocks run up to 10 % too fast or too slow", skew, 5 * MINUTE_MS, 0, 0, 0,
     0},
    {"jump", "wall clocks jump by a day", jump, 2 * MINUTE_MS, 0, 0, 0, 0},
    {"merge", "two pools meet by mistake", merge, 2 * MINUTE_MS, 0, 2, 0, 0},
    {"churn", "a tenth of the pool goes and comes every minute", churn, 60 * MINUTE_MS, 0,
     0, 0, 0},
    {"mixed", "everything at once, by seed", mixed, MINUTE_MS, 0, 0, 4, 0},
};

const struct scenario *scenario_find(const char *name)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            return &scenarios[i];
        }
    }
    return NULL;
}

void scenario_list(FILE *out)
{
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        (void)fprintf(out, "%-14s %s\n", scenarios[i].name, scenarios[i].what);
    }
}
