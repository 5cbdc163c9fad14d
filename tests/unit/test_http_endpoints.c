#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/catalog/catalog.h"
#include "agent/checks/schedule.h"
#include "agent/http/answers.h"
#include "agent/http/routes.h"
#include "agent/local/local.h"
#include "base/err.h"
#include "base/file.h"

enum { NOW_MS = 1000, WALL_S = 1700000000 };

struct world {
    struct http_api api;
    struct http_exchange x;
    struct schedule *schedule;
    int written;
};

static void on_written(void *context)
{
    struct world *world = context;
    struct schedule_action action;

    world->written++;
    while (schedule_next_action(world->schedule, &action)) {
        local_on_schedule(world->api.local, &action,
                          (struct local_now){NOW_MS, WALL_S * 1000ULL});
    }
}

static const struct http_exchange *ask(struct world *world, const char *method,
                                       const char *target, const char *body)
{
    struct http_exchange *x = &world->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = exchange_method(method);
    x->method_name = method;
    rc_buffer_text(&x->body, body);
    routes_answer(&world->api, x);
    return x;
}

static void put(struct world *world, const char *target, const char *body)
{
    const struct http_exchange *x = ask(world, "PUT", target, body);

    if (x->status != 200) {
        fail_msg("%s: %u %s", target, x->status, rc_buffer_string(&x->out));
    }
}

static void describe_node(struct catalog *catalog)
{
    static const struct catalog_pair meta[] = {
        {"consul-network-segment", ""}, {"rack", "r1"}, {"rfc1035-note", "value only"}};
    static const struct catalog_tagged_address addresses[] = {
        {"lan", "127.0.0.10", 0},
        {"lan_ipv4", "127.0.0.10", 0},
        {"wan", "127.0.0.10", 0},
        {"wan_ipv4", "127.0.0.10", 0},
    };
    const struct catalog_node node = {
        .name = "node1",
        .id = "11111111-1111-1111-1111-111111111111",
        .address = "127.0.0.10",
        .datacenter = "dc1",
        .tagged_addresses = addresses,
        .tagged_address_count = 4,
        .meta = meta,
        .meta_count = 3,
    };

    assert_int_equal(catalog_set_node(catalog, NOW_MS, &node, NULL), RC_OK);
}

static int set_up(void **state)
{
    static struct world world;
    const struct catalog_options catalog = {
        .node_name = "node1",
        .seed = 1,
        .now_ms = NOW_MS,
        .wall_ms = WALL_S * 1000ULL,
    };

    world = (struct world){
        .api = {.facts = {.datacenter = "dc1", .node_name = "node1"},
                .operations = {.context = &world, .written = on_written},
                .now_ms = NOW_MS,
                .wall_ms = WALL_S * 1000ULL},
    };
    rc_random_init(&world.api.random, 1);
    assert_int_equal(catalog_create(&catalog, &world.api.catalog), RC_OK);
    assert_int_equal(schedule_create(1, &world.schedule), RC_OK);
    const struct local_options local = {
        .catalog = world.api.catalog,
        .schedule = world.schedule,
        .node_name = "node1",
        .random_seed = 1,
    };
    const struct local_now now = {NOW_MS, WALL_S * 1000ULL};
    assert_int_equal(local_create(&local, &world.api.local), RC_OK);
    assert_int_equal(local_load(world.api.local, now), RC_OK);
    assert_int_equal(local_reload(world.api.local, NULL, 0, NULL, 0, now), RC_OK);
    describe_node(world.api.catalog);
    put(&world, "/v1/agent/service/register",
        "{\"ID\":\"web1\",\"Name\":\"web\",\"Tags\":[\"v1\",\"primary\"],"
        "\"Address\":\"10.0.0.11\",\"Port\":8080,\"Meta\":{\"zone\":\"a\"},"
        "\"Check\":{\"TTL\":\"1h\",\"Status\":\"passing\"}}");
    put(&world, "/v1/agent/service/register",
        "{\"ID\":\"web3\",\"Name\":\"web\",\"Tags\":[\"v1\"],\"Port\":8082,"
        "\"Check\":{\"TTL\":\"1h\"}}");
    put(&world, "/v1/agent/service/register", "{\"Name\":\"db\",\"Port\":5432}");
    world.written = 0;
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    exchange_fini(&world->x);
    local_destroy(world->api.local);
    schedule_destroy(world->schedule);
    catalog_destroy(world->api.catalog);
    return 0;
}

