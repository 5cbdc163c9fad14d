/* The catalog's lane under load: how fast, how sure, at what cost, and beside membership. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

enum { FLIPS_MAX = 2048, STEP_MS = 10, RIGHT_WITHIN_MS = 5000 };

/* A result that all are to know. */
struct flip {
    uint64_t at_ms;
    size_t of;
    uint64_t version;
};

static bool all_know(struct sim *sim, const void *context)
{
    const struct flip *flip = context;

    for (size_t i = 0; i < sim_count(sim); i++) {
        const struct catalog_node *node =
            sim_is_running(sim, i)
                ? catalog_node_find(sim_catalog(sim, i), sim_name(sim, flip->of))
                : NULL;
        if (sim_is_running(sim, i) && (node == NULL || node->version < flip->version)) {
            return false;
        }
    }
    return true;
}

static bool all_agree(struct sim *sim, const void *context)
{
    (void)context;
    return sim_views_equal(sim);
}

static struct flip flip(struct sim *sim, size_t of, enum check_status status)
{
    sim_set_check(sim, of, "web", status, "");
    return (struct flip){sim_now_ms(sim), of,
                         catalog_self(sim_catalog(sim, of))->version};
}

/* A pool in which each node runs one service, and all know it. */
static struct sim *make_pool(size_t count, const char *profile, uint64_t seed)
{
    struct sim *sim = sim_create(&(struct sim_options){.seed = seed, .profile = profile});

    sim_add_pool(sim, count);
    for (size_t i = 0; i < count; i++) {
        sim_register(sim, i, "web");
    }
    (void)sim_wait(sim, 60000, all_agree, NULL, "all know all services");
    sim_run(sim, 5000);
    return sim;
}

static uint64_t bytes_sent(struct sim *sim)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < sim_count(sim); i++) {
        struct gossip_counters counters;
        if (sim_is_running(sim, i)) {
            gossip_counters(sim_gossip(sim, i), &counters);
            sum += counters.bytes_out;
        }
    }
    return sum;
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static void fifty_idle_nodes_send_at_most_270_bytes_a_second(void **state)
{
    enum { NODES = 50, SECONDS = 60 };
    struct sim *sim = make_pool(NODES, "lan", 1);

    (void)state;
    sim_run(sim, 30000);
    uint64_t before = bytes_sent(sim);
    sim_run(sim, (uint64_t)SECONDS * 1000);
    uint64_t rate = (bytes_sent(sim) - before) / NODES / SECONDS;
    print_message("# %llu bytes per node and second\n", (unsigned long long)rate);
    assert_in_range(rate, 1, 270);
    sim_destroy(sim);
}

/* Median at most `limit_ms`, and one in a hundred at most half as much again. */
static void measure_spread(size_t nodes, const char *profile, uint64_t limit_ms)
{
    enum { ROUNDS = 60 };
    struct sim *sim = make_pool(nodes, profile, 2);
    uint64_t times[ROUNDS];

    for (size_t i = 0; i < ROUNDS; i++) {
        sim_run(sim, 300 + i * 37 % 250);
        struct flip told = flip(sim, i * 31 % nodes,
                                i / nodes % 2 == 0 ? CHECK_CRITICAL : CHECK_PASSING);
        times[i] = sim_wait(sim, 10000, all_know, &told, "all know the flip");
    }
    qsort(times, ROUNDS, sizeof *times, ascending);
    print_message(
        "# %zu nodes, %s: last node knows after %llu ms (median), %llu (99 %%)\n", nodes,
        profile, (unsigned long long)times[ROUNDS / 2],
        (unsigned long long)times[ROUNDS - 2]);
    assert_in_range(times[ROUNDS / 2], 0, limit_ms);
    assert_in_range(times[ROUNDS - 2], 0, limit_ms * 3 / 2);
    sim_destroy(sim);
}

static void a_change_is_known_by_5_in_50_ms_and_by_40_in_400(void **state)
{
    (void)state;
    measure_spread(5, "lan", 50);
    measure_spread(5, "fast", 50);
    measure_spread(40, "lan", 400);
    measure_spread(40, "fast", 400);
}

/* A stream of flips through the pool, and how long the slowest of them took. */
struct storm {
    struct flip *flips; /* FLIPS_MAX */
    size_t count;
    size_t known; /* the first so many are known to all */
    uint64_t worst_ms;
};

static void judge(struct sim *sim, struct storm *storm)
{
    while (storm->known < storm->count && all_know(sim, &storm->flips[storm->known])) {
        storm->known++;
    }
    if (storm->known < storm->count) {
        uint64_t age_ms = sim_now_ms(sim) - storm->flips[storm->known].at_ms;
        storm->worst_ms = age_ms > storm->worst_ms ? age_ms : storm->worst_ms;
    }
}

