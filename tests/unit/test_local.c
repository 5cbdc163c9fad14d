/* What an operator and a client of the API rely on: agent/local/local.h. The catalog is
 * the real one; probes and the disk are played by the test. */
#include "tests/unit/local_world.h"

/* ---- services -------------------------------------------------------------------- */

static void a_service_is_critical_until_its_first_good_check(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    assert_int_equal(world_status_in_catalog(world, "service:web1"), CHECK_CRITICAL);
    assert_int_equal(world_in_catalog(world, "web1")->port, 8080);
    assert_string_equal(world_in_catalog(world, "web1")->checks[0]->type, "tcp");

    world_probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    assert_int_equal(world_status_in_catalog(world, "service:web1"), CHECK_PASSING);
    assert_int_equal(local_service_health(world->local, "web1"), LOCAL_HEALTH_PASSING);
}

static void registering_again_keeps_status_and_unnamed_checks(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    world_probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    world_must_put(world, "{\"ID\": \"web1\", \"Name\": \"web\", \"Port\": 9090}");

    assert_true(world_has_check(world, "service:web1"));
    assert_int_equal(world_status_in_catalog(world, "service:web1"), CHECK_PASSING);
    assert_int_equal(world_in_catalog(world, "web1")->port, 9090);
    assert_int_equal(local_service_count(world->local), 1);
}

static void replacing_drops_the_checks_that_are_not_named(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    assert_int_equal(
        world_put_check(world,
                        "{\"ID\": \"extra\", \"Name\": \"x\", \"ServiceID\": \"web1\","
                        " \"TTL\": \"1h\"}"),
        RC_OK);
    assert_int_equal(world_put_service(world,
                                       "{\"ID\": \"web1\", \"Name\": \"web\", \"Check\":"
                                       " {\"CheckID\": \"new\", \"TTL\": \"1h\"}}",
                                       LOCAL_REPLACE_CHECKS),
                     RC_OK);

    assert_true(world_has_check(world, "new"));
    assert_false(world_has_check(world, "service:web1"));
    assert_false(world_has_check(world, "extra"));
    assert_int_equal(world_reboot(world, 1000), RC_OK);
    assert_int_equal(local_check_count(world->local), 1);
}

static void deregistering_takes_the_checks_along(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_web);
    assert_int_equal(local_deregister_service(world->local, "web1", world->now), RC_OK);

    assert_null(world_in_catalog(world, "web1"));
    assert_false(world_has_check(world, "service:web1"));
    assert_int_equal(world_reboot(world, 0), RC_OK);
    assert_int_equal(local_service_count(world->local), 0);
}

static void what_is_unknown_is_refused_in_consuls_words(void **state)
{
    struct world *world = *state;
    struct local *local = world->local;

    assert_int_equal(world_put_check(world, "{\"Name\": \"x\", \"TTL\": \"1h\","
                                            " \"ServiceID\": \"nope\"}"),
                     RC_ECONFLICT);
    assert_string_equal(local_error(local), "ServiceID \"nope\" does not exist");
    assert_int_equal(local_update_ttl(local, "nope", CHECK_PASSING, "", world->now),
                     RC_EUNSUPPORTED);
    assert_string_equal(local_error(local),
                        "CheckID \"nope\" does not have associated TTL");
    assert_int_equal(local_service_maintenance(local, "nope", LOCAL_ON, NULL, world->now),
                     RC_ENOTFOUND);
    assert_string_equal(local_error(local), "No service registered with ID \"nope\"");
    assert_int_equal(local_service_maintenance(local, "", LOCAL_ON, NULL, world->now),
                     RC_EINVAL);
    assert_string_equal(local_error(local), "Missing service ID");
    assert_int_equal(local_deregister_service(local, "nope", world->now), RC_ENOTFOUND);
    assert_int_equal(local_deregister_check(local, "nope", world->now), RC_ENOTFOUND);
    assert_int_equal(local_deregister_service(local, "", world->now), RC_EIO);
    assert_string_equal(local_error(local), "ServiceID missing");
    world_must_put(world, world_web);
    assert_int_equal(
        local_update_ttl(local, "service:web1", CHECK_PASSING, "", world->now),
        RC_EUNSUPPORTED);
}

