/* test_definition.c - services and checks as people write them, and what they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "agent/catalog/definition.h"
#include "base/err.h"

static struct service_definition service_of(const char *text, enum definition_style style)
{
    struct service_definition service = {0};
    struct definition_fault fault = {0};
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    if (service_definition_parse(json, style, &service, &fault) != RC_OK) {
        fail_msg("%s: %s", text, fault.text);
    }
    json_decref(json);
    return service;
}

static void names_are_lenient_in_case_and_underscores(void **state)
{
    struct service_definition service = service_of(
        "{\"iD\": \"a1\", \"NAME\": \"api\", \"tags\": [\"x\", \"\"],"
        " \"enable_tag_override\": true, \"Port\": 99999,"
        " \"TaggedAddresses\": {\"lan\": {\"Address\": \"10.0.0.1\", \"Port\": 5}},"
        " \"meta\": {\"a\": \"1\"}, \"weights\": {\"PASSING\": 7}}",
        DEFINITION_API);
    (void)state;

    assert_string_equal(service.id, "a1");
    assert_string_equal(service.name, "api");
    assert_int_equal(service.tags.count, 2);
    assert_string_equal(service.tags.items[1], "");
    assert_true(service.enable_tag_override);
    assert_int_equal(service.port, 99999);
    assert_string_equal(service.tagged_addresses.items[0].tag, "lan");
    assert_int_equal(service.tagged_addresses.items[0].port, 5);
    assert_string_equal(service.meta.items[0].value, "1");
    assert_int_equal(service.weight_passing, 7);
    assert_int_equal(service.weight_warning, 0); /* as Go's zero value */
    service_definition_fini(&service);
}

static void every_kind_of_check_is_recognised(void **state)
{
    static const struct {
        const char *text;
        enum check_kind kind;
    } cases[] = {
        {"{\"name\":\"c\",\"ttl\":\"5s\"}", CHECK_TTL},
        {"{\"name\":\"c\",\"http\":\"http://x/\",\"interval\":\"1s\"}", CHECK_HTTP},
        {"{\"name\":\"c\",\"TCP\":\"a:1\",\"Interval\":1000000000}", CHECK_TCP},
        {"{\"name\":\"c\",\"udp\":\"a:1\",\"interval\":\"1s\"}", CHECK_UDP},
        {"{\"name\":\"c\",\"args\":[\"/bin/true\"],\"interval\":\"1s\"}", CHECK_SCRIPT},
        {"{\"name\":\"c\",\"script_args\":[\"x\"],\"interval\":\"1s\"}", CHECK_SCRIPT},
        {"{\"name\":\"c\",\"scriptargs\":[\"x\"],\"interval\":\"1s\"}", CHECK_SCRIPT},
        {"{\"name\":\"c\",\"grpc\":\"a:1/s\",\"interval\":\"1s\"}", CHECK_GRPC},
        {"{\"name\":\"c\",\"docker_container_id\":\"d\",\"args\":[\"x\"],"
         "\"interval\":\"1s\"}",
         CHECK_DOCKER},
        {"{\"name\":\"c\",\"alias_service\":\"s\"}", CHECK_ALIAS},
        {"{\"name\":\"c\",\"h2ping\":\"a:1\",\"interval\":\"1s\"}", CHECK_H2PING},
        {"{\"name\":\"c\",\"os_service\":\"x\",\"interval\":\"1s\"}", CHECK_OS_SERVICE},
        {"{\"name\":\"c\",\"postgres\":\"host=x\",\"postgres_tags\":true,"
         "\"max_lag\":\"10s\",\"interval\":\"1s\"}",
         CHECK_POSTGRES},
        {"{\"name\":\"c\",\"redis\":\"a:1\",\"redis_role\":\"master\","
         "\"interval\":\"1s\"}",
         CHECK_REDIS},
        {"{\"name\":\"c\",\"systemd\":\"web\",\"max_restarts\":3,"
         "\"interval\":\"1s\"}",
         CHECK_SYSTEMD},
        {"{\"name\":\"c\",\"tcp\":\"a:1\",\"interval\":\"1s\","
         "\"restart\":{\"unit\":\"web\",\"after\":2}}",
         CHECK_TCP},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct check_definition check = {0};
        struct definition_fault fault = {0};
        json_t *json = json_loads(cases[i].text, 0, NULL);
        assert_non_null(json);
        if (check_definition_parse(json, DEFINITION_API, &check, &fault) != RC_OK) {
            fail_msg("%s: %s", cases[i].text, fault.text);
        }
        assert_int_equal(check.kind, cases[i].kind);
        assert_int_equal(check.status, CHECK_CRITICAL);
        assert_string_equal(check.id, "c");
        check_definition_fini(&check);
        json_decref(json);
    }
}

