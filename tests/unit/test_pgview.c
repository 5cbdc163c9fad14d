/* test_pgview.c - who may be written, as an agent says, and for how long that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/random.h"
#include "proxy/discover/pgview.h"

static const char whole[] =
    "{\"Cluster\":\"main\",\"Term\":7,\"TTLms\":3000,\"Primary\":{\"Node\":\"pg1\","
    "\"Address\":\"10.0.0.1\",\"Port\":5432,\"Writable\":true},\"Members\":["
    "{\"Node\":\"pg1\",\"Address\":\"10.0.0.1\",\"Port\":5432,\"ReadOk\":false},"
    "{\"Node\":\"pg2\",\"Address\":\"10.0.0.2\",\"Port\":5433,\"ReadOk\":true,"
    "\"LagBytes\":900,\"LagMs\":5}]}";

static struct pgview_word parse(const char *text)
{
    struct pgview_word word;
    if (pgview_parse(text, strlen(text), &word) != RC_OK) {
        fail_msg("not taken: %s", text);
    }
    return word;
}

/* Term and holder, writable by a member at 10.0.0.1. */
static struct pgview_word word_of(uint64_t term, const char *primary)
{
    struct pgview_word word = {
        .term = term, .writable = primary[0] != '\0', .ttl_ms = 3000};
    (void)snprintf(word.primary, sizeof word.primary, "%s", primary);
    assert_int_equal(rc_address_parse_ip("10.0.0.1", 5432, &word.primary_address), RC_OK);
    return word;
}

static void init(struct pgview *view)
{
    static const struct config_pool config = {.name = "db"};
    pgview_init(view, &config);
}

static void an_answer_names_holder_and_members(void **state)
{
    (void)state;
    struct pgview_word word = parse(whole);
    assert_int_equal(word.term, 7);
    assert_true(word.writable);
    assert_string_equal(word.primary, "pg1");
    assert_int_equal(word.primary_address.port, 5432);
    assert_int_equal(word.ttl_ms, 3000);
    assert_int_equal(word.count, 2);
    assert_string_equal(word.members[1].node, "pg2");
    assert_true(word.members[1].read_ok);
    assert_int_equal(word.members[1].lag_bytes, 900);
}

static void whoever_is_not_said_to_be_writable_is_not(void **state)
{
    static const char *const texts[] = {
        "{\"Term\":7}",
        "{\"Term\":7,\"Primary\":null}",
        "{\"Term\":7,\"Primary\":{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"Port\":1}}",
        "{\"Term\":7,\"Primary\":{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"Port\":1,"
        "\"Writable\":1}}",
        "{\"Term\":7,\"Primary\":{\"Node\":\"a\",\"Address\":\"host\",\"Port\":1,"
        "\"Writable\":true}}",
        "{\"Term\":7,\"Primary\":{\"Node\":\"a\",\"Address\":\"10.0.0.1\",\"Port\":70000,"
        "\"Writable\":true}}",
        "{\"Term\":7,\"Primary\":{\"Node\":\"\",\"Address\":\"10.0.0.1\",\"Port\":1,"
        "\"Writable\":true}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i]).writable) {
            fail_msg("writable: %s", texts[i]);
        }
    }
}

static void what_is_no_cluster_is_refused(void **state)
{
    static const char *const texts[] = {"", "[]", "{}", "7", "{\"Term\":\"7\"}", "{\"T"};
    struct pgview_word word;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(pgview_parse(texts[i], strlen(texts[i]), &word), RC_EMALFORMED);
    }
}

static void a_word_counts_from_when_it_was_asked_for(void **state)
{
    struct pgview view;
    struct pgview_word word = word_of(7, "pg1");
    (void)state;
    init(&view);

    assert_int_equal(pgview_counts_until_ms(&view), 0);
    assert_true(pgview_hear(&view, &word, 1000, 1500));
    assert_int_equal(pgview_counts_until_ms(&view), 3000); /* the TTL less a second */
    assert_false(pgview_tick(&view, 2999));
    assert_true(pgview_tick(&view, 3000));
    assert_int_equal(view.state, PGVIEW_LOST);
    assert_int_equal(pgview_counts_until_ms(&view), 0);
    assert_false(pgview_tick(&view, 3001));
    assert_true(pgview_hear(&view, &word, 3100, 3200));
    assert_int_equal(view.state, PGVIEW_CURRENT);
}

static void an_answer_that_took_too_long_counts_for_nothing(void **state)
{
    struct pgview view;
    struct pgview_word word = word_of(7, "pg1");
    (void)state;
    init(&view);
    assert_true(pgview_hear(&view, &word, 1000, 3000));
    assert_int_equal(view.state, PGVIEW_LOST);
}

static void short_and_configured_ages_are_kept(void **state)
{
    static const struct config_pool config = {.view_max_ms = 700};
    struct pgview view;
    struct pgview_word word = word_of(7, "pg1");
    (void)state;
    init(&view);
    word.ttl_ms = 1500;
    assert_true(pgview_hear(&view, &word, 1000, 1000));
    assert_int_equal(pgview_age_max_ms(&view), 750);
    pgview_configure(&view, &config);
    assert_int_equal(pgview_age_max_ms(&view), 700);
}

