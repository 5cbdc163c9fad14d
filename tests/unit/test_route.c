/* test_route.c - which route takes a request, and that no spelling leads past one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/route/route.h"

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    if (config_parse("p.conf", text, strlen(text), &config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return config;
}

/* What was asked, in the order of a table's columns. */
struct asked {
    const char *host;
    const char *path;
    const char *fields; /* further lines with their CRLF, or NULL */
    const char *method; /* NULL = GET */
    const char *source; /* NULL = 10.0.0.1 */
};

/* The label of the route that takes it, or why none does. */
static const char *ask(const struct config *c, const struct asked *asked,
                       struct route_scratch *scratch)
{
    static const char *const verdicts[ROUTE_VERDICT_COUNT] = {"", "no host", "no path",
                                                              "bad path", "ambiguous"};
    char bytes[8192];
    struct http1_request request;
    struct rc_address peer;
    struct route_choice choice;

    int size = snprintf(bytes, sizeof bytes, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                        asked->method != NULL ? asked->method : "GET", asked->path,
                        asked->host, asked->fields != NULL ? asked->fields : "");
    enum http1_fault fault = http1_request_parse(bytes, (size_t)size, &request);
    if (fault != HTTP1_SOUND) {
        return http1_fault_label(fault);
    }
    assert_int_equal(
        rc_address_parse_ip(asked->source != NULL ? asked->source : "10.0.0.1", 1, &peer),
        RC_OK);
    struct route_request facts = {bytes, &request, &peer};
    enum route_verdict verdict =
        route_find(&c->listeners[0], &facts, scratch, NULL, &choice);
    return verdict == ROUTE_FOUND ? choice.route->label : verdicts[verdict];
}

static void expect(const struct config *c, const struct asked *asked, const char *want)
{
    struct route_scratch *scratch = route_scratch_create();
    const char *got = ask(c, asked, scratch);
    if (strcmp(got, want) != 0) {
        fail_msg("%s%s: %s instead of %s", asked->host, asked->path, got, want);
    }
    route_scratch_destroy(scratch);
}

static const char house[] =
    "pool p { static 1.1.1.1:1 }\n"
    "listen http 1.1.1.1:80 {\n"
    "  route / { name any; pool p }\n"
    "  host *.example { name wild; pool p }\n"
    "  host *.deep.example { name deep; pool p }\n"
    "  host App.Example {\n"
    "    route / { name root; pool p }\n"
    "    route /ws { name ws; pool p }\n"
    "    route /ws/deep/ { name wsdeep; pool p }\n"
    "    route = /exact { name exact; pool p }\n"
    "    route ~ ^/v([0-9]+)/ { name first; pool p }\n"
    "    route ~ ^/v1/ { name second; pool p }\n"
    "    route ~ \\.php$ { name php; answer 403 }\n"
    "    route /when { name when; pool p }\n"
    "    route /when { name beta; when header X-Beta yes; pool p }\n"
    "    route /when { name like; when header X-Beta ~ ^v[0-9]$; pool p }\n"
    "    route /when { name write; when method POST PUT; pool p }\n"
    "    route /when { name inside; when source 192.168.0.0/16; pool p }\n"
    "    route /both { name both; when header A; when not header B; pool p }\n"
    "    route /caf%c3%a9 { name cafe; pool p }\n"
    "    route /admin { name admin; answer 403 }\n"
    "  }\n"
    "  host only.example { route /x { name only; pool p } }\n"
    "}\n";

