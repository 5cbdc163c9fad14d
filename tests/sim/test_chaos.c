/* Everything at once, by seed: whatever happened, when it is over all agree again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/random.h"
#include "tests/sim/sim.h"

enum { NODES = 7, STEPS = 80, SEEDS = 25, LOSS = 50000 };

static const char *const services[] = {"web", "db", "cache"};

static void change_service(struct sim *sim, struct rc_random *random, size_t node)
{
    const char *service = services[rc_random_below(random, 3)];
    char output[400];

    if (!sim_sees_service(sim, node, node, service)) {
        sim_register(sim, node, service);
    } else if (rc_random_below(random, 3) == 0) {
        sim_deregister(sim, node, service);
    } else {
        int size = (int)rc_random_below(random, sizeof output - 20);
        (void)snprintf(output, sizeof output, "%*d", size + 1,
                       (int)rc_random_below(random, 1000));
        sim_set_check(sim, node, service, (enum check_status)rc_random_below(random, 3),
                      output);
    }
}

static size_t running_but(struct sim *sim, struct rc_random *random, size_t node)
{
    for (;;) {
        size_t other = rc_random_below(random, NODES);
        if (other != node && sim_is_running(sim, other)) {
            return other;
        }
    }
}

static size_t count_running(const struct sim *sim)
{
    size_t count = 0;

    for (size_t i = 0; i < NODES; i++) {
        count += sim_is_running(sim, i) ? 1 : 0;
    }
    return count;
}

static void revive(struct sim *sim, struct rc_random *random, size_t node)
{
    enum sim_disk disk = rc_random_below(random, 3) == 0 ? SIM_LOSE_DISK : SIM_KEEP_DISK;

    sim_restart(sim, node, disk);
    sim_join(sim, node, running_but(sim, random, node));
}

static void disturb(struct sim *sim, struct rc_random *random)
{
    size_t node = rc_random_below(random, NODES);

    if (!sim_is_running(sim, node)) {
        revive(sim, random, node);
        return;
    }
    switch (rc_random_below(random, 12)) {
    case 0:
        if (count_running(sim) > 3) {
            sim_crash(sim, node);
        }
        break;
    case 1:
        sim_pause(sim, node, 100 + rc_random_below(random, 3000));
        break;
    case 2:
        sim_part(sim, node, 1);
        break;
    case 3:
        sim_heal(sim);
        break;
    default:
        change_service(sim, random, node);
        break;
    }
}

static bool all_agree(struct sim *sim, const void *context)
{
    (void)context;
    for (size_t i = 0; i < NODES; i++) {
        for (size_t k = 0; k < NODES; k++) {
            if (sim_liveness(sim, i, k) != CATALOG_ALIVE) {
                return false;
            }
        }
    }
    return sim_views_equal(sim);
}

static void calm_down(struct sim *sim, struct rc_random *random)
{
    sim_heal(sim);
    sim_set_loss(sim, 0);
    for (size_t i = 0; i < NODES; i++) {
        if (!sim_is_running(sim, i)) {
            revive(sim, random, i);
        }
    }
}

static void all_agree_when_the_storm_is_over(void **state)
{
    uint64_t worst = 0;

    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, SEEDS)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){
            .seed = seed, .duplicate_ppm = LOSS, .delay_max_us = 5000});
        struct rc_random random;

        rc_random_init(&random, seed + 77);
        sim_add_pool(sim, NODES);
        sim_set_loss(sim, LOSS);
        for (int step = 0; step < STEPS; step++) {
            disturb(sim, &random);
            sim_run(sim, rc_random_below(&random, 800));
        }
        calm_down(sim, &random);
        uint64_t took = sim_wait(sim, 120000, all_agree, NULL, "all agree again");
        worst = took > worst ? took : worst;
        sim_destroy(sim);
    }
    print_message("# slowest agreement: %llu ms\n", (unsigned long long)worst);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_agree_when_the_storm_is_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
