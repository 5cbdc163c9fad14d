#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/dns/dns_feed.h"
#include "base/err.h"
#include "base/random.h"
#include "tests/unit/dns_catalogs.h"

static const struct dns_service *service(struct dns_catalogs *f, const char *name)
{
    dns_catalogs_turn(f);
    return f->view->service(f->view->context, rc_span_of(name));
}

static const struct dns_node *node(struct dns_catalogs *f, const char *name)
{
    dns_catalogs_turn(f);
    return f->view->node(f->view->context, rc_span_of(name));
}

static const char *node_at(struct dns_catalogs *f, const char *address)
{
    struct rc_address ip;

    dns_catalogs_turn(f);
    assert_int_equal(rc_address_parse_ip(address, 0, &ip), RC_OK);
    const struct dns_node *found = f->view->node_at(f->view->context, &ip);
    return found != NULL ? found->name : "";
}

static const char *service_at(struct dns_catalogs *f, const char *address)
{
    struct rc_address ip;

    dns_catalogs_turn(f);
    assert_int_equal(rc_address_parse_ip(address, 0, &ip), RC_OK);
    const char *found = f->view->service_at(f->view->context, &ip);
    return found != NULL ? found : "";
}

static void instance_carries_what_dns_needs(void **state)
{
    static const struct catalog_pair meta[] = {{"version", "3"}};
    static const struct catalog_service web = {
        .id = "web", .name = "web", .address = "10.0.9.9", .meta = meta, .meta_count = 1};
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->ours, "pg", "Standby", 0);
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
    assert_int_equal(instance->meta_count, 0);
    assert_null(service(f, "nosuch"));

    assert_int_equal(catalog_put_service(f->ours, ++f->now_ms, &web, NULL), RC_OK);
    instance = &service(f, "web")->instances[0];
    assert_int_equal(instance->place.ip.ip[3], 9);
    assert_int_equal(instance->meta_count, 1);
    assert_string_equal(instance->meta[0].value, "3");
}

static void health_follows_the_checks_at_once(void **state)
{
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->ours, "pg", "x", 0);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    dns_catalogs_check(f, f->ours, "pg", CHECK_WARNING);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_WARNING);
    assert_int_equal(service(f, "postgres")->instances[0].weight, 1);
    dns_catalogs_check(f, f->ours, "pg", CHECK_CRITICAL);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_UNUSABLE);
    dns_catalogs_check(f, f->ours, "", CHECK_PASSING);
    dns_catalogs_check(f, f->ours, "pg", CHECK_PASSING);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_int_equal(catalog_remove_service(f->ours, ++f->now_ms, "pg"), RC_OK);
    assert_null(service(f, "postgres"));
}

static void failed_node_takes_its_instances_along(void **state)
{
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->theirs[0], "pg", "x", 0);
    dns_catalogs_spread(f);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_non_null(node(f, "pg1"));

    dns_catalogs_member(f, 0, CATALOG_SUSPECT);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_true(service(f, "postgres")->instances[0].node->is_silent);
    assert_non_null(node(f, "pg1"));
    dns_catalogs_member(f, 0, CATALOG_FAILED);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_UNUSABLE);
    assert_null(node(f, "pg1"));
    dns_catalogs_member(f, 0, CATALOG_ALIVE);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_PASSING);
    assert_false(service(f, "postgres")->instances[0].node->is_silent);
    assert_non_null(node(f, "pg1"));
    dns_catalogs_member(f, 0, CATALOG_LEFT);
    assert_null(node(f, "pg1"));
    assert_null(service(f, "postgres"));
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
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->theirs[0], "pg", "primary", 4);
    dns_catalogs_put(f, f->theirs[1], "pg", "standby", 4);
    dns_catalogs_spread(f);
    assert_int_equal(count_tag(service(f, "postgres"), "primary"), 1);
    dns_catalogs_put(f, f->theirs[1], "pg", "primary", 5);
    dns_catalogs_spread(f);

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
    struct dns_catalogs *f = *state;

    assert_int_equal(catalog_put_service(f->ours, ++f->now_ms, &web, NULL), RC_OK);
    assert_string_equal(node_at(f, "10.0.0.52"), "pg2");
    assert_string_equal(service_at(f, "10.0.0.52"), "");
    assert_string_equal(node_at(f, "10.0.9.9"), "");
    assert_string_equal(service_at(f, "10.0.9.9"), "web");
    dns_catalogs_check(f, f->ours, "web", CHECK_CRITICAL);
    assert_string_equal(service_at(f, "10.0.9.9"), "");
    assert_int_equal(catalog_remove_service(f->ours, ++f->now_ms, "web"), RC_OK);
    assert_string_equal(service_at(f, "10.0.9.9"), "");
    dns_catalogs_member(f, 1, CATALOG_FAILED);
    assert_string_equal(node_at(f, "10.0.0.52"), "");
    const struct catalog_member successor = {
        .name = "pg3", .address = "10.0.0.52", .liveness = CATALOG_ALIVE, .peer = true};
    catalog_member_event(f->ours, ++f->now_ms, DNS_CATALOGS_WALL_MS, &successor);
    assert_string_equal(node_at(f, "10.0.0.52"), "pg3");
}

