/* test_quorum.c - the rule of confirmation, held to a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "agent/keeper/keeper.h"
#include "agent/keeper/quorum.h"
#include "base/err.h"
#include "base/random.h"

enum { NAMES = 5, ALL = 1 << NAMES, PAST_MAX = 64, WALKS = 3000, STEPS = 60 };

/* Sets as bits, so that all subsets can be tried. */
struct rule {
    unsigned names;
    int k;
};

struct model {
    struct quorum_now now;
    struct rule past[PAST_MAX]; /* in force for commits not known to be elsewhere */
    size_t past_count;
    struct quorum_names wish;
    enum quorum_alone alone;
    struct rc_random random;
};

static unsigned bits_of(const struct quorum_set *set)
{
    unsigned bits = 0;

    for (size_t i = 0; i < set->count; i++) {
        bits |= 1U << (set->names[i][0] - 'a');
    }
    return bits;
}

static void set_of(unsigned bits, struct quorum_set *out)
{
    *out = (struct quorum_set){.count = 0};
    for (unsigned i = NAMES; i > 0; i--) { /* backwards: adding sorts */
        const char name[2] = {(char)('a' + (int)i - 1), '\0'};
        if ((bits >> (i - 1) & 1) != 0) {
            assert_true(quorum_set_add(out, name));
        }
    }
}

static int size_of(unsigned bits)
{
    return __builtin_popcount(bits);
}

/* Some set may acknowledge by `rule` and another elect by `record`, and they share nobody. */
static bool may_miss(const struct rule *rule, const struct quorum_record *record)
{
    unsigned members = bits_of(&record->members);

    if (record->q == KEEPER_QUORUM_NEVER) {
        return false;
    }
    for (unsigned acks = 0; acks < ALL; acks++) {
        if ((acks & ~rule->names) != 0 || size_of(acks) != rule->k) {
            continue;
        }
        for (unsigned votes = 0; votes < ALL; votes++) {
            bool elects = (votes & ~members) == 0 && size_of(votes) == record->q;
            if (elects && (votes & acks) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void check(const struct model *m, const struct quorum_record *record)
{
    for (size_t i = 0; i < m->past_count && record->q != 0; i++) {
        if (may_miss(&m->past[i], record)) {
            fail_msg("%d of %x acknowledge, %d of %x elect: they need not meet",
                     m->past[i].k, m->past[i].names, record->q,
                     bits_of(&record->members));
        }
    }
}

static void add_past(struct model *m, const struct quorum_names *names)
{
    struct rule rule = {.names = bits_of(&names->names), .k = names->k};

    for (size_t i = 0; i < m->past_count; i++) {
        if (m->past[i].names == rule.names && m->past[i].k == rule.k) {
            return;
        }
    }
    assert_true(m->past_count < PAST_MAX);
    m->past[m->past_count++] = rule;
}

static void draw_wish(struct model *m)
{
    unsigned bits = (unsigned)rc_random_below(&m->random, ALL);
    int count = size_of(bits);

    m->alone = rc_random_below(&m->random, 12) == 0 ? QUORUM_ANYBODY : QUORUM_NOBODY;
    set_of(m->alone == QUORUM_ANYBODY ? 0 : bits, &m->wish.names);
    m->wish.k = count == 0 || m->alone == QUORUM_ANYBODY
                    ? 0
                    : 1 + (int)rc_random_below(&m->random, (uint64_t)count);
    if (count == 0 && m->alone == QUORUM_NOBODY && rc_random_below(&m->random, 4) == 0) {
        m->wish.k = 1; /* strict, and nobody is there */
    }
}

/* One step; what is asked may be half done when the wish changes. */
static enum quorum_step take_step(struct model *m)
{
    struct quorum_next next;

    quorum_step(&m->now, &m->wish, m->alone, &next);
    if (next.step == QUORUM_WRITE) {
        check(m, &next.record); /* while it is under way either holds */
        m->now.record = next.record;
    } else if (next.step == QUORUM_SET) {
        add_past(m, &next.names);
        check(m, &m->now.record);
        m->now.names_are_known = rc_random_below(&m->random, 8) != 0;
        m->now.names = next.names;
        m->now.is_caught_up = false;
    } else if (next.step == QUORUM_CATCH) {
        m->now.is_caught_up = true;
        m->past_count = 0;
        add_past(m, &m->now.names);
    }
    check(m, &m->now.record);
    return next.step;
}

static void every_acknowledging_set_meets_every_electing_set_at_every_step(void **state)
{
    (void)state;
    for (uint64_t walk = 1; walk <= WALKS; walk++) {
        struct model m = {.now = {.record = {.q = KEEPER_QUORUM_NEVER}}};
        rc_random_init(&m.random, walk);
        add_past(&m, &m.now.names);
        draw_wish(&m);
        for (int i = 0; i < STEPS; i++) {
            if (take_step(&m) == QUORUM_REST || rc_random_below(&m.random, 4) == 0) {
                draw_wish(&m);
            }
        }
    }
}

static void every_wish_is_reached_in_five_steps(void **state)
{
    (void)state;
    for (uint64_t walk = 1; walk <= WALKS; walk++) {
        struct model m = {.now = {.record = {.q = KEEPER_QUORUM_NEVER}}};
        rc_random_init(&m.random, walk);
        add_past(&m, &m.now.names);
        for (int wish = 0; wish < 5; wish++) {
            int steps = 0;
            draw_wish(&m);
            while (take_step(&m) != QUORUM_REST) {
                steps += m.now.names_are_known; /* a setting that fails is done again */
                assert_true(steps <= 5);
            }
            assert_int_equal(m.now.names.k, m.wish.k);
            assert_true(quorum_set_equals(&m.now.names.names, &m.wish.names));
            assert_true(m.wish.k == 0 ||
                        m.now.record.q == quorum_of(&m.wish.names, m.wish.k));
        }
    }
}

static struct quorum_names names_of(unsigned bits, int k)
{
    struct quorum_names names = {.k = k};

    set_of(bits, &names.names);
    return names;
}

static void the_first_member_counts_when_it_has_all_that_was_written_alone(void **state)
{
    struct quorum_now now = {.record = {.q = KEEPER_QUORUM_NEVER},
                             .names_are_known = true};
    struct quorum_names wish = names_of(1, 1);
    struct quorum_next next;

    (void)state;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_WRITE);
    assert_int_equal(next.record.q, KEEPER_QUORUM_NEVER);
    assert_int_equal(next.record.members.count, 1);
    now.record = next.record;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_SET);
    now.names = next.names;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_CATCH);
    now.is_caught_up = true;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_WRITE);
    assert_int_equal(next.record.q, 1);
}

