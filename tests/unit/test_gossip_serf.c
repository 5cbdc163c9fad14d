/* test_gossip_serf.c - Serf's layer seen from outside: intents, force-leave, prune, reaping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/wire.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

static void inject_intent(struct net *net, size_t to, enum wire_serf_type type,
                          const char *name, uint64_t ltime)
{
    const struct wire_intent intent = {.ltime = ltime, .node = rc_pack_text(name)};
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 7946};
    struct rc_buffer bytes = {0};

    wire_write_serf(type, type == WIRE_SERF_JOIN ? &wire_format_join : &wire_format_leave,
                    &intent, &bytes);
    gossip_packet(net->nodes[to].gossip, net->now_ns, &from, bytes.bytes, bytes.size);
    net_drain(net, to);
    rc_buffer_fini(&bytes);
}

static uint64_t own_ltime(const struct net *net, size_t i)
{
    return gossip_self(net->nodes[i].gossip)->status_ltime;
}

static uint32_t waiting_intents(const struct net *net, size_t i)
{
    struct gossip_counters counters;
    gossip_counters(net->nodes[i].gossip, &counters);
    return counters.queue_intents;
}

static void expect_alive_everywhere(const struct net *net)
{
    for (size_t pair = 0; pair < net->count * net->count; pair++) {
        size_t i = pair / net->count;
        size_t k = pair % net->count;
        int status = net_status(net, i, k);
        if (status != GOSSIP_ALIVE) {
            fail_msg("n%zu sees n%zu at status %d", i, k, status);
        }
    }
}

static void a_leave_of_us_at_our_own_time_gets_a_newer_join(void **state)
{
    struct net *net = net_create(1);

    (void)state;
    net_pool(net, 3, "fast");
    uint64_t before = own_ltime(net, 2);
    inject_intent(net, 2, WIRE_SERF_LEAVE, "n2", before);

    assert_true(own_ltime(net, 2) > before);
    net_run_ms(net, 2000);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(gossip_find(net->nodes[i].gossip, "n2")->status_ltime,
                         own_ltime(net, 2));
    }
    expect_alive_everywhere(net);
    net_destroy(net);
}

static void an_older_leave_of_us_has_our_join_said_again_but_once_at_a_time(void **state)
{
    struct net *net = net_create(2);

    (void)state;
    net_pool(net, 3, "fast");
    uint64_t before = own_ltime(net, 2);
    assert_int_equal(waiting_intents(net, 2), 0);
    for (size_t i = 0; i < 100; i++) {
        inject_intent(net, 2, WIRE_SERF_LEAVE, "n2", before - 1);
    }

    assert_int_equal(waiting_intents(net, 2), 1);
    assert_int_equal(own_ltime(net, 2), before);
    net_run_ms(net, 3000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(waiting_intents(net, i), 0); /* nothing goes round */
    }
    net_destroy(net);
}

static void joins_of_us_that_are_not_newer_are_no_news(void **state)
{
    struct net *net = net_create(3);

    (void)state;
    net_pool(net, 3, "fast");
    uint64_t before = own_ltime(net, 2);
    inject_intent(net, 2, WIRE_SERF_JOIN, "n2", before);
    inject_intent(net, 2, WIRE_SERF_JOIN, "n2", before - 1);

    assert_int_equal(waiting_intents(net, 2), 0);
    assert_int_equal(own_ltime(net, 2), before);
    inject_intent(net, 2, WIRE_SERF_JOIN, "n2", before + 7);
    assert_true(own_ltime(net, 2) > before + 7);
    net_destroy(net);
}

