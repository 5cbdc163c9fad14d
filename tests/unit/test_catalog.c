/* What readers of the catalog rely on: order, derived state, indexes, quotas. */
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

enum { WALL = 1700000000 };

static int make(void **state)
{
    struct catalog_options options = {.node_name = "web1",
                                      .seed = 1,
                                      .now_ms = 1000,
                                      .wall_ms = (uint64_t)WALL * 1000,
                                      .services_max = 8,
                                      .checks_max = 8};

    return catalog_create(&options, (struct catalog **)state);
}

static int drop(void **state)
{
    catalog_destroy(*state);
    return 0;
}

static void put(struct catalog *c, const char *id, const char *name, const char *tag)
{
    struct catalog_service service = {
        .id = id, .name = name, .port = 80, .tags = &tag, .tag_count = tag != NULL};

    assert_int_equal(catalog_put_service(c, 1000, &service, NULL), RC_OK);
}

static void put_check(struct catalog *c, const char *id, const char *service,
                      enum check_status status)
{
    struct catalog_check check = {
        .id = id, .name = id, .service_id = service, .status = status, .type = "ttl"};

    assert_int_equal(catalog_put_check(c, 1000, &check, NULL), RC_OK);
}

static void update(struct catalog *c, uint64_t now_ms, const char *id,
                   enum check_status status, const char *output)
{
    struct catalog_result result = {
        .check_id = id, .status = status, .output = output, .wall_ms = 77};

    assert_int_equal(catalog_update_check(c, now_ms, &result), RC_OK);
}

static void member(struct catalog *c, const char *name, enum catalog_liveness liveness)
{
    struct catalog_member event = {
        .name = name, .address = "10.0.0.9", .liveness = liveness, .peer = true};

    catalog_member_event(c, 1000, 5000, &event);
}

