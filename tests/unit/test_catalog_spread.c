/* How records travel between catalogs: rumours, gaps, epochs, graves, syncs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "base/err.h"

enum { PEERS = 3, PACKET = 1400, LINES = 64 };

/* Three catalogs, and streams between them that deliver at once. */
struct pool {
    struct catalog *peers[PEERS];
    struct line {
        uint64_t id;
        int ends[2];
    } lines[LINES];
    size_t line_count;
    uint64_t now_ms;
    size_t kicks;
};

static const char *const names[PEERS] = {"a", "b", "c"};

static struct catalog *make_peer(int which, uint64_t wall_ms)
{
    struct catalog_options options = {.node_name = names[which],
                                      .seed = (uint64_t)which + 1,
                                      .now_ms = 1000,
                                      .wall_ms = wall_ms,
                                      .services_max = 64,
                                      .checks_max = 64};
    struct catalog *c = NULL;

    assert_int_equal(catalog_create(&options, &c), RC_OK);
    return c;
}

static void tell_member(struct pool *pool, int at, int about,
                        enum catalog_liveness liveness)
{
    struct catalog_member member = {
        .name = names[about], .address = "10.0.0.1", .liveness = liveness, .peer = true};

    catalog_member_event(pool->peers[at], pool->now_ms, 5000, &member);
}

static void introduce(struct pool *pool, int which)
{
    for (int i = 0; i < PEERS; i++) {
        if (i != which) {
            tell_member(pool, i, which, CATALOG_ALIVE);
            tell_member(pool, which, i, CATALOG_ALIVE);
        }
    }
}

static int make(void **state)
{
    struct pool *pool = calloc(1, sizeof *pool);

    assert_non_null(pool);
    pool->now_ms = 1000;
    for (int i = 0; i < PEERS; i++) {
        pool->peers[i] = make_peer(i, 1000);
    }
    for (int i = 0; i < PEERS; i++) {
        introduce(pool, i);
    }
    *state = pool;
    return 0;
}

static int drop(void **state)
{
    struct pool *pool = *state;

    for (int i = 0; i < PEERS; i++) {
        catalog_destroy(pool->peers[i]);
    }
    free(pool);
    return 0;
}

static int peer_of(const char *name)
{
    return name[0] - 'a';
}

static struct line *line_of(struct pool *pool, uint64_t id)
{
    for (size_t i = 0; i < pool->line_count; i++) {
        if (pool->lines[i].id == id) {
            return &pool->lines[i];
        }
    }
    return NULL;
}

static void act(struct pool *pool, int peer, const struct catalog_action *action)
{
    struct line *line = line_of(pool, action->stream);
    int other = line == NULL ? 0 : line->ends[line->ends[0] == peer];

    switch (action->type) {
    case CATALOG_KICK:
        pool->kicks++;
        break;
    case CATALOG_STREAM_OPEN:
        assert_true(pool->line_count < LINES);
        line = &pool->lines[pool->line_count++];
        *line = (struct line){pool->line_count, {peer, peer_of(action->member)}};
        catalog_stream_opened(pool->peers[peer], pool->now_ms, action->member, line->id);
        break;
    case CATALOG_STREAM_SEND:
        if (line != NULL) {
            int err = catalog_stream_message(pool->peers[other], pool->now_ms, line->id,
                                             action->bytes, action->size);
            assert_int_equal(err, RC_OK);
        }
        break;
    case CATALOG_STREAM_CLOSE:
        if (line != NULL) {
            line->id = 0;
            catalog_stream_closed(pool->peers[other], pool->now_ms, action->stream);
        }
        break;
    case CATALOG_ACTION_COUNT:
        break;
    }
}

/* Lets the streams run until nobody has anything to do at this time. */
static void pump(struct pool *pool)
{
    struct catalog_action action;
    bool busy = true;

    while (busy) {
        busy = false;
        for (int i = 0; i < PEERS; i++) {
            while (catalog_next_action(pool->peers[i], &action)) {
                busy = true;
                act(pool, i, &action);
            }
        }
    }
}