static void of_a_join_and_a_leave_at_one_time_the_join_wins(void **state)
{
    struct net *net = net_create(9);

    (void)state;
    net_pool(net, 3, "fast");
    net->nodes[2].cut = 3; /* it does not speak for itself */
    uint64_t time = gossip_find(net->nodes[0].gossip, "n2")->status_ltime + 5;
    inject_intent(net, 0, WIRE_SERF_LEAVE, "n2", time);
    assert_int_equal(net_status(net, 0, 2), GOSSIP_LEAVING);
    inject_intent(net, 0, WIRE_SERF_JOIN, "n2", time);
    assert_int_equal(net_status(net, 0, 2), GOSSIP_ALIVE);
    inject_intent(net, 0, WIRE_SERF_LEAVE, "n2", time);
    assert_int_equal(net_status(net, 0, 2), GOSSIP_ALIVE);
    net_destroy(net);
}

/* As soon as it is known, or never if it takes a second. */
static void force_leave_at_once(struct net *net, size_t of)
{
    char name[8];

    (void)snprintf(name, sizeof name, "n%zu", of);
    for (size_t i = 0; i < 1000; i++) {
        if (gossip_force_leave(net->nodes[0].gossip, net->now_ns, name, GOSSIP_KEEP) ==
            RC_OK) {
            net_drain(net, 0);
            return;
        }
        net_run_ms(net, 1);
    }
    fail_msg("%s is never known", name);
}

static void a_force_leave_that_crosses_our_join_does_not_stick(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct net *net = net_create(100 + seed);
        net_pool(net, seed % 2 == 0 ? 1 : 3, "fast"); /* alone it tells nobody else */
        size_t ours = net_add(net, NULL);
        net_join(net, ours, 0);
        force_leave_at_once(net, ours);
        net_run_ms(net, 4000);
        expect_alive_everywhere(net);
        net_destroy(net);
    }
}

static void even_if_all_that_we_say_of_it_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct net *net = net_create(200 + seed);
        net_pool(net, seed % 2 == 0 ? 1 : 3, "fast");
        size_t ours = net_add(net, NULL);
        net->nodes[ours].is_udp_cut = true;
        net_join(net, ours, 0);
        force_leave_at_once(net, ours);
        net_run_ms(net, 500);
        net->nodes[ours].is_udp_cut = false;
        net_run_ms(net, 25000); /* an exchange of states tells our time */
        expect_alive_everywhere(net);
        net_destroy(net);
    }
}

static void times_near_the_end_of_time_are_refused(void **state)
{
    struct net *net = net_create(4);
    uint64_t clocks[3];

    (void)state;
    net_pool(net, 2, "fast");
    inject_intent(net, 0, WIRE_SERF_LEAVE, "n0", UINT64_MAX - 1);
    inject_intent(net, 0, WIRE_SERF_JOIN, "n1", UINT64_MAX);
    gossip_clocks(net->nodes[0].gossip, clocks);

    assert_true(clocks[0] < 1000);
    net_destroy(net);
}

static void prune_of_the_leaving_waits_until_everybody_has_heard(void **state)
{
    struct net *net = net_create(5);

    (void)state;
    net_pool(net, 4, "fast");
    /* It leaves by itself while another declares it left for good. */
    gossip_leave(net->nodes[3].gossip, net->now_ns);
    net_drain(net, 3);
    net_run_ms(net, 50);
    assert_int_equal(
        gossip_force_leave(net->nodes[0].gossip, net->now_ns, "n3", GOSSIP_PRUNE), RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 1500);
    for (size_t i = 0; i < 3; i++) {
        assert_true(net_status(net, i, 3) == GOSSIP_LEFT ||
                    net_status(net, i, 3) == GOSSIP_LEAVING);
    }
    net_run_ms(net, 3000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(net_status(net, i, 3), -1);
        assert_int_not_equal(net_told_ms(net, i, 3, GOSSIP_EVENT_REAP, 0), 0);
    }
    net_destroy(net);
}

static void prune_of_the_living_is_taken_back_too(void **state)
{
    struct net *net = net_create(6);

    (void)state;
    net_pool(net, 4, "fast");
    assert_int_equal(
        gossip_force_leave(net->nodes[0].gossip, net->now_ns, "n3", GOSSIP_PRUNE), RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 10000);

    expect_alive_everywhere(net);
    net_destroy(net);
}