/* `per_second` flips for `for_ms`, at the first `nodes` nodes in turn. */
static void rage(struct sim *sim, struct storm *storm, size_t nodes, unsigned per_second,
                 uint64_t for_ms)
{
    unsigned owed = 0;

    for (uint64_t ms = 0; ms < for_ms; ms += STEP_MS) {
        for (owed += per_second * STEP_MS; owed >= 1000; owed -= 1000) {
            assert_true(storm->count < FLIPS_MAX);
            size_t of = storm->count * 7 % nodes;
            storm->flips[storm->count] = flip(
                sim, of, storm->count / nodes % 2 == 0 ? CHECK_CRITICAL : CHECK_PASSING);
            storm->count++;
        }
        sim_run(sim, STEP_MS);
        judge(sim, storm);
    }
    while (storm->known < storm->count && storm->worst_ms < 60000) {
        sim_run(sim, STEP_MS);
        judge(sim, storm);
    }
}

static struct storm make_storm(void)
{
    struct storm storm = {.flips = calloc(FLIPS_MAX, sizeof *storm.flips)};

    assert_non_null(storm.flips);
    return storm;
}

static void sustained_flips_are_right_everywhere_within_5_s(void **state)
{
    enum { NODES = 40, PER_SECOND = 200, FOR_MS = 4000 };
    struct sim *sim = make_pool(NODES, "lan", 3);
    struct storm storm = make_storm();

    (void)state;
    sim_set_loss(sim, 20000);
    uint64_t before = bytes_sent(sim);
    rage(sim, &storm, NODES, PER_SECOND, FOR_MS);
    uint64_t rate = (bytes_sent(sim) - before) / NODES * 1000 / FOR_MS;
    print_message("# %u flips a second: the slowest was known after %llu ms, %llu bytes "
                  "per node and second\n",
                  PER_SECOND, (unsigned long long)storm.worst_ms,
                  (unsigned long long)rate);
    assert_in_range(storm.worst_ms, 0, RIGHT_WITHIN_MS);
    assert_in_range(rate, 0, 200000); /* 33 kicks of four packets, and no more */
    free(storm.flips);
    sim_destroy(sim);
}

static void all_changing_at_once_is_right_within_5_s(void **state)
{
    enum { NODES = 140 }; /* more than the lane tells of at a time */
    struct sim *sim = make_pool(NODES, "lan", 4);
    struct storm storm = make_storm();

    (void)state;
    for (size_t i = 0; i < NODES; i++) {
        storm.flips[storm.count++] = flip(sim, i, CHECK_CRITICAL);
    }
    uint64_t took_ms = sim_wait(sim, RIGHT_WITHIN_MS, all_agree, NULL, "all agree");
    print_message("# %u at once: right after %llu ms\n", NODES,
                  (unsigned long long)took_ms);
    free(storm.flips);
    sim_destroy(sim);
}

enum { CROWD = 40, KILLED = 10, LIVING = CROWD - KILLED };

static bool the_killed_have_failed(struct sim *sim, const void *context)
{
    (void)context;
    for (size_t at = 0; at < LIVING; at++) {
        for (size_t of = LIVING; of < CROWD; of++) {
            if (sim_liveness(sim, at, of) != CATALOG_FAILED) {
                return false;
            }
        }
    }
    return true;
}

/* A quarter of the pool dies at once; returns how long the living took to see it. */
static uint64_t kill_a_quarter(uint64_t seed, unsigned flips_per_second,
                               struct storm *storm)
{
    struct sim *sim = make_pool(CROWD, "lan", seed);
    uint64_t start_ms = sim_now_ms(sim);

    for (size_t i = LIVING; i < CROWD; i++) {
        sim_kill(sim, i);
    }
    rage(sim, storm, LIVING, flips_per_second, 5000);
    (void)sim_wait(sim, 60000, the_killed_have_failed, NULL, "the dead are seen");
    uint64_t took_ms = sim_now_ms(sim) - start_ms;
    sim_destroy(sim);
    return took_ms;
}

static void neither_lane_nor_membership_starves_the_other(void **state)
{
    struct storm storm = make_storm();

    (void)state;
    uint64_t calm_ms = kill_a_quarter(5, 0, &storm);
    uint64_t busy_ms = kill_a_quarter(5, 100, &storm);
    print_message("# a quarter died: seen after %llu ms, with 100 flips a second after "
                  "%llu; the slowest flip took %llu ms\n",
                  (unsigned long long)calm_ms, (unsigned long long)busy_ms,
                  (unsigned long long)storm.worst_ms);
    assert_in_range(storm.worst_ms, 0, RIGHT_WITHIN_MS);
    assert_true(busy_ms <= calm_ms + calm_ms / 2);
    free(storm.flips);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifty_idle_nodes_send_at_most_270_bytes_a_second),
        cmocka_unit_test(a_change_is_known_by_5_in_50_ms_and_by_40_in_400),
        cmocka_unit_test(sustained_flips_are_right_everywhere_within_5_s),
        cmocka_unit_test(all_changing_at_once_is_right_within_5_s),
        cmocka_unit_test(neither_lane_nor_membership_starves_the_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
