/* test_gossip.c - the rules of membership, seen from outside: small pools on a virtual
 * network. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/wire.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

static void expect_status(const struct net *net, size_t i, size_t of, int want)
{
    int got = net_status(net, i, of);
    if (got != want) {
        fail_msg("n%zu sees n%zu as %s, not %s", i, of,
                 got < 0 ? "nobody" : gossip_status_name((enum gossip_status)got),
                 want < 0 ? "nobody" : gossip_status_name((enum gossip_status)want));
    }
}

static void expect_all_alive(const struct net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        for (size_t k = 0; k < net->count && net->nodes[i].gossip != NULL; k++) {
            if (net->nodes[k].gossip != NULL) {
                expect_status(net, i, k, GOSSIP_ALIVE);
            }
        }
    }
}

static void inject(struct net *net, size_t to, const struct wire_format *format,
                   uint8_t type, const void *message)
{
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 7946};
    struct rc_buffer bytes = {0};

    wire_write_typed(type, format, message, &bytes);
    gossip_packet(net->nodes[to].gossip, net->now_ns, &from, bytes.bytes, bytes.size);
    rc_buffer_fini(&bytes);
}

static uint64_t refused(const struct net *net, size_t i, enum gossip_refusal why)
{
    struct gossip_counters counters;
    gossip_counters(net->nodes[i].gossip, &counters);
    return counters.refused[why];
}

static void joining_one_member_is_enough_to_know_all(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(1);
    net_pool(net, 7, "fast");

    expect_all_alive(net);
    assert_int_equal(net->nodes[3].joins_done, 1);
    assert_int_equal(net->nodes[3].join_err, RC_OK);
    net_destroy(net);
}

/* Memberlist's few transmissions: the one who took the newcomer may be silent from then on. */
static void a_newcomer_is_known_though_the_one_who_took_it_dies_at_once(void **state)
{
    const struct gossip_options options = {.profile = gossip_profile_find("lan")};

    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct net *net = net_create(seed);
        net_pool(net, 4, "lan");
        size_t newcomer = net_add(net, &options);
        net_join(net, newcomer, 1);
        while (net->nodes[newcomer].joins_done == 0) {
            net_run_ms(net, 1);
        }
        net_kill(net, 1);
        net_run_ms(net, 2000);

        expect_status(net, 0, newcomer, GOSSIP_ALIVE);
        expect_status(net, 2, newcomer, GOSSIP_ALIVE);
        expect_status(net, 3, newcomer, GOSSIP_ALIVE);
        net_destroy(net);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Crashes one of five at a random moment; returns when the last of the others knew. */
static uint64_t crash_ms(uint64_t seed, uint32_t loss_ppm)
{
    struct net *net;
    uint64_t last = 0;

    net = net_create(seed);
    net_pool(net, 5, "fast");
    net->loss_ppm = loss_ppm;
    net_run_ms(net, 1000 + seed % 997);
    uint64_t at = net_now_ms(net);
    net_kill(net, 4);
    net_run_ms(net, 6000);
    for (size_t i = 0; i < 4; i++) {
        uint64_t told = net_told_ms(net, i, 4, GOSSIP_EVENT_FAILED, at);
        if (told == 0) {
            fail_msg("seed %u: n%zu has not noticed", (unsigned)seed, i);
        }
        last = told - at > last ? told - at : last;
    }
    net_destroy(net);
    return last;
}

static void the_fast_profile_finds_a_crash_within_three_seconds(void **state)
{
    enum { RUNS = 300 };
    static const uint32_t losses[] = {0, 100000};
    uint64_t times[RUNS];

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < RUNS; i++) {
            times[i] = crash_ms(1000 * k + i, losses[k]);
        }
        qsort(times, RUNS, sizeof times[0], by_value);
        print_message("# loss %u %%: last of five knows after median %u ms, p99 %u ms, "
                      "worst %u ms\n",
                      losses[k] / 10000, (unsigned)times[RUNS / 2],
                      (unsigned)times[RUNS * 99 / 100], (unsigned)times[RUNS - 1]);
        assert_true(times[RUNS / 2] <= 2000);
        assert_true(times[RUNS - 1] <= 3000);
    }
}

/* Nobody ever took one of the others for dead; `but` may be anybody's victim. */
static void expect_no_false_alarm(const struct net *net, uint64_t seed, size_t but)
{
    for (size_t pair = 0; pair < net->count * net->count; pair++) {
        size_t i = pair / net->count;
        size_t k = pair % net->count;
        if (k != but && net_told_ms(net, i, k, GOSSIP_EVENT_FAILED, 0) != 0) {
            fail_msg("seed %u: n%zu took n%zu for dead", (unsigned)seed, i, k);
        }
    }
}