/* What the API says to a body, "" if it is content. */
static void answer_to(const char *body, char text[DEFINITION_ERROR_MAX],
                      int (*parse)(const json_t *, struct definition_fault *))
{
    struct definition_fault fault = {0};
    json_t *json = NULL;

    if (definition_load_body(body, strlen(body), &json, &fault) == RC_OK &&
        parse(json, &fault) == RC_OK) {
        fault.text[0] = '\0';
    }
    json_decref(json);
    memcpy(text, fault.text, DEFINITION_ERROR_MAX);
}

static int parse_service(const json_t *json, struct definition_fault *fault)
{
    struct service_definition service = {0};
    int err = service_definition_parse(json, DEFINITION_API, &service, fault);
    service_definition_fini(&service);
    return err;
}

static int parse_check(const json_t *json, struct definition_fault *fault)
{
    struct check_definition check = {0};
    int err = check_definition_parse(json, DEFINITION_API, &check, fault);
    check_definition_fini(&check);
    return err;
}

struct refusal {
    const char *body;
    const char *want;
};

static void assert_answers(const struct refusal *cases, size_t count,
                           int (*parse)(const json_t *, struct definition_fault *))
{
    char got[DEFINITION_ERROR_MAX];

    for (size_t i = 0; i < count; i++) {
        answer_to(cases[i].body, got, parse);
        if (strcmp(got, cases[i].want) != 0) {
            fail_msg("%s: got %s, want %s", cases[i].body, got, cases[i].want);
        }
    }
}

static void services_are_refused_in_the_words_of_consul(void **state)
{
    static const struct refusal cases[] = {
        {"{\"ID\": \"x\"}", "Missing service name"},
        {"null", "Missing service name"},
        {"{\"Name\": \"x\", \"Bogus\": 1}",
         "Request decode failed: json: unknown field \"Bogus\""},
        {"{bad", "Request decode failed: invalid character 'b' looking for beginning of "
                 "object key string"},
        {"", "Request decode failed: EOF"},
        {" \n", "Request decode failed: EOF"},
        {"{\"Name\": \"x\", \"Port\": \"80\"}",
         "Request decode failed: json: cannot unmarshal string into Go struct field .Port "
         "of type int"},
        {"{\"Name\": \"x\", \"Port\": 1.5}",
         "Request decode failed: json: cannot unmarshal number 1.5 into Go struct field "
         ".Port of type int"},
        {"{\"Name\": \"x\", \"tags\": \"a\"}",
         "Request decode failed: json: cannot unmarshal string into Go struct field .Tags "
         "of type []string"},
        {"{\"Name\": \"x\", \"Check\": {\"HTTP\": \"http://127.0.0.1/\"}}",
         "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks"},
        {"{\"Name\": \"x\", \"Check\": {\"Notes\": \"n\"}}",
         "Invalid check: TTL must be > 0 for TTL checks"},
        {"{\"Name\": \"x\", \"Check\": {\"TTL\": \"1s\", \"Interval\": \"1s\"}}",
         "Invalid check: Interval and TTL cannot both be specified"},
        {"{\"Name\": \"x\", \"Check\": {\"TTL\": \"1s\", \"Status\": \"bad\"}}",
         "Status for checks must 'passing', 'warning', 'critical'"},
        {"{\"Name\": \"x\", \"Check\": {\"TTL\": \"5x\"}}",
         "Request decode failed: time: unknown unit \"x\" in duration \"5x\""},
        {"{\"Name\": \"x\", \"Check\": {\"TTL\": \"zz\"}}",
         "Request decode failed: time: invalid duration \"zz\""},
        {"{\"Name\": \"x\", \"Check\": {\"TTL\": \"15\"}}",
         "Request decode failed: time: missing unit in duration \"15\""},
        {"{\"Name\": \"x\", \"Check\": {\"Script\": \"x\"}}",
         "Request decode failed: json: unknown field \"Script\""},
        {"{\"Name\": \"x\", \"a\\nb\": 1}",
         "Request decode failed: json: unknown field \"a\\nb\""},
        {"{\"Name\": \"x\", \"Address\": \"0.0.0.0\"}", "Invalid service address"},
        {"{\"Name\": \"x\", \"Weights\": {\"Warning\": 1}}",
         "Invalid Weights: Passing must be greater than 0"},
        {"{\"Name\": \"x\", \"Meta\": {\"a b\": \"1\"}}",
         "Invalid Service Meta: Couldn't load metadata pair ('a b', '1'): Key contains "
         "invalid characters"},
        {"{\"Name\": \"x\", \"Check\": {}, \"Checks\": null, \"Port\": null}", ""},
        {"{\"Name\": \"x\", \"Token\": \"t\", \"Connect\": {\"Native\": true}}", ""},
        {"{\"Name\": \"x\"} trailing", ""},
    };
    (void)state;

    assert_answers(cases, sizeof cases / sizeof cases[0], parse_service);
}

