/* test_gossip_query.c - queries among small pools: who is asked, who answers, who is heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/wire.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

/* What each node was told, and, if it should, what it answers. */
struct heard {
    size_t asked[NET_NODES_MAX]; /* GOSSIP_QUERY */
    size_t acks[NET_NODES_MAX];
    size_t responses[NET_NODES_MAX];
    size_t done[NET_NODES_MAX];
    uint32_t froms; /* bit i: n<i> has answered */
    size_t events[NET_NODES_MAX];
    size_t coalesced;
    const char *answer; /* NULL: nobody answers */
    char payload[64];   /* of the last query or response */
    char asker[32];
    uint64_t ltime; /* of the last query */
    uint32_t id;
    uint32_t timeout_ms;
    int err; /* of the last response */
};

static void watch(struct net *net, size_t i, const struct gossip_action *action)
{
    struct heard *heard = net->watch_context;
    char name[32];

    (void)snprintf(name, sizeof name, "%s", action->name == NULL ? "" : action->name);
    if (action->type == GOSSIP_QUERY) {
        heard->asked[i]++;
        heard->ltime = action->ltime;
        heard->id = action->id;
        heard->timeout_ms = action->timeout_ms;
        (void)snprintf(heard->payload, sizeof heard->payload, "%.*s", (int)action->size,
                       (const char *)action->bytes);
        (void)snprintf(heard->asker, sizeof heard->asker, "%s", action->asker);
        if (heard->answer != NULL) {
            heard->err = gossip_respond(net->nodes[i].gossip, net->now_ns, action->ltime,
                                        action->id, (const uint8_t *)heard->answer,
                                        strlen(heard->answer));
        }
    } else if (action->type == GOSSIP_QUERY_ACK) {
        heard->acks[i]++;
        assert_int_equal(action->size, 0);
    } else if (action->type == GOSSIP_QUERY_RESPONSE) {
        heard->responses[i]++;
        heard->froms |= 1U << strtoul(name + 1, NULL, 10);
        (void)snprintf(heard->payload, sizeof heard->payload, "%.*s", (int)action->size,
                       (const char *)action->bytes);
    } else if (action->type == GOSSIP_QUERY_DONE) {
        heard->done[i]++;
    } else if (action->type == GOSSIP_USER_EVENT) {
        heard->events[i]++;
        heard->coalesced += action->coalesce == GOSSIP_COALESCE;
    }
}

static struct net *pool(uint64_t seed, size_t count, struct heard *heard)
{
    struct net *net = net_create(seed);

    memset(heard, 0, sizeof *heard);
    net->watch = watch;
    net->watch_context = heard;
    net_pool(net, count, "fast");
    return net;
}

static int ask(struct net *net, size_t i, const struct gossip_query *query, uint32_t *id)
{
    int err = gossip_query(net->nodes[i].gossip, net->now_ns, query, id);
    net_drain(net, i);
    return err;
}

static size_t sum(const size_t *counts)
{
    size_t total = 0;
    for (size_t i = 0; i < NET_NODES_MAX; i++) {
        total += counts[i];
    }
    return total;
}

static void inject_serf(struct net *net, size_t to, enum wire_serf_type type,
                        const struct wire_format *format, const void *message)
{
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 7946};
    struct rc_buffer bytes = {0};

    wire_write_serf(type, format, message, &bytes);
    gossip_packet(net->nodes[to].gossip, net->now_ns, &from, bytes.bytes, bytes.size);
    net_drain(net, to);
    rc_buffer_fini(&bytes);
}

