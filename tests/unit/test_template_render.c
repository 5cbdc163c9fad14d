/* test_template_render.c - what templates mean: held to what Go's text/template 1.19 makes of the same
 * (cases marked so in the fixture), and what the functions of the catalog give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/template/template_facts.h"
#include "agent/template/template_function.h"
#include "agent/template/template_render.h"
#include "base/err.h"
#include "base/text.h"

/* ---- Answers of an agent, as its API gives them. */

static const struct {
    const char *target;
    long status;
    const char *body;
} answers[] = {
    {"/v1/health/service/web?passing=1&", 200,
     "[{\"Node\":{\"Node\":\"n2\",\"Address\":\"10.0.0.2\",\"ID\":\"\",\"Meta\":null},"
     "\"Service\":{\"ID\":\"web-2\",\"Service\":\"web\",\"Tags\":[\"v2\",\"blue\"],"
     "\"Address\":\"fd00::2\",\"Port\":8002,\"Meta\":{\"weight\":\"3\"},"
     "\"Weights\":{\"Passing\":1,\"Warning\":1}},\"Checks\":[]},"
     "{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"},"
     "\"Service\":{\"ID\":\"web-1\",\"Service\":\"web\",\"Tags\":[\"v1\"],\"Address\":\"\","
     "\"Port\":8001,\"Meta\":{}},\"Checks\":[]}]"},
    {"/v1/health/service/web?", 200,
     "[{\"Node\":{\"Node\":\"n1\"},\"Service\":{\"ID\":\"a\",\"Service\":\"web\"},"
     "\"Checks\":[{\"CheckID\":\"c\",\"Status\":\"critical\"}]},"
     "{\"Node\":{\"Node\":\"n1\"},\"Service\":{\"ID\":\"b\",\"Service\":\"web\"},"
     "\"Checks\":[{\"CheckID\":\"c\",\"Status\":\"warning\"}]},"
     "{\"Node\":{\"Node\":\"n1\"},\"Service\":{\"ID\":\"c\",\"Service\":\"web\"},"
     "\"Checks\":[{\"CheckID\":\"_node_maintenance\",\"Status\":\"critical\"}]},"
     "{\"Node\":{\"Node\":\"n1\"},\"Service\":{\"ID\":\"d\",\"Service\":\"web\"},"
     "\"Checks\":[]}]"},
    {"/v1/health/service/gone?passing=1&", 200, "[]"},
    {"/v1/health/service/web?passing=1&tag=v1&dc=far&", 200,
     "[{\"Node\":{\"Node\":\"f\",\"Address\":\"10.9.0.1\"},"
     "\"Service\":{\"ID\":\"w\",\"Service\":\"web\",\"Port\":1}}]"},
    {"/v1/health/service/postgres?passing=1&", 200,
     "[{\"Node\":{\"Node\":\"pg1\",\"Address\":\"10.0.0.11\"},\"Service\":{\"ID\":\"postgres\","
     "\"Service\":\"postgres\",\"Port\":5432,\"Tags\":[\"standby\"]}},"
     "{\"Node\":{\"Node\":\"pg2\",\"Address\":\"10.0.0.12\"},\"Service\":{\"ID\":\"postgres\","
     "\"Service\":\"postgres\",\"Port\":5432,\"Tags\":[\"primary\"]}}]"},
    {"/v1/catalog/services?", 200, "{\"web\":[\"v2\",\"v1\"],\"consul\":[]}"},
    {"/v1/catalog/nodes?", 200,
     "[{\"Node\":\"n2\",\"Address\":\"10.0.0.2\"},{\"Node\":\"n1\",\"Address\":\"10.0.0.1\","
     "\"Meta\":{\"rack\":\"b\"}}]"},
    {"/v1/catalog/node/n1?", 200,
     "{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"},\"Services\":{"
     "\"z\":{\"ID\":\"z\",\"Service\":\"web\",\"Port\":2},"
     "\"a\":{\"ID\":\"a\",\"Service\":\"web\",\"Port\":1}}}"},
    {"/v1/catalog/node/none?", 200, "null"},
    {"/v1/kv/app%2Fport?", 200, "[{\"Key\":\"app/port\",\"Value\":\"ODA4MA==\"}]"},
    {"/v1/kv/app%2Fempty?", 200, "[{\"Key\":\"app/empty\",\"Value\":null}]"},
    {"/v1/kv/app%2Fhostile?", 200, "[{\"Key\":\"k\",\"Value\":\"YSdiCiJjXCRkPA==\"}]"},
    {"/v1/kv/app%2Fsemaphore?", 200,
     "[{\"Key\":\"k\",\"Value\":\"eA==\",\"Flags\":16210313421097356768}]"},
    {"/v1/kv/none?", 404, ""},
    {"/v1/kv/app?recurse=1&", 200,
     "[{\"Key\":\"app/\",\"Value\":null},{\"Key\":\"app/a\",\"Value\":\"MQ==\"},"
     "{\"Key\":\"app/deep/b\",\"Value\":\"Mg==\"}]"},
};

