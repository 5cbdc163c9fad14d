/* config.c - the whole configuration: defaults, files, flags, and the rules between them. */
#include "agent/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/config_acl.h"
#include "agent/config_apply.h"
#include "agent/config_key.h"
#include "agent/config_manners.h"
#include "agent/config_postgres.h"
#include "agent/config_store.h"
#include "base/err.h"
#include "base/text.h"

enum { REAP_MS_MIN = 60 * 1000, DNS_WORKERS_MAX = 64 };

/* Written as anybody would write them. */
static const char defaults[] =
    "datacenter = \"dc1\"\n"
    "domain = \"rollcall.\"\n"
    "alt_domain = \"consul.\"\n"
    "bind_addr = \"0.0.0.0\"\n"
    "client_addr = \"127.0.0.1\"\n"
    "ports { http = 8500 dns = 8600 serf_lan = 8301 server = 8300 }\n"
    "retry_interval = \"30s\"\n"
    "encrypt_verify_incoming = true\n"
    "encrypt_verify_outgoing = true\n"
    "profile = \"lan\"\n"
    "acl { default_policy = \"deny\" down_policy = \"extend-cache\" }\n"
    "reconnect_timeout = \"72h\"\n"
    "tombstone_timeout = \"1h\"\n"
    "log_level = \"info\"\n"
    "leave_on_terminate = true\n"
    "check_output_max_size = 4096\n"
    "limits { http_max_conns_per_client = 200 }\n"
    "ui_config { enabled = true }\n"
    "session_ttl_min = \"1s\"\n"
    "store {\n"
    "  request_timeout = \"1s\" session_node_timeout = \"5s\" session_ttl_factor = 1\n"
    "}\n"
    "postgres {\n"
    "  service = \"postgres\" os_user = \"postgres\" port = 5432\n"
    "  user = \"rollcall\" database = \"postgres\" replication_user = \"replicator\"\n"
    "  mode = \"sync\" ttl = \"3s\" renew = \"350ms\" priority = 100\n"
    "  max_lag = 16777216 auto_rebuild = true keep_old = 1 restart_attempts = 1\n"
    "  restart_budget = \"10s\" probe_fail = \"3s\" store_loss = \"fence\" start_warden = true\n"
    "}\n"
    "dns_config {\n"
    "  workers = 1 enable_truncate = true max_stale = \"87600h\"\n"
    "  soa { refresh = \"1h\" retry = \"10m\" expire = \"24h\" }\n"
    "  rate_limit { enabled = true responses_per_second = 200 nxdomains_per_second = 50\n"
    "    errors_per_second = 50 slip = 2 }\n"
    "}\n";

/* What is not written with dns_config.consul_compat. */
static const char consul_defaults[] = "dns_config {\n"
                                      "  enable_truncate = false udp_answer_limit = 3\n"
                                      "  enable_additional_node_meta_txt = true\n"
                                      "}\n";

static const char dev_defaults[] = "bind_addr = \"127.0.0.1\"\n"
                                   "server = true\n"
                                   "log_level = \"debug\"\n";

void agent_config_fini(struct agent_config *config)
{
    for (size_t i = 0; i < agent_config_key_count; i++) {
        const struct agent_config_key *key = &agent_config_keys[i];
        bool holds = key->effect == CONFIG_ACTS || key->effect == CONFIG_SECRET;
        if (holds && key->type->release != NULL) {
            key->type->release((char *)config + key->offset);
        }
    }
    definition_list_type.release(&config->warnings);
    *config = (struct agent_config){0};
}

static int apply_source(struct agent_config_reader *reader,
                        const struct agent_config_flag *flag)
{
    if (strcmp(flag->name, "config-file") == 0) {
        return agent_config_apply_file(reader, flag->value);
    }
    if (strcmp(flag->name, "config-dir") == 0) {
        return agent_config_apply_folder(reader, flag->value);
    }
    return strcmp(flag->name, "hcl") == 0
               ? agent_config_apply_text(reader, "-hcl", flag->value)
               : RC_OK;
}