static void run_until(struct pool *pool, uint64_t now_ms)
{
    for (; pool->now_ms <= now_ms; pool->now_ms += 10) {
        for (int i = 0; i < PEERS; i++) {
            catalog_tick(pool->peers[i], pool->now_ms);
        }
        pump(pool);
    }
}

/* One packet full of rumours; returns how many arrived. */
static int gossip(struct pool *pool, int from, int to)
{
    uint8_t space[PACKET];
    size_t left = PACKET;
    int count = 0;

    for (;;) {
        size_t size = catalog_fill(pool->peers[from], pool->now_ms, space, left);
        if (size == 0) {
            return count;
        }
        left -= size;
        count++;
        if (to >= 0) {
            (void)catalog_receive(pool->peers[to], pool->now_ms, names[from], space,
                                  size);
        }
    }
}

/* Loses everything that waits to be told. */
static void hush(struct pool *pool, int peer)
{
    pool->now_ms += 200;
    while (gossip(pool, peer, -1) > 0) {
        pool->now_ms += 200;
    }
}

static void summaries(struct pool *pool, int from, int to)
{
    uint8_t summary[CATALOG_SUMMARY_SIZE];

    catalog_summary(pool->peers[from], summary);
    catalog_peer_summary(pool->peers[to], pool->now_ms, names[from], summary);
}

static void put(struct pool *pool, int peer, const char *id)
{
    struct catalog_service service = {.id = id, .name = "web", .port = 80};

    pool->now_ms += 200;
    assert_int_equal(catalog_put_service(pool->peers[peer], pool->now_ms, &service, NULL),
                     RC_OK);
}

static void put_check(struct pool *pool, int peer, const char *id, const char *output)
{
    struct catalog_check check = {.id = id, .output = output};

    pool->now_ms += 200;
    assert_int_equal(catalog_put_check(pool->peers[peer], pool->now_ms, &check, NULL),
                     RC_OK);
}

static const struct catalog_node *view(struct pool *pool, int at, int of)
{
    return catalog_node_find(pool->peers[at], names[of]);
}

static bool sees(struct pool *pool, int at, int of, const char *id)
{
    const struct catalog_node *node = view(pool, at, of);

    return node != NULL && catalog_service_find(node, id) != NULL;
}

static void assert_equal(struct pool *pool, int one, int other)
{
    uint8_t a[CATALOG_SUMMARY_SIZE];
    uint8_t b[CATALOG_SUMMARY_SIZE];

    catalog_summary(pool->peers[one], a);
    catalog_summary(pool->peers[other], b);
    assert_memory_equal(a, b, sizeof a);
}

/* ---- rumours */

static void a_change_is_a_rumour_at_once_and_passed_on(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    pump(pool);
    assert_int_equal(pool->kicks, 1);
    assert_int_equal(gossip(pool, 0, 1), 1);
    pump(pool);
    assert_true(sees(pool, 1, 0, "w1"));
    assert_int_equal(pool->kicks, 2);
    assert_int_equal(gossip(pool, 1, 2), 1);
    assert_true(sees(pool, 2, 0, "w1"));
}

static void a_rumour_is_told_a_few_times_only(void **state)
{
    struct pool *pool = *state;
    int told = 0;

    put(pool, 0, "w1");
    for (int i = 0; i < 20; i++) {
        told += gossip(pool, 0, 1);
    }
    assert_int_equal(told, 8);
    assert_int_equal(catalog_counters(pool->peers[1])->rumours_stale, 7);
}

static void a_flip_is_small(void **state)
{
    struct pool *pool = *state;
    uint8_t space[PACKET];
    struct catalog_result result = {.check_id = "service:web:1",
                                    .status = CHECK_CRITICAL};

    put_check(pool, 0, "service:web:1", "");
    hush(pool, 0);
    assert_int_equal(catalog_update_check(pool->peers[0], pool->now_ms, &result), RC_OK);
    size_t size = catalog_fill(pool->peers[0], pool->now_ms, space, sizeof space);

    assert_in_range(size, 1, 60);
}