static void what_this_agent_cannot_do_is_refused_with_a_reason(void **state)
{
    static const struct {
        const char *why;
        const char *text;
        int want;
        const char *says;
    } cases[] = {
        {"docker",
         "{\"Name\": \"x\", \"Check\": {\"DockerContainerID\": \"a\", \"Shell\": \"/b\","
         " \"Args\": [\"/c\"], \"Interval\": \"1s\"}}",
         RC_EUNSUPPORTED, "Docker"},
        {"udp", "{\"Name\": \"x\", \"Check\": {\"UDP\": \"a:1\", \"Interval\": \"1s\"}}",
         RC_EUNSUPPORTED, "UDP"},
        {"grpc",
         "{\"Name\": \"x\", \"Check\": {\"GRPC\": \"a:1\", \"Interval\": \"1s\"}}",
         RC_EUNSUPPORTED, "gRPC"},
        {"script",
         "{\"Name\": \"x\", \"Check\": {\"Args\": [\"/bin/true\"], \"Interval\": \"1s\"}}",
         RC_EDENIED, "enable_script_checks"},
        {"a header that smuggles another one",
         "{\"Name\": \"x\", \"Check\": {\"HTTP\": \"http://a/\", \"Interval\": \"1s\","
         " \"Header\": {\"A\": [\"b\\r\\nC: d\"]}}}",
         RC_EINVAL, "line ends"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int got = world_put_service(world, cases[i].text, LOCAL_KEEP_CHECKS);
        if (got != cases[i].want ||
            strstr(local_error(world->local), cases[i].says) == NULL) {
            fail_msg("%s: %s, %s", cases[i].why, rc_strerror(got),
                     local_error(world->local));
        }
    }
    assert_int_equal(local_service_count(world->local), 0);
}

static void scripts_from_files_need_their_own_switch(void **state)
{
    static const char text[] =
        "[{\"Name\": \"x\", \"Check\": {\"Args\": [\"/bin/true\"], \"Interval\": \"1s\"}}]";
    struct world *world = *state;

    assert_int_equal(world_reload(world, text), RC_EDENIED);
    world_halt(world);
    world_boot(world, LOCAL_SCRIPTS_CONFIG);
    assert_int_equal(world_reload(world, text), RC_OK);
    assert_int_equal(
        world_put_service(world,
                          "{\"Name\": \"y\", \"Check\": {\"Args\": [\"/bin/true\"],"
                          " \"Interval\": \"1s\"}}",
                          LOCAL_KEEP_CHECKS),
        RC_EDENIED);
}

/* ---- taking an instance away ------------------------------------------------------ */

static int may_drain(struct world *world, enum local_care care)
{
    return local_may_drain(world->local, "job", care);
}

static void the_last_healthy_instance_is_kept_with_the_care_asked_for(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_CRITICAL, "", world->now);
    assert_int_equal(may_drain(world, LOCAL_CARE_DEFAULT), RC_OK);
    (void)local_update_ttl(world->local, "service:job", CHECK_WARNING, "", world->now);
    assert_int_equal(may_drain(world, LOCAL_CARE_DEFAULT), RC_ECONFLICT);
    assert_non_null(strstr(local_error(world->local), "min_healthy is 1"));
    assert_int_equal(local_may_drain(world->local, NULL, LOCAL_CARE_DEFAULT),
                     RC_ECONFLICT);
    assert_int_equal(may_drain(world, LOCAL_CARE_CONFIGURED), RC_OK);
    assert_int_equal(may_drain(world, LOCAL_CARE_NONE), RC_OK);
    assert_int_equal(local_may_drain(world->local, "nope", LOCAL_CARE_DEFAULT), RC_OK);
}

