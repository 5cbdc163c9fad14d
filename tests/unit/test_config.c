/* test_config.c - what an agent can be told, and how it says that it was told nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/config.h"
#include "base/err.h"
#include "base/file.h"

enum { WORDS_MAX = 16 };

/* Loads the words, which end with NULL, from a copy as long-lived as they are. */
static int load(const char *const *words, struct agent_config *out, char *error)
{
    char *copy[WORDS_MAX] = {0};
    size_t count = 0;

    for (; words[count] != NULL; count++) {
        copy[count] = strdup(words[count]);
        assert_non_null(copy[count]);
    }
    int err = agent_config_load(count, copy, out, error);
    while (count > 0) {
        free(copy[--count]);
    }
    return err;
}

static struct agent_config loaded(const char *const *words)
{
    struct agent_config config = {0};
    char error[AGENT_CONFIG_ERROR_MAX];

    if (load(words, &config, error) != RC_OK) {
        fail_msg("%s", error);
    }
    return config;
}

static struct agent_config loaded_text(const char *text)
{
    char copy[2048];
    const char *words[] = {"-dev", "-hcl", copy, NULL};

    assert_true(strlen(text) < sizeof copy);
    memcpy(copy, text, strlen(text) + 1);
    return loaded(words);
}

static void names_that_clients_may_ask_for_are_names(void **state)
{
    static const char *const wrong[] = {"",      "a b",       "a:8500", "*",
                                        "a.*.b", "https://a", ".a"};
    struct agent_config config =
        loaded_text("http_config { allow_hosts = [\"adm1.example\", \"*.example\"] }");
    char error[AGENT_CONFIG_ERROR_MAX];
    char text[128];
    (void)state;

    assert_int_equal(config.allow_hosts.count, 2);
    assert_string_equal(config.allow_hosts.items[1], "*.example");
    agent_config_fini(&config);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        const char *words[] = {"-dev", "-hcl", text, NULL};
        (void)snprintf(text, sizeof text, "http_config { allow_hosts = [\"%s\"] }",
                       wrong[i]);
        if (load(words, &config, error) == RC_OK ||
            strstr(error, "*.example.org") == NULL) {
            fail_msg("%s: %s", wrong[i], error);
        }
    }
}

static void defaults_are_those_of_consul_but_for_the_domain(void **state)
{
    const char *words[] = {"-data-dir", "/tmp/x", NULL};
    struct agent_config config = loaded(words);
    (void)state;

    assert_string_equal(config.domain, "rollcall.");
    assert_string_equal(config.alt_domain, "consul.");
    assert_string_equal(config.datacenter, "dc1");
    assert_string_equal(config.bind_addr, "0.0.0.0");
    assert_string_equal(config.client_addrs.items[0], "127.0.0.1");
    assert_int_equal(config.ports.http, 8500);
    assert_int_equal(config.ports.dns, 8600);
    assert_int_equal(config.ports.serf_lan, 8301);
    assert_int_equal(config.retry_interval_ms, 30000);
    assert_int_equal(config.log_level, RC_LOG_INFO);
    assert_int_equal(config.dns.soa_refresh_ms, 3600000);
    assert_int_equal(config.dns.workers, 1);
    assert_true(config.dns.enable_truncate);
    assert_true(config.leave_on_terminate);
    assert_false(config.server);
    assert_null(config.node_name);
    assert_null(config.advertise_addr);
    agent_config_fini(&config);
}