static void changes_within_100_ms_become_one_rumour(void **state)
{
    struct pool *pool = *state;
    struct catalog_service service = {.id = "w2", .name = "web"};

    put(pool, 0, "w1");
    (void)gossip(pool, 0, 1);
    put(pool, 0, "w0");
    (void)catalog_put_service(pool->peers[0], pool->now_ms + 10, &service, NULL);
    service.id = "w3";
    (void)catalog_put_service(pool->peers[0], pool->now_ms + 20, &service, NULL);

    assert_int_equal(gossip(pool, 0, 1), 1); /* tells all that is known by now */
    assert_true(sees(pool, 1, 0, "w3"));
    catalog_tick(pool->peers[0], pool->now_ms + 20);
    assert_in_range(catalog_deadline_ms(pool->peers[0]), pool->now_ms + 21,
                    pool->now_ms + 100);
}

static void a_newer_rumour_absorbs_the_older(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    put(pool, 0, "w2");
    assert_int_equal(gossip(pool, 0, 1), 1);
    assert_true(sees(pool, 1, 0, "w1"));
    assert_true(sees(pool, 1, 0, "w2"));
}

static void what_fits_no_packet_is_asked_for(void **state)
{
    struct pool *pool = *state;
    char big[CATALOG_NOTES_MAX + 1];

    memset(big, 'n', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    struct catalog_check check = {.id = "big", .notes = big, .definition = big};
    pool->now_ms += 200;
    assert_int_equal(catalog_put_check(pool->peers[0], pool->now_ms, &check, NULL),
                     RC_OK);
    assert_int_equal(gossip(pool, 0, 1), 1);
    assert_null(catalog_check_find(view(pool, 1, 0), "big"));

    run_until(pool, pool->now_ms + 500);
    assert_non_null(catalog_check_find(view(pool, 1, 0), "big"));
    assert_int_equal(view(pool, 1, 0)->version, view(pool, 0, 0)->version);
}

static void many_changes_travel_in_several_packets(void **state)
{
    struct pool *pool = *state;
    char id[64];

    put(pool, 0, "first");
    (void)gossip(pool, 0, 1);
    hush(pool, 0);
    for (int i = 0; i < 39; i++) {
        (void)snprintf(id, sizeof id, "service-with-a-rather-long-name-%d", i);
        put(pool, 0, id);
    }
    for (int i = 0; i < 10; i++) {
        (void)gossip(pool, 0, 1);
    }
    assert_int_equal(view(pool, 1, 0)->service_count, 40);
    assert_int_equal(view(pool, 1, 0)->version, view(pool, 0, 0)->version);
}

/* ---- gaps */

static void a_gap_leads_to_a_sync_with_the_sender(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    hush(pool, 0);
    pool->now_ms += 5000; /* long ago: the next rumour does not repeat it */
    put(pool, 0, "w2");
    assert_int_equal(gossip(pool, 0, 1), 1);
    assert_false(sees(pool, 1, 0, "w2"));
    assert_int_equal(catalog_counters(pool->peers[1])->rumours_gap, 1);

    run_until(pool, pool->now_ms + 500);
    assert_true(sees(pool, 1, 0, "w1"));
    assert_true(sees(pool, 1, 0, "w2"));
    assert_int_equal(gossip(pool, 1, 2), 1); /* and the rumour goes on */
    assert_true(sees(pool, 2, 0, "w2"));
}

static void a_rumour_repeats_what_was_told_a_moment_ago(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    (void)gossip(pool, 0, 1);
    hush(pool, 0);
    put(pool, 0, "w2");
    hush(pool, 0); /* b misses this one, */
    put(pool, 0, "w3");
    assert_int_equal(gossip(pool, 0, 1), 1); /* ... and has it all the same */
    assert_true(sees(pool, 1, 0, "w2"));
    assert_true(sees(pool, 1, 0, "w3"));
    assert_int_equal(catalog_counters(pool->peers[1])->rumours_gap, 0);
}

static void a_differing_summary_leads_to_a_sync_both_ways(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    put(pool, 1, "x1");
    hush(pool, 0);
    hush(pool, 1);
    summaries(pool, 0, 1);
    run_until(pool, pool->now_ms + 3000);

    assert_true(sees(pool, 1, 0, "w1"));
    assert_true(sees(pool, 0, 1, "x1"));
    assert_equal(pool, 0, 1);
    assert_int_equal(catalog_counters(pool->peers[0])->syncs_failed, 0);
}

static void equal_summaries_lead_to_nothing(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    hush(pool, 0);
    summaries(pool, 0, 1);
    run_until(pool, pool->now_ms + 2000);
    uint64_t started = catalog_counters(pool->peers[1])->syncs_started;
    summaries(pool, 0, 1);
    run_until(pool, pool->now_ms + 20000);

    assert_int_equal(catalog_counters(pool->peers[1])->syncs_started, started);
}

static void large_pools_compare_buckets_first(void **state)
{
    struct pool *pool = *state;
    struct catalog_options options = {.now_ms = 1000, .wall_ms = 1000};
    struct rc_buffer record = {0};
    char name[32];

    for (int i = 0; i < 300; i++) { /* b learns 300 records that a does not know */
        struct catalog *other = NULL;
        uint8_t space[PACKET];
        (void)snprintf(name, sizeof name, "node-%d", i);
        options.node_name = name;
        assert_int_equal(catalog_create(&options, &other), RC_OK);
        struct catalog_service service = {.id = "s", .name = "s"};
        assert_int_equal(catalog_put_service(other, 1000, &service, NULL), RC_OK);
        size_t size = catalog_fill(other, 1000, space, sizeof space);
        assert_int_equal(catalog_receive(pool->peers[1], 1000, NULL, space, size), RC_OK);
        struct catalog_member member = {.name = name, .peer = true};
        catalog_member_event(pool->peers[1], 1000, 1, &member);
        catalog_member_event(pool->peers[0], 1000, 1, &member);
        catalog_destroy(other);
    }
    rc_buffer_fini(&record);
    hush(pool, 1);
    summaries(pool, 0, 1);
    summaries(pool, 1, 0);
    run_until(pool, pool->now_ms + 30000);

    assert_equal(pool, 0, 1);
    assert_int_equal(catalog_name_find(pool->peers[0], "s")->instance_count, 300);
}

/* ---- deletions */

static void a_deletion_travels_and_does_not_come_back(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    (void)gossip(pool, 0, 1);
    (void)gossip(pool, 0, 2);
    pool->now_ms += 200;
    assert_int_equal(catalog_remove_service(pool->peers[0], pool->now_ms, "w1"), RC_OK);
    (void)gossip(pool, 0, 1);
    assert_false(sees(pool, 1, 0, "w1"));

    hush(pool, 0);
    hush(pool, 1);
    assert_true(sees(pool, 2, 0, "w1")); /* c is stale, and must not infect others */
    summaries(pool, 1, 2);
    run_until(pool, pool->now_ms + 3000);
    assert_false(sees(pool, 1, 0, "w1"));
    assert_false(sees(pool, 2, 0, "w1"));
}

static void below_the_floor_the_whole_record_is_sent(void **state)
{
    struct pool *pool = *state;
    char id[16];

    put(pool, 0, "stays");
    put(pool, 0, "goes");
    (void)gossip(pool, 0, 1);
    hush(pool, 0);
    assert_int_equal(catalog_remove_service(pool->peers[0], pool->now_ms, "goes"), RC_OK);
    for (int i = 0; i < 300; i++) { /* more deletions than are kept */
        (void)snprintf(id, sizeof id, "w%d", i);
        put(pool, 0, id);
        assert_int_equal(catalog_remove_service(pool->peers[0], pool->now_ms, id), RC_OK);
    }
    hush(pool, 0);
    summaries(pool, 0, 1);
    run_until(pool, pool->now_ms + 3000);

    assert_true(sees(pool, 1, 0, "stays"));
    assert_false(sees(pool, 1, 0, "goes"));
    assert_equal(pool, 0, 1);
}

/* ---- epochs */

static void restart(struct pool *pool, int which, uint64_t wall_ms)
{
    catalog_destroy(pool->peers[which]);
    pool->peers[which] = make_peer(which, wall_ms);
    introduce(pool, which);
}

static void a_restart_replaces_the_old_record(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "old");
    put(pool, 0, "both");
    (void)gossip(pool, 0, 1);
    uint64_t index = catalog_service_find(view(pool, 1, 0), "both")->modify_index;

    restart(pool, 0, 2000);
    put(pool, 0, "both");
    (void)gossip(pool, 0, 1);

    assert_false(sees(pool, 1, 0, "old"));
    assert_true(sees(pool, 1, 0, "both"));
    assert_int_equal(catalog_service_find(view(pool, 1, 0), "both")->modify_index, index);
}