/* Copies `text` without the digits behind "Index": they differ from run to run. */
static void mask_indexes(const char *text, struct rc_buffer *out)
{
    static const char word[] = "Index\":";

    rc_buffer_clear(out);
    while (*text != '\0') {
        if (strncmp(text, word, sizeof word - 1) == 0) {
            rc_buffer_text(out, word);
            text += sizeof word - 1;
            text += strspn(text, "0123456789");
        } else {
            rc_buffer_byte(out, (uint8_t)*text++);
        }
    }
}

/* The body of a captured answer. */
static const char *captured(const char *name, struct rc_buffer *file)
{
    char path[128];

    (void)snprintf(path, sizeof path, "tests/fixtures/http/%s.txt", name);
    rc_buffer_clear(file);
    assert_int_equal(rc_file_read(path, 1 << 20, file), RC_OK);
    char *body = strstr((char *)file->bytes, "== response");
    assert_non_null(body);
    body = strstr(body, "\n\n");
    assert_non_null(body);
    body += 2;
    char *end = strstr(body, "\n== end");
    assert_non_null(end);
    *end = '\0';
    return body;
}

static void bodies_are_what_consul_sends_to_the_byte(void **state)
{
    static const struct {
        const char *target;
        const char *fixture;
    } cases[] = {
        {"/v1/health/service/web?passing", "h091-health-service-passing"},
        {"/v1/health/service/web?passing=true&tag=primary",
         "h092-health-service-passing-tag"},
        {"/v1/health/service/web?filter=Service.Meta.zone%20%3D%3D%20a%20and%20%22v1"
         "%22%20in%20Service.Tags",
         "h093-health-service-filter"},
        {"/v1/catalog/service/web?tag=v1&tag=PRIMARY", "h075-catalog-service-tag"},
        {"/v1/catalog/service/nope", "h076-catalog-service-none"},
        {"/v1/catalog/node/nope", "h079-catalog-node-none"},
        {"/v1/catalog/node-services/nope", "h081-catalog-node-services-none"},
        {"/v1/catalog/datacenters?pretty", "h015-pretty"},
        {"/v1/health/state/zzz", "h101-health-state-bad"},
        {"/v1/agent/service/nope", "h045-agent-service-unknown"},
        {"/v1/agent/health/service/id/nope", "h060-agent-health-unknown"},
    };
    struct rc_buffer file = {0};
    struct rc_buffer want = {0};
    struct rc_buffer got = {0};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(*state, "GET", cases[i].target, "");
        mask_indexes(rc_buffer_string(&x->out), &got);
        mask_indexes(captured(cases[i].fixture, &file), &want);
        assert_string_equal(rc_buffer_string(&got), rc_buffer_string(&want));
    }
    rc_buffer_fini(&file);
    rc_buffer_fini(&want);
    rc_buffer_fini(&got);
}

static uint64_t index_of(const struct http_exchange *x)
{
    const char *text = exchange_header_value(x, "X-Consul-Index");

    assert_non_null(text);
    return strtoull(text, NULL, 10);
}

static void a_known_index_waits_for_its_own_service_only(void **state)
{
    struct world *world = *state;
    char target[96];

    uint64_t index = index_of(ask(world, "GET", "/v1/health/service/web", ""));
    (void)snprintf(target, sizeof target, "/v1/health/service/web?index=%llu&wait=16s",
                   (unsigned long long)index);
    const struct http_exchange *x = ask(world, "GET", target, "");
    assert_int_equal(x->outcome, EXCHANGE_WAITING);
    assert_true(x->waiter.key == waiters_key(CATALOG_TOPIC_SERVICE, "WEB", 0));
    assert_in_range(x->waiter.deadline_ms, NOW_MS + 16000, NOW_MS + 17000);

    put(world, "/v1/agent/service/deregister/db", "");
    assert_int_equal(ask(world, "GET", target, "")->outcome, EXCHANGE_WAITING);

    put(world, "/v1/agent/check/warn/service:web1?note=slow", "");
    x = ask(world, "GET", target, "");
    assert_int_equal(x->outcome, EXCHANGE_ANSWERED);
    assert_true(index_of(x) > index);
    assert_non_null(strstr(rc_buffer_string(&x->out), "\"Output\":\"slow\""));
}