static void flags_win_over_files_and_lists_add_up(void **state)
{
    static const char text[] = "node_name = \"file\"\n"
                               "retry_join = [\"10.0.0.1\", \"a.example:9\"]\n"
                               "ports { http = 1 dns = 2 }\n"
                               "node_meta { a = \"1\" b = \"2\" }\n";
    const char *words[] = {"-retry-join=10.0.0.9",
                           "--node",
                           "n1",
                           "-hcl",
                           text,
                           "-http-port",
                           "7500",
                           "-node-meta",
                           "b:x:y",
                           "-dns-port=-1",
                           "-dev",
                           NULL};
    struct agent_config config = loaded(words);
    (void)state;

    assert_string_equal(config.node_name, "n1");
    assert_int_equal(config.join.count, 3);
    assert_string_equal(config.join.items[0], "10.0.0.1");
    assert_string_equal(config.join.items[2], "10.0.0.9");
    assert_int_equal(config.ports.http, 7500);
    assert_int_equal(config.ports.dns, 0);
    assert_int_equal(config.node_meta.count, 2);
    assert_string_equal(config.node_meta.items[1].value, "x:y");
    assert_string_equal(config.bind_addr, "127.0.0.1");
    assert_true(config.server);
    agent_config_fini(&config);
}

static void the_switch_for_consul_sets_what_is_not_written(void **state)
{
    struct agent_config config =
        loaded_text("dns_config { consul_compat = true udp_answer_limit = 5 }\n"
                    "retry_join = [\"10.0.0.1\"]\n");
    (void)state;

    assert_false(config.dns.enable_truncate);
    assert_true(config.dns.node_meta_txt);
    assert_int_equal(config.dns.udp_answer_limit, 5);
    assert_int_equal(config.join.count, 1);
    agent_config_fini(&config);
}

static void consuls_examples_load_unchanged(void **state)
{
    struct agent_config config = loaded_text(
        "datacenter = \"East-AWS\"\n"
        "data_dir = \"/opt/consul\"\n"
        "log_level = \"INFO\"\n"
        "node_name = \"foobar\"\n"
        "server = true\n"
        "addresses { http = \"127.0.0.1 ::1\" }\n"
        "dns_config { service_ttl { \"*\" = \"5s\" web = \"30s\" } soa { min_ttl = \"2s\" retry = 60 } }\n"
        "telemetry { statsite_address = \"127.0.0.1:2180\" }\n"
        "watches = [{ type = \"checks\" handler = \"/usr/bin/health.sh\" }]\n"
        "acl { enabled = false }\n"
        "services {\n"
        "  id = \"red0\"\n  name = \"redis\"\n  tags = [\"primary\"]\n  address = \"\"\n"
        "  port = 6000\n"
        "  checks = [{ args = [\"/bin/check_redis\", \"-p\", \"6000\"] interval = \"5s\" "
        "timeout = \"20s\" }]\n}\n"
        "services {\n  id = \"red1\"\n  name = \"redis\"\n  port = 7000\n}\n"
        "service \"web\" {\n  port = 80\n  meta = { version = \"4.0\" }\n"
        "  tagged_addresses { lan = { address = \"192.168.0.55\" port = 8000 } }\n"
        "  check {\n    http = \"https://localhost:5000/health\"\n    tls_skip_verify = false\n"
        "    method = \"POST\"\n    header = { x-foo = [\"bar\", \"baz\"] }\n"
        "    body = \"{\\\"method\\\":\\\"health\\\"}\"\n    interval = \"10s\"\n"
        "    timeout = \"1s\"\n    success_before_passing = 5\n  }\n}\n"
        "check = { id = \"mem-util\" name = \"Memory utilization\" "
        "args = [\"/usr/local/bin/check_mem.py\", \"-limit\", \"256MB\"] interval = \"10s\" }\n"
        "checks = [{ id = \"web-alias\" alias_service = \"web\" },\n"
        "  { id = \"chk1\" name = \"mem\" ttl = \"30s\" service_id = \"red0\" }]\n");
    (void)state;

    assert_string_equal(config.datacenter, "east-aws");
    assert_int_equal(config.http_addrs.count, 2);
    assert_int_equal(config.dns.service_ttls.count, 2);
    assert_int_equal(config.dns.soa_min_ttl_ms, 2000);
    assert_int_equal(config.dns.soa_retry_ms, 60000); /* Consul's: in seconds */
    assert_int_equal(config.service_count, 3);
    assert_int_equal(config.services[0].checks[0].kind, CHECK_SCRIPT);
    assert_string_equal(config.services[2].name, "web");
    assert_int_equal(config.services[2].checks[0].header.count, 2);
    assert_int_equal(config.check_count, 3);
    assert_string_equal(config.checks[1].name, "web-alias");
    assert_string_equal(config.checks[2].service_id, "red0");
    assert_false(config.acl.enabled);
    assert_int_equal(config.warnings.count, 1);
    assert_non_null(strstr(config.warnings.items[0], "enable_script_handlers"));
    assert_int_equal(config.watch_count, 1);
    assert_int_equal(config.watches[0].args.count, 3); /* the old form is the shell's */
    agent_config_fini(&config);
}

