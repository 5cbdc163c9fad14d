/* test_lineup.c - who belongs to a pool, by whose word, and who may be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/upstream/lineup.h"

enum { HOLD_EMPTY_MS = 10000 };

static struct lineup *make_with(const char *probe_user)
{
    struct config_pool config = {.service = "web",
                                 .dns_name = "_web._tcp.x",
                                 .outlier_failures = 3,
                                 .outlier_base_ms = 1000,
                                 .outlier_max_percent = 50};
    (void)rc_text_put(config.probe_user, sizeof config.probe_user, probe_user);
    struct lineup *lineup = lineup_create(&config, HOLD_EMPTY_MS, 1, 0);
    assert_non_null(lineup);
    return lineup;
}

static struct lineup *make(void)
{
    return make_with("");
}

static struct lineup_entry entry(const char *id, uint16_t port, enum upstream_role claim)
{
    struct lineup_entry made = {.weight = 1, .claim = claim};
    (void)rc_text_put(made.id, sizeof made.id, id);
    (void)rc_address_parse_ip("10.0.0.1", port, &made.address);
    return made;
}

/* "id:port" of those present, "-" before the port of those on their way out. */
static void assert_members(const struct lineup *lineup, const char *want)
{
    char got[512] = "";
    for (size_t i = 0; i < lineup_count(lineup); i++) {
        const struct lineup_member *m = lineup_at(lineup, i);
        size_t used = strlen(got);
        (void)snprintf(got + used, sizeof got - used, "%s%s:%s%u", i > 0 ? " " : "",
                       m->instance->id, m->upstream.present ? "" : "-",
                       (unsigned)m->instance->address.port);
    }
    assert_string_equal(got, want);
}

static bool tell(struct lineup *lineup, enum lineup_source source, size_t count,
                 const struct lineup_entry *entries, uint64_t now_ms)
{
    return lineup_apply(lineup, source, LINEUP_FULL, entries, count, now_ms);
}

static bool all_of(struct lineup *lineup, uint64_t now_ms)
{
    struct lineup_entry both[] = {entry("n1/a", 1, UPSTREAM_ROLE_NONE),
                                  entry("n2/a", 2, UPSTREAM_ROLE_NONE)};
    return tell(lineup, LINEUP_AGENT, 2, both, now_ms);
}

static void a_full_answer_adds_and_removes(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry one = entry("n2/a", 2, UPSTREAM_ROLE_NONE);

    assert_true(all_of(l, 1));
    assert_members(l, "n1/a:1 n2/a:2");
    assert_false(all_of(l, 2)); /* no news */
    assert_true(tell(l, LINEUP_AGENT, 1, &one, 3));
    assert_members(l, "n1/a:-1 n2/a:2");
    assert_true(lineup_tick(l, 4)); /* idle: forgotten */
    assert_members(l, "n2/a:2");
    lineup_destroy(l);
}

static void an_instance_that_stays_keeps_its_counters(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)all_of(l, 1);
    const struct instance *before = lineup_at(l, 0)->instance;
    struct lineup_entry three[] = {entry("n0/a", 3, UPSTREAM_ROLE_NONE),
                                   entry("n1/a", 1, UPSTREAM_ROLE_NONE),
                                   entry("n2/a", 2, UPSTREAM_ROLE_NONE)};
    (void)tell(l, LINEUP_AGENT, 3, three, 2);
    assert_ptr_equal(lineup_at(l, 1)->instance, before);
    lineup_destroy(l);
}

static void a_failed_source_changes_nothing(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_source_state source;
    (void)all_of(l, 1);

    (void)lineup_apply(l, LINEUP_AGENT, LINEUP_FAILED, NULL, 0, 2);

    assert_members(l, "n1/a:1 n2/a:2");
    lineup_source_state(l, LINEUP_AGENT, &source);
    assert_false(source.healthy);
    lineup_destroy(l);
}

static void a_partial_answer_adds_and_never_removes(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry first[] = {entry("", 1, UPSTREAM_ROLE_NONE)};
    struct lineup_entry second[] = {entry("", 2, UPSTREAM_ROLE_NONE)};
    (void)tell(l, LINEUP_DNS, 1, first, 1);

    (void)lineup_apply(l, LINEUP_DNS, LINEUP_PARTIAL, second, 1, 2);

    assert_members(l, "10.0.0.1:1:1 10.0.0.1:2:2");
    lineup_destroy(l);
}

static void empty_is_believed_after_three_answers_over_the_hold(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry one = entry("", 1, UPSTREAM_ROLE_NONE);
    (void)tell(l, LINEUP_DNS, 1, &one, 1);

    assert_false(lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 1000));
    assert_false(lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 2000));
    assert_false(lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 3000));
    assert_members(l, "10.0.0.1:1:1");
    assert_true(lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 11000));
    assert_members(l, "10.0.0.1:1:-1");
    lineup_destroy(l);
}

