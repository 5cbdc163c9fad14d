/* test_key_orders.c - orders about keys on a small pool: whom they reach, whom they would lose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/key_orders.h"
#include "base/err.h"
#include "base/text.h"
#include "tests/unit/gossip_net.h"

enum { NODES = 4, LONG_MS = 20000 };

static const struct gossip_key old = {.size = 32, .bytes = {1}};
static const struct gossip_key fresh = {.size = 32, .bytes = {2}};

/* A pool of "n0" to "n3"; orders are given at n0. */
struct world {
    struct net *net;
    struct key_orders *orders;
    struct gossip_options options;
    uint64_t nonce;
    size_t answers;
    uint64_t ticket;
    enum key_outcome outcome;
    char text[2048];
};

static void nonce_of(void *ctx, uint8_t *out, size_t size)
{
    uint64_t *counter = ctx;

    (*counter)++;
    memset(out, 0, size);
    memcpy(out, counter, sizeof *counter < size ? sizeof *counter : size);
}

static void on_answer(void *context, uint64_t ticket, enum key_outcome outcome,
                      const char *text)
{
    struct world *world = context;

    world->answers++;
    world->ticket = ticket;
    world->outcome = outcome;
    (void)snprintf(world->text, sizeof world->text, "%s", text);
}

static void watch(struct net *net, size_t node, const struct gossip_action *action)
{
    const struct world *world = net->watch_context;

    if (node == 0 && world->orders != NULL &&
        (action->type == GOSSIP_QUERY_RESPONSE || action->type == GOSSIP_QUERY_DONE)) {
        (void)key_orders_on_action(world->orders, net->now_ns, action);
    }
}

static void build(struct world *world, const struct gossip_key *key)
{
    memset(world, 0, sizeof *world);
    world->options = (struct gossip_options){.keys = key,
                                             .key_count = key != NULL ? 1 : 0,
                                             .nonce = nonce_of,
                                             .nonce_ctx = &world->nonce};
    world->net = net_create(5);
    world->net->watch = watch;
    world->net->watch_context = world;
    for (size_t i = 0; i < NODES; i++) {
        (void)net_add(world->net, &world->options);
        if (i > 0) {
            net_join(world->net, i, 0);
        }
    }
    net_run_ms(world->net, 5000);
    const struct key_orders_options options = {.gossip = world->net->nodes[0].gossip,
                                               .datacenter = "dc1",
                                               .context = world,
                                               .answer = on_answer};
    assert_int_equal(key_orders_create(&options, &world->orders), RC_OK);
}

static void destroy(struct world *world)
{
    key_orders_destroy(world->orders);
    net_destroy(world->net);
}

static void give(struct world *world, enum keyring_order what,
                 const struct gossip_key *key, enum key_care care)
{
    struct key_order order = {.request = {.order = what}, .care = care, .ticket = 7};

    if (key != NULL) {
        order.request.key = *key;
    }
    world->answers = 0;
    world->ticket = 0;
    key_orders_give(world->orders, world->net->now_ns, &order);
    net_drain(world->net, 0);
}

/* Gives an order and waits for its answer. */
static void expect(struct world *world, enum keyring_order what,
                   const struct gossip_key *key, enum key_care care,
                   enum key_outcome want)
{
    give(world, what, key, care);
    for (uint64_t ms = 0; ms < LONG_MS && world->answers == 0; ms += 100) {
        net_run_ms(world->net, 100);
    }
    assert_int_equal(world->answers, 1);
    assert_int_equal(world->ticket, 7);
    if (world->outcome != want) {
        fail_msg("order %d came to %d, not %d: %s", (int)what, (int)world->outcome,
                 (int)want, world->text);
    }
}

static void expect_text(const struct world *world, const char *want)
{
    if (strstr(world->text, want) == NULL) {
        fail_msg("no '%s' in: %s", want, world->text);
    }
}