static bool told(struct catalog *c, enum catalog_topic topic, const char *name)
{
    const struct catalog_change *changes = NULL;
    size_t count = catalog_take_changes(c, &changes);

    for (size_t i = 0; i < count; i++) {
        if (changes[i].topic == topic && strcmp(changes[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void starts_with_itself_alive_and_indexes_at_wall_time(void **state)
{
    struct catalog *c = *state;
    const struct catalog_node *self = catalog_self(c);

    assert_int_equal(catalog_node_count(c), 1);
    assert_ptr_equal(catalog_node_at(c, 0), self);
    assert_string_equal(self->name, "web1");
    assert_string_equal(self->datacenter, "dc1");
    assert_int_equal(self->check_count, 1);
    assert_string_equal(self->checks[0]->id, "serfHealth");
    assert_int_equal(self->checks[0]->status, CHECK_PASSING);
    assert_true(catalog_index(c, CATALOG_TOPIC_NODES, "") >= WALL);
    assert_true(catalog_index(c, CATALOG_TOPIC_SERVICE, "nothing") >= WALL);
}

static void names_and_nodes_are_found_in_any_case(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "Web", NULL);

    assert_non_null(catalog_name_find(c, "wEB"));
    assert_non_null(catalog_name_find_bytes(c, "WEBx", 3));
    assert_null(catalog_name_find(c, "webx"));
    assert_null(catalog_name_find(c, ""));
    assert_non_null(catalog_node_find(c, "WEB1"));
    assert_null(catalog_node_find(c, "web2"));
}

static void instances_tags_and_checks_come_in_order(void **state)
{
    struct catalog *c = *state;

    put(c, "w2", "web", "b");
    put(c, "w1", "web", "a");
    put(c, "d", "db", NULL);
    put_check(c, "z", "w1", CHECK_PASSING);
    put_check(c, "a", "w2", CHECK_PASSING);
    put_check(c, "node-disk", "", CHECK_PASSING);

    const struct catalog_name *web = catalog_name_find(c, "web");
    assert_string_equal(catalog_name_at(c, 0)->name, "db");
    assert_string_equal(catalog_name_at(c, 1)->name, "web");
    assert_int_equal(web->instance_count, 2);
    assert_string_equal(web->instances[0]->id, "w1");
    assert_int_equal(web->tag_count, 2);
    assert_string_equal(web->tags[0], "a");
    const struct catalog_node *self = catalog_self(c);
    assert_int_equal(self->check_count, 4);
    assert_int_equal(self->node_check_count, 2);
    assert_string_equal(self->checks[1]->id, "node-disk");
    assert_string_equal(web->instances[0]->checks[0]->id, "z");
    assert_string_equal(web->instances[0]->checks[0]->service_name, "web");
    assert_ptr_equal(catalog_check_find(self, "a"), web->instances[1]->checks[0]);
}

static void usable_means_alive_and_nothing_critical(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "web", NULL);
    put_check(c, "w", "w1", CHECK_WARNING);
    const struct catalog_service *web = catalog_name_find(c, "web")->instances[0];
    assert_int_equal(catalog_service_health(web), CHECK_WARNING);
    assert_true(catalog_service_is_usable(web));

    update(c, 1000, "w", CHECK_CRITICAL, "no");
    assert_false(catalog_service_is_usable(web));
    assert_int_equal(catalog_check_find(catalog_self(c), "w")->since_wall_ms, 77);

    update(c, 1000, "w", CHECK_PASSING, "yes");
    put_check(c, "disk", "", CHECK_CRITICAL);
    assert_false(catalog_service_is_usable(web));

    assert_int_equal(catalog_remove_check(c, 1000, "disk"), RC_OK);
    assert_true(catalog_service_is_usable(web));
}

static void maintenance_is_seen_from_its_check(void **state)
{
    struct catalog *c = *state;
    struct catalog_check check = {.id = "_service_maintenance:w1",
                                  .service_id = "w1",
                                  .type = "maintenance",
                                  .status = CHECK_CRITICAL};

    put(c, "w1", "web", NULL);
    assert_int_equal(catalog_put_check(c, 1000, &check, NULL), RC_OK);

    const struct catalog_service *web = catalog_service_find(catalog_self(c), "w1");
    assert_true(web->maintenance);
    assert_false(web->node->maintenance);
    assert_false(catalog_service_is_usable(web));
}

static void identical_writes_raise_no_index(void **state)
{
    struct catalog *c = *state;
    struct catalog_node facts = {.address = "10.0.0.1", .id = "x"};

    assert_int_equal(catalog_set_node(c, 1000, &facts, NULL), RC_OK);
    put(c, "w1", "web", "a");
    put_check(c, "w", "w1", CHECK_PASSING);
    uint64_t before = catalog_index(c, CATALOG_TOPIC_ALL, "");
    uint64_t version = catalog_self(c)->version;

    assert_int_equal(catalog_set_node(c, 1000, &facts, NULL), RC_OK);
    put(c, "w1", "web", "a");
    put_check(c, "w", "w1", CHECK_PASSING);
    update(c, 1000, "w", CHECK_PASSING, "");

    assert_int_equal(catalog_index(c, CATALOG_TOPIC_ALL, ""), before);
    assert_int_equal(catalog_self(c)->version, version);
}

static void each_service_has_an_index_of_its_own(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "web", NULL);
    put(c, "d1", "db", NULL);
    put_check(c, "w", "w1", CHECK_PASSING);
    uint64_t web = catalog_index(c, CATALOG_TOPIC_SERVICE, "web");
    uint64_t db = catalog_index(c, CATALOG_TOPIC_SERVICE, "db");
    uint64_t services = catalog_index(c, CATALOG_TOPIC_SERVICES, "");
    uint64_t nodes = catalog_index(c, CATALOG_TOPIC_NODES, "");

    update(c, 1000, "w", CHECK_CRITICAL, "");

    assert_true(catalog_index(c, CATALOG_TOPIC_SERVICE, "WEB") > web);
    assert_int_equal(catalog_index(c, CATALOG_TOPIC_SERVICE, "db"), db);
    assert_int_equal(catalog_index(c, CATALOG_TOPIC_SERVICES, ""), services);
    assert_int_equal(catalog_index(c, CATALOG_TOPIC_NODES, ""), nodes);
    assert_true(told(c, CATALOG_TOPIC_SERVICE, "web"));
}

static void a_check_of_the_node_wakes_all_its_services(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "web", NULL);
    uint64_t web = catalog_index(c, CATALOG_TOPIC_SERVICE, "web");

    put_check(c, "disk", "", CHECK_WARNING);

    assert_true(catalog_index(c, CATALOG_TOPIC_SERVICE, "web") > web);
}

static void checks_wake_the_states_they_leave_and_enter(void **state)
{
    struct catalog *c = *state;

    put_check(c, "disk", "", CHECK_PASSING);
    uint64_t warning = catalog_index(c, CATALOG_TOPIC_CHECKS, "warning");
    uint64_t critical = catalog_index(c, CATALOG_TOPIC_CHECKS, "critical");
    uint64_t any = catalog_index(c, CATALOG_TOPIC_CHECKS, "any");

    update(c, 1000, "disk", CHECK_CRITICAL, "");

    assert_int_equal(catalog_index(c, CATALOG_TOPIC_CHECKS, "warning"), warning);
    assert_true(catalog_index(c, CATALOG_TOPIC_CHECKS, "critical") > critical);
    assert_true(catalog_index(c, CATALOG_TOPIC_CHECKS, "any") > any);
    assert_true(told(c, CATALOG_TOPIC_CHECKS, "passing"));
}

static void a_vanished_service_has_the_index_of_its_end(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "web", NULL);
    uint64_t before = catalog_index(c, CATALOG_TOPIC_SERVICE, "web");
    assert_int_equal(catalog_remove_service(c, 1000, "w1"), RC_OK);

    assert_null(catalog_name_find(c, "web"));
    assert_true(catalog_index(c, CATALOG_TOPIC_SERVICE, "web") > before);
    assert_true(told(c, CATALOG_TOPIC_SERVICE, "web"));
}

