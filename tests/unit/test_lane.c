/* test_lane.c - the catalog's bytes on gossip, gossip's news of members in the catalog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"
#include "agent/lane.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

enum { WALL_MS = 1700000000, PACKET = 1400 };

#define NS(ms) ((uint64_t)(ms)*1000000)

/* One agent: a catalog and a gossip core that knows nobody, joined by the lane under test. */
struct side {
    struct net *net;
    struct catalog *catalog;
    struct lane lane;
    struct gossip_lane callbacks;
};

static void open_side(struct side *side, const char *name)
{
    const struct catalog_options options = {
        .node_name = name, .seed = 7, .now_ms = 1, .wall_ms = WALL_MS};

    assert_int_equal(catalog_create(&options, &side->catalog), RC_OK);
    side->lane.catalog = side->catalog;
    side->callbacks = lane_callbacks(&side->lane);
    side->net = net_create(1);
    const struct gossip_options gossip = {.lane = side->callbacks};
    size_t index = net_add(side->net, &gossip);
    side->lane.gossip = side->net->nodes[index].gossip;
}

static void close_side(struct side *side)
{
    net_destroy(side->net);
    catalog_destroy(side->catalog);
}

static int open_both(void **state)
{
    struct side *sides = calloc(2, sizeof *sides);

    open_side(&sides[0], "a");
    open_side(&sides[1], "b");
    *state = sides;
    return 0;
}

static int close_both(void **state)
{
    struct side *sides = *state;

    close_side(&sides[0]);
    close_side(&sides[1]);
    free(sides);
    return 0;
}

/* Gossip tells `side` how `name` stands. */
static void tell(struct side *side, const char *name, enum gossip_status status,
                 enum gossip_member_event event)
{
    static const struct gossip_tag tags[] = {{"dc", "east"}, {"rc", "1"}};
    struct gossip_announced said = {
        .name = name, .tags = tags, .tag_count = 2, .is_rollcall = true};
    const struct gossip_member member = {.said = &said};
    const struct gossip_action action = {
        .type = GOSSIP_MEMBER_EVENT, .event = event, .status = status, .member = &member};

    assert_int_equal(rc_address_parse("10.0.0.9:8301", 0, &said.address), RC_OK);
    lane_on_member(&side->lane, NS(5), WALL_MS, &action);
}

static void a_members_status_is_its_nodes_liveness(void **state)
{
    static const struct {
        enum gossip_status status;
        enum gossip_member_event event;
        enum catalog_liveness want;
    } cases[] = {
        {GOSSIP_ALIVE, GOSSIP_EVENT_JOIN, CATALOG_ALIVE},
        {GOSSIP_SUSPECT, GOSSIP_EVENT_SUSPECT, CATALOG_SUSPECT},
        {GOSSIP_ALIVE, GOSSIP_EVENT_ALIVE, CATALOG_ALIVE},
        {GOSSIP_LEAVING, GOSSIP_EVENT_LEAVING, CATALOG_LEAVING},
        {GOSSIP_FAILED, GOSSIP_EVENT_FAILED, CATALOG_FAILED},
        {GOSSIP_ALIVE, GOSSIP_EVENT_JOIN, CATALOG_ALIVE},
    };
    struct side *side = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tell(side, "n9", cases[i].status, cases[i].event);

        const struct catalog_node *node = catalog_node_find(side->catalog, "n9");
        assert_non_null(node);
        assert_int_equal(node->liveness, cases[i].want);
        assert_string_equal(node->address, "10.0.0.9");
        assert_string_equal(node->datacenter, "east");
    }
}

static void who_left_or_was_forgotten_is_a_node_no_more(void **state)
{
    struct side *side = *state;

    tell(side, "left", GOSSIP_ALIVE, GOSSIP_EVENT_JOIN);
    tell(side, "forgotten", GOSSIP_FAILED, GOSSIP_EVENT_FAILED);
    assert_non_null(catalog_node_find(side->catalog, "left"));
    assert_non_null(catalog_node_find(side->catalog, "forgotten"));

    tell(side, "left", GOSSIP_LEFT, GOSSIP_EVENT_LEFT);
    tell(side, "forgotten", GOSSIP_FAILED, GOSSIP_EVENT_REAP);

    assert_null(catalog_node_find(side->catalog, "left"));
    assert_null(catalog_node_find(side->catalog, "forgotten"));
}