static void everybody_is_asked_once_and_heard_once(void **state)
{
    struct heard heard;
    struct net *net = pool(1, 8, &heard);
    const struct gossip_query query = {.name = "uptime",
                                       .payload = (const uint8_t *)"since",
                                       .size = 5,
                                       .ack = GOSSIP_QUERY_WITH_ACK};
    uint32_t id = 0;

    (void)state;
    heard.answer = "long";
    assert_int_equal(ask(net, 3, &query, &id), RC_OK);
    net_run_ms(net, gossip_query_timeout_ms(net->nodes[3].gossip) + 10);

    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(heard.asked[i], 1);
    }
    assert_int_equal(heard.acks[3], 8);
    assert_int_equal(heard.responses[3], 8);
    assert_int_equal(heard.froms, 0xff);
    assert_int_equal(heard.done[3], 1);
    assert_int_equal(sum(heard.responses), 8); /* nobody else hears answers */
    assert_string_equal(heard.payload, "long");
    assert_string_equal(heard.asker, "n3");
    net_destroy(net);
}

static void a_ping_is_acked_and_not_shown(void **state)
{
    struct heard heard;
    struct net *net = pool(17, 4, &heard);
    const struct gossip_query query = {.name = "_serf_ping",
                                       .ack = GOSSIP_QUERY_WITH_ACK};
    uint32_t id;

    (void)state;
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    net_run_ms(net, 3000);
    assert_int_equal(heard.acks[0], 4);
    assert_int_equal(sum(heard.asked) + sum(heard.responses), 0);
    assert_int_equal(heard.done[0], 1);
    net_destroy(net);
}

