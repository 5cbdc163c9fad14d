#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/filter.h"
#include "base/err.h"

/* A small kind of object with one field of every sort. */
struct part {
    const char *state;
};

struct thing {
    const char *name;
    int64_t port;
    bool on;
    const char *tags[3];
    const char *meta[3][2];
    struct part parts[3];
    size_t part_count;
};

static bool get_name(const void *object, size_t position, struct filter_item *out)
{
    out->text = ((const struct thing *)object)->name;
    return position == 0;
}

static bool get_port(const void *object, size_t position, struct filter_item *out)
{
    out->number = ((const struct thing *)object)->port;
    return position == 0;
}

static bool get_on(const void *object, size_t position, struct filter_item *out)
{
    out->number = ((const struct thing *)object)->on;
    return position == 0;
}

static bool get_tag(const void *object, size_t position, struct filter_item *out)
{
    const struct thing *thing = object;

    out->text = position < 3 ? thing->tags[position] : NULL;
    return out->text != NULL;
}

static bool get_meta(const void *object, size_t position, struct filter_item *out)
{
    const struct thing *thing = object;

    out->key = position < 3 ? thing->meta[position][0] : NULL;
    out->text = position < 3 ? thing->meta[position][1] : NULL;
    return out->key != NULL;
}

static bool get_state(const void *object, size_t position, struct filter_item *out)
{
    out->text = ((const struct part *)object)->state;
    return position == 0;
}

static bool get_part(const void *object, size_t position, struct filter_item *out)
{
    const struct thing *thing = object;

    out->object = &thing->parts[position < 3 ? position : 0];
    return position < thing->part_count;
}

static bool get_itself(const void *object, size_t position, struct filter_item *out)
{
    out->object = object;
    return position == 0;
}

static const struct filter_field part_fields[] = {
    {"State", FILTER_STRING, get_state, NULL},
};
static const struct filter_schema part_schema = {part_fields, 1};

static const struct filter_field inner_fields[] = {
    {"Name", FILTER_STRING, get_name, NULL}, {"Port", FILTER_NUMBER, get_port, NULL},
    {"On", FILTER_BOOL, get_on, NULL},       {"Tags", FILTER_STRINGS, get_tag, NULL},
    {"Meta", FILTER_PAIRS, get_meta, NULL},
};
static const struct filter_schema inner_schema = {inner_fields, 5};

static const struct filter_field thing_fields[] = {
    {"Name", FILTER_STRING, get_name, NULL},
    {"Service", FILTER_OBJECT, get_itself, &inner_schema},
    {"Parts", FILTER_OBJECTS, get_part, &part_schema},
};
static const struct filter_schema schema = {thing_fields, 3};

static const struct thing web = {
    .name = "web-1",
    .port = 8080,
    .on = true,
    .tags = {"v1", "primary"},
    .meta = {{"zone", "a"}, {"a b", "c"}},
    .parts = {{"passing"}, {"warning"}},
    .part_count = 2,
};
static const struct thing bare = {.name = ""};

static int holds(const char *text, const struct thing *thing)
{
    struct filter *filter = NULL;
    char error[FILTER_ERROR_MAX];

    if (filter_parse(text, &schema, &filter, error) != RC_OK) {
        fail_msg("%s: %s", text, error);
    }
    int accepted = filter_accepts(filter, thing);
    filter_destroy(filter);
    return accepted;
}