static void what_a_reader_holds_stays_until_it_leaves(void **state)
{
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->ours, "pg", "x", 0);
    dns_catalogs_turn(f);
    dns_board_enter(f->reader);
    const struct dns_service *first = service(f, "postgres");
    dns_catalogs_put(f, f->ours, "pg2", "y", 0);
    const struct dns_service *second = service(f, "postgres");

    assert_int_equal(first->instance_count, 1);
    assert_string_equal(first->instances[0].tags[0], "x");
    assert_int_equal(second->instance_count, 2);
    assert_ptr_equal(service(f, "postgres"), second); /* kept while nothing changes */
    dns_board_leave(f->reader);
}

/* Many checks tell something new, and nothing changes for DNS. */
static void new_output_of_a_check_puts_nothing_up(void **state)
{
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->ours, "pg", "x", 0);
    dns_catalogs_check(f, f->ours, "pg", CHECK_PASSING);
    dns_catalogs_turn(f);
    const struct dns_board_counts before = dns_board_count(f->board);
    for (int i = 0; i < 10; i++) {
        char output[32];
        (void)snprintf(output, sizeof output, "took %d ms", i);
        const struct catalog_result result = {
            .check_id = "check", .status = CHECK_PASSING, .output = output};
        f->now_ms += 60000;
        catalog_tick(f->ours, f->now_ms);
        assert_int_equal(catalog_update_check(f->ours, f->now_ms, &result), RC_OK);
        dns_catalogs_turn(f);
    }
    const struct dns_board_counts now = dns_board_count(f->board);
    assert_true(now.index > before.index);
    assert_int_equal(now.services_put, before.services_put);
    assert_int_equal(now.nodes_put, before.nodes_put);
}

static void many_changes_of_one_turn_are_put_up_once(void **state)
{
    struct dns_catalogs *f = *state;

    dns_catalogs_put(f, f->ours, "pg", "x", 0);
    dns_catalogs_turn(f);
    const struct dns_board_counts before = dns_board_count(f->board);
    for (int i = 0; i < 50; i++) {
        dns_catalogs_check(f, f->ours, "pg", CHECK_WARNING);
        dns_catalogs_check(f, f->ours, "pg", CHECK_CRITICAL);
    }
    dns_catalogs_turn(f);
    assert_int_equal(dns_board_count(f->board).services_put, before.services_put + 1);
    assert_int_equal(dns_board_count(f->board).nodes_put, before.nodes_put);
}

/* Whoever wrote something finds it before the turn; the turn makes nothing twice. */
static void what_was_followed_ahead_is_not_followed_again(void **state)
{
    struct dns_catalogs *f = *state;
    const struct catalog_change *changes = NULL;

    dns_catalogs_turn(f);
    for (int i = 0; i < 3; i++) {
        dns_catalogs_put(f, f->ours, i == 0 ? "a" : i == 1 ? "b" : "c", "x", 0);
        size_t count = catalog_see_changes(f->ours, &changes);
        dns_feed_ahead(f->feed, changes, count);
        const struct dns_service *found =
            f->view->service(f->view->context, rc_span_of("postgres"));
        assert_int_equal(found->instance_count, i + 1);
    }
    const struct dns_board_counts before = dns_board_count(f->board);
    dns_catalogs_check(f, f->ours, "a", CHECK_WARNING); /* nobody looks ahead */
    dns_catalogs_turn(f);
    assert_int_equal(dns_board_count(f->board).services_put, before.services_put + 1);
    assert_int_equal(service(f, "postgres")->instances[0].health, DNS_HEALTH_WARNING);
}