static void checks_are_refused_in_the_words_of_consul(void **state)
{
    static const struct refusal cases[] = {
        {"{\"TTL\": \"1h\"}", "Missing check name"},
        {"{\"Name\": \"c\", \"TTL\": \"1h\", \"Status\": \"bad\"}", "Bad check status"},
        {"{\"Name\": \"c\"}", "Invalid check: TTL must be > 0 for TTL checks"},
        {"{\"Name\": \"c\", \"TTL\": \"1h\", \"ServiceID\": \"s\"}", ""},
        {"[]",
         "Request decode failed: json: cannot unmarshal array into Go value of type "
         "structs.CheckDefinition"},
    };
    (void)state;

    assert_answers(cases, sizeof cases / sizeof cases[0], parse_check);
}

static void malformed_json_is_described_as_go_does(void **state)
{
    static const struct refusal cases[] = {
        {"{\"a\" 1}", "invalid character '1' after object key"},
        {"{\"a\": 1 \"b\"}", "invalid character '\"' after object key:value pair"},
        {"{\"a\": [1 2]}", "invalid character '2' after array element"},
        {"{\"a\": }", "invalid character '}' looking for beginning of value"},
        {"{\"a\": 1,}",
         "invalid character '}' looking for beginning of object key string"},
        {"{\"a\": tru}", "invalid character '}' in literal true (expecting 'e')"},
        {"{\"a\": -x}", "invalid character 'x' in numeric literal"},
        {"{\"a\": 1.x}", "invalid character 'x' after decimal point in numeric literal"},
        {"{\"a\": \"\\q\"}", "invalid character 'q' in string escape code"},
        {"{\"a\": \"x\ny\"}", "invalid character '\\n' in string literal"},
        {"{\"a\": 1", "unexpected EOF"},
        {"\"x", "unexpected EOF"},
        {"'", "invalid character '\\'' looking for beginning of value"},
    };
    struct definition_fault fault;
    json_t *json = NULL;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *body = cases[i].body;
        assert_int_equal(definition_load_body(body, strlen(body), &json, &fault),
                         RC_EMALFORMED);
        assert_string_equal(fault.text + strlen("Request decode failed: "),
                            cases[i].want);
    }
}

static void checks_of_a_service_get_ids_by_position(void **state)
{
    struct service_definition one =
        service_of("{\"Name\": \"api\", \"Check\": {\"TTL\": \"1s\"}}", DEFINITION_API);
    struct service_definition three = service_of(
        "{\"Name\": \"api\", \"ID\": \"api-1\", \"Checks\": [{\"TTL\": \"1s\", "
        "\"CheckID\": \"mine\"}, {\"TTL\": \"1s\"}], \"Check\": {\"TTL\": "
        "\"2s\", \"Status\": \"passing\"}}",
        DEFINITION_API);
    (void)state;

    assert_string_equal(one.checks[0].id, "service:api");
    assert_string_equal(one.checks[0].name, "Service 'api' check");
    assert_string_equal(one.checks[0].service_id, "api");
    assert_int_equal(three.check_count, 3);
    assert_string_equal(three.checks[0].id, "service:api-1:1");
    assert_int_equal(three.checks[0].ttl_ms, 2000);
    assert_int_equal(three.checks[0].status, CHECK_PASSING);
    assert_string_equal(three.checks[1].id, "mine");
    assert_string_equal(three.checks[2].id, "service:api-1:3");
    service_definition_fini(&one);
    service_definition_fini(&three);
}

static void an_address_that_is_an_ip_tags_itself(void **state)
{
    struct service_definition v4 = service_of(
        "{\"Name\": \"a\", \"Address\": \"10.0.0.1\", \"Port\": 80, \"TaggedAddresses\": "
        "{\"wan_ipv4\": {\"Address\": \"192.0.2.1\", \"Port\": 8080}}}",
        DEFINITION_API);
    struct service_definition name =
        service_of("{\"Name\": \"a\", \"Address\": \"db.example\"}", DEFINITION_API);
    (void)state;

    assert_int_equal(v4.tagged_addresses.count, 2);
    assert_string_equal(v4.tagged_addresses.items[0].address, "192.0.2.1");
    assert_string_equal(v4.tagged_addresses.items[1].tag, "lan_ipv4");
    assert_int_equal(v4.tagged_addresses.items[1].port, 80);
    assert_int_equal(name.tagged_addresses.count, 0);
    service_definition_fini(&v4);
    service_definition_fini(&name);
}