static void the_settings_of_the_measurements_load(void **state)
{
    const char *words[] = {"-config-file=tests/fixtures/config/bench.json", NULL};
    struct agent_config config = loaded(words);
    (void)state;

    assert_string_equal(config.domain, "consul.");
    assert_int_equal(config.bootstrap_expect, 3);
    assert_int_equal(config.retry_interval_ms, 1000);
    assert_int_equal(config.http_connections_per_client, 15000);
    assert_int_equal(config.warnings.count, 0);
    agent_config_fini(&config);
}

static const struct {
    const char *text;
    const char *want;
} nonsense[] = {
    {"\n servize {}", "-hcl:2:2: invalid config key servize; did you mean service?"},
    {"ports { htp = 1 }", "-hcl:1:9: invalid config key ports.htp; did you mean http?"},
    {"blargh = 1", "-hcl:1:1: invalid config key blargh"},
    {"server = \"yes\"", "-hcl:1:1: server must be true or false, not a string"},
    {"ports { http = \"x\" }", "-hcl:1:9: http must be a whole number, not a string"},
    {"ports { http = 70000 }",
     "-hcl:1:9: http must be a port from 1 to 65535, or -1 for none"},
    {"ports = 3", "-hcl:1:1: ports must be a block"},
    {"ports {}\nports {}", "-hcl:1:1: ports may stand only once"},
    {"bind_addr = \"eth0\"", "-hcl:1:1: bind_addr must be an IP address, not \"eth0\""},
    {"bind_addr = \"{{ GetPrivateIP }}\"",
     "-hcl:1:1: bind_addr: templates are not supported, write the address"},
    {"log_level = \"loud\"",
     "-hcl:1:1: log_level must be trace, debug, info, warn or err, not \"loud\""},
    {"encrypt = \"secret\"", "-hcl:1:1: encrypt must be 16, 24 or 32 bytes in base64, as "
                             "`rollcall keygen` prints"},
    {"profile = \"slow\"",
     "-hcl:1:1: profile must be lan, wan, local or fast, not \"slow\""},
    {"node_name = \"a b\"", "-hcl:1:1: node_name must be 1 to 128 letters, digits, "
                            "hyphens and dots, not \"a b\""},
    {"retry_interval = \"5\"", "-hcl:1:1: time: missing unit in duration \"5\""},
    {"retry_join = [\"provider=aws tag=x\"]",
     "-hcl:1:1: retry_join: \"provider=aws tag=x\" is not an address or a name; cloud "
     "providers are not supported"},
    {"retry_join = [1]", "-hcl:1:15: retry_join must be a list of strings"},
    {"dns_config { service_ttl { web = \"x\" } }",
     "-hcl:1:28: service_ttl of \"web\" must be a duration such as \"5s\", not \"x\""},
    {"recursors = [\"dns.example\"]",
     "-hcl:1:1: recursors must be IP addresses, with or without a port, or resolv.conf, "
     "not \"dns.example\""},
    {"dns_config { forward { lan = [] } }",
     "-hcl:1:24: forward of \"lan\" needs servers"},
    {"dns_config { recursion_for = [\"10.0.0.0/99\"] }",
     "-hcl:1:14: recursion_for must be networks such as 10.0.0.0/8, loopback, own or any, "
     "not \"10.0.0.0/99\""},
    {"dns_config { recursor_strategy = \"best\" }",
     "-hcl:1:14: recursor_strategy must be fastest, sequential or random, not \"best\""},
    {"service {\n  name = \"web\"\n  prot = 80\n}",
     "-hcl:3:3: invalid config key prot; did you mean port?"},
    {"service {\n  name = \"web\"\n  check { http = \"x\" }\n}",
     "-hcl:3:3: Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks"},
    {"service { port = 1 }", "-hcl:1:1: Missing service name"},
    {"service \"a\" {}\nservice \"a\" {}",
     "-hcl:2:1: service with id \"a\" is defined twice"},
    {"node_meta { \"a b\" = \"1\" }",
     "-hcl:1:1: node_meta: Couldn't load metadata pair ('a b', '1'): Key contains invalid "
     "characters"},
    {"{\"node\\name\": \"s1\"}",
     "-hcl:1:2: invalid config key node\\name; did you mean node_name?"},
    {"bind_addr = \"::1\\n\"",
     "-hcl:1:1: bind_addr must be an IP address, not \"::1\\n\""},
    {"dns_config { cookie_secret = \"abc\" }",
     "dns_config.cookie_secret must be 32 hexadecimal digits, or two such secrets "
     "separated by a comma, the second being the one before"},
    {"dns_config { rate_limit { exempt = [\"10.0.0.0/33\"] } }",
     "dns_config.rate_limit.exempt: \"10.0.0.0/33\" is no network such as 10.0.0.0/8"},
    {"dns_config { rate_limit { slip = 101 } }",
     "dns_config.rate_limit.slip must be 0 to 100, not 101"},
    {"dns_config { rate_limit { responses_per_second = 1000001 } }",
     "dns_config.rate_limit.responses_per_second must be 0 to 1000000, not 1000001"},
    {"addresses { dns = \"127.0.0.1 fe80::1\" }",
     "-hcl:1:13: dns: fe80::1 is a link-local address, good on one interface only; give "
     "another one of this machine (ip -6 address), or ::"},
    {"client_addr = \"FE80::1%eth0\"",
     "-hcl:1:1: client_addr: FE80::1%eth0 is a link-local address, good on one interface "
     "only; give another one of this machine (ip -6 address), or ::"},
    {"dns_config { workers = 0 }", "dns_config.workers must be 1 to 64"},
    {"dns_config { workers = 65 }", "dns_config.workers must be 1 to 64"},
    {"ports { http = 8600 }", "ports.http and ports.dns are both 8600"},
    {"server = false bootstrap_expect = 3", "bootstrap_expect requires server = true"},
    {"reconnect_timeout = \"59s\"", "reconnect_timeout must be at least 1m"},
    {"tombstone_timeout = \"1s\"", "tombstone_timeout must be at least 1m"},
    {"advertise_reconnect_timeout = \"30s\"",
     "advertise_reconnect_timeout must be at least 1m"},
};

