/* A dead node is noticed fast, a living one is never called dead, a cut heals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

enum { SEEDS = 100, LOSS_10_PERCENT = 100000 };

static bool all_see_first_failed(struct sim *sim, const void *context)
{
    (void)context;
    for (size_t i = 1; i < sim_count(sim); i++) {
        if (sim_liveness(sim, i, 0) != CATALOG_FAILED) {
            return false;
        }
    }
    return true;
}

static bool all_see_all_alive(struct sim *sim, const void *context)
{
    (void)context;
    for (size_t i = 0; i < sim_count(sim); i++) {
        for (size_t k = 0; k < sim_count(sim); k++) {
            if (sim_is_running(sim, i) && sim_is_running(sim, k) &&
                sim_liveness(sim, i, k) != CATALOG_ALIVE) {
                return false;
            }
        }
    }
    return sim_views_equal(sim);
}

static void a_crash_is_seen_by_all_of_five_within_3_s(void **state)
{
    uint64_t worst = 0;

    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, SEEDS)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        sim_add_pool(sim, 5);
        sim_run(sim, 2000 + seed * 7);
        sim_crash(sim, 0);
        uint64_t took = sim_wait(sim, 3000, all_see_first_failed, NULL,
                                 "all four see that the first has failed");
        worst = took > worst ? took : worst;
        sim_destroy(sim);
    }
    print_message("# slowest detection: %llu ms\n", (unsigned long long)worst);
}

static void nobody_is_called_dead_under_10_percent_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 5)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        sim_add_pool(sim, 20);
        sim_run(sim, 31000); /* what happened while joining does not count */
        sim_set_loss(sim, LOSS_10_PERCENT);
        sim_run(sim, 60000);
        if (sim_false_failures(sim) != 0) {
            sim_fail(sim, "%zu false failures", sim_false_failures(sim));
        }
        sim_destroy(sim);
    }
}

static void a_parted_pool_sees_two_halves_and_heals(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 5)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        sim_add_pool(sim, 6);
        for (size_t i = 3; i < 6; i++) {
            sim_part(sim, i, 1);
        }
        sim_run(sim, 10000);
        assert_int_equal(sim_liveness(sim, 0, 5), CATALOG_FAILED);
        assert_int_equal(sim_liveness(sim, 5, 0), CATALOG_FAILED);
        assert_int_equal(sim_liveness(sim, 0, 2), CATALOG_ALIVE);
        sim_register(sim, 0, "left");
        sim_register(sim, 5, "right");
        sim_run(sim, 3000);
        assert_true(sim_sees_service(sim, 2, 0, "left"));
        assert_false(sim_sees_service(sim, 5, 0, "left"));

        sim_heal(sim);
        (void)sim_wait(sim, 60000, all_see_all_alive, NULL, "one pool again");
        assert_true(sim_sees_service(sim, 0, 5, "right"));
        assert_true(sim_sees_service(sim, 5, 0, "left"));
        sim_destroy(sim);
    }
}

static void a_short_pause_is_forgiven(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 5)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        sim_add_pool(sim, 5);
        sim_pause(sim, 2, 600);
        sim_run(sim, 600);
        (void)sim_wait(sim, 30000, all_see_all_alive, NULL, "all see all alive");
        sim_destroy(sim);
    }
}

static void who_leaves_is_gone_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 0; (seed = sim_next_seed(seed, 5)) != 0;) {
        struct sim *sim = sim_create(&(struct sim_options){.seed = seed});
        sim_add_pool(sim, 5);
        sim_register(sim, 4, "web");
        sim_run(sim, 1000);
        sim_leave(sim, 4);
        sim_run(sim, 10000);
        assert_false(sim_is_running(sim, 4));
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(sim_liveness(sim, i, 4), CATALOG_LEFT);
            assert_null(catalog_name_find(sim_catalog(sim, i), "web"));
        }
        sim_destroy(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_seen_by_all_of_five_within_3_s),
        cmocka_unit_test(nobody_is_called_dead_under_10_percent_loss),
        cmocka_unit_test(a_parted_pool_sees_two_halves_and_heals),
        cmocka_unit_test(a_short_pause_is_forgiven),
        cmocka_unit_test(who_leaves_is_gone_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
