/* test_preference.c - when a pool panics, and who is near enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/upstream/preference.h"

/* "u" up, "f" failing, "e" ejected, "d" draining; `us` are distances, 0 = unknown. */
static struct snapshot_pool pool_of(const char *states, const uint32_t *us,
                                    struct snapshot_member *members,
                                    const struct config_pool *config)
{
    size_t count = strlen(states);
    for (size_t i = 0; i < count; i++) {
        bool fails = states[i] == 'f';
        members[i] = (struct snapshot_member){
            .state = states[i] == 'u'   ? UPSTREAM_UP
                     : fails            ? UPSTREAM_FAILING
                     : states[i] == 'e' ? UPSTREAM_EJECTED
                                        : UPSTREAM_DRAINING,
            .present = !fails && states[i] != 'd',
            .weight = 1,
            .distance_us = us == NULL || us[i] == 0 ? DISTANCE_UNKNOWN : us[i],
        };
    }
    struct snapshot_pool pool = {.config = config, .members = members, .count = count};
    preference_settle(&pool);
    return pool;
}

static void a_pool_panics_below_its_part(void **state)
{
    static const struct {
        const char *states;
        uint32_t percent;
        bool want;
    } cases[] = {
        {"uuff", 50, false}, {"ufff", 50, true}, {"uffe", 50, true}, {"ffff", 50, true},
        {"ffff", 0, false},  {"udd", 50, false}, {"", 50, false},    {"uuuf", 80, true},
    };
    struct snapshot_member members[8];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config_pool config = {.panic_percent = cases[i].percent};
        if (pool_of(cases[i].states, NULL, members, &config).panic != cases[i].want) {
            fail_msg("%s at %u%%", cases[i].states, cases[i].percent);
        }
    }
}

static void the_near_are_within_reach_of_the_nearest(void **state)
{
    (void)state;
    struct snapshot_member members[4];
    const struct config_pool config = {.near_ms = 5};
    const uint32_t us[] = {1000, 5900, 6100, 0};

    struct snapshot_pool pool = pool_of("uuuu", us, members, &config);

    assert_true(pool.prefer_near);
    assert_true(members[0].near && members[1].near);
    assert_false(members[2].near || members[3].near);
}

static void the_nearest_is_one_that_can_be_used(void **state)
{
    (void)state;
    struct snapshot_member members[3];
    const struct config_pool config = {.near_ms = 5};
    const uint32_t us[] = {100, 20000, 21000};

    struct snapshot_pool pool = pool_of("fuu", us, members, &config);

    assert_true(members[1].near && members[2].near);
    assert_true(pool.prefer_near);
}

static void when_too_few_of_the_near_pass_all_are_asked(void **state)
{
    (void)state;
    struct snapshot_member members[5];
    const struct config_pool config = {.near_ms = 5};
    const uint32_t us[] = {100, 100, 100, 90000, 90000};

    assert_false(pool_of("uffuu", us, members, &config).prefer_near);
    assert_true(pool_of("uufuu", us, members, &config).prefer_near);
}

static void without_distances_nobody_is_preferred(void **state)
{
    (void)state;
    struct snapshot_member members[2];
    const struct config_pool config = {.near_ms = 5};
    assert_false(pool_of("uu", NULL, members, &config).prefer_near);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_panics_below_its_part),
        cmocka_unit_test(the_near_are_within_reach_of_the_nearest),
        cmocka_unit_test(the_nearest_is_one_that_can_be_used),
        cmocka_unit_test(when_too_few_of_the_near_pass_all_are_asked),
        cmocka_unit_test(without_distances_nobody_is_preferred),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