static void a_batch_is_one_step(void **state)
{
    struct catalog *c = *state;
    uint64_t index = catalog_index(c, CATALOG_TOPIC_ALL, "");
    uint64_t version = catalog_self(c)->version;

    catalog_begin(c);
    put(c, "w1", "web", NULL);
    put_check(c, "w", "w1", CHECK_PASSING);
    put(c, "w1", "web", "tag");
    assert_int_equal(catalog_remove_check(c, 1000, "w"), RC_OK);
    put_check(c, "w", "w1", CHECK_WARNING);
    catalog_end(c, 1000);

    assert_int_equal(catalog_index(c, CATALOG_TOPIC_ALL, ""), index + 1);
    assert_int_equal(catalog_self(c)->version, version + 1);
    const struct catalog_service *web = catalog_name_find(c, "web")->instances[0];
    assert_int_equal(web->check_count, 1);
    assert_int_equal(web->status, CHECK_WARNING);
}

static void removing_a_service_takes_its_checks(void **state)
{
    struct catalog *c = *state;

    put(c, "w1", "web", NULL);
    put(c, "w2", "web", NULL);
    put_check(c, "a", "w1", CHECK_PASSING);
    put_check(c, "b", "w2", CHECK_PASSING);
    assert_int_equal(catalog_remove_service(c, 1000, "w1"), RC_OK);

    assert_null(catalog_check_find(catalog_self(c), "a"));
    assert_non_null(catalog_check_find(catalog_self(c), "b"));
    assert_int_equal(catalog_remove_service(c, 1000, "w1"), RC_ENOTFOUND);
}

static void output_alone_is_told_late_and_status_at_once(void **state)
{
    struct catalog *c = *state;

    put_check(c, "disk", "", CHECK_PASSING);
    const struct catalog_node *self = catalog_self(c);
    uint64_t version = self->version;
    update(c, 1100, "disk", CHECK_PASSING, "one");
    update(c, 1200, "disk", CHECK_PASSING, "two");
    assert_int_equal(self->version, version);
    assert_string_equal(catalog_check_find(self, "disk")->output, "");

    assert_true(catalog_deadline_ms(c) <= 6000);
    catalog_tick(c, 6000);
    assert_int_equal(self->version, version + 1);
    assert_string_equal(catalog_check_find(self, "disk")->output, "two");

    update(c, 6100, "disk", CHECK_CRITICAL, "three");
    assert_string_equal(catalog_check_find(self, "disk")->output, "three");
    assert_int_equal(self->version, version + 2);
}