static void a_good_answer_in_between_starts_the_count_anew(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry one = entry("", 1, UPSTREAM_ROLE_NONE);
    (void)tell(l, LINEUP_DNS, 1, &one, 1);
    (void)lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 1000);
    (void)lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 2000);
    (void)tell(l, LINEUP_DNS, 1, &one, 3000);
    (void)lineup_apply(l, LINEUP_DNS, LINEUP_EMPTY, NULL, 0, 20000);
    assert_members(l, "10.0.0.1:1:1");
    lineup_destroy(l);
}

static void the_watchs_empty_set_counts_at_once(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)all_of(l, 1);
    assert_true(tell(l, LINEUP_AGENT, 0, NULL, 2));
    assert_members(l, "n1/a:-1 n2/a:-2");
    lineup_destroy(l);
}

static void while_the_watch_answers_dns_adds_nobody_and_keeps_nobody(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry one = entry("n1/a", 1, UPSTREAM_ROLE_NONE);
    struct lineup_entry dns[] = {entry("", 1, UPSTREAM_ROLE_NONE),
                                 entry("", 2, UPSTREAM_ROLE_NONE)};
    (void)tell(l, LINEUP_DNS, 2, dns, 1);
    (void)tell(l, LINEUP_AGENT, 1, &one, 2);
    assert_members(l, "10.0.0.1:1:1 10.0.0.1:2:-2");
    lineup_destroy(l);
}

static void dns_takes_over_when_the_watch_fails(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry dns[] = {entry("", 2, UPSTREAM_ROLE_NONE),
                                 entry("", 3, UPSTREAM_ROLE_NONE)};
    (void)all_of(l, 1);
    (void)lineup_apply(l, LINEUP_AGENT, LINEUP_FAILED, NULL, 0, 2);
    (void)tell(l, LINEUP_DNS, 2, dns, 3);
    /* The same address is the same instance, under the name it has. */
    assert_members(l, "10.0.0.1:3:3 n1/a:-1 n2/a:2");
    lineup_destroy(l);
}

static void one_address_under_two_ids_is_two_instances(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry two[] = {entry("n1/a", 1, UPSTREAM_ROLE_NONE),
                                 entry("n1/b", 1, UPSTREAM_ROLE_NONE)};
    (void)tell(l, LINEUP_AGENT, 2, two, 1);
    assert_members(l, "n1/a:1 n1/b:1");
    lineup_destroy(l);
}

static void fail_often(const struct lineup_member *m)
{
    for (int i = 0; i < 3; i++) {
        instance_begin(m->instance);
        (void)instance_end(m->instance, INSTANCE_BROKE, 3);
    }
}

static void the_last_usable_one_is_never_ejected(void **state)
{
    (void)state;
    struct lineup *l = make();
    (void)all_of(l, 1);
    fail_often(lineup_at(l, 0));
    fail_often(lineup_at(l, 1));

    assert_true(lineup_tick(l, 2));
    assert_int_equal(lineup_at(l, 0)->upstream.state, UPSTREAM_EJECTED);
    assert_int_equal(lineup_at(l, 1)->upstream.state, UPSTREAM_UP);
    lineup_destroy(l);
}

static void never_more_than_half_is_ejected(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry five[5];
    unsigned ejected = 0;
    for (uint16_t i = 0; i < 5; i++) {
        five[i] = entry("", (uint16_t)(i + 1), UPSTREAM_ROLE_NONE);
    }
    (void)tell(l, LINEUP_DNS, 5, five, 1);
    for (size_t i = 0; i < 5; i++) {
        fail_often(lineup_at(l, i));
    }
    (void)lineup_tick(l, 2);
    for (size_t i = 0; i < 5; i++) {
        ejected += lineup_at(l, i)->upstream.state == UPSTREAM_EJECTED;
    }
    assert_int_equal(ejected, 2);
    lineup_destroy(l);
}

/* --- PostgreSQL --- */

static void tag(struct lineup *l, enum upstream_role one, enum upstream_role two)
{
    struct lineup_entry both[] = {entry("n1/pg", 1, one), entry("n2/pg", 2, two)};
    (void)tell(l, LINEUP_AGENT, 2, both, 1);
}

static void probe(struct lineup *l, size_t index, enum upstream_role role,
                  uint32_t timeline)
{
    (void)lineup_set_probe(l, lineup_at(l, index)->instance, role, timeline);
}

static void assert_primary(const struct lineup *l, const char *want)
{
    size_t claimants = 0;
    const struct lineup_member *m = lineup_primary(l, &claimants);
    assert_string_equal(m != NULL ? m->instance->id : "nobody", want);
}

