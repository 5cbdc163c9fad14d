/* test_replay.c - what somebody recorded of a pool and sends again later changes nothing.
 *
 * memberlist's wire format has no replay window: whatever opens is read. What protects
 * the pool is that all that changes anything carries an incarnation, a Lamport time or a
 * sequence number, and that only newer ones count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/keyring_round.h"
#include "base/err.h"
#include "tests/unit/gossip_net.h"

enum { NODES = 5, RECORDS_MAX = 200000, MINUTE_MS = 60000 };

struct record {
    size_t from;
    size_t to;
    long pipe;
    bool is_answer;
    uint8_t *bytes;
    size_t size;
};

struct tape {
    struct record *records;
    size_t count;
    bool is_on;
};

static void record(struct net *net, const struct net_bytes *bytes)
{
    struct tape *tape = net->tap_context;

    if (!tape->is_on) {
        return;
    }
    assert_true(tape->count < RECORDS_MAX);
    struct record *r = &tape->records[tape->count++];
    *r = (struct record){.from = bytes->from,
                         .to = bytes->to,
                         .pipe = bytes->pipe,
                         .is_answer = bytes->is_answer,
                         .bytes = malloc(bytes->size + 1),
                         .size = bytes->size};
    assert_non_null(r->bytes);
    memcpy(r->bytes, bytes->at, bytes->size);
}

static void nonce_of(void *ctx, uint8_t *out, size_t size)
{
    uint64_t *counter = ctx;

    (*counter)++;
    memset(out, 0, size);
    memcpy(out, counter, sizeof *counter < size ? sizeof *counter : size);
}

/* ---- A busy session: joins, events, queries, tags, a failure and a return, a leave and a
 * return, and a change of keys. */

static const struct gossip_key old = {.size = 32, .bytes = {1}};
static const struct gossip_key fresh = {.size = 32, .bytes = {2}};

static void order(struct net *net, enum keyring_order what, const struct gossip_key *key)
{
    struct keyring_request request = {.order = what, .key = *key};
    struct keyring_round *round = NULL;

    assert_int_equal(
        keyring_round_start(net->nodes[0].gossip, net->now_ns, &request, &round), RC_OK);
    net_drain(net, 0);
    net_run_ms(net, 5000);
    keyring_round_destroy(round);
}

static void play(struct net *net, const struct gossip_options *options)
{
    const struct gossip_tag tags[] = {{"rc", "1:1"}, {"role", "db"}};
    const struct gossip_query query = {.name = "uptime", .ack = GOSSIP_QUERY_WITH_ACK};
    uint32_t id = 0;

    for (size_t i = 0; i < NODES; i++) {
        (void)net_add(net, options);
        if (i > 0) {
            net_join(net, i, 0);
        }
    }
    net_run_ms(net, 5000);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(gossip_user_event(net->nodes[i].gossip, net->now_ns, "deploy",
                                           (const uint8_t *)"v1", 2, GOSSIP_EACH),
                         RC_OK);
        assert_int_equal(gossip_query(net->nodes[i].gossip, net->now_ns, &query, &id),
                         RC_OK);
        net_drain(net, i);
        net_run_ms(net, 3000);
    }
    assert_int_equal(gossip_set_tags(net->nodes[1].gossip, net->now_ns, tags, 2), RC_OK);
    net_drain(net, 1);
    net_kill(net, 2);
    net_run_ms(net, 15000);
    net_restart(net, 2, options);
    net_join(net, 2, 0);
    net_run_ms(net, 5000);
    gossip_leave(net->nodes[3].gossip, net->now_ns);
    net_drain(net, 3);
    net_run_ms(net, 10000);
    net_kill(net, 3);
    net_restart(net, 3, options);
    net_join(net, 3, 1);
    net->nodes[4].paused_until_ns = net->now_ns + 2000000000; /* suspected, refutes */
    net_run_ms(net, 10000);
    order(net, KEYRING_INSTALL, &fresh);
    order(net, KEYRING_USE, &fresh);
    order(net, KEYRING_REMOVE, &old);
    net_run_ms(net, MINUTE_MS);
}

/* ---- What a node believes, in words, to be compared. */

static char *describe(const struct net *net, size_t i)
{
    struct gossip *g = net->nodes[i].gossip;
    struct rc_buffer out = {0};
    struct gossip_encryption how;
    uint64_t clocks[3];
    size_t position = 0;
    const struct gossip_member *member;

    gossip_clocks(g, clocks);
    gossip_encryption(g, &how);
    rc_buffer_format(&out, "clocks %d %d %d, %zu keys, %zu events\n", (int)clocks[0],
                     (int)clocks[1], (int)clocks[2], how.key_count,
                     net->nodes[i].user_events);
    while ((member = gossip_next_member(g, &position)) != NULL) {
        rc_buffer_format(&out, "%s %s incarnation %u time %d at %d:%u tags",
                         member->said->name, gossip_status_name(member->status),
                         member->incarnation, (int)member->status_ltime,
                         member->said->address.ip[3], member->said->address.port);
        for (size_t k = 0; k < member->said->tag_count; k++) {
            rc_buffer_format(&out, " %s=%s", member->said->tags[k].key,
                             member->said->tags[k].value);
        }
        rc_buffer_byte(&out, '\n');
    }
    assert_int_equal(out.err, RC_OK);
    return rc_buffer_steal(&out);
}