/* Learns what is asked and known; "later" is never answered. */
static size_t learn(struct template_facts *facts)
{
    size_t learnt = 0;
    size_t position = 0;
    struct template_fact *fact;

    while ((fact = template_facts_next(facts, &position)) != NULL) {
        for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
            json_t *value = NULL;
            if (fact->value == NULL && strcmp(fact->target, answers[i].target) == 0) {
                assert_int_equal(template_query_value(&fact->query, answers[i].status,
                                                      answers[i].body,
                                                      strlen(answers[i].body), &value),
                                 RC_OK);
                assert_true(template_fact_learn(fact, value));
                learnt++;
            }
        }
    }
    return learnt;
}

struct trial {
    struct template_facts *facts;
    struct template_needs needs;
    struct template_result result;
    struct rc_buffer text;
    int err;
    unsigned min_instances;
};

static void render(struct trial *t, const struct template_program *program)
{
    static const struct template_bounds bounds = {1 << 20, 1 << 20, 100000};
    struct template_reading reading;
    struct template_source source = template_facts_begin(t->facts, &reading);

    source.min_instances = t->min_instances;
    rc_buffer_fini(&t->text);
    t->err = template_render(program, &source, &bounds, &t->text, &t->result);
    template_facts_end(&reading, &t->needs,
                       t->err == RC_OK && t->result.waiting == 0 ? TEMPLATE_COMPLETE
                                                                 : TEMPLATE_INCOMPLETE);
}

static void fini(struct trial *t)
{
    template_needs_clear(&t->needs);
    size_t position = 0;
    struct template_fact *fact;

    while ((fact = template_facts_next(t->facts, &position)) != NULL) {
        template_facts_forget(t->facts, fact);
    }
    template_facts_destroy(t->facts);
    rc_buffer_fini(&t->text);
}

/* Renders until nothing more is learnt. What went wrong is in t->result.error. */
static void try(struct trial *t, const char *text)
{
    struct template_program *program = NULL;
    const struct template_source_text source = {
        .name = "t", .text = text, .size = strlen(text)};

    t->facts = template_facts_create(1);
    t->err = template_program_create(&source, &program, t->result.error);
    if (t->err != RC_OK) {
        return;
    }
    do {
        render(t, program);
    } while (learn(t->facts) > 0);
    template_program_destroy(program);
}

struct wanted {
    const char *text;
    const char *want;
};

static void check(const struct wanted *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct trial t = {0};
        try(&t, cases[i].text);
        if (t.err != RC_OK || strcmp(rc_buffer_string(&t.text), cases[i].want) != 0) {
            fail_msg("%s\ngives [%s], not [%s]: %s", cases[i].text,
                     rc_buffer_string(&t.text), cases[i].want, t.result.error);
        }
        fini(&t);
    }
}