static void a_wait_that_is_over_answers_what_is_there(void **state)
{
    struct world *world = *state;
    const struct http_exchange *x =
        ask(world, "GET", "/v1/catalog/services?index=99999999999&wait=1s", "");
    assert_int_equal(x->outcome, EXCHANGE_WAITING);
    uint64_t deadline_ms = x->waiter.deadline_ms;

    world->api.now_ms += 500; /* woken in vain: the deadline stays */
    routes_answer(&world->api, &world->x);
    assert_int_equal(x->outcome, EXCHANGE_WAITING);
    assert_true(x->waiter.deadline_ms == deadline_ms);

    world->x.expired = true;
    routes_answer(&world->api, &world->x);
    assert_int_equal(x->outcome, EXCHANGE_ANSWERED);
    assert_int_equal(x->status, 200);
    assert_string_equal(rc_buffer_string(&x->out),
                        "{\"db\":[],\"web\":[\"primary\",\"v1\"]}");
}

static void a_kept_answer_is_never_older_than_the_catalog(void **state)
{
    static const char *const questions[] = {
        "/v1/health/service/web",        "/v1/health/service/web?passing",
        "/v1/health/service/web?tag=v1", "/v1/catalog/service/web",
        "/v1/catalog/services",          "/v1/catalog/nodes",
        "/v1/health/state/critical",
    };
    enum { COUNT = sizeof questions / sizeof questions[0] };
    struct world *world = *state;
    struct rc_buffer fresh = {0};

    world->api.answers = answers_create();
    for (size_t round = 0; round < 4; round++) {
        for (size_t i = 0; i < (size_t)2 * COUNT; i++) { /* the second time from memory */
            struct answers *answers = world->api.answers;
            world->api.answers = NULL;
            const struct http_exchange *x = ask(world, "GET", questions[i % COUNT], "");
            rc_buffer_clear(&fresh);
            rc_buffer_append(&fresh, x->out.bytes, x->out.size);
            world->api.answers = answers;
            x = ask(world, "GET", questions[i % COUNT], "");
            assert_string_equal(rc_buffer_string(&x->out), rc_buffer_string(&fresh));
            assert_non_null(exchange_header_value(x, "X-Consul-Index"));
        }
        put(world,
            round % 2 == 0 ? "/v1/agent/check/warn/service:web1"
                           : "/v1/agent/check/pass/service:web1",
            "");
    }
    answers_destroy(world->api.answers);
    rc_buffer_fini(&fresh);
}

static void a_service_waits_by_its_hash(void **state)
{
    struct world *world = *state;
    char target[96];

    const struct http_exchange *x = ask(world, "GET", "/v1/agent/service/web1", "");
    const char *hash = exchange_header_value(x, "X-Consul-Contenthash");
    assert_non_null(hash);
    (void)snprintf(target, sizeof target, "/v1/agent/service/web1?hash=%s", hash);
    assert_int_equal(ask(world, "GET", target, "")->outcome, EXCHANGE_WAITING);

    put(world, "/v1/agent/service/register", "{\"ID\":\"web1\",\"Name\":\"web\"}");
    assert_int_equal(ask(world, "GET", target, "")->outcome, EXCHANGE_ANSWERED);
}

