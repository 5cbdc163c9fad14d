/* test_proxy_config.c - what the proxy may be told, and how it says what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "proxy/config.h"

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
        "    balance uri_hash { bounded 1.5 }; slow_start 10s }\n"
        "pool db { from agent service postgres }\n");

    assert_int_equal(c->pool_count, 2);
    assert_string_equal(c->pools[0].service, "todomvc");
    assert_string_equal(c->pools[0].tag, "prod");
    assert_string_equal(c->pools[0].dns_name, "_todomvc._tcp.service.rollcall");
    assert_int_equal(c->pools[0].balance, CONFIG_URI_HASH);
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

static void faults_name_line_column_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *text;
        const char *want; /* the error begins so */
    } cases[] = {
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
        {"https", "listen https 1.2.3.4:1 {}", "p.conf:1:8: https is not built in yet"},
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
         "p.conf:1:40: this route has no pool"},
        {"words of a route without a pool", "listen http 1.1.1.1:1 { body_limit 1MB }",
         "p.conf:1:1: words of a route here, but no \"pool\""},
        {"two probe users",
         "pool a { static 1.2.3.4:1; probe_user x }\n"
         "listen postgres 1.1.1.1:1 { pool a; probe_user y }",
         "p.conf:2:48: pool \"a\" has another probe_user already: \"x\""},
        {"value missing", "pool a { static 1.2.3.4:1; slow_start }",
         "p.conf:1:28: \"slow_start\" needs a value"},
        {"value too many", "worker_threads 1 2", "p.conf:1:18: one word too many"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *config = NULL;
        char error[CONFIG_ERROR_MAX];
        int err =
            config_parse("p.conf", cases[i].text, strlen(cases[i].text), &config, error);
        if (err != RC_EMALFORMED ||
            strncmp(error, cases[i].want, strlen(cases[i].want)) != 0) {
            fail_msg("%s: got %s, %s", cases[i].why, rc_strerror(err), error);
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
        "worker_threads 3; admin [::1]:9; drain_timeout 5s; grace 1s; buffer_limit 8MiB\n"
        "pool \"a \\\"b\" { static [::1]:1 weight 7; balance least_request\n"
        "  outlier { failures 3; base 1s; max_ejected 30% }; max_connections 5 }\n"
        "pool h { from dns _x._tcp.y; balance uri_hash { bounded 0 } }\n"
        "listen http 1.1.1.1:80 { host *.x.y { route /a { pool h; body_limit 7B\n"
        "   retry { attempts 2; on_status 502 503 }; upgrade off } route / { pool h } }\n"
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
    config_destroy(c);
    rc_buffer_fini(&first);
    rc_buffer_fini(&second);
}

static const char *route_of(const struct config *c, const char *host, const char *path)
{
    const struct config_route *route =
        config_find_route(&c->listeners[0], host, strlen(host), path, strlen(path));
    return route != NULL ? c->pools[route->pool].name : "-";
}

static void routes_match_the_most_exact_host_then_the_longest_prefix(void **state)
{
    (void)state;
    struct config *c =
        parse("pool a { static 1.1.1.1:1 } pool b { static 1.1.1.1:1 }"
              "pool c { static 1.1.1.1:1 } pool d { static 1.1.1.1:1 }\n"
              "listen http 1.1.1.1:80 { pool d; host *.example { route / { pool c } }\n"
              "  host App.Example { route / { pool a } route /ws { pool b } } "
              "  host only.example { route /x { pool a } } }\n");

    assert_string_equal(route_of(c, "app.example", "/"), "a");
    assert_string_equal(route_of(c, "APP.example", "/ws"), "b");
    assert_string_equal(route_of(c, "app.example", "/ws/1"), "b");
    assert_string_equal(route_of(c, "app.example", "/wsx"), "a");
    assert_string_equal(route_of(c, "www.example", "/ws"), "c");
    assert_string_equal(route_of(c, "example", "/"), "d");
    assert_string_equal(route_of(c, "", "/"), "d");
    assert_string_equal(route_of(c, "only.example", "/y"), "-");
    config_destroy(c);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lab_reads_as_meant),
        cmocka_unit_test(faults_name_line_column_and_remedy),
        cmocka_unit_test(a_caret_stands_below_the_fault),
        cmocka_unit_test(what_is_printed_reads_back_the_same),
        cmocka_unit_test(routes_match_the_most_exact_host_then_the_longest_prefix),
        cmocka_unit_test(only_listed_networks_are_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
