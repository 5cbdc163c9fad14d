/* Never two instances of one cluster show the tag `primary`, whatever their nodes say. */
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
#include "base/random.h"

static int make(void **state)
{
    struct catalog_options options = {
        .node_name = "n1", .seed = 1, .now_ms = 1000, .wall_ms = 1700000000000};

    return catalog_create(&options, (struct catalog **)state);
}

static int drop(void **state)
{
    catalog_destroy(*state);
    return 0;
}

/* One PostgreSQL of `cluster`; the term 0 is not told. */
static void put(struct catalog *c, const char *id, const char *cluster, const char *tag,
                uint64_t term)
{
    char text[24];
    const char *tags[] = {"db", tag};
    struct catalog_pair meta[] = {{"pg_cluster", cluster}, {"pg_term", text}};
    struct catalog_service service = {.id = id,
                                      .name = "postgres",
                                      .port = 5432,
                                      .tags = tags,
                                      .tag_count = 2,
                                      .meta = meta,
                                      .meta_count = term > 0 ? 2 : 1};

    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)term);
    assert_int_equal(catalog_put_service(c, 1000, &service, NULL), RC_OK);
}

static bool shows(struct catalog *c, const char *id, const char *tag)
{
    const struct catalog_service *service = catalog_service_find(catalog_self(c), id);
    bool found = false;

    assert_non_null(service);
    for (size_t i = 0; i < service->tag_count; i++) {
        found = found || strcmp(service->tags[i], tag) == 0;
    }
    assert_int_equal(found, catalog_service_has_tag(c, service, tag));
    return found;
}

static void the_highest_term_alone_is_primary(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 3);
    assert_true(shows(c, "a", "primary"));
    put(c, "b", "main", "primary", 4);

    assert_false(shows(c, "a", "primary"));
    assert_true(shows(c, "a", "db"));
    assert_true(shows(c, "b", "primary"));
}

static void an_old_claim_does_not_count_again_when_the_newer_is_gone(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 3);
    put(c, "b", "main", "primary", 4);
    assert_int_equal(catalog_remove_service(c, 1000, "b"), RC_OK);
    assert_false(shows(c, "a", "primary"));
    put(c, "a", "main", "primary", 5);
    assert_true(shows(c, "a", "primary"));
}

static void the_same_term_twice_is_nobody(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 3);
    put(c, "b", "main", "primary", 3);
    assert_false(shows(c, "a", "primary"));
    assert_false(shows(c, "b", "primary"));
    put(c, "b", "main", "standby", 3);
    assert_true(shows(c, "a", "primary"));
}

static void clusters_of_one_name_do_not_meet(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 3);
    put(c, "b", "other", "primary", 9);
    assert_true(shows(c, "a", "primary"));
    assert_true(shows(c, "b", "primary"));
}

static void without_terms_one_claim_counts_and_two_do_not(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 0);
    assert_true(shows(c, "a", "primary"));
    put(c, "b", "main", "primary", 0);
    assert_false(shows(c, "a", "primary"));
    assert_false(shows(c, "b", "primary"));
}

static void who_waits_for_a_service_or_its_node_hears_that_a_tag_went(void **state)
{
    struct catalog *c = *state;

    put(c, "a", "main", "primary", 3);
    uint64_t name = catalog_index(c, CATALOG_TOPIC_SERVICE, "postgres");
    uint64_t node = catalog_index(c, CATALOG_TOPIC_NODE, "n1");
    put(c, "b", "main", "primary", 4);
    assert_true(catalog_index(c, CATALOG_TOPIC_SERVICE, "postgres") > name);
    assert_true(catalog_index(c, CATALOG_TOPIC_NODE, "n1") > node);
}

static void what_is_hidden_still_travels(void **state)
{
    struct catalog *c = *state;
    struct rc_buffer bytes = {0};
    void *other = NULL;

    put(c, "a", "main", "primary", 3);
    put(c, "b", "main", "primary", 4);
    catalog_export_record(c, &bytes);
    assert_int_equal(make(&other), 0);
    assert_int_equal(catalog_import_record(other, 1000, bytes.bytes, bytes.size), RC_OK);
    rc_buffer_fini(&bytes);
    put(other, "b", "main", "standby", 2);
    assert_false(shows(other, "a", "primary")); /* 4 was seen */
    put(other, "c", "fresh", "primary", 1);
    assert_true(shows(other, "c", "primary"));
    assert_int_equal(catalog_remove_service(other, 1000, "b"), RC_OK);
    put(other, "a", "main", "primary", 4);
    assert_true(shows(other, "a", "primary"));
    catalog_destroy(other);
}