static void only_those_who_fit_all_filters_are_asked(void **state)
{
    static const char *const two[] = {"n1", "n4"};
    static const char *const none[] = {"n9"};
    static const struct gossip_tag rollcall = {"rc", "^1:"};
    static const struct gossip_tag other = {"rc", "^(2|3):[0-9]+$"};
    static const struct gossip_tag absent = {"role", "^$"};
    static const struct gossip_tag wanted = {"role", "web"};
    static const struct {
        const char *why;
        struct gossip_query query;
        size_t want;
    } cases[] = {
        {"two names", {.nodes = two, .node_count = 2}, 2},
        {"a name that nobody has", {.nodes = none, .node_count = 1}, 0},
        {"a tag that all have", {.tags = &rollcall, .tag_count = 1}, 6},
        {"a value that nobody has", {.tags = &other, .tag_count = 1}, 0},
        {"no such tag is empty text", {.tags = &absent, .tag_count = 1}, 6},
        {"a tag that nobody has", {.tags = &wanted, .tag_count = 1}, 0},
        {"both", {.nodes = two, .node_count = 2, .tags = &rollcall, .tag_count = 1}, 2},
        {"names fit, tags do not",
         {.nodes = two, .node_count = 2, .tags = &other, .tag_count = 1},
         0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct heard heard;
        struct net *net = pool(2, 6, &heard);
        struct gossip_query query = cases[i].query;
        uint32_t id;
        query.name = "which";
        assert_int_equal(ask(net, 0, &query, &id), RC_OK);
        net_run_ms(net, 3000);
        if (sum(heard.asked) != cases[i].want) {
            fail_msg("%s: %zu are asked", cases[i].why, sum(heard.asked));
        }
        net_destroy(net);
    }
}

static void a_straight_query_reaches_the_named_and_nobody_else(void **state)
{
    static const char *const two[] = {"n1", "n4", "n0"};
    struct heard heard;
    struct net *net = pool(3, 6, &heard);
    const struct gossip_query query = {.name = "which",
                                       .nodes = two,
                                       .node_count = 3,
                                       .reach = GOSSIP_QUERY_STRAIGHT,
                                       .ack = GOSSIP_QUERY_WITH_ACK};
    uint32_t id;
    struct gossip_counters counters;

    (void)state;
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    gossip_counters(net->nodes[0].gossip, &counters);
    assert_int_equal(counters.queue_queries, 0);
    net_run_ms(net, 3000);

    assert_int_equal(sum(heard.asked), 3);
    assert_int_equal(heard.acks[0], 3);
    net_destroy(net);
}

static void relays_bring_what_the_straight_way_loses(void **state)
{
    struct heard heard;
    struct net *net = pool(4, 8, &heard);
    const struct gossip_query query = {.name = "which",
                                       .relay_factor = 5,
                                       .ack = GOSSIP_QUERY_WITH_ACK,
                                       .timeout_ms = 5000};
    uint32_t id;

    (void)state;
    heard.answer = "here";
    net->nodes[0].cut = 1U << 7; /* n7 and n0 do not reach each other */
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    net_run_ms(net, 5100);

    assert_int_equal(heard.responses[0], 8);
    assert_int_equal(heard.acks[0], 8);
    assert_int_equal(heard.froms, 0xff);
    net_destroy(net);
}

static void an_answer_is_taken_once_and_in_time(void **state)
{
    struct heard heard;
    struct net *net = pool(5, 3, &heard);
    static const char *const one[] = {"n2"};
    const struct gossip_query query = {
        .name = "which", .nodes = one, .node_count = 1, .timeout_ms = 1000};
    struct gossip *g = net->nodes[2].gossip;
    uint8_t large[GOSSIP_QUERY_SIZE_MAX];
    uint32_t id;

    (void)state;
    memset(large, 'x', sizeof large);
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    net_run_ms(net, 500);
    assert_int_equal(heard.id, id);
    assert_int_equal(heard.timeout_ms, 1000);
    assert_int_equal(
        gossip_respond(g, net->now_ns, heard.ltime, id + 1, (const uint8_t *)"a", 1),
        RC_ENOTFOUND);
    assert_int_equal(gossip_respond(g, net->now_ns, heard.ltime, id, large, sizeof large),
                     RC_ETOOBIG);
    assert_int_equal(
        gossip_respond(g, net->now_ns, heard.ltime, id, (const uint8_t *)"a", 1), RC_OK);
    assert_int_equal(
        gossip_respond(g, net->now_ns, heard.ltime, id, (const uint8_t *)"a", 1),
        RC_ENOTFOUND);
    net_drain(net, 2);
    net_run_ms(net, 1000);
    assert_int_equal(heard.responses[0], 1);

    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    net_run_ms(net, 1500);
    assert_int_equal(
        gossip_respond(g, net->now_ns, heard.ltime, id, (const uint8_t *)"a", 1),
        RC_ENOTFOUND);
    assert_int_equal(heard.done[0], 2);
    net_destroy(net);
}

static void answers_nobody_waits_for_are_refused(void **state)
{
    struct heard heard;
    struct net *net = pool(6, 2, &heard);
    const struct gossip_query query = {.name = "which", .timeout_ms = 2000};
    struct wire_response response = {.from = rc_pack_text("ghost"),
                                     .payload = rc_pack_text("boo")};
    uint32_t id;

    (void)state;
    inject_serf(net, 0, WIRE_SERF_RESPONSE, &wire_format_response, &response);
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    response.id = id;
    response.ltime = heard.ltime + 1; /* right ID, wrong time */
    inject_serf(net, 0, WIRE_SERF_RESPONSE, &wire_format_response, &response);
    response.ltime = heard.ltime;
    response.flags = WIRE_RESPONSE_ACK; /* none was asked for */
    inject_serf(net, 0, WIRE_SERF_RESPONSE, &wire_format_response, &response);
    assert_int_equal(heard.responses[0] + heard.acks[0], 0);
    response.flags = 0;
    inject_serf(net, 0, WIRE_SERF_RESPONSE, &wire_format_response, &response);
    inject_serf(net, 0, WIRE_SERF_RESPONSE, &wire_format_response, &response);

    assert_int_equal(heard.responses[0], 1); /* once from each */
    net_destroy(net);
}

static void what_cannot_be_asked_is_refused_at_the_door(void **state)
{
    static const char *const empty[] = {""};
    static const struct gossip_tag broken = {"rc", "a(b"};
    static uint8_t large[GOSSIP_QUERY_SIZE_MAX];
    static const struct {
        const char *why;
        struct gossip_query query;
        int want;
    } cases[] = {
        {"no name", {.name = NULL}, RC_EINVAL},
        {"an empty name", {.name = ""}, RC_EINVAL},
        {"an internal name", {.name = "_serf_use-key"}, RC_EINVAL},
        {"ping is for everybody", {.name = "_serf_ping"}, RC_OK},
        {"a ping with a payload",
         {.name = "_serf_ping", .payload = large, .size = 1},
         RC_EINVAL},
        {"an empty node name", {.name = "q", .nodes = empty, .node_count = 1}, RC_EINVAL},
        {"not an expression", {.name = "q", .tags = &broken, .tag_count = 1}, RC_EINVAL},
        {"too many relays", {.name = "q", .relay_factor = 6}, RC_EINVAL},
        {"straight to nobody", {.name = "q", .reach = GOSSIP_QUERY_STRAIGHT}, RC_EINVAL},
        {"too large",
         {.name = "q", .payload = large, .size = sizeof large - 50},
         RC_ETOOBIG},
        {"too long a wait",
         {.name = "q", .timeout_ms = GOSSIP_QUERY_TIMEOUT_MAX_MS + 1},
         RC_EINVAL},
    };
    struct heard heard;
    struct net *net = pool(7, 2, &heard);
    uint32_t id;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int got = ask(net, 0, &cases[i].query, &id);
        if (got != cases[i].want) {
            fail_msg("%s: got %s", cases[i].why, rc_strerror(got));
        }
    }
    net_destroy(net);
}