static uint64_t refused(const struct net *net, enum gossip_refusal why)
{
    struct gossip_counters counters;
    uint64_t sum = 0;

    for (size_t i = 0; i < NODES; i++) {
        gossip_counters(net->nodes[i].gossip, &counters);
        sum += counters.refused[why];
    }
    return sum;
}

/* A recorded stream, dialed anew. */
static void replay_stream(struct net *net, const struct tape *tape, size_t first)
{
    const struct record *head = &tape->records[first];
    struct gossip *g = net->nodes[head->to].gossip;
    uint32_t id = 0;

    if (gossip_stream_accepted(g, net->now_ns, &net->nodes[head->from].address, &id) !=
        RC_OK) {
        return;
    }
    for (size_t i = first; i < tape->count; i++) {
        const struct record *r = &tape->records[i];
        if (r->pipe == head->pipe && !r->is_answer) {
            gossip_stream_data(g, net->now_ns, id, r->bytes, r->size);
        }
    }
    gossip_stream_closed(g, net->now_ns, id);
    net_drain(net, head->to);
}

static void replay(struct net *net, const struct tape *tape)
{
    long last_pipe = NET_PACKET;

    for (size_t i = 0; i < tape->count; i++) {
        const struct record *r = &tape->records[i];
        if (r->pipe == NET_PACKET) {
            gossip_packet(net->nodes[r->to].gossip, net->now_ns,
                          &net->nodes[r->from].address, r->bytes, r->size);
            net_drain(net, r->to);
        } else if (!r->is_answer && r->pipe > last_pipe) {
            last_pipe = r->pipe;
            replay_stream(net, tape, i);
        }
        if (i % 50 == 0) {
            net_run_ms(net, 10);
        }
    }
}

static void run(const struct gossip_options *options, bool rotates)
{
    struct tape tape = {.is_on = true};
    struct net *net = net_create(3);
    char *before[NODES];
    size_t told[NODES];

    tape.records = calloc(RECORDS_MAX, sizeof *tape.records);
    assert_non_null(tape.records);
    net->tap = record;
    net->tap_context = &tape;
    play(net, options);
    tape.is_on = false;
    net_run_ms(net, (uint64_t)10 * MINUTE_MS);
    for (size_t i = 0; i < NODES; i++) {
        before[i] = describe(net, i);
        told[i] = net->nodes[i].seen_count;
        assert_true(told[i] < NET_SEEN_MAX);
    }
    uint64_t stale = refused(net, GOSSIP_REFUSED_STALE);
    uint64_t foreign = refused(net, GOSSIP_REFUSED_KEY);

    replay(net, &tape);
    net_run_ms(net, MINUTE_MS);

    for (size_t i = 0; i < NODES; i++) {
        char *after = describe(net, i);
        assert_string_equal(after, before[i]);
        assert_int_equal(net->nodes[i].seen_count, told[i]); /* not even for a moment */
        free(before[i]);
        free(after);
    }
    assert_true(tape.count > 1000);
    assert_true(refused(net, GOSSIP_REFUSED_STALE) > stale); /* acks nobody waits for */
    assert_true(!rotates || refused(net, GOSSIP_REFUSED_KEY) > foreign);
    for (size_t i = 0; i < tape.count; i++) {
        free(tape.records[i].bytes);
    }
    free(tape.records);
    net_destroy(net);
}

static void a_replayed_session_changes_nothing(void **state)
{
    uint64_t counter = 0;
    const struct gossip_options options = {
        .keys = &fresh, .key_count = 1, .nonce = nonce_of, .nonce_ctx = &counter};

    (void)state;
    run(&options, false); /* all of it still opens: orders about keys too */
}

static void a_session_before_a_change_of_keys_does_not_even_open(void **state)
{
    uint64_t counter = 0;
    const struct gossip_options options = {
        .keys = &old, .key_count = 1, .nonce = nonce_of, .nonce_ctx = &counter};

    (void)state;
    run(&options, true);
}

static void a_replayed_plain_session_changes_nothing(void **state)
{
    const struct gossip_options options = {.key_count = 0};

    (void)state;
    run(&options, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replayed_session_changes_nothing),
        cmocka_unit_test(a_session_before_a_change_of_keys_does_not_even_open),
        cmocka_unit_test(a_replayed_plain_session_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