static void the_fast_profile_loses_no_healthy_member_at_ten_percent_loss(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = net_create(seed);

        net_pool(net, 5, "fast");
        net->loss_ppm = 100000;
        net_run_ms(net, 180000);

        expect_no_false_alarm(net, seed, SIZE_MAX);
        net_destroy(net);
    }
}

static void lan_timers_find_a_crash_as_memberlist_does(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(3);
    net_pool(net, 5, "lan");
    uint64_t at = net_now_ms(net);
    net_kill(net, 4);
    net_run_ms(net, 30000);

    uint64_t told = net_told_ms(net, 0, 4, GOSSIP_EVENT_FAILED, at);
    assert_true(told - at >= 4000 && told - at <= 12000); /* memberlist: 5.8 s measured */
    net_destroy(net);
}

static void a_member_that_leaves_is_left_and_not_failed(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(4);
    net_pool(net, 5, "fast");
    gossip_leave(net->nodes[2].gossip, net->now_ns);
    net_run_ms(net, 3000);

    assert_true(net->nodes[2].has_left);
    for (size_t i = 0; i < 5; i++) {
        expect_status(net, i, 2, GOSSIP_LEFT);
        assert_int_equal(net_told_ms(net, i, 2, GOSSIP_EVENT_FAILED, 0), 0);
    }
    net_destroy(net);
}

static void a_member_alone_leaves_at_once(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(4);
    (void)net_add(net, NULL);
    gossip_leave(net->nodes[0].gossip, net->now_ns);
    net_run_ms(net, 50);

    assert_true(net->nodes[0].has_left);
    net_destroy(net);
}

static void an_accused_member_refutes_above_the_accusation(void **state)
{
    const struct wire_accusation suspect = {.incarnation = 1000,
                                            .node = {(const uint8_t *)"n0", 2},
                                            .from = {(const uint8_t *)"n1", 2}};
    struct net *net;

    (void)state;
    net = net_create(5);
    net_pool(net, 3, "fast");
    inject(net, 0, &wire_format_accusation, WIRE_SUSPECT, &suspect);
    net_run_ms(net, 1000);

    assert_int_equal(gossip_self(net->nodes[0].gossip)->incarnation, 1001);
    assert_int_equal(gossip_find(net->nodes[1].gossip, "n0")->incarnation, 1001);
    inject(net, 0, &wire_format_accusation, WIRE_DEAD,
           &(struct wire_accusation){
               .incarnation = 2000, .node = suspect.node, .from = suspect.node});
    net_run_ms(net, 1000);
    assert_int_equal(gossip_self(net->nodes[0].gossip)->incarnation, 2001);
    expect_all_alive(net);
    net_destroy(net);
}

static void a_restart_with_an_old_incarnation_is_taken_after_the_join(void **state)
{
    static const struct gossip_tag tags[] = {{"rc", "1:1"}, {"role", "new"}};
    const struct gossip_options again = {.tags = tags, .tag_count = 2};
    struct net *net;

    (void)state;
    net = net_create(6);
    net_pool(net, 4, "fast");
    for (int i = 0; i < 5; i++) { /* raise its incarnation */
        assert_int_equal(gossip_set_tags(net->nodes[3].gossip, net->now_ns, tags, 1),
                         RC_OK);
        net_run_ms(net, 500);
    }
    net_kill(net, 3);
    net_run_ms(net, 200); /* nobody has noticed yet */
    net_restart(net, 3, &again);
    net_join(net, 3, 0);
    net_run_ms(net, 3000);

    for (size_t i = 0; i < 4; i++) {
        const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n3");
        assert_string_equal(gossip_member_tag(member, "role"), "new");
        expect_status(net, i, 3, GOSSIP_ALIVE);
    }
    net_destroy(net);
}

static void a_crashed_name_may_move_after_the_reclaim_time(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(7);
    net_pool(net, 4, "fast");
    net_kill(net, 3);
    net_run_ms(net, 5000);
    const struct gossip_options moved = {.name = "n3"};
    size_t other = net_add(net, &moved); /* 10.0.0.5 */
    net_join(net, other, 0);
    net_run_ms(net, 5000);

    assert_true(net->nodes[other].conflicts > 0);
    expect_status(net, 0, other, GOSSIP_FAILED);
    net_run_ms(net, 45000);
    expect_status(net, 0, other, GOSSIP_ALIVE);
    assert_true(rc_address_equals(&gossip_find(net->nodes[1].gossip, "n3")->said->address,
                                  &net->nodes[other].address));
    net_destroy(net);
}