#define CHECK(cases) check(cases, sizeof(cases) / sizeof((cases)[0]))

/* The beginning of each message is what is compared. */
static void refuse(const struct wanted *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct trial t = {0};
        try(&t, cases[i].text);
        if (t.err == RC_OK ||
            strncmp(t.result.error, cases[i].want, strlen(cases[i].want)) != 0) {
            fail_msg("%s\nis told as [%s], not [%s]", cases[i].text, t.result.error,
                     cases[i].want);
        }
        fini(&t);
    }
}

#define REFUSE(cases) refuse(cases, sizeof(cases) / sizeof((cases)[0]))

static void services_are_gone_through_in_order(void **state)
{
    static const struct wanted cases[] = {
        {"{{range service \"web\"}}{{.Node}} {{.Address}}:{{.Port}}\n{{end}}",
         "n1 10.0.0.1:8001\nn2 fd00::2:8002\n"},
        {"{{range service \"web\"}}{{hostPort .Address .Port}} {{end}}",
         "10.0.0.1:8001 [fd00::2]:8002 "},
        {"{{range $i, $s := service \"web\"}}{{$i}}={{$s.ID}} {{end}}",
         "0=web-1 1=web-2 "},
        {"{{range service \"web\"}}{{.Tags | join \",\"}};{{end}}", "v1;blue,v2;"},
        {"{{range service \"web\"}}{{or .ServiceMeta.weight \"1\"}} {{end}}", "1 3 "},
        {"{{range service \"web\"}}{{if .Tags | contains \"v2\"}}{{.ID}}{{end}}{{end}}",
         "web-2"},
        {"{{range service \"gone\"}}x{{else}}none{{end}}", "none"},
        {"{{len (service \"web\")}}", "2"},
        {"{{range service \"v1.web@far\"}}{{.Address}}{{end}}", "10.9.0.1"},
        {"{{range $tag, $list := service \"web\" | byTag}}{{$tag}}:{{len $list}} {{end}}",
         "blue:1 v1:1 v2:1 "},
        {"{{range services}}{{.Name}}[{{.Tags | join \" \"}}] {{end}}",
         "consul[] web[v1 v2] "},
        {"{{range nodes}}{{.Node}}={{.Address}}{{with .Meta.rack}} in {{.}}{{end}}\n{{end}}",
         "n1=10.0.0.1 in b\nn2=10.0.0.2\n"},
        {"{{with node \"n1\"}}{{.Node.Address}}{{range .Services}} {{.ID}}:{{.Port}}{{end}}"
         "{{end}}",
         "10.0.0.1 a:1 z:2"},
        {"{{with node \"none\"}}x{{else}}no such node{{end}}", "no such node"},
    };
    (void)state;
    CHECK(cases);
}

static void states_are_chosen(void **state)
{
    static const struct wanted cases[] = {
        {"{{range service \"web\" \"any\"}}{{.ID}}={{.Status}} {{end}}",
         "a=critical b=warning c=maintenance d=passing "},
        {"{{range service \"web\" \"passing,warning\"}}{{.ID}}{{end}}", "bd"},
        {"{{range service \"web\" \"critical\"}}{{.ID}}{{end}}", "a"},
        {"{{range service \"web\" \"any\"}}{{range .Checks}}{{.CheckID}}{{end}}{{end}}",
         "cc_node_maintenance"},
    };
    static const struct wanted faults[] = {
        {"{{service \"web\" \"passign\"}}", "t:1:3: service: knows any, passing"},
        {"{{service \"\"}}", "t:1:3: service: wants [TAG.]NAME[@DATACENTER]"},
    };
    (void)state;
    CHECK(cases);
    REFUSE(faults);
}

static void the_primary_and_its_standbys_are_found(void **state)
{
    static const struct wanted cases[] = {
        {"{{with (postgres).Primary}}{{.Address}}:{{.Port}}{{end}}", "10.0.0.12:5432"},
        {"{{with postgres}}{{.Primary.Node}}{{range .Standbys}} {{.Node}}{{end}}{{end}}",
         "pg2 pg1"},
        {"{{with (postgres \"gone\").Primary}}{{.Node}}{{else}}none{{end}}", "none"},
    };
    (void)state;
    CHECK(cases);
}

