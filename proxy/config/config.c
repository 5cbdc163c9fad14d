/* config.c - see config.h. The blocks are read in config_pool.c, config_listen.c and
 * config_http.c. */
#include "proxy/config/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

#define FIELD(name) offsetof(struct config, name)

const char *config_mode_name(enum config_mode mode)
{
    static const char *const names[CONFIG_MODE_COUNT] = {"http", "tcp", "postgres"};
    assert(mode < CONFIG_MODE_COUNT);
    return names[mode];
}

const char *config_balance_name(enum config_balance balance)
{
    static const char *const names[CONFIG_BALANCE_COUNT] = {"round_robin",
                                                            "least_request", "hash"};
    assert(balance < CONFIG_BALANCE_COUNT);
    return names[balance];
}

const char *config_target_name(enum config_target target)
{
    static const char *const names[] = {"any", "primary", "standby"};
    assert(target <= CONFIG_TARGET_STANDBY);
    return names[target];
}

const char *config_tls_name(enum config_tls tls)
{
    static const char *const names[] = {"auto", "pass", "refuse", "end"};
    assert(tls <= CONFIG_TLS_REFUSE);
    return names[tls];
}

/* An address, or off. */
static int read_port(struct config_reader *reader, size_t statement,
                     struct rc_address *out)
{
    static const struct config_rule rule = {.kind = CONFIG_RULE_ADDRESS};
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (rc_text_equals(word->text, "off")) {
        *out = (struct rc_address){0};
        return RC_OK;
    }
    return config_read_value(reader, word, &rule, out);
}

static int read_admin(struct config_reader *reader, size_t statement, void *into)
{
    return read_port(reader, statement, &((struct config *)into)->admin);
}

static int read_figures(struct config_reader *reader, size_t statement, void *into)
{
    return read_port(reader, statement, &((struct config *)into)->figures);
}

static int read_servers(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rule = {.kind = CONFIG_RULE_ADDRESS};
    struct config *config = into;
    size_t most = sizeof config->dns_servers / sizeof config->dns_servers[0];
    size_t count = reader->words.statements[statement].word_count - 1;
    int err = config_expect_words(reader, statement, 1, most);
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        err = config_read_value(reader, config_word_at(reader, statement, i + 1), &rule,
                                &config->dns_servers[i]);
    }
    config->dns_server_count = count;
    return err;
}

/* `register`, or `register { name NAME }`. */
static int read_register(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rules[] = {
        {"name", CONFIG_RULE_TEXT, FIELD(register_name), 0, CONFIG_NAME_MAX, NULL},
        {0},
    };
    struct config *config = into;
    int err = config_expect_words(reader, statement, 0, 0);
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, rules, config);
    }
    if (err == RC_OK && config->register_name[0] == '\0') {
        err = rc_text_put(config->register_name, sizeof config->register_name,
                          CONFIG_REGISTER_NAME);
    }
    return err;
}

static int read_discovery_agent(struct config_reader *reader, size_t statement,
                                struct config *config)
{
    static const struct config_rule rules[] = {
        {"address", CONFIG_RULE_ADDRESS, FIELD(agent), 0, 0, NULL},
        {"wait", CONFIG_RULE_DURATION, FIELD(agent_wait_ms), 1000, 600000, NULL},
        {"token", CONFIG_RULE_TEXT, FIELD(agent_token), 0, CONFIG_NAME_MAX, NULL},
        {"register", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_register},
        {0},
    };
    return config_read_block(reader, (int)statement, rules, config);
}

static int read_discovery_dns(struct config_reader *reader, size_t statement,
                              struct config *config)
{
    static const struct config_rule rules[] = {
        {"servers", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_servers},
        {"min_ttl", CONFIG_RULE_DURATION, FIELD(dns_min_ttl_ms), 50, HOUR_MS, NULL},
        {"max_ttl", CONFIG_RULE_DURATION, FIELD(dns_max_ttl_ms), 50, HOUR_MS, NULL},
        {"hold_empty", CONFIG_RULE_DURATION, FIELD(dns_hold_empty_ms), 0, HOUR_MS, NULL},
        {0},
    };
    int err = config_read_block(reader, (int)statement, rules, config);
    if (err == RC_OK && config->dns_min_ttl_ms > config->dns_max_ttl_ms) {
        err = config_fault(reader, config_word_at(reader, statement, 0),
                           "min_ttl is longer than max_ttl");
    }
    return err;
}