static void a_name_that_left_may_move_at_once(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(8);
    net_pool(net, 4, "fast");
    gossip_leave(net->nodes[3].gossip, net->now_ns);
    net_run_ms(net, 2000);
    net_kill(net, 3);
    const struct gossip_options moved = {.name = "n3", .incarnation = 9};
    size_t other = net_add(net, &moved);
    net_join(net, other, 0);
    net_run_ms(net, 2000);

    expect_status(net, 0, other, GOSSIP_ALIVE);
    expect_status(net, 2, other, GOSSIP_ALIVE);
    assert_int_equal(net->nodes[other].conflicts, 0);
    net_destroy(net);
}

static void a_living_name_stays_where_it_is(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(9);
    net_pool(net, 3, "fast");
    const struct gossip_options thief = {.name = "n2"};
    size_t other = net_add(net, &thief);
    net_join(net, other, 0);
    net_run_ms(net, 5000);

    assert_true(net->nodes[other].conflicts > 0);
    assert_true(rc_address_equals(&gossip_find(net->nodes[0].gossip, "n2")->said->address,
                                  &net->nodes[2].address));
    net_destroy(net);
}

static void a_force_leave_of_the_living_is_taken_back(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(10);
    net_pool(net, 4, "fast");
    assert_int_equal(
        gossip_force_leave(net->nodes[0].gossip, net->now_ns, "n2", GOSSIP_KEEP), RC_OK);
    net_run_ms(net, 2000);

    expect_all_alive(net);
    net_destroy(net);
}

static void a_force_leave_of_the_failed_makes_it_left_and_prune_erases_it(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(11);
    net_pool(net, 5, "fast");
    net_kill(net, 3);
    net_kill(net, 4);
    net_run_ms(net, 6000);
    struct gossip *g = net->nodes[0].gossip;
    assert_int_equal(gossip_force_leave(g, net->now_ns, "n3", GOSSIP_KEEP), RC_OK);
    assert_int_equal(gossip_force_leave(g, net->now_ns, "n4", GOSSIP_PRUNE), RC_OK);
    assert_int_equal(gossip_force_leave(g, net->now_ns, "nobody", GOSSIP_KEEP),
                     RC_ENOTFOUND);
    net_run_ms(net, 2000);

    for (size_t i = 0; i < 3; i++) {
        expect_status(net, i, 3, GOSSIP_LEFT);
        expect_status(net, i, 4, -1);
    }
    net_destroy(net);
}

static void a_node_without_udp_stays_and_is_told_of_once(void **state)
{
    struct net *net = net_create(21);

    (void)state;
    net_pool(net, 4, "fast");
    net->nodes[3].is_udp_cut = true;
    net_run_ms(net, 30000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(net_status(net, i, 3), GOSSIP_ALIVE);
        assert_int_equal(net->nodes[i].tcp_only_told, 1);
        assert_int_equal(net_told_ms(net, i, 3, GOSSIP_EVENT_FAILED, 0), 0);
    }
    assert_int_equal(net->nodes[3].tcp_only_told, 3); /* one for each of the others */

    net->nodes[3].is_udp_cut = false;
    net_run_ms(net, 10000);
    net->nodes[3].is_udp_cut = true;
    net_run_ms(net, 10000);
    assert_int_equal(net->nodes[0].tcp_only_told, 1); /* it was told within the hour */
    net->nodes[3].is_udp_cut = false;
    net_run_ms(net, UINT64_C(3600) * 1000);
    net->nodes[3].is_udp_cut = true;
    net_run_ms(net, 10000);
    assert_int_equal(net->nodes[0].tcp_only_told, 2);
    net_destroy(net);
}

static void a_pool_cut_in_two_heals_by_itself(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(12);
    net_pool(net, 6, "fast");
    for (size_t i = 0; i < 3; i++) {
        net->nodes[i].cut = 0x38; /* from 3, 4 and 5 */
    }
    net_run_ms(net, 120000); /* longer than SWIM remembers the dead */
    expect_status(net, 0, 5, GOSSIP_FAILED);
    expect_status(net, 5, 0, GOSSIP_FAILED);
    expect_status(net, 0, 1, GOSSIP_ALIVE);
    for (size_t i = 0; i < 3; i++) {
        net->nodes[i].cut = 0;
    }
    net_run_ms(net, 60000);

    expect_all_alive(net);
    net_destroy(net);
}

