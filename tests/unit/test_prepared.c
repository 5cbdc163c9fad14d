/* test_prepared.c - prepared queries: what is taken, what templates become, who is picked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/prepared/prepared.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"

static json_t *read_query(const char *text)
{
    char error[PREPARED_ERROR_MAX];
    json_t *given = json_loads(text, 0, NULL);
    json_t *query = NULL;

    assert_non_null(given);
    assert_int_equal(prepared_read(given, &query, error), RC_OK);
    json_decref(given);
    return query;
}

static void assert_refused(const char *text, const char *words)
{
    char error[PREPARED_ERROR_MAX];
    json_t *given = json_loads(text, 0, NULL);
    json_t *query = NULL;

    assert_non_null(given);
    assert_int_equal(prepared_read(given, &query, error), RC_EINVAL);
    assert_string_equal(error, words);
    json_decref(given);
}

static const char *service_of(const json_t *query)
{
    return json_string_value(
        json_object_get(json_object_get(query, "Service"), "Service"));
}

static void every_field_has_its_place_and_default(void **state)
{
    json_t *query = read_query("{\"name\": \"q\", \"SERVICE\": {\"service\": \"web\"}}");
    char *text = json_dumps(query, JSON_COMPACT);

    (void)state;
    assert_string_equal(
        text, "{\"ID\":\"\",\"Name\":\"q\",\"Session\":\"\",\"Token\":\"\",\"Template\":{"
              "\"Type\":\"\",\"Regexp\":\"\",\"RemoveEmptyTags\":false},\"Service\":{"
              "\"Service\":\"web\",\"Failover\":{\"NearestN\":0,\"Datacenters\":null},"
              "\"OnlyPassing\":false,\"IgnoreCheckIDs\":null,\"Near\":\"\",\"Tags\":null,"
              "\"NodeMeta\":null,\"ServiceMeta\":null,\"Connect\":false},\"DNS\":{"
              "\"TTL\":\"\"}}");
    free(text);
    json_decref(query);
}

static void what_makes_no_sense_is_refused_in_consuls_words(void **state)
{
    (void)state;
    assert_refused("{\"Name\": \"q9\"}",
                   "Invalid prepared query: Must provide a Service name to query");
    assert_refused("{\"Service\": {\"Service\": \"web\"}}",
                   "Invalid prepared query: Must be bound to a session");
    assert_refused("{\"Name\":\"q\",\"Service\":{\"Service\":\"web\",\"Failover\":{"
                   "\"NearestN\":-1}}}",
                   "Invalid prepared query: Bad NearestN '-1', must be >= 0");
    assert_refused(
        "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"DNS\":{\"TTL\":\"zz\"}}",
        "Invalid prepared query: Bad DNS TTL 'zz': time: invalid duration \"zz\"");
    assert_refused(
        "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"Template\":{\"Type\":"
        "\"x\"}}",
        "Invalid prepared query: Bad Template.Type 'x'");
    assert_refused(
        "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"Template\":{\"Type\":"
        "\"name_prefix_match\",\"Regexp\":\"(\"}}",
        "Invalid prepared query: Bad Regexp: error parsing regexp: missing "
        "closing )");
    assert_refused("{\"Name\":5,\"Service\":{\"Service\":\"w\"}}",
                   "Request decode failed: a value of type string is wanted for Name");
    assert_refused("[]",
                   "Request decode failed: a value of type struct is wanted for the "
                   "query");
}

static void an_expression_without_an_equal_here_is_refused_not_misread(void **state)
{
    char error[PREPARED_ERROR_MAX];

    (void)state;
    assert_int_equal(prepared_pattern_check("^geo-(\\w+)-([a-z]*)$", error), RC_OK);
    assert_int_equal(prepared_pattern_check("a.*?b", error), RC_EINVAL);
    assert_int_equal(prepared_pattern_check("(?:a)(b)", error), RC_EINVAL);
    assert_int_equal(prepared_pattern_check("\\bx", error), RC_EINVAL);
}

static void a_template_is_filled_in_for_the_name_that_was_asked(void **state)
{
    json_t *query = read_query(
        "{\"Name\":\"geo-\",\"Template\":{\"Type\":\"name_prefix_match\",\"Regexp\":"
        "\"^geo-(.*)-([^-]+)$\",\"RemoveEmptyTags\":true},\"Service\":{\"Service\":"
        "\"${match(1)}\",\"Tags\":[\"${match(2)}\",\"${match(7)}\",\"${name.suffix}\"],"
        "\"NodeMeta\":{\"k\":\"${name.prefix}${name.full}\"}}}");
    json_t *filled = NULL;

    (void)state;
    assert_int_equal(prepared_template_fit(query, "geo-db-main", PREPARED_CASE_COUNTS),
                     5);
    assert_int_equal(prepared_template_fit(query, "other", PREPARED_CASE_COUNTS), 0);
    assert_int_equal(prepared_render(query, "geo-db-main", &filled), RC_OK);
    const json_t *service = json_object_get(filled, "Service");
    assert_string_equal(service_of(filled), "db");
    assert_int_equal(json_array_size(json_object_get(service, "Tags")), 2);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(service, "Tags"), 0)), "main");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(service, "Tags"), 1)),
        "db-main");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(service, "NodeMeta"), "k")),
        "geo-geo-db-main");
    json_decref(filled);
    json_decref(query);
}

static void of_several_the_exact_name_wins_then_the_longest_prefix(void **state)
{
    static const char *const texts[] = {
        "{\"ID\":\"a\",\"Name\":\"\",\"Template\":{\"Type\":\"name_prefix_match\"},"
        "\"Service\":{\"Service\":\"any\"}}",
        "{\"ID\":\"b\",\"Name\":\"geo\",\"Template\":{\"Type\":\"name_prefix_match\"},"
        "\"Service\":{\"Service\":\"short\"}}",
        "{\"ID\":\"c\",\"Name\":\"geo-\",\"Template\":{\"Type\":\"name_prefix_match\"},"
        "\"Service\":{\"Service\":\"long\"}}",
        "{\"ID\":\"d\",\"Name\":\"geo-x\",\"Service\":{\"Service\":\"exact\"}}",
    };
    static const struct {
        const char *name;
        const char *service;
    } cases[] = {{"geo-x", "exact"}, {"geo-y", "long"}, {"geox", "short"},
                 {"zzz", "any"},     {"d", "exact"},    {"b", "short"}};
    struct prepared_book *book = prepared_book_create();
    json_t *found;

    (void)state;
    prepared_book_begin(book, 7);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(prepared_book_add(book, texts[i], strlen(texts[i])), RC_OK);
    }
    assert_int_equal(prepared_book_add(book, "{", 1), RC_EMALFORMED);
    assert_int_equal(prepared_book_count(book), 4);
    assert_int_equal(prepared_book_index(book), 7);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            prepared_book_find(book, cases[i].name, PREPARED_CASE_COUNTS, &found), RC_OK);
        assert_string_equal(service_of(found), cases[i].service);
        json_decref(found);
    }
    prepared_book_begin(book, 8);
    assert_int_equal(prepared_book_find(book, "geo-x", PREPARED_CASE_COUNTS, &found),
                     RC_ENOTFOUND);
    prepared_book_destroy(book);
}

/* ---- Picking. */