static void a_key_is_changed_while_the_pool_runs(void **state)
{
    struct world world;
    struct gossip_encryption how;

    (void)state;
    build(&world, &old);
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    assert_string_equal(world.text, "");
    expect(&world, KEYRING_LIST, NULL, KEY_CAREFUL, KEY_DONE);
    assert_string_equal(
        world.text,
        "[{\"WAN\":false,\"Datacenter\":\"dc1\",\"Segment\":\"\",\"Keys\":{"
        "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\":4,"
        "\"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\":4},\"PrimaryKeys\":{"
        "\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\":4},\"NumNodes\":4}]");
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_DONE);
    net_run_ms(world.net, 60000);

    for (size_t i = 0; i < NODES; i++) {
        gossip_encryption(world.net->nodes[i].gossip, &how);
        assert_int_equal(how.key_count, 1);
        for (size_t k = 0; k < NODES; k++) {
            assert_int_equal(net_status(world.net, i, k), GOSSIP_ALIVE);
        }
        assert_int_equal(world.net->nodes[i].seen_count, NODES); /* all joins */
    }
    destroy(&world);
}

static void a_member_that_is_away_holds_the_rotation_up(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    net_kill(world.net, 3);
    net_run_ms(world.net, 10000);
    assert_int_equal(net_status(world.net, 0, 3), GOSSIP_FAILED);

    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    expect_text(&world, "n3: has failed and does not know of it");
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_REFUSED);
    expect_text(&world, "n3 has failed");

    net_run_ms(world.net, 120000);             /* the order is no rumour any more */
    net_restart(world.net, 3, &world.options); /* with the old key only */
    net_join(world.net, 3, 0);
    net_run_ms(world.net, 5000);
    assert_int_equal(net_status(world.net, 0, 3), GOSSIP_ALIVE);
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_REFUSED);
    expect_text(&world, "n3 lacks the key");
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_DONE);
    destroy(&world);
}

static void who_missed_the_change_of_the_first_key_keeps_the_old_one_alive(void **state)
{
    const struct gossip_key both[] = {old, fresh};
    struct gossip_options kept;
    struct world world;

    (void)state;
    build(&world, &old);
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    net_kill(world.net, 3);
    net_run_ms(world.net, 10000);
    expect(&world, KEYRING_USE, &fresh, KEY_FORCED, KEY_DONE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_REFUSED);
    expect_text(&world, "n3 has failed");

    net_run_ms(world.net, 120000); /* the order is no rumour any more */
    kept = world.options;          /* it had kept what was installed */
    kept.keys = both;
    kept.key_count = 2;
    net_restart(world.net, 3, &kept);
    net_join(world.net, 3, 0);
    net_run_ms(world.net, 5000);
    assert_int_equal(net_status(world.net, 3, 0), GOSSIP_ALIVE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_REFUSED);
    expect_text(&world, "n3 still encrypts with another key");
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_DONE);
    destroy(&world);
}

static void who_was_let_go_holds_nothing_up(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    net_kill(world.net, 3);
    net_run_ms(world.net, 10000);
    assert_int_equal(gossip_force_leave(world.net->nodes[0].gossip, world.net->now_ns,
                                        "n3", GOSSIP_KEEP),
                     RC_OK);
    net_drain(world.net, 0);
    net_run_ms(world.net, 2000);
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_USE, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_DONE);
    destroy(&world);
}

/* The keyring file was older than the pool, but the key of the pool was in it, or configured. */
static void a_key_of_ours_that_the_pool_uses_is_gone_over_to(void **state)
{
    const struct gossip_key stale[] = {old, fresh};
    struct gossip_options options;
    struct gossip_counters counters;
    struct world world;

    (void)state;
    build(&world, &fresh);
    net_kill(world.net, 3);
    options = world.options;
    options.keys = stale;
    options.key_count = 2;
    net_restart(world.net, 3, &options);
    net_join(world.net, 3, 0);
    net_run_ms(world.net, 8000);

    assert_int_equal(world.net->nodes[3].join_err, RC_OK);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(net_status(world.net, i, 3), GOSSIP_ALIVE);
    }
    gossip_counters(world.net->nodes[3].gossip, &counters);
    assert_int_equal(counters.keys_changed, 1);
    destroy(&world);
}

static void first_key_is(const struct world *world, size_t i,
                         const struct gossip_key *key)
{
    struct keyring_round *round = NULL;
    char text[KEYRING_TEXT_MAX];

    rc_text_to_base64(key->bytes, key->size, text);
    assert_int_equal(keyring_round_local(world->net->nodes[i].gossip, &round), RC_OK);
    assert_int_equal(round->keys[0].primaries, 1);
    assert_string_equal(round->keys[0].text, text);
    keyring_round_destroy(round);
}

