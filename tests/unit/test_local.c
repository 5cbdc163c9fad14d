/* What an operator and a client of the API rely on: agent/local/local.h. The catalog is
 * the real one; probes and the disk are played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/local/local.h"
#include "agent/local/local_store.h"
#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

enum { START_MONO_MS = 1000000, RUNS_MAX = 64 };

/* ---- a disk ---------------------------------------------------------------------- */

struct disk {
    struct local_store store;
    struct rc_table *records[LOCAL_KIND_COUNT]; /* id -> JSON text, owned */
    bool is_full;
    unsigned set_aside;
};

static int disk_put(struct local_store *store, enum local_kind kind, const char *id,
                    const char *json, size_t size)
{
    struct disk *disk = (struct disk *)store;
    void *old = NULL;

    if (disk->is_full) {
        (void)rc_text_put(store->error, sizeof store->error, "No space left on device");
        return RC_EIO;
    }
    assert_int_equal(strlen(json), size);
    assert_int_equal(rc_table_put(disk->records[kind], id, strdup(json), &old), RC_OK);
    free(old);
    return RC_OK;
}

static int disk_remove(struct local_store *store, enum local_kind kind, const char *id)
{
    free(rc_table_remove(((struct disk *)store)->records[kind], id));
    return RC_OK;
}

static int disk_load(struct local_store *store, enum local_kind kind,
                     int (*each)(void *context, const char *json, size_t size),
                     void *context)
{
    struct disk *disk = (struct disk *)store;
    size_t position = 0;
    const char *id;
    char *text;
    int outcome = RC_OK;

    while ((text = rc_table_next(disk->records[kind], &position, &id)) != NULL) {
        if (each(context, text, strlen(text)) != RC_OK) {
            disk->set_aside++;
            (void)rc_text_put(store->error, sizeof store->error, "a file");
            outcome = RC_EMALFORMED;
        }
    }
    return outcome;
}

static void disk_open(struct disk *disk)
{
    *disk = (struct disk){.store = {disk_put, disk_remove, disk_load, ""}};
    for (size_t i = 0; i < LOCAL_KIND_COUNT; i++) {
        disk->records[i] = rc_table_create(i);
    }
}

static void disk_close(struct disk *disk)
{
    for (size_t i = 0; i < LOCAL_KIND_COUNT; i++) {
        size_t position = 0;
        char *text;
        while ((text = rc_table_next(disk->records[i], &position, NULL)) != NULL) {
            free(text);
        }
        rc_table_destroy(disk->records[i]);
    }
}

/* ---- an agent without sockets ---------------------------------------------------- */

struct world {
    struct disk disk;
    struct schedule *schedule;
    struct catalog *catalog;
    struct local *local;
    struct local_now now;
    struct {
        uint64_t probe;
        const struct check_definition *definition;
    } runs[RUNS_MAX]; /* in flight */
    size_t run_count;
};

static void boot(struct world *world, enum local_scripts scripts)
{
    struct catalog_options catalog = {.node_name = "node1",
                                      .seed = 1,
                                      .now_ms = world->now.mono_ms,
                                      .wall_ms = world->now.wall_ms};
    assert_int_equal(catalog_create(&catalog, &world->catalog), RC_OK);
    assert_int_equal(schedule_create(1, &world->schedule), RC_OK);
    struct local_options options = {
        .catalog = world->catalog,
        .schedule = world->schedule,
        .store = &world->disk.store,
        .node_name = "node1",
        .scripts = scripts,
        .random_seed = 1,
    };
    assert_int_equal(local_create(&options, &world->local), RC_OK);
}

static void halt(struct world *world)
{
    local_destroy(world->local);
    schedule_destroy(world->schedule);
    catalog_destroy(world->catalog);
    world->run_count = 0;
}

static int set_up(void **state)
{
    static struct world world;

    world = (struct world){.now = {.mono_ms = START_MONO_MS, .wall_ms = 1700000000000}};
    disk_open(&world.disk);
    boot(&world, LOCAL_SCRIPTS_NEVER);
    assert_int_equal(local_reload(world.local, NULL, 0, NULL, 0, world.now), RC_OK);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    halt(world);
    disk_close(&world->disk);
    return 0;
}