static void nonsense_in_a_file_is_named_with_its_place(void **state)
{
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];
    char copy[256];
    const char *words[] = {"-dev", "-hcl", copy, NULL};
    (void)state;

    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        memcpy(copy, nonsense[i].text, strlen(nonsense[i].text) + 1);
        if (load(words, &config, error) == RC_OK ||
            strcmp(error, nonsense[i].want) != 0) {
            fail_msg("%s: got %s, want %s", nonsense[i].text, error, nonsense[i].want);
        }
    }
}

static void nonsense_in_a_flag_is_named(void **state)
{
    static const struct {
        const char *words[WORDS_MAX];
        const char *want;
    } cases[] = {
        {{"-nod", "x"}, "unknown flag -nod; did you mean -node?"},
        {{"-frobnicate"}, "unknown flag -frobnicate"},
        {{"-no\nde"}, "unknown flag -no\\nde; did you mean -node?"},
        {{"stray"}, "unexpected argument \"stray\"; settings are flags, such as -node"},
        {{"-dev", "-node"}, "-node: needs a value"},
        {{"-dev", "-http-port", "x"}, "-http-port: must be a whole number, not \"x\""},
        {{"-dev", "-http-port", "0"},
         "-http-port must be a port from 1 to 65535, or -1 for none"},
        {{"-dev", "-server=maybe"}, "-server: must be true or false, not \"maybe\""},
        {{"-dev", "-bind", "eth0"}, "-bind must be an IP address, not \"eth0\""},
        {{"-dev", "-node-meta", "x"}, "-node-meta: must be key:value, not \"x\""},
        {{"-config-file", "/nowhere.hcl"},
         "/nowhere.hcl: cannot be read: No such file or directory"},
        {{"-config-dir", "/nowhere"},
         "/nowhere: cannot be read: No such file or directory"},
        {{NULL}, "data_dir cannot be empty"},
    };
    struct agent_config config;
    char error[AGENT_CONFIG_ERROR_MAX];
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (load(cases[i].words, &config, error) == RC_OK ||
            strcmp(error, cases[i].want) != 0) {
            fail_msg("got %s, want %s", error, cases[i].want);
        }
    }
}