static void a_term_never_goes_back(void **state)
{
    struct pgview view;
    struct pgview_word newer = word_of(8, "pg2");
    struct pgview_word older = word_of(7, "pg1");
    (void)state;
    init(&view);
    assert_true(pgview_hear(&view, &newer, 1000, 1000));
    assert_false(pgview_hear(&view, &older, 1100, 1100));
    assert_string_equal(view.word.primary, "pg2");
    assert_int_equal(view.heard_at_ms, 1000); /* it made nothing fresher */
    assert_true(pgview_tick(&view, 3000));
    assert_false(pgview_hear(&view, &older, 3100, 3100));
    assert_true(pgview_hear(&view, &older, 24000, 24000)); /* the store was set up anew */
    assert_string_equal(view.word.primary, "pg1");
}

static void no_cluster_is_nobody(void **state)
{
    struct pgview view;
    struct pgview_word word = word_of(8, "pg2");
    (void)state;
    init(&view);
    assert_true(pgview_hear(&view, &word, 1000, 1000));
    assert_true(pgview_hear(&view, NULL, 1100, 1100));
    assert_false(view.word.writable);
    assert_int_equal(view.word.term, 8);
    assert_int_equal(view.word.count, 0);
}

static void who_fell_behind_comes_back_at_half_the_limit(void **state)
{
    static const struct config_pool config = {.max_lag_bytes = 1000, .max_lag_ms = 100};
    static const struct {
        uint64_t bytes;
        uint64_t ms;
        bool in_pool;
    } steps[] = {{900, 90, true},   {1001, 0, false}, {900, 0, false}, {500, 50, true},
                 {900, 101, false}, {500, 60, false}, {400, 50, true}};
    struct pgview view;
    struct pgview_word word = parse(whole);
    (void)state;
    init(&view);

    pgview_init(&view, &config);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        word.members[1].lag_bytes = steps[i].bytes;
        word.members[1].lag_ms = steps[i].ms;
        assert_true(pgview_hear(&view, &word, 1000 + i, 1000 + i));
        if (view.word.members[1].in_pool != steps[i].in_pool) {
            fail_msg("step %zu", i);
        }
    }
}

static void entries_tell_roles(void **state)
{
    struct lineup_entry entries[PGVIEW_MEMBERS_MAX + 1];
    struct pgview view;
    struct pgview_word word = parse(whole);
    (void)state;
    init(&view);

    assert_true(pgview_hear(&view, &word, 1000, 1000));
    assert_int_equal(pgview_entries(&view, entries), 2);
    assert_int_equal(entries[0].claim, UPSTREAM_ROLE_PRIMARY);
    assert_int_equal(entries[1].claim, UPSTREAM_ROLE_STANDBY);
    assert_string_equal(entries[1].id, "pg2");
    word.writable = false;
    assert_true(pgview_hear(&view, &word, 1000, 1000));
    assert_int_equal(pgview_entries(&view, entries), 2);
    assert_int_equal(entries[0].claim, UPSTREAM_ROLE_UNKNOWN);
    word.writable = true;
    word.count = 0;
    assert_true(pgview_hear(&view, &word, 1000, 1000));
    assert_int_equal(pgview_entries(&view, entries), 1);
    assert_string_equal(entries[0].id, "pg1");
    assert_int_equal(entries[0].claim, UPSTREAM_ROLE_PRIMARY);
}

static size_t primaries_of(const struct pgview *view)
{
    struct lineup_entry entries[PGVIEW_MEMBERS_MAX + 1];
    size_t count = pgview_entries(view, entries);
    size_t primaries = 0;
    for (size_t i = 0; i < count; i++) {
        primaries += entries[i].claim == UPSTREAM_ROLE_PRIMARY;
    }
    return primaries;
}

/* Whatever is heard in which order: one primary at most, of the highest term heard, and no view that
 * is current and too old. */
static void any_words_make_one_primary_at_most(void **state)
{
    static const char *const names[] = {"pg1", "pg2", "pg3", ""};
    struct pgview view;
    struct rc_random random;
    uint64_t now_ms = 1000;
    uint64_t highest = 0;
    bool ok = true;
    (void)state;
    init(&view);

    rc_random_init(&random, 11);
    for (int step = 0; step < 20000 && ok; step++) {
        uint64_t term = 1 + (uint64_t)step / 100 + rc_random_below(&random, 3);
        struct pgview_word word = word_of(term, names[rc_random_below(&random, 4)]);
        now_ms += rc_random_below(&random, 1500);
        (void)pgview_tick(&view, now_ms);
        bool lost = view.state == PGVIEW_LOST;
        uint64_t asked_ms = now_ms - rc_random_below(&random, 900);
        if (rc_random_below(&random, 3) > 0 &&
            pgview_hear(&view, &word, asked_ms, now_ms)) {
            ok = word.term >= highest || lost;
            highest = word.term;
        }
        bool fresh = now_ms < view.heard_at_ms + pgview_age_max_ms(&view);
        ok = ok && primaries_of(&view) <= 1 && (view.state != PGVIEW_CURRENT || fresh);
    }
    assert_true(ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_names_holder_and_members),
        cmocka_unit_test(whoever_is_not_said_to_be_writable_is_not),
        cmocka_unit_test(what_is_no_cluster_is_refused),
        cmocka_unit_test(a_word_counts_from_when_it_was_asked_for),
        cmocka_unit_test(an_answer_that_took_too_long_counts_for_nothing),
        cmocka_unit_test(short_and_configured_ages_are_kept),
        cmocka_unit_test(a_term_never_goes_back),
        cmocka_unit_test(no_cluster_is_nobody),
        cmocka_unit_test(who_fell_behind_comes_back_at_half_the_limit),
        cmocka_unit_test(entries_tell_roles),
        cmocka_unit_test(any_words_make_one_primary_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
