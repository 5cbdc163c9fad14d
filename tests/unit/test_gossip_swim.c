/* test_gossip_swim.c - what keeps a failure detector honest: Lifeguard's rules, the scars of
 * others, bounds, and the diary that tells why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/inspect.h"
#include "agent/gossip/state.h"
#include "agent/gossip/swim.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

enum { MS = 1000000 };

static struct gossip_counters counters_of(const struct net *net, size_t i)
{
    struct gossip_counters counters;
    gossip_counters(net->nodes[i].gossip, &counters);
    return counters;
}

/* Whether the diary of `i` has an entry about `member` with these words. */
static bool diary_says(const struct net *net, size_t i, const char *member,
                       const char *words)
{
    struct gossip_transition transition;

    for (size_t k = 0; gossip_transition(net->nodes[i].gossip, k, &transition); k++) {
        if (strcmp(transition.member, member) == 0 &&
            strstr(transition.why, words) != NULL) {
            return true;
        }
    }
    return false;
}

static bool doubts_say(const struct net *net, size_t i, const char *words)
{
    struct gossip_doubt doubt;

    for (size_t k = 0; gossip_doubt(net->nodes[i].gossip, k, &doubt); k++) {
        if (strstr(doubt.why, words) != NULL) {
            return true;
        }
    }
    return false;
}

static void send_bytes(struct net *net, size_t to, uint8_t host, const void *bytes,
                       size_t size)
{
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, host}, 7946};
    struct gossip_action action;

    gossip_packet(net->nodes[to].gossip, net->now_ns, &from, bytes, size);
    while (gossip_next_action(net->nodes[to].gossip, &action)) {
        net->nodes[to].refusals_told += action.type == GOSSIP_REFUSED;
    }
}

static void accuse(struct net *net, size_t at, const char *name, const char *by,
                   uint32_t incarnation)
{
    const struct wire_accusation suspect = {
        .incarnation = incarnation, .node = rc_pack_text(name), .from = rc_pack_text(by)};
    struct rc_buffer bytes = {0};

    wire_write_typed(WIRE_SUSPECT, &wire_format_accusation, &suspect, &bytes);
    send_bytes(net, at, 9, bytes.bytes, bytes.size);
    rc_buffer_fini(&bytes);
}

static struct member *record(const struct net *net, size_t at, const char *name)
{
    return roster_find(&net->nodes[at].gossip->roster, rc_pack_text(name));
}

/* ---- Lifeguard. */

static void helpers_that_say_no_in_time_do_not_raise_the_score(void **state)
{
    static const char *const profiles[] = {"lan", "fast"};

    (void)state;
    for (size_t p = 0; p < 2; p++) {
        struct net *net = net_create(3 + p);
        net_pool(net, 5, profiles[p]);
        net_kill(net, 4);
        net_run_ms(net, 20000);

        uint64_t nacks = 0;
        for (size_t i = 0; i < 4; i++) {
            nacks += counters_of(net, i).nacks_in;
            assert_false(doubts_say(net, i, "did not even say no"));
            assert_int_equal(gossip_health_score(net->nodes[i].gossip), 0);
        }
        assert_true(nacks >= 3);
        net_destroy(net);
    }
}

static void helpers_that_keep_silent_raise_the_score(void **state)
{
    struct net *net = net_create(5);

    (void)state;
    net_pool(net, 5, "lan");
    net->nodes[0].is_deaf = true;
    net_run_ms(net, 3500);

    assert_true(gossip_health_score(net->nodes[0].gossip) >= 3);
    assert_true(doubts_say(net, 0, "3 of 3 asked to help did not even say no"));
    net->nodes[0].is_deaf = false;
    net_run_ms(net, 60000);
    assert_int_equal(gossip_health_score(net->nodes[0].gossip), 0); /* well again */
    net_destroy(net);
}

static void a_refutation_of_ours_raises_the_score(void **state)
{
    struct net *net = net_create(6);

    (void)state;
    (void)net_add(net, NULL);
    accuse(net, 0, "n0", "x", 1);

    assert_int_equal(gossip_health_score(net->nodes[0].gossip), 1);
    assert_true(doubts_say(net, 0, "others suspected us"));
    net_destroy(net);
}

static void being_late_raises_the_score(void **state)
{
    struct net *net = net_create(7);

    (void)state;
    net_pool(net, 5, "lan");
    uint64_t before = counters_of(net, 1).doubts;
    net->nodes[1].paused_until_ns = net->now_ns + (uint64_t)800 * MS;
    net_run_ms(net, 900);

    assert_true(counters_of(net, 1).doubts > before);
    assert_true(doubts_say(net, 1, "late ourselves"));
    assert_int_equal(counters_of(net, 1).pauses, 0);
    net_destroy(net);
}