static void drain(struct world *world)
{
    struct schedule_action action;

    schedule_tick(world->schedule, world->now.mono_ms);
    while (schedule_next_action(world->schedule, &action)) {
        if (action.type == SCHEDULE_START) {
            assert_true(world->run_count < RUNS_MAX);
            world->runs[world->run_count].probe = action.probe;
            world->runs[world->run_count++].definition = action.definition;
        }
        local_on_schedule(world->local, &action, world->now);
    }
}

static void pass_time(struct world *world, uint64_t ms)
{
    uint64_t end_ms = world->now.mono_ms + ms;

    while (world->now.mono_ms < end_ms) {
        uint64_t step_ms =
            end_ms - world->now.mono_ms < 50 ? end_ms - world->now.mono_ms : 50;
        world->now.mono_ms += step_ms;
        world->now.wall_ms += step_ms;
        drain(world);
    }
}

/* Waits for the next run of that check and ends it so. */
static void probe(struct world *world, const char *check_id, enum check_status status,
                  enum check_role role)
{
    struct check_result result = {
        .status = status, .role = role, .output = "seen", .output_size = 4};

    for (int tries = 0; tries < 1000; tries++) {
        for (size_t i = 0; i < world->run_count; i++) {
            if (rc_text_equals(world->runs[i].definition->id, check_id)) {
                uint64_t run = world->runs[i].probe;
                world->runs[i] = world->runs[--world->run_count];
                schedule_result(world->schedule, run, &result, world->now.mono_ms);
                drain(world);
                return;
            }
        }
        pass_time(world, 50);
    }
    fail_msg("%s was never started", check_id);
}

/* A restart: what is in memory goes, what is on disk stays. */
static int reboot(struct world *world, uint64_t away_ms)
{
    assert_int_equal(local_save_states(world->local, world->now), RC_OK);
    halt(world);
    world->now.mono_ms += away_ms;
    world->now.wall_ms += away_ms;
    boot(world, LOCAL_SCRIPTS_NEVER);
    return local_load(world->local, world->now);
}

static struct service_definition service_of(const char *text)
{
    struct service_definition service;
    struct definition_fault fault = {0};
    json_t *json = json_loads(text, 0, NULL);

    if (service_definition_parse(json, DEFINITION_API, &service, &fault) != RC_OK) {
        fail_msg("%s: %s", text, fault.text);
    }
    json_decref(json);
    return service;
}

static struct check_definition check_of(const char *text)
{
    struct check_definition check;
    struct definition_fault fault = {0};
    json_t *json = json_loads(text, 0, NULL);

    if (check_definition_parse(json, DEFINITION_API, &check, &fault) != RC_OK) {
        fail_msg("%s: %s", text, fault.text);
    }
    json_decref(json);
    return check;
}

static int put_service(struct world *world, const char *text, enum local_checks mode)
{
    struct service_definition service = service_of(text);
    int err = local_register_service(world->local, &service, mode, world->now);

    service_definition_fini(&service);
    return err;
}

static int put_check(struct world *world, const char *text)
{
    struct check_definition check = check_of(text);
    int err = local_register_check(world->local, &check, world->now);

    check_definition_fini(&check);
    return err;
}

static void must_put(struct world *world, const char *text)
{
    if (put_service(world, text, LOCAL_KEEP_CHECKS) != RC_OK) {
        fail_msg("%s: %s", text, local_error(world->local));
    }
}

/* `text` is an array of services. */
static int reload(struct world *world, const char *text)
{
    struct service_definition services[8];
    json_t *list = json_loads(text, 0, NULL);
    size_t count = json_array_size(list);

    for (size_t i = 0; i < count; i++) {
        char *one = json_dumps(json_array_get(list, i), 0);
        services[i] = service_of(one);
        free(one);
    }
    json_decref(list);
    int err = local_reload(world->local, services, count, NULL, 0, world->now);
    for (size_t i = 0; i < count; i++) {
        service_definition_fini(&services[i]);
    }
    return err;
}