static void what_one_catalog_changes_the_other_learns_from_packets(void **state)
{
    struct side *sides = *state;
    const struct catalog_service web = {.id = "web",
                                        .name = "web",
                                        .address = "",
                                        .port = 80,
                                        .weight_passing = 1,
                                        .weight_warning = 1};
    uint8_t packet[PACKET];
    uint8_t before[GOSSIP_SUMMARY_SIZE];
    uint8_t after[GOSSIP_SUMMARY_SIZE];
    size_t size;
    char error[CATALOG_ERROR_MAX];

    tell(&sides[1], "a", GOSSIP_ALIVE, GOSSIP_EVENT_JOIN);
    sides[0].callbacks.summary(sides[0].callbacks.ctx, before);
    assert_int_equal(catalog_put_service(sides[0].catalog, 10, &web, error), RC_OK);
    lane_carry_out(&sides[0].lane, NS(10));
    while ((size = sides[0].callbacks.fill(sides[0].callbacks.ctx, 11, packet,
                                           sizeof packet)) > 0) {
        sides[1].callbacks.receive(sides[1].callbacks.ctx, 12, "a", packet, size);
    }

    const struct catalog_node *node = catalog_node_find(sides[1].catalog, "a");
    assert_non_null(node);
    const struct catalog_service *found = catalog_service_find(node, "web");
    assert_non_null(found);
    assert_int_equal(found->port, 80);
    sides[0].callbacks.summary(sides[0].callbacks.ctx, after);
    assert_memory_not_equal(before, after, sizeof before);
}

static void everything_the_catalog_wants_is_done_at_once(void **state)
{
    struct side *side = *state;
    const struct catalog_service web = {.id = "web", .name = "web", .address = ""};
    struct catalog_action action;
    char error[CATALOG_ERROR_MAX];

    assert_int_equal(catalog_put_service(side->catalog, 10, &web, error), RC_OK);
    lane_carry_out(&side->lane, NS(10));

    assert_false(catalog_next_action(side->catalog, &action));
}

static void a_sync_that_cannot_begin_does_not_hold_up_later_ones(void **state)
{
    struct side *side = *state;
    uint8_t other[GOSSIP_SUMMARY_SIZE];
    struct catalog_action action;

    /* The catalog sees that "n9" knows something else and asks for a stream to it, again and
     * again as time passes; gossip has no such member. */
    memset(other, 0x5a, sizeof other);
    tell(side, "n9", GOSSIP_ALIVE, GOSSIP_EVENT_JOIN);
    for (uint64_t now_ms = 1000; now_ms < 60000; now_ms += 1000) {
        side->callbacks.peer_summary(side->callbacks.ctx, now_ms, "n9", other);
        catalog_tick(side->catalog, now_ms);
        lane_carry_out(&side->lane, NS(now_ms));
        assert_false(catalog_next_action(side->catalog, &action));
    }

    bool asks_again = false; /* by now it has forgotten those that never came to be */
    for (uint64_t now_ms = 60000; now_ms < 75000; now_ms += 1000) {
        side->callbacks.peer_summary(side->callbacks.ctx, now_ms, "n9", other);
        catalog_tick(side->catalog, now_ms);
        while (catalog_next_action(side->catalog, &action)) {
            asks_again = asks_again || action.type == CATALOG_STREAM_OPEN;
        }
    }
    assert_true(asks_again);
}

static void a_stream_of_nonsense_is_closed(void **state)
{
    struct side *side = *state;
    struct catalog_action action;

    side->callbacks.stream_message(side->callbacks.ctx, 10, 77, (const uint8_t *)"\xc1",
                                   1);
    side->callbacks.stream_closed(side->callbacks.ctx, 11,
                                  77); /* a second time is fine */
    side->callbacks.stream_closed(side->callbacks.ctx, 12, 78); /* as is an unknown one */
    lane_carry_out(&side->lane, NS(12));

    assert_false(catalog_next_action(side->catalog, &action));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_members_status_is_its_nodes_liveness, open_both,
                                        close_both),
        cmocka_unit_test_setup_teardown(who_left_or_was_forgotten_is_a_node_no_more,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(
            what_one_catalog_changes_the_other_learns_from_packets, open_both,
            close_both),
        cmocka_unit_test_setup_teardown(everything_the_catalog_wants_is_done_at_once,
                                        open_both, close_both),
        cmocka_unit_test_setup_teardown(
            a_sync_that_cannot_begin_does_not_hold_up_later_ones, open_both, close_both),
        cmocka_unit_test_setup_teardown(a_stream_of_nonsense_is_closed, open_both,
                                        close_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