static int read_discovery(struct config_reader *reader, size_t statement, void *config)
{
    static const char *const names[] = {"agent", "dns", NULL};
    size_t which = 0;
    int err = config_read_only_choice(reader, statement, names, &which);
    if (err != RC_OK) {
        return err;
    }
    for (size_t i = 0; i < statement; i++) {
        if (reader->words.statements[i].parent == CONFIG_TEXT_NONE &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "discovery") &&
            config_word_at(reader, i, 1) != NULL &&
            rc_text_equals(config_word_at(reader, i, 1)->text, names[which])) {
            return config_fault(reader, config_word_at(reader, statement, 1),
                                "\"discovery %s\" stands here twice: first in line %u",
                                names[which], config_word_at(reader, i, 1)->line);
        }
    }
    return which == 0 ? read_discovery_agent(reader, statement, config)
                      : read_discovery_dns(reader, statement, config);
}

static const struct config_rule top_rules[] = {
    {"worker_threads", CONFIG_RULE_COUNT, FIELD(worker_threads), 0, 64, NULL},
    {"admin", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_admin},
    {"figures", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_figures},
    {"drain_timeout", CONFIG_RULE_DURATION, FIELD(drain_timeout_ms), 0, HOUR_MS, NULL},
    {"grace", CONFIG_RULE_DURATION, FIELD(grace_ms), 0, HOUR_MS, NULL},
    {"upgrade_timeout", CONFIG_RULE_DURATION, FIELD(upgrade_timeout_ms), 0, DAY_MS, NULL},
    {"max_connections", CONFIG_RULE_COUNT, FIELD(max_connections), 1, 10000000, NULL},
    {"buffer_limit", CONFIG_RULE_SIZE, FIELD(buffer_limit_bytes), 1 << 20, 1ULL << 36,
     NULL},
    {"discovery", CONFIG_RULE_CALL, 0, 0, 0, read_discovery},
    {"pool", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"listen", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {0},
};

static struct config *create_with_defaults(size_t pools, size_t listeners)
{
    struct config *config = calloc(1, sizeof *config);
    if (config == NULL) {
        return NULL;
    }
    config->pools = calloc(pools + 1, sizeof *config->pools);
    config->listeners = calloc(listeners + 1, sizeof *config->listeners);
    if (config->pools == NULL || config->listeners == NULL) {
        config_destroy(config);
        return NULL;
    }
    config->drain_timeout_ms = 30 * 1000;
    config->upgrade_timeout_ms = HOUR_MS;
    config->buffer_limit_bytes = 64 << 20;
    config->agent_wait_ms = 60 * 1000;
    config->dns_min_ttl_ms = 1000;
    config->dns_max_ttl_ms = 60 * 1000;
    config->dns_hold_empty_ms = 10 * 1000;
    config->dns_server_count = 1;
    (void)rc_address_parse_ip("127.0.0.1", 8800, &config->admin);
    (void)rc_address_parse_ip("127.0.0.1", 8500, &config->agent);
    (void)rc_address_parse_ip("127.0.0.1", 8600, &config->dns_servers[0]);
    return config;
}

/* Every top-level statement of this name. */
static int read_all(struct config_reader *reader, const char *name,
                    int (*read)(struct config_reader *, size_t, void *))
{
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent == CONFIG_TEXT_NONE &&
            rc_text_equals(config_word_at(reader, i, 0)->text, name)) {
            err = read(reader, i, reader->config);
        }
    }
    return err;
}

/* `services DOMAIN` may make a pool, wherever it stands. */
static size_t count_services(const struct config_reader *reader)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        count += rc_text_equals(config_word_at(reader, i, 0)->text, "services") ? 1 : 0;
    }
    return count;
}