static void what_is_away_may_go_again_but_not_stay_if_it_is_missed(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "", world->now);
    (void)local_service_maintenance(world->local, "job", LOCAL_ON, "", world->now);
    assert_int_equal(may_drain(world, LOCAL_CARE_DEFAULT), RC_OK);
    assert_int_equal(may_drain(world, LOCAL_CARE_AGAIN), RC_ECONFLICT);
}

static void min_healthy_holds_for_every_client_and_outlives_the_agent(void **state)
{
    struct world *world = *state;

    world_must_put(world, "{\"ID\": \"job\", \"Name\": \"job\", \"MinHealthy\": 1}");
    assert_int_equal(may_drain(world, LOCAL_CARE_CONFIGURED), RC_ECONFLICT);
    assert_int_equal(world_reboot(world, 1000), RC_OK);
    assert_int_equal(may_drain(world, LOCAL_CARE_CONFIGURED), RC_ECONFLICT);
    world_must_put(world, "{\"ID\": \"job\", \"Name\": \"job\", \"MinHealthy\": 0}");
    assert_int_equal(world_reboot(world, 1000), RC_OK);
    assert_int_equal(may_drain(world, LOCAL_CARE_DEFAULT), RC_OK);
}

/* ---- ttl and maintenance --------------------------------------------------------- */

static void a_ttl_update_is_in_the_catalog_when_it_returns(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_ttl_service);
    assert_int_equal(local_update_ttl(world->local, "service:job", CHECK_WARNING,
                                      "slow disk", world->now),
                     RC_OK);

    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_WARNING);
    struct local_check check;
    assert_true(local_find_check(world->local, "service:job", &check));
    assert_string_equal(check.output, "slow disk");
    assert_string_equal(check.type, "ttl");
}

static void a_ttl_nobody_renews_becomes_critical(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "", world->now);
    world_pass_time(world, 9000);
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_PASSING);
    world_pass_time(world, 1100);
    assert_int_equal(world_status_in_catalog(world, "service:job"), CHECK_CRITICAL);
}

static void maintenance_is_worse_than_critical_and_goes_away(void **state)
{
    struct world *world = *state;
    struct local_check check;

    world_must_put(world, world_ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_CRITICAL, "", world->now);
    assert_int_equal(local_service_health(world->local, "job"), LOCAL_HEALTH_CRITICAL);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(
            local_service_maintenance(world->local, "job", LOCAL_ON, "", world->now),
            RC_OK);
    }

    assert_int_equal(local_service_health(world->local, "job"), LOCAL_HEALTH_MAINTENANCE);
    assert_true(world_in_catalog(world, "job")->maintenance);
    assert_true(local_find_check(world->local, "_service_maintenance:job", &check));
    assert_string_equal(check.name, "Service Maintenance Mode");
    assert_string_equal(check.notes,
                        "Maintenance mode is enabled for this service, but no reason was "
                        "provided. This is a default message.");

    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(
            local_service_maintenance(world->local, "job", LOCAL_OFF, NULL, world->now),
            RC_OK);
    }
    assert_int_equal(local_service_health(world->local, "job"), LOCAL_HEALTH_CRITICAL);
}

static void node_maintenance_covers_every_service_and_survives(void **state)
{
    struct world *world = *state;

    world_must_put(world, "{\"Name\": \"plain\"}");
    assert_int_equal(local_service_health(world->local, "plain"), LOCAL_HEALTH_PASSING);
    assert_int_equal(
        local_node_maintenance(world->local, LOCAL_ON, "new disk", world->now), RC_OK);
    assert_int_equal(world_reboot(world, 0), RC_OK);

    assert_int_equal(local_service_health(world->local, "plain"),
                     LOCAL_HEALTH_MAINTENANCE);
    assert_true(catalog_self(world->catalog)->maintenance);
    struct local_check check;
    assert_true(local_find_check(world->local, "_node_maintenance", &check));
    assert_string_equal(check.notes, "new disk");
}

/* ---- roles ----------------------------------------------------------------------- */