static void nobody_waits_when_there_is_nothing_to_wait_for(void **state)
{
    struct net *net = net_create(25);

    (void)state;
    net_pool(net, 5, "lan");
    net->hosts_refuse = true;
    net_kill(net, 4);
    net_run_ms(net, 20000);
    bool is_early = false;
    for (size_t i = 0; i < 4; i++) {
        is_early = is_early || diary_says(net, i, "n4", "suspected by us: no ack in 90");
        assert_false(diary_says(net, i, "n4", "suspected by us: no ack in 100"));
    }
    assert_true(is_early); /* 500 ms, then the helpers' 400 ms */
    net_destroy(net);
}

static void the_others_give_a_second_opinion_at_once(void **state)
{
    struct net *net = net_create(8);
    uint64_t opinions = 0;

    (void)state;
    net_pool(net, 5, "lan");
    net_kill(net, 4);
    uint64_t at_ms = net_now_ms(net);
    net_run_ms(net, 20000);

    for (size_t i = 0; i < 4; i++) {
        uint64_t suspect_ms = net_told_ms(net, i, 4, GOSSIP_EVENT_SUSPECT, at_ms);
        uint64_t failed_ms = net_told_ms(net, i, 4, GOSSIP_EVENT_FAILED, at_ms);
        assert_true(suspect_ms > 0);
        assert_in_range(failed_ms, suspect_ms + 3000,
                        suspect_ms + 4100); /* its minimum */
        opinions += counters_of(net, i).second_opinions;
    }
    assert_true(opinions >= 1); /* whose own round asks it already needs none */
    net_destroy(net);
}

static void a_suspect_that_answers_us_is_not_declared_dead_by_us(void **state)
{
    struct net *net = net_create(9);

    (void)state;
    net_pool(net, 5, "fast");
    struct gossip *g = net->nodes[0].gossip;
    struct member *member = record(net, 0, "n3");
    accuse(net, 0, "n3", "x", member->view.incarnation);
    accuse(net, 0, "n3", "y", member->view.incarnation);
    accuse(net, 0, "n3", "z", member->view.incarnation);
    accuse(net, 0, "n3", "w", member->view.incarnation);
    assert_int_equal(net_status(net, 0, 3), GOSSIP_SUSPECT);
    member->dealings->acked_ns = member->dealings->suspicion->started_ns + 1;
    swim_suspicion_fired(g, member->dealings->suspicion);

    assert_int_equal(net_status(net, 0, 3), GOSSIP_SUSPECT);
    assert_true(diary_says(net, 0, "n3", "has answered us since"));
    net_run_ms(net, 10000);
    assert_int_equal(net_status(net, 0, 3), GOSSIP_ALIVE); /* it has refuted */
    net_destroy(net);
}

static void who_hears_nobody_accuses_nobody(void **state)
{
    struct net *net = net_create(10);

    (void)state;
    net_pool(net, 6, "fast");
    uint64_t at_ms = net_now_ms(net);
    net->nodes[0].is_deaf = true;
    net_run_ms(net, 30000);

    assert_true(gossip_is_deaf(net->nodes[0].gossip));
    assert_true(counters_of(net, 0).accusations_kept > 0);
    for (size_t i = 1; i < 6; i++) {
        assert_true(counters_of(net, i).refutations <= 1);
        assert_int_equal(net_status(net, 0, i),
                         GOSSIP_FAILED); /* as far as it can tell */
        for (size_t k = 1; k < 6; k++) {
            assert_int_equal(net_told_ms(net, i, k, GOSSIP_EVENT_FAILED, at_ms), 0);
        }
    }
    net->nodes[0].is_deaf = false;
    net_run_ms(net, 60000);
    assert_false(gossip_is_deaf(net->nodes[0].gossip));
    for (size_t i = 1; i < 6; i++) {
        assert_int_equal(net_status(net, 0, i), GOSSIP_ALIVE);
        assert_int_equal(net_status(net, i, 0), GOSSIP_ALIVE);
    }
    net_destroy(net);
}

