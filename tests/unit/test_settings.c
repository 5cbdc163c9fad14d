/* test_settings.c - configuration text: what reads, and how precisely refusals speak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "base/settings.h"

/* Parses and gives the tree as compact JSON, or the error. The caller frees it. */
static char *reading_of(const char *text)
{
    struct rc_settings *settings = NULL;
    char error[RC_SETTINGS_ERROR_MAX];

    if (rc_settings_parse("f", text, strlen(text), &settings, error) != RC_OK) {
        return strdup(error);
    }
    char *dump = json_dumps(rc_settings_root(settings), JSON_COMPACT);
    rc_settings_destroy(settings);
    return dump;
}

struct reading {
    const char *why;
    const char *text;
    const char *want;
};

static void assert_readings(const struct reading *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *got = reading_of(cases[i].text);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("%s: got %s, want %s", cases[i].why, got, cases[i].want);
        }
        free(got);
    }
}

static void both_spellings_give_the_same_tree(void **state)
{
    static const struct reading cases[] = {
        {"nothing", "", "{}"},
        {"only a comment", "# nothing\n", "{}"},
        {"a scalar of each type", "a = 1\nb = \"x\"\nc = true\nd = null\ne = -1.5",
         "{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":null,\"e\":-1.5}"},
        {"JSON", "{\"a\": 1, \"b\": [1, \"x\", {\"c\": false}], \"d\": {}}",
         "{\"a\":1,\"b\":[1,\"x\",{\"c\":false}],\"d\":{}}"},
        {"a block", "ports { http = 8500 dns = 8600 }",
         "{\"ports\":{\"http\":8500,\"dns\":8600}}"},
        {"a block with an equals sign", "ports = { http = 8500, dns = 8600, }",
         "{\"ports\":{\"http\":8500,\"dns\":8600}}"},
        {"JSON inside blocks", "meta = { \"a-b\": \"1\", \"c\" : \"2\" }",
         "{\"meta\":{\"a-b\":\"1\",\"c\":\"2\"}}"},
        {"repeated blocks", "s { a = 1 }\ns { a = 2 }\ns { a = 3 }",
         "{\"s\":[{\"a\":1},{\"a\":2},{\"a\":3}]}"},
        {"a label is the name", "service \"web\" { port = 80 }",
         "{\"service\":{\"name\":\"web\",\"port\":80}}"},
        {"list over lines, comma at the end", "l = [\n  \"a\", # first\n  \"b\",\n]",
         "{\"l\":[\"a\",\"b\"]}"},
        {"three kinds of comments", "a = 1 # x\n// y\n/* z\n * = */ b = 2",
         "{\"a\":1,\"b\":2}"},
        {"escapes", "a = \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
         "{\"a\":\"\\\"\\\\/\\b\\f\\n\\r\\t\xc3\xa9\xf0\x9f\x98\x80\"}"},
        {"a heredoc", "a = <<EOF\nline 1\n  line 2\nEOF\nb = 1",
         "{\"a\":\"line 1\\n  line 2\\n\",\"b\":1}"},
        {"an indented heredoc", "a = <<-EOF\n    one\n\n      two\n    EOF\n",
         "{\"a\":\"one\\n\\n  two\\n\"}"},
        {"byte order mark and CRLF",
         "\xef\xbb\xbf"
         "a = 1\r\nb = 2\r\n",
         "{\"a\":1,\"b\":2}"},
    };
    (void)state;

    assert_readings(cases, sizeof cases / sizeof cases[0]);
}

static void refusals_name_line_and_column(void **state)
{
    static const struct reading cases[] = {
        {"no value", "a =\n", "f:2:1: expected a value, found the end of the file"},
        {"a bare word", "a = info",
         "f:1:5: expected a value (text stands in quotes), found info"},
        {"a key twice", "a = 1\nb = 2\n  a = 3",
         "f:3:3: duplicate key a, first given in line 1"},
        {"a key twice in JSON", "{\"a\": {},\n\"a\": {}}",
         "f:2:1: duplicate key a, first given in line 1"},
        {"list and block", "s = [{}]\ns {}",
         "f:2:1: duplicate key s, first given in line 1"},
        {"open string", "a = \"x\nb = 1", "f:1:5: this string is not closed on its line"},
        {"open block", "a {\nb = 1\n",
         "f:3:1: the file ends, but what begins in line 1 is not closed"},
        {"open comment", "a = 1 /* x", "f:1:7: this comment is never closed"},
        {"open heredoc", "a = <<EOF\nx\n",
         "f:1:5: this heredoc is never closed by its word"},
        {"an empty key", "\"\" = 1", "f:1:1: this key is empty"},
        {"a brace too many", "a {}\n}", "f:2:1: expected a key, found }"},
        {"no sign", "a 1", "f:1:3: expected = or { after the key, found a number"},
        {"no comma in a list", "a = [1 2]",
         "f:1:8: expected a comma or ], found a number"},
        {"two commas", "a = [1,,2]", "f:1:8: expected an item before the comma, found ,"},
        {"duration without quotes", "a = 10s",
         "f:1:5: this is not a number; durations and sizes stand in quotes"},
        {"address without quotes", "a = 10.0.0.1",
         "f:1:5: this is not a number; durations and sizes stand in quotes"},
        {"leading zero", "a = 010",
         "f:1:5: this is not a number; durations and sizes stand in quotes"},
        {"huge number", "a = 99999999999999999999", "f:1:5: this number is out of range"},
        {"unknown escape", "a = \"\\x\"",
         "f:1:6: unknown escape; a backslash itself is written \\\\"},
        {"half a pair", "a = \"\\ud800\"",
         "f:1:12: half a surrogate pair is not a character"},
        {"not UTF-8", "a = \"\xff\"", "f:1:5: this text is not UTF-8"},
        {"a strange byte", "a = $x", "f:1:5: unexpected character $"},
        {"JSON comma at the end", "{\"a\": 1,}",
         "f:1:9: expected an item after the comma, found }"},
        {"JSON without comma", "{\"a\": 1 \"b\": 2}",
         "f:1:9: expected a comma or }, found a string"},
        {"JSON with a bare key", "{a: 1}", "f:1:2: expected a key in quotes, found a"},
        {"JSON with an equals sign", "{\"a\" = 1}",
         "f:1:6: expected a colon after the key, found ="},
        {"JSON with a comment", "{\n// x\n}", "f:2:1: JSON has no comments"},
        {"JSON and more", "{} {}", "f:1:4: expected the end of the file, found {"},
    };
    (void)state;

    assert_readings(cases, sizeof cases / sizeof cases[0]);
}

