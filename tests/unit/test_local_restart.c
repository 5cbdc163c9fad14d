/* What is left of an agent's services after a restart, a full disk, a reload: agent/local/local.h. */
#include "tests/unit/local_world.h"

/* ---- what survives --------------------------------------------------------------- */

static void a_full_disk_refuses_and_changes_nothing(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    world->disk.is_full = true;
    assert_int_equal(world_put_service(world, "{\"ID\": \"web1\", \"Name\": \"web\"}",
                                       LOCAL_REPLACE_CHECKS),
                     RC_EIO);
    assert_non_null(strstr(local_error(world->local), "No space left on device"));
    assert_int_equal(world_put_service(world, "{\"Name\": \"new\"}", LOCAL_KEEP_CHECKS),
                     RC_EIO);
    assert_int_equal(world_put_check(world, "{\"Name\": \"c\", \"TTL\": \"1s\"}"),
                     RC_EIO);
    assert_int_equal(local_node_maintenance(world->local, LOCAL_ON, "", world->now),
                     RC_EIO);

    assert_int_equal(world_in_catalog(world, "web1")->port, 8080);
    assert_int_equal(local_service_count(world->local), 1);
    assert_int_equal(local_check_count(world->local), 1);
    world->disk.is_full = false;
    assert_int_equal(world_reboot(world, 0), RC_OK);
    assert_int_equal(world_in_catalog(world, "web1")->port, 8080);
}

static void registrations_and_statuses_survive_a_restart(void **state)
{
    struct world *world = *state;
    struct local_check check;

    world_must_put(world, world_web);
    world_probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    assert_int_equal(world_put_check(world, "{\"ID\": \"disk\", \"Name\": \"d\", \"TTL\":"
                                            " \"1h\", \"Status\": \"passing\"}"),
                     RC_OK);
    assert_true(local_find_check(world->local, "service:web1", &check));
    uint64_t since_wall_ms = check.since_wall_ms;
    assert_int_equal(world_reboot(world, 5000), RC_OK);

    assert_int_equal(world_status_in_catalog(world, "service:web1"), CHECK_PASSING);
    assert_true(local_find_check(world->local, "service:web1", &check));
    assert_int_equal(check.since_wall_ms, since_wall_ms);
    assert_true(world_has_check(world, "disk"));
    world_probe(world, "service:web1", CHECK_CRITICAL, CHECK_ROLE_NONE);
    assert_int_equal(world_status_in_catalog(world, "service:web1"), CHECK_CRITICAL);
}

static void a_ttl_survives_only_if_set_and_not_run_out(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_ttl_service);
    assert_int_equal(world_reboot(world, 100),
                     RC_OK); /* only ever had its first status */
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_CRITICAL);
    assert_int_equal(world_reload(world, "[]"), RC_OK);

    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "up", world->now);
    assert_int_equal(world_reboot(world, 4000), RC_OK);
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_PASSING);
    assert_int_equal(world_reload(world, "[]"), RC_OK);
    world_pass_time(world, 6100); /* the time away counts */
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_CRITICAL);

    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "up", world->now);
    assert_int_equal(world_reboot(world, 60000), RC_OK);
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_CRITICAL);
}

static void spoil(struct world *world, enum local_kind kind, const char *id,
                  const char *text)
{
    assert_int_equal(world_disk_put(&world->disk.store, kind, id, text, strlen(text)),
                     RC_OK);
}

static void damage_is_set_aside_and_the_rest_is_loaded(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    spoil(world, LOCAL_KIND_SERVICE, "cut", "{\"format\": 1, \"serv");
    spoil(world, LOCAL_KIND_CHECK, "odd", "{\"format\": 1, \"check\": 7}");
    spoil(world, LOCAL_KIND_CHECK, "later", "{\"format\": 9}");
    assert_int_equal(world_reboot(world, 0), RC_EMALFORMED);
    assert_true(local_error(world->local)[0] != '\0');
    assert_int_equal(world->disk.set_aside, 3);
    assert_non_null(world_in_catalog(world, "web1"));
}

static void a_check_of_a_configured_service_waits_for_it_at_start(void **state)
{
    static const char files[] = "[{\"Name\": \"conf\"}]";
    struct world *world = *state;

    assert_int_equal(world_reload(world, files), RC_OK);
    assert_int_equal(
        world_put_check(world, "{\"ID\": \"mine\", \"Name\": \"m\", \"TTL\": \"1h\","
                               " \"ServiceID\": \"conf\"}"),
        RC_OK);
    assert_int_equal(
        local_service_maintenance(world->local, "conf", LOCAL_ON, "why", world->now),
        RC_OK);
    assert_int_equal(world_reboot(world, 0), RC_OK);
    assert_int_equal(local_check_count(world->local), 0);
    assert_int_equal(world_reload(world, files), RC_OK);
    assert_true(world_has_check(world, "mine"));
    assert_true(world_has_check(world, "_service_maintenance:conf"));

    assert_int_equal(world_reload(world, "[]"), RC_OK); /* it goes, and for good */
    assert_int_equal(local_check_count(world->local), 0);
    assert_int_equal(rc_table_count(world->disk.records[LOCAL_KIND_CHECK]), 0);
}

static void a_deregistered_nested_check_stays_away_after_a_restart(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    assert_int_equal(local_deregister_check(world->local, "service:web1", world->now),
                     RC_OK);
    assert_int_equal(world_reboot(world, 0), RC_OK);

    assert_non_null(world_in_catalog(world, "web1"));
    assert_false(world_has_check(world, "service:web1"));
}

/* ---- configuration --------------------------------------------------------------- */

