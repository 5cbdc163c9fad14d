/* test_announced.c - one record for all who have heard the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gossip/announced.h"
#include "agent/gossip/tags.h"
#include "base/err.h"

static const uint8_t versions[WIRE_VERSIONS_SIZE] = {1, 5, 2, 2, 5, 5};

struct world {
    struct gossip_shared *shared;
    struct rc_address address;
    struct rc_buffer meta;
    struct announcement said; /* by "web1" */
};

static int begin(void **state)
{
    static const struct gossip_tag tags[] = {{"rc", "1"}, {"dc", "east"}};
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    world->shared = gossip_shared_create(1);
    assert_non_null(world->shared);
    assert_int_equal(rc_address_parse("10.0.0.1:8301", 0, &world->address), RC_OK);
    assert_int_equal(tags_write(tags, 2, &world->meta), RC_OK);
    world->said = (struct announcement){.name = rc_pack_text("web1"),
                                        .address = &world->address,
                                        .meta = {world->meta.bytes, world->meta.size},
                                        .versions = versions};
    *state = world;
    return 0;
}

static int end(void **state)
{
    struct world *world = *state;

    gossip_shared_destroy(world->shared); /* insists that nobody uses a record */
    rc_buffer_fini(&world->meta);
    free(world);
    return 0;
}

static void a_record_shows_what_was_announced(void **state)
{
    struct world *world = *state;
    struct announced *record = NULL;

    assert_int_equal(announced_take(NULL, &world->said, &record), RC_OK);

    assert_string_equal(record->view.name, "web1");
    assert_true(rc_address_equals(&record->view.address, &world->address));
    assert_int_equal(record->view.tag_count, 2);
    assert_string_equal(gossip_announced_tag(&record->view, "dc"), "east");
    assert_true(record->view.is_rollcall);
    assert_memory_equal(record->view.versions, versions, sizeof versions);
    assert_true(rc_pack_equals(record->meta, world->said.meta));
    assert_true(announced_says(record, &world->said));
    announced_drop(NULL, record);
}

static void who_hears_the_same_shares_the_record(void **state)
{
    struct world *world = *state;
    struct announced *first = NULL;
    struct announced *second = NULL;
    struct announced *own = NULL;

    assert_int_equal(announced_take(world->shared, &world->said, &first), RC_OK);
    assert_int_equal(announced_take(world->shared, &world->said, &second), RC_OK);
    assert_int_equal(announced_take(NULL, &world->said, &own), RC_OK);

    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, own);
    announced_drop(world->shared, first);
    assert_string_equal(second->view.name, "web1"); /* still in use */
    announced_drop(world->shared, second);
    announced_drop(NULL, own);
    announced_drop(world->shared, NULL);
}

static void any_difference_makes_another_record(void **state)
{
    static const uint8_t newer[WIRE_VERSIONS_SIZE] = {1, 5, 3, 2, 5, 5};
    struct world *world = *state;
    struct rc_address elsewhere = world->address;
    struct announced *first = NULL;
    struct announcement other[] = {world->said, world->said, world->said,
                                   world->said, world->said, world->said};

    elsewhere.port++;
    other[0].name = rc_pack_text("web");
    other[1].address = &elsewhere;
    other[2].is_mapped = true;
    other[3].meta = (struct rc_pack_bytes){NULL, 0};
    other[4].meta.size--;
    other[5].versions = newer;
    assert_int_equal(announced_take(world->shared, &world->said, &first), RC_OK);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct announced *record = NULL;
        assert_int_equal(announced_take(world->shared, &other[i], &record), RC_OK);
        assert_ptr_not_equal(record, first);
        assert_true(announced_says(record, &other[i]));
        assert_false(announced_says(record, &world->said));
        assert_false(announced_says(first, &other[i]));
        announced_drop(world->shared, record);
    }
    announced_drop(world->shared, first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_record_shows_what_was_announced, begin, end),
        cmocka_unit_test_setup_teardown(who_hears_the_same_shares_the_record, begin, end),
        cmocka_unit_test_setup_teardown(any_difference_makes_another_record, begin, end),
    };
    return cmocka_run_group_tests_name("announced", tests, NULL, NULL);
}
