/* test_gossip_conflict.c - two members of one name: the pool votes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/serf.h"
#include "agent/gossip/wire.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

struct lost {
    size_t count[NET_NODES_MAX];
    struct rc_address to; /* who has the name, by the last vote */
};

static void watch(struct net *net, size_t i, const struct gossip_action *action)
{
    struct lost *lost = net->watch_context;

    if (action->type == GOSSIP_NAME_LOST) {
        lost->count[i]++;
        lost->to = action->address;
        assert_ptr_equal(action->member, gossip_self(net->nodes[i].gossip));
    }
}

static struct net *pool(uint64_t seed, size_t count, struct lost *lost)
{
    struct net *net = net_create(seed);

    memset(lost, 0, sizeof *lost);
    net->watch = watch;
    net->watch_context = lost;
    net_pool(net, count, "fast");
    return net;
}

static size_t add_named(struct net *net, const char *name, size_t through)
{
    const struct gossip_options options = {.name = name};
    size_t i = net_add(net, &options);
    net_join(net, i, through);
    return i;
}

static void the_second_of_a_name_loses_it_and_falls_silent(void **state)
{
    struct lost lost;
    struct net *net = pool(1, 5, &lost);
    struct gossip_counters before;
    struct gossip_counters after;

    (void)state;
    size_t second = add_named(net, "n1", 0);
    net_run_ms(net, 30000);
    assert_int_equal(lost.count[second], 1);
    assert_int_equal(lost.count[1], 0);
    assert_true(rc_address_equals(&lost.to, &net->nodes[1].address));

    struct gossip *g = net->nodes[second].gossip;
    gossip_counters(g, &before);
    gossip_tick(g, net->now_ns);
    gossip_leave(g, net->now_ns);
    net_drain(net, second);
    net_run_ms(net, 10000);
    gossip_counters(g, &after);
    assert_int_equal(after.packets_out, before.packets_out);
    assert_int_equal(gossip_deadline(g), UINT64_MAX);
    for (size_t i = 0; i < 5; i++) {
        const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n1");
        assert_int_equal(member->status, GOSSIP_ALIVE);
        assert_true(rc_address_equals(&member->said->address, &net->nodes[1].address));
    }
    net_destroy(net);
}

static void the_first_of_a_name_is_not_disturbed(void **state)
{
    struct lost lost;
    struct net *net = pool(2, 5, &lost);

    (void)state;
    (void)add_named(net, "n1", 1); /* meets it face to face */
    net_run_ms(net, 60000);
    assert_int_equal(lost.count[1], 0);
    assert_int_equal(lost.count[5], 1);
    assert_int_equal(net_told_ms(net, 0, 1, GOSSIP_EVENT_FAILED, 0), 0);
    net_destroy(net);
}

static void a_crashed_node_at_a_new_address_keeps_its_name(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct lost lost;
        struct net *net = pool(30 + seed, 5, &lost);

        net_kill(net, 3);
        net_run_ms(net, seed * 500);
        size_t again = add_named(net, "n3", 0);
        net_run_ms(net, 90000);
        assert_int_equal(lost.count[again], 0);
        for (size_t i = 0; i < 3; i++) {
            const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n3");
            assert_int_equal(member->status, GOSSIP_ALIVE);
            assert_true(
                rc_address_equals(&member->said->address, &net->nodes[again].address));
        }
        net_destroy(net);
    }
}

static void two_alone_decide_nothing(void **state)
{
    struct lost lost;
    struct net *net = pool(4, 1, &lost);

    (void)state;
    (void)add_named(net, "n0", 0);
    net_run_ms(net, 60000);
    assert_int_equal(lost.count[0] + lost.count[1], 0);
    assert_true(net->nodes[0].conflicts + net->nodes[1].conflicts > 0);
    net_destroy(net);
}

static struct rc_buffer answer_of(const char *name, uint8_t last, uint8_t status)
{
    const uint8_t ip[4] = {10, 0, 0, last};
    const struct wire_conflict wire = {.name = rc_pack_text(name),
                                       .address = {ip, sizeof ip},
                                       .port = 7946,
                                       .status = status};
    struct rc_buffer out = {0};

    rc_buffer_byte(&out, WIRE_SERF_CONFLICT);
    wire_write(&wire_format_conflict, &wire, &out);
    return out;
}

static void only_answers_that_know_a_living_member_of_our_name_count(void **state)
{
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
    } odd[] = {
        {"nothing", "", 0},
        {"nil: it does not know the name", "\x06\xc0", 2},
        {"another type", "\x08\x80", 2},
        {"an empty map", "\x06\x80", 2},
        {"cut off", "\x06\x81\xa4Na", 5},
        {"a number for a name", "\x06\x81\xa4Name\x07", 8},
    };
    struct rc_buffer others[] = {
        answer_of("n0", 9, SERF_FAILED),
        answer_of("n0", 9, SERF_LEFT),
        answer_of("n7", 9, SERF_ALIVE),
    };
    struct lost lost;
    struct net *net = pool(5, 1, &lost);
    struct gossip *g = net->nodes[0].gossip;

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        conflict_on_answer(
            g, (struct rc_pack_bytes){(const uint8_t *)odd[i].bytes, odd[i].size});
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        conflict_on_answer(g, (struct rc_pack_bytes){others[i].bytes, others[i].size});
        rc_buffer_fini(&others[i]);
    }
    assert_int_equal(g->serf.conflict.answers, 0);
    conflict_decide(g);
    net_drain(net, 0);
    assert_int_equal(lost.count[0], 0);
    net_destroy(net);
}

static void more_than_half_must_know_us(void **state)
{
    static const struct {
        size_t ours;
        size_t others;
        size_t lost;
    } cases[] = {{1, 0, 0}, {0, 1, 1}, {1, 1, 1}, {2, 1, 0}, {2, 2, 1}, {3, 2, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct lost lost;
        struct net *net = pool(6, 1, &lost);
        struct gossip *g = net->nodes[0].gossip;
        for (size_t k = 0; k < cases[i].ours + cases[i].others; k++) {
            struct rc_buffer answer =
                answer_of("n0", k < cases[i].ours ? 1 : 9, SERF_ALIVE);
            conflict_on_answer(g, (struct rc_pack_bytes){answer.bytes, answer.size});
            rc_buffer_fini(&answer);
        }
        conflict_decide(g);
        net_drain(net, 0);
        if (lost.count[0] != cases[i].lost) {
            fail_msg("%zu of %zu for us", cases[i].ours, cases[i].others);
        }
        net_destroy(net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_second_of_a_name_loses_it_and_falls_silent),
        cmocka_unit_test(the_first_of_a_name_is_not_disturbed),
        cmocka_unit_test(a_crashed_node_at_a_new_address_keeps_its_name),
        cmocka_unit_test(two_alone_decide_nothing),
        cmocka_unit_test(only_answers_that_know_a_living_member_of_our_name_count),
        cmocka_unit_test(more_than_half_must_know_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