static void keys_are_read(void **state)
{
    static const struct wanted cases[] = {
        {"{{key \"app/port\"}} {{key \"/app/port\"}}", "8080 8080"},
        {"{{key \"app/empty\"}}|", "|"},
        {"{{key \"app/semaphore\"}}", "x"},
        {"{{keyOrDefault \"none\" \"9\"}} {{keyOrDefault \"app/port\" \"9\"}}", "9 8080"},
        {"{{keyExists \"none\"}} {{keyExists \"app/port\"}}", "false true"},
        {"{{add 1 (key \"app/port\" | parseInt)}}", "8081"},
        {"{{range tree \"app\"}}{{.Path}} {{.Key}}={{.Value}}\n{{end}}",
         "app/a a=1\napp/deep/b deep/b=2\n"},
        {"{{range ls \"app\"}}{{.Key}}={{.Value}}\n{{end}}", "a=1\n"},
    };
    (void)state;
    CHECK(cases);
}

static void a_key_that_is_missing_holds_the_file(void **state)
{
    struct trial t = {0};

    (void)state;
    try(&t, "{{key \"none\"}}");

    assert_int_equal(t.err, RC_OK);
    assert_string_equal(
        t.result.held,
        "there is not the key none: keyOrDefault and keyExists do not wait "
        "for it");
    fini(&t);
}

static void a_service_with_too_few_instances_holds_the_file(void **state)
{
    struct trial t = {.min_instances = 1};

    (void)state;
    try(&t, "{{range service \"gone\"}}x{{end}}");

    assert_string_equal(t.result.held,
                        "the service gone has 0 instances, and min_instances is 1");
    fini(&t);
}

static void what_is_not_known_yet_is_waited_for(void **state)
{
    struct trial t = {0};

    (void)state;
    try(&t, "{{range service \"later\"}}x{{end}}{{index (services) 0}}");

    assert_true(t.result.waiting == 1);
    assert_true(template_facts_count(t.facts) == 2);
    fini(&t);
}

static void what_is_no_longer_asked_is_not_needed(void **state)
{
    struct trial t = {0};
    struct template_program *program = NULL;
    size_t position = 0;
    json_t *port = template_value_text("0", 1);
    const char *text =
        "{{if eq (key \"app/port\") \"8080\"}}{{range nodes}}.{{end}}{{end}}";
    const struct template_source_text source = {
        .name = "t", .text = text, .size = strlen(text)};

    (void)state;
    t.facts = template_facts_create(1);
    assert_int_equal(template_program_create(&source, &program, t.result.error), RC_OK);
    render(&t, program);
    assert_true(t.needs.count == 1 && learn(t.facts) == 1);
    render(&t, program);
    assert_true(t.needs.count == 2 && learn(t.facts) == 1);
    render(&t, program);
    assert_string_equal(rc_buffer_string(&t.text), "..");

    struct template_fact *key = template_facts_next(t.facts, &position);
    assert_true(template_fact_learn(key, port));
    render(&t, program);

    struct template_fact *nodes = template_facts_next(t.facts, &position);
    assert_true(key->users == 1 && nodes->users == 0 && t.needs.count == 1);
    template_program_destroy(program);
    fini(&t);
}