static void servers_that_live_serve_the_zone(void **state)
{
    static const struct catalog_service server = {.id = "consul", .name = "consul"};
    struct dns_catalogs *f = *state;
    const struct dns_node *out[DNS_NAME_SERVERS_MAX];

    dns_catalogs_turn(f);
    assert_int_equal(f->view->name_servers(f->view->context, out), 1);
    assert_string_equal(out[0]->name, "web1"); /* we do when there is no server */
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(catalog_put_service(f->theirs[i], ++f->now_ms, &server, NULL),
                         RC_OK);
    }
    dns_catalogs_spread(f);
    dns_catalogs_turn(f);
    assert_int_equal(f->view->name_servers(f->view->context, out), 2);
    assert_string_equal(out[1]->name, "pg2");
    dns_catalogs_member(f, 0, CATALOG_FAILED);
    dns_catalogs_turn(f);
    assert_int_equal(f->view->name_servers(f->view->context, out), 1);
    assert_string_equal(out[0]->name, "pg2");
}

/* ---- Who may see what. */

struct hidden {
    uint64_t serial;
    const char *node;
    const char *service;
};

static uint64_t serial_of(void *context)
{
    const struct hidden *hidden = context;
    return hidden->serial;
}

static bool shows(void *context, enum dns_gate_kind kind, const char *name)
{
    const struct hidden *hidden = context;
    return strcmp(kind == DNS_GATE_NODE ? hidden->node : hidden->service, name) != 0;
}

static void what_may_not_be_shown_is_not_up(void **state)
{
    struct dns_catalogs *f = *state;
    struct hidden hidden = {1, "pg1", "web"};
    static const struct catalog_service web = {.id = "web", .name = "web"};

    dns_catalogs_put(f, f->theirs[0], "pg", "x", 0);
    dns_catalogs_put(f, f->theirs[1], "pg", "x", 0);
    dns_catalogs_spread(f);
    assert_int_equal(catalog_put_service(f->ours, ++f->now_ms, &web, NULL), RC_OK);
    assert_non_null(service(f, "web"));

    f->gate = (struct dns_gate){&hidden, serial_of, shows};
    assert_null(service(f, "web"));
    assert_null(node(f, "pg1"));
    assert_string_equal(node_at(f, "10.0.0.51"), "");
    const struct dns_service *found = service(f, "postgres");
    assert_int_equal(found->instances[0].health, DNS_HEALTH_UNUSABLE);
    assert_int_equal(found->instances[1].health, DNS_HEALTH_PASSING);

    hidden = (struct hidden){2, "pg2", "Postgres"};
    assert_non_null(service(f, "web"));
    assert_non_null(node(f, "pg1"));
    assert_null(service(f, "postgres"));
    hidden = (struct hidden){3, "", ""};
    assert_int_equal(service(f, "postgres")->instances[1].health, DNS_HEALTH_PASSING);
}

/* ---- Whatever happens, the board is what a new one would be. */

static void assert_same_instance(const struct dns_instance *a,
                                 const struct dns_instance *b)
{
    assert_string_equal(a->service_id, b->service_id);
    assert_string_equal(a->node->name, b->node->name);
    assert_true(rc_address_ip_equals(&a->node->place.ip, &b->node->place.ip));
    assert_int_equal(a->node->is_silent, b->node->is_silent);
    assert_true(rc_address_ip_equals(&a->place.ip, &b->place.ip));
    assert_int_equal(a->place.host != NULL, b->place.host != NULL);
    assert_int_equal(a->port, b->port);
    assert_int_equal(a->weight, b->weight);
    assert_int_equal(a->health, b->health);
    assert_int_equal(a->tag_count, b->tag_count);
    for (size_t i = 0; i < a->tag_count; i++) {
        assert_string_equal(a->tags[i], b->tags[i]);
    }
    assert_int_equal(a->meta_count, b->meta_count);
    for (size_t i = 0; i < a->meta_count; i++) {
        assert_string_equal(a->meta[i].value, b->meta[i].value);
    }
}

static void assert_same_service(const struct dns_service *a, const struct dns_service *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a == NULL || b == NULL) {
        return;
    }
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->instance_count, b->instance_count);
    for (size_t i = 0; i < a->instance_count; i++) {
        assert_same_instance(&a->instances[i], &b->instances[i]);
    }
}

