#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/http/guard.h"
#include "agent/http/routes.h"
#include "base/err.h"

struct fixture {
    struct http_api api;
    struct http_exchange x;
};

static const char *const host_names[] = {"adm1.example", "*.rollcall"};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){
        .api = {.facts = {.datacenter = "dc1", .node_name = "node1"},
                .host_names = host_names,
                .host_name_count = 2},
    };
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    exchange_fini(&fixture->x);
    return 0;
}

static struct http_exchange *ask(struct fixture *fixture, const char *method,
                                 const char *target)
{
    struct http_exchange *x = &fixture->x;

    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, target, strlen(target)), RC_OK);
    x->method = exchange_method(method);
    x->method_name = method;
    routes_answer(&fixture->api, x);
    return x;
}

static void every_path_has_one_handler_a_method(void **state)
{
    size_t count = 0;
    const struct route *all = routes_all(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_non_null(all[i].answer);
        assert_int_equal(all[i].path[0], '/');
        for (size_t other = 0; other < i; other++) {
            assert_false(strcmp(all[i].path, all[other].path) == 0 &&
                         all[i].method == all[other].method);
        }
    }
}

static void the_longest_pattern_wins(void **state)
{
    static const struct {
        const char *path;
        const char *label;
    } cases[] = {
        {"/v1/agent/service/register", "/v1/agent/service/register"},
        {"/v1/agent/service/registered", "/v1/agent/service/"},
        {"/v1/agent/service/a/b", "/v1/agent/service/"},
        {"/v1/agent/service/maintenance/x", "/v1/agent/service/maintenance/"},
        {"/v1/agent/services", "/v1/agent/services"},
        {"/v1/agent/services/x", ""},
        {"/v1/catalog/service/", "/v1/catalog/service/"},
        {"/v1/catalog/service", ""},
        {"/", "/"},
        {"/x", ""},
        {"/ui", "/ui"},
        {"/ui/x/y", "/ui/"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_exchange x = {.target.path = cases[i].path};
        assert_string_equal(routes_label(&x), cases[i].label);
    }
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    const struct http_exchange *x = ask(*state, "POST", "/v1/catalog/nodes");
    assert_int_equal(x->status, 405);
    assert_string_equal(rc_buffer_string(&x->out), "method POST not allowed");
    assert_string_equal(exchange_header_value(x, "Allow"), "OPTIONS,GET");

    x = ask(*state, "HEAD", "/v1/catalog/nodes");
    assert_int_equal(x->status, 405);

    x = ask(*state, "BREW", "/v1/agent/check/pass/x");
    assert_int_equal(x->status, 405);
    assert_string_equal(exchange_header_value(x, "Allow"), "OPTIONS,PUT");

    x = ask(*state, "OPTIONS", "/v1/agent/check/pass/x");
    assert_int_equal(x->status, 200);
    assert_int_equal(x->out.size, 0);
    assert_string_equal(exchange_header_value(x, "Allow"), "OPTIONS,PUT");
}

static void what_is_not_there_is_told_apart(void **state)
{
    const struct http_exchange *x = ask(*state, "GET", "/v1/nosuch");
    assert_int_equal(x->status, 404);
    assert_int_equal(x->out.size, 0);

    x = ask(*state, "GET", "/v1/config/a");
    assert_int_equal(x->status, 404);
    assert_true(x->out.size > 0);

    x = ask(*state, "GET", "/v1/acl/tokens");
    assert_int_equal(x->status, 401);
    assert_string_equal(rc_buffer_string(&x->out), "ACL support disabled");
}

static void unclean_paths_are_sent_to_clean_ones(void **state)
{
    const struct http_exchange *x = ask(*state, "GET", "/v1//catalog/nodes?a=1&b=2");

    assert_int_equal(x->status, 301);
    assert_string_equal(exchange_header_value(x, "Location"),
                        "/v1/catalog/nodes?a=1&b=2");
    assert_string_equal(rc_buffer_string(&x->out),
                        "<a href=\"/v1/catalog/nodes?a=1&amp;b=2\">"
                        "Moved Permanently</a>.\n\n");
}

static void namespaces_are_refused_where_consul_refuses_them(void **state)
{
    const struct http_exchange *x = ask(*state, "GET", "/v1/catalog/services?ns=a");
    assert_int_equal(x->status, 400);
    assert_string_equal(rc_buffer_string(&x->out),
                        "Bad request: Invalid query parameter: \"ns\" - Namespaces are a "
                        "Consul Enterprise feature");

    x = ask(*state, "GET", "/v1/catalog/datacenters?ns=a&pretty");
    assert_int_equal(x->status, 200);
    assert_string_equal(rc_buffer_string(&x->out), "[\n    \"dc1\"\n]\n");
}

static void options_of_reads_are_checked_before_anything_is_read(void **state)
{
    static const struct {
        const char *target;
        unsigned status;
        const char *text;
    } cases[] = {
        {"/v1/catalog/nodes?index=abc", 400, "Invalid index"},
        {"/v1/catalog/nodes?index=-1", 400, "Invalid index"},
        {"/v1/catalog/nodes?index=18446744073709551616", 400, "Invalid index"},
        {"/v1/catalog/nodes?wait=10", 400, "Invalid wait time"},
        {"/v1/catalog/nodes?wait=x", 400, "Invalid wait time"},
        {"/v1/catalog/nodes?stale&consistent", 400,
         "Cannot specify ?stale with ?consistent, conflicting semantics."},
        {"/v1/catalog/nodes?cached&consistent", 400,
         "Cannot specify ?cached with ?consistent, conflicting semantics."},
        {"/v1/catalog/nodes?max_stale=zz", 400, "Invalid max_stale value \"zz\""},
        {"/v1/catalog/nodes?dc=dc9", 500, "No path to datacenter"},
        {"/v1/catalog/nodes?filter=bogus==1", 500,
         "Failed to create boolean expression evaluator: "
         "Selector \"bogus\" is not valid"},
        {"/v1/catalog/service/", 400, "Missing service name"},
        {"/v1/catalog/node/", 400, "Missing node name"},
        {"/v1/health/node/", 400, "Missing node name"},
        {"/v1/health/checks/", 400, "Missing service name"},
        {"/v1/health/service/", 400, "Missing service name"},
        {"/v1/health/state/", 400, "Missing check state"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct http_exchange *x = ask(*state, "GET", cases[i].target);
        assert_int_equal(x->status, cases[i].status);
        assert_string_equal(rc_buffer_string(&x->out), cases[i].text);
    }
}

static void wait_times_have_consuls_bounds(void **state)
{
    static const struct {
        const char *target;
        uint64_t wait_ms;
    } cases[] = {
        {"/x", 300000},
        {"/x?wait=10s", 10000},
        {"/x?wait=9.87s", 9870},
        {"/x?wait=15000ms", 15000},
        {"/x?wait=1m30s", 90000},
        {"/x?wait=0s", 300000},
        {"/x?wait=-5s", 300000},
        {"/x?wait=11m", 600000},
        {"/x?wait=9999999h", 600000},
        {"/x?wait=1ns", 1},
        {"/x?wait=", 300000},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        exchange_reset(&fixture->x);
        assert_int_equal(
            target_parse(&fixture->x.target, cases[i].target, strlen(cases[i].target)),
            RC_OK);
        assert_true(query_begin(&fixture->api, &fixture->x));
        assert_int_equal(fixture->x.query.wait_ms, cases[i].wait_ms);
    }
}

struct visit {
    const char *why;
    const char *method;
    const char *target;
    const char *host;
    const char *origin;
    const char *site;
    enum guard_place place;
    unsigned status; /* 0: admitted */
};

static void foreign_pages_and_rebound_names_stay_outside(void **state)
{
    static const struct visit visits[] = {
        {"address", "GET", "/", "127.0.0.1:8500", NULL, NULL, GUARD_LOOPBACK, 0},
        {"IPv6 address", "GET", "/", "[::1]:8500", NULL, NULL, GUARD_LOOPBACK, 0},
        {"localhost", "GET", "/", "LocalHost:8500", NULL, NULL, GUARD_LOOPBACK, 0},
        {"node's name", "GET", "/", "node1", NULL, NULL, GUARD_LOOPBACK, 0},
        {"configured name", "GET", "/", "adm1.example", NULL, NULL, GUARD_LOOPBACK, 0},
        {"a dot at the end", "GET", "/", "localhost.:8500", NULL, NULL, GUARD_LOOPBACK,
         0},
        {"below the domain", "GET", "/", "web1.node.rollcall:8500", NULL, NULL,
         GUARD_LOOPBACK, 0},
        {"the domain alone", "GET", "/", "rollcall", NULL, NULL, GUARD_LOOPBACK, 403},
        {"ends as the domain", "GET", "/", "evilrollcall", NULL, NULL, GUARD_LOOPBACK,
         403},
        {"no host", "GET", "/", NULL, NULL, NULL, GUARD_LOOPBACK, 0},
        {"rebound name", "GET", "/", "evil.example", NULL, NULL, GUARD_LOOPBACK, 403},
        {"looks alike", "GET", "/", "127.0.0.1.evil", NULL, NULL, GUARD_LOOPBACK, 403},
        {"elsewhere", "GET", "/", "adm1:8500", NULL, NULL, GUARD_ELSEWHERE, 0},
        {"own page", "PUT", "/", "127.0.0.1:8500", "http://127.0.0.1:8500", "same-origin",
         GUARD_LOOPBACK, 0},
        {"no browser", "PUT", "/", "127.0.0.1:8500", NULL, NULL, GUARD_LOOPBACK, 0},
        {"other port", "PUT", "/", "127.0.0.1:8500", "http://127.0.0.1:3000", NULL,
         GUARD_LOOPBACK, 403},
        {"other site", "PUT", "/", "adm1:8500", "https://evil.example", NULL,
         GUARD_ELSEWHERE, 403},
        {"opaque origin", "POST", "/", "127.0.0.1", "null", NULL, GUARD_LOOPBACK, 403},
        {"cross-site", "DELETE", "/", "127.0.0.1", NULL, "cross-site", GUARD_LOOPBACK,
         403},
        {"a link from elsewhere", "GET", "/", "127.0.0.1", NULL, "cross-site",
         GUARD_LOOPBACK, 0},
        {"a script from elsewhere", "GET", "/v1/kv/x", "127.0.0.1", NULL, "cross-site",
         GUARD_LOOPBACK, 403},
        {"a fetch from elsewhere", "GET", "/v1/kv/x", "127.0.0.1", "https://evil.example",
         NULL, GUARD_LOOPBACK, 403},
        {"own page asks", "GET", "/v1/kv/x", "127.0.0.1:8500", NULL, "same-origin",
         GUARD_LOOPBACK, 0},
        {"address bar", "GET", "/v1/kv/x", "127.0.0.1:8500", NULL, "none", GUARD_LOOPBACK,
         0},
        {"other authority", "GET", "http://evil/", "127.0.0.1", NULL, NULL,
         GUARD_ELSEWHERE, 400},
        {"own authority", "GET", "http://127.0.0.1/", "127.0.0.1", NULL, NULL,
         GUARD_LOOPBACK, 0},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof visits / sizeof visits[0]; i++) {
        const struct visit *visit = &visits[i];
        struct http_exchange *x = &fixture->x;
        exchange_reset(x);
        assert_int_equal(target_parse(&x->target, visit->target, strlen(visit->target)),
                         RC_OK);
        x->method = exchange_method(visit->method);
        x->request.host = visit->host;
        x->request.origin = visit->origin;
        x->request.fetch_site = visit->site;
        int admitted = guard_admits(&fixture->api, x, visit->place);
        if (admitted != (visit->status == 0) || x->status != visit->status) {
            fail_msg("%s: %u", visit->why, x->status);
        }
    }
}

static void once_names_are_configured_they_are_looked_at_everywhere(void **state)
{
    struct fixture *fixture = *state;
    struct http_exchange *x = &fixture->x;

    fixture->api.hosts_everywhere = true;
    exchange_reset(x);
    assert_int_equal(target_parse(&x->target, "/", 1), RC_OK);
    x->method = HTTP_GET;
    x->request.host = "evil.example";
    assert_false(guard_admits(&fixture->api, x, GUARD_ELSEWHERE));
    assert_int_equal(x->status, 403);
    assert_non_null(strstr(rc_buffer_string(&x->out), "http_config.allow_hosts"));
    x->request.host = "adm1.example:8500";
    assert_true(guard_admits(&fixture->api, x, GUARD_ELSEWHERE));
    x->request.host = "10.0.0.7:8500";
    assert_true(guard_admits(&fixture->api, x, GUARD_ELSEWHERE));
    fixture->api.hosts_everywhere = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_has_one_handler_a_method),
        cmocka_unit_test(the_longest_pattern_wins),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(what_is_not_there_is_told_apart),
        cmocka_unit_test(unclean_paths_are_sent_to_clean_ones),
        cmocka_unit_test(namespaces_are_refused_where_consul_refuses_them),
        cmocka_unit_test(options_of_reads_are_checked_before_anything_is_read),
        cmocka_unit_test(wait_times_have_consuls_bounds),
        cmocka_unit_test(foreign_pages_and_rebound_names_stay_outside),
        cmocka_unit_test(once_names_are_configured_they_are_looked_at_everywhere),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
