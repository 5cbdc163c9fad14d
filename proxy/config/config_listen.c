/* config_listen.c - `listen MODE ADDRESS { ... }` of the configuration. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

#define FIELD(name) offsetof(struct config_listener, name)

static int read_trust(struct config_reader *reader, size_t statement, void *into)
{
    struct config_listener *listener = into;
    size_t count = reader->words.statements[statement].word_count - 1;
    int err = config_expect_words(reader, statement, 1, 64);
    if (err != RC_OK) {
        return err;
    }
    listener->trusted = calloc(count, sizeof *listener->trusted);
    if (listener->trusted == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        err = config_read_network(reader, config_word_at(reader, statement, i + 1),
                                  &listener->trusted[i]);
        listener->trusted_count++;
    }
    return err;
}

static int read_pool(struct config_reader *reader, size_t statement, void *into)
{
    struct config_listener *listener = into;
    int err = config_expect_words(reader, statement, 1, 1);
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (err == RC_OK) {
        err = config_read_pool_name(reader, word, &listener->pool);
    }
    if (err == RC_OK && reader->config->pools[listener->pool].pattern) {
        err =
            config_fault(reader, word, "pool \"%s\" gets its services from HTTP requests",
                         reader->config->pools[listener->pool].name);
    }
    return err;
}

static int read_target(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"any", "primary", "standby", NULL};
    struct config_listener *listener = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    listener->target = (enum config_target)chosen;
    return err;
}

static int read_fallback(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"none", "primary", NULL};
    struct config_listener *listener = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    listener->fallback_primary = chosen == 1;
    return err;
}

/* tls { certificate FILE; key FILE; ... } */
static int read_tls_end(struct config_reader *reader, size_t statement,
                        struct config_listener *listener)
{
    static const struct config_rule rules[] = {
        {"certificate", CONFIG_RULE_TEXT, FIELD(certificate), 0, CONFIG_PATH_MAX, NULL},
        {"key", CONFIG_RULE_TEXT, FIELD(key), 0, CONFIG_PATH_MAX, NULL},
        {"optional", CONFIG_RULE_FLAG, FIELD(tls_optional), 0, 0, NULL},
        {"limit", CONFIG_RULE_DURATION, FIELD(tls_limit_ms), 100, HOUR_MS, NULL},
        {0},
    };
    int err = config_expect_words(reader, statement, 0, 0);
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, rules, listener);
    }
    if (err == RC_OK && (listener->certificate[0] == '\0' || listener->key[0] == '\0')) {
        err = config_fault(reader, config_word_at(reader, statement, 0),
                           "TLS that ends here needs \"certificate FILE\" and "
                           "\"key FILE\"");
    }
    listener->tls = CONFIG_TLS_END;
    return err;
}

static int read_cancel(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"forward", "deny", NULL};
    struct config_listener *listener = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    listener->cancel = (enum config_cancel)chosen;
    return err;
}

static int read_tls(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"auto", "pass", "refuse", NULL};
    struct config_listener *listener = into;
    size_t chosen = 0;
    if (reader->words.statements[statement].block) {
        return read_tls_end(reader, statement, listener);
    }
    int err = config_read_only_choice(reader, statement, names, &chosen);
    listener->tls = (enum config_tls)chosen;
    return err;
}

/* probe_user and its kin may stand in the listener too: they belong to its pool. */
static int read_probe(struct config_reader *reader, size_t statement,
                      const struct config_rule *rule, struct config_pool *pool)
{
    char before[128];
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    if (pool->postgres[0] != '\0') {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "pool \"%s\" follows a cluster: it is not probed",
                            pool->name);
    }
    char *field = (char *)pool + rule->offset;
    (void)rc_text_put(before, sizeof before, field);
    const struct config_word *word = config_word_at(reader, statement, 1);
    err = config_read_value(reader, word, rule, pool);
    if (err == RC_OK && before[0] != '\0' && !rc_text_equals(before, field)) {
        err =
            config_fault(reader, word, "pool \"%s\" has another %s already: \"%s\"",
                         pool->name, config_word_at(reader, statement, 0)->text, before);
    }
    return err;
}

