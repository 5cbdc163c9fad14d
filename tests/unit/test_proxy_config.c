/* test_proxy_config.c - what the proxy may be told, and how it says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/config/config.h"

#define ROUTE(words) \
    "pool p { static 1.2.3.4:1 }; listen http 1.1.1.1:1 {\n" words "\n}\n"

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    if (config_parse("p.conf", text, strlen(text), &config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return config;
}

static void the_lab_reads_as_meant(void **state)
{
    (void)state;
    struct config *c = parse(
        "admin 127.0.0.1:8800\n"
        "discovery agent { address 127.0.0.1:8500; wait 60s }\n"
        "discovery dns   { servers 127.0.0.1:8600 127.0.0.2:53; min_ttl 1s }\n"
        "listen http 0.0.0.0:80 { route / { pool web }; access_log /var/log/a.log }\n"
        "listen postgres 127.0.0.1:5432 { target primary; pool db; wait_for_primary 30s\n"
        "    probe_user rollcall_probe }\n"
        "listen postgres 127.0.0.1:5433 { pool db; target standby; fallback primary }\n"
        "pool web { from agent service todomvc tag prod\n"
        "    from dns _todomvc._tcp.service.rollcall\n"
        "    balance hash uri { bounded 1.5 }; slow_start 10s }\n"
        "pool db { from agent service postgres }\n");

    assert_int_equal(c->pool_count, 2);
    assert_string_equal(c->pools[0].service, "todomvc");
    assert_string_equal(c->pools[0].tag, "prod");
    assert_string_equal(c->pools[0].dns_name, "_todomvc._tcp.service.rollcall");
    assert_int_equal(c->pools[0].balance, CONFIG_HASH);
    assert_int_equal(c->pools[0].bounded_percent, 150);
    assert_int_equal(c->pools[0].slow_start_ms, 10000);
    assert_string_equal(c->pools[1].probe_user, "rollcall_probe");
    assert_int_equal(c->dns_server_count, 2);
    assert_int_equal(c->listener_count, 3);
    assert_int_equal(c->listeners[0].mode, CONFIG_HTTP);
    assert_string_equal(c->listeners[0].log_path, "/var/log/a.log");
    assert_int_equal(c->listeners[0].log_form, CONFIG_LOG_JSON);
    assert_int_equal(c->listeners[1].target, CONFIG_TARGET_PRIMARY);
    assert_int_equal(c->listeners[1].wait_for_primary_ms, 30000);
    assert_int_equal(c->listeners[1].pool, 1);
    assert_int_equal(c->listeners[2].target, CONFIG_TARGET_STANDBY);
    assert_true(c->listeners[2].fallback_primary);
    config_destroy(c);
}

static void every_route_has_a_number_and_a_label_of_its_own(void **state)
{
    (void)state;
    struct config *c =
        parse("pool p { static 1.2.3.4:1 }\n"
              "listen http 1.1.1.1:1 { host \"a\\\"b\" { route / { pool p }\n"
              "    route /api { pool p; name api } } }\n"
              "listen http 1.1.1.1:2 { pool p }\n"
              "listen http 1.1.1.1:3 { pool p }\n");

    assert_int_equal(c->route_count, 4);
    const struct config_host *host = &c->listeners[0].hosts[0];
    assert_string_equal(host->routes[0].label, "api");
    assert_string_equal(host->routes[1].label, "a_b /");
    assert_int_equal(host->routes[1].number, 1);
    assert_string_equal(c->listeners[1].hosts[0].routes[0].label, "* /");
    assert_string_equal(c->listeners[2].hosts[0].routes[0].label, "* / #3");
    config_destroy(c);
}

static const struct {
    const char *why;
    const char *text;
    const char *want; /* the error begins so */
} faults[] = {
    {"unknown word", "pool a { bogus 1.2.3.4:1 }",
     "p.conf:1:10: unknown word \"bogus\" here"},
    {"near word", "pool a { static 1.2.3.4:1\n slow_stat 1s }",
     "p.conf:2:2: unknown word \"slow_stat\": did you mean \"slow_start\"?"},
    {"twice", "pool a { static 1.2.3.4:1\n slow_start 1s\n slow_start 2s }",
     "p.conf:3:2: \"slow_start\" stands here twice: first in line 2"},
    {"no unit", "pool a { static 1.2.3.4:1; slow_start 10 }",
     "p.conf:1:39: a duration needs a unit: \"10s\"?"},
    {"out of range", "pool a { static 1.2.3.4:1; idle 100h }",
     "p.conf:1:33: \"100h\" is out of range: 0s to 1h0m0s"},
    {"no address", "listen http nowhere:80 { pool a }\npool a { static 1.2.3.4:1 }",
     "p.conf:1:13: \"nowhere:80\" is no address with a port"},
    {"unknown mode", "listen htp 1.2.3.4:1 {}",
     "p.conf:1:8: unknown \"htp\": did you "
     "mean \"http\"?"},
    {"https", "listen https 1.2.3.4:1 {}",
     "p.conf:1:8: say \"listen http ADDRESS\" with"},
    {"unknown pool", "listen tcp 1.2.3.4:1 { pool b }\npool ab { static 1.2.3.4:1 }",
     "p.conf:1:29: no pool \"b\": did you mean \"ab\"?"},
    {"no source", "pool a { }", "p.conf:1:6: pool \"a\" has no source"},
    {"two pools", "pool a { static 1.2.3.4:1 }\npool a { static 1.2.3.4:1 }",
     "p.conf:2:6: there are two pools called \"a\""},
    {"address taken",
     "pool a { static 1.2.3.4:1 }\nlisten tcp 1.1.1.1:1 { pool a }\n"
     "listen http 1.1.1.1:1 { pool a }",
     "p.conf:3:13: this address is taken already: by the listener in line 2"},
    {"nothing to do", "pool a { static 1.2.3.4:1 }", "p.conf:1:0: nothing to do"},
    {"open block", "pool a {\n static 1.2.3.4:1\n",
     "p.conf:1:1: the block that begins here is never closed"},
    {"stray brace", "}\n", "p.conf:1:1: this brace closes nothing"},
    {"open quote", "pool \"a {\n", "p.conf:1:6: the quote is never closed"},
    {"route without a pool", "listen http 1.1.1.1:1 { host a { route / { } } }",
     "p.conf:1:40: this route does nothing: add \"pool NAME\""},
    {"two routes of one name",
     "pool p { static 1.2.3.4:1 }\nlisten http 1.1.1.1:1 { host a { route / { pool p\n"
     " name x }\n route /b { pool p; name x } } }",
     "p.conf:4:26: the route in line 3 has this name already"},
    {"a regular expression that is none", ROUTE("route ~ /a(b { answer 200 }"),
     "p.conf:2:9: no regular expression: missing closing parenthesis, at its byte 5"},
    {"a prefix that no request has", ROUTE("route //a { answer 200 }"),
     "p.conf:2:7: no request gets there"},
    {"a prefix above the root", ROUTE("route /../a { answer 200 }"),
     "p.conf:2:7: the path leads above the root"},
    {"a framing field", ROUTE("request_header set Transfer-Encoding x; pool p"),
     "p.conf:2:20: \"Transfer-Encoding\" is written by the proxy itself"},
    {"a field of the connection", ROUTE("response_header remove Connection; pool p"),
     "p.conf:2:24: \"Connection\" is written by the proxy itself"},
    {"a line break in a value", ROUTE("request_header set X \"a\\nB: c\"; pool p"),
     "p.conf:2:22: a control character in it"},
    {"no name of a field", ROUTE("request_header set \"a b\" x; pool p"),
     "p.conf:2:20: \"a b\" is no name of a field"},
    {"an unknown place", ROUTE("request_header set X $hots; pool p"),
     "p.conf:2:22: after \"$\" stands host"},
    {"a group that is not there", ROUTE("route ~ ^/(a) { redirect 301 /$2 }"),
     "p.conf:2:30: $2 here, but the route's regular expression has 1 groups"},
    {"two actions", ROUTE("route / { pool p; answer 200 }"),
     "p.conf:2:19: \"answer\" beside \"pool\": a route does one of them"},
    {"a redirect whose host a visitor says",
     ROUTE("route ~ ^/(.*) { redirect 302 https://x$1 }"),
     "p.conf:2:31: a redirect begins with"},
    {"a redirect to another scheme", ROUTE("redirect 302 javascript:alert"),
     "p.conf:2:14: a redirect begins with"},
    {"a status that is no redirect", ROUTE("redirect 200 /x"),
     "p.conf:2:10: unknown \"200\""},
    {"a text of 204", ROUTE("answer 204 text/plain x"), "p.conf:2:12: a 204 has no text"},
    {"services of another host", ROUTE("host *.a.b { services c.d }"),
     "p.conf:2:1: \"services c.d\" belongs in \"host *.c.d\""},
    {"an unknown condition", ROUTE("route / { when heder X; answer 200 }"),
     "p.conf:2:16: unknown \"heder\": did you mean \"header\"?"},
    {"maintenance without a file", ROUTE("maintenance file; pool p"),
     "p.conf:2:1: \"maintenance\" needs"},
    {"words of a route without a pool", "listen http 1.1.1.1:1 { body_limit 1MB }",
     "p.conf:1:1: words of a route here, but no \"pool\""},
    {"two probe users",
     "pool a { static 1.2.3.4:1; probe_user x }\n"
     "listen postgres 1.1.1.1:1 { pool a; probe_user y }",
     "p.conf:2:48: pool \"a\" has another probe_user already: \"x\""},
    {"registered without figures", "discovery agent { register }",
     "p.conf:1:19: what is registered must answer: add \"figures ADDRESS:PORT\""},
    {"figures without a port", "figures 1.2.3.4", "p.conf:1:9: "},
    {"a word too many to register", "discovery agent { register me }", "p.conf:1:28: "},
    {"an unknown word of register", "discovery agent { register { nam x } }",
     "p.conf:1:30: unknown word \"nam\": did you mean \"name\"?"},
    {"value missing", "pool a { static 1.2.3.4:1; slow_start }",
     "p.conf:1:28: \"slow_start\" needs a value"},
    {"value too many", "worker_threads 1 2", "p.conf:1:18: one word too many"},
};

