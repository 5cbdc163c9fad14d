/* test_pool_memory.c - a partition that outlasts what gossip remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "agent/pool_memory.h"
#include "tests/unit/gossip_net.h"

static struct gossip_profile forgetful(void)
{
    struct gossip_profile profile = *gossip_profile_find("fast");

    profile.reconnect_timeout_ms = 30000;
    return profile;
}

static struct net *pool_of_six(const struct gossip_profile *profile)
{
    const struct gossip_options options = {.profile = profile};
    struct net *net = net_create(1);

    for (size_t i = 0; i < 6; i++) {
        (void)net_add(net, &options);
        if (i > 0) {
            net_join(net, i, 0);
        }
    }
    net_run_ms(net, 5000);
    return net;
}

static void members_that_gossip_has_forgotten_are_missed_and_known(void **state)
{
    struct gossip_profile profile = forgetful();
    struct net *net = pool_of_six(&profile);
    struct pool_memory memory = {.count = 0};

    (void)state;
    assert_false(pool_memory_misses(&memory, net->nodes[0].gossip));
    net->nodes[0].cut = 0x3c; /* 2 to 5 */
    net->nodes[1].cut = 0x3c;
    net_run_ms(net, 120000);
    assert_int_equal(net_status(net, 0, 5), -1); /* reaped: gossip asks them no more */

    assert_true(pool_memory_misses(&memory, net->nodes[0].gossip));
    assert_int_equal(memory.count, 5);
    net->nodes[0].cut = 0;
    net->nodes[1].cut = 0;
    net_run_ms(net, 30000);
    assert_int_equal(net_status(net, 0, 5), -1); /* it does not heal by itself */
    (void)gossip_join(net->nodes[0].gossip, net->now_ns, memory.others, memory.count);
    net_run_ms(net, 30000);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(net_status(net, 0, i), GOSSIP_ALIVE);
        assert_int_equal(net_status(net, i, 0), GOSSIP_ALIVE);
    }
    assert_false(pool_memory_misses(&memory, net->nodes[0].gossip));
    net_destroy(net);
}

static void who_left_is_not_missed(void **state)
{
    struct gossip_profile profile = forgetful();
    struct net *net = pool_of_six(&profile);
    struct pool_memory memory = {.count = 0};

    (void)state;
    assert_false(pool_memory_misses(&memory, net->nodes[0].gossip));
    for (size_t i = 1; i < 5; i++) {
        gossip_leave(net->nodes[i].gossip, net->now_ns);
    }
    net_run_ms(net, 20000);
    assert_false(pool_memory_misses(&memory, net->nodes[0].gossip));
    assert_int_equal(memory.count, 1);
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_gossip_has_forgotten_are_missed_and_known),
        cmocka_unit_test(who_left_is_not_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
