/* test_gossip_lane.c - what rides on gossip: rumours, kicks, summaries and streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "tests/unit/gossip_net.h"

enum { NODES = 5, RUMOUR_SENDS = 8, BIG = 3 * 1024 * 1024 };

/* A stand-in for the catalog of one node: one number that only grows. */
struct rider {
    struct net *net;
    size_t node;
    uint8_t number;
    unsigned sends_left;
    bool is_told; /* in this packet */
    uint64_t learnt_ns;
    char heard_from[32];
    unsigned summaries; /* of others */
    size_t stream_bytes;
    uint8_t last_byte;
    uint32_t stream;
    unsigned closed;
};

static size_t fill(void *ctx, uint64_t now_ms, uint8_t *space, size_t size)
{
    struct rider *rider = ctx;

    (void)now_ms;
    if (rider->sends_left == 0 || size < 1 || rider->is_told) {
        rider->is_told = false; /* the next call begins a packet */
        return 0;
    }
    rider->is_told = true;
    rider->sends_left--;
    space[0] = rider->number;
    return 1;
}

static void learn(struct rider *rider, uint8_t number)
{
    if (number > rider->number) {
        rider->number = number;
        rider->sends_left = RUMOUR_SENDS;
        rider->learnt_ns = rider->net->now_ns;
        gossip_lane_kick(rider->net->nodes[rider->node].gossip, rider->net->now_ns);
    }
}

static void receive(void *ctx, uint64_t now_ms, const char *from, const uint8_t *bytes,
                    size_t size)
{
    struct rider *rider = ctx;

    (void)now_ms;
    assert_int_equal(size, 1);
    if (from != NULL) {
        (void)strncpy(rider->heard_from, from, sizeof rider->heard_from - 1);
    }
    learn(rider, bytes[0]);
}

static void summary(void *ctx, uint8_t out[GOSSIP_SUMMARY_SIZE])
{
    const struct rider *rider = ctx;
    memset(out, rider->number, GOSSIP_SUMMARY_SIZE);
}

static void peer_summary(void *ctx, uint64_t now_ms, const char *member,
                         const uint8_t in[GOSSIP_SUMMARY_SIZE])
{
    struct rider *rider = ctx;

    (void)now_ms;
    assert_non_null(gossip_find(rider->net->nodes[rider->node].gossip, member));
    assert_true(in[0] == in[GOSSIP_SUMMARY_SIZE - 1]);
    rider->summaries++;
}

static void stream_message(void *ctx, uint64_t now_ms, uint32_t stream,
                           const uint8_t *bytes, size_t size)
{
    struct rider *rider = ctx;

    (void)now_ms;
    rider->stream = stream;
    rider->stream_bytes += size;
    rider->last_byte = size > 0 ? bytes[size - 1] : 0;
}

static void stream_closed(void *ctx, uint64_t now_ms, uint32_t stream)
{
    struct rider *rider = ctx;

    (void)now_ms;
    (void)stream;
    rider->closed++;
}

static void counting_nonce(void *ctx, uint8_t *out, size_t size)
{
    uint64_t *counter = ctx;

    memset(out, 0, size);
    (*counter)++;
    memcpy(out, counter, sizeof *counter);
}

struct pool {
    struct net *net;
    struct rider riders[NODES];
    struct gossip_key key;
    uint64_t nonce;
};

enum crypt { PLAIN, ENCRYPTED };

static struct pool *start(uint64_t seed, enum crypt crypt)
{
    struct pool *pool = calloc(1, sizeof *pool);

    assert_non_null(pool);
    pool->net = net_create(seed);
    pool->key.size = 32;
    for (size_t i = 0; i < NODES; i++) {
        struct rider *rider = &pool->riders[i];
        const struct gossip_options options = {
            .lane = {.ctx = rider,
                     .fill = fill,
                     .receive = receive,
                     .summary = summary,
                     .peer_summary = peer_summary,
                     .stream_message = stream_message,
                     .stream_closed = stream_closed},
            .keys = &pool->key,
            .key_count = crypt == ENCRYPTED,
            .nonce = counting_nonce,
            .nonce_ctx = &pool->nonce,
        };
        rider->net = pool->net;
        rider->node = i;
        (void)net_add(pool->net, &options);
        if (i > 0) {
            net_join(pool->net, i, 0);
        }
    }
    net_run_ms(pool->net, 5000);
    return pool;
}