static void a_database_is_tagged_by_what_it_is_and_never_by_configuration(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_database);
    assert_false(world_is_tagged(world, "pg", "primary"));

    world_probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_STANDBY);
    assert_true(world_is_tagged(world, "pg", "standby"));
    assert_false(world_is_tagged(world, "pg", "primary"));

    world_probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(world_is_tagged(world, "pg", "primary"));
    assert_false(world_is_tagged(world, "pg", "standby"));
    assert_true(world_is_tagged(world, "pg", "v15"));

    world_probe(world, "service:pg", CHECK_CRITICAL, CHECK_ROLE_NONE);
    assert_false(world_is_tagged(world, "pg", "primary"));
    assert_false(world_is_tagged(world, "pg", "standby"));
}

static void checks_that_contradict_each_other_give_no_role(void **state)
{
    struct world *world = *state;

    world_must_put(
        world, "{\"Name\": \"db\", \"Checks\": ["
               "{\"CheckID\": \"a\", \"Postgres\": \"host=/a\", \"PostgresTags\": true,"
               " \"Interval\": \"200ms\"},"
               "{\"CheckID\": \"b\", \"Postgres\": \"host=/b\", \"PostgresTags\": true,"
               " \"Interval\": \"200ms\"}]}");
    world_probe(world, "a", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    world_probe(world, "b", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(world_is_tagged(world, "db", "primary"));

    world_probe(world, "b", CHECK_PASSING, CHECK_ROLE_STANDBY);
    assert_false(world_is_tagged(world, "db", "primary"));
    assert_false(world_is_tagged(world, "db", "standby"));
}

static void a_role_is_not_believed_over_a_restart(void **state)
{
    struct world *world = *state;

    world_must_put(world, world_database);
    world_probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_int_equal(world_reboot(world, 1000), RC_OK);

    assert_int_equal(world_status_in_catalog(world, "service:pg"), CHECK_PASSING);
    assert_false(world_is_tagged(world, "pg", "primary"));
    world_probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(world_is_tagged(world, "pg", "primary"));
}

static void the_role_goes_with_the_check_that_found_it(void **state)
{
    struct world *world = *state;

    world_must_put(world, "{\"ID\": \"pg\", \"Name\": \"db\"}");
    assert_int_equal(
        world_put_check(world, "{\"ID\": \"role\", \"Name\": \"role\", \"ServiceID\":"
                               " \"pg\", \"Postgres\": \"host=/a\","
                               " \"PostgresTags\": true, \"Interval\": \"1s\"}"),
        RC_OK);
    world_probe(world, "role", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(world_is_tagged(world, "pg", "primary"));

    assert_int_equal(local_deregister_check(world->local, "role", world->now), RC_OK);
    assert_false(world_is_tagged(world, "pg", "primary"));
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_service_is_critical_until_its_first_good_check),
        CASE(registering_again_keeps_status_and_unnamed_checks),
        CASE(replacing_drops_the_checks_that_are_not_named),
        CASE(deregistering_takes_the_checks_along),
        CASE(what_is_unknown_is_refused_in_consuls_words),
        CASE(what_this_agent_cannot_do_is_refused_with_a_reason),
        CASE(scripts_from_files_need_their_own_switch),
        CASE(the_last_healthy_instance_is_kept_with_the_care_asked_for),
        CASE(what_is_away_may_go_again_but_not_stay_if_it_is_missed),
        CASE(min_healthy_holds_for_every_client_and_outlives_the_agent),
        CASE(a_ttl_update_is_in_the_catalog_when_it_returns),
        CASE(a_ttl_nobody_renews_becomes_critical),
        CASE(maintenance_is_worse_than_critical_and_goes_away),
        CASE(node_maintenance_covers_every_service_and_survives),
        CASE(a_database_is_tagged_by_what_it_is_and_never_by_configuration),
        CASE(checks_that_contradict_each_other_give_no_role),
        CASE(a_role_is_not_believed_over_a_restart),
        CASE(the_role_goes_with_the_check_that_found_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
