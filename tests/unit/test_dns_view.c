#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/dns_view.h"
#include "agent/prepared/prepared_book.h"
#include "base/err.h"
#include "base/random.h"

enum { PACKET_MAX = 1400, WALL_MS = 1000000 };

/* Node "web1" is ours; "pg1" and "pg2" are agents whose records reach us as rumours. */
struct fixture {
    struct catalog *ours;
    struct catalog *theirs[2];
    struct dns_view_source *source;
    const struct dns_view *view;
    uint64_t now_ms;
};

static const char *const names[] = {"pg1", "pg2"};
static const char *const addresses[] = {"10.0.0.51", "10.0.0.52"};

static struct catalog *create(const char *name, const char *address)
{
    const struct catalog_options options = {
        .node_name = name, .datacenter = "dc1", .seed = 1, .wall_ms = WALL_MS};
    struct catalog_node node = {
        .name = name, .id = "", .address = address, .datacenter = "dc1"};
    struct catalog *catalog;

    assert_int_equal(catalog_create(&options, &catalog), RC_OK);
    assert_int_equal(catalog_set_node(catalog, 1, &node, NULL), RC_OK);
    return catalog;
}

static void member(struct fixture *f, size_t i, enum catalog_liveness liveness)
{
    const struct catalog_member event = {
        .name = names[i], .address = addresses[i], .liveness = liveness, .peer = true};
    catalog_member_event(f->ours, ++f->now_ms, WALL_MS, &event);
}

/* Everything that the others have to tell reaches us: soon, not at once, because rumours
 * that follow each other closely are told together. */
static void spread(struct fixture *f)
{
    uint8_t packet[PACKET_MAX];
    size_t size;

    f->now_ms += 1000;
    for (size_t i = 0; i < 2; i++) {
        catalog_tick(f->theirs[i], f->now_ms);
        while ((size = catalog_fill(f->theirs[i], f->now_ms, packet, PACKET_MAX)) > 0) {
            (void)catalog_receive(f->ours, f->now_ms, names[i], packet, size);
        }
    }
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;

    memset(f, 0, sizeof *f);
    f->now_ms = 1;
    f->ours = create("web1", "10.0.0.11");
    for (size_t i = 0; i < 2; i++) {
        const struct catalog_member us = {.name = "web1",
                                          .address = "10.0.0.11",
                                          .liveness = CATALOG_ALIVE,
                                          .peer = true};
        f->theirs[i] = create(names[i], addresses[i]);
        catalog_member_event(f->theirs[i], 1, WALL_MS, &us);
        member(f, i, CATALOG_ALIVE);
    }
    assert_int_equal(dns_view_create(f->ours, "dc1", 1, &f->source), RC_OK);
    f->view = dns_view_of(f->source);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    dns_view_destroy(f->source);
    catalog_destroy(f->ours);
    catalog_destroy(f->theirs[0]);
    catalog_destroy(f->theirs[1]);
    return 0;
}

static void put(struct fixture *f, struct catalog *catalog, const char *id,
                const char *tag, uint64_t term)
{
    const char *const tags[] = {tag};
    const struct catalog_service service = {.id = id,
                                            .name = "Postgres",
                                            .address = "",
                                            .tags = tags,
                                            .tag_count = 1,
                                            .port = 5432,
                                            .weight_passing = 3,
                                            .weight_warning = 1,
                                            .term = term};
    assert_int_equal(catalog_put_service(catalog, ++f->now_ms, &service, NULL), RC_OK);
}

static void check(struct fixture *f, struct catalog *catalog, const char *service,
                  enum check_status status)
{
    const struct catalog_check values = {.id = "check",
                                         .name = "check",
                                         .notes = "",
                                         .output = "",
                                         .service_id = service,
                                         .type = "ttl",
                                         .definition = "",
                                         .status = status};
    assert_int_equal(catalog_put_check(catalog, ++f->now_ms, &values, NULL), RC_OK);
}

static const struct dns_service *service(const struct fixture *f, const char *name)
{
    f->view->begin(f->view->context);
    return f->view->service(f->view->context, rc_span_of(name));
}

static const struct dns_node *node(const struct fixture *f, const char *name)
{
    f->view->begin(f->view->context);
    return f->view->node(f->view->context, rc_span_of(name));
}

