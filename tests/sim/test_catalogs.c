/* What one node says is soon known to all, and stays right whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

enum { ROUNDS = 21 };

struct expected {
    size_t of;
    const char *service;
    bool present;
    enum check_status status;
};

static bool one_knows(struct sim *sim, size_t at, const struct expected *expected)
{
    const struct catalog_node *node =
        catalog_node_find(sim_catalog(sim, at), sim_name(sim, expected->of));
    const struct catalog_service *service =
        node == NULL ? NULL : catalog_service_find(node, expected->service);

    if (!expected->present) {
        return service == NULL;
    }
    return service != NULL && service->status == expected->status;
}

static bool all_know(struct sim *sim, const void *context)
{
    for (size_t i = 0; i < sim_count(sim); i++) {
        if (sim_is_running(sim, i) && !one_knows(sim, i, context)) {
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

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

static uint64_t median(uint64_t *times)
{
    qsort(times, ROUNDS, sizeof *times, ascending);
    return times[ROUNDS / 2];
}

/* Registers, fails a check and deregisters, and waits each time until all know. */
static void measure(size_t count, uint64_t limit_ms)
{
    static const char *const steps[] = {"register", "flip", "deregister"};
    uint64_t times[3][ROUNDS];
    struct sim *sim = sim_create(&(struct sim_options){.seed = 7});

    sim_add_pool(sim, count);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct expected expected = {round % count, "web", true, CHECK_PASSING};
        sim_run(sim, 500 + round * 13);
        sim_register(sim, expected.of, "web");
        times[0][round] = sim_wait(sim, 5000, all_know, &expected, "registered");
        sim_run(sim, 500);
        expected.status = CHECK_CRITICAL;
        sim_set_check(sim, expected.of, "web", CHECK_CRITICAL, "broken");
        times[1][round] = sim_wait(sim, 5000, all_know, &expected, "critical");
        sim_run(sim, 500);
        expected.present = false;
        sim_deregister(sim, expected.of, "web");
        times[2][round] = sim_wait(sim, 5000, all_know, &expected, "deregistered");
    }
    for (size_t step = 0; step < 3; step++) {
        uint64_t middle = median(times[step]);
        print_message("# %zu nodes, %s: median %llu ms, worst %llu ms\n", count,
                      steps[step], (unsigned long long)middle,
                      (unsigned long long)times[step][ROUNDS - 1]);
        if (middle > limit_ms) {
            sim_fail(sim, "median %llu ms", (unsigned long long)middle);
        }
    }
    sim_destroy(sim);
}

static void five_nodes_know_a_change_within_50_ms(void **state)
{
    (void)state;
    measure(5, 50);
}

static void fifty_nodes_know_a_change_within_500_ms(void **state)
{
    (void)state;
    measure(50, 500);
}

static void changes_survive_loss_and_duplication(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 5)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed,
                                                           .loss_ppm = 200000,
                                                           .duplicate_ppm = 100000,
                                                           .delay_max_us = 20000});
        char name[16];

        sim_add_pool(sim, 8);
        for (unsigned i = 0; i < 40; i++) {
            (void)snprintf(name, sizeof name, "s%u", i % 5);
            size_t node = i % 8;
            if (sim_sees_service(sim, node, node, name)) {
                sim_deregister(sim, node, name);
            } else {
                sim_register(sim, node, name);
            }
            sim_run(sim, 50 + 31 * (i % 4));
        }
        (void)sim_wait(sim, 60000, all_agree, NULL, "all agree after the storm");
        sim_destroy(sim);
    }
}

static void long_outputs_reach_everybody(void **state)
{
    struct sim *sim = sim_create(&(struct sim_options){.seed = 3});
    char text[3001];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    sim_add_pool(sim, 5);
    sim_register(sim, 1, "web");
    sim_set_check(sim, 1, "web", CHECK_CRITICAL, text);
    (void)sim_wait(sim, 20000, all_agree, NULL, "all have the whole output");
    const struct catalog_node *node =
        catalog_node_find(sim_catalog(sim, 4), sim_name(sim, 1));
    assert_string_equal(catalog_check_find(node, "service:web")->output, text);
    sim_destroy(sim);
}