static void refused_writes_say_why_and_change_nothing(void **state)
{
    static const struct {
        const char *target;
        const char *body;
        unsigned status;
        const char *text;
    } cases[] = {
        {"/v1/agent/service/register", "", 400, "Request decode failed: EOF"},
        {"/v1/agent/service/register", "{\"ID\": \"x\"}", 400, "Missing service name"},
        {"/v1/agent/service/register", "{\"Name\": \"x\", \"Bogus\": 1}", 400,
         "Request decode failed: json: unknown field \"Bogus\""},
        {"/v1/agent/service/deregister/", "", 500, "ServiceID missing"},
        {"/v1/agent/service/maintenance/web1", "", 400, "Missing value for enable"},
        {"/v1/agent/service/maintenance/web1?enable=banana", "", 400,
         "Invalid value for enable: \"banana\""},
        {"/v1/agent/service/maintenance/nope?enable=true", "", 404,
         "No service registered with ID \"nope\""},
        {"/v1/agent/service/maintenance/?enable=true", "", 400, "Missing service ID"},
        {"/v1/agent/check/register", "{\"TTL\":\"1h\"}", 400, "Missing check name"},
        {"/v1/agent/check/register",
         "{\"Name\":\"x\",\"TTL\":\"1h\",\"ServiceID\":\"nope\"}", 500,
         "ServiceID \"nope\" does not exist"},
        {"/v1/agent/check/deregister/", "", 500, "CheckID missing"},
        {"/v1/agent/check/pass/nope", "", 500,
         "CheckID \"nope\" does not have associated TTL"},
        {"/v1/agent/check/update/service:web1", "{\"Status\":\"bad\"}", 400,
         "Invalid check status: 'bad'"},
        {"/v1/agent/join/10.0.0.1", "", 501,
         "This agent was started without that operation"},
        {"/v1/catalog/register", "{\"Node\":\"zz\"}", 500,
         "Must provide address if SkipNodeUpdate is not set"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(world, "PUT", cases[i].target, cases[i].body);
        assert_string_equal(rc_buffer_string(&x->out), cases[i].text);
        assert_int_equal(x->status, cases[i].status);
    }
    assert_int_equal(world->written, 0);
}

static void local_health_is_a_status_code(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
        const char *reason;
    } cases[] = {
        {"/v1/agent/health/service/id/web1", 200, "passing"},
        {"/v1/agent/health/service/id/web3?format=text", 503, "critical"},
        {"/v1/agent/health/service/name/web", 503, "critical"},
        {"/v1/agent/health/service/id/db", 503, "maintenance"},
        {"/v1/agent/health/service/name/db", 503, "critical"},
        {"/v1/agent/health/service/name/nope", 404, "ServiceName not found"},
    };
    struct world *world = *state;

    put(world, "/v1/agent/service/maintenance/db?enable=true&reason=upgrade", "");
    assert_int_equal(world->written, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(world, "GET", cases[i].target, "");
        assert_int_equal(x->status, cases[i].status);
        assert_string_equal(exchange_header_value(x, "X-Consul-Reason"), cases[i].reason);
    }
}

static void a_service_tells_whether_its_file_brings_it_back(void **state)
{
    char name[] = "web";
    const struct service_definition file = {.id = name, .name = name};
    const struct local_now now = {NOW_MS, WALL_S * 1000ULL};
    struct world *world = *state;

    assert_int_equal(local_reload(world->api.local, &file, 1, NULL, 0, now), RC_OK);
    const char *text =
        rc_buffer_string(&ask(world, "GET", "/v1/internal/ui/registrations", "")->out);
    assert_non_null(
        strstr(text, "{\"ID\":\"web\",\"Service\":\"web\",\"Origin\":\"config\"}"));
    assert_non_null(
        strstr(text, "{\"ID\":\"web1\",\"Service\":\"web\",\"Origin\":\"api\"}"));
}

/* The answer holds all of these. */
static void holds(const struct http_exchange *x, const char *const *parts, size_t count)
{
    const char *text = rc_buffer_string(&x->out);

    assert_int_equal(x->status, 200);
    for (size_t i = 0; i < count; i++) {
        if (strstr(text, parts[i]) == NULL) {
            fail_msg("%s is not in %s", parts[i], text);
        }
    }
}