static void assert_same_at(const struct dns_view *a, const struct dns_view *b,
                           const char *address)
{
    struct rc_address ip;

    assert_int_equal(rc_address_parse_ip(address, 0, &ip), RC_OK);
    const struct dns_node *one = a->node_at(a->context, &ip);
    const struct dns_node *other = b->node_at(b->context, &ip);
    assert_string_equal(one != NULL ? one->name : "", other != NULL ? other->name : "");
    const char *name = a->service_at(a->context, &ip);
    const char *its = b->service_at(b->context, &ip);
    assert_string_equal(name != NULL ? name : "", its != NULL ? its : "");
}

static void assert_same_servers(const struct dns_view *a, const struct dns_view *b)
{
    const struct dns_node *ones[DNS_NAME_SERVERS_MAX];
    const struct dns_node *others[DNS_NAME_SERVERS_MAX];
    size_t count = a->name_servers(a->context, ones);

    assert_int_equal(b->name_servers(b->context, others), count);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(ones[i]->name, others[i]->name);
        assert_true(rc_address_ip_equals(&ones[i]->place.ip, &others[i]->place.ip));
    }
}

static const char *const service_names[] = {"a", "b", "c", "consul"};
static const char *const node_names[] = {"web1", "pg1", "pg2"};
static const char *const places[] = {"",           "10.0.0.51", "10.0.0.52", "10.0.0.11",
                                     "db.example", "10.0.0.91", "10.0.0.92", "10.0.0.53"};

static void assert_same(const struct dns_view *a, const struct dns_view *b)
{
    struct rc_address ip;

    for (size_t i = 0; i < sizeof service_names / sizeof service_names[0]; i++) {
        struct rc_span name = rc_span_of(service_names[i]);
        assert_same_service(a->service(a->context, name), b->service(b->context, name));
    }
    for (size_t i = 0; i < sizeof node_names / sizeof node_names[0]; i++) {
        struct rc_span name = rc_span_of(node_names[i]);
        const struct dns_node *one = a->node(a->context, name);
        const struct dns_node *other = b->node(b->context, name);
        assert_int_equal(one != NULL, other != NULL);
        assert_true(one == NULL || one->is_silent == other->is_silent);
    }
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (rc_address_parse_ip(places[i], 0, &ip) == RC_OK) {
            assert_same_at(a, b, places[i]);
        }
    }
    assert_same_servers(a, b);
}

static void assert_as_if_new(struct dns_catalogs *f)
{
    struct dns_board *board;
    struct dns_board_reader *reader;
    struct dns_feed *feed;

    assert_int_equal(dns_board_create("dc1", 5, &board), RC_OK);
    assert_int_equal(dns_board_join(board, &reader), RC_OK);
    assert_int_equal(dns_feed_create(f->ours, board, &f->gate, &feed), RC_OK);
    dns_feed_turn(feed, NULL, 0);
    assert_same(f->view, dns_board_view(reader));
    const struct dns_board_counts ours = dns_board_count(f->board);
    const struct dns_board_counts fresh = dns_board_count(board);
    assert_int_equal(ours.services, fresh.services);
    assert_int_equal(ours.nodes, fresh.nodes);
    assert_int_equal(ours.addresses, fresh.addresses);
    assert_int_equal(ours.index, fresh.index);
    assert_int_equal(ours.waiting, 0);
    dns_feed_destroy(feed);
    dns_board_destroy(board);
}

static void put_at_random(struct dns_catalogs *f, struct catalog *catalog, const char *id,
                          struct rc_random *random)
{
    static const char *const tags[] = {"primary", "x"};
    static const struct catalog_pair meta[] = {{"k", "v"}};
    const struct catalog_service service = {.id = id,
                                            .name =
                                                service_names[rc_random_below(random, 4)],
                                            .address = places[rc_random_below(random, 7)],
                                            .port = (uint16_t)rc_random_below(random, 3),
                                            .tags = tags,
                                            .tag_count = rc_random_below(random, 3),
                                            .meta = meta,
                                            .meta_count = rc_random_below(random, 2),
                                            .term = rc_random_below(random, 3),
                                            .weight_passing = 1,
                                            .weight_warning = 2};

    (void)catalog_put_service(catalog, ++f->now_ms, &service, NULL);
}

static void check_at_random(struct dns_catalogs *f, const char *id,
                            struct rc_random *random)
{
    const struct catalog_check values = {
        .id = id,
        .name = "x",
        .service_id = rc_random_below(random, 4) == 0 ? "" : id,
        .type = "ttl",
        .status = (enum check_status)rc_random_below(random, CHECK_STATUS_COUNT)};