static void filters_make_one_word_of_whatever_there_is(void **state)
{
    static const struct wanted cases[] = {
        {"{{key \"app/hostile\" | shellQuote}}", "'a'\\''b\n\"c\\$d<'"},
        {"{{key \"app/hostile\" | toJSON}}", "\"a'b\\n\\\"c\\\\$d\\u003c\""},
        {"{{\"a\\\"b;\\n}\\\\\" | nginxQuote}}", "\"a\\\"b;\\n}\\\\\""},
        {"{{key \"app/hostile\" | urlquery}}", "a%27b%0A%22c%5C%24d%3C"},
        {"{{key \"app/hostile\" | html}}", "a&#39;b\n&#34;c\\$d&lt;"},
        {"{{key \"app/hostile\" | base64Encode}}", "YSdiCiJjXCRkPA=="},
        {"{{key \"app/hostile\" | printf \"%q\"}}", "\"a'b\\n\\\"c\\\\$d<\""},
        {"{{hostPort \"fd00::1\" 80 | nginxQuote}}", "\"[fd00::1]:80\""},
        {"{{8080 | shellQuote}}", "'8080'"},
        {"{{service \"v1.web@far\" | toJSON | len | lt 100}}", "true"},
    };
    static const struct wanted faults[] = {
        {"\n  {{key \"app/hostile\" | nginxQuote}}",
         "t:2:25: nginxQuote: nginx has no way to write a $"},
        {"{{\"a\\x00\" | shellQuote}}", "t:1:13: shellQuote: no shell knows"},
    };
    (void)state;
    CHECK(cases);
    REFUSE(faults);
}

/* Each line of the fixture: a JSON list of a template and what Go's text/template makes of it. */
static void the_language_is_that_of_go(void **state)
{
    char line[4096];
    size_t count = 0;
    FILE *file = fopen("tests/fixtures/template/go-1.19.jsonl", "re");

    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        json_t *pair = json_loads(line, 0, NULL);
        assert_non_null(pair);
        const struct wanted one = {json_string_value(json_array_get(pair, 0)),
                                   json_string_value(json_array_get(pair, 1))};
        check(&one, 1);
        json_decref(pair);
        count++;
    }
    (void)fclose(file);
    assert_true(count > 50);
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const struct wanted cases[] = {
        {"a\nb {{if true}}", "t:2:5: this block has no end"},
        {"{{end}}", "t:1:3: this end belongs to nothing"},
        {"{{else}}", "t:1:3: this else belongs to nothing"},
        {"{{if true}}{{else}}{{else}}{{end}}", "t:1:22: this else belongs to nothing"},
        {"{{nonsens 1}}", "t:1:3: no function is called nonsens"},
        {"{{servce \"web\"}}",
         "t:1:3: no function is called servce: do you mean service?"},
        {"{{$x}}", "t:1:3: no variable is called $x here"},
        {"{{$x = 1}}", "t:1:3: no variable is called $x here: write :="},
        {"{{if true}}{{$x := 1}}{{end}}{{$x}}", "t:1:32: no variable is called $x"},
        {"{{\"abc}}", "t:1:3: this string does not end"},
        {"{{\"\\q\"}}", "t:1:3: this string has an escape"},
        {"{{'a'}}", "t:1:3: single quotes"},
        {"{{range", "t:1:8: this action does not end"},
        {"{{/* a", "t:1:1: this comment does not end"},
        {"{{/* a */ x}}", "t:1:1: a comment is closed"},
        {"{{}}", "t:1:3: a value is missing"},
        {"{{1 | }}", "t:1:7: a value is missing"},
        {"{{1 | 2}}", "t:1:7: behind a | stands a function"},
        {"{{1 2}}", "t:1:5: a value takes no arguments"},
        {"{{(1}}", "t:1:4: a ) is missing"},
        {"{{1)}}", "t:1:4: this ) closes nothing"},
        {"{{len}}", "t:1:3: len takes"},
        {"{{len 1 2}}", "t:1:3: len takes"},
        {"{{join \",\" split}}", "t:1:12: split takes"},
        {"{{break}}", "t:1:3: break and continue stand in a range"},
        {"{{define \"x\"}}{{end}}", "t:1:3: define of Go's templates is not known"},
        {"{{1x}}", "t:1:3: 1x is no number"},
        {"{{99999999999999999999999}}", "t:1:3: 99999999999999999999999 is no"},
        {"{{len 3}}", "t:1:3: len: wants a text, a list or a map, not a number"},
        {"{{range 5}}{{end}}", "t:1:3: range: goes through lists and maps, not a number"},
        {"{{range service \"web\"}}{{.Adress}}{{end}}",
         "t:1:26: an instance of a service has no field Adress: do you mean Address?"},
        {"{{service \"web\"}}", "t:1:3: a list of such cannot be written"},
        {"{{range service \"web\"}}{{.ServiceMeta.weight}}{{end}}",
         "t:1:26: there is no value here"},
        {"{{index (service \"web\") 7}}", "t:1:3: index: 7 is outside of a list of 2"},
        {"{{lt 1 \"a\"}}", "t:1:3: lt: a number and a text cannot be compared"},
        {"{{divide 0 1}}", "t:1:3: divide: divides by 0"},
        {"{{\"{\" | parseJSON}}", "t:1:9: parseJSON: line 1"},
        {"{{range loop 100000}}{{range loop 100000}}{{end}}{{end}}", "t:1:"},
        {"{{$x := \"0123456789abcdef\"}}{{range loop 30}}{{$x = print $x $x}}{{end}}",
         "t:1:53: print: this template makes more than it may"},
    };
    (void)state;
    REFUSE(cases);
}

