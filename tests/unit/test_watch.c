#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/watch/watch_definition.h"
#include "agent/watch/watch_question.h"
#include "base/err.h"

static int read_text(const char *text, struct watch_definition *out,
                     struct definition_fault *fault)
{
    struct definition_reader reader = {DEFINITION_FILE, fault};
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    int err = watch_definition_read(&reader, json, out);
    json_decref(json);
    return err;
}

static void each_type_asks_its_own_request(void **state)
{
    static const char *const tags[] = {"v1", "a b"};
    static const struct {
        struct watch_question question;
        const char *target;
    } cases[] = {
        {{.type = WATCH_NODES}, "/v1/catalog/nodes"},
        {{.type = WATCH_SERVICES}, "/v1/catalog/services"},
        {{.type = WATCH_SERVICE, .service = "web"}, "/v1/health/service/web"},
        {{.type = WATCH_SERVICE,
          .service = "a/b",
          .passing_only = true,
          .tags = tags,
          .tag_count = 2},
         "/v1/health/service/a%2Fb?passing=1&tag=v1&tag=a%20b"},
        {{.type = WATCH_SERVICE, .service = "web", .tags = tags, .tag_count = 1},
         "/v1/health/service/web?tag=v1"},
        {{.type = WATCH_CHECKS}, "/v1/health/state/any"},
        {{.type = WATCH_CHECKS, .state = "critical"}, "/v1/health/state/critical"},
        {{.type = WATCH_CHECKS, .service = "web"}, "/v1/health/checks/web"},
        {{.type = WATCH_EVENT}, "/v1/event/list"},
        {{.type = WATCH_EVENT, .name = "de ploy"}, "/v1/event/list?name=de%20ploy"},
        {{.type = WATCH_MEMBERS}, "/v1/agent/members"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_buffer target = {0};
        watch_question_target(&cases[i].question, &target);
        assert_string_equal(rc_buffer_string(&target), cases[i].target);
        rc_buffer_fini(&target);
    }
}

static void consuls_blocks_are_understood(void **state)
{
    struct definition_fault fault = {0};
    struct watch_definition script;
    struct watch_definition http;

    (void)state;
    assert_int_equal(read_text("{\"type\":\"service\",\"service\":\"web\",\"tag\":\"v1\","
                               "\"passingonly\":true,\"args\":[\"/bin/x\",\"y\"],"
                               "\"token\":\"t\",\"datacenter\":\"dc1\"}",
                               &script, &fault),
                     RC_OK);
    assert_int_equal(script.type, WATCH_SERVICE);
    assert_int_equal(script.tags.count, 1);
    assert_int_equal(script.args.count, 2);
    assert_true(script.passing_only);
    assert_false(script.is_http);
    assert_int_equal(watch_definition_timeout_ms(&script), WATCH_SCRIPT_MS);

    assert_int_equal(
        read_text("{\"type\":\"nodes\",\"handler_type\":\"http\",\"http_handler_config\":"
                  "{\"path\":\"https://x.test/y\",\"method\":\"PUT\",\"timeout\":\"3s\","
                  "\"header\":{\"X-A\":[\"b\",\"c\"]},\"tls_skip_verify\":true}}",
                  &http, &fault),
        RC_OK);
    assert_true(http.is_http);
    assert_string_equal(http.path, "https://x.test/y");
    assert_int_equal(http.header.count, 2);
    assert_int_equal(watch_definition_timeout_ms(&http), 3000);
    watch_definition_fini(&script);
    watch_definition_fini(&http);
}

static void wrong_blocks_are_refused_in_words(void **state)
{
    static const struct {
        const char *text;
        const char *words;
    } cases[] = {
        {"{\"args\":[\"x\"]}", "Watch type must be specified"},
        {"{\"type\":\"bogus\",\"args\":[\"x\"]}", "Unsupported watch type: bogus"},
        {"{\"type\":\"key\",\"args\":[\"x\"]}", "Must specify a single key to watch"},
        {"{\"type\":\"keyprefix\",\"args\":[\"x\"]}",
         "Must specify a single prefix to watch"},
        {"{\"type\":\"key\",\"key\":\"k\",\"prefix\":\"p\",\"args\":[\"x\"]}",
         "Invalid parameter: prefix"},
        {"{\"type\":\"nodes\",\"key\":\"k\",\"args\":[\"x\"]}", "Invalid parameter: key"},
        {"{\"type\":\"service\",\"args\":[\"x\"]}",
         "Must specify a single service to watch"},
        {"{\"type\":\"checks\",\"service\":\"a\",\"state\":\"any\",\"args\":[\"x\"]}",
         "Cannot specify service and state"},
        {"{\"type\":\"nodes\",\"service\":\"a\",\"args\":[\"x\"]}",
         "Invalid parameter: service"},
        {"{\"type\":\"query\",\"args\":[\"x\"]}", "Must specify the name of the query"},
        {"{\"type\":\"nodes\"}", "Script handlers want args"},
        {"{\"type\":\"nodes\",\"args\":[\"\"]}", "Script handlers want args"},
        {"{\"type\":\"nodes\",\"args\":[\"x\"],\"handler_type\":\"mail\"}",
         "Handler type must be script or http"},
        {"{\"type\":\"nodes\",\"handler_type\":\"http\"}", "Requires 'path' to be set"},
        {"{\"type\":\"nodes\",\"handler_type\":\"http\",\"http_handler_config\":"
         "{\"path\":\"file:///etc/passwd\"}}",
         "http:// or https:// URL"},
        {"{\"type\":\"nodes\",\"args\":[\"x\"],\"http_handler_config\":{\"path\":\"http://"
         "x\"}}",
         "http_handler_config wants"},
        {"{\"type\":\"query\",\"name\":\"q\",\"handler_type\":\"http\","
         "\"http_handler_config\":{\"path\":\"http://x\"}}",
         "answered by scripts only"},
        {"{\"type\":\"nodes\",\"handler\":\"x\",\"args\":[\"y\"]}",
         "Only one of handler and args"},
        {"{\"type\":\"nodes\",\"args\":[1]}", "args"},
    };
    struct watch_definition watch;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct definition_fault fault = {0};
        if (read_text(cases[i].text, &watch, &fault) == RC_OK ||
            strstr(fault.text, cases[i].words) == NULL) {
            fail_msg("%s: %s", cases[i].text, fault.text);
        }
    }
}