static void stop(struct pool *pool)
{
    net_destroy(pool->net);
    free(pool);
}

static struct gossip *core(const struct pool *pool, size_t i)
{
    return pool->net->nodes[i].gossip;
}

static void a_kicked_rumour_is_everywhere_in_milliseconds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct pool *pool = start(seed, PLAIN);
        uint64_t start_ns = pool->net->now_ns;

        learn(&pool->riders[seed % NODES], 7);
        net_run_ms(pool->net, 1000);

        for (size_t i = 0; i < NODES; i++) {
            assert_int_equal(pool->riders[i].number, 7);
            assert_true(pool->riders[i].learnt_ns - start_ns < 25000000);
        }
        stop(pool);
    }
}

static void the_sender_of_a_rumour_is_named(void **state)
{
    struct pool *pool = start(1, ENCRYPTED);

    (void)state;
    learn(&pool->riders[3], 9);
    net_run_ms(pool->net, 1000);

    assert_int_equal(pool->riders[0].number, 9);
    assert_int_equal(pool->riders[0].heard_from[0], 'n');
    stop(pool);
}

static void members_without_the_tag_get_no_rumour(void **state)
{
    static const struct gossip_tag tags[] = {{"role", "serf"}};
    struct pool *pool = start(2, PLAIN);
    struct rider stranger = {.net = pool->net, .node = NODES};
    const struct gossip_options options = {
        .tags = tags,
        .tag_count = 1,
        .lane = {.ctx = &stranger, .receive = receive},
    };

    (void)state;
    size_t i = net_add(pool->net, &options);
    net_join(pool->net, i, 0);
    net_run_ms(pool->net, 3000);
    learn(&pool->riders[0], 5);
    net_run_ms(pool->net, 3000);

    assert_int_equal(pool->riders[4].number, 5);
    assert_int_equal(stranger.number, 0);
    uint32_t stream;
    assert_int_equal(gossip_lane_open(core(pool, 0), pool->net->now_ns, "n5", &stream),
                     RC_ENOTFOUND);
    stop(pool);
}

static void summaries_travel_in_acks_and_exchanges(void **state)
{
    struct pool *pool = start(3, PLAIN);

    (void)state;
    net_run_ms(pool->net, 5000); /* a probe each 250 ms */

    for (size_t i = 0; i < NODES; i++) {
        assert_true(pool->riders[i].summaries >= 20);
    }
    stop(pool);
}

static void streams_carry_messages_both_ways(void **state)
{
    uint8_t *big = calloc(1, BIG);

    (void)state;
    assert_non_null(big);
    big[BIG - 1] = 42;
    for (int crypt = PLAIN; crypt <= ENCRYPTED; crypt++) {
        struct pool *pool = start(4, (enum crypt)crypt);
        uint32_t stream = 0;

        assert_int_equal(
            gossip_lane_open(core(pool, 1), pool->net->now_ns, "n2", &stream), RC_OK);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(
                gossip_lane_send(core(pool, 1), pool->net->now_ns, stream, big, BIG),
                RC_OK);
        }
        assert_int_equal(
            gossip_lane_send(core(pool, 1), pool->net->now_ns, stream, big, 0), RC_OK);
        gossip_tick(core(pool, 1), pool->net->now_ns);
        net_run_ms(pool->net, 500);
        assert_int_equal(pool->riders[2].stream_bytes, 2 * BIG);

        assert_int_equal(gossip_lane_send(core(pool, 2), pool->net->now_ns,
                                          pool->riders[2].stream, big, BIG),
                         RC_OK);
        net_run_ms(pool->net, 500);
        assert_int_equal(pool->riders[1].stream_bytes, BIG);
        assert_int_equal(pool->riders[1].last_byte, 42);

        gossip_lane_close(core(pool, 1), pool->net->now_ns, stream);
        net_run_ms(pool->net, 500);
        assert_int_equal(pool->riders[2].closed, 1);
        assert_int_equal(pool->riders[1].closed, 0);
        assert_int_equal(
            gossip_lane_send(core(pool, 1), pool->net->now_ns, stream, big, 1),
            RC_ENOTFOUND);
        stop(pool);
    }
    free(big);
}