static void a_folder_is_read_in_order_of_name(void **state)
{
    char folder[] = "/tmp/rollcall-test-config-XXXXXX";
    char path[128];
    static const struct {
        const char *name;
        const char *text;
    } files[] = {
        {"20.json", "{\"node_name\": \"second\"}"},
        {"10.hcl", "node_name = \"first\" data_dir = \"/x\""},
        {"30.txt", "this is { not for us"},
    };
    (void)state;

    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        assert_int_equal(rc_file_replace(path, files[i].text, strlen(files[i].text)),
                         RC_OK);
    }
    const char *words[] = {"-config-dir", folder, NULL};
    struct agent_config config = loaded(words);
    assert_string_equal(config.node_name, "second");
    agent_config_fini(&config);

    char *paths[] = {folder};
    char error[AGENT_CONFIG_ERROR_MAX];
    assert_int_equal(agent_config_validate(1, paths, NULL, error), RC_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void the_dump_hides_the_key_of_the_gossip(void **state)
{
    struct agent_config config =
        loaded_text("encrypt = \"cg8StVXbQJ0gPvMd9o7yrg==\" node_name = \"n\"");
    char *dump = agent_config_dump(&config);
    struct rc_buffer help = {0};
    (void)state;

    assert_non_null(dump);
    assert_null(strstr(dump, "cg8StVXbQJ0gPvMd9o7yrg"));
    assert_non_null(strstr(dump, "\"node_name\":\"n\""));
    assert_non_null(strstr(dump, "\"ports\":{\"http\":8500"));
    agent_config_help(&help);
    assert_non_null(strstr(rc_buffer_string(&help), "  -retry-join=VALUE"));
    rc_buffer_fini(&help);
    free(dump);
    agent_config_fini(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_clients_may_ask_for_are_names),
        cmocka_unit_test(defaults_are_those_of_consul_but_for_the_domain),
        cmocka_unit_test(flags_win_over_files_and_lists_add_up),
        cmocka_unit_test(the_switch_for_consul_sets_what_is_not_written),
        cmocka_unit_test(consuls_examples_load_unchanged),
        cmocka_unit_test(the_settings_of_the_measurements_load),
        cmocka_unit_test(nonsense_in_a_file_is_named_with_its_place),
        cmocka_unit_test(nonsense_in_a_flag_is_named),
        cmocka_unit_test(a_folder_is_read_in_order_of_name),
        cmocka_unit_test(the_dump_hides_the_key_of_the_gossip),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