static void prometheus_finds_who_listens_with_the_labels_it_has_for_consul(void **state)
{
    static const char *const of_web[] = {
        "\"__meta_consul_service\":\"web\"", "\"__meta_consul_service_id\":\"web1\"",
        "\"__meta_consul_node\":\"node1\"",  "\"__meta_consul_tags\":\",",
        "\"__meta_consul_health\":\"",
    };
    static const char *const odd[] = {
        "{\"targets\":[\"[fd00::7]:9187\"],\"labels\":{",
        "\"__meta_consul_service_metadata_metrics_path\":\"/figures\"",
        "\"__meta_consul_service_metadata_a_b_\":\"c\"",
        "\"__meta_consul_tags\":\",metrics,\"",
        "\"__meta_consul_service_port\":\"9187\"",
    };
    static const char *const nodes[] = {":8500\"]", "\"__meta_consul_node\":\"node1\""};
    static const char *const exporters[] = {":9100\"]"};
    struct world *world = *state;

    put(world, "/v1/agent/service/register",
        "{\"Name\":\"odd\",\"Address\":\"fd00::7\",\"Port\":9187,\"Tags\":[\"metrics\"],"
        "\"Meta\":{\"metrics_path\":\"/figures\",\"a-b_\":\"c\"}}");
    put(world, "/v1/agent/service/register", "{\"Name\":\"mute\"}");
    holds(ask(world, "GET", "/v1/prometheus/services?service=web", ""), of_web,
          sizeof of_web / sizeof of_web[0]);
    const struct http_exchange *x =
        ask(world, "GET", "/v1/prometheus/services?tag=metrics", "");
    holds(x, odd, sizeof odd / sizeof odd[0]);
    assert_null(strstr(rc_buffer_string(&x->out), "web1"));
    x = ask(world, "GET", "/v1/prometheus/services", "");
    holds(x, of_web, sizeof of_web / sizeof of_web[0]);
    assert_null(strstr(rc_buffer_string(&x->out), "mute"));
    holds(ask(world, "GET", "/v1/prometheus/nodes", ""), nodes, 2);
    holds(ask(world, "GET", "/v1/prometheus/nodes?port=9100", ""), exporters, 1);
    assert_string_equal(
        rc_buffer_string(
            &ask(world, "GET", "/v1/prometheus/services?service=nope", "")->out),
        "[]");
    assert_int_equal(ask(world, "GET", "/v1/prometheus/nodes?port=0", "")->status, 400);
    assert_int_equal(ask(world, "GET", "/v1/prometheus/nodes?port=65536", "")->status,
                     400);
}

static const struct http_exchange *ask_packed(struct world *world, const char *target,
                                              const char *takes, const char *known)
{
    struct http_exchange *x = &world->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = exchange_method("GET");
    x->method_name = "GET";
    x->request.accept_encoding = takes;
    x->request.if_none_match = known;
    routes_answer(&world->api, x);
    return x;
}

static void the_page_goes_packed_to_who_takes_gzip_alone(void **state)
{
    char etag[64];

    const struct http_exchange *x = ask_packed(*state, "/ui/app.js", NULL, NULL);
    size_t plain = x->page_size;
    assert_null(exchange_header_value(x, "Content-Encoding"));
    (void)snprintf(etag, sizeof etag, "%s", exchange_header_value(x, "ETag"));
    x = ask_packed(*state, "/ui/app.js", "gzip;q=0, br", etag);
    assert_int_equal(x->status, 304);
    x = ask_packed(*state, "/ui/app.js", "gzip, deflate, br", etag);
    assert_int_equal(x->status, 200);
    assert_string_equal(exchange_header_value(x, "Content-Encoding"), "gzip");
    assert_in_range(x->page_size, 1, plain - 1);
    assert_int_equal(*(const uint8_t *)x->page, 0x1f); /* RFC 1952 */
    (void)snprintf(etag, sizeof etag, "%s", exchange_header_value(x, "ETag"));
    assert_int_equal(ask_packed(*state, "/ui/app.js", "gzip", etag)->status, 304);
}

static void an_address_of_the_page_may_have_dots_a_missing_file_is_missing(void **state)
{
    assert_int_equal(ask_packed(*state, "/ui/services/web.v2", NULL, NULL)->status, 200);
    assert_int_equal(ask_packed(*state, "/ui/nodes/a.example.js", NULL, NULL)->status,
                     200);
    assert_int_equal(ask_packed(*state, "/ui/services", NULL, NULL)->status, 200);
    assert_int_equal(ask_packed(*state, "/ui/missing.js", NULL, NULL)->status, 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_address_of_the_page_may_have_dots_a_missing_file_is_missing, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(bodies_are_what_consul_sends_to_the_byte, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_known_index_waits_for_its_own_service_only,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wait_that_is_over_answers_what_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_kept_answer_is_never_older_than_the_catalog,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_waits_by_its_hash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refused_writes_say_why_and_change_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(local_health_is_a_status_code, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_page_goes_packed_to_who_takes_gzip_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_service_tells_whether_its_file_brings_it_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            prometheus_finds_who_listens_with_the_labels_it_has_for_consul, set_up,
            tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