static void an_older_epoch_is_ignored(void **state)
{
    struct pool *pool = *state;
    uint8_t old[PACKET];

    put(pool, 0, "old");
    size_t size = catalog_fill(pool->peers[0], pool->now_ms, old, sizeof old);
    restart(pool, 0, 2000);
    put(pool, 0, "new");
    (void)gossip(pool, 0, 1);
    assert_int_equal(catalog_receive(pool->peers[1], pool->now_ms, "a", old, size),
                     RC_OK);

    assert_false(sees(pool, 1, 0, "old"));
    assert_true(sees(pool, 1, 0, "new"));
}

static void who_meets_a_later_life_of_itself_outbids_it(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "old");
    (void)gossip(pool, 0, 1);
    hush(pool, 1);
    restart(pool, 0, 500); /* the disk is lost and the clock went back */
    put(pool, 0, "new");
    hush(pool, 0);
    uint64_t before = catalog_epoch(pool->peers[0]);
    summaries(pool, 1, 0);
    run_until(pool, pool->now_ms + 3000);
    assert_true(catalog_epoch(pool->peers[0]) > before);
    assert_int_equal(catalog_counters(pool->peers[0])->records_own_echo, 1);
    assert_true(sees(pool, 0, 0, "new"));
    assert_false(sees(pool, 0, 0, "old"));

    (void)gossip(pool, 0, 1);
    assert_true(sees(pool, 1, 0, "new"));
    assert_false(sees(pool, 1, 0, "old"));
    assert_equal(pool, 0, 1);
}