static void faults_name_line_column_and_remedy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        struct config *config = NULL;
        char error[CONFIG_ERROR_MAX];
        int err = config_parse("p.conf", faults[i].text, strlen(faults[i].text), &config,
                               error);
        if (err != RC_EMALFORMED ||
            strncmp(error, faults[i].want, strlen(faults[i].want)) != 0) {
            fail_msg("%s: got %s, %s", faults[i].why, rc_strerror(err), error);
        }
    }
}

static void a_caret_stands_below_the_fault(void **state)
{
    (void)state;
    struct config *config = NULL;
    char error[CONFIG_ERROR_MAX];
    const char *text = "admin off\n\tworker_threads many # here\n";

    int err = config_parse("p.conf", text, strlen(text), &config, error);

    assert_int_equal(err, RC_EMALFORMED);
    assert_string_equal(error, "p.conf:2:17: \"many\" is no whole number\n"
                               "\tworker_threads many # here\n"
                               "\t               ^");
}

static void what_is_printed_reads_back_the_same(void **state)
{
    (void)state;
    struct rc_buffer first = {0};
    struct rc_buffer second = {0};
    struct config *c = parse(
        "worker_threads 3; admin [::1]:9; figures 1.1.1.1:9; drain_timeout 5s; grace 1s; buffer_limit 8MiB\n"
        "discovery agent { register { name \"a b\" } }\n"
        "pool \"a \\\"b\" { static [::1]:1 weight 7; balance least_request\n"
        "  outlier { failures 3; base 1s; max_ejected 30% }; max_connections 5 }\n"
        "pool h { from dns _x._tcp.y; balance hash uri { bounded 0 } }\n"
        "listen http 1.1.1.1:80 { host *.x.y { route /a { pool h; body_limit 7B\n"
        "   retry { attempts 2; on_status 502 503; hedge 70ms }; upgrade off } route / { pool h } }\n"
        "  host *.s.org { services s.org tag \"t t\"; request_header add A $client\n"
        "    route = /robots.txt { answer 200 text/plain \"a\\n\\\"b\\\"\\\\\"; maintenance off }\n"
        "    route ~ ^/v([0-9]+)/ { redirect 308 /api/$1; when not header X ~ ^y+$ }\n"
        "    route /m { when method GET HEAD; when source 10.0.0.0/8; when header C d\n"
        "      pool h; rewrite /n; name m; response_timeout 9s; connect_timeout 2s\n"
        "      body_timeout 3s; via on; forwarded on; response_header remove Server\n"
        "      retry { idempotency_key on }; response_header set H \"max-age=$$1\" }\n"
        "    maintenance file \"/m x.html\" retry_after 90s }\n"
        "  pool \"a \\\"b\"; trust_forwarded 10.0.0.0/8 ::1; access_log stdout combined }\n"
        "listen tcp 1.1.1.1:81 { pool h; idle 5s }\n"
        "pool k { from agent postgres main; view_max 2s; view_loss keep;\n"
        "  max_lag_bytes 16MiB; max_lag 3s; read_drain 4s; server_tls { ca /c; name d } }\n"
        "listen postgres 1.1.1.1:83 { pool k; ramp 7; tls pass; split on; cancel deny }\n"
        "listen postgres 1.1.1.1:84 { pool k; cancel_rate 9; tls { certificate \"/a b\"\n"
        "  key /k; optional on; limit 3s } }\n"
        "listen postgres 1.1.1.1:82 { pool h; target standby; probe_user u }\n");

    config_print(c, &first);
    config_destroy(c);
    c = parse(rc_buffer_string(&first));
    config_print(c, &second);

    assert_string_equal(rc_buffer_string(&first), rc_buffer_string(&second));
    assert_non_null(strstr(rc_buffer_string(&first),
                           "on_status 502 503; idempotency_key off; "
                           "draining_posts off; hedge 70ms }"));
    assert_non_null(strstr(rc_buffer_string(&first), "hedge off }"));
    config_destroy(c);
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
}

