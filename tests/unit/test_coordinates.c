/* test_coordinates.c - distances from what an agent says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/discover/coordinates.h"

static const char nodes_text[] =
    "[{\"Node\":\"a\",\"Segment\":\"\",\"Coord\":{\"Vec\":[0,0.003,0,0,0,0,0,0],"
    "\"Error\":0.5,\"Adjustment\":0,\"Height\":0.0001}},"
    "{\"Node\":\"b\",\"Coord\":{\"Vec\":[0.004,0,0,0,0,0,0,0],\"Height\":0.0002,"
    "\"Adjustment\":-0.0003}},"
    "{\"Node\":\"far\",\"Coord\":{\"Vec\":[1e300],\"Height\":0}},"
    "{\"Node\":\"none\",\"Coord\":{\"Vec\":[]}},{\"Node\":7},null]";

static void distances_add_heights_and_adjustments(void **state)
{
    struct coordinates_node *nodes = NULL;
    size_t count = 0;
    (void)state;

    assert_int_equal(
        coordinates_read_nodes(nodes_text, sizeof nodes_text - 1, &nodes, &count), RC_OK);

    assert_int_equal(count, 2); /* the others make no sense */
    assert_string_equal(nodes[1].node, "b");
    uint32_t us = coordinates_distance_us(&nodes[0].at, &nodes[1].at);
    assert_in_range(us, 4999, 5001); /* 5 ms + 0.3 ms - 0.3 ms */
    free(nodes);
}

static void what_cannot_be_compared_has_no_distance(void **state)
{
    (void)state;
    struct coordinate one = {.dimensions = 8};
    struct coordinate other = {.dimensions = 2};
    struct coordinate none = {0};
    assert_int_equal(coordinates_distance_us(&one, &other), UINT32_MAX);
    assert_int_equal(coordinates_distance_us(&none, &none), UINT32_MAX);
    assert_int_equal(coordinates_distance_us(&one, &one), 0);
}

static void an_agent_says_which_node_it_is(void **state)
{
    static const char text[] = "{\"Config\":{\"NodeName\":\"a\"},\"Coord\":{}}";
    char node[CONFIG_NAME_MAX];
    (void)state;
    assert_int_equal(coordinates_read_self(text, sizeof text - 1, node), RC_OK);
    assert_string_equal(node, "a");
    assert_int_equal(coordinates_read_self("{}", 2, node), RC_EMALFORMED);
    assert_int_equal(coordinates_read_self("[", 1, node), RC_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_add_heights_and_adjustments),
        cmocka_unit_test(what_cannot_be_compared_has_no_distance),
        cmocka_unit_test(an_agent_says_which_node_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