static void a_member_that_slept_accuses_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = net_create(seed);

        net_pool(net, 5, "fast");
        net->nodes[2].paused_until_ns =
            net->now_ns + (uint64_t)(3000 + 500 * seed) * 1000000;
        net_run_ms(net, 30000);

        expect_no_false_alarm(net, seed,
                              2); /* the sleeper itself is rightly found dead */
        expect_all_alive(net);
        net_destroy(net);
    }
}

/* Three of five stop at once: the last two still agree on who is gone, and soon. */
static void two_survivors_of_five_find_out_that_they_are_alone(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct net *net = net_create(seed);

        net_pool(net, 5, "fast");
        for (size_t i = 2; i < 5; i++) {
            net_kill(net, i);
        }
        net_run_ms(net, 8000);

        for (size_t i = 0; i < 10; i++) {
            expect_status(net, i % 2, i / 2, i / 2 < 2 ? GOSSIP_ALIVE : GOSSIP_FAILED);
        }
        net_destroy(net);
    }
}

static void tags_reach_everybody(void **state)
{
    static const struct gossip_tag tags[] = {{"rc", "1:1"}, {"role", "web"}};
    static const struct gossip_tag twice[] = {{"a", "1"}, {"a", "2"}};
    struct net *net;

    (void)state;
    net = net_create(13);
    net_pool(net, 4, "fast");
    assert_int_equal(gossip_set_tags(net->nodes[1].gossip, net->now_ns, tags, 2), RC_OK);
    assert_int_equal(gossip_set_tags(net->nodes[1].gossip, net->now_ns, twice, 2),
                     RC_EINVAL);
    net_run_ms(net, 1000);

    for (size_t i = 0; i < 4; i++) {
        const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n1");
        assert_string_equal(gossip_member_tag(member, "role"), "web");
    }
    net_destroy(net);
}

static void a_user_event_is_delivered_once_everywhere(void **state)
{
    struct net *net;

    (void)state;
    net = net_create(14);
    net_pool(net, 6, "fast");
    assert_int_equal(gossip_user_event(net->nodes[0].gossip, net->now_ns, "deploy",
                                       (const uint8_t *)"v1", 2, GOSSIP_EACH),
                     RC_OK);
    net_run_ms(net, 20000); /* push/pulls repeat it */

    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(net->nodes[i].user_events, 1);
    }
    net_destroy(net);
}

static void fixed_nonce(void *ctx, uint8_t *out, size_t size)
{
    uint64_t *counter = ctx;

    memset(out, 0, size);
    (*counter)++;
    memcpy(out, counter, sizeof *counter);
}

static void with_a_key_only_the_key_gets_in(void **state)
{
    uint64_t counter = 0;
    struct gossip_key key = {.size = 32, .bytes = {1, 2, 3}};
    struct gossip_key other = {.size = 16, .bytes = {9}};
    struct gossip_options keyed = {
        .keys = &key, .key_count = 1, .nonce = fixed_nonce, .nonce_ctx = &counter};
    struct gossip_options foreign = keyed;
    struct net *net;

    (void)state;
    foreign.keys = &other;
    net = net_create(15);
    (void)net_add(net, &keyed);
    (void)net_add(net, &keyed);
    (void)net_add(net, NULL);
    (void)net_add(net, &foreign);
    for (size_t i = 1; i < 4; i++) {
        net_join(net, i, 0);
    }
    net_join(net, 0, 2);
    net_run_ms(net, 5000);

    assert_int_equal(net->nodes[1].join_err, RC_OK);
    assert_int_equal(net->nodes[2].join_err, RC_EDENIED);
    assert_int_equal(net->nodes[3].join_err, RC_EDENIED);
    assert_int_equal(net->nodes[0].join_err, RC_EUNSUPPORTED);
    expect_status(net, 0, 1, GOSSIP_ALIVE);
    expect_status(net, 0, 2, -1);
    expect_status(net, 0, 3, -1);
    assert_true(refused(net, 0, GOSSIP_REFUSED_KEY) > 0);
    assert_true(refused(net, 0, GOSSIP_REFUSED_PLAIN) > 0);
    net_destroy(net);
}