static void who_missed_the_new_key_does_not_drag_the_others_back(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    net_kill(world.net, 3);
    net_run_ms(world.net, 120000);
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_DONE);
    expect(&world, KEYRING_USE, &fresh, KEY_FORCED, KEY_DONE);
    net_run_ms(world.net, 120000);
    net_restart(world.net, 3,
                &world.options); /* with the old key only, which all still have */
    for (size_t i = 0; i < 3; i++) {
        net_join(world.net, i, 3);
        net_join(world.net, 3, i);
    }
    net_run_ms(world.net, 60000);

    for (size_t i = 0; i < 3; i++) {
        first_key_is(&world, i, &fresh);
    }
    assert_int_equal(world.net->nodes[3].join_err, RC_EDENIED);
    destroy(&world);
}

static void cut_somebody_off(struct net *net)
{
    size_t away = rc_random_below(&net->random, (uint64_t)2 * NODES);

    if (away > 0 && away < NODES) {
        net->nodes[away].cut = 0xff;
    }
    net_run_ms(net,
               rc_random_below(&net->random, 8000)); /* until it has failed, or not */
}

static void let_all_meet(struct net *net)
{
    for (size_t i = 0; i < NODES; i++) {
        net->nodes[i].cut = 0;
        if (i > 0) {
            net_join(net, i, 0); /* as the agent's joiner does */
        }
    }
    net_run_ms(net, 20000);
}

/* Packets get lost, nodes are cut off for a while; what is refused begins anew, what failed is
 * repeated: as an operator does it. */
static void rotate_in_a_storm(uint64_t seed, enum key_care care)
{
    static const enum keyring_order steps[] = {KEYRING_INSTALL, KEYRING_USE,
                                               KEYRING_REMOVE};
    struct world world;
    size_t step = 0;

    build(&world, &old);
    rc_random_init(&world.net->random, seed);
    for (size_t tries = 0; step < 3; tries++) {
        assert_true(tries < 200);
        world.net->loss_ppm = 100000;
        if (tries < 20) {
            cut_somebody_off(world.net);
        }
        give(&world, steps[step], steps[step] == KEYRING_REMOVE ? &old : &fresh, care);
        net_run_ms(world.net, 10000);
        assert_int_equal(world.answers, 1);
        step = world.outcome == KEY_DONE      ? step + 1
               : world.outcome == KEY_REFUSED ? 0
                                              : step;
        world.net->loss_ppm = 0;
        let_all_meet(world.net);
    }
    let_all_meet(world.net);
    for (size_t i = 0; i < (size_t)NODES * NODES; i++) {
        first_key_is(&world, i % NODES, &fresh);
        assert_int_equal(net_status(world.net, i / NODES, i % NODES), GOSSIP_ALIVE);
    }
    destroy(&world);
}

static void a_rotation_in_a_storm_loses_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        rotate_in_a_storm(seed, KEY_CAREFUL);
    }
}

static void who_has_only_the_old_key_is_told_that_keys_differ(void **state)
{
    struct gossip_options options;
    struct world world;

    (void)state;
    build(&world, &fresh);
    net_kill(world.net, 3);
    options = world.options;
    options.keys = &old;
    net_restart(world.net, 3, &options);
    net_join(world.net, 3, 0);
    net_run_ms(world.net, 3000);
    assert_int_equal(world.net->nodes[3].join_err, RC_EDENIED);
    destroy(&world);
}

static void the_first_key_is_refused_by_every_node(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    expect(&world, KEYRING_REMOVE, &old, KEY_CAREFUL, KEY_FAILED);
    expect_text(&world, "5 errors occurred:\n\t* dc1 (LAN) error: 4/4 nodes reported "
                        "failure\n\t* n0: Removing the primary key is not allowed\n");
    expect(&world, KEYRING_USE, &fresh, KEY_FORCED, KEY_FAILED);
    expect_text(&world, "n3: Requested key is not in the keyring");
    destroy(&world);
}

