#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/random.h"
#include "dns/answer/answer.h"
#include "dns/wire/message.h"
#include "tests/unit/dns_trial.h"
#include "tests/unit/dns_world.h"

enum {
    TRIALS = 1200,
    TRIAL_BYTES = 900,
    ROUNDS = 20000,
    A_SIZE = 16, /* of an A record with a compressed owner */
    MEMBERS = 5, /* of "five"; "hundred" has 100 */
    THREADS = 4
};

static void the_short_way_says_what_the_long_one_says(void **state)
{
    char why[DNS_TRIAL_WHY_MAX];
    uint8_t bytes[TRIAL_BYTES];

    (void)state;
    for (uint64_t seed = 1; seed <= TRIALS; seed++) {
        struct rc_random random;
        rc_random_init(&random, seed);
        for (size_t i = 0; i < TRIAL_BYTES; i++) {
            bytes[i] = (uint8_t)rc_random_next(&random);
        }
        if (dns_trial(bytes, TRIAL_BYTES, why) != 0) {
            fail_msg("seed %u: %s", (unsigned)seed, why);
        }
    }
}

struct asker {
    struct dns_options options;
    struct dns_answerer *answerer;
    uint8_t query[DNS_UDP_PLAIN_MAX];
    size_t query_size;
    uint8_t answer[DNS_MESSAGE_MAX];
    struct dns_outcome outcome;
};

static void begin(struct asker *a, struct dns_world *world, uint64_t seed)
{
    memset(a, 0, sizeof *a);
    dns_options_init(&a->options);
    assert_int_equal(
        dns_answerer_create(&a->options, dns_world_view(world), seed, &a->answerer),
        RC_OK);
}

static void ask(struct asker *a, const char *text, uint16_t type)
{
    const struct dns_client client = {.channel = DNS_CHANNEL_UDP_LOCAL};
    struct rc_writer writer = rc_writer_over(a->query, sizeof a->query);
    struct dns_name name;

    assert_int_equal(dns_name_from_text(text, &name), RC_OK);
    rc_writer_u64(&writer, 0x1234010000010000);
    rc_writer_u32(&writer, 0);
    rc_writer_bytes(&writer, name.wire, name.size);
    rc_writer_u16(&writer, type);
    rc_writer_u16(&writer, DNS_CLASS_IN);
    a->query_size = rc_writer_size(&writer);
    a->outcome = dns_answer(a->answerer, &client, a->query, a->query_size, a->answer,
                            sizeof a->answer);
    assert_int_equal(a->outcome.rcode, DNS_RCODE_NOERROR);
}

/* Which instance is the answer's number `i`: the last byte of its address. */
static size_t member_at(const struct asker *a, size_t i)
{
    return a->answer[a->query_size + i * A_SIZE + A_SIZE - 1];
}

static size_t answers_of(const struct asker *a)
{
    return (size_t)a->answer[6] << 8 | a->answer[7];
}

/* How far counts are from all being `expected`, in the measure of Pearson's test. */
static double distance(const unsigned *counts, size_t count, double expected)
{
    double sum = 0;

    for (size_t i = 0; i < count; i++) {
        double off = counts[i] - expected;
        sum += off * off / expected;
    }
    return sum;
}

/* The seed is always the same, and so are the counts: it passes or it does not. The bounds
 * are those that chance exceeds once in a million times. */
static void every_instance_comes_to_every_place_equally_often(void **state)
{
    unsigned counts[MEMBERS][MEMBERS] = {{0}};
    static struct asker a;

    struct dns_world *world = dns_world_create("127.0.0.1");
    dns_world_add(world, "five", MEMBERS);
    begin(&a, world, 11);
    for (size_t round = 0; round < ROUNDS; round++) {
        ask(&a, "five.service.rollcall", DNS_TYPE_A);
        assert_int_equal(answers_of(&a), MEMBERS);
        for (size_t i = 0; i < MEMBERS; i++) {
            counts[i][member_at(&a, i)]++;
        }
    }

    for (size_t i = 0; i < MEMBERS; i++) {
        assert_true(distance(counts[i], MEMBERS, (double)ROUNDS / MEMBERS) < 33.4);
    }
    dns_answerer_destroy(a.answerer);
    dns_world_destroy(world);
    (void)state;
}

static void every_order_comes_equally_often(void **state)
{
    unsigned counts[4 * 3 * 2] = {0};
    static struct asker a;

    struct dns_world *world = dns_world_create("127.0.0.1");
    dns_world_add(world, "four", 4);
    begin(&a, world, 12);
    for (size_t round = 0; round < ROUNDS; round++) {
        ask(&a, "four.service.rollcall", DNS_TYPE_A);
        size_t first = member_at(&a, 0);
        size_t second = member_at(&a, 1);
        size_t third = member_at(&a, 2);
        second -= second > first ? 1 : 0;
        size_t smaller = 0;
        for (size_t i = 0; i < third; i++) {
            smaller += i == member_at(&a, 0) || i == member_at(&a, 1) ? 0 : 1;
        }
        counts[(first * 3 + second) * 2 + smaller]++;
    }

    assert_true(distance(counts, 24, ROUNDS / 24.0) < 72.0);
    dns_answerer_destroy(a.answerer);
    dns_world_destroy(world);
    (void)state;
}

static void cut_answers_choose_every_instance_equally_often(void **state)
{
    unsigned counts[100] = {0};
    size_t chosen = 0;
    static struct asker a;

    struct dns_world *world = dns_world_create("127.0.0.1");
    dns_world_add(world, "hundred", 100);
    begin(&a, world, 13);
    for (size_t round = 0; round < ROUNDS; round++) {
        ask(&a, "hundred.service.rollcall", DNS_TYPE_A);
        assert_int_equal(a.outcome.truncated, DNS_YES);
        for (size_t i = 0; i < answers_of(&a); i++) {
            counts[member_at(&a, i)]++;
            chosen++;
        }
    }

    assert_int_equal(answers_of(&a), (DNS_UDP_PLAIN_MAX - a.query_size) / A_SIZE);
    assert_true(distance(counts, 100, (double)chosen / 100) < 181.0);
    dns_answerer_destroy(a.answerer);
    dns_world_destroy(world);
    (void)state;
}

static void *ask_all(void *context)
{
    static const uint16_t types[] = {DNS_TYPE_A, DNS_TYPE_SRV, DNS_TYPE_AAAA};
    static const char *const names[] = {"hundred.service.rollcall",
                                        "web.service.rollcall", "v1.web.service.rollcall",
                                        "dual.service.rollcall"};
    struct asker *a = context;

    for (size_t i = 0; i < 200; i++) {
        ask(a, names[i % 4], types[i / 4 % 3]);
    }
    return NULL;
}

/* For the thread sanitizer, too. */
static void threads_share_what_is_ready(void **state)
{
    static struct asker askers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (int round = 0; round < 10; round++) {
        struct dns_world *world = dns_world_create("127.0.0.1");
        dns_world_add(world, "hundred", 100);
        for (size_t i = 0; i < THREADS; i++) {
            begin(&askers[i], world, i);
            assert_int_equal(pthread_create(&threads[i], NULL, ask_all, &askers[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(threads[i], NULL), 0);
            dns_answerer_destroy(askers[i].answerer);
        }
        dns_world_destroy(world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_short_way_says_what_the_long_one_says),
        cmocka_unit_test(every_instance_comes_to_every_place_equally_often),
        cmocka_unit_test(every_order_comes_equally_often),
        cmocka_unit_test(cut_answers_choose_every_instance_equally_often),
        cmocka_unit_test(threads_share_what_is_ready),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
