#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "agent/http/routes.h"
#include "base/err.h"

/* Members and coordinates, of a pool of one. */

enum { NOW_MS = 100000, TOLD_EVERY_MS = 15000 };

struct world {
    struct http_api api;
    struct http_exchange x;
};

static const struct http_exchange *ask(struct world *world, const char *target)
{
    struct http_exchange *x = &world->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = HTTP_GET;
    x->method_name = "GET";
    routes_answer(&world->api, x);
    return x;
}

static int set_up(void **state)
{
    static struct world world;
    struct gossip_options gossip = {.name = "node1", .random_seed = 1};
    const struct catalog_options catalog = {
        .node_name = "node1", .seed = 1, .now_ms = NOW_MS, .wall_ms = NOW_MS};

    world = (struct world){
        .api = {.facts = {.datacenter = "dc1", .node_name = "node1"},
                .now_ms = NOW_MS,
                .members_index = 7},
    };
    rc_random_init(&world.api.random, 1);
    assert_int_equal(rc_address_parse("127.0.0.1:8301", 0, &gossip.address), RC_OK);
    assert_int_equal(catalog_create(&catalog, &world.api.catalog), RC_OK);
    assert_int_equal(gossip_create(&gossip, 99000 * 1000000ULL, &world.api.gossip),
                     RC_OK);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    exchange_fini(&world->x);
    gossip_destroy(world->api.gossip);
    catalog_destroy(world->api.catalog);
    return 0;
}

static void members_wait_only_when_asked_to(void **state)
{
    static const char *const paths[] = {"/v1/agent/members", "/v1/agent/gossip/members"};
    struct world *world = *state;
    char target[64];

    for (size_t i = 0; i < 2; i++) {
        world->api.members_index = 7;
        const struct http_exchange *x = ask(world, paths[i]);
        assert_int_equal(x->outcome, EXCHANGE_ANSWERED);
        assert_string_equal(exchange_header_value(x, "X-Consul-Index"), "7");
        (void)snprintf(target, sizeof target, "%s?index=7", paths[i]);
        assert_int_equal(ask(world, target)->outcome, EXCHANGE_WAITING);
        world->api.members_index = 8;
        assert_int_equal(ask(world, target)->outcome, EXCHANGE_ANSWERED);
    }
}

static void a_member_is_told_in_full(void **state)
{
    const struct http_exchange *x = ask(*state, "/v1/agent/gossip/members");

    const char *text = rc_buffer_string(&x->out);
    assert_non_null(
        strstr(text, "[{\"Member\":{\"Name\":\"node1\",\"Addr\":\"127.0.0.1\""));
    assert_non_null(
        strstr(text, "\"State\":\"alive\",\"Incarnation\":1,\"StatusLTime\":0,"
                     "\"SinceMs\":1000,\"RTT\":0,\"Suspect\":false,\"TCPOnly\":false,"
                     "\"Rollcall\":false,\"Self\":true}]"));
}

static void coordinates_wait_until_they_are_told_again(void **state)
{
    struct world *world = *state;
    char target[96];

    const char *index =
        exchange_header_value(ask(world, "/v1/coordinate/nodes"), "X-Consul-Index");
    (void)snprintf(target, sizeof target, "/v1/coordinate/nodes?wait=60s&index=%s",
                   index);
    const struct http_exchange *x = ask(world, target);
    assert_int_equal(x->outcome, EXCHANGE_WAITING);
    assert_int_equal(x->waiter.deadline_ms, (NOW_MS / TOLD_EVERY_MS + 1) * TOLD_EVERY_MS);

    world->api.now_ms = x->waiter.deadline_ms;
    assert_int_equal(ask(world, target)->outcome, EXCHANGE_ANSWERED);
}

static void a_short_wait_for_coordinates_stays_short(void **state)
{
    struct world *world = *state;

    const struct http_exchange *x =
        ask(world, "/v1/coordinate/nodes?wait=1s&index=99999999999");
    assert_int_equal(x->outcome, EXCHANGE_WAITING);
    assert_in_range(x->waiter.deadline_ms, NOW_MS + 1000, NOW_MS + 1100);
}

static void an_unknown_node_has_no_coordinate(void **state)
{
    const struct http_exchange *x = ask(*state, "/v1/coordinate/node/nope");

    assert_int_equal(x->status, 404);
    assert_int_equal(x->out.size, 0);
}

static void figures_of_gossip_tell_no_key(void **state)
{
    const struct http_exchange *x = ask(*state, "/v1/internal/ui/gossip");
    const char *text = rc_buffer_string(&x->out);

    assert_int_equal(x->status, 200);
    assert_non_null(strstr(text, "\"Members\":{\"alive\":1,"));
    assert_non_null(strstr(text, "\"Refused\":{\"malformed\":0,"));
    assert_non_null(strstr(text, "\"Health\":{\"Score\":0,"));
    assert_non_null(strstr(text, "\"KeyRing\":{\"Keys\":0,\"Primary\":\"\",\"Cipher\":"
                                 "\"\",\"Agree\":null}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(figures_of_gossip_tell_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_wait_only_when_asked_to, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_member_is_told_in_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(coordinates_wait_until_they_are_told_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_short_wait_for_coordinates_stays_short, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_node_has_no_coordinate, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