/* ---- graves */

static void a_stale_peer_cannot_bring_back_who_left(void **state)
{
    struct pool *pool = *state;
    uint8_t old[PACKET];

    put(pool, 0, "w1");
    size_t size = catalog_fill(pool->peers[0], pool->now_ms, old, sizeof old);
    (void)gossip(pool, 0, 1);
    (void)gossip(pool, 0, 2);
    tell_member(pool, 1, 0, CATALOG_LEFT);
    assert_null(view(pool, 1, 0));
    assert_null(catalog_name_find(pool->peers[1], "web"));

    assert_int_equal(catalog_receive(pool->peers[1], pool->now_ms, "c", old, size),
                     RC_EDENIED);
    summaries(pool, 2, 1);
    run_until(pool, pool->now_ms + 3000);
    assert_null(catalog_name_find(pool->peers[1], "web"));

    restart(pool, 0, 9000); /* it really comes back */
    put(pool, 0, "w2");
    (void)gossip(pool, 0, 1);
    assert_true(sees(pool, 1, 0, "w2"));
}

static void a_failed_node_keeps_its_record(void **state)
{
    struct pool *pool = *state;

    put(pool, 0, "w1");
    (void)gossip(pool, 0, 1);
    tell_member(pool, 1, 0, CATALOG_FAILED);

    assert_true(sees(pool, 1, 0, "w1"));
    const struct catalog_service *web =
        catalog_name_find(pool->peers[1], "web")->instances[0];
    assert_false(catalog_service_is_usable(web));
    assert_int_equal(catalog_service_health(web), CHECK_CRITICAL);
    tell_member(pool, 1, 0, CATALOG_ALIVE);
    assert_true(catalog_service_is_usable(web));
}