struct instance {
    const char *id;
    const char *tag;
    const char *zone;
    enum check_status status;
};

static void put_instance(struct catalog *catalog, const struct instance *instance)
{
    const struct catalog_pair meta = {"zone", instance->zone};
    const struct catalog_service service = {.id = instance->id,
                                            .name = "web",
                                            .address = "",
                                            .tags = &instance->tag,
                                            .tag_count = 1,
                                            .meta = &meta,
                                            .meta_count = 1,
                                            .weight_passing = 1,
                                            .weight_warning = 1};
    const struct catalog_check check = {.id = instance->id,
                                        .name = "check",
                                        .notes = "",
                                        .output = "",
                                        .service_id = instance->id,
                                        .type = "ttl",
                                        .definition = "",
                                        .status = instance->status};

    assert_int_equal(catalog_put_service(catalog, 1, &service, NULL), RC_OK);
    assert_int_equal(catalog_put_check(catalog, 1, &check, NULL), RC_OK);
}

static void assert_picked(const struct catalog *catalog, const char *text,
                          const char *const *ids, size_t count)
{
    const struct catalog_service *found[8];
    json_t *query = read_query(text);

    assert_int_equal(prepared_pick(catalog, query, found, 8), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(found[i]->id, ids[i]);
    }
    json_decref(query);
}

#define QUERY(rest) "{\"Name\":\"q\",\"Service\":{\"Service\":\"web\"" rest "}}"
#define PICKED(catalog, text, ...)                                     \
    do {                                                               \
        const char *const ids[] = {__VA_ARGS__};                       \
        assert_picked(catalog, text, ids, sizeof ids / sizeof ids[0]); \
    } while (0)

