#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/bound_sessions.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/kv_world.h"

enum { NODE_TIMEOUT_MS = 5000 };

struct bound_world {
    struct kv_world *kv;
    struct bound_sessions *bound;
    size_t ended;
    char last[STORE_ID_SIZE];
    char why[64];
};

static void on_end(void *context, const char *id, const char *why)
{
    struct bound_world *world = context;

    world->ended++;
    (void)rc_text_put(world->last, sizeof world->last, id);
    (void)rc_text_put(world->why, sizeof world->why, why);
}

static int set_up(void **state)
{
    static struct bound_world world;

    world = (struct bound_world){0};
    void *kv = NULL;
    (void)kv_world_set_up(&kv);
    world.kv = kv;
    const struct bound_sessions_options options = {
        .catalog = world.kv->api.catalog,
        .store = world.kv->store,
        .node_timeout_ms = NODE_TIMEOUT_MS,
        .seed = 1,
        .end = on_end,
        .context = &world,
    };
    world.bound = bound_sessions_create(&options);
    assert_non_null(world.bound);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct bound_world *world = *state;
    void *kv = world->kv;

    bound_sessions_destroy(world->bound);
    return kv_world_tear_down(&kv);
}

static void set_check(struct bound_world *world, const char *id, enum check_status status)
{
    const struct catalog_check check = {
        .id = id, .name = id, .type = "ttl", .status = status};

    assert_int_equal(
        catalog_put_check(world->kv->api.catalog, WORLD_NOW_MS, &check, NULL), RC_OK);
}

static void set_member(struct bound_world *world, enum catalog_liveness liveness)
{
    const struct catalog_member member = {.name = "node2",
                                          .address = "127.0.0.11",
                                          .liveness = liveness,
                                          .datacenter = "dc1"};

    catalog_member_event(world->kv->api.catalog, WORLD_NOW_MS, 1, &member);
}

static void make(struct bound_world *world, const char *body)
{
    const struct http_exchange *x =
        kv_world_ask(world->kv, "PUT", "/v1/session/create", body);

    if (x->status != 200) {
        fail_msg("%s: %s", body, rc_buffer_string(&x->out));
    }
}

static uint64_t look(struct bound_world *world, uint64_t after_ms)
{
    return bound_sessions_step(world->bound, WORLD_NOW_MS + after_ms);
}

static void a_critical_check_ends_a_session_at_once(void **state)
{
    struct bound_world *world = *state;

    set_check(world, "disk", CHECK_PASSING);
    make(world, "{\"Checks\":[\"disk\"]}");
    assert_int_equal(look(world, 0), UINT64_MAX);
    set_check(world, "disk", CHECK_CRITICAL);
    (void)look(world, 1);
    assert_int_equal(world->ended, 1);
    assert_string_equal(world->why, "one of its checks is critical");
}

static void a_missing_check_is_waited_for(void **state)
{
    struct bound_world *world = *state;

    set_check(world, "disk", CHECK_PASSING);
    make(world, "{\"Checks\":[\"disk\"]}");
    assert_int_equal(catalog_remove_check(world->kv->api.catalog, WORLD_NOW_MS, "disk"),
                     RC_OK);
    assert_int_equal(look(world, 10), WORLD_NOW_MS + 10 + NODE_TIMEOUT_MS);
    assert_int_equal(world->ended, 0);
    (void)look(world, 10 + NODE_TIMEOUT_MS);
    assert_int_equal(world->ended, 1);
    assert_string_equal(world->why, "one of its checks is gone");
}

static void a_failed_node_has_its_time_to_come_back(void **state)
{
    struct bound_world *world = *state;

    set_member(world, CATALOG_ALIVE);
    make(world, "{\"Node\":\"node2\"}");
    set_member(world, CATALOG_FAILED);
    (void)look(world, 0);
    set_member(world, CATALOG_ALIVE);
    assert_int_equal(look(world, NODE_TIMEOUT_MS - 1), UINT64_MAX);
    set_member(world, CATALOG_FAILED);
    (void)look(world, NODE_TIMEOUT_MS);
    (void)look(world, 2ULL * NODE_TIMEOUT_MS - 1);
    assert_int_equal(world->ended, 0);
    (void)look(world, 2ULL * NODE_TIMEOUT_MS);
    assert_int_equal(world->ended, 1);
    assert_string_equal(world->why, "its node has failed");
}

static void a_session_that_must_be_renewed_does_not_hang_on_gossip(void **state)
{
    struct bound_world *world = *state;

    set_member(world, CATALOG_ALIVE);
    make(world, "{\"Node\":\"node2\",\"Checks\":[],\"TTL\":\"1h\"}");
    set_member(world, CATALOG_LEFT);
    assert_int_equal(look(world, 0), UINT64_MAX);
    assert_int_equal(look(world, 100ULL * NODE_TIMEOUT_MS), UINT64_MAX);
    assert_int_equal(world->ended, 0);
}

static void without_checks_and_ttl_it_ends_when_its_node_has_left(void **state)
{
    struct bound_world *world = *state;

    set_member(world, CATALOG_ALIVE);
    make(world, "{\"Node\":\"node2\",\"Checks\":[]}");
    set_member(world, CATALOG_FAILED);
    assert_int_equal(look(world, 0), UINT64_MAX);
    set_member(world, CATALOG_LEFT);
    (void)look(world, 1);
    (void)look(world, 1 + NODE_TIMEOUT_MS);
    assert_int_equal(world->ended, 1);
    assert_string_equal(world->why, "its node has left");
}

static void one_that_does_not_end_is_asked_for_again(void **state)
{
    struct bound_world *world = *state;

    set_check(world, "disk", CHECK_PASSING);
    make(world, "{\"Checks\":[\"disk\"]}");
    set_check(world, "disk", CHECK_CRITICAL);
    uint64_t again_ms = look(world, 0);
    (void)look(world, 1);
    assert_int_equal(world->ended, 1);
    (void)bound_sessions_step(world->bound, again_ms);
    assert_int_equal(world->ended, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_critical_check_ends_a_session_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_missing_check_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_node_has_its_time_to_come_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_session_that_must_be_renewed_does_not_hang_on_gossip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            without_checks_and_ttl_it_ends_when_its_node_has_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_does_not_end_is_asked_for_again, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
