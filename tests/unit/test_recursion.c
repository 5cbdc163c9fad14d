/* From the settings to what the DNS forwarder is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/recursion.h"
#include "base/err.h"

static struct agent_config load(const char *settings)
{
    struct agent_config config = {0};
    char error[AGENT_CONFIG_ERROR_MAX];
    char hcl[512];

    (void)snprintf(hcl, sizeof hcl, "-hcl=%s", settings);
    char dev[] = "-dev";
    char *words[] = {dev, hcl};
    if (agent_config_load(2, words, &config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return config;
}

static struct recursion *make(const struct agent_config *config, const char *listen,
                              char error[RECURSION_ERROR_MAX])
{
    struct recursion *recursion = NULL;
    struct rc_address address;

    assert_int_equal(rc_address_parse(listen, 8600, &address), RC_OK);
    const struct recursion_place place = {.listen = &address,
                                          .listen_count = 1,
                                          .system_file = "/nonexistent/resolv.conf",
                                          .seed = 1};
    error[0] = '\0';
    int err = recursion_create(config, &place, error, &recursion);
    assert_int_equal(err == RC_OK, error[0] == '\0');
    return recursion;
}

static void without_recursors_there_is_nothing_to_tell(void **state)
{
    struct agent_config config = load("");
    char error[RECURSION_ERROR_MAX];

    (void)state;
    assert_null(make(&config, "127.0.0.1:8600", error));
    agent_config_fini(&config);
}

static void routes_and_servers_are_as_written(void **state)
{
    struct agent_config config =
        load("recursors = [\"10.0.0.1\", \"[fd00::1]:5353\", \"resolv.conf\"]\n"
             "dns_config { recursor_timeout = \"2s\" recursor_strategy = \"random\"\n"
             "  forward { \"corp.example\" = [\"10.0.0.2\"] lan = \"10.0.0.3:54\" } }");
    char error[RECURSION_ERROR_MAX];

    (void)state;
    struct recursion *recursion = make(&config, "127.0.0.1:8600", error);
    const struct dns_forward_options *options = &recursion->options;
    assert_int_equal(options->route_count, 3);
    assert_string_equal(options->routes[0].suffix, "corp.example");
    assert_int_equal(options->routes[0].servers[0].port, 53);
    assert_int_equal(options->routes[1].servers[0].port, 54);
    assert_string_equal(options->routes[2].suffix, "");
    assert_int_equal(options->routes[2].server_count, 2);
    assert_int_equal(options->routes[2].servers[1].port, 5353);
    assert_int_equal(options->routes[2].of_system, DNS_YES);
    assert_non_null(options->system_file);
    assert_int_equal(options->try_ms, 2000);
    assert_int_equal(options->strategy, DNS_FORWARD_RANDOM);
    recursion_destroy(recursion);
    agent_config_fini(&config);
}

static enum dns_choice serves(const struct recursion *recursion, const char *client)
{
    struct rc_address address;

    assert_int_equal(rc_address_parse_ip(client, 0, &address), RC_OK);
    return dns_forward_serves(&recursion->options, &address);
}

static void who_may_ask_is_loopback_unless_it_is_written(void **state)
{
    struct agent_config usual = load("recursors = [\"10.0.0.1\"]");
    struct agent_config written = load("recursors = [\"10.0.0.1\"]\n"
                                       "dns_config { recursion_for = [\"10.0.0.0/8\"] }");
    struct agent_config all =
        load("recursors = [\"10.0.0.1\"]\ndns_config { recursion_for = [\"any\"] }");
    char error[RECURSION_ERROR_MAX];

    (void)state;
    struct recursion *recursion = make(&usual, "127.0.0.1:8600", error);
    assert_int_equal(serves(recursion, "127.0.0.9"), DNS_YES);
    assert_int_equal(serves(recursion, "::1"), DNS_YES);
    assert_int_equal(serves(recursion, "198.51.100.1"), DNS_NO);
    recursion_destroy(recursion);
    recursion = make(&written, "127.0.0.1:8600", error);
    assert_int_equal(serves(recursion, "127.0.0.1"), DNS_NO);
    assert_int_equal(serves(recursion, "10.9.9.9"), DNS_YES);
    recursion_destroy(recursion);
    recursion = make(&all, "127.0.0.1:8600", error);
    assert_int_equal(serves(recursion, "198.51.100.1"), DNS_YES);
    assert_int_equal(serves(recursion, "2001:db8::1"), DNS_YES);
    recursion_destroy(recursion);
    agent_config_fini(&usual);
    agent_config_fini(&written);
    agent_config_fini(&all);
}

static void what_leads_back_to_us_is_refused(void **state)
{
    struct agent_config same = load("recursors = [\"127.0.0.1:8600\"]");
    struct agent_config route =
        load("dns_config { forward { lan = [\"10.0.0.1\", \"127.0.0.7:8600\"] } }");
    char error[RECURSION_ERROR_MAX];

    (void)state;
    assert_null(make(&same, "127.0.0.1:8600", error));
    assert_string_equal(error,
                        "recursors: 127.0.0.1:8600 is this agent itself "
                        "(client_addr, ports.dns): questions would go in a circle");
    assert_null(make(&route, "0.0.0.0:8600", error));
    assert_non_null(strstr(error, "dns_config.forward of \"lan\": 127.0.0.7:8600 is"));
    struct recursion *recursion = make(&same, "127.0.0.1:8601", error);
    assert_non_null(recursion);
    recursion_destroy(recursion);
    agent_config_fini(&same);
    agent_config_fini(&route);
}

static void more_servers_than_there_is_room_for_are_refused(void **state)
{
    struct agent_config config =
        load("recursors = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\",\n"
             "\"10.0.0.5\", \"10.0.0.6\", \"10.0.0.7\", \"10.0.0.8\", \"10.0.0.9\"]");
    char error[RECURSION_ERROR_MAX];

    (void)state;
    assert_null(make(&config, "127.0.0.1:8600", error));
    assert_string_equal(error, "recursors: more than 8");
    agent_config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_recursors_there_is_nothing_to_tell),
        cmocka_unit_test(routes_and_servers_are_as_written),
        cmocka_unit_test(who_may_ask_is_loopback_unless_it_is_written),
        cmocka_unit_test(what_leads_back_to_us_is_refused),
        cmocka_unit_test(more_servers_than_there_is_room_for_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
