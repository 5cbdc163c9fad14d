/* What an alias check says about the place it watches: agent/checks/alias.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/checks.h"
#include "base/err.h"
#include "base/text.h"

enum { NOW_MS = 1000 };

struct world {
    struct catalog *catalog;
    struct prober *prober;
    enum check_status status;
    char output[256];
};

static void on_done(void *context, uint64_t probe, const struct check_result *result)
{
    struct world *world = context;

    assert_int_equal(probe, 7);
    world->status = result->status;
    (void)snprintf(world->output, sizeof world->output, "%.*s", (int)result->output_size,
                   (const char *)result->output);
}

static int set_up(void **state)
{
    static struct world world;
    const struct catalog_options options = {
        .node_name = "node1", .seed = 1, .now_ms = NOW_MS, .wall_ms = 1700000000000};
    const struct catalog_service service = {.id = "web", .name = "web", .address = ""};

    world = (struct world){0};
    assert_int_equal(catalog_create(&options, &world.catalog), RC_OK);
    assert_int_equal(catalog_put_service(world.catalog, NOW_MS, &service, NULL), RC_OK);
    world.prober = alias_prober(world.catalog, (struct probe_sink){on_done, &world});
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    prober_close(world->prober);
    catalog_destroy(world->catalog);
    return 0;
}

static void put_check(struct world *world, const char *id, const char *service_id,
                      enum check_status status)
{
    const struct catalog_check check = {.id = id,
                                        .name = id,
                                        .notes = "",
                                        .output = "why",
                                        .service_id = service_id,
                                        .type = "tcp",
                                        .definition = "",
                                        .status = status};

    assert_int_equal(catalog_put_check(world->catalog, NOW_MS, &check, NULL), RC_OK);
}

static void run(struct world *world, const struct check_definition *definition)
{
    const struct probe_request request = {.probe = 7, .definition = definition};

    prober_start(world->prober, &request);
}

static char web[] = "web";
static char gone[] = "gone";

static const struct check_definition of_web = {.kind = CHECK_ALIAS, .alias_service = web};

static void a_service_whose_checks_pass_passes(void **state)
{
    struct world *world = *state;

    put_check(world, "port", "web", CHECK_PASSING);
    run(world, &of_web);

    assert_int_equal(world->status, CHECK_PASSING);
    assert_string_equal(world->output, "All checks passing.");
}

static void the_worst_check_is_repeated(void **state)
{
    struct world *world = *state;

    put_check(world, "a", "web", CHECK_WARNING);
    run(world, &of_web);
    assert_int_equal(world->status, CHECK_WARNING);

    put_check(world, "b", "web", CHECK_CRITICAL);
    run(world, &of_web);
    assert_int_equal(world->status, CHECK_CRITICAL);
    assert_string_equal(world->output, "Aliased check \"b\" failing: why");
}

static void a_sick_node_is_a_sick_service(void **state)
{
    struct world *world = *state;

    put_check(world, "disk", "", CHECK_CRITICAL);
    run(world, &of_web);

    assert_int_equal(world->status, CHECK_CRITICAL);
}

static void other_services_do_not_matter(void **state)
{
    const struct catalog_service other = {.id = "db", .name = "db", .address = ""};
    struct world *world = *state;

    assert_int_equal(catalog_put_service(world->catalog, NOW_MS, &other, NULL), RC_OK);
    put_check(world, "port", "db", CHECK_CRITICAL);
    run(world, &of_web);

    assert_int_equal(world->status, CHECK_PASSING);
}

static void what_is_gone_is_critical_and_named(void **state)
{
    const struct check_definition no_service = {.kind = CHECK_ALIAS,
                                                .alias_service = gone};
    const struct check_definition no_node = {
        .kind = CHECK_ALIAS, .alias_node = gone, .alias_service = web};
    const struct check_definition only_node = {.kind = CHECK_ALIAS, .alias_node = gone};
    struct world *world = *state;

    run(world, &no_service);
    assert_int_equal(world->status, CHECK_CRITICAL);
    assert_string_equal(world->output, "Service gone could not be found on node node1");
    run(world, &no_node);
    assert_string_equal(world->output, "Service web could not be found on node gone");
    run(world, &only_node);
    assert_string_equal(world->output, "Node gone could not be found");
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_service_whose_checks_pass_passes), CASE(the_worst_check_is_repeated),
        CASE(a_sick_node_is_a_sick_service),      CASE(other_services_do_not_matter),
        CASE(what_is_gone_is_critical_and_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