static const struct catalog_service *in_catalog(const struct world *world, const char *id)
{
    return catalog_service_find(catalog_self(world->catalog), id);
}

static enum catalog_status status_in_catalog(const struct world *world, const char *id)
{
    const struct catalog_check *check =
        catalog_check_find(catalog_self(world->catalog), id);

    assert_non_null(check);
    return check->status;
}

static bool has_check(const struct world *world, const char *id)
{
    struct local_check check;
    bool is_local = local_find_check(world->local, id, &check);

    assert_int_equal(is_local,
                     catalog_check_find(catalog_self(world->catalog), id) != NULL);
    return is_local;
}

static bool is_tagged(const struct world *world, const char *id, const char *tag)
{
    const struct catalog_service *service = in_catalog(world, id);

    assert_non_null(service);
    for (size_t i = 0; i < service->tag_count; i++) {
        if (rc_text_equals(service->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

static const char web[] =
    "{\"ID\": \"web1\", \"Name\": \"web\", \"Tags\": [\"v1\"], \"Port\": 8080,"
    " \"Check\": {\"TCP\": \"127.0.0.1:8080\", \"Interval\": \"1s\"}}";
static const char ttl_service[] =
    "{\"Name\": \"job\", \"Check\": {\"TTL\": \"10s\", \"Status\": \"passing\"}}";
static const char database[] =
    "{\"ID\": \"pg\", \"Name\": \"db\", \"Tags\": [\"v15\", \"primary\"], \"Check\":"
    " {\"Postgres\": \"host=/tmp\", \"PostgresTags\": true, \"Interval\": \"200ms\"}}";

/* ---- services -------------------------------------------------------------------- */

static void a_service_is_critical_until_its_first_good_check(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    assert_int_equal(status_in_catalog(world, "service:web1"), CATALOG_CRITICAL);
    assert_int_equal(in_catalog(world, "web1")->port, 8080);
    assert_string_equal(in_catalog(world, "web1")->checks[0]->type, "tcp");

    probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    assert_int_equal(status_in_catalog(world, "service:web1"), CATALOG_PASSING);
    assert_int_equal(local_service_health(world->local, "web1"), LOCAL_HEALTH_PASSING);
}

static void registering_again_keeps_status_and_unnamed_checks(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    must_put(world, "{\"ID\": \"web1\", \"Name\": \"web\", \"Port\": 9090}");

    assert_true(has_check(world, "service:web1"));
    assert_int_equal(status_in_catalog(world, "service:web1"), CATALOG_PASSING);
    assert_int_equal(in_catalog(world, "web1")->port, 9090);
    assert_int_equal(local_service_count(world->local), 1);
}

static void replacing_drops_the_checks_that_are_not_named(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    assert_int_equal(
        put_check(world, "{\"ID\": \"extra\", \"Name\": \"x\", \"ServiceID\": \"web1\","
                         " \"TTL\": \"1h\"}"),
        RC_OK);
    assert_int_equal(put_service(world,
                                 "{\"ID\": \"web1\", \"Name\": \"web\", \"Check\":"
                                 " {\"CheckID\": \"new\", \"TTL\": \"1h\"}}",
                                 LOCAL_REPLACE_CHECKS),
                     RC_OK);

    assert_true(has_check(world, "new"));
    assert_false(has_check(world, "service:web1"));
    assert_false(has_check(world, "extra"));
    assert_int_equal(reboot(world, 1000), RC_OK);
    assert_int_equal(local_check_count(world->local), 1);
}

static void deregistering_takes_the_checks_along(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    assert_int_equal(local_deregister_service(world->local, "web1", world->now), RC_OK);

    assert_null(in_catalog(world, "web1"));
    assert_false(has_check(world, "service:web1"));
    assert_int_equal(reboot(world, 0), RC_OK);
    assert_int_equal(local_service_count(world->local), 0);
}

static void what_is_unknown_is_refused_in_consuls_words(void **state)
{
    struct world *world = *state;
    struct local *local = world->local;

    assert_int_equal(put_check(world, "{\"Name\": \"x\", \"TTL\": \"1h\","
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
    must_put(world, web);
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
        int got = put_service(world, cases[i].text, LOCAL_KEEP_CHECKS);
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

    assert_int_equal(reload(world, text), RC_EDENIED);
    halt(world);
    boot(world, LOCAL_SCRIPTS_CONFIG);
    assert_int_equal(reload(world, text), RC_OK);
    assert_int_equal(
        put_service(world,
                    "{\"Name\": \"y\", \"Check\": {\"Args\": [\"/bin/true\"],"
                    " \"Interval\": \"1s\"}}",
                    LOCAL_KEEP_CHECKS),
        RC_EDENIED);
}

/* ---- ttl and maintenance --------------------------------------------------------- */

static void a_ttl_update_is_in_the_catalog_when_it_returns(void **state)
{
    struct world *world = *state;

    must_put(world, ttl_service);
    assert_int_equal(local_update_ttl(world->local, "service:job", CHECK_WARNING,
                                      "slow disk", world->now),
                     RC_OK);

    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_WARNING);
    struct local_check check;
    assert_true(local_find_check(world->local, "service:job", &check));
    assert_string_equal(check.output, "slow disk");
    assert_string_equal(check.type, "ttl");
}

static void a_ttl_nobody_renews_becomes_critical(void **state)
{
    struct world *world = *state;

    must_put(world, ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "", world->now);
    pass_time(world, 9000);
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_PASSING);
    pass_time(world, 1100);
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_CRITICAL);
}

static void maintenance_is_worse_than_critical_and_goes_away(void **state)
{
    struct world *world = *state;
    struct local_check check;

    must_put(world, ttl_service);
    (void)local_update_ttl(world->local, "service:job", CHECK_CRITICAL, "", world->now);
    assert_int_equal(local_service_health(world->local, "job"), LOCAL_HEALTH_CRITICAL);
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(
            local_service_maintenance(world->local, "job", LOCAL_ON, "", world->now),
            RC_OK);
    }

    assert_int_equal(local_service_health(world->local, "job"), LOCAL_HEALTH_MAINTENANCE);
    assert_true(in_catalog(world, "job")->maintenance);
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

    must_put(world, "{\"Name\": \"plain\"}");
    assert_int_equal(local_service_health(world->local, "plain"), LOCAL_HEALTH_PASSING);
    assert_int_equal(
        local_node_maintenance(world->local, LOCAL_ON, "new disk", world->now), RC_OK);
    assert_int_equal(reboot(world, 0), RC_OK);

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

    must_put(world, database);
    assert_false(is_tagged(world, "pg", "primary"));

    probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_STANDBY);
    assert_true(is_tagged(world, "pg", "standby"));
    assert_false(is_tagged(world, "pg", "primary"));

    probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(is_tagged(world, "pg", "primary"));
    assert_false(is_tagged(world, "pg", "standby"));
    assert_true(is_tagged(world, "pg", "v15"));

    probe(world, "service:pg", CHECK_CRITICAL, CHECK_ROLE_NONE);
    assert_false(is_tagged(world, "pg", "primary"));
    assert_false(is_tagged(world, "pg", "standby"));
}

static void checks_that_contradict_each_other_give_no_role(void **state)
{
    struct world *world = *state;

    must_put(world,
             "{\"Name\": \"db\", \"Checks\": ["
             "{\"CheckID\": \"a\", \"Postgres\": \"host=/a\", \"PostgresTags\": true,"
             " \"Interval\": \"200ms\"},"
             "{\"CheckID\": \"b\", \"Postgres\": \"host=/b\", \"PostgresTags\": true,"
             " \"Interval\": \"200ms\"}]}");
    probe(world, "a", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    probe(world, "b", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(is_tagged(world, "db", "primary"));

    probe(world, "b", CHECK_PASSING, CHECK_ROLE_STANDBY);
    assert_false(is_tagged(world, "db", "primary"));
    assert_false(is_tagged(world, "db", "standby"));
}

static void a_role_is_not_believed_over_a_restart(void **state)
{
    struct world *world = *state;

    must_put(world, database);
    probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_int_equal(reboot(world, 1000), RC_OK);

    assert_int_equal(status_in_catalog(world, "service:pg"), CATALOG_PASSING);
    assert_false(is_tagged(world, "pg", "primary"));
    probe(world, "service:pg", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(is_tagged(world, "pg", "primary"));
}

static void the_role_goes_with_the_check_that_found_it(void **state)
{
    struct world *world = *state;

    must_put(world, "{\"ID\": \"pg\", \"Name\": \"db\"}");
    assert_int_equal(put_check(world,
                               "{\"ID\": \"role\", \"Name\": \"role\", \"ServiceID\":"
                               " \"pg\", \"Postgres\": \"host=/a\","
                               " \"PostgresTags\": true, \"Interval\": \"1s\"}"),
                     RC_OK);
    probe(world, "role", CHECK_PASSING, CHECK_ROLE_PRIMARY);
    assert_true(is_tagged(world, "pg", "primary"));

    assert_int_equal(local_deregister_check(world->local, "role", world->now), RC_OK);
    assert_false(is_tagged(world, "pg", "primary"));
}

/* ---- what survives --------------------------------------------------------------- */

static void a_full_disk_refuses_and_changes_nothing(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    world->disk.is_full = true;
    assert_int_equal(
        put_service(world, "{\"ID\": \"web1\", \"Name\": \"web\"}", LOCAL_REPLACE_CHECKS),
        RC_EIO);
    assert_non_null(strstr(local_error(world->local), "No space left on device"));
    assert_int_equal(put_service(world, "{\"Name\": \"new\"}", LOCAL_KEEP_CHECKS),
                     RC_EIO);
    assert_int_equal(put_check(world, "{\"Name\": \"c\", \"TTL\": \"1s\"}"), RC_EIO);
    assert_int_equal(local_node_maintenance(world->local, LOCAL_ON, "", world->now),
                     RC_EIO);

    assert_int_equal(in_catalog(world, "web1")->port, 8080);
    assert_int_equal(local_service_count(world->local), 1);
    assert_int_equal(local_check_count(world->local), 1);
    world->disk.is_full = false;
    assert_int_equal(reboot(world, 0), RC_OK);
    assert_int_equal(in_catalog(world, "web1")->port, 8080);
}

static void registrations_and_statuses_survive_a_restart(void **state)
{
    struct world *world = *state;
    struct local_check check;

    must_put(world, web);
    probe(world, "service:web1", CHECK_PASSING, CHECK_ROLE_NONE);
    assert_int_equal(put_check(world, "{\"ID\": \"disk\", \"Name\": \"d\", \"TTL\":"
                                      " \"1h\", \"Status\": \"passing\"}"),
                     RC_OK);
    assert_true(local_find_check(world->local, "service:web1", &check));
    uint64_t since_wall_ms = check.since_wall_ms;
    assert_int_equal(reboot(world, 5000), RC_OK);

    assert_int_equal(status_in_catalog(world, "service:web1"), CATALOG_PASSING);
    assert_true(local_find_check(world->local, "service:web1", &check));
    assert_int_equal(check.since_wall_ms, since_wall_ms);
    assert_true(has_check(world, "disk"));
    probe(world, "service:web1", CHECK_CRITICAL, CHECK_ROLE_NONE);
    assert_int_equal(status_in_catalog(world, "service:web1"), CATALOG_CRITICAL);
}

static void a_ttl_survives_only_if_set_and_not_run_out(void **state)
{
    struct world *world = *state;

    must_put(world, ttl_service);
    assert_int_equal(reboot(world, 100), RC_OK); /* only ever had its first status */
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_CRITICAL);
    assert_int_equal(reload(world, "[]"), RC_OK);

    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "up", world->now);
    assert_int_equal(reboot(world, 4000), RC_OK);
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_PASSING);
    assert_int_equal(reload(world, "[]"), RC_OK);
    pass_time(world, 6100); /* the time away counts */
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_CRITICAL);

    (void)local_update_ttl(world->local, "service:job", CHECK_PASSING, "up", world->now);
    assert_int_equal(reboot(world, 60000), RC_OK);
    assert_int_equal(status_in_catalog(world, "service:job"), CATALOG_CRITICAL);
}