static void open_queries_and_those_to_serve_are_bounded(void **state)
{
    struct heard heard;
    struct net *net = pool(8, 2, &heard);
    const struct gossip_query query = {.name = "q", .timeout_ms = 60000};
    uint32_t id;

    (void)state;
    for (size_t i = 0; i < GOSSIP_QUERIES_MAX; i++) {
        assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    }
    assert_int_equal(ask(net, 0, &query, &id), RC_ETOOBIG);
    for (uint32_t i = 0; i < 2 * GOSSIP_QUERIES_SERVED_MAX; i++) {
        const struct wire_query wire = {
            .ltime = 1000 + i,
            .id = i,
            .address = {(const uint8_t *)"\x0a\x00\x00\x01", 4},
            .port = 7946,
            .source_node = rc_pack_text("n0"),
            .timeout_ns = (uint64_t)60 * 1000000000,
            .name = rc_pack_text("many"),
        };
        inject_serf(net, 1, WIRE_SERF_QUERY, &wire_format_query, &wire);
    }
    assert_true(heard.asked[1] <= GOSSIP_QUERIES_SERVED_MAX);
    net_run_ms(net, 61000);
    assert_int_equal(ask(net, 0, &query, &id), RC_OK);
    net_destroy(net);
}

static void odd_queries_are_neither_served_nor_spread(void **state)
{
    static const struct wire_query sound = {
        .ltime = 50,
        .id = 1,
        .address = {(const uint8_t *)"\x0a\x00\x00\x01", 4},
        .port = 7946,
        .source_node = {(const uint8_t *)"n0", 2},
        .timeout_ns = 1000000000,
        .name = {(const uint8_t *)"odd", 3},
    };
    static const struct {
        const char *why;
        const char *filters;
        size_t size;
        size_t asked;
        size_t spread;
    } cases[] = {
        {"none", "\xc0", 1, 1, 1},
        {"an empty list", "\x90", 1, 1, 1},
        {"an empty filter", "\x91\xa0", 2, 0, 0},
        {"nil for a filter", "\x91\xc0", 2, 0, 0},
        {"an unknown type", "\x91\xa2\x07\x90", 4, 0, 0},
        {"a list that lies", "\x91\xa6\x00\xdd\xff\xff\xff\xff", 8, 0, 0},
        {"a map for names", "\x91\xa2\x00\x80", 4, 0, 0},
        {"an empty map: all match", "\x91\xa2\x01\x80", 4, 1, 1},
        {"names of others", "\x91\xa5\x00\x91\xa2n7", 7, 0, 1},
        {"our name", "\x91\xa5\x00\x91\xa2n1", 7, 1, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct heard heard;
        struct net *net = pool(9, 2, &heard);
        struct wire_query query = sound;
        struct gossip_counters counters;
        query.raw_filters =
            (struct rc_pack_bytes){(const uint8_t *)cases[i].filters, cases[i].size};
        inject_serf(net, 1, WIRE_SERF_QUERY, &wire_format_query, &query);
        gossip_counters(net->nodes[1].gossip, &counters);
        if (heard.asked[1] != cases[i].asked ||
            counters.queue_queries != cases[i].spread) {
            fail_msg("%s: asked %zu, spread %u", cases[i].why, heard.asked[1],
                     counters.queue_queries);
        }
        net_destroy(net);
    }
}

static void keys_cannot_be_asked_for_without_a_payload(void **state)
{
    struct heard heard;
    struct net *net = pool(10, 2, &heard);
    struct gossip_counters counters;
    struct wire_query query = {
        .ltime = 50,
        .address = {(const uint8_t *)"\x0a\x00\x00\x01", 4},
        .port = 7946,
        .source_node = rc_pack_text("n0"),
        .name = rc_pack_text("_serf_install-key"),
    };

    (void)state;
    inject_serf(net, 1, WIRE_SERF_QUERY, &wire_format_query, &query);
    gossip_counters(net->nodes[1].gossip, &counters);
    assert_int_equal(counters.queue_queries, 0); /* it would end some Go peers */
    assert_int_equal(heard.asked[1], 0);
    net_destroy(net);
}

static void the_default_timeout_grows_with_the_digits_of_the_pool(void **state)
{
    struct net *net = net_create(11);

    (void)state;
    net_pool(net, 1, "lan");
    assert_int_equal(gossip_query_timeout_ms(net->nodes[0].gossip), 200 * 16);
    net_destroy(net);
    net = net_create(11);
    net_pool(net, 12, "lan");
    assert_int_equal(gossip_query_timeout_ms(net->nodes[0].gossip), 200 * 16 * 2);
    net_destroy(net);
}

static void whoever_has_left_asks_and_tells_nothing(void **state)
{
    struct heard heard;
    struct net *net = pool(12, 2, &heard);
    const struct gossip_query query = {.name = "q"};
    uint32_t id;

    (void)state;
    gossip_leave(net->nodes[0].gossip, net->now_ns);
    net_drain(net, 0);
    assert_int_equal(ask(net, 0, &query, &id), RC_ECLOSED);
    assert_int_equal(
        gossip_user_event(net->nodes[0].gossip, net->now_ns, "e", NULL, 0, GOSSIP_EACH),
        RC_ECLOSED);
    net_destroy(net);
}

static void a_wish_to_coalesce_travels_with_the_event(void **state)
{
    struct heard heard;
    struct net *net = pool(13, 4, &heard);

    (void)state;
    assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "deploy",
                                       (const uint8_t *)"v1", 2, GOSSIP_COALESCE),
                     RC_OK);
    assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "deploy",
                                       (const uint8_t *)"v2", 2, GOSSIP_EACH),
                     RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 2000);
    assert_int_equal(sum(heard.events), 8);
    assert_int_equal(heard.coalesced, 4);
    net_destroy(net);
}