static void a_rule_lets_only_its_holder_show_the_tags(void **state)
{
    struct catalog *c = *state;
    const char *tags[] = {"primary", "master"};
    struct catalog_unique rule = {"patroni", tags, 2, ""};
    struct catalog_service one = {
        .id = "lab/n1", .name = "patroni", .tags = tags, .tag_count = 2};
    struct catalog_service two = {
        .id = "lab/n2", .name = "Patroni", .tags = tags, .tag_count = 2};

    assert_int_equal(catalog_put_service(c, 1000, &one, NULL), RC_OK);
    assert_int_equal(catalog_put_service(c, 1000, &two, NULL), RC_OK);
    assert_true(shows(c, "lab/n1", "master") && shows(c, "lab/n2", "master"));
    assert_int_equal(catalog_set_unique(c, 1000, &rule), RC_OK);
    assert_false(shows(c, "lab/n1", "master") || shows(c, "lab/n2", "primary"));
    rule.holder = "n2";
    assert_int_equal(catalog_set_unique(c, 1000, &rule), RC_OK);
    assert_false(shows(c, "lab/n1", "master") || shows(c, "lab/n1", "primary"));
    assert_true(shows(c, "lab/n2", "master") && shows(c, "lab/n2", "primary"));
    rule.holder = "n3";
    assert_int_equal(catalog_set_unique(c, 1000, &rule), RC_OK);
    assert_false(shows(c, "lab/n2", "master"));
}

/* What should be shown, told anew from all that was ever said. */
enum { IDS = 6, CLUSTERS = 2, STEPS = 4000 };

struct model {
    uint64_t highest[CLUSTERS];
    uint64_t term[IDS]; /* 0: does not claim, or is not there */
    unsigned cluster[IDS];
    bool there[IDS];
};

static const char *const ids[IDS] = {"a", "b", "c", "d", "e", "f"};

/* How many of cluster `k` show the tag; all of them by the highest term, or this fails. */
static unsigned count_shown(struct catalog *c, const struct model *model, unsigned k)
{
    unsigned shown = 0;
    for (unsigned i = 0; i < IDS; i++) {
        bool counts = model->there[i] && model->cluster[i] == k;
        if (!counts || !shows(c, ids[i], "primary")) {
            continue;
        }
        shown++;
        if (model->term[i] != model->highest[k]) {
            fail_msg("%s shows an old claim", ids[i]);
        }
    }
    return shown;
}

static void check(struct catalog *c, const struct model *model)
{
    for (unsigned k = 0; k < CLUSTERS; k++) {
        assert_in_range(count_shown(c, model, k), 0, 1);
    }
}

static void any_sequence_of_claims_never_shows_two(void **state)
{
    static const char *const clusters[CLUSTERS] = {"main", "other"};
    struct catalog *c = *state;
    struct model model = {.highest = {0}};
    struct rc_random random;

    rc_random_init(&random, 7);
    put(c, "keeper of the name", "third", "standby", 1);
    for (int step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rc_random_below(&random, IDS);
        unsigned k = (unsigned)rc_random_below(&random, CLUSTERS);
        uint64_t term = 1 + rc_random_below(&random, (uint64_t)step / 50 + 3);
        bool says = rc_random_below(&random, 3) > 0;
        if (rc_random_below(&random, 5) == 0) {
            (void)catalog_remove_service(c, 1000, ids[i]);
            model.there[i] = false;
            continue;
        }
        put(c, ids[i], clusters[k], says ? "primary" : "standby", term);
        model.there[i] = true;
        model.cluster[i] = k;
        model.term[i] = says ? term : 0;
        if (says && term > model.highest[k]) {
            model.highest[k] = term;
        }
        check(c, &model);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_highest_term_alone_is_primary),
        TEST(an_old_claim_does_not_count_again_when_the_newer_is_gone),
        TEST(the_same_term_twice_is_nobody),
        TEST(clusters_of_one_name_do_not_meet),
        TEST(without_terms_one_claim_counts_and_two_do_not),
        TEST(who_waits_for_a_service_or_its_node_hears_that_a_tag_went),
        TEST(what_is_hidden_still_travels),
        TEST(a_rule_lets_only_its_holder_show_the_tags),
        TEST(any_sequence_of_claims_never_shows_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