static void labels_keep_pools_apart(void **state)
{
    const struct gossip_options red = {.label = "red"};
    struct net *net;

    (void)state;
    net = net_create(16);
    (void)net_add(net, &red);
    (void)net_add(net, &red);
    (void)net_add(net, NULL);
    net_join(net, 1, 0);
    net_join(net, 2, 0);
    net_run_ms(net, 5000);

    expect_status(net, 0, 1, GOSSIP_ALIVE);
    expect_status(net, 0, 2, -1);
    assert_int_not_equal(net->nodes[2].join_err, RC_OK);
    net_destroy(net);
}

static void odd_members_are_refused_at_the_door(void **state)
{
    static const struct {
        const char *why;
        enum gossip_refusal refusal;
        struct wire_versions versions;
        uint8_t ip_size;
        const char *name;
    } cases[] = {
        {"protocol min 0", GOSSIP_REFUSED_VERSION, {{0, 5, 2, 2, 5, 5}, 6}, 4, "x"},
        {"versions we do not speak",
         GOSSIP_REFUSED_VERSION,
         {{6, 9, 6, 2, 5, 5}, 6},
         4,
         "x"},
        {"no address", GOSSIP_REFUSED_ADDRESS, {{1, 5, 2, 2, 5, 5}, 6}, 0, "x"},
        {"half an address", GOSSIP_REFUSED_ADDRESS, {{1, 5, 2, 2, 5, 5}, 6}, 3, "x"},
        {"no name", GOSSIP_REFUSED_NAME, {{1, 5, 2, 2, 5, 5}, 6}, 4, ""},
    };
    static const uint8_t ip[4] = {10, 1, 1, 1};
    struct net *net;

    (void)state;
    net = net_create(17);
    (void)net_add(net, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct wire_alive alive = {
            .incarnation = 1,
            .node = rc_pack_text(cases[i].name),
            .address = {ip, cases[i].ip_size},
            .port = 7946,
            .meta = {(const uint8_t *)"\xff\x80", 2},
            .versions = cases[i].versions,
        };
        uint64_t before = refused(net, 0, cases[i].refusal);
        inject(net, 0, &wire_format_alive, WIRE_ALIVE, &alive);
        if (refused(net, 0, cases[i].refusal) != before + 1) {
            fail_msg("%s: not refused", cases[i].why);
        }
    }
    size_t position = 0;
    assert_string_equal(gossip_next_member(net->nodes[0].gossip, &position)->said->name,
                        "n0");
    assert_null(gossip_next_member(net->nodes[0].gossip, &position));
    net_destroy(net);
}

/* A compressed packet can hold a name of 60 KB; it must not come out of us again. */
static void what_others_make_too_large_is_not_sent_on(void **state)
{
    static uint8_t name[60000];
    static const uint8_t ip[4] = {10, 0, 0, 9};
    const struct wire_indirect_ping ping = {.seq = 1,
                                            .target = {ip, 4},
                                            .port = 7946,
                                            .node = {name, sizeof name},
                                            .nack = true};
    struct net *net = net_create(30);

    (void)state;
    memset(name, 'x', sizeof name);
    (void)net_add(net, NULL);
    inject(net, 0, &wire_format_indirect_ping, WIRE_INDIRECT_PING, &ping);
    net_run_ms(net, 1000);

    assert_int_equal(refused(net, 0, GOSSIP_REFUSED_NAME), 1);
    net_destroy(net);
}

static void an_intent_of_a_name_that_nobody_can_bear_is_refused(void **state)
{
    static const uint8_t name[] = {'n', '\0', '7'};
    const struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 7946};
    const struct wire_intent intent = {.ltime = 9, .node = {name, sizeof name}};
    struct rc_buffer bytes = {0};
    struct net *net;

    (void)state;
    net = net_create(1);
    net_pool(net, 2, "fast");
    wire_write_serf(WIRE_SERF_JOIN, &wire_format_join, &intent, &bytes);
    gossip_packet(net->nodes[0].gossip, net->now_ns, &from, bytes.bytes, bytes.size);
    net_run_ms(net,
               UINT64_C(6) * 60 * 1000); /* until intents of strangers are forgotten */

    assert_int_equal(refused(net, 0, GOSSIP_REFUSED_NAME), 1);
    rc_buffer_fini(&bytes);
    net_destroy(net);
}