static void a_record_shows_when_its_node_is_known(void **state)
{
    struct pool *pool = *state;

    tell_member(pool, 1, 0, CATALOG_LEFT); /* b has never heard of a */
    restart(pool, 1, 1000);
    catalog_destroy(pool->peers[2]);
    pool->peers[2] = make_peer(2, 1000);
    put(pool, 0, "w1");
    (void)gossip(pool, 0, 2);
    assert_null(catalog_name_find(pool->peers[2], "web"));

    tell_member(pool, 2, 0, CATALOG_ALIVE);
    assert_non_null(catalog_name_find(pool->peers[2], "web"));
    assert_true(sees(pool, 2, 0, "w1"));
}

/* ---- outputs */

static void long_output_is_cut_in_rumours_and_fetched_later(void **state)
{
    struct pool *pool = *state;
    char text[3001];

    memset(text, 'o', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    put_check(pool, 0, "disk", text);
    (void)gossip(pool, 0, 1);
    const struct catalog_check *check = catalog_check_find(view(pool, 1, 0), "disk");
    assert_non_null(check);
    assert_true(check->output_cut);
    assert_int_equal(strlen(check->output), 256);

    run_until(pool, pool->now_ms + 5000);
    check = catalog_check_find(view(pool, 1, 0), "disk");
    assert_false(check->output_cut);
    assert_int_equal(strlen(check->output), 3000);
    uint64_t started = catalog_counters(pool->peers[1])->syncs_started;
    run_until(pool, pool->now_ms + 20000);
    assert_int_equal(catalog_counters(pool->peers[1])->syncs_started, started);
}

/* ---- what others may do to us */

static void nonsense_changes_nothing_but_counters(void **state)
{
    struct pool *pool = *state;
    static const struct {
        const char *why;
        const char *bytes;
        size_t size;
        int want;
    } cases[] = {
        {"empty", "", 0, RC_ETRUNCATED},
        {"another format", "\x02\x91", 2, RC_EUNSUPPORTED},
        {"no delta", "\x01\x90", 2, RC_EMALFORMED},
        {"not an array", "\x01\x91\x05", 3, RC_EMALFORMED},
        {"without an owner", "\x01\x91\x97\xa0\x01\x00\x00\x90\x01\xc0", 10,
         RC_EMALFORMED},
        {"a count that lies", "\x01\x91\x97\xa1z\x01\x00\x00\xdd\xff\xff\xff\xff", 13,
         RC_ETRUNCATED},
        {"base above version", "\x01\x91\x97\xa1z\x01\x05\x00\x90\x01\xc0", 11,
         RC_EMALFORMED},
        {"an operation beyond the version",
         "\x01\x91\x97\xa1z\x01\x00\x01\x91\x93\x02\x09\xa1x\x01\xc0", 16, RC_EMALFORMED},
    };

    uint64_t index = catalog_index(pool->peers[0], CATALOG_TOPIC_ALL, "");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int got = catalog_receive(pool->peers[0], pool->now_ms, NULL, cases[i].bytes,
                                  cases[i].size);
        if (got != cases[i].want) {
            fail_msg("%s: got %s", cases[i].why, rc_strerror(got));
        }
    }
    assert_int_equal(catalog_index(pool->peers[0], CATALOG_TOPIC_ALL, ""), index);
    assert_int_equal(catalog_counters(pool->peers[0])->messages_malformed, 7);
}