static void only_listed_networks_are_trusted(void **state)
{
    (void)state;
    static const struct {
        const char *ip;
        bool want;
    } cases[] = {{"10.1.2.3", true},       {"11.1.2.3", false}, {"192.168.4.127", true},
                 {"192.168.4.128", false}, {"::1", true},       {"::2", false}};
    struct config *c =
        parse("pool a { static 1.1.1.1:1 }\n"
              "listen http 1.1.1.1:80 { pool a; trust_forwarded 10.0.0.0/8 "
              "192.168.4.0/25 ::1 }\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_address peer;
        assert_int_equal(rc_address_parse_ip(cases[i].ip, 1, &peer), RC_OK);
        if (config_trusts(&c->listeners[0], &peer) != cases[i].want) {
            fail_msg("%s", cases[i].ip);
        }
    }
    config_destroy(c);
}

static void proxy_protocol_has_two_sides(void **state)
{
    struct rc_address peer;
    (void)state;

    struct config *c =
        parse("pool a { static 1.1.1.1:1; proxy_protocol send }\n"
              "pool b { static 1.1.1.1:1; proxy_protocol send v1 }\n"
              "pool c { static 1.1.1.1:1 }\n"
              "listen http 1.1.1.1:80 { pool a; proxy_protocol accept 10.0.0.0/8 ::1 }\n"
              "listen tcp 1.1.1.1:81 { pool b; proxy_protocol accept 127.0.0.1 }\n"
              "listen postgres 1.1.1.1:82 { pool c; proxy_protocol accept 0.0.0.0/0 }\n");
    assert_int_equal(c->pools[0].proxy_send, CONFIG_PROXY_SEND_V2);
    assert_int_equal(c->pools[1].proxy_send, CONFIG_PROXY_SEND_V1);
    assert_int_equal(c->pools[2].proxy_send, CONFIG_PROXY_SEND_OFF);
    assert_int_equal(c->listeners[0].proxied_count, 2);
    assert_int_equal(c->listeners[1].proxied_count, 1);
    assert_int_equal(rc_address_parse_ip("10.9.8.7", 1, &peer), RC_OK);
    assert_true(rc_network_has(c->listeners[0].proxied, 2, &peer));
    assert_false(rc_network_has(c->listeners[1].proxied, 1, &peer));

    struct rc_buffer printed = {.max = 65536};
    config_print(c, &printed);
    struct config *again = parse(rc_buffer_string(&printed));
    assert_int_equal(again->pools[1].proxy_send, CONFIG_PROXY_SEND_V1);
    assert_int_equal(again->listeners[0].proxied_count, 2);
    assert_int_equal(again->listeners[2].proxied_count, 1);
    rc_buffer_fini(&printed);
    config_destroy(again);
    config_destroy(c);
}