    (void)catalog_put_check(f->ours, ++f->now_ms, &values, NULL);
}

/* Our own node moves. */
static void move(struct dns_catalogs *f, struct rc_random *random)
{
    const struct catalog_node node = {
        .name = "web1",
        .id = "",
        .address = rc_random_below(random, 2) == 0 ? "10.0.0.11" : "10.0.0.53",
        .datacenter = "dc1"};

    (void)catalog_set_node(f->ours, ++f->now_ms, &node, NULL);
}

static void change_at_random(struct dns_catalogs *f, struct rc_random *random)
{
    static const char *const ids[] = {"1", "2", "3", "4"};
    const char *id = ids[rc_random_below(random, 4)];
    struct catalog *other = f->theirs[rc_random_below(random, 2)];

    switch (rc_random_below(random, 8)) {
    case 0:
        (void)catalog_remove_service(f->ours, ++f->now_ms, id);
        break;
    case 1:
        dns_catalogs_member(f, rc_random_below(random, 2),
                            (enum catalog_liveness)rc_random_below(random, CATALOG_LEFT));
        break;
    case 2:
        check_at_random(f, id, random);
        break;
    case 3:
        (void)catalog_remove_service(other, ++f->now_ms, id);
        dns_catalogs_spread(f);
        break;
    case 4:
        put_at_random(f, other, id, random);
        dns_catalogs_spread(f);
        break;
    case 5:
        move(f, random);
        break;
    default:
        put_at_random(f, f->ours, id, random);
        break;
    }
}

static void after_every_change_the_board_is_as_if_new(void **state)
{
    struct dns_catalogs *f = *state;
    struct hidden hidden = {1, "", ""};
    struct rc_random random;

    f->gate = (struct dns_gate){&hidden, serial_of, shows};
    rc_random_init(&random, 11);
    for (int i = 0; i < 3000; i++) {
        for (uint64_t n = rc_random_below(&random, 3); n < 3; n++) {
            change_at_random(f, &random);
            if (rc_random_below(&random, 3) == 0) {
                const struct catalog_change *changes = NULL;
                size_t count = catalog_see_changes(f->ours, &changes);
                dns_feed_ahead(f->feed, changes, count);
            }
        }
        if (rc_random_below(&random, 20) == 0) {
            hidden.serial++;
            hidden.node = rc_random_below(&random, 2) == 0 ? "pg1" : "";
            hidden.service = rc_random_below(&random, 2) == 0 ? "b" : "";
        }
        dns_catalogs_turn(f);
        assert_as_if_new(f);
    }
}

/* More than the catalog tells apart. */
static void too_many_changes_to_tell_apart_are_all_seen(void **state)
{
    struct dns_catalogs *f = *state;
    char id[32];

    dns_catalogs_put(f, f->ours, "gone", "x", 0);
    dns_catalogs_turn(f);
    for (int i = 0; i < 2000; i++) {
        (void)snprintf(id, sizeof id, "a%d", i);
        const struct catalog_service service = {.id = id, .name = id};
        assert_int_equal(catalog_put_service(f->ours, ++f->now_ms, &service, NULL),
                         RC_OK);
    }
    assert_int_equal(catalog_remove_service(f->ours, ++f->now_ms, "gone"), RC_OK);
    assert_null(service(f, "postgres"));
    assert_non_null(service(f, "a0"));
    assert_non_null(service(f, "a1999"));
    assert_int_equal(dns_board_count(f->board).services, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instance_carries_what_dns_needs,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(health_follows_the_checks_at_once,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(failed_node_takes_its_instances_along,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(only_the_highest_term_is_primary,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(addresses_lead_back_to_nodes_and_services,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(what_a_reader_holds_stays_until_it_leaves,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(new_output_of_a_check_puts_nothing_up,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(many_changes_of_one_turn_are_put_up_once,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(what_was_followed_ahead_is_not_followed_again,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(servers_that_live_serve_the_zone,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(what_may_not_be_shown_is_not_up,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(after_every_change_the_board_is_as_if_new,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
        cmocka_unit_test_setup_teardown(too_many_changes_to_tell_apart_are_all_seen,
                                        dns_catalogs_set_up, dns_catalogs_tear_down),
    };
    return cmocka_run_group_tests_name("dns_feed", tests, NULL, NULL);
}