static void a_stream_to_the_dead_ends_by_itself(void **state)
{
    struct pool *pool = start(5, PLAIN);
    uint32_t stream = 0;

    (void)state;
    net_kill(pool->net, 4);
    assert_int_equal(gossip_lane_open(core(pool, 0), pool->net->now_ns, "n4", &stream),
                     RC_OK);
    net_run_ms(pool->net, 61000);

    assert_int_equal(pool->riders[0].closed, 1);
    stop(pool);
}

/* ---- storms: a lane that never ends, and membership that never ends */

enum { FLOOD_RUMOUR = 100 };

static size_t flood(void *ctx, uint64_t now_ms, uint8_t *space, size_t size)
{
    (void)ctx;
    (void)now_ms;
    if (size < FLOOD_RUMOUR) {
        return 0;
    }
    memset(space, 1, FLOOD_RUMOUR);
    return FLOOD_RUMOUR;
}

static void hear_flood(void *ctx, uint64_t now_ms, const char *from, const uint8_t *bytes,
                       size_t size)
{
    struct rider *rider = ctx;

    (void)now_ms;
    (void)from;
    (void)bytes;
    rider->stream_bytes += size;
}

/* Two nodes whose lane has always more to say than fits. */
static struct pool *start_flood(void)
{
    struct pool *pool = calloc(1, sizeof *pool);

    assert_non_null(pool);
    pool->net = net_create(6);
    for (size_t i = 0; i < 2; i++) {
        const struct gossip_options options = {
            .lane = {.ctx = &pool->riders[i], .fill = flood, .receive = hear_flood}};
        (void)net_add(pool->net, &options);
    }
    net_join(pool->net, 1, 0);
    net_run_ms(pool->net, 5000);
    return pool;
}

static void kicks_are_paced_however_many_are_asked_for(void **state)
{
    struct pool *pool = start_flood();
    struct gossip_counters before;
    struct gossip_counters after;

    (void)state;
    gossip_counters(core(pool, 0), &before);
    for (unsigned i = 0; i < 10000; i++) { /* each ms for 10 s */
        gossip_lane_kick(core(pool, 0), pool->net->now_ns);
        net_run_ms(pool->net, 1);
    }
    gossip_counters(core(pool, 0), &after);
    /* One member to send to: 33 kicks, 13 ticks, 4 probes and 4 answers a second. */
    assert_in_range(after.packets_out - before.packets_out, 400, 600);
    stop(pool);
}

static void membership_does_not_starve_the_lane_nor_the_lane_membership(void **state)
{
    enum { EVENTS = 60, PAYLOAD = 400 };
    static const uint8_t payload[PAYLOAD] = {0};
    struct pool *pool = start_flood();
    struct gossip_counters counters;
    char name[16];

    (void)state;
    pool->riders[1].stream_bytes = 0;
    for (unsigned i = 0; i < EVENTS; i++) {
        (void)snprintf(name, sizeof name, "event-%u", i);
        assert_int_equal(gossip_user_event(core(pool, 0), pool->net->now_ns, name,
                                           payload, sizeof payload, GOSSIP_EACH),
                         RC_OK);
    }
    gossip_counters(core(pool, 0), &counters);
    assert_true(counters.queue_events >= EVENTS / 2);
    gossip_tick(core(pool, 0), pool->net->now_ns);
    net_run_ms(pool->net, 1000);

    /* In each packet a third is the lane's and the rest theirs, until they are all told. */
    gossip_counters(core(pool, 0), &counters);
    assert_true(pool->riders[1].stream_bytes >= (size_t)10 * 4 * FLOOD_RUMOUR);
    net_run_ms(pool->net, 30000);
    gossip_counters(core(pool, 0), &counters);
    assert_int_equal(counters.queue_events, 0);
    stop(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kicked_rumour_is_everywhere_in_milliseconds),
        cmocka_unit_test(the_sender_of_a_rumour_is_named),
        cmocka_unit_test(members_without_the_tag_get_no_rumour),
        cmocka_unit_test(summaries_travel_in_acks_and_exchanges),
        cmocka_unit_test(streams_carry_messages_both_ways),
        cmocka_unit_test(a_stream_to_the_dead_ends_by_itself),
        cmocka_unit_test(kicks_are_paced_however_many_are_asked_for),
        cmocka_unit_test(membership_does_not_starve_the_lane_nor_the_lane_membership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