static void pools_say_who_is_chosen_and_print_it_again(void **state)
{
    static const char text[] =
        "pool a { from file /x; from dns A web.example port 80; balance hash cookie id\n"
        "    sticky cookie place key secret; prefer near 5ms; panic 30%; queue 7\n"
        "    max_requests 3; check http /_health { every 5s; status 204; host h } }\n"
        "pool b { static 1.2.3.4:1; balance hash source { bounded 0 }\n"
        "    check tcp { failures 1 } }\n"
        "listen http 1.1.1.1:1 { pool a }\n";
    (void)state;
    struct config *c = parse(text);
    struct rc_buffer printed = {0};

    config_print(c, &printed);
    struct config *again = parse(rc_buffer_string(&printed));

    const struct config_pool *a = &again->pools[0];
    assert_string_equal(a->file, "/x");
    assert_int_equal(a->dns_port, 80);
    assert_int_equal(a->hash_by, CONFIG_KEY_COOKIE);
    assert_string_equal(a->hash_name, "id");
    assert_string_equal(a->sticky, "place");
    assert_string_equal(a->sticky_key, ""); /* not shown */
    assert_string_equal(c->pools[0].sticky_key, "secret");
    assert_int_equal(a->near_ms, 5);
    assert_int_equal(a->panic_percent, 30);
    assert_int_equal(a->queue_max, 7);
    assert_int_equal(a->in_flight_max, 3);
    assert_memory_equal(&a->check, &c->pools[0].check, sizeof a->check);
    assert_int_equal(a->check.status_max, 204);
    assert_int_equal(again->pools[1].hash_by, CONFIG_KEY_SOURCE);
    assert_int_equal(again->pools[1].check.kind, CONFIG_PROBE_TCP);
    assert_int_equal(again->pools[1].in_flight_max, 1024);
    rc_buffer_fini(&printed);
    config_destroy(again);
    config_destroy(c);
}