/* Consul's answer, captured as h203. */
static void a_plain_pool_says_that_it_is_not_encrypted(void **state)
{
    struct world world;

    (void)state;
    build(&world, NULL);
    for (enum keyring_order what = KEYRING_LIST; what < KEYRING_ORDER_COUNT; what++) {
        expect(&world, what, &fresh, KEY_CAREFUL, KEY_FAILED);
        expect_text(&world, "5 errors occurred:\n\t* dc1 (LAN) error: 4/4 nodes reported "
                            "failure\n\t* n0: ");
        expect_text(&world, "(encryption not enabled)\n");
    }
    destroy(&world);
}

struct leak {
    size_t packets;
    size_t found;
};

static void look_for_the_key(struct net *net, const struct net_bytes *bytes)
{
    struct leak *leak = net->tap_context;

    leak->packets++;
    leak->found += memmem(bytes->at, bytes->size, fresh.bytes, fresh.size) != NULL;
}

static void a_key_never_travels_in_plain(void **state)
{
    struct leak leak = {0};
    struct world world;

    (void)state;
    build(&world, NULL);
    world.net->tap = look_for_the_key;
    world.net->tap_context = &leak;
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_FAILED);
    expect_text(&world, "n3: No keyring to modify (encryption not enabled)");
    assert_true(leak.packets > 0);
    destroy(&world);

    build(&world, &old);
    for (size_t i = 0; i < NODES; i++) {
        gossip_set_cover(world.net->nodes[i].gossip,
                         (struct gossip_cover){.sends_plain = true, .takes_plain = true});
    }
    world.net->tap = look_for_the_key;
    world.net->tap_context = &leak;
    expect(&world, KEYRING_INSTALL, &fresh, KEY_CAREFUL, KEY_FAILED);
    expect_text(&world, "n3: encryption is being switched");
    expect(&world, KEYRING_LIST, NULL, KEY_CAREFUL, KEY_FAILED);
    assert_int_equal(leak.found, 0);
    destroy(&world);
}

static void a_silent_member_is_named(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    world.net->nodes[2].paused_until_ns = world.net->now_ns + 60000000000;
    give(&world, KEYRING_LIST, NULL, KEY_CAREFUL);
    net_run_ms(world.net, LONG_MS);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.outcome, KEY_DONE);
    expect_text(&world, "\"Messages\":{\"n2\":\"no answer\"}");
    destroy(&world);
}

static void our_own_keys_are_listed_at_once(void **state)
{
    const struct key_order order = {.scope = KEY_LOCAL, .ticket = 3};
    struct world world;

    (void)state;
    build(&world, &old);
    key_orders_give(world.orders, world.net->now_ns, &order);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.ticket, 3);
    expect_text(&world, "\"NumNodes\":1}]");
    destroy(&world);
}

static void too_many_orders_are_turned_away(void **state)
{
    struct world world;

    (void)state;
    build(&world, &old);
    for (size_t i = 0; i < KEY_ORDERS_MAX; i++) {
        give(&world, KEYRING_LIST, NULL, KEY_CAREFUL);
        assert_int_equal(world.answers, 0);
    }
    give(&world, KEYRING_LIST, NULL, KEY_CAREFUL);
    assert_int_equal(world.answers, 1);
    assert_int_equal(world.outcome, KEY_BUSY);
    destroy(&world); /* those under way go without an answer */
    assert_int_equal(world.answers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_changed_while_the_pool_runs),
        cmocka_unit_test(a_member_that_is_away_holds_the_rotation_up),
        cmocka_unit_test(who_missed_the_change_of_the_first_key_keeps_the_old_one_alive),
        cmocka_unit_test(who_was_let_go_holds_nothing_up),
        cmocka_unit_test(a_key_of_ours_that_the_pool_uses_is_gone_over_to),
        cmocka_unit_test(who_missed_the_new_key_does_not_drag_the_others_back),
        cmocka_unit_test(a_rotation_in_a_storm_loses_nobody),
        cmocka_unit_test(who_has_only_the_old_key_is_told_that_keys_differ),
        cmocka_unit_test(the_first_key_is_refused_by_every_node),
        cmocka_unit_test(a_plain_pool_says_that_it_is_not_encrypted),
        cmocka_unit_test(a_key_never_travels_in_plain),
        cmocka_unit_test(a_silent_member_is_named),
        cmocka_unit_test(our_own_keys_are_listed_at_once),
        cmocka_unit_test(too_many_orders_are_turned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
