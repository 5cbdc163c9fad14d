/* test_json_read.c - fields of objects that others wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json_read.h"

static void what_is_missing_or_of_another_type_is_empty(void **state)
{
    json_t *object =
        json_pack("{s:s, s:i, s:i, s:n}", "text", "a", "number", 7, "below", -1, "null");

    (void)state;
    assert_non_null(object);
    assert_string_equal(rc_json_read_text(object, "text"), "a");
    assert_string_equal(rc_json_read_text(object, "number"), "");
    assert_string_equal(rc_json_read_text(object, "null"), "");
    assert_string_equal(rc_json_read_text(NULL, "text"), "");
    assert_string_equal(rc_json_read_text(json_object_get(object, "text"), "text"), "");
    assert_int_equal(rc_json_read_number(object, "number"), 7);
    assert_int_equal(rc_json_read_number(object, "below"), 0);
    assert_int_equal(rc_json_read_number(object, "text"), 0);
    assert_int_equal(rc_json_read_number(NULL, "number"), 0);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_or_of_another_type_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
