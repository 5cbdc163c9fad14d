#include "tests/unit/local_world.h"

/* ---- a disk ---------------------------------------------------------------------- */

int world_disk_put(struct local_store *store, enum local_kind kind, const char *id,
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
    *disk = (struct disk){.store = {world_disk_put, disk_remove, disk_load, ""}};
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

void world_boot(struct world *world, enum local_scripts scripts)
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

void world_halt(struct world *world)
{
    local_destroy(world->local);
    schedule_destroy(world->schedule);
    catalog_destroy(world->catalog);
    world->run_count = 0;
}

int world_set_up(void **state)
{
    static struct world world;

    world = (struct world){.now = {.mono_ms = START_MONO_MS, .wall_ms = 1700000000000}};
    disk_open(&world.disk);
    world_boot(&world, LOCAL_SCRIPTS_NEVER);
    assert_int_equal(local_reload(world.local, NULL, 0, NULL, 0, world.now), RC_OK);
    *state = &world;
    return 0;
}

int world_tear_down(void **state)
{
    struct world *world = *state;

    world_halt(world);
    disk_close(&world->disk);
    return 0;
}

void world_drain(struct world *world)
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

void world_pass_time(struct world *world, uint64_t ms)
{
    uint64_t end_ms = world->now.mono_ms + ms;

    while (world->now.mono_ms < end_ms) {
        uint64_t step_ms =
            end_ms - world->now.mono_ms < 50 ? end_ms - world->now.mono_ms : 50;
        world->now.mono_ms += step_ms;
        world->now.wall_ms += step_ms;
        world_drain(world);
    }
}

void world_probe(struct world *world, const char *check_id, enum check_status status,
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
                world_drain(world);
                return;
            }
        }
        world_pass_time(world, 50);
    }
    fail_msg("%s was never started", check_id);
}

int world_reboot(struct world *world, uint64_t away_ms)
{
    assert_int_equal(local_save_states(world->local, world->now), RC_OK);
    world_halt(world);
    world->now.mono_ms += away_ms;
    world->now.wall_ms += away_ms;
    world_boot(world, LOCAL_SCRIPTS_NEVER);
    return local_load(world->local, world->now);
}

struct service_definition world_service_of(const char *text)
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

struct check_definition world_check_of(const char *text)
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

int world_put_service(struct world *world, const char *text, enum local_checks mode)
{
    struct service_definition service = world_service_of(text);
    int err = local_register_service(world->local, &service, mode, world->now);

    service_definition_fini(&service);
    return err;
}

int world_put_check(struct world *world, const char *text)
{
    struct check_definition check = world_check_of(text);
    int err = local_register_check(world->local, &check, world->now);

    check_definition_fini(&check);
    return err;
}

void world_must_put(struct world *world, const char *text)
{
    if (world_put_service(world, text, LOCAL_KEEP_CHECKS) != RC_OK) {
        fail_msg("%s: %s", text, local_error(world->local));
    }
}

int world_reload(struct world *world, const char *text)
{
    struct service_definition services[8];
    json_t *list = json_loads(text, 0, NULL);
    size_t count = json_array_size(list);

    for (size_t i = 0; i < count; i++) {
        char *one = json_dumps(json_array_get(list, i), 0);
        services[i] = world_service_of(one);
        free(one);
    }
    json_decref(list);
    int err = local_reload(world->local, services, count, NULL, 0, world->now);
    for (size_t i = 0; i < count; i++) {
        service_definition_fini(&services[i]);
    }
    return err;
}

const struct catalog_service *world_in_catalog(const struct world *world, const char *id)
{
    return catalog_service_find(catalog_self(world->catalog), id);
}

enum check_status world_status_in_catalog(const struct world *world, const char *id)
{
    const struct catalog_check *check =
        catalog_check_find(catalog_self(world->catalog), id);

    assert_non_null(check);
    return check->status;
}

bool world_has_check(const struct world *world, const char *id)
{
    struct local_check check;
    bool is_local = local_find_check(world->local, id, &check);

    assert_int_equal(is_local,
                     catalog_check_find(catalog_self(world->catalog), id) != NULL);
    return is_local;
}

bool world_is_tagged(const struct world *world, const char *id, const char *tag)
{
    const struct catalog_service *service = world_in_catalog(world, id);

    assert_non_null(service);
    for (size_t i = 0; i < service->tag_count; i++) {
        if (rc_text_equals(service->tags[i], tag)) {
            return true;
        }
    }
    return false;
}

const char world_web[] =
    "{\"ID\": \"web1\", \"Name\": \"web\", \"Tags\": [\"v1\"], \"Port\": 8080,"
    " \"Check\": {\"TCP\": \"127.0.0.1:8080\", \"Interval\": \"1s\"}}";
const char world_ttl_service[] =
    "{\"Name\": \"job\", \"Check\": {\"TTL\": \"10s\", \"Status\": \"passing\"}}";
const char world_database[] =
    "{\"ID\": \"pg\", \"Name\": \"db\", \"Tags\": [\"v15\", \"primary\"], \"Check\":"
    " {\"Postgres\": \"host=/tmp\", \"PostgresTags\": true, \"Interval\": \"200ms\"}}";