static void hosts_paths_and_conditions_choose(void **state)
{
    (void)state;
    static const struct {
        struct asked asked;
        const char *want;
    } cases[] = {
        {{.host = "app.example", .path = "/"}, "root"},
        {{.host = "APP.EXAMPLE:8080", .path = "/"}, "root"},
        {{.host = "app.example.", .path = "/ws"}, "ws"},
        {{.host = "app.example.:80", .path = "/ws/1"}, "ws"},
        {{.host = "app.example", .path = "/wsx"}, "root"},
        {{.host = "app.example", .path = "/ws?/wsx"}, "ws"},
        {{.host = "app.example", .path = "/ws/deep"}, "ws"},
        {{.host = "app.example", .path = "/ws/deep/x"}, "wsdeep"},
        {{.host = "app.example", .path = "/exact"}, "exact"},
        {{.host = "app.example", .path = "/exact?q"}, "exact"},
        {{.host = "app.example", .path = "/exact/"}, "root"},
        {{.host = "app.example", .path = "/v1/x"}, "first"},
        {{.host = "app.example", .path = "/x.php"}, "php"},
        {{.host = "app.example", .path = "/ws/x.php"}, "php"},
        {{.host = "app.example", .path = "/x.php?y"}, "php"},
        {{.host = "app.example", .path = "/when"}, "when"},
        {{.host = "app.example", .path = "/when/x", .fields = "x-beta: yes\r\n"}, "beta"},
        {{.host = "app.example", .path = "/when", .fields = "X-Beta: Yes\r\n"}, "when"},
        {{.host = "app.example", .path = "/when", .fields = "X-Beta: v7\r\n"}, "like"},
        {{.host = "app.example",
          .path = "/when",
          .fields = "X-Beta: no\r\nX-Beta: yes\r\n"},
         "beta"},
        {{.host = "app.example", .path = "/when", .method = "PUT"}, "write"},
        {{.host = "app.example", .path = "/when", .method = "put"}, "when"},
        {{.host = "app.example", .path = "/when", .source = "192.168.3.4"}, "inside"},
        {{.host = "app.example", .path = "/both", .fields = "A: \r\n"}, "both"},
        {{.host = "app.example", .path = "/both", .fields = "A: 1\r\nB: 1\r\n"}, "root"},
        {{.host = "app.example", .path = "/both"}, "root"},
        {{.host = "app.example", .path = "/caf%C3%a9/x"}, "cafe"},
        {{.host = "app.example", .path = "/%63af%c3%a9"}, "cafe"},
        {{.host = "www.example", .path = "/ws"}, "wild"},
        {{.host = "a.b.deep.example", .path = "/ws"}, "deep"},
        {{.host = "deep.example", .path = "/ws"}, "wild"},
        {{.host = "example", .path = "/"}, "any"},
        {{.host = ".example", .path = "/"}, "any"},
        {{.host = "[::1]:80", .path = "/"}, "any"},
        {{.host = "only.example", .path = "/x/y"}, "only"},
        {{.host = "only.example", .path = "/y"}, "no path"},
        {{.host = "other", .path = "http://app.example"}, "root"},
        {{.host = "other", .path = "http://app.example?q"}, "root"},
        {{.host = "app.example", .path = "*", .method = "OPTIONS"}, "root"},
    };
    struct config *c = parse(house);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect(c, &cases[i].asked, cases[i].want);
    }
    config_destroy(c);
}

static void no_spelling_leads_past_a_route(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *want;
    } cases[] = {
        {"/admin", "admin"},
        {"/%61dmin", "admin"},
        {"/./admin", "admin"},
        {"/x/../admin", "admin"},
        {"/x/%2e%2e/admin", "admin"},
        {"/x/%2E./admin/", "admin"},
        {"/admin/%2e%2e/%61dmin", "admin"},
        {"/ad%6Din%2Fx", "ambiguous"},
        {"//admin", "ambiguous"},
        {"/%2Fadmin", "ambiguous"},
        {"/%2fadmin", "ambiguous"},
        {"/admin%2f", "ambiguous"},
        {"/admin;x=1", "ambiguous"},
        {"/ws/..;/admin", "ambiguous"},
        {"/ws/..%2fadmin", "ambiguous"},
        {"/ws%2f..%2fadmin", "ambiguous"},
        {"/ws/..%5cadmin", "ambiguous"},
        {"/ws/%c0%ae%c0%ae/admin", "ambiguous"},
        {"/%c0%afadmin", "ambiguous"},
        {"/x.php%2f", "root"}, /* as "/x.php/" */
        {"/x.php;y", "ambiguous"},
        {"/ws\\..\\admin", "bad path"},
        {"/\\admin", "bad path"},
        {"/admin%00", "bad path"},
        {"/%00", "bad path"},
        {"/..", "bad path"},
        {"/../admin", "bad path"},
        {"/%2e%2e/admin", "bad path"},
        {"/x/../../admin", "bad path"},
        {"/%", "bad path"},
        {"/a%2", "bad path"},
        {"/a%g0", "bad path"},
        /* What leads nowhere else may be called so. */
        {"/x//y", "root"},
        {"/x%2Fy", "root"},
        {"/x;y=1/z", "root"},
        {"/ws/a%2Fb", "ws"},
        {"/ws/https://a.example/b", "ws"},
        {"/x/%5C", "root"},
        {"/%252e%252e/admin", "root"},
    };
    struct config *c = parse(house);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked asked = {.host = "app.example", .path = cases[i].path};
        expect(c, &asked, cases[i].want);
    }
    config_destroy(c);
}