static void expressions_mean_what_consul_means(void **state)
{
    static const struct {
        const char *text;
        int web;
        int bare;
    } cases[] = {
        {"Name == `web-1`", 1, 0},
        {"Name == web-1", 1, 0},
        {"Name != \"web-1\"", 0, 1},
        {"Service.Name contains web", 1, 0},
        {"\"eb\" in Name", 1, 0},
        {"Name not contains web", 0, 1},
        {"Name matches \"^web-[0-9]$\"", 1, 0},
        {"Name not matches \"^web\"", 0, 1},
        {"Service.Port == 8080", 1, 0},
        {"Service.Port == \"8080\"", 1, 0},
        {"Service.Port != 8080", 0, 1},
        {"Service.On == true", 1, 0},
        {"Service.On != true", 0, 1},
        {"v1 in Service.Tags", 1, 0},
        {"Service.Tags contains \"primary\"", 1, 0},
        {"V1 in Service.Tags", 0, 0},
        {"v1 not in Service.Tags", 0, 1},
        {"Service.Tags is empty", 0, 1},
        {"Service.Tags is not empty", 1, 0},
        {"Service.Meta.zone == a", 1, 0},
        {"Service.Meta[\"a b\"] == c", 1, 0},
        {"Service.Meta.none == a", 0, 0},
        {"Service.Meta.none != a", 1, 1},
        {"Service.Meta.none matches x", 1, 1},
        {"Service.Meta.none not matches x", 1, 1},
        {"a in Service.Meta.none", 0, 0},
        {"zone in Service.Meta", 1, 0},
        {"Service.Meta is empty", 0, 1},
        {"Parts.State == warning", 1, 0},
        {"Parts.State != passing", 1, 0},
        {"Parts.State != x", 1, 0},
        {"Parts.State == critical", 0, 0},
        {"Parts is empty", 0, 1},
        {"not Name == x", 1, 1},
        {"not not Name == \"\"", 0, 1},
        {"Name == x or Service.Port == 8080 and v1 in Service.Tags", 1, 0},
        {"(Name == \"\" or Service.Port == 8080) and v1 in Service.Tags", 1, 0},
        {"not Name == x and Service.Port == 1", 0, 0},
        {"not (Name == x and Service.Port == 1)", 1, 1},
        {"Name == \"\" or Name == \"web-1\"", 1, 1},
        {"((Name == \"web-1\"))", 1, 0},
        {"not(Name==x)", 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (holds(cases[i].text, &web) != cases[i].web ||
            holds(cases[i].text, &bare) != cases[i].bare) {
            fail_msg("%s", cases[i].text);
        }
    }
}

static void faults_are_told_in_consuls_words(void **state)
{
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"bogus==1", "Selector \"bogus\" is not valid"},
        {"Service.Bogus==1", "Selector \"Service.Bogus\" is not valid"},
        {"Name.x == 1", "Selector \"Name.x\" is not valid"},
        {"Service.Tags == v1",
         "Invalid match operator \"Equal\" for selector \"Service.Tags\""},
        {"Service.Port matches v1",
         "Invalid match operator \"Matches\" for selector \"Service.Port\""},
        {"Service == v1", "Invalid match operator \"Equal\" for selector \"Service\""},
        {"Service.Port == abc",
         "Failed to coerce value \"abc\" for selector \"Service.Port\": "
         "strconv.ParseInt: parsing \"abc\": invalid syntax"},
        {"Name matches \"(\"", "Failed to compile regular expression \"(\": "
                               "missing closing )"},
        {"Name", "1:5 (4): no match found, expected: an operator"},
        {"", "1:1 (0): no match found, expected: "
             "\"(\", \"not\", a selector or a value"},
        {"(Name == x", "1:11 (10): no match found, expected: \")\""},
        {"Name == \"x", "1:9 (8): no match found, expected: the end of a string"},
    };
    struct filter *filter = NULL;
    char error[FILTER_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(filter_parse(cases[i].text, &schema, &filter, error),
                         RC_EMALFORMED);
        assert_string_equal(error, cases[i].error);
    }
}

static void large_expressions_are_refused(void **state)
{
    struct filter *filter = NULL;
    char error[FILTER_ERROR_MAX];
    char text[FILTER_BYTES_MAX + 2];

    (void)state;
    memset(text, '(', sizeof text);
    text[100] = '\0';
    assert_int_equal(filter_parse(text, &schema, &filter, error), RC_ETOOBIG);

    memset(text, ' ', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(filter_parse(text, &schema, &filter, error), RC_ETOOBIG);

    size_t at = (size_t)snprintf(text, sizeof text, "Name == x");
    for (size_t i = 0; i < FILTER_TERMS_MAX; i++) {
        at += (size_t)snprintf(text + at, sizeof text - at, " or Name == x");
    }
    assert_int_equal(filter_parse(text, &schema, &filter, error), RC_ETOOBIG);
}

static void no_filter_accepts_everything(void **state)
{
    (void)state;
    assert_true(filter_accepts(NULL, &web));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_mean_what_consul_means),
        cmocka_unit_test(faults_are_told_in_consuls_words),
        cmocka_unit_test(large_expressions_are_refused),
        cmocka_unit_test(no_filter_accepts_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