static void places_of_values_are_known(void **state)
{
    static const char text[] = "node_name = \"x\"\nservice {\n  name = \"web\"\n}\n"
                               "service {\n  tags = [\"a\",\n    true]\n}\n";
    struct rc_settings *settings = NULL;
    char error[RC_SETTINGS_ERROR_MAX];
    char place[64];
    (void)state;

    assert_int_equal(rc_settings_parse("f", text, strlen(text), &settings, error), RC_OK);
    json_t *root = rc_settings_root(settings);
    json_t *second = json_array_get(json_object_get(root, "service"), 1);

    rc_settings_where(settings, root, "node_name", place, sizeof place);
    assert_string_equal(place, "f:1:1");
    rc_settings_where(settings, second, NULL, place, sizeof place);
    assert_string_equal(place, "f:5:1");
    rc_settings_where(settings, json_object_get(second, "tags"), "1", place,
                      sizeof place);
    assert_string_equal(place, "f:7:5");
    rc_settings_where(settings, second, "name", place, sizeof place);
    assert_string_equal(place, "f:5:1"); /* missing there: where it should be */
    rc_settings_where(settings, NULL, NULL, place, sizeof place);
    assert_string_equal(place, "f");
    rc_settings_destroy(settings);
}

static void depth_and_size_are_bounded(void **state)
{
    char deep[64];
    struct rc_settings *settings = NULL;
    char error[RC_SETTINGS_ERROR_MAX];
    (void)state;

    (void)snprintf(deep, sizeof deep, "a = %s", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    assert_int_equal(rc_settings_parse("f", deep, strlen(deep), &settings, error),
                     RC_EMALFORMED);
    assert_string_equal(error, "f:1:36: nested deeper than 32 levels");

    char *large = calloc(1, 1048577);
    assert_non_null(large);
    assert_int_equal(rc_settings_parse("f", large, 1048577, &settings, error),
                     RC_ETOOBIG);
    free(large);
}

static void an_unreadable_file_is_named(void **state)
{
    struct rc_settings *settings = NULL;
    char error[RC_SETTINGS_ERROR_MAX];
    (void)state;

    assert_int_equal(rc_settings_load("/nowhere/x.hcl", &settings, error), RC_EIO);
    assert_string_equal(error,
                        "/nowhere/x.hcl: cannot be read: No such file or directory");
}

static void names_may_be_empty_where_they_are_names(void **state)
{
    static const char *const texts[] = {
        "key_prefix \"\" { policy = \"read\" }\nkey_prefix \"a\" { policy = \"deny\" }",
        "{\"key\": {\"\": {\"policy\": \"read\"}}}",
    };
    static const char *const wanted[] = {
        "{\"key_prefix\":[{\"name\":\"\",\"policy\":\"read\"},{\"name\":\"a\","
        "\"policy\":\"deny\"}]}",
        "{\"key\":{\"\":{\"policy\":\"read\"}}}",
    };
    char error[RC_SETTINGS_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rc_settings *settings = NULL;
        assert_int_equal(
            rc_settings_parse_names("f", texts[i], strlen(texts[i]), &settings, error),
            RC_OK);
        char *dump = json_dumps(rc_settings_root(settings), JSON_COMPACT);
        assert_string_equal(dump, wanted[i]);
        free(dump);
        rc_settings_destroy(settings);
        assert_int_equal(
            rc_settings_parse("f", texts[i], strlen(texts[i]), &settings, error),
            RC_EMALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_give_the_same_tree),
        cmocka_unit_test(refusals_name_line_and_column),
        cmocka_unit_test(places_of_values_are_known),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(an_unreadable_file_is_named),
        cmocka_unit_test(names_may_be_empty_where_they_are_names),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
