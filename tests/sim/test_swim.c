/* The figures of the detector: how soon all know of a death, and whether the living are left
 * in peace. A few seeds by default; FIGURE_SEEDS=100 FIGURE_MINUTES=10 is the real thing; a pattern of
 * names as the only word runs a part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "tests/sim/sim.h"

enum {
    LOSS_10_PERCENT = 100000,
    SETTLE_MS = 31000, /* what happened while joining does not count */
    MINUTE_MS = 60000,
    SAMPLES_MAX = 1000,
    POOL = 100,
    STARVED = 4,
    STOPPED_MS = 5000,
    STARVED_STEP_MS = 250
};

static uint64_t figure(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name); /* NOLINT(concurrency-mt-unsafe) one thread */
    uint64_t value = otherwise;

    return text != NULL && rc_text_to_u64(text, SAMPLES_MAX, &value) == RC_OK ? value
                                                                              : otherwise;
}

/* ---- How soon all know of a death. */

struct deaths {
    const char *profile;
    size_t nodes;
    size_t dead; /* at once; the last ones */
    uint32_t loss_ppm;
    uint64_t limit_ms;
    bool is_killed; /* its host refuses, as after kill -9; else it has lost its power */
};

static bool all_know(struct sim *sim, const void *context)
{
    const struct deaths *deaths = context;
    size_t living = sim_count(sim) - deaths->dead;

    for (size_t i = 0; i < living; i++) {
        for (size_t k = living; k < sim_count(sim); k++) {
            if (sim_liveness(sim, i, k) != CATALOG_FAILED) {
                return false;
            }
        }
    }
    return true;
}

static int in_order(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return (*left > *right) - (*left < *right);
}

static void detect(const struct deaths *deaths, uint64_t seeds)
{
    uint64_t took[SAMPLES_MAX] = {0};
    size_t count = 0;

    for (uint64_t seed = 0; (seed = sim_next_seed(seed, seeds)) != 0;) {
        struct sim *sim =
            sim_create(&(struct sim_options){.seed = seed, .profile = deaths->profile});
        sim_add_pool(sim, deaths->nodes);
        sim_set_loss(sim, deaths->loss_ppm);
        sim_run(sim, 3000 + seed * 7);
        for (size_t k = deaths->nodes - deaths->dead; k < deaths->nodes; k++) {
            if (deaths->is_killed) {
                sim_kill(sim, k);
            } else {
                sim_crash(sim, k);
            }
        }
        took[count++] =
            sim_wait(sim, deaths->limit_ms, all_know, deaths, "all know who is dead");
        sim_destroy(sim);
    }
    qsort(took, count, sizeof took[0], in_order);
    print_message("# %s, %zu of %zu dead, %u %% loss: median %llu, p99 %llu, worst %llu "
                  "ms (%zu seeds)\n",
                  deaths->profile, deaths->dead, deaths->nodes, deaths->loss_ppm / 10000,
                  (unsigned long long)took[count / 2],
                  (unsigned long long)took[(count * 99 + 99) / 100 - 1],
                  (unsigned long long)took[count - 1], count);
}

static void the_fast_profile_tells_of_a_death_in_time(void **state)
{
    static const struct deaths few[] = {
        {"fast", 5, 1, 0, 20000, false},
        {"fast", 5, 3, 0, 20000, false},
        {"fast", 5, 1, LOSS_10_PERCENT, 20000, false},
    };
    static const struct deaths many[] = {
        {"fast", POOL, 1, 0, 20000, false},
        {"fast", POOL, 10, 0, 20000, false},
        {"fast", POOL, 1, LOSS_10_PERCENT, 20000, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof few / sizeof few[0]; i++) {
        detect(&few[i], figure("FIGURE_SEEDS", 20));
    }
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
        detect(&many[i], figure("FIGURE_SEEDS", 5));
    }
}

static void lan_timers_are_not_slower_than_serf(void **state)
{
    static const struct deaths cases[] = {{"lan", 5, 1, 0, 60000, true},
                                          {"lan", 30, 1, 0, 60000, true},
                                          {"lan", POOL, 1, 0, 60000, true}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        detect(&cases[i], figure("FIGURE_SEEDS", 3));
    }
}

/* ---- Whether the living are left in peace. */

static void sum_up(struct sim *sim, const char *what, uint64_t seed)
{
    struct gossip_counters sum = {0};

    for (size_t i = 0; i < sim_count(sim); i++) {
        struct gossip_counters of;
        gossip_counters(sim_gossip(sim, i), &of);
        sum.probes += of.probes;
        sum.probes_failed += of.probes_failed;
        sum.suspicions += of.suspicions;
        sum.refutations += of.refutations;
    }
    print_message(
        "# %s, seed %llu: %llu probes, %llu failed, %llu refutations, %zu false "
        "failures\n",
        what, (unsigned long long)seed, (unsigned long long)sum.probes,
        (unsigned long long)sum.probes_failed, (unsigned long long)sum.refutations,
        sim_failures_of_the_calm(sim));
}

static struct sim *lossy_pool(uint64_t seed)
{
    struct sim *sim =
        sim_create(&(struct sim_options){.seed = seed, .catalogs = SIM_GOSSIP_ONLY});

    sim_add_pool(sim, POOL);
    sim_run(sim, SETTLE_MS);
    sim_set_loss(sim, LOSS_10_PERCENT);
    return sim;
}

static void nobody_healthy_is_called_dead_at_10_percent_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 0;
         (seed = sim_next_seed(seed, figure("FIGURE_SEEDS", 1))) != 0;) {
        struct sim *sim = lossy_pool(seed);
        sim_run(sim, figure("FIGURE_MINUTES", 1) * MINUTE_MS);
        sum_up(sim, "10 % loss", seed);
        assert_int_equal(sim_failures_of_the_calm(sim), 0);
        sim_destroy(sim);
    }
}

/* Stopped for five seconds, running for one or so, each at its own pace. */
static void starve(struct sim *sim, uint64_t for_ms)
{
    uint64_t wake_ms[STARVED] = {0};
    uint64_t end_ms = sim_now_ms(sim) + for_ms;

    while (sim_now_ms(sim) < end_ms) {
        for (size_t i = 0; i < STARVED; i++) {
            if (sim_now_ms(sim) >= wake_ms[i] + 1000 + i * 170) {
                sim_pause(sim, POOL - STARVED + i, STOPPED_MS);
                wake_ms[i] = sim_now_ms(sim) + STOPPED_MS;
            }
        }
        sim_run(sim, STARVED_STEP_MS);
    }
}

static void nobody_healthy_is_called_dead_while_others_starve(void **state)
{
    (void)state;
    for (uint64_t seed = 0;
         (seed = sim_next_seed(seed, figure("FIGURE_SEEDS", 1))) != 0;) {
        struct sim *sim = lossy_pool(seed);
        starve(sim, figure("FIGURE_MINUTES", 1) * MINUTE_MS);
        sum_up(sim, "4 of 100 starved, 10 % loss", seed);
        assert_int_equal(sim_failures_of_the_calm(sim), 0);
        sim_destroy(sim);
    }
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fast_profile_tells_of_a_death_in_time),
        cmocka_unit_test(lan_timers_are_not_slower_than_serf),
        cmocka_unit_test(nobody_healthy_is_called_dead_at_10_percent_loss),
        cmocka_unit_test(nobody_healthy_is_called_dead_while_others_starve),
    };

    if (count > 1) {
        cmocka_set_test_filter(words[1]);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