static void a_reload_adds_changes_and_removes_in_one_index(void **state)
{
    struct world *world = *state;

    assert_int_equal(
        world_reload(world,
                     "[{\"Name\": \"stays\", \"Check\": {\"TTL\": \"1h\"}},"
                     " {\"Name\": \"changes\", \"Port\": 1}, {\"Name\": \"goes\"}]"),
        RC_OK);
    (void)local_update_ttl(world->local, "service:stays", CHECK_PASSING, "", world->now);
    world_must_put(world, world_ttl_service);
    uint64_t stayed = world_in_catalog(world, "stays")->modify_index;
    uint64_t version = catalog_self(world->catalog)->version;
    assert_int_equal(
        world_reload(world,
                     "[{\"Name\": \"stays\", \"Check\": {\"TTL\": \"1h\"}},"
                     " {\"Name\": \"changes\", \"Port\": 2}, {\"Name\": \"comes\"}]"),
        RC_OK);

    assert_int_equal(world_status_in_catalog(world, "service:stays"), CHECK_PASSING);
    assert_int_equal(world_in_catalog(world, "stays")->modify_index, stayed);
    assert_int_equal(world_in_catalog(world, "changes")->port, 2);
    assert_null(world_in_catalog(world, "goes"));
    assert_non_null(world_in_catalog(world, "comes"));
    assert_non_null(world_in_catalog(world, "job")); /* the API's */
    assert_int_equal(catalog_self(world->catalog)->version, version + 1);
}

static void one_wrong_definition_and_nothing_is_reloaded(void **state)
{
    struct world *world = *state;

    assert_int_equal(world_reload(world, "[{\"Name\": \"old\"}]"), RC_OK);
    assert_int_equal(world_reload(world,
                                  "[{\"Name\": \"new\"}, {\"Name\": \"bad\", \"Check\":"
                                  " {\"UDP\": \"a:1\", \"Interval\": \"1s\"}}]"),
                     RC_EUNSUPPORTED);
    assert_non_null(strstr(local_error(world->local), "service \"bad\""));
    assert_int_equal(world_reload(world, "[{\"Name\": \"two\"}, {\"Name\": \"two\"}]"),
                     RC_EINVAL);

    assert_non_null(world_in_catalog(world, "old"));
    assert_null(world_in_catalog(world, "new"));
}

static void a_file_wins_over_the_api_and_its_record(void **state)
{
    struct world *world = *state;
    struct local_service service;

    world_must_put(world, "{\"Name\": \"both\", \"Port\": 1}");
    assert_int_equal(world_reload(world, "[{\"Name\": \"both\", \"Port\": 2}]"), RC_OK);
    assert_true(local_find_service(world->local, "both", &service));
    assert_int_equal(service.origin, LOCAL_FROM_CONFIG);
    assert_int_equal(world_in_catalog(world, "both")->port, 2);

    assert_int_equal(world_reload(world, "[]"), RC_OK);
    assert_int_equal(world_reboot(world, 0), RC_OK);
    assert_null(world_in_catalog(world, "both"));
}

static void a_service_critical_for_too_long_is_deregistered(void **state)
{
    struct world *world = *state;

    world_must_put(world, "{\"Name\": \"dead\", \"Check\": {\"TTL\": \"1s\","
                          " \"DeregisterCriticalServiceAfter\": \"90s\"}}");
    world_pass_time(world, 85000);
    assert_non_null(world_in_catalog(world, "dead"));
    world_pass_time(world, 10000);
    assert_null(world_in_catalog(world, "dead"));
    assert_int_equal(world_reboot(world, 0), RC_OK);
    assert_int_equal(local_service_count(world->local), 0);
}

static void the_hash_changes_with_what_is_shown(void **state)
{
    struct world *world = *state;
    struct local_service service;

    world_must_put(world, world_web);
    assert_true(local_find_service(world->local, "web1", &service));
    uint64_t first = service.hash;
    world_must_put(world, world_web);
    assert_true(local_find_service(world->local, "web1", &service));
    assert_true(service.hash == first);
    world_must_put(world, "{\"ID\": \"web1\", \"Name\": \"web\", \"Port\": 1}");
    assert_true(local_find_service(world->local, "web1", &service));
    assert_true(service.hash != first);
}

static void registering_the_same_again_tells_the_cluster_nothing(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    uint64_t version = catalog_self(world->catalog)->version;
    world_must_put(world, world_web);

    assert_int_equal(catalog_self(world->catalog)->version, version);
}

static void too_many_services_are_refused_and_not_kept(void **state)
{
    struct world *world = *state;
    char text[64];
    int err = RC_OK;
    size_t count = 0;

    while (err == RC_OK) {
        (void)snprintf(text, sizeof text, "{\"Name\": \"s%zu\"}", count++);
        err = world_put_service(world, text, LOCAL_KEEP_CHECKS);
    }

    assert_true(local_error(world->local)[0] != '\0');
    assert_int_equal(local_service_count(world->local), count - 1);
    assert_int_equal(rc_table_count(world->disk.records[LOCAL_KIND_SERVICE]), count - 1);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_full_disk_refuses_and_changes_nothing),
        CASE(registrations_and_statuses_survive_a_restart),
        CASE(a_ttl_survives_only_if_set_and_not_run_out),
        CASE(damage_is_set_aside_and_the_rest_is_loaded),
        CASE(a_check_of_a_configured_service_waits_for_it_at_start),
        CASE(a_deregistered_nested_check_stays_away_after_a_restart),
        CASE(a_reload_adds_changes_and_removes_in_one_index),
        CASE(one_wrong_definition_and_nothing_is_reloaded),
        CASE(a_file_wins_over_the_api_and_its_record),
        CASE(a_service_critical_for_too_long_is_deregistered),
        CASE(the_hash_changes_with_what_is_shown),
        CASE(registering_the_same_again_tells_the_cluster_nothing),
        CASE(too_many_services_are_refused_and_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