static void a_copy_is_the_same_and_a_change_is_not(void **state)
{
    struct definition_fault fault = {0};
    struct watch_definition a;
    struct watch_definition b;
    struct watch_definition other;

    (void)state;
    assert_int_equal(
        read_text("{\"type\":\"event\",\"name\":\"e\",\"args\":[\"x\"]}", &a, &fault),
        RC_OK);
    assert_int_equal(
        read_text(
            "{\"type\":\"event\",\"name\":\"e\",\"args\":[\"x\"],\"timeout\":\"2s\"}",
            &other, &fault),
        RC_OK);
    assert_int_equal(watch_definition_copy(&a, &b), RC_OK);
    assert_true(watch_definition_equals(&a, &b));
    assert_int_equal(b.type, WATCH_EVENT);
    assert_false(watch_definition_equals(&a, &other));
    watch_definition_fini(&a);
    watch_definition_fini(&b);
    watch_definition_fini(&other);
}

static void events_known_already_are_left_out(void **state)
{
    static const char list[] = "[{\"ID\":\"81a2fe7d-04b2-f2e0-aa83-940cf67ab8a1\"},"
                               "{\"ID\":\"81a2fe7d-04b2-f2e0-aa83-940cf67ab8a0\"},"
                               "{\"ID\":\"81a2fe7d-04b2-f2e0-aa83-940cf67ab8a2\"}]";
    json_t *events = json_loads(list, 0, NULL);

    (void)state;
    watch_drop_known_events(events, 1);
    assert_int_equal(json_array_size(events), 3);
    watch_drop_known_events(events, 3107882255499414080U);
    assert_int_equal(json_array_size(events), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(events, 0), "ID")),
        "81a2fe7d-04b2-f2e0-aa83-940cf67ab8a2");
    json_decref(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_asks_its_own_request),
        cmocka_unit_test(consuls_blocks_are_understood),
        cmocka_unit_test(wrong_blocks_are_refused_in_words),
        cmocka_unit_test(a_copy_is_the_same_and_a_change_is_not),
        cmocka_unit_test(events_known_already_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