static void after_a_pause_suspicions_start_over(void **state)
{
    struct net *net = net_create(11);

    (void)state;
    net_pool(net, 5, "fast");
    net_kill(net, 4);
    while (net_status(net, 0, 4) != GOSSIP_SUSPECT) {
        net_run_ms(net, 1);
    }
    net->nodes[0].paused_until_ns = net->now_ns + (uint64_t)5000 * MS;
    for (size_t i = 1; i < 4; i++) {
        net->nodes[i].cut = 1; /* nobody else tells it */
    }
    uint64_t before = counters_of(net, 0).second_opinions;
    net_run_ms(net, 5001);

    assert_int_equal(counters_of(net, 0).pauses, 1);
    assert_int_equal(net_status(net, 0, 4), GOSSIP_SUSPECT);
    assert_true(counters_of(net, 0).second_opinions > before);
    assert_true(diary_says(net, 0, "n4", "we stood still for"));
    net_run_ms(net, 5000);
    assert_int_equal(net_status(net, 0, 4), GOSSIP_FAILED);
    net_destroy(net);
}

static void a_lag_before_the_pause_does_not_hide_it(void **state)
{
    struct net *net = net_create(12);
    struct gossip *g;

    (void)state;
    net_pool(net, 5, "fast");
    g = net->nodes[0].gossip;
    uint64_t due_ns = gossip_deadline(g);
    struct rc_address from = net->nodes[1].address;
    uint8_t byte = 99;
    gossip_packet(g, due_ns + (uint64_t)100 * MS, &from, &byte,
                  1); /* late, no tick yet */
    gossip_packet(g, due_ns + (uint64_t)9000 * MS, &from, &byte, 1);

    assert_int_equal(counters_of(net, 0).pauses, 1);
    net_destroy(net);
}

/* ---- Scars. */

static void a_join_that_was_not_taken_is_told_and_repeated(void **state)
{
    struct net *net = net_create(13);
    const struct gossip_options same = {.name = "n1", .incarnation = 7};

    (void)state;
    net_pool(net, 3, "fast");
    net_kill(net, 1);
    net_run_ms(net, 6000);
    assert_int_equal(net_status(net, 0, 1), GOSSIP_FAILED);
    size_t mover = net_add(net, &same); /* another address */
    net_join(net, mover, 0);
    net_run_ms(net, 5000);

    assert_int_equal(net->nodes[mover].join_err, RC_OK); /* it "worked" */
    assert_int_equal(net->nodes[mover].unseen_told, 1);
    assert_int_equal(net->nodes[mover].unseen_err, RC_ECONFLICT);

    net_run_ms(net, 35000); /* 30 s after its death the name is free */
    for (size_t i = 0; i < 3; i += 2) {
        const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n1");
        assert_int_equal(member->status, GOSSIP_ALIVE);
        assert_true(
            rc_address_equals(&member->said->address, &net->nodes[mover].address));
    }
    net_run_ms(net, 120000);
    assert_int_equal(net->nodes[mover].unseen_told, 1);
    net_destroy(net);
}

static void a_join_that_was_taken_is_not_told(void **state)
{
    struct net *net = net_create(14);

    (void)state;
    net_pool(net, 5, "fast");
    net_run_ms(net, 60000);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(net->nodes[i].unseen_told, 0);
    }
    net_destroy(net);
}

static void a_restart_in_place_may_bring_a_new_address(void **state)
{
    struct net *net = net_create(15);
    const struct gossip_options same = {.name = "n1", .incarnation = 9};

    (void)state;
    net_pool(net, 4, "fast");
    net_kill(net, 1);
    size_t mover = net_add(net, &same); /* before anybody noticed */
    net_join(net, mover, 0);
    net_run_ms(net, 60000);

    for (size_t i = 0; i < 4; i += i == 0 ? 2 : 1) {
        const struct gossip_member *member = gossip_find(net->nodes[i].gossip, "n1");
        assert_int_equal(member->status, GOSSIP_ALIVE);
        assert_true(
            rc_address_equals(&member->said->address, &net->nodes[mover].address));
    }
    net_destroy(net);
}

/* A state as a joining member sends it. */
static void send_state(struct net *net, size_t to, const struct wire_node *nodes,
                       uint32_t count)
{
    const struct wire_push_pull head = {.nodes = count, .join = true};
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 30000};
    struct gossip *g = net->nodes[to].gossip;
    struct rc_buffer state = {0};
    struct gossip_action action;
    uint32_t stream = 0;

    wire_write_typed(WIRE_PUSH_PULL, &wire_format_push_pull, &head, &state);
    for (uint32_t i = 0; i < count; i++) {
        wire_write(&wire_format_node, &nodes[i], &state);
    }
    assert_int_equal(gossip_stream_accepted(g, net->now_ns, &from, &stream), RC_OK);
    gossip_stream_data(g, net->now_ns, stream, state.bytes, state.size);
    while (gossip_next_action(g, &action)) {
        /* its answer goes nowhere */
    }
    rc_buffer_fini(&state);
}