static void instance_carries_what_dns_needs(void **state)
{
    struct fixture *f = *state;

    put(f, f->ours, "pg", "Standby", 0);
    const struct dns_service *found = service(f, "postgres");

    assert_non_null(found);
    assert_int_equal(found->instance_count, 1);
    const struct dns_instance *instance = &found->instances[0];
    assert_string_equal(instance->node->name, "web1");
    assert_int_equal(instance->node->place.ip.ip[3], 11);
    assert_string_equal(instance->service_id, "pg");
    assert_int_equal(instance->place.ip.family, RC_ADDRESS_NONE);
    assert_null(instance->place.host);
    assert_int_equal(instance->port, 5432);
    assert_int_equal(instance->weight, 3);
    assert_int_equal(instance->health, DNS_HEALTH_PASSING);
    assert_int_equal(instance->tag_count, 1);
    assert_string_equal(instance->tags[0], "Standby");
    assert_null(service(f, "nosuch"));
}

static void health_follows_the_checks_at_once(void **state)
{
    struct fixture *f = *state;

    put(f, f->ours, "pg", "x", 0);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    check(f, f->ours, "pg", CHECK_WARNING);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_WARNING);
    assert_int_equal(service(f, "postgres")->instances[0].weight, 1);
    check(f, f->ours, "pg", CHECK_CRITICAL);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_UNUSABLE);
    check(f, f->ours, "", CHECK_PASSING);
    check(f, f->ours, "pg", CHECK_PASSING);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_int_equal(catalog_remove_service(f->ours, ++f->now_ms, "pg"), RC_OK);
    assert_null(service(f, "postgres"));
}

static void failed_node_takes_its_instances_along(void **state)
{
    struct fixture *f = *state;

    put(f, f->theirs[0], "pg", "x", 0);
    spread(f);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_non_null(node(f, "pg1"));

    member(f, 0, CATALOG_SUSPECT);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_true(service(f, "postgres")->instances[0].node->is_silent);
    assert_non_null(node(f, "pg1"));
    member(f, 0, CATALOG_FAILED);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_UNUSABLE);
    assert_null(node(f, "pg1"));
    member(f, 0, CATALOG_ALIVE);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_false(service(f, "postgres")->instances[0].node->is_silent);
    assert_non_null(node(f, "pg1"));
}

static size_t count_tag(const struct dns_service *found, const char *tag)
{
    size_t count = 0;

    for (size_t i = 0; i < found->instance_count; i++) {
        for (size_t t = 0; t < found->instances[i].tag_count; t++) {
            count += strcmp(found->instances[i].tags[t], tag) == 0 ? 1 : 0;
        }
    }
    return count;
}

static void only_the_highest_term_is_primary(void **state)
{
    struct fixture *f = *state;

    put(f, f->theirs[0], "pg", "primary", 4);
    put(f, f->theirs[1], "pg", "standby", 4);
    spread(f);
    assert_int_equal(count_tag(service(f, "postgres"), "primary"), 1);
    put(f, f->theirs[1], "pg", "primary", 5);
    spread(f);

    const struct dns_service *found = service(f, "postgres");
    assert_int_equal(found->instance_count, 2);
    assert_int_equal(count_tag(found, "primary"), 1);
    assert_string_equal(found->instances[0].node->name, "pg1");
    assert_int_equal(found->instances[0].tag_count, 0);
}

static void addresses_lead_back_to_nodes_and_services(void **state)
{
    static const struct catalog_service web = {
        .id = "web", .name = "web", .address = "10.0.9.9", .port = 80};
    struct fixture *f = *state;
    struct rc_address ip;

    assert_int_equal(catalog_put_service(f->ours, ++f->now_ms, &web, NULL), RC_OK);
    assert_int_equal(rc_address_parse_ip("10.0.0.52", 0, &ip), RC_OK);
    assert_string_equal(f->view->node_at(f->view->context, &ip)->name, "pg2");
    assert_null(f->view->service_at(f->view->context, &ip));
    assert_int_equal(rc_address_parse_ip("10.0.9.9", 0, &ip), RC_OK);
    assert_null(f->view->node_at(f->view->context, &ip));
    assert_string_equal(f->view->service_at(f->view->context, &ip), "web");
    check(f, f->ours, "web", CHECK_CRITICAL);
    assert_null(f->view->service_at(f->view->context, &ip));
    assert_int_equal(catalog_remove_service(f->ours, ++f->now_ms, "web"), RC_OK);
    assert_null(f->view->service_at(f->view->context, &ip));
    assert_int_equal(rc_address_parse_ip("10.0.0.52", 0, &ip), RC_OK);
    member(f, 1, CATALOG_FAILED);
    assert_null(f->view->node_at(f->view->context, &ip));
    const struct catalog_member successor = {
        .name = "pg3", .address = "10.0.0.52", .liveness = CATALOG_ALIVE, .peer = true};
    catalog_member_event(f->ours, ++f->now_ms, WALL_MS, &successor);
    assert_string_equal(f->view->node_at(f->view->context, &ip)->name, "pg3");
}