static void going_alone_forbids_elections_first(void **state)
{
    struct quorum_now now = {.record = {.q = 1}, .names_are_known = true};
    struct quorum_names wish = names_of(0, 0);
    struct quorum_next next;

    (void)state;
    set_of(1, &now.record.members);
    now.names = names_of(1, 1);
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_WRITE);
    assert_int_equal(next.record.q, KEEPER_QUORUM_NEVER);
    now.record = next.record;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_SET);
    assert_int_equal(next.names.k, 0);
}

static void a_member_is_removed_from_the_names_before_the_record(void **state)
{
    struct quorum_now now = {
        .record = {.q = 2}, .names_are_known = true, .is_caught_up = true};
    struct quorum_names wish = names_of(1, 1);
    struct quorum_next next;

    (void)state;
    set_of(3, &now.record.members);
    now.names = names_of(3, 1);
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_SET);
    now.names = next.names;
    now.is_caught_up = false;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_CATCH);
    now.is_caught_up = true;
    quorum_step(&now, &wish, QUORUM_NOBODY, &next);
    assert_int_equal(next.step, QUORUM_WRITE);
    assert_int_equal(next.record.q, 1);
    assert_int_equal(next.record.members.count, 1);
}

static void names_are_shown_as_postgresql_reads_them(void **state)
{
    static const struct {
        unsigned bits;
        int k;
        const char *want;
    } cases[] = {{0, 0, ""},
                 {1, 1, "ANY 1 (\"a\")"},
                 {7, 2, "ANY 2 (\"a\", \"b\", \"c\")"},
                 {0, 1, KEEPER_BLOCKED_NAMES}};
    char space[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quorum_names names = names_of(cases[i].bits, cases[i].k);
        assert_int_equal(quorum_show(&names, space, sizeof space), RC_OK);
        assert_string_equal(space, cases[i].want);
    }
    struct quorum_names names = names_of(7, 2);
    assert_int_equal(quorum_show(&names, space, 8), RC_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_acknowledging_set_meets_every_electing_set_at_every_step),
        cmocka_unit_test(every_wish_is_reached_in_five_steps),
        cmocka_unit_test(the_first_member_counts_when_it_has_all_that_was_written_alone),
        cmocka_unit_test(going_alone_forbids_elections_first),
        cmocka_unit_test(a_member_is_removed_from_the_names_before_the_record),
        cmocka_unit_test(names_are_shown_as_postgresql_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