static void later_versions_may_add_fields_and_operations(void **state)
{
    struct pool *pool = *state;
    /* owner "z", epoch 7, base 0, whole, operations: an unknown one with a map, a service
     * with three fields only; version 2, signature, and a field more */
    static const char bytes[] = "\x01\x91\x98\xa1z\x07\x00\x01\x92"
                                "\x93\x63\x01\x81\xa1k\xc3"
                                "\x93\x03\x02\xa1s"
                                "\x02\xc4\x01\xff\xa3new";

    int got =
        catalog_receive(pool->peers[0], pool->now_ms, NULL, bytes, sizeof bytes - 1);
    assert_int_equal(got, RC_OK);
    struct catalog_member member = {.name = "z", .peer = true};
    catalog_member_event(pool->peers[0], pool->now_ms, 1, &member);

    const struct catalog_name *name = catalog_name_find(pool->peers[0], "s");
    assert_non_null(name);
    assert_int_equal(name->instances[0]->node->version, 2);
}

static void over_quota_parts_of_others_are_ignored(void **state)
{
    struct pool *pool = *state;
    struct catalog_options options = {.node_name = "d", .wall_ms = 1, .services_max = 2};
    struct catalog *small = NULL;
    uint8_t space[PACKET];

    assert_int_equal(catalog_create(&options, &small), RC_OK);
    put(pool, 0, "w1");
    put(pool, 0, "w2");
    put(pool, 0, "w3");
    size_t size = catalog_fill(pool->peers[0], pool->now_ms, space, sizeof space);
    assert_int_equal(catalog_receive(small, pool->now_ms, "a", space, size), RC_OK);
    struct catalog_member member = {.name = "a", .peer = true};
    catalog_member_event(small, pool->now_ms, 1, &member);

    assert_int_equal(catalog_node_find(small, "a")->service_count, 2);
    assert_int_equal(catalog_counters(small)->records_over_quota, 1);
    catalog_destroy(small);
}

static void the_same_inputs_give_the_same_outputs(void **state)
{
    struct pool *pool = *state;
    uint8_t one[PACKET];
    uint8_t two[PACKET];

    struct catalog *twin = make_peer(0, 1000);
    struct catalog_service service = {.id = "w1", .name = "web"};
    (void)catalog_put_service(twin, 2000, &service, NULL);
    (void)catalog_put_service(pool->peers[0], 2000, &service, NULL);
    size_t first = catalog_fill(twin, 2000, one, sizeof one);
    size_t second = catalog_fill(pool->peers[0], 2000, two, sizeof two);

    assert_int_equal(first, second);
    assert_memory_equal(one, two, first);
    catalog_destroy(twin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_a_rumour_at_once_and_passed_on),
        TEST(a_rumour_is_told_a_few_times_only),
        TEST(a_flip_is_small),
        TEST(changes_within_100_ms_become_one_rumour),
        TEST(a_newer_rumour_absorbs_the_older),
        TEST(what_fits_no_packet_is_asked_for),
        TEST(many_changes_travel_in_several_packets),
        TEST(a_gap_leads_to_a_sync_with_the_sender),
        TEST(a_rumour_repeats_what_was_told_a_moment_ago),
        TEST(a_differing_summary_leads_to_a_sync_both_ways),
        TEST(equal_summaries_lead_to_nothing),
        TEST(large_pools_compare_buckets_first),
        TEST(a_deletion_travels_and_does_not_come_back),
        TEST(below_the_floor_the_whole_record_is_sent),
        TEST(a_restart_replaces_the_old_record),
        TEST(an_older_epoch_is_ignored),
        TEST(who_meets_a_later_life_of_itself_outbids_it),
        TEST(a_stale_peer_cannot_bring_back_who_left),
        TEST(a_failed_node_keeps_its_record),
        TEST(a_record_shows_when_its_node_is_known),
        TEST(long_output_is_cut_in_rumours_and_fetched_later),
        TEST(nonsense_changes_nothing_but_counters),
        TEST(later_versions_may_add_fields_and_operations),
        TEST(over_quota_parts_of_others_are_ignored),
        TEST(the_same_inputs_give_the_same_outputs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