static void spoil(struct world *world, enum local_kind kind, const char *id,
                  const char *text)
{
    assert_int_equal(disk_put(&world->disk.store, kind, id, text, strlen(text)), RC_OK);
}

static void damage_is_set_aside_and_the_rest_is_loaded(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    spoil(world, LOCAL_KIND_SERVICE, "cut", "{\"format\": 1, \"serv");
    spoil(world, LOCAL_KIND_CHECK, "odd", "{\"format\": 1, \"check\": 7}");
    spoil(world, LOCAL_KIND_CHECK, "later", "{\"format\": 9}");
    assert_int_equal(reboot(world, 0), RC_EMALFORMED);
    assert_true(local_error(world->local)[0] != '\0');
    assert_int_equal(world->disk.set_aside, 3);
    assert_non_null(in_catalog(world, "web1"));
}

static void a_check_of_a_configured_service_waits_for_it_at_start(void **state)
{
    static const char files[] = "[{\"Name\": \"conf\"}]";
    struct world *world = *state;

    assert_int_equal(reload(world, files), RC_OK);
    assert_int_equal(put_check(world,
                               "{\"ID\": \"mine\", \"Name\": \"m\", \"TTL\": \"1h\","
                               " \"ServiceID\": \"conf\"}"),
                     RC_OK);
    assert_int_equal(
        local_service_maintenance(world->local, "conf", LOCAL_ON, "why", world->now),
        RC_OK);
    assert_int_equal(reboot(world, 0), RC_OK);
    assert_int_equal(local_check_count(world->local), 0);
    assert_int_equal(reload(world, files), RC_OK);
    assert_true(has_check(world, "mine"));
    assert_true(has_check(world, "_service_maintenance:conf"));

    assert_int_equal(reload(world, "[]"), RC_OK); /* it goes, and for good */
    assert_int_equal(local_check_count(world->local), 0);
    assert_int_equal(rc_table_count(world->disk.records[LOCAL_KIND_CHECK]), 0);
}