static bool is_dev(const struct agent_config_flag *flag)
{
    return rc_text_equals(flag->name, "dev") && strcmp(flag->value, "true") == 0;
}

/* What a pass over the command line does with each flag. */
enum pass { PASS_DEV, PASS_SOURCES, PASS_REST };

static int take_flag(struct agent_config_reader *reader, enum pass pass,
                     const struct agent_config_flag *flag)
{
    bool is_source = flag->key->effect == CONFIG_SOURCE;

    switch (pass) {
    case PASS_DEV:
        if (!is_dev(flag)) {
            return RC_OK;
        }
        reader->config->dev = true;
        return agent_config_apply_text(reader, "-dev", dev_defaults);
    case PASS_SOURCES:
        return is_source ? apply_source(reader, flag) : RC_OK;
    case PASS_REST:
        return is_source ? RC_OK : agent_config_apply_flag(reader, flag);
    }
    return RC_OK;
}

static int run_pass(struct agent_config_reader *reader, enum pass pass, size_t count,
                    char *const *words)
{
    struct agent_config_flag flag;
    int err = RC_OK;

    for (size_t at = 0; at < count && err == RC_OK;) {
        err = agent_config_next_flag(reader, count, words, &at, &flag);
        if (err == RC_OK) {
            err = take_flag(reader, pass, &flag);
        }
    }
    return err;
}

static int fail(char *error, const char *text)
{
    (void)snprintf(error, AGENT_CONFIG_ERROR_MAX, "%s", text);
    return RC_EINVAL;
}

/* Somebody counts on a program that will not be run. */
static int warn_of_watches(struct agent_config *config)
{
    struct definition_list *warnings = &config->warnings;
    void *items = warnings->items;
    bool any = false;

    for (size_t i = 0; i < config->watch_count; i++) {
        any = any || !config->watches[i].is_http;
    }
    if (!any || config->enable_script_handlers) {
        return RC_OK;
    }
    char **line = definition_grow(&items, &warnings->count, sizeof *line);
    if (line == NULL) {
        return RC_ENOMEM;
    }
    warnings->items = items;
    *line =
        rc_text_copy("watches: handlers of type script are disabled on this agent; to "
                     "enable, configure 'enable_script_handlers' to true");
    return *line != NULL ? RC_OK : RC_ENOMEM;
}

static int check_ports(const struct agent_ports *ports, char *error)
{
    const struct {
        const char *name;
        int64_t port;
    } all[] = {
        {"ports.http", ports->http},
        {"ports.dns", ports->dns},
        {"ports.serf_lan", ports->serf_lan},
    };

    if (ports->serf_lan == 0) {
        return fail(error,
                    "ports.serf_lan must be a port: there is no agent without gossip");
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        for (size_t k = 0; k < i; k++) {
            if (all[i].port != 0 && all[i].port == all[k].port) {
                (void)snprintf(error, AGENT_CONFIG_ERROR_MAX, "%s and %s are both %lld",
                               all[k].name, all[i].name, (long long)all[i].port);
                return RC_EINVAL;
            }
        }
    }
    return RC_OK;
}

/* Below, members would be forgotten while they are still suspected, and what is torn apart
 * would not heal. */
static int check_timeouts(const struct agent_config *config, char *error)
{
    uint64_t advertised = config->advertise_reconnect_timeout_ms;

    if (config->reconnect_timeout_ms < REAP_MS_MIN) {
        return fail(error, "reconnect_timeout must be at least 1m");
    }
    if (config->tombstone_timeout_ms < REAP_MS_MIN) {
        return fail(error, "tombstone_timeout must be at least 1m");
    }
    return advertised == 0 || advertised >= REAP_MS_MIN
               ? RC_OK
               : fail(error, "advertise_reconnect_timeout must be at least 1m");
}