static void over_quota_is_refused_with_a_sentence(void **state)
{
    struct catalog *c = *state;
    char error[CATALOG_ERROR_MAX] = "";
    char id[CATALOG_NAME_MAX + 2];
    struct catalog_service service = {.id = id, .name = "web"};

    memset(id, 'x', sizeof id);
    id[sizeof id - 1] = '\0';
    assert_int_equal(catalog_put_service(c, 1000, &service, error), RC_ETOOBIG);
    assert_string_equal(error, "service id is 256 bytes long, the maximum is 255");

    service.id = "";
    assert_int_equal(catalog_put_service(c, 1000, &service, error), RC_EINVAL);
    assert_string_equal(error, "service id is missing");

    for (int i = 0; i < 8; i++) {
        (void)snprintf(id, sizeof id, "w%d", i);
        put(c, id, "web", NULL);
    }
    service.id = "w8";
    assert_int_equal(catalog_put_service(c, 1000, &service, error), RC_ETOOBIG);
    assert_string_equal(error, "this node has too many services");

    struct catalog_check check = {.id = "c", .service_id = "nope"};
    assert_int_equal(catalog_put_check(c, 1000, &check, error), RC_ENOTFOUND);
    assert_string_equal(error, "service \"nope\" does not exist");
    assert_int_equal(catalog_counters(c)->quota_refused, 3);
}

static void long_output_is_cut_between_characters(void **state)
{
    struct catalog *c = *state;
    char *text = malloc(6001);

    assert_non_null(text);
    for (int i = 0; i < 3000; i++) {
        memcpy(text + (size_t)i * 2, "\xc3\xa9", 2);
    }
    memmove(text + 1, text, 5999); /* now characters begin at odd places */
    text[0] = 'a';
    text[6000] = '\0';
    struct catalog_check check = {.id = "c", .output = text};
    assert_int_equal(catalog_put_check(c, 1000, &check, NULL), RC_OK);

    assert_int_equal(strlen(catalog_check_find(catalog_self(c), "c")->output), 4095);
    free(text);
}

static void members_come_fail_and_go(void **state)
{
    struct catalog *c = *state;

    member(c, "db1", CATALOG_ALIVE);
    const struct catalog_node *node = catalog_node_find(c, "db1");
    assert_non_null(node);
    assert_ptr_equal(catalog_node_at(c, 0), node);
    assert_string_equal(node->address, "10.0.0.9");
    uint64_t index = catalog_index(c, CATALOG_TOPIC_NODE, "db1");

    member(c, "db1", CATALOG_SUSPECT);
    assert_int_equal(node->checks[0]->status, CHECK_PASSING);
    member(c, "db1", CATALOG_FAILED);
    assert_int_equal(node->checks[0]->status, CHECK_CRITICAL);
    assert_string_equal(node->checks[0]->output, "Agent not live or unreachable");
    assert_true(catalog_index(c, CATALOG_TOPIC_NODE, "db1") > index);
    assert_true(told(c, CATALOG_TOPIC_CHECKS, "critical"));

    uint64_t nodes = catalog_index(c, CATALOG_TOPIC_NODES, "");
    member(c, "db1", CATALOG_LEFT);
    assert_null(catalog_node_find(c, "db1"));
    assert_true(catalog_index(c, CATALOG_TOPIC_NODES, "") > nodes);
    assert_true(told(c, CATALOG_TOPIC_NODES, ""));
}

static void too_many_changes_become_one(void **state)
{
    struct catalog *c = *state;
    const struct catalog_change *changes = NULL;
    char tag[16];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(tag, sizeof tag, "t%d", i);
        put(c, "w1", "web", tag);
    }

    assert_int_equal(catalog_take_changes(c, &changes), 1);
    assert_int_equal(changes[0].topic, CATALOG_TOPIC_ALL);
    assert_int_equal(changes[0].index, catalog_index(c, CATALOG_TOPIC_ALL, ""));
    assert_int_equal(catalog_take_changes(c, &changes), 0);
}