static void what_is_too_deep_is_refused(void **state)
{
    struct rc_buffer text = {0};
    struct trial t = {0};

    (void)state;
    for (int i = 0; i < 40; i++) {
        rc_buffer_text(&text, "{{if true}}");
    }
    try(&t, rc_buffer_string(&text));
    assert_string_equal(t.result.error, "t:1:355: more than 32 blocks in each other");
    fini(&t);

    rc_buffer_clear(&text);
    rc_buffer_text(&text, "{{");
    for (int i = 0; i < 40; i++) {
        rc_buffer_text(&text, "(");
    }
    struct trial second = {0};
    try(&second, rc_buffer_string(&text));
    assert_string_equal(second.result.error,
                        "t:1:34: more than 32 parentheses in each other");
    fini(&second);
    rc_buffer_fini(&text);
}

static void every_function_is_found_by_its_name(void **state)
{
    const char *name;
    uint32_t found = 0;

    (void)state;
    for (uint32_t i = 0; (name = template_function_name(i)) != NULL; i++) {
        assert_true(template_function_find(rc_span_of(name), &found));
        assert_int_equal(found, i);
    }
}

static void delimiters_may_be_others(void **state)
{
    struct template_program *program = NULL;
    char error[TEMPLATE_ERROR_MAX];
    const char *text = "{{x}} [[- 1 -]] y";
    const struct template_source_text source = {"t", text, strlen(text), "[[", "]]"};
    struct trial t = {.facts = template_facts_create(1)};

    (void)state;
    assert_int_equal(template_program_create(&source, &program, error), RC_OK);
    render(&t, program);

    assert_string_equal(rc_buffer_string(&t.text), "{{x}}1y");
    template_program_destroy(program);
    fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_are_gone_through_in_order),
        cmocka_unit_test(states_are_chosen),
        cmocka_unit_test(the_primary_and_its_standbys_are_found),
        cmocka_unit_test(keys_are_read),
        cmocka_unit_test(a_key_that_is_missing_holds_the_file),
        cmocka_unit_test(a_service_with_too_few_instances_holds_the_file),
        cmocka_unit_test(what_is_not_known_yet_is_waited_for),
        cmocka_unit_test(what_is_no_longer_asked_is_not_needed),
        cmocka_unit_test(filters_make_one_word_of_whatever_there_is),
        cmocka_unit_test(the_language_is_that_of_go),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(what_is_too_deep_is_refused),
        cmocka_unit_test(every_function_is_found_by_its_name),
        cmocka_unit_test(delimiters_may_be_others),
    };
    return cmocka_run_group_tests_name("template_render", tests, NULL, NULL);
}