static void instances_are_picked_by_health_tags_and_metadata(void **state)
{
    static const struct instance instances[] = {
        {"w1", "blue", "a", CHECK_PASSING},
        {"w2", "green", "a", CHECK_WARNING},
        {"w3", "blue", "b", CHECK_CRITICAL},
    };
    const struct catalog_options options = {.node_name = "n", .wall_ms = 1000};
    struct catalog *catalog = NULL;

    (void)state;
    assert_int_equal(catalog_create(&options, &catalog), RC_OK);
    for (size_t i = 0; i < 3; i++) {
        put_instance(catalog, &instances[i]);
    }
    PICKED(catalog, QUERY(""), "w1", "w2");
    PICKED(catalog, QUERY(",\"OnlyPassing\":true"), "w1");
    PICKED(catalog, QUERY(",\"OnlyPassing\":true,\"IgnoreCheckIDs\":[\"w2\",\"w3\"]"),
           "w1", "w2", "w3");
    PICKED(catalog, QUERY(",\"Tags\":[\"BLUE\"]"), "w1");
    PICKED(catalog, QUERY(",\"Tags\":[\"!blue\"]"), "w2");
    PICKED(catalog,
           QUERY(",\"IgnoreCheckIDs\":[\"w3\"],\"ServiceMeta\":{\"zone\":\"b\"}"), "w3");
    assert_picked(catalog, QUERY(",\"NodeMeta\":{\"rack\":\"1\"}"), NULL, 0);
    assert_picked(catalog, "{\"Name\":\"q\",\"Service\":{\"Service\":\"none\"}}", NULL,
                  0);
    catalog_destroy(catalog);
}

static double by_name(void *context, const char *node)
{
    (void)context;
    return (double)('z' - node[0]);
}

static void the_nearest_come_first_and_equals_stay_as_they_stood(void **state)
{
    struct catalog_node nodes[] = {{.name = "a"}, {.name = "c"}, {.name = "b"}};
    struct catalog_service instances[] = {{.id = "1", .node = &nodes[0]},
                                          {.id = "2", .node = &nodes[1]},
                                          {.id = "3", .node = &nodes[0]},
                                          {.id = "4", .node = &nodes[2]}};
    const struct catalog_service *found[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        found[i] = &instances[i];
    }
    assert_int_equal(prepared_sort(found, 4, by_name, NULL), RC_OK);
    assert_string_equal(found[0]->id, "2");
    assert_string_equal(found[1]->id, "4");
    assert_string_equal(found[2]->id, "1");
    assert_string_equal(found[3]->id, "3");
}

static void add_text(struct prepared_book *book, const char *text)
{
    assert_int_equal(prepared_book_add(book, text, strlen(text)), RC_OK);
}

static void letter_case_counts_but_in_dns(void **state)
{
    struct prepared_book *book = prepared_book_create();
    json_t *query = NULL;

    (void)state;
    prepared_book_begin(book, 2);
    add_text(book, "{\"Name\":\"Web\",\"Service\":{\"Service\":\"web\"}}");
    add_text(book, "{\"Name\":\"Geo-\",\"Template\":{\"Type\":\"name_prefix_match\"},"
                   "\"Service\":{\"Service\":\"${name.suffix}\"}}");
    assert_int_equal(prepared_book_find(book, "web", PREPARED_CASE_COUNTS, &query),
                     RC_ENOTFOUND);
    assert_int_equal(prepared_book_find(book, "geo-db", PREPARED_CASE_COUNTS, &query),
                     RC_ENOTFOUND);
    assert_int_equal(prepared_book_find(book, "web", PREPARED_CASE_FOLDED, &query),
                     RC_OK);
    json_decref(query);
    assert_int_equal(prepared_book_find(book, "geo-db", PREPARED_CASE_FOLDED, &query),
                     RC_OK);
    assert_string_equal(service_of(query), "db");
    json_decref(query);
    prepared_book_destroy(book);
}

static void the_ttl_for_dns_is_in_whole_seconds(void **state)
{
    json_t *query = read_query(
        "{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"},\"DNS\":{\"TTL\":\"1m30.9s\"}}");
    json_t *other = read_query("{\"Name\":\"q\",\"Service\":{\"Service\":\"w\"}}");
    uint32_t seconds = 0;

    (void)state;
    assert_true(prepared_dns_ttl(query, &seconds));
    assert_int_equal(seconds, 90);
    assert_false(prepared_dns_ttl(other, &seconds));
    json_decref(query);
    json_decref(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_place_and_default),
        cmocka_unit_test(what_makes_no_sense_is_refused_in_consuls_words),
        cmocka_unit_test(an_expression_without_an_equal_here_is_refused_not_misread),
        cmocka_unit_test(a_template_is_filled_in_for_the_name_that_was_asked),
        cmocka_unit_test(of_several_the_exact_name_wins_then_the_longest_prefix),
        cmocka_unit_test(instances_are_picked_by_health_tags_and_metadata),
        cmocka_unit_test(the_nearest_come_first_and_equals_stay_as_they_stood),
        cmocka_unit_test(letter_case_counts_but_in_dns),
        cmocka_unit_test(the_ttl_for_dns_is_in_whole_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