static void results_of_one_answer_live_until_the_next(void **state)
{
    struct fixture *f = *state;

    put(f, f->ours, "pg", "x", 0);
    const struct dns_service *first = service(f, "postgres");
    put(f, f->ours, "pg2", "y", 0);
    const struct dns_service *second =
        f->view->service(f->view->context, rc_span_of("postgres"));

    assert_int_equal(first->instance_count, 1);
    assert_int_equal(second->instance_count, 2);
    assert_ptr_equal(service(f, "postgres"), second); /* kept while nothing changes */
}

/* What the view says of a service against the catalog itself. */
static void assert_agrees(const struct fixture *f, const char *name)
{
    const struct catalog_name *want = catalog_name_find(f->ours, name);
    const struct dns_service *got = service(f, name);

    if (want == NULL) {
        assert_null(got);
        return;
    }
    assert_int_equal(got->instance_count, want->instance_count);
    for (size_t i = 0; i < want->instance_count; i++) {
        const struct catalog_service *instance = want->instances[i];
        assert_string_equal(got->instances[i].service_id, instance->id);
        assert_string_equal(got->instances[i].node->name, instance->node->name);
        assert_int_equal(got->instances[i].port, instance->port);
        assert_int_equal(got->instances[i].health == DNS_HEALTH_UNUSABLE,
                         !catalog_service_is_usable(instance));
    }
}

static void change_at_random(struct fixture *f, struct rc_random *random)
{
    static const char *const services[] = {"a", "b", "c"};
    static const char *const ids[] = {"1", "2", "3", "4"};
    const char *id = ids[rc_random_below(random, 4)];
    const struct catalog_service service = {
        .id = id,
        .name = services[rc_random_below(random, 3)],
        .address = rc_random_below(random, 2) == 0 ? "" : "db.example",
        .port = (uint16_t)rc_random_below(random, 3)};

    switch (rc_random_below(random, 6)) {
    case 0:
        (void)catalog_remove_service(f->ours, ++f->now_ms, id);
        break;
    case 1:
        member(f, rc_random_below(random, 2),
               (enum catalog_liveness)rc_random_below(random, CATALOG_LEFT));
        break;
    case 2: {
        const struct catalog_check values = {
            .id = id,
            .name = "x",
            .service_id = rc_random_below(random, 4) == 0 ? "" : id,
            .type = "ttl",
            .status = (enum check_status)rc_random_below(random, CHECK_STATUS_COUNT)};
        (void)catalog_put_check(f->ours, ++f->now_ms, &values, NULL);
        break;
    }
    case 3:
        (void)catalog_put_service(f->theirs[0], ++f->now_ms, &service, NULL);
        spread(f);
        break;
    default:
        (void)catalog_put_service(f->ours, ++f->now_ms, &service, NULL);
        break;
    }
}

static void every_change_is_in_the_next_answer(void **state)
{
    struct fixture *f = *state;
    struct rc_random random;

    rc_random_init(&random, 11);
    for (int i = 0; i < 3000; i++) {
        change_at_random(f, &random);
        assert_agrees(f, "a");
        assert_agrees(f, "b");
        assert_agrees(f, "c");
    }
}

/* ---- Prepared queries. */

struct asked {
    struct prepared_book *book;
    enum dns_certainty certainty;
    size_t sorted;
};

static const struct prepared_book *book_of(void *context, enum dns_certainty *certainty)
{
    const struct asked *asked = context;

    *certainty = asked->certainty;
    return asked->book;
}

static void sort_backwards(void *context, const char *near,
                           const struct catalog_service **found, size_t count)
{
    struct asked *asked = context;

    assert_string_equal(near, "_agent");
    asked->sorted++;
    for (size_t i = 0; i < count / 2; i++) {
        const struct catalog_service *other = found[i];
        found[i] = found[count - 1 - i];
        found[count - 1 - i] = other;
    }
}

static bool shows_no_pg2(void *context, enum dns_view_kind kind, const char *name)
{
    (void)context;
    return kind != DNS_VIEW_NODE || strcmp(name, "pg2") != 0;
}

static const struct dns_picked *picked(const struct fixture *f, const char *name,
                                       enum dns_certainty *certainty)
{
    f->view->begin(f->view->context);
    return f->view->query(f->view->context, rc_span_of(name), certainty);
}

static size_t count_picked(const struct fixture *f, const char *name)
{
    enum dns_certainty certainty;
    const struct dns_picked *found = picked(f, name, &certainty);
    return found != NULL ? found->service.instance_count : 0;
}