static void queues_and_tables_stay_bounded(void **state)
{
    static const uint8_t ip[4] = {10, 1, 1, 1};
    struct gossip_counters counters;
    struct net *net;
    char name[32];

    (void)state;
    net = net_create(18);
    (void)net_add(net, NULL);
    for (unsigned i = 0; i < 22000; i++) {
        (void)snprintf(name, sizeof name, "m%u", i);
        const struct wire_alive alive = {
            .incarnation = 1,
            .node = rc_pack_text(name),
            .address = {ip, 4},
            .port = (uint16_t)(i + 1),
            .meta = {(const uint8_t *)"\xff\x80", 2},
            .versions = {{1, 5, 2, 2, 5, 5}, 6},
        };
        struct gossip_action ignored;
        inject(net, 0, &wire_format_alive, WIRE_ALIVE, &alive);
        while (gossip_next_action(net->nodes[0].gossip, &ignored)) {
            /* nobody is there to hear it */
        }
    }
    gossip_counters(net->nodes[0].gossip, &counters);

    assert_true(counters.queue_membership <= 4096);
    assert_true(gossip_member_count(net->nodes[0].gossip) <= 20000);
    assert_true(counters.refused[GOSSIP_REFUSED_TOO_MANY] > 0);
    net_destroy(net);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    struct gossip_counters counters[2];

    (void)state;
    for (size_t run = 0; run < 2; run++) {
        struct net *net;
        net = net_create(19);
        net_pool(net, 5, "fast");
        net->loss_ppm = 200000;
        net_run_ms(net, 20000);
        gossip_counters(net->nodes[1].gossip, &counters[run]);
        net_destroy(net);
    }

    assert_memory_equal(&counters[0], &counters[1], sizeof counters[0]);
}

static void bad_options_are_refused(void **state)
{
    struct gossip_options good = {.name = "a.b-c",
                                  .address = {RC_ADDRESS_IPV4, {10, 0, 0, 1}, 7946}};
    struct gossip_key key = {.size = 17};
    struct gossip *g = NULL;

    (void)state;
    assert_int_equal(gossip_create(&good, 0, &g), RC_OK);
    gossip_destroy(g);
    struct gossip_options bad = good;
    bad.name = "under_score";
    assert_int_equal(gossip_create(&bad, 0, &g), RC_EINVAL);
    bad = good;
    bad.address.port = 0;
    assert_int_equal(gossip_create(&bad, 0, &g), RC_EINVAL);
    bad = good;
    bad.keys = &key;
    bad.key_count = 1;
    bad.nonce = fixed_nonce;
    assert_int_equal(gossip_create(&bad, 0, &g), RC_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_one_member_is_enough_to_know_all),
        cmocka_unit_test(a_newcomer_is_known_though_the_one_who_took_it_dies_at_once),
        cmocka_unit_test(the_fast_profile_finds_a_crash_within_three_seconds),
        cmocka_unit_test(the_fast_profile_loses_no_healthy_member_at_ten_percent_loss),
        cmocka_unit_test(lan_timers_find_a_crash_as_memberlist_does),
        cmocka_unit_test(a_member_that_leaves_is_left_and_not_failed),
        cmocka_unit_test(a_member_alone_leaves_at_once),
        cmocka_unit_test(an_accused_member_refutes_above_the_accusation),
        cmocka_unit_test(a_restart_with_an_old_incarnation_is_taken_after_the_join),
        cmocka_unit_test(a_crashed_name_may_move_after_the_reclaim_time),
        cmocka_unit_test(a_name_that_left_may_move_at_once),
        cmocka_unit_test(a_living_name_stays_where_it_is),
        cmocka_unit_test(a_force_leave_of_the_living_is_taken_back),
        cmocka_unit_test(a_force_leave_of_the_failed_makes_it_left_and_prune_erases_it),
        cmocka_unit_test(a_node_without_udp_stays_and_is_told_of_once),
        cmocka_unit_test(a_pool_cut_in_two_heals_by_itself),
        cmocka_unit_test(a_member_that_slept_accuses_nobody),
        cmocka_unit_test(two_survivors_of_five_find_out_that_they_are_alone),
        cmocka_unit_test(tags_reach_everybody),
        cmocka_unit_test(a_user_event_is_delivered_once_everywhere),
        cmocka_unit_test(with_a_key_only_the_key_gets_in),
        cmocka_unit_test(labels_keep_pools_apart),
        cmocka_unit_test(odd_members_are_refused_at_the_door),
        cmocka_unit_test(what_others_make_too_large_is_not_sent_on),
        cmocka_unit_test(an_intent_of_a_name_that_nobody_can_bear_is_refused),
        cmocka_unit_test(queues_and_tables_stay_bounded),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(bad_options_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
