/* What a history of the pool is told: what happened, and nothing that was so before. */
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

enum { LOG_MAX = 4096 };

static const uint64_t minute_ms = 60000;

struct world {
    struct catalog *c;
    struct catalog *peer; /* another agent, whose record we are given */
    char log[LOG_MAX];    /* a line for each that was told */
    uint64_t now_ms;      /* of the last packet */
};

static void note(void *context, const struct catalog_happening *h)
{
    static const char *const words[CATALOG_HAPPENING_COUNT] = {
        [CATALOG_CHECK_FLIPPED] = "flip",
        [CATALOG_SERVICE_CAME] = "came",
        [CATALOG_SERVICE_WENT] = "went",
        [CATALOG_MAINTENANCE_BEGAN] = "maintenance",
        [CATALOG_MAINTENANCE_ENDED] = "maintained",
        [CATALOG_PRIMARY_CHANGED] = "primary",
    };
    struct world *world = context;
    size_t size = strlen(world->log);

    (void)snprintf(world->log + size, sizeof world->log - size, "%s %s %s %s %s%s\n",
                   words[h->kind], h->node->name,
                   h->service != NULL ? h->service->id : "-",
                   h->kind == CATALOG_CHECK_FLIPPED ? check_status_name(h->from) : "-",
                   h->check != NULL ? check_status_name(h->check->status) : h->was,
                   h->is_first ? " first" : "");
}

static struct catalog *make_catalog(const char *name)
{
    struct catalog_options options = {
        .node_name = name, .seed = 1, .now_ms = 1000, .wall_ms = 1700000000000};
    struct catalog *c = NULL;

    assert_int_equal(catalog_create(&options, &c), RC_OK);
    return c;
}

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    world->c = make_catalog("web1");
    world->peer = make_catalog("web2");
    catalog_tell_happenings(world->c, note, world);
    *state = world;
    return 0;
}

static int drop(void **state)
{
    struct world *world = *state;

    catalog_destroy(world->c);
    catalog_destroy(world->peer);
    free(world);
    return 0;
}

static void put(struct catalog *c, const char *id, uint64_t term)
{
    const char *tag = "primary";
    const struct catalog_pair meta = {"pg_cluster", "main"};
    const struct catalog_service service = {.id = id,
                                            .name = id,
                                            .port = 80,
                                            .term = term,
                                            .tags = &tag,
                                            .tag_count = term > 0,
                                            .meta = &meta,
                                            .meta_count = term > 0};

    assert_int_equal(catalog_put_service(c, 1000, &service, NULL), RC_OK);
}

static void put_check(struct catalog *c, const char *id, const char *service,
                      const char *type)
{
    const struct catalog_check check = {.id = id,
                                        .name = id,
                                        .service_id = service,
                                        .status = CHECK_CRITICAL,
                                        .type = type};

    assert_int_equal(catalog_put_check(c, 1000, &check, NULL), RC_OK);
}

static void update(struct catalog *c, uint64_t now_ms, enum check_status status)
{
    const struct catalog_result result = {
        .check_id = "ttl", .status = status, .output = "", .wall_ms = 77};

    assert_int_equal(catalog_update_check(c, now_ms, &result), RC_OK);
}

static void member(struct catalog *c, enum catalog_liveness liveness)
{
    const struct catalog_member event = {
        .name = "web2", .address = "10.0.0.9", .liveness = liveness, .peer = true};

    catalog_member_event(c, 1000, 5000, &event);
}

/* Hands the peer's rumours over, all of them. */
static void hear(struct world *world)
{
    uint8_t packet[1400];
    size_t size = 0;

    world->now_ms += minute_ms;
    catalog_tick(world->peer, world->now_ms);
    while ((size = catalog_fill(world->peer, world->now_ms, packet, sizeof packet)) > 0) {
        (void)catalog_receive(world->c, 1000, "web2", packet, size);
    }
}

static void a_first_run_is_no_change_but_each_later_one_is(void **state)
{
    struct world *world = *state;

    put(world->c, "web", 0);
    put_check(world->c, "ttl", "web", "ttl");
    update(world->c, 2000, CHECK_PASSING);
    update(world->c, 3000, CHECK_PASSING);
    update(world->c, 4000, CHECK_WARNING);
    update(world->c, 5000, CHECK_CRITICAL);

    assert_string_equal(world->log, "came web1 web - \n"
                                    "flip web1 web passing warning\n"
                                    "flip web1 web warning critical\n");
}

static void maintenance_is_told_when_it_begins_and_ends(void **state)
{
    struct world *world = *state;

    put(world->c, "web", 0);
    put_check(world->c, "m", "web", "maintenance");
    assert_int_equal(catalog_remove_check(world->c, 1000, "m"), RC_OK);
    put_check(world->c, "n", "", "maintenance");
    assert_int_equal(catalog_remove_service(world->c, 1000, "web"), RC_OK);

    assert_string_equal(world->log, "came web1 web - \n"
                                    "maintenance web1 web - critical\n"
                                    "maintained web1 web - critical\n"
                                    "maintenance web1 - - critical\n"
                                    "went web1 web - \n");
}