static void one_bad_member_blocks_nobodys_join(void **state)
{
    static const uint8_t ip[4] = {10, 1, 1, 1};
    static const uint8_t broken_tags[] = {0xff, 0xdf, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t no_tags[] = {0xff, 0x80};
    static const struct rc_pack_bytes plain = {no_tags, sizeof no_tags};
    static const struct wire_versions good = {{1, 5, 2, 2, 5, 5}, 6};
    const struct wire_node nodes[] = {
        {rc_pack_text("first"), {ip, 4}, plain, 1, 1, WIRE_NODE_ALIVE, good},
        {rc_pack_text("short"), {ip, 4}, plain, 1, 2, WIRE_NODE_ALIVE, {{1}, 1}},
        {rc_pack_text("zeros"), {ip, 4}, plain, 1, 3, WIRE_NODE_ALIVE, {{0}, 6}},
        {rc_pack_text("long"), {ip, 4}, plain, 1, 4, WIRE_NODE_ALIVE, {{1, 5, 2}, 8}},
        {rc_pack_text("weird"),
         {ip, 4},
         {broken_tags, sizeof broken_tags},
         1,
         5,
         WIRE_NODE_ALIVE,
         good},
        {rc_pack_text(""), {ip, 4}, plain, 1, 6, WIRE_NODE_ALIVE, good},
        {rc_pack_text("nowhere"), {NULL, 0}, plain, 1, 7, WIRE_NODE_ALIVE, good},
        {rc_pack_text("same"), {ip, 4}, plain, 1, 1, WIRE_NODE_ALIVE, good},
        {rc_pack_text("nothing"), {ip, 4}, plain, 0, 8, WIRE_NODE_ALIVE, good},
        {rc_pack_text("state"), {ip, 4}, plain, 1, 9, 77, good},
        {rc_pack_text("last"), {ip, 4}, plain, 1, 10, WIRE_NODE_ALIVE, good},
    };
    struct net *net = net_create(23);

    (void)state;
    (void)net_add(net, NULL);
    send_state(net, 0, nodes, sizeof nodes / sizeof nodes[0]);

    struct gossip *g = net->nodes[0].gossip;
    assert_non_null(gossip_find(g, "first"));
    assert_non_null(gossip_find(g, "last"));
    assert_null(gossip_find(g, "short"));
    assert_null(gossip_find(g, "zeros"));
    assert_null(gossip_find(g, "nowhere"));
    assert_null(gossip_find(g, "nothing"));
    assert_true(counters_of(net, 0).refused[GOSSIP_REFUSED_VERSION] >= 3);

    size_t other = net_add(net, NULL); /* and who joins here joins */
    net_join(net, other, 0);
    net_run_ms(net, 500);
    assert_int_equal(net->nodes[other].join_err, RC_OK);
    assert_non_null(gossip_find(net->nodes[other].gossip, "first"));
    assert_non_null(gossip_find(net->nodes[other].gossip, "last"));
    net_destroy(net);
}

static void what_the_system_does_not_send_is_counted_as_lost(void **state)
{
    struct net *net = net_create(24);

    (void)state;
    (void)net_add(net, NULL);
    gossip_unsent(net->nodes[0].gossip);
    assert_int_equal(counters_of(net, 0).packets_unsent, 1);
    net_destroy(net);
}

static void sequence_numbers_start_anywhere(void **state)
{
    struct net *net = net_create(16);

    (void)state;
    (void)net_add(net, NULL);
    (void)net_add(net, NULL);
    uint32_t first = net->nodes[0].gossip->next_seq;
    uint32_t second = net->nodes[1].gossip->next_seq;
    assert_true(first > 1000 && second > 1000 && first != second);
    net_destroy(net);
}

/* ---- Bounds and refusals. */

static void a_sender_of_rubbish_is_told_of_once_a_minute(void **state)
{
    static const uint8_t rubbish[] = {99, 1, 2};
    struct gossip_offender offender;
    struct net *net = net_create(17);

    (void)state;
    (void)net_add(net, NULL);
    for (int i = 0; i < 50; i++) {
        send_bytes(net, 0, 1, rubbish, sizeof rubbish);
    }
    assert_int_equal(net->nodes[0].refusals_told, 1);
    assert_true(gossip_offender(net->nodes[0].gossip, 0, &offender));
    assert_int_equal(offender.reason, GOSSIP_REFUSED_TYPE);
    assert_int_equal(offender.count, 50);
    assert_int_equal(offender.address.ip[3], 1);
    assert_string_equal(offender.member, "");
    assert_false(gossip_offender(net->nodes[0].gossip, 1, &offender));

    net_run_ms(net, 61000);
    send_bytes(net, 0, 1, rubbish, sizeof rubbish);
    assert_int_equal(net->nodes[0].refusals_told, 2);
    net_destroy(net);
}

static void forged_senders_fill_neither_table_nor_log(void **state)
{
    static const uint8_t rubbish[] = {99, 1, 2};
    struct gossip_offender offender;
    struct net *net = net_create(18);
    size_t rows = 0;

    (void)state;
    (void)net_add(net, NULL);
    for (int i = 0; i < 100; i++) {
        send_bytes(net, 0, 1, rubbish, sizeof rubbish); /* the one that is real */
    }
    for (int i = 0; i < 200; i++) {
        send_bytes(net, 0, (uint8_t)(2 + i), rubbish, sizeof rubbish);
    }
    while (gossip_offender(net->nodes[0].gossip, rows, &offender)) {
        rows++;
    }
    assert_int_equal(rows, OFFENDERS_MAX);
    assert_true(gossip_offender(net->nodes[0].gossip, 0, &offender));
    assert_int_equal(offender.count, 100);
    assert_in_range(net->nodes[0].refusals_told, 1, OFFENDERS_TELLS_MAX);
    net_destroy(net);
}

static void only_a_few_may_send_large_states_at_once(void **state)
{
    enum { HALF = 40000, SENDERS = 40 };
    static uint8_t part[HALF] = {WIRE_PUSH_PULL};
    struct net *net = net_create(19);
    struct rc_address from = {RC_ADDRESS_IPV4, {10, 9, 9, 9}, 30000};
    struct gossip_action action;
    struct rc_buffer head = {0};
    uint32_t streams[SENDERS];
    size_t closed = 0;

    (void)state;
    (void)net_add(net, NULL);
    struct gossip *g = net->nodes[0].gossip;
    const struct wire_push_pull announced = {.nodes = 0, .user_state_size = 1000000};
    wire_write_typed(WIRE_PUSH_PULL, &wire_format_push_pull, &announced, &head);
    for (size_t i = 0; i < SENDERS; i++) {
        assert_int_equal(gossip_stream_accepted(g, net->now_ns, &from, &streams[i]),
                         RC_OK);
        gossip_stream_data(g, net->now_ns, streams[i], head.bytes, head.size);
        gossip_stream_data(g, net->now_ns, streams[i], part, HALF);
    }
    assert_int_equal(counters_of(net, 0).streams_open, SENDERS); /* all small as yet */
    for (size_t i = 0; i < SENDERS; i++) {
        gossip_stream_data(g, net->now_ns, streams[i], part, HALF);
    }
    while (gossip_next_action(g, &action)) {
        closed += action.type == GOSSIP_STREAM_CLOSE;
    }
    assert_int_equal(closed, SENDERS - 16);
    assert_int_equal(counters_of(net, 0).refused[GOSSIP_REFUSED_TOO_MANY], SENDERS - 16);
    rc_buffer_fini(&head);
    net_destroy(net);
}

static void what_fits_no_packet_under_a_long_label_is_refused_when_queued(void **state)
{
    char label[GOSSIP_LABEL_MAX + 1];
    const struct gossip_options options = {.label = label};
    static uint8_t message[1200];
    struct net *net = net_create(20);
    struct gossip_queue_facts facts;

    (void)state;
    memset(label, 'l', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    (void)net_add(net, &options);
    struct broadcast_queue *queue = &net->nodes[0].gossip->queues[QUEUE_EVENTS];
    assert_int_equal(broadcast_add(queue, (struct rc_pack_bytes){NULL, 0},
                                   (struct rc_pack_bytes){message, sizeof message}, NULL),
                     RC_ETOOBIG);
    assert_true(gossip_queue_facts(net->nodes[0].gossip, QUEUE_EVENTS, &facts));
    assert_int_equal(facts.refused, 1);
    assert_string_equal(facts.name, "events");
    net_destroy(net);
}

/* ---- The diary. */

static void the_diary_tells_why_a_member_failed(void **state)
{
    struct net *net = net_create(21);
    struct gossip_transition newest;
    bool ours = false;
    bool heard = false;

    (void)state;
    net_pool(net, 5, "fast");
    net_kill(net, 4);
    net_run_ms(net, 5000);
    for (size_t i = 0; i < 4; i++) {
        ours = ours || diary_says(net, i, "n4", "suspected by us: no ack in 25");
        heard = heard || diary_says(net, i, "n4", "suspected by n");
        assert_true(diary_says(net, i, "n4", "heard of it for the first time"));
        assert_true(diary_says(net, i, "n4", "not refuted") ||
                    diary_says(net, i, "n4", "declared dead by n"));
    }
    assert_true(ours && heard);
    assert_true(gossip_transition(net->nodes[0].gossip, 0, &newest));
    assert_string_equal(newest.member, "n4");
    assert_string_equal(newest.from, "suspect");
    assert_string_equal(newest.to, "failed");
    net_destroy(net);
}

static void the_diary_forgets_the_oldest_but_not_the_names(void **state)
{
    struct diary diary = {0};

    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        diary_note(&diary, &(struct diary_entry){.member = i});
    }
    assert_int_equal(diary_at(&diary, 0)->member, 999);
    assert_int_equal(diary_at(&diary, DIARY_MAX - 1)->member, 1000 - DIARY_MAX);
    assert_null(diary_at(&diary, DIARY_MAX));
    diary_lose(&diary, 998, "gone");
    assert_string_equal(diary_lost_name(&diary, 998), "gone");
    assert_null(diary_lost_name(&diary, 997));
    diary_fini(&diary);
}

static void an_open_suspicion_shows_its_case(void **state)
{
    struct gossip_suspicion suspicion;
    struct net *net = net_create(22);
    size_t position = 0;

    (void)state;
    net_pool(net, 6, "fast");
    assert_false(gossip_next_suspicion(net->nodes[0].gossip, &position, &suspicion));
    uint32_t incarnation = gossip_find(net->nodes[0].gossip, "n2")->incarnation;
    accuse(net, 0, "n2", "n3", incarnation);
    accuse(net, 0, "n2", "n4", incarnation);
    position = 0;
    assert_true(gossip_next_suspicion(net->nodes[0].gossip, &position, &suspicion));
    assert_string_equal(suspicion.member->said->name, "n2");
    assert_int_equal(suspicion.confirmations, 1);
    assert_int_equal(suspicion.wanted, 3);
    assert_true(suspicion.ends_ns > net->now_ns);
    assert_true(diary_says(net, 0, "n2", "suspected by n3"));
    assert_true(diary_says(net, 0, "n2", "suspected by n4 too: confirmation 1 of 3"));
    net_destroy(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(helpers_that_say_no_in_time_do_not_raise_the_score),
        cmocka_unit_test(helpers_that_keep_silent_raise_the_score),
        cmocka_unit_test(a_refutation_of_ours_raises_the_score),
        cmocka_unit_test(being_late_raises_the_score),
        cmocka_unit_test(nobody_waits_when_there_is_nothing_to_wait_for),
        cmocka_unit_test(the_others_give_a_second_opinion_at_once),
        cmocka_unit_test(a_suspect_that_answers_us_is_not_declared_dead_by_us),
        cmocka_unit_test(who_hears_nobody_accuses_nobody),
        cmocka_unit_test(after_a_pause_suspicions_start_over),
        cmocka_unit_test(a_lag_before_the_pause_does_not_hide_it),
        cmocka_unit_test(a_join_that_was_not_taken_is_told_and_repeated),
        cmocka_unit_test(a_join_that_was_taken_is_not_told),
        cmocka_unit_test(a_restart_in_place_may_bring_a_new_address),
        cmocka_unit_test(one_bad_member_blocks_nobodys_join),
        cmocka_unit_test(what_the_system_does_not_send_is_counted_as_lost),
        cmocka_unit_test(sequence_numbers_start_anywhere),
        cmocka_unit_test(a_sender_of_rubbish_is_told_of_once_a_minute),
        cmocka_unit_test(forged_senders_fill_neither_table_nor_log),
        cmocka_unit_test(only_a_few_may_send_large_states_at_once),
        cmocka_unit_test(what_fits_no_packet_under_a_long_label_is_refused_when_queued),
        cmocka_unit_test(the_diary_tells_why_a_member_failed),
        cmocka_unit_test(the_diary_forgets_the_oldest_but_not_the_names),
        cmocka_unit_test(an_open_suspicion_shows_its_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