static void a_deregistered_nested_check_stays_away_after_a_restart(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    assert_int_equal(local_deregister_check(world->local, "service:web1", world->now),
                     RC_OK);
    assert_int_equal(reboot(world, 0), RC_OK);

    assert_non_null(in_catalog(world, "web1"));
    assert_false(has_check(world, "service:web1"));
}

/* ---- configuration --------------------------------------------------------------- */

static void a_reload_adds_changes_and_removes_in_one_index(void **state)
{
    struct world *world = *state;

    assert_int_equal(
        reload(world, "[{\"Name\": \"stays\", \"Check\": {\"TTL\": \"1h\"}},"
                      " {\"Name\": \"changes\", \"Port\": 1}, {\"Name\": \"goes\"}]"),
        RC_OK);
    (void)local_update_ttl(world->local, "service:stays", CHECK_PASSING, "", world->now);
    must_put(world, ttl_service);
    uint64_t stayed = in_catalog(world, "stays")->modify_index;
    uint64_t version = catalog_self(world->catalog)->version;
    assert_int_equal(
        reload(world, "[{\"Name\": \"stays\", \"Check\": {\"TTL\": \"1h\"}},"
                      " {\"Name\": \"changes\", \"Port\": 2}, {\"Name\": \"comes\"}]"),
        RC_OK);

    assert_int_equal(status_in_catalog(world, "service:stays"), CATALOG_PASSING);
    assert_int_equal(in_catalog(world, "stays")->modify_index, stayed);
    assert_int_equal(in_catalog(world, "changes")->port, 2);
    assert_null(in_catalog(world, "goes"));
    assert_non_null(in_catalog(world, "comes"));
    assert_non_null(in_catalog(world, "job")); /* the API's */
    assert_int_equal(catalog_self(world->catalog)->version, version + 1);
}