/* Whoever finds this proxy in the catalog asks it for its figures. */
static int check_register(struct config_reader *reader)
{
    const struct config *config = reader->config;
    if (config->register_name[0] == '\0' || config->figures.family != RC_ADDRESS_NONE) {
        return RC_OK;
    }
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        if (rc_text_equals(config_word_at(reader, i, 0)->text, "register")) {
            return config_fault(reader, config_word_at(reader, i, 0),
                                "what is registered must answer: add "
                                "\"figures ADDRESS:PORT\"");
        }
    }
    return RC_OK;
}

static int read_file(struct config_reader *reader)
{
    size_t listeners = config_count(reader, CONFIG_TEXT_NONE, "listen");
    size_t pools =
        config_count(reader, CONFIG_TEXT_NONE, "pool") + count_services(reader);
    reader->config = create_with_defaults(pools, listeners);
    if (reader->config == NULL) {
        return RC_ENOMEM;
    }
    int err = config_read_block(reader, CONFIG_TEXT_NONE, top_rules, reader->config);
    if (err == RC_OK) {
        err = check_register(reader);
    }
    if (err == RC_OK) {
        err = read_all(reader, "pool", config_read_pool);
    }
    if (err == RC_OK) {
        err = read_all(reader, "listen", config_read_listener);
    }
    if (err == RC_OK && listeners == 0) {
        err = config_fault_at(reader, 1, 0, "nothing to do: no \"listen\" in it");
    }
    return err != RC_OK ? err : config_number_routes(reader->config);
}

int config_parse(const char *name, const char *text, size_t size, struct config **out,
                 char error[CONFIG_ERROR_MAX])
{
    struct config_reader reader = {
        .name = name, .text = text, .size = size, .error = error};
    struct config_text_fault fault = {0};

    error[0] = '\0';
    if (size > CONFIG_FILE_MAX) {
        return config_fault_at(&reader, 1, 0, "the file is larger than 1 MiB");
    }
    int err = config_text_init(text, size, &reader.words, &fault);
    if (err == RC_EMALFORMED) {
        return config_fault_at(&reader, fault.line, fault.column, "%s", fault.why);
    }
    if (err != RC_OK) {
        return err;
    }
    err = read_file(&reader);
    config_text_fini(&reader.words);
    if (err != RC_OK) {
        config_destroy(reader.config);
        return err;
    }
    *out = reader.config;
    return RC_OK;
}

int config_load(const char *path, struct config **out, char error[CONFIG_ERROR_MAX])
{
    struct rc_buffer bytes = {0};
    errno = 0;
    int err = rc_file_read(path, CONFIG_FILE_MAX, &bytes);
    if (err == RC_OK) {
        err = config_parse(path, rc_buffer_string(&bytes), bytes.size, out, error);
    } else {
        (void)snprintf(error, CONFIG_ERROR_MAX, "%.200s: cannot be read: %s", path,
                       err == RC_ETOOBIG || errno == 0 ? rc_strerror(err)
                                                       : strerrordesc_np(errno));
        err = err == RC_ENOMEM ? err : RC_EIO;
    }
    rc_buffer_fini(&bytes);
    return err;
}

static void destroy_listener(struct config_listener *listener)
{
    free(listener->secure.certificates);
    for (size_t i = 0; i < listener->host_count; i++) {
        struct config_host *host = &listener->hosts[i];
        for (size_t k = 0; k < host->route_count; k++) {
            config_route_fini(&host->routes[k]);
        }
        free(host->routes);
    }
    free(listener->hosts);
    free(listener->log_template);
    free(listener->trusted);
    free(listener->proxied);
}

void config_destroy(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->pool_count; i++) {
        free(config->pools[i].statics);
    }
    for (size_t i = 0; i < config->listener_count; i++) {
        destroy_listener(&config->listeners[i]);
    }
    free(config->pools);
    free(config->listeners);
    free(config);
}

bool config_trusts(const struct config_listener *listener, const struct rc_address *peer)
{
    return rc_network_has(listener->trusted, listener->trusted_count, peer);
}