static void tag_and_probe_must_agree_on_the_primary(void **state)
{
    (void)state;
    struct lineup *l = make_with("probe");
    tag(l, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    assert_primary(l, "nobody"); /* not asked yet */
    probe(l, 0, UPSTREAM_ROLE_PRIMARY, 1);
    probe(l, 1, UPSTREAM_ROLE_STANDBY, 0);
    assert_primary(l, "n1/pg");

    probe(l, 1, UPSTREAM_ROLE_PRIMARY, 2); /* promoted: its tag has not followed yet */
    assert_primary(l, "n1/pg");
    tag(l, UPSTREAM_ROLE_NONE, UPSTREAM_ROLE_PRIMARY);
    assert_primary(l, "n2/pg");
    lineup_destroy(l);
}

static void without_a_probe_the_tag_counts(void **state)
{
    (void)state;
    struct lineup *l = make();
    tag(l, UPSTREAM_ROLE_STANDBY, UPSTREAM_ROLE_PRIMARY);
    assert_primary(l, "n2/pg");
    lineup_destroy(l);
}

static void without_tags_the_probe_counts(void **state)
{
    (void)state;
    struct lineup *l = make_with("probe");
    tag(l, UPSTREAM_ROLE_NONE, UPSTREAM_ROLE_NONE);
    probe(l, 1, UPSTREAM_ROLE_PRIMARY, 1);
    assert_primary(l, "n2/pg");
    lineup_destroy(l);
}

static void of_two_claimants_the_higher_timeline_wins(void **state)
{
    (void)state;
    struct lineup *l = make_with("probe");
    tag(l, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_PRIMARY);
    probe(l, 0, UPSTREAM_ROLE_PRIMARY, 3);
    probe(l, 1, UPSTREAM_ROLE_PRIMARY, 4);
    assert_primary(l, "n2/pg");
    lineup_destroy(l);
}

static void two_on_one_timeline_are_nobody(void **state)
{
    (void)state;
    struct lineup *l = make_with("probe");
    tag(l, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_PRIMARY);
    probe(l, 0, UPSTREAM_ROLE_PRIMARY, 3);
    probe(l, 1, UPSTREAM_ROLE_PRIMARY, 3);
    assert_primary(l, "nobody");
    lineup_destroy(l);
}

static void a_primary_that_leaves_is_none(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry standby = entry("n2/pg", 2, UPSTREAM_ROLE_STANDBY);
    tag(l, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    (void)tell(l, LINEUP_AGENT, 1, &standby, 2);
    assert_primary(l, "nobody");
    lineup_destroy(l);
}

static void dns_cannot_take_a_tag_away(void **state)
{
    (void)state;
    struct lineup *l = make();
    struct lineup_entry dns[] = {entry("", 1, UPSTREAM_ROLE_NONE),
                                 entry("", 2, UPSTREAM_ROLE_NONE)};
    tag(l, UPSTREAM_ROLE_PRIMARY, UPSTREAM_ROLE_STANDBY);
    (void)lineup_apply(l, LINEUP_AGENT, LINEUP_FAILED, NULL, 0, 2);
    (void)tell(l, LINEUP_DNS, 2, dns, 3);
    assert_primary(l, "n1/pg");
    lineup_destroy(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_answer_adds_and_removes),
        cmocka_unit_test(an_instance_that_stays_keeps_its_counters),
        cmocka_unit_test(a_failed_source_changes_nothing),
        cmocka_unit_test(a_partial_answer_adds_and_never_removes),
        cmocka_unit_test(empty_is_believed_after_three_answers_over_the_hold),
        cmocka_unit_test(a_good_answer_in_between_starts_the_count_anew),
        cmocka_unit_test(the_watchs_empty_set_counts_at_once),
        cmocka_unit_test(while_the_watch_answers_dns_adds_nobody_and_keeps_nobody),
        cmocka_unit_test(dns_takes_over_when_the_watch_fails),
        cmocka_unit_test(one_address_under_two_ids_is_two_instances),
        cmocka_unit_test(the_last_usable_one_is_never_ejected),
        cmocka_unit_test(never_more_than_half_is_ejected),
        cmocka_unit_test(tag_and_probe_must_agree_on_the_primary),
        cmocka_unit_test(without_a_probe_the_tag_counts),
        cmocka_unit_test(without_tags_the_probe_counts),
        cmocka_unit_test(of_two_claimants_the_higher_timeline_wins),
        cmocka_unit_test(two_on_one_timeline_are_nobody),
        cmocka_unit_test(a_primary_that_leaves_is_none),
        cmocka_unit_test(dns_cannot_take_a_tag_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
