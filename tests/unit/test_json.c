/* test_json.c - JSON byte for byte as Go writes it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"

static void strings_are_escaped_as_go_does(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"", "\"\""},
        {NULL, "\"\""},
        {"plain", "\"plain\""},
        {"<a href=\"x\">&'</a>",
         "\"\\u003ca href=\\\"x\\\"\\u003e\\u0026'\\u003c/a\\u003e\""},
        {"\b\t\n\f\r\\", "\"\\b\\t\\n\\f\\r\\\\\""},
        {"\x01\x1f\x7f", "\"\\u0001\\u001f\x7f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\"\\u2028\\u2029\xe2\x80\xaa\""},
        {"a\xff\xc3", "\"a\\ufffd\\ufffd\""},
        {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer out = {0};
        struct rc_json json = rc_json_over(&out, 0);
        rc_json_string(&json, cases[i].text);
        assert_string_equal(rc_buffer_string(&out), cases[i].want);
        rc_buffer_fini(&out);
    }
}

static void numbers_are_the_shortest_that_read_back(void **state)
{
    static const struct {
        double value;
        const char *want;
    } cases[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {100, "100"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {123456789, "123456789"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {0.000001, "0.000001"},
        {1e-7, "1e-7"},
        {1.5e-10, "1.5e-10"},
        {1e100, "1e+100"},
        {0.00025, "0.00025"},
        {(double)INFINITY, "null"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer out = {0};
        struct rc_json json = rc_json_over(&out, 0);
        rc_json_double(&json, cases[i].value);
        assert_string_equal(rc_buffer_string(&out), cases[i].want);
        rc_buffer_fini(&out);
    }
}

static void write_sample(struct rc_json *json)
{
    rc_json_object(json);
    rc_json_put_string(json, "Name", "web");
    rc_json_put_u64(json, "Index", UINT64_MAX);
    rc_json_put_i64(json, "Delta", -3);
    rc_json_put_bool(json, "Ok", true);
    rc_json_key(json, "None");
    rc_json_null(json);
    rc_json_key(json, "Empty");
    rc_json_array(json);
    rc_json_array_end(json);
    rc_json_key(json, "Meta");
    rc_json_object(json);
    rc_json_object_end(json);
    rc_json_key(json, "List");
    rc_json_array(json);
    rc_json_u64(json, 1);
    rc_json_object(json);
    rc_json_put_bool(json, "a", false);
    rc_json_object_end(json);
    rc_json_array_end(json);
    rc_json_object_end(json);
}

static void commas_and_indentation_come_by_themselves(void **state)
{
    struct rc_buffer out = {0};
    struct rc_json compact = rc_json_over(&out, 0);
    struct rc_json pretty = rc_json_over(&out, 4);
    (void)state;

    write_sample(&compact);
    assert_string_equal(rc_buffer_string(&out),
                        "{\"Name\":\"web\",\"Index\":18446744073709551615,\"Delta\":-3,"
                        "\"Ok\":true,\"None\":null,\"Empty\":[],\"Meta\":{},"
                        "\"List\":[1,{\"a\":false}]}");
    rc_buffer_clear(&out);
    write_sample(&pretty);
    assert_string_equal(
        rc_buffer_string(&out),
        "{\n    \"Name\": \"web\",\n    \"Index\": 18446744073709551615,\n"
        "    \"Delta\": -3,\n    \"Ok\": true,\n    \"None\": null,\n"
        "    \"Empty\": [],\n    \"Meta\": {},\n    \"List\": [\n"
        "        1,\n        {\n            \"a\": false\n        }\n"
        "    ]\n}");
    rc_buffer_fini(&out);
}

static void a_full_buffer_stops_without_harm(void **state)
{
    struct rc_buffer out = {.max = 10};
    struct rc_json json = rc_json_over(&out, 0);
    (void)state;

    write_sample(&json);
    assert_int_equal(out.err, RC_ETOOBIG);
    assert_true(out.size <= 10);
    rc_buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped_as_go_does),
        cmocka_unit_test(numbers_are_the_shortest_that_read_back),
        cmocka_unit_test(commas_and_indentation_come_by_themselves),
        cmocka_unit_test(a_full_buffer_stops_without_harm),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