static void one_wrong_definition_and_nothing_is_reloaded(void **state)
{
    struct world *world = *state;

    assert_int_equal(reload(world, "[{\"Name\": \"old\"}]"), RC_OK);
    assert_int_equal(reload(world, "[{\"Name\": \"new\"}, {\"Name\": \"bad\", \"Check\":"
                                   " {\"UDP\": \"a:1\", \"Interval\": \"1s\"}}]"),
                     RC_EUNSUPPORTED);
    assert_non_null(strstr(local_error(world->local), "service \"bad\""));
    assert_int_equal(reload(world, "[{\"Name\": \"two\"}, {\"Name\": \"two\"}]"),
                     RC_EINVAL);

    assert_non_null(in_catalog(world, "old"));
    assert_null(in_catalog(world, "new"));
}

static void a_file_wins_over_the_api_and_its_record(void **state)
{
    struct world *world = *state;
    struct local_service service;

    must_put(world, "{\"Name\": \"both\", \"Port\": 1}");
    assert_int_equal(reload(world, "[{\"Name\": \"both\", \"Port\": 2}]"), RC_OK);
    assert_true(local_find_service(world->local, "both", &service));
    assert_int_equal(service.origin, LOCAL_FROM_CONFIG);
    assert_int_equal(in_catalog(world, "both")->port, 2);

    assert_int_equal(reload(world, "[]"), RC_OK);
    assert_int_equal(reboot(world, 0), RC_OK);
    assert_null(in_catalog(world, "both"));
}