static void events_of_the_past_are_not_for_newcomers(void **state)
{
    struct heard heard;
    struct net *net = pool(14, 3, &heard);

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        uint8_t payload = (uint8_t)i;
        assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "old",
                                           &payload, 1, GOSSIP_EACH),
                         RC_OK);
    }
    net_drain(net, 0);
    net_run_ms(net, 5000);
    size_t late = net_add(net, NULL);
    net_join(net, late, 1);
    net_run_ms(net, 15000);
    assert_int_equal(heard.events[late], 0);

    /* But who was cut off hears of what it has missed, once. */
    net->nodes[late].cut = 7;
    net_run_ms(net, 20000);
    assert_int_equal(
        gossip_user_event(net->nodes[0].gossip, net->now_ns, "new", NULL, 0, GOSSIP_EACH),
        RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 5000);
    assert_int_equal(heard.events[late], 0);
    net->nodes[late].cut = 0;
    net_run_ms(net, 40000);
    assert_int_equal(heard.events[late], 1);
    net_destroy(net);
}

static void who_comes_back_with_its_clocks_hears_what_it_missed_and_no_more(void **state)
{
    struct heard heard;
    struct net *net = pool(15, 3, &heard);
    struct gossip_options options = {.incarnation = 5};

    (void)state;
    assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "known", NULL,
                                       0, GOSSIP_EACH),
                     RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 3000);
    gossip_clocks(net->nodes[2].gossip, options.clocks);
    net_kill(net, 2);
    assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "missed", NULL,
                                       0, GOSSIP_EACH),
                     RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 3000);
    heard.events[2] = 0;
    net_restart(net, 2, &options);
    net_join(net, 2, 0);
    net_run_ms(net, 20000);

    assert_int_equal(heard.events[2], 1);
    uint64_t clocks[GOSSIP_CLOCK_COUNT];
    gossip_clocks(net->nodes[2].gossip, clocks);
    assert_true(clocks[GOSSIP_CLOCK_STATUS] >= options.clocks[GOSSIP_CLOCK_STATUS]);
    assert_true(clocks[GOSSIP_CLOCK_EVENT] > options.clocks[GOSSIP_CLOCK_EVENT]);
    net_destroy(net);
}