static void the_lost_are_forgotten_in_their_time_or_in_their_own(void **state)
{
    static const struct gossip_tag soon[] = {{"rc_tm", "1m30s"}};
    static const struct gossip_tag odd[] = {{"rc_tm", "soon"}};
    struct gossip_profile profile = *gossip_profile_find("fast");
    struct net *net = net_create(7);

    (void)state;
    profile.reconnect_timeout_ms = 10 * 60 * 1000;
    profile.tombstone_timeout_ms = 5 * 60 * 1000;
    const struct gossip_options options[] = {
        {.profile = &profile},
        {.profile = &profile},
        {.profile = &profile, .tags = soon, .tag_count = 1},
        {.profile = &profile, .tags = odd, .tag_count = 1},
        {.profile = &profile},
        {.profile = &profile},
    };
    for (size_t i = 0; i < 6; i++) {
        (void)net_add(net, &options[i]);
        net_join(net, i, 0);
    }
    net_run_ms(net, 3000);
    gossip_leave(net->nodes[5].gossip, net->now_ns);
    net_drain(net, 5);
    net_run_ms(net, 3000);
    for (size_t i = 2; i < 6; i++) {
        net_kill(net, i);
    }
    net_run_ms(net, 60000);
    assert_int_equal(net_status(net, 0, 2), GOSSIP_FAILED);
    net_run_ms(net, 60000);
    assert_int_equal(net_status(net, 0, 2), -1); /* after a minute and a half */
    assert_int_equal(net_status(net, 0, 5), GOSSIP_LEFT);
    net_run_ms(net, 200000);
    assert_int_equal(net_status(net, 0, 3), GOSSIP_FAILED);
    assert_int_equal(net_status(net, 0, 5), -1); /* after five */
    net_run_ms(net, 330000);
    assert_int_equal(net_status(net, 0, 3), -1); /* after ten */
    assert_int_equal(net_status(net, 0, 4), -1);
    net_destroy(net);
}

static void words_about_strangers_expire(void **state)
{
    struct net *net = net_create(8);

    (void)state;
    net_pool(net, 1, "fast");
    inject_intent(net, 0, WIRE_SERF_LEAVE, "n1", 50);
    net_run_ms(net, 360000); /* Serf's RecentIntentTimeout and a reap */
    size_t late = net_add(net, NULL);
    net->nodes[late].is_udp_cut = true; /* so that it says nothing against it */
    net_join(net, late, 0);
    net_run_ms(net, 100);
    assert_int_equal(net_status(net, 0, late), GOSSIP_ALIVE);
    net_destroy(net);

    net = net_create(8);
    net_pool(net, 1, "fast");
    inject_intent(net, 0, WIRE_SERF_LEAVE, "n1", 50);
    late = net_add(net, NULL);
    net->nodes[late].is_udp_cut = true;
    net_join(net, late, 0);
    net_run_ms(net, 1);
    net_run_ms(net, 100);
    assert_int_not_equal(net_told_ms(net, 0, late, GOSSIP_EVENT_JOIN, 0), 0);
    assert_int_equal(net_status(net, 0, late), GOSSIP_LEAVING);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leave_of_us_at_our_own_time_gets_a_newer_join),
        cmocka_unit_test(an_older_leave_of_us_has_our_join_said_again_but_once_at_a_time),
        cmocka_unit_test(joins_of_us_that_are_not_newer_are_no_news),
        cmocka_unit_test(of_a_join_and_a_leave_at_one_time_the_join_wins),
        cmocka_unit_test(a_force_leave_that_crosses_our_join_does_not_stick),
        cmocka_unit_test(even_if_all_that_we_say_of_it_is_lost),
        cmocka_unit_test(times_near_the_end_of_time_are_refused),
        cmocka_unit_test(prune_of_the_leaving_waits_until_everybody_has_heard),
        cmocka_unit_test(prune_of_the_living_is_taken_back_too),
        cmocka_unit_test(the_lost_are_forgotten_in_their_time_or_in_their_own),
        cmocka_unit_test(words_about_strangers_expire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