static void add_query(struct asked *asked, const char *text)
{
    assert_int_equal(prepared_book_add(asked->book, text, strlen(text)), RC_OK);
}

static void set_queries(struct fixture *f, struct asked *asked)
{
    const struct dns_view_queries queries = {asked, book_of, sort_backwards};

    asked->book = prepared_book_create();
    assert_non_null(asked->book);
    prepared_book_begin(asked->book, 2);
    add_query(asked, "{\"Name\":\"Main\",\"Service\":{\"Service\":\"postgres\","
                     "\"OnlyPassing\":true},\"DNS\":{\"TTL\":\"7s\"}}");
    add_query(asked,
              "{\"Name\":\"near\",\"Service\":{\"Service\":\"postgres\","
              "\"Near\":\"_agent\",\"IgnoreCheckIDs\":[\"serfHealth\",\"check\"]}}");
    dns_view_set_queries(f->source, &queries);
    put(f, f->ours, "pg-a", "x", 0);
    put(f, f->theirs[0], "pg-b", "x", 0);
    put(f, f->theirs[1], "pg-c", "x", 0);
    spread(f);
}

static void a_query_picks_by_its_own_rules_and_follows_every_change(void **state)
{
    struct fixture *f = *state;
    struct asked asked = {.certainty = DNS_CERTAIN};
    enum dns_certainty certainty;

    assert_null(picked(f, "main", &certainty)); /* there are no queries yet */
    assert_int_equal(certainty, DNS_CERTAIN);
    set_queries(f, &asked);
    const struct dns_picked *found = picked(f, "main", &certainty);
    assert_non_null(found);
    assert_true(found->has_ttl);
    assert_int_equal(found->ttl_s, 7);
    assert_int_equal(found->order, DNS_ORDER_SHUFFLED);
    assert_int_equal(found->service.instance_count, 3);

    check(f, f->ours, "pg-a", CHECK_WARNING);
    assert_int_equal(count_picked(f, "main"), 2);
    member(f, 0, CATALOG_FAILED);
    assert_int_equal(count_picked(f, "main"), 1);
    prepared_book_begin(asked.book, 3);
    asked.certainty = DNS_UNCERTAIN;
    assert_null(picked(f, "main", &certainty));
    assert_int_equal(certainty, DNS_UNCERTAIN);
    prepared_book_destroy(asked.book);
}

static void a_query_may_ignore_checks_but_not_that_a_node_is_gone(void **state)
{
    struct fixture *f = *state;
    struct asked asked = {.certainty = DNS_CERTAIN};
    enum dns_certainty certainty;

    set_queries(f, &asked);
    check(f, f->ours, "pg-a", CHECK_CRITICAL);
    const struct dns_picked *found = picked(f, "near", &certainty);
    assert_int_equal(found->order, DNS_ORDER_KEPT);
    assert_int_equal(found->service.instance_count, 3);
    assert_string_equal(found->service.instances[0].service_id, "pg-a");
    assert_string_equal(found->service.instances[2].service_id, "pg-b");
    member(f, 0, CATALOG_FAILED);
    assert_int_equal(count_picked(f, "near"), 2);
    assert_int_equal(asked.sorted, 2);
    prepared_book_destroy(asked.book);
}

static void a_query_picks_nothing_that_may_not_be_shown(void **state)
{
    const struct dns_view_gate gate = {NULL, NULL, shows_no_pg2};
    struct fixture *f = *state;
    struct asked asked = {.certainty = DNS_CERTAIN};

    dns_view_guard(f->source, &gate);
    set_queries(f, &asked);
    assert_int_equal(count_picked(f, "main"), 2);
    prepared_book_destroy(asked.book);
}

static void we_serve_the_zone_when_there_is_no_server(void **state)
{
    struct fixture *f = *state;
    const struct dns_node *out[DNS_NAME_SERVERS_MAX];

    assert_int_equal(f->view->name_servers(f->view->context, out), 1);
    assert_string_equal(out[0]->name, "web1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instance_carries_what_dns_needs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(health_follows_the_checks_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(failed_node_takes_its_instances_along, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_highest_term_is_primary, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(addresses_lead_back_to_nodes_and_services, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(results_of_one_answer_live_until_the_next, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_change_is_in_the_next_answer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_query_picks_by_its_own_rules_and_follows_every_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_query_may_ignore_checks_but_not_that_a_node_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_query_picks_nothing_that_may_not_be_shown,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(we_serve_the_zone_when_there_is_no_server, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("dns_view", tests, NULL, NULL);
}