static void queries_from_before_the_last_stop_are_not_served_again(void **state)
{
    struct heard heard;
    struct net *net = pool(16, 1, &heard);
    struct gossip_options options = {.clocks = {10, 20, 30}};
    struct wire_query query = {
        .ltime = 29,
        .address = {(const uint8_t *)"\x0a\x00\x00\x01", 4},
        .port = 7946,
        .source_node = rc_pack_text("n0"),
        .name = rc_pack_text("old"),
        .timeout_ns = 1000000000,
    };

    (void)state;
    net_kill(net, 0);
    net_restart(net, 0, &options);
    inject_serf(net, 0, WIRE_SERF_QUERY, &wire_format_query, &query);
    assert_int_equal(heard.asked[0], 0);
    query.ltime = 30;
    inject_serf(net, 0, WIRE_SERF_QUERY, &wire_format_query, &query);
    assert_int_equal(heard.asked[0], 1);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_is_asked_once_and_heard_once),
        cmocka_unit_test(a_ping_is_acked_and_not_shown),
        cmocka_unit_test(only_those_who_fit_all_filters_are_asked),
        cmocka_unit_test(a_straight_query_reaches_the_named_and_nobody_else),
        cmocka_unit_test(relays_bring_what_the_straight_way_loses),
        cmocka_unit_test(an_answer_is_taken_once_and_in_time),
        cmocka_unit_test(answers_nobody_waits_for_are_refused),
        cmocka_unit_test(what_cannot_be_asked_is_refused_at_the_door),
        cmocka_unit_test(open_queries_and_those_to_serve_are_bounded),
        cmocka_unit_test(odd_queries_are_neither_served_nor_spread),
        cmocka_unit_test(keys_cannot_be_asked_for_without_a_payload),
        cmocka_unit_test(the_default_timeout_grows_with_the_digits_of_the_pool),
        cmocka_unit_test(whoever_has_left_asks_and_tells_nothing),
        cmocka_unit_test(a_wish_to_coalesce_travels_with_the_event),
        cmocka_unit_test(events_of_the_past_are_not_for_newcomers),
        cmocka_unit_test(who_comes_back_with_its_clocks_hears_what_it_missed_and_no_more),
        cmocka_unit_test(queries_from_before_the_last_stop_are_not_served_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