static void wrong_choices_are_refused(void **state)
{
    static const char *const pools[] = {
        "balance uri_hash",
        "balance hash",
        "balance hash header",
        "balance hash uri x",
        "balance hash header \"a b\"",
        "balance hash form x",
        "sticky header x",
        "sticky cookie a;b",
        "sticky cookie a key",
        "prefer far 5ms",
        "check http health",
        "check tcp /x",
        "check http / { status 1-2 }",
        "from dns AAAA x port 1",
        "from dns A x",
        "check http \"/a b\"",
    };
    (void)state;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        char text[256];
        char error[CONFIG_ERROR_MAX];
        struct config *config = NULL;
        (void)snprintf(
            text, sizeof text,
            "pool p { static 1.2.3.4:1\n %s\n }\nlisten http 1.1.1.1:1 { pool p }",
            pools[i]);
        if (config_parse("t", text, strlen(text), &config, error) != RC_EMALFORMED) {
            fail_msg("taken: %s", pools[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lab_reads_as_meant),
        cmocka_unit_test(every_route_has_a_number_and_a_label_of_its_own),
        cmocka_unit_test(faults_name_line_column_and_remedy),
        cmocka_unit_test(a_caret_stands_below_the_fault),
        cmocka_unit_test(what_is_printed_reads_back_the_same),
        cmocka_unit_test(only_listed_networks_are_trusted),
        cmocka_unit_test(proxy_protocol_has_two_sides),
        cmocka_unit_test(pools_say_who_is_chosen_and_print_it_again),
        cmocka_unit_test(wrong_choices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