static void only_the_highest_term_is_primary(void **state)
{
    struct catalog *c = *state;
    const char *tag = "primary";
    struct catalog_service one = {
        .id = "p1", .name = "pg", .tags = &tag, .tag_count = 1, .term = 3};
    struct catalog_service two = {
        .id = "p2", .name = "pg", .tags = &tag, .tag_count = 1, .term = 4};

    assert_int_equal(catalog_put_service(c, 1000, &one, NULL), RC_OK);
    const struct catalog_service *first = catalog_service_find(catalog_self(c), "p1");
    assert_true(catalog_service_has_tag(c, first, "Primary"));
    assert_int_equal(catalog_put_service(c, 1000, &two, NULL), RC_OK);

    assert_false(catalog_service_has_tag(c, first, "primary"));
    const struct catalog_service *second = catalog_service_find(catalog_self(c), "p2");
    assert_true(catalog_service_has_tag(c, second, "primary"));
    assert_int_equal(catalog_remove_service(c, 1000, "p2"), RC_OK);
    assert_false(catalog_service_has_tag(c, first, "primary"));
}

static void the_epoch_grows_over_restarts_even_if_the_clock_does_not(void **state)
{
    struct catalog *c = *state;
    struct catalog_options options = {.node_name = "web1", .wall_ms = 1};
    struct catalog *again = NULL;
    struct rc_buffer blob = {0};

    catalog_export(c, &blob);
    assert_int_equal(catalog_create(&options, &again), RC_OK);
    assert_int_equal(catalog_import(again, blob.bytes, blob.size), RC_OK);

    assert_true(catalog_epoch(again) > catalog_epoch(c));
    assert_int_equal(catalog_import(again, "junk", 4), RC_EMALFORMED);
    rc_buffer_fini(&blob);
    catalog_destroy(again);
}

static void our_record_survives_export_and_import(void **state)
{
    struct catalog *c = *state;
    struct catalog_options options = {.node_name = "web1", .wall_ms = 1};
    struct catalog *again = NULL;
    struct rc_buffer blob = {0};

    put(c, "w1", "web", "a");
    put_check(c, "w", "w1", CHECK_WARNING);
    catalog_export_record(c, &blob);
    assert_int_equal(catalog_create(&options, &again), RC_OK);
    assert_int_equal(catalog_import_record(again, 1000, blob.bytes, blob.size), RC_OK);

    const struct catalog_name *web = catalog_name_find(again, "web");
    assert_non_null(web);
    assert_int_equal(web->instances[0]->status, CHECK_WARNING);
    assert_int_equal(web->instances[0]->port, 80);
    rc_buffer_fini(&blob);
    catalog_destroy(again);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_with_itself_alive_and_indexes_at_wall_time),
        TEST(names_and_nodes_are_found_in_any_case),
        TEST(instances_tags_and_checks_come_in_order),
        TEST(usable_means_alive_and_nothing_critical),
        TEST(maintenance_is_seen_from_its_check),
        TEST(identical_writes_raise_no_index),
        TEST(each_service_has_an_index_of_its_own),
        TEST(a_check_of_the_node_wakes_all_its_services),
        TEST(checks_wake_the_states_they_leave_and_enter),
        TEST(a_vanished_service_has_the_index_of_its_end),
        TEST(a_batch_is_one_step),
        TEST(removing_a_service_takes_its_checks),
        TEST(output_alone_is_told_late_and_status_at_once),
        TEST(over_quota_is_refused_with_a_sentence),
        TEST(long_output_is_cut_between_characters),
        TEST(members_come_fail_and_go),
        TEST(too_many_changes_become_one),
        TEST(only_the_highest_term_is_primary),
        TEST(the_epoch_grows_over_restarts_even_if_the_clock_does_not),
        TEST(our_record_survives_export_and_import),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