static void copies_and_trees_say_the_same(void **state)
{
    struct service_definition service = service_of(
        "{\"Name\": \"db\", \"ID\": \"db1\", \"Tags\": [\"a\"], \"Address\": \"::1\","
        " \"Port\": 5432, \"Meta\": {\"k\": \"v\"}, \"Weights\": {\"Passing\": 3},"
        " \"Checks\": [{\"Postgres\": \"host=::1\", \"PostgresTags\": true, \"MaxLag\": "
        "\"1m30s\", \"Interval\": \"200ms\", \"Timeout\": \"1.5s\"},"
        " {\"HTTP\": \"http://x/\", \"Header\": {\"A\": [\"1\", \"2\"], \"B\": [\"3\"]},"
        " \"Interval\": \"10s\", \"TLSSkipVerify\": true, \"FailuresBeforeCritical\": 2},"
        " {\"Args\": [\"sh\", \"-c\", \"\"], \"Interval\": \"1h\", \"Status\": \"warning\","
        " \"DeregisterCriticalServiceAfter\": \"90m\"}]}",
        DEFINITION_API);
    struct service_definition copy;
    (void)state;

    assert_int_equal(service_definition_copy(&service, &copy), RC_OK);
    assert_true(service_definition_equals(&service, &copy));
    assert_int_equal(copy.checks[0].kind, CHECK_POSTGRES);
    json_t *tree = service_definition_to_json(&service);
    char *text = json_dumps(tree, 0);
    struct service_definition again = service_of(text, DEFINITION_API);
    assert_true(service_definition_equals(&service, &again));
    assert_int_equal(again.checks[0].max_lag_ms, 90000);
    assert_int_equal(again.checks[1].header.count, 3);
    assert_int_equal(again.checks[2].status, CHECK_WARNING);
    again.checks[1].interval_ms++;
    assert_false(service_definition_equals(&service, &again));
    free(text);
    json_decref(tree);
    service_definition_fini(&copy);
    service_definition_fini(&again);
    service_definition_fini(&service);
    assert_null(service.name);
}

static void the_longest_durations_survive_being_written(void **state)
{
    static const struct {
        const char *interval;
        uint64_t ms;
    } cases[] = {
        {"1", 1},
        {"1000001", 2},
        {"8888888882000001230", 8888888882001},
        {"9223372036854775807", 9223372036854},
        {"\"2562047h47m16.854775807s\"", 9223372036854},
    };
    char text[160];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(text, sizeof text,
                       "{\"Name\":\"x\",\"Check\":{\"TCP\":\"x:1\",\"Interval\":%s}}",
                       cases[i].interval);
        struct service_definition service = service_of(text, DEFINITION_API);
        json_t *tree = service_definition_to_json(&service);
        char *written = json_dumps(tree, 0);
        struct service_definition again = service_of(written, DEFINITION_API);

        assert_int_equal(service.checks[0].interval_ms, cases[i].ms);
        assert_true(service_definition_equals(&service, &again));

        service_definition_fini(&again);
        service_definition_fini(&service);
        free(written);
        json_decref(tree);
    }
}

static void files_are_told_the_place_and_a_likely_name(void **state)
{
    struct service_definition service = {0};
    struct definition_fault fault = {0};
    json_t *json = json_loads("{\"name\": \"a\", \"checks\": [{\"ttl\": \"1s\"}, "
                              "{\"intervall\": \"1s\"}]}",
                              0, NULL);
    (void)state;

    assert_int_equal(service_definition_parse(json, DEFINITION_FILE, &service, &fault),
                     RC_EMALFORMED);
    assert_string_equal(fault.text,
                        "invalid config key intervall; did you mean interval?");
    assert_string_equal(fault.key, "intervall");
    assert_ptr_equal(fault.parent, json_array_get(json_object_get(json, "checks"), 1));
    json_decref(json);

    json = json_loads("{\"name\": \"a\", \"port\": \"80\"}", 0, NULL);
    assert_int_equal(service_definition_parse(json, DEFINITION_FILE, &service, &fault),
                     RC_EMALFORMED);
    assert_string_equal(fault.text, "port must be a whole number, not a string");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_lenient_in_case_and_underscores),
        cmocka_unit_test(every_kind_of_check_is_recognised),
        cmocka_unit_test(services_are_refused_in_the_words_of_consul),
        cmocka_unit_test(checks_are_refused_in_the_words_of_consul),
        cmocka_unit_test(malformed_json_is_described_as_go_does),
        cmocka_unit_test(checks_of_a_service_get_ids_by_position),
        cmocka_unit_test(an_address_that_is_an_ip_tags_itself),
        cmocka_unit_test(copies_and_trees_say_the_same),
        cmocka_unit_test(the_longest_durations_survive_being_written),
        cmocka_unit_test(files_are_told_the_place_and_a_likely_name),
    };
    return cmocka_run_group_tests_name("definition", tests, NULL, NULL);
}