static int read_probe_user(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rule = {.kind = CONFIG_RULE_TEXT,
                                            .offset =
                                                offsetof(struct config_pool, probe_user),
                                            .max = 64};
    struct config_listener *listener = into;
    return read_probe(reader, statement, &rule, &reader->config->pools[listener->pool]);
}

static int read_probe_password(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rule = {
        .kind = CONFIG_RULE_TEXT,
        .offset = offsetof(struct config_pool, probe_password),
        .max = 128};
    struct config_listener *listener = into;
    return read_probe(reader, statement, &rule, &reader->config->pools[listener->pool]);
}

/* HTTP/2 without TLS, by its preface: only where that is said. */
static int read_http2(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"off", "clear", NULL};
    struct config_listener *listener = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    listener->http2_clear = chosen == 1;
    return err;
}

/* Between what any request needs and what a buffer holds. */
static int read_head_limit(struct config_reader *reader, size_t statement, void *into)
{
    enum { LEAST = 512, MOST = 16 * 1024 };
    uint64_t size = 0;
    static const struct config_rule rule = {.kind = CONFIG_RULE_SIZE, .max = MOST};
    struct config_listener *listener = into;

    int err = config_expect_words(reader, statement, 1, 1);
    if (err == RC_OK) {
        err =
            config_read_value(reader, config_word_at(reader, statement, 1), &rule, &size);
    }
    if (err == RC_OK && size < LEAST) {
        err = config_fault(reader, config_word_at(reader, statement, 1),
                           "too small: 512B to 16KiB");
    }
    listener->head_limit = (uint32_t)size;
    return err;
}

static const struct config_rule http_rules[] = {
    {"host", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"route", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"pool", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"name", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"when", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"services", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"redirect", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"answer", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"rewrite", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"request_header", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"response_header", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"maintenance", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"via", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"forwarded", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"connect_timeout", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"response_timeout", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"body_limit", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"retry", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"upgrade", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"tunnel_idle", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"trust_forwarded", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_trust},
    {"access_log", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_access_log},
    {"limit", CONFIG_RULE_CALL, 0, 0, 0, config_read_listener_limit},
    {"head_limit", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_head_limit},
    {"header_lines", CONFIG_RULE_COUNT, FIELD(header_lines), 8, 100, NULL},
    {"head_timeout", CONFIG_RULE_DURATION, FIELD(head_timeout_ms), 1, HOUR_MS, NULL},
    {"body_timeout", CONFIG_RULE_DURATION, FIELD(body_timeout_ms), 1, HOUR_MS, NULL},
    {"keepalive", CONFIG_RULE_DURATION, FIELD(keepalive_ms), 0, DAY_MS, NULL},
    {"http2", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_http2},
    {"http2_streams", CONFIG_RULE_COUNT, FIELD(http2_streams), 1, 10000, NULL},
    {"tls", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_secure},
    {"max_connections", CONFIG_RULE_COUNT, FIELD(max_connections), 1, 10000000, NULL},
    {"proxy_protocol", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_proxy_accept},
    {0},
};

static const struct config_rule tcp_rules[] = {
    {"pool", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_pool},
    {"limit", CONFIG_RULE_CALL, 0, 0, 0, config_read_listener_limit},
    {"tls", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_secure},
    {"idle", CONFIG_RULE_DURATION, FIELD(idle_ms), 0, DAY_MS, NULL},
    {"max_connections", CONFIG_RULE_COUNT, FIELD(max_connections), 1, 10000000, NULL},
    {"proxy_protocol", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_proxy_accept},
    {0},
};