static void what_was_there_before_us_is_no_news(void **state)
{
    struct world *world = *state;

    put(world->peer, "web", 0);
    put(world->peer, "db", 7);
    put_check(world->peer, "m", "web", "maintenance");
    member(world->c, CATALOG_ALIVE);
    catalog_settle(world->c);
    hear(world);
    assert_non_null(catalog_name_find(world->c, "web"));
    assert_string_equal(world->log, "");

    put(world->peer, "new", 0);
    hear(world);
    assert_string_equal(world->log, "came web2 new - \n");
}

static void a_node_that_comes_later_brings_news(void **state)
{
    struct world *world = *state;

    catalog_settle(world->c);
    put(world->peer, "web", 0);
    member(world->c, CATALOG_ALIVE);
    hear(world);
    put(world->peer, "new", 0);
    hear(world);

    assert_string_equal(world->log, "came web2 web -  first\n"
                                    "came web2 new - \n");
}

static void a_node_that_goes_does_not_tell_of_each_service(void **state)
{
    struct world *world = *state;

    put(world->peer, "web", 0);
    member(world->c, CATALOG_ALIVE);
    hear(world);
    member(world->c, CATALOG_FAILED);
    member(world->c, CATALOG_LEFT);

    assert_null(catalog_name_find(world->c, "web"));
    assert_string_equal(world->log, "");
}

static void another_primary_is_told_with_the_one_before(void **state)
{
    struct world *world = *state;

    member(world->c, CATALOG_ALIVE);
    put(world->peer, "db", 3);
    hear(world);
    assert_string_equal(world->log, ""); /* it was so before */
    put(world->c, "db", 4);
    put(world->c, "db", 4);
    put(world->c, "db", 5);

    assert_string_equal(world->log, "came web1 db - \n"
                                    "primary web1 db - web2\n"
                                    "primary web1 db - web1\n");
}

static void flaps_are_counted_for_an_hour(void **state)
{
    struct world *world = *state;
    const uint64_t start_ms = 1000 * minute_ms;

    put(world->c, "web", 0);
    put_check(world->c, "ttl", "web", "ttl");
    update(world->c, start_ms, CHECK_PASSING);
    for (uint64_t i = 0; i < 3; i++) {
        update(world->c, start_ms + i * 20 * minute_ms, CHECK_CRITICAL);
        update(world->c, start_ms + i * 20 * minute_ms, CHECK_PASSING);
    }
    const struct catalog_check *check = catalog_check_find(catalog_self(world->c), "ttl");

    assert_int_equal(catalog_check_flips(check, start_ms + 40 * minute_ms), 6);
    assert_int_equal(catalog_check_flips(check, start_ms + 65 * minute_ms), 4);
    assert_int_equal(catalog_check_flips(check, start_ms + 85 * minute_ms), 2);
    assert_int_equal(catalog_check_flips(check, start_ms + 105 * minute_ms), 0);
    assert_int_equal(catalog_check_flips(check, start_ms + 100000 * minute_ms), 0);
}

static void flaps_are_right_soon_after_the_machine_started(void **state)
{
    struct world *world = *state;

    put(world->c, "web", 0);
    put_check(world->c, "ttl", "web", "ttl");
    update(world->c, 15 * minute_ms, CHECK_PASSING);
    update(world->c, 15 * minute_ms, CHECK_WARNING);
    const struct catalog_check *check = catalog_check_find(catalog_self(world->c), "ttl");

    assert_int_equal(catalog_check_flips(check, 15 * minute_ms), 1);
}

static void flaps_outlive_another_definition(void **state)
{
    struct world *world = *state;

    put(world->c, "web", 0);
    put_check(world->c, "ttl", "web", "ttl");
    update(world->c, minute_ms, CHECK_PASSING);
    update(world->c, minute_ms, CHECK_WARNING);
    put_check(world->c, "ttl", "web", "http");
    const struct catalog_check *check = catalog_check_find(catalog_self(world->c), "ttl");

    assert_string_equal(check->type, "http");
    assert_int_equal(catalog_check_flips(check, minute_ms), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_first_run_is_no_change_but_each_later_one_is,
                                        make, drop),
        cmocka_unit_test_setup_teardown(maintenance_is_told_when_it_begins_and_ends, make,
                                        drop),
        cmocka_unit_test_setup_teardown(what_was_there_before_us_is_no_news, make, drop),
        cmocka_unit_test_setup_teardown(a_node_that_comes_later_brings_news, make, drop),
        cmocka_unit_test_setup_teardown(a_node_that_goes_does_not_tell_of_each_service,
                                        make, drop),
        cmocka_unit_test_setup_teardown(another_primary_is_told_with_the_one_before, make,
                                        drop),
        cmocka_unit_test_setup_teardown(flaps_are_counted_for_an_hour, make, drop),
        cmocka_unit_test_setup_teardown(flaps_are_right_soon_after_the_machine_started,
                                        make, drop),
        cmocka_unit_test_setup_teardown(flaps_outlive_another_definition, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