static int check_dns(const struct agent_dns_config *dns, char *error)
{
    return dns->workers >= 1 && dns->workers <= DNS_WORKERS_MAX
               ? RC_OK
               : fail(error, "dns_config.workers must be 1 to 64");
}

/* Rules between keys, which no single place breaks. */
static int check_whole(struct agent_config *config, char *error)
{
    if (config->data_dir == NULL && !config->dev) {
        return fail(error, "data_dir cannot be empty");
    }
    if (config->bootstrap_expect > 0 && !config->server) {
        return fail(error, "bootstrap_expect requires server = true");
    }
    if (config->bootstrap && !config->server) {
        return fail(error, "bootstrap requires server = true");
    }
    int err = check_ports(&config->ports, error);
    if (err == RC_OK) {
        err = check_dns(&config->dns, error);
    }
    if (err == RC_OK) {
        err = check_timeouts(config, error);
    }
    if (err == RC_OK) {
        err = config_acl_check(config, error);
    }
    if (err == RC_OK) {
        err = config_store_check(config, error);
    }
    if (err == RC_OK) {
        err = config_manners_check(config, error);
    }
    if (err == RC_OK) {
        err = config_postgres_check(config, error);
    }
    return err == RC_OK ? warn_of_watches(config) : err;
}

static int read_all(struct agent_config_reader *reader, size_t count, char *const *words)
{
    bool is_consuls = reader->config->dns.consul_compat;

    agent_config_fini(reader->config);
    int err = agent_config_apply_text(reader, "defaults", defaults);
    if (err == RC_OK && is_consuls) {
        err = agent_config_apply_text(reader, "consul_compat", consul_defaults);
    }
    for (int pass = PASS_DEV; pass <= PASS_REST && err == RC_OK; pass++) {
        err = run_pass(reader, (enum pass)pass, count, words);
    }
    return err;
}

int agent_config_load(size_t count, char *const *words, struct agent_config *out,
                      char error[AGENT_CONFIG_ERROR_MAX])
{
    struct agent_config config = {0};
    struct agent_config_reader reader = {&config, error};

    assert(words != NULL || count == 0);
    error[0] = '\0';
    int err = read_all(&reader, count, words);
    if (err == RC_OK && config.dns.consul_compat) {
        err = read_all(&reader, count, words); /* with other defaults below it all */
    }
    if (err == RC_OK) {
        err = check_whole(&config, error);
    }
    if (err == RC_ENOMEM) {
        (void)fail(error, rc_strerror(err));
    }
    if (err != RC_OK) {
        rc_text_to_line(error, AGENT_CONFIG_ERROR_MAX);
        agent_config_fini(&config);
        return err;
    }
    *out = config;
    return RC_OK;
}

static bool is_folder(const char *path)
{
    struct stat found;

    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

int agent_config_validate(size_t count, char *const *paths, struct rc_buffer *warnings,
                          char error[AGENT_CONFIG_ERROR_MAX])
{
    struct agent_config config = {0};
    struct agent_config_reader reader = {&config, error};

    error[0] = '\0';
    int err = agent_config_apply_text(&reader, "defaults", defaults);
    for (size_t i = 0; i < count && err == RC_OK; i++) {
        err = is_folder(paths[i]) ? agent_config_apply_folder(&reader, paths[i])
                                  : agent_config_apply_file(&reader, paths[i]);
    }
    if (err == RC_OK) {
        err = check_whole(&config, error);
    }
    if (err == RC_ENOMEM) {
        (void)fail(error, rc_strerror(err));
    }
    for (size_t i = 0; i < config.warnings.count && warnings != NULL; i++) {
        rc_buffer_format(warnings, "%s\n", config.warnings.items[i]);
    }
    rc_text_to_line(error, AGENT_CONFIG_ERROR_MAX);
    agent_config_fini(&config);
    return err;
}
