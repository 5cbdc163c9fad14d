/* test_derived.c - pools that requests ask for, and how snapshots keep them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/upstream/derived.h"
#include "proxy/upstream/snapshot.h"

static const char text[] =
    "discovery agent { address 127.0.0.1:8500 }\n"
    "pool apps { from agent service * tag http; balance least_request }\n"
    "pool web { static 127.0.0.1:21001 }\n"
    "pool more { from agent service * }\n"
    "listen http 127.0.0.1:21000 { host * { route / { pool web } } }\n";

static struct config *parse(void)
{
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    if (config_parse("t", text, strlen(text), &config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return config;
}

static void a_pattern_gives_its_rules_to_the_pool_of_a_service(void **state)
{
    (void)state;
    struct config *config = parse();
    int err = RC_OK;

    struct derived *made = derived_create(config, 0, "shop", 7, &err);

    assert_non_null(made);
    assert_string_equal(made->config.name, "apps/shop");
    assert_string_equal(made->config.service, "shop");
    assert_string_equal(made->config.tag, "http");
    assert_int_equal(made->config.balance, CONFIG_LEAST_REQUEST);
    assert_false(made->config.pattern);
    derived_release(made);
    config_destroy(config);
}

static void what_is_no_pattern_makes_no_pool(void **state)
{
    (void)state;
    struct config *config = parse();
    char long_name[CONFIG_NAME_MAX];
    int err = RC_OK;
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';

    assert_null(derived_create(config, 1, "shop", 7, &err));
    assert_int_equal(err, RC_EINVAL);
    assert_null(derived_create(config, 0, "", 7, &err));
    assert_int_equal(err, RC_EINVAL);
    assert_null(derived_create(config, 0, long_name, 7, &err));
    assert_int_equal(err, RC_ETOOBIG);
    config_destroy(config);
}

static void a_snapshot_finds_pools_by_pattern_and_service(void **state)
{
    (void)state;
    struct config *config = parse();
    struct derived *made[4];
    int err = RC_OK;
    made[0] = derived_create(config, 0, "a", 1, &err);
    made[1] = derived_create(config, 0, "c", 1, &err);
    made[2] = derived_create(config, 2, "a", 1, &err);
    made[3] = derived_create(config, 2, "b", 1, &err);
    struct snapshot_config *shared = snapshot_config_create(config, NULL);
    struct snapshot *snapshot = snapshot_create(shared, 1);

    assert_int_equal(snapshot_derive(snapshot, made, 4), RC_OK);

    assert_int_equal(snapshot->pool_count, 7);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(
            snapshot_find_derived(snapshot, made[i]->pattern, made[i]->config.service),
            &snapshot->pools[3 + i]);
        assert_ptr_equal(snapshot_find_pool(snapshot, made[i]->config.name),
                         &snapshot->pools[3 + i]);
        derived_release(made[i]); /* the snapshot has its own */
    }
    assert_null(snapshot_find_derived(snapshot, 0, "b"));
    assert_null(snapshot_find_derived(snapshot, 1, "a"));
    snapshot_release(snapshot);
    snapshot_config_release(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_gives_its_rules_to_the_pool_of_a_service),
        cmocka_unit_test(what_is_no_pattern_makes_no_pool),
        cmocka_unit_test(a_snapshot_finds_pools_by_pattern_and_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
