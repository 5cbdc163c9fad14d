#include "tests/unit/kv_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/routes.h"
#include "base/err.h"

static void on_changed(void *context, enum store_table table, struct rc_pack_bytes key,
                       uint64_t index)
{
    struct kv_world *world = context;

    (void)table, (void)index;
    char *space = world->changed[world->changed_count++ % 8];
    (void)snprintf(space, sizeof world->changed[0], "%.*s", (int)key.size,
                   (const char *)key.at);
}

static void on_nothing(void *context)
{
    (void)context;
}

static void on_ended(void *context, const char *id)
{
    (void)context, (void)id;
}

static void on_resume(void *context, struct http_exchange *x)
{
    struct kv_world *world = context;

    (void)x;
    world->resumed++;
}

static void describe_nodes(struct catalog *catalog)
{
    const struct catalog_node node = {
        .name = "node1",
        .id = "11111111-1111-1111-1111-111111111111",
        .address = "127.0.0.10",
        .datacenter = "dc1",
    };
    assert_int_equal(catalog_set_node(catalog, WORLD_NOW_MS, &node, NULL), RC_OK);
}

int kv_world_set_up(void **state)
{
    static struct kv_world world;
    const struct catalog_options catalog = {
        .node_name = "node1", .seed = 1, .now_ms = WORLD_NOW_MS, .wall_ms = 1};
    const struct engine_memory_options memory = {
        .seed = 1, .first_revision = 100, .now_ms = WORLD_NOW_MS};

    world = (struct kv_world){
        .api = {.facts = {.datacenter = "dc1",
                          .node_name = "node1",
                          .session_ttl_min_ms = 1000},
                .resume = on_resume,
                .resume_context = &world,
                .now_ms = WORLD_NOW_MS},
    };
    rc_random_init(&world.api.random, 1);
    assert_int_equal(catalog_create(&catalog, &world.api.catalog), RC_OK);
    describe_nodes(world.api.catalog);
    world.memory = engine_memory_create(&memory);
    assert_non_null(world.memory);
    world.engine = engine_memory_connect(world.memory);
    assert_non_null(world.engine);
    const struct store_options options = {
        .engine = world.engine,
        .listener = {&world, on_changed, on_nothing, on_ended, on_nothing},
        .now_ms = WORLD_NOW_MS,
    };
    world.store = store_create(&options);
    assert_non_null(world.store);
    world.api.store = world.store;
    kv_world_run(&world, 0);
    *state = &world;
    return 0;
}

int kv_world_tear_down(void **state)
{
    struct kv_world *world = *state;

    exchange_fini(&world->x);
    world->engine->class->close(world->engine, NULL, NULL);
    store_destroy(world->store);
    engine_memory_destroy(world->memory);
    catalog_destroy(world->api.catalog);
    return 0;
}

void kv_world_run(struct kv_world *world, uint64_t ms)
{
    world->api.now_ms += ms;
    for (size_t i = 0; i < WORLD_TURNS_MAX; i++) {
        uint64_t now_ms = world->api.now_ms;
        if (engine_memory_deadline_ms(world->memory) > now_ms &&
            store_deadline_ms(world->store) > now_ms) {
            return;
        }
        engine_memory_tick(world->memory, now_ms);
        store_tick(world->store, now_ms);
    }
    fail_msg("there is always something to do");
}

void kv_world_begin(struct kv_world *world, struct http_exchange *x, const char *method,
                    const char *target, const char *body)
{
    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = exchange_method(method);
    x->method_name = method;
    x->is_local = true;
    rc_buffer_text(&x->body, body);
    routes_answer(&world->api, x);
}

const struct http_exchange *kv_world_ask(struct kv_world *world, const char *method,
                                         const char *target, const char *body)
{
    kv_world_begin(world, &world->x, method, target, body);
    kv_world_run(world, 0);
    assert_int_not_equal(world->x.outcome, EXCHANGE_PENDING);
    return &world->x;
}

void kv_world_expect(struct kv_world *world, const char *method, const char *target,
                     const char *body, unsigned status, const char *text)
{
    const struct http_exchange *x = kv_world_ask(world, method, target, body);

    if (x->status != status || strcmp(rc_buffer_string(&x->out), text) != 0) {
        fail_msg("%s %s: %u %s, not %u %s", method, target, x->status,
                 rc_buffer_string(&x->out), status, text);
    }
}