static void a_service_critical_for_too_long_is_deregistered(void **state)
{
    struct world *world = *state;

    must_put(world, "{\"Name\": \"dead\", \"Check\": {\"TTL\": \"1s\","
                    " \"DeregisterCriticalServiceAfter\": \"90s\"}}");
    pass_time(world, 85000);
    assert_non_null(in_catalog(world, "dead"));
    pass_time(world, 10000);
    assert_null(in_catalog(world, "dead"));
    assert_int_equal(reboot(world, 0), RC_OK);
    assert_int_equal(local_service_count(world->local), 0);
}

static void the_hash_changes_with_what_is_shown(void **state)
{
    struct world *world = *state;
    struct local_service service;

    must_put(world, web);
    assert_true(local_find_service(world->local, "web1", &service));
    uint64_t first = service.hash;
    must_put(world, web);
    assert_true(local_find_service(world->local, "web1", &service));
    assert_true(service.hash == first);
    must_put(world, "{\"ID\": \"web1\", \"Name\": \"web\", \"Port\": 1}");
    assert_true(local_find_service(world->local, "web1", &service));
    assert_true(service.hash != first);
}

static void registering_the_same_again_tells_the_cluster_nothing(void **state)
{
    struct world *world = *state;

    must_put(world, web);
    uint64_t version = catalog_self(world->catalog)->version;
    must_put(world, web);

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
        err = put_service(world, text, LOCAL_KEEP_CHECKS);
    }

    assert_true(local_error(world->local)[0] != '\0');
    assert_int_equal(local_service_count(world->local), count - 1);
    assert_int_equal(rc_table_count(world->disk.records[LOCAL_KIND_SERVICE]), count - 1);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_service_is_critical_until_its_first_good_check),
        CASE(registering_again_keeps_status_and_unnamed_checks),
        CASE(replacing_drops_the_checks_that_are_not_named),
        CASE(deregistering_takes_the_checks_along),
        CASE(what_is_unknown_is_refused_in_consuls_words),
        CASE(what_this_agent_cannot_do_is_refused_with_a_reason),
        CASE(scripts_from_files_need_their_own_switch),
        CASE(a_ttl_update_is_in_the_catalog_when_it_returns),
        CASE(a_ttl_nobody_renews_becomes_critical),
        CASE(maintenance_is_worse_than_critical_and_goes_away),
        CASE(node_maintenance_covers_every_service_and_survives),
        CASE(a_database_is_tagged_by_what_it_is_and_never_by_configuration),
        CASE(checks_that_contradict_each_other_give_no_role),
        CASE(a_role_is_not_believed_over_a_restart),
        CASE(the_role_goes_with_the_check_that_found_it),
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