static const struct config_rule postgres_rules[] = {
    {"pool", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_pool},
    {"limit", CONFIG_RULE_CALL, 0, 0, 0, config_read_listener_limit},
    {"target", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_target},
    {"fallback", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_fallback},
    {"wait_for_primary", CONFIG_RULE_DURATION, FIELD(wait_for_primary_ms), 0, HOUR_MS,
     NULL},
    {"max_waiting", CONFIG_RULE_COUNT, FIELD(max_waiting), 0, 100000, NULL},
    {"ramp", CONFIG_RULE_COUNT, FIELD(ramp), 0, 1000000, NULL},
    {"tls", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_tls},
    {"cancel", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_cancel},
    {"cancel_rate", CONFIG_RULE_COUNT, FIELD(cancel_rate), 0, 1000000, NULL},
    {"split", CONFIG_RULE_FLAG, FIELD(split), 0, 0, NULL},
    {"idle", CONFIG_RULE_DURATION, FIELD(idle_ms), 0, DAY_MS, NULL},
    {"max_connections", CONFIG_RULE_COUNT, FIELD(max_connections), 1, 10000000, NULL},
    {"proxy_protocol", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_proxy_accept},
    {"probe_user", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_probe_user},
    {"probe_password", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_probe_password},
    {0},
};

static const struct config_rule *const rules_of[CONFIG_MODE_COUNT] = {
    [CONFIG_HTTP] = http_rules,
    [CONFIG_TCP] = tcp_rules,
    [CONFIG_POSTGRES] = postgres_rules,
};

static struct config_listener default_listener(void)
{
    return (struct config_listener){
        .max_connections = 20000,
        .head_limit = 16 * 1024,
        .header_lines = 100,
        .log_form = CONFIG_LOG_OFF,
        .head_timeout_ms = 10 * 1000,
        .body_timeout_ms = 60 * 1000,
        .keepalive_ms = 75 * 1000,
        .http2_streams = 128,
        .wait_for_primary_ms = 10 * 1000,
        .max_waiting = 1000,
        .ramp = 200,
        .tls_limit_ms = 10 * 1000,
        .cancel_rate = 100,
    };
}

static int read_mode(struct config_reader *reader, const struct config_word *word,
                     enum config_mode *out)
{
    static const char *const names[] = {"http", "tcp", "postgres", NULL};
    size_t mode = 0;
    if (rc_text_equals(word->text, "https")) {
        return config_fault(
            reader, word,
            "say \"listen http ADDRESS\" with \"tls { certificate FILE key FILE }\" in it");
    }
    int err = config_read_choice(reader, word, names, &mode);
    *out = (enum config_mode)mode;
    return err;
}

/* The pool must be known before words that belong to it, wherever it stands in the block. */
static int read_pool_first(struct config_reader *reader, size_t statement,
                           struct config_listener *listener)
{
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent == (int)statement &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "pool")) {
            return read_pool(reader, i, listener);
        }
    }
    return config_fault(reader, config_word_at(reader, statement, 0),
                        "this listener sends nowhere: add \"pool NAME\"");
}

int config_read_listener(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule address = {.kind = CONFIG_RULE_ADDRESS,
                                               .offset = FIELD(address)};
    struct config *config = into;
    struct config_listener *listener = &config->listeners[config->listener_count];

    int err = config_expect_words(reader, statement, 2, 2);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *where = config_word_at(reader, statement, 2);
    *listener = default_listener();
    listener->line = where->line;
    config->listener_count++;
    err = read_mode(reader, config_word_at(reader, statement, 1), &listener->mode);
    if (err == RC_OK) {
        err = config_read_value(reader, where, &address, listener);
    }
    (void)snprintf(listener->port_text, sizeof listener->port_text, "%u",
                   (unsigned)listener->address.port);
    for (size_t i = 0; err == RC_OK && i + 1 < config->listener_count; i++) {
        if (rc_address_equals(&config->listeners[i].address, &listener->address)) {
            err =
                config_fault(reader, where,
                             "this address is taken already: by the listener in line %u",
                             config->listeners[i].line);
        }
    }
    if (err == RC_OK && listener->mode != CONFIG_HTTP) {
        err = read_pool_first(reader, statement, listener);
    }
    if (err == RC_OK) {
        err =
            config_read_block(reader, (int)statement, rules_of[listener->mode], listener);
    }
    if (err == RC_OK && listener->mode == CONFIG_HTTP) {
        err = config_read_hosts(reader, statement, listener);
    }
    return err;
}