static void many_hosts_are_found_by_halves(void **state)
{
    (void)state;
    static char text[100000];
    size_t used = (size_t)snprintf(
        text, sizeof text, "pool p { static 1.1.1.1:1 }\nlisten http 1.1.1.1:1 {\n");
    for (int i = 0; i < 500; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "host h%d.Example { name n%d; pool p }\n", i * i, i);
    }
    (void)snprintf(text + used, sizeof text - used, "}\n");
    struct config *c = parse(text);
    for (int i = 0; i < 500; i++) {
        char host[64];
        char want[16];
        (void)snprintf(host, sizeof host, "H%d.example", i * i);
        (void)snprintf(want, sizeof want, "n%d", i);
        struct asked asked = {.host = host, .path = "/"};
        expect(c, &asked, want);
    }
    struct asked stranger = {.host = "h2.example", .path = "/"};
    expect(c, &stranger, "no host");
    config_destroy(c);
}

static void a_bomb_counts_and_is_passed_over(void **state)
{
    (void)state;
    char path[4096];
    struct config *c = parse("pool p { static 1.1.1.1:1 }\nlisten http 1.1.1.1:1 {\n"
                             "route ~ \"^/([a-z]*)*[0-9]\" { name bomb; pool p }\n"
                             "route / { name root; pool p } }\n");
    struct route_scratch *scratch = route_scratch_create();
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    struct asked asked = {.host = "x", .path = path};

    assert_string_equal(ask(c, &asked, scratch), "root");

    assert_int_equal(scratch->gave_up, 1);
    route_scratch_destroy(scratch);
    config_destroy(c);
}

static void a_host_names_its_service(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        const char *want; /* NULL = none */
    } cases[] = {
        {"web.apps.example", "web"},  {"WEB-2.Apps.Example:80", "web-2"},
        {"a.b.apps.example", NULL},   {"web_x.apps.example.", "web_x"},
        {"%77eb.apps.example", NULL},
    };
    struct config *c =
        parse("listen http 1.1.1.1:1 {\n"
              "host *.apps.example { services apps.example tag http } }\n");
    struct route_scratch *scratch = route_scratch_create();
    assert_int_equal(c->pool_count, 1);
    assert_true(c->pools[0].pattern);
    assert_string_equal(c->pools[0].tag, "http");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char service[64] = "";
        struct route_choice choice = {
            .host = &c->listeners[0].hosts[0],
            .route = &c->listeners[0].hosts[0].routes[0],
            .name = route_name(rc_span_of(cases[i].host)),
        };
        int err = route_service(&choice, service, sizeof service);
        if ((err == RC_OK) != (cases[i].want != NULL) ||
            (cases[i].want != NULL && strcmp(service, cases[i].want) != 0)) {
            fail_msg("%s: %s", cases[i].host, service);
        }
    }
    route_scratch_destroy(scratch);
    config_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_paths_and_conditions_choose),
        cmocka_unit_test(no_spelling_leads_past_a_route),
        cmocka_unit_test(many_hosts_are_found_by_halves),
        cmocka_unit_test(a_bomb_counts_and_is_passed_over),
        cmocka_unit_test(a_host_names_its_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