static void a_restarted_node_is_known_as_it_is_now(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 10)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        struct expected old = {1, "old", false, CHECK_PASSING};
        struct expected new = {1, "new", true, CHECK_PASSING};

        sim_add_pool(sim, 5);
        sim_register(sim, 1, "old");
        sim_run(sim, 1000);
        sim_crash(sim, 1);
        sim_run(sim, 200 * seed); /* before and after it is called failed */
        sim_restart(sim, 1, SIM_KEEP_DISK);
        sim_register(sim, 1, "new");
        sim_join(sim, 1, 0);
        (void)sim_wait(sim, 15000, all_know, &new, "all know the new service");
        (void)sim_wait(sim, 15000, all_know, &old, "nobody knows the old service");
        (void)sim_wait(sim, 30000, all_agree, NULL, "all agree");
        sim_destroy(sim);
    }
}

static void a_node_that_lost_its_disk_is_believed_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 10)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        struct expected old = {1, "old", false, CHECK_PASSING};
        struct expected new = {1, "new", true, CHECK_PASSING};

        sim_add_pool(sim, 5);
        sim_register(sim, 1, "old");
        sim_run(sim, 1000);
        sim_crash(sim, 1);
        sim_run(sim, 300 * seed);
        sim_restart(sim, 1, SIM_LOSE_DISK);
        sim_register(sim, 1, "new");
        sim_join(sim, 1, 0);
        (void)sim_wait(sim, 30000, all_know, &new, "all know the new service");
        (void)sim_wait(sim, 30000, all_know, &old, "nobody knows the old service");
        (void)sim_wait(sim, 30000, all_agree, NULL, "all agree");
        sim_destroy(sim);
    }
}

static void what_was_deleted_behind_a_cut_stays_deleted(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 10)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        struct expected gone = {0, "web", false, CHECK_PASSING};

        sim_add_pool(sim, 5);
        sim_register(sim, 0, "web");
        sim_run(sim, 1000);
        sim_part(sim, 4, 1);
        sim_run(sim, 1000);
        sim_deregister(sim, 0, "web");
        sim_run(sim, 5000);
        assert_true(sim_sees_service(sim, 4, 0, "web"));
        sim_heal(sim);
        (void)sim_wait(sim, 60000, all_know, &gone, "the stale node learns it");
        (void)sim_wait(sim, 30000, all_agree, NULL, "all agree");
        assert_true(all_know(sim, &gone));
        sim_destroy(sim);
    }
}

static uint64_t a_busy_minute(uint64_t seed, bool encrypted)
{
    struct sim *sim = sim_create(&(struct sim_options){
        .seed = seed, .loss_ppm = 50000, .duplicate_ppm = 20000, .encrypted = encrypted});

    sim_add_pool(sim, 6);
    sim_register(sim, 0, "web");
    sim_run(sim, 3000);
    sim_crash(sim, 2);
    sim_set_check(sim, 0, "web", CHECK_WARNING, "hm");
    sim_run(sim, 7000);
    sim_restart(sim, 2, SIM_KEEP_DISK);
    sim_join(sim, 2, 3);
    sim_part(sim, 5, 1);
    sim_run(sim, 20000);
    sim_heal(sim);
    sim_run(sim, 30000);
    uint64_t digest = sim_digest(sim);
    sim_destroy(sim);
    return digest;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 3)) != 0;) {
        uint64_t first = a_busy_minute(seed, false);
        assert_true(first == a_busy_minute(seed, false));
        assert_true(first != a_busy_minute(seed + 1000, false));
        uint64_t sealed = a_busy_minute(seed, true);
        assert_true(sealed == a_busy_minute(seed, true));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_nodes_know_a_change_within_50_ms),
        cmocka_unit_test(fifty_nodes_know_a_change_within_500_ms),
        cmocka_unit_test(changes_survive_loss_and_duplication),
        cmocka_unit_test(long_outputs_reach_everybody),
        cmocka_unit_test(a_restarted_node_is_known_as_it_is_now),
        cmocka_unit_test(a_node_that_lost_its_disk_is_believed_again),
        cmocka_unit_test(what_was_deleted_behind_a_cut_stays_deleted),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
