/* config_pool.c - `pool NAME { ... }` of the configuration. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

#define FIELD(name) offsetof(struct config_pool, name)

/* from agent postgres CLUSTER */
static int read_from_keepers(struct config_reader *reader, size_t statement,
                             struct config_pool *pool)
{
    static const struct config_rule name = {
        .kind = CONFIG_RULE_TEXT, .offset = FIELD(postgres), .max = CONFIG_NAME_MAX};
    const struct config_word *word = config_word_at(reader, statement, 3);
    if (word == NULL || config_word_at(reader, statement, 4) != NULL) {
        return config_fault(reader, config_word_at(reader, statement, 2),
                            "expected: from agent postgres CLUSTER");
    }
    if (pool->postgres[0] != '\0') {
        return config_fault(reader, word, "this pool follows a cluster already");
    }
    return config_read_value(reader, word, &name, pool);
}

static int read_view_loss(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"close", "keep", NULL};
    struct config_pool *pool = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    pool->view_keep = chosen == 1;
    return err;
}

static int read_from_agent(struct config_reader *reader, size_t statement,
                           struct config_pool *pool)
{
    static const struct config_rule name = {
        .kind = CONFIG_RULE_TEXT, .offset = 0, .max = CONFIG_NAME_MAX};
    const struct config_word *word = config_word_at(reader, statement, 2);
    if (word != NULL && rc_text_equals(word->text, "postgres")) {
        return read_from_keepers(reader, statement, pool);
    }
    if (word == NULL || !rc_text_equals(word->text, "service")) {
        return config_fault(reader,
                            word != NULL ? word : config_word_at(reader, statement, 1),
                            "expected: from agent service NAME [tag TAG]");
    }
    if (pool->service[0] != '\0' || pool->pattern) {
        return config_fault(reader, word, "this pool has a service already");
    }
    const struct config_word *service = config_word_at(reader, statement, 3);
    const struct config_word *tag = config_word_at(reader, statement, 4);
    const struct config_word *tag_name = config_word_at(reader, statement, 5);
    if (service == NULL || (tag != NULL && !rc_text_equals(tag->text, "tag")) ||
        (tag != NULL && tag_name == NULL) ||
        config_word_at(reader, statement, 6) != NULL) {
        return config_fault(reader, word, "expected: from agent service NAME [tag TAG]");
    }
    pool->pattern = rc_text_equals(service->text, "*");
    int err =
        pool->pattern ? RC_OK : config_read_value(reader, service, &name, pool->service);
    if (err == RC_OK && tag_name != NULL) {
        err = config_read_value(reader, tag_name, &name, pool->tag);
    }
    return err;
}

/* from dns NAME | from dns A NAME port NUMBER */
static int read_from_dns(struct config_reader *reader, size_t statement,
                         struct config_pool *pool)
{
    static const struct config_rule name = {.kind = CONFIG_RULE_TEXT,
                                            .offset = FIELD(dns_name),
                                            .max = sizeof pool->dns_name};
    static const struct config_rule port = {
        .kind = CONFIG_RULE_COUNT, .offset = FIELD(dns_port), .min = 1, .max = 65535};
    const struct config_word *word = config_word_at(reader, statement, 2);
    if (pool->dns_name[0] != '\0') {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "this pool has a DNS name already");
    }
    const struct config_word *second = config_word_at(reader, statement, 3);
    if (second == NULL) {
        return config_read_value(reader, word, &name, pool);
    }
    const struct config_word *third = config_word_at(reader, statement, 4);
    const struct config_word *number = config_word_at(reader, statement, 5);
    if (!rc_text_equals(word->text, "A") || number == NULL ||
        !rc_text_equals(third->text, "port")) {
        return config_fault(reader, word,
                            "expected: from dns NAME, or from dns A NAME port NUMBER");
    }
    int err = config_read_value(reader, second, &name, pool);
    return err == RC_OK ? config_read_value(reader, number, &port, pool) : err;
}

static int read_from_file(struct config_reader *reader, size_t statement,
                          struct config_pool *pool)
{
    static const struct config_rule path = {
        .kind = CONFIG_RULE_TEXT, .offset = FIELD(file), .max = CONFIG_PATH_MAX};
    int err = config_expect_words(reader, statement, 2, 2);
    if (err == RC_OK && pool->file[0] != '\0') {
        err = config_fault(reader, config_word_at(reader, statement, 0),
                           "this pool has a file already");
    }
    return err == RC_OK ? config_read_value(reader, config_word_at(reader, statement, 2),
                                            &path, pool)
                        : err;
}

static int read_from(struct config_reader *reader, size_t statement, void *pool)
{
    static const char *const sources[] = {"agent", "dns", "file", NULL};
    size_t source = 0;
    int err = config_expect_words(reader, statement, 2, 5);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, 1), sources,
                                 &source);
    }
    if (err != RC_OK) {
        return err;
    }
    return source == 0   ? read_from_agent(reader, statement, pool)
           : source == 1 ? read_from_dns(reader, statement, pool)
                         : read_from_file(reader, statement, pool);
}

static int read_static(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule address = {
        .kind = CONFIG_RULE_ADDRESS, .offset = offsetof(struct config_static, address)};
    static const struct config_rule weight = {.kind = CONFIG_RULE_COUNT,
                                              .offset =
                                                  offsetof(struct config_static, weight),
                                              .max = 65535};
    struct config_pool *pool = into;
    struct config_static made = {.weight = 1};

    int err = config_expect_words(reader, statement, 1, 3);
    if (err == RC_OK) {
        err = config_read_value(reader, config_word_at(reader, statement, 1), &address,
                                &made);
    }
    const struct config_word *word = config_word_at(reader, statement, 2);
    if (err == RC_OK && word != NULL) {
        const struct config_word *value = config_word_at(reader, statement, 3);
        err =
            rc_text_equals(word->text, "weight") && value != NULL
                ? config_read_value(reader, value, &weight, &made)
                : config_fault(reader, word, "expected: static ADDRESS [weight NUMBER]");
    }
    for (size_t i = 0; err == RC_OK && i < pool->static_count; i++) {
        if (rc_address_equals(&pool->statics[i].address, &made.address)) {
            err = config_fault(reader, config_word_at(reader, statement, 1),
                               "this address stands in the pool already");
        }
    }
    if (err != RC_OK) {
        return err;
    }
    struct config_static *grown =
        realloc(pool->statics, (pool->static_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return RC_ENOMEM;
    }
    pool->statics = grown;
    pool->statics[pool->static_count++] = made;
    return RC_OK;
}

static int read_outlier(struct config_reader *reader, size_t statement, void *pool)
{
    static const struct config_rule rules[] = {
        {"failures", CONFIG_RULE_COUNT, FIELD(outlier_failures), 0, 1000000, NULL},
        {"base", CONFIG_RULE_DURATION, FIELD(outlier_base_ms), 1, 300000, NULL},
        {"max_ejected", CONFIG_RULE_PERCENT, FIELD(outlier_max_percent), 0, 100, NULL},
        {0},
    };
    int err = config_expect_words(reader, statement, 0, 0);
    return err != RC_OK ? err : config_read_block(reader, (int)statement, rules, pool);
}

/* server_tls { ca FILE; name NAME } */
static int read_server_tls(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rules[] = {
        {"ca", CONFIG_RULE_TEXT, FIELD(server_ca), 0, CONFIG_PATH_MAX, NULL},
        {"name", CONFIG_RULE_TEXT, FIELD(server_name), 0, CONFIG_NAME_MAX, NULL},
        {0},
    };
    struct config_pool *pool = into;
    int err = config_expect_words(reader, statement, 0, 0);
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, rules, into);
    }
    if (err == RC_OK && pool->server_ca[0] == '\0') {
        err =
            config_fault(reader, config_word_at(reader, statement, 0),
                         "servers are not trusted unseen: server_tls needs \"ca FILE\"");
    }
    return err;
}

static const struct config_rule pool_rules[] = {
    {"from", CONFIG_RULE_CALL, 0, 0, 0, read_from},
    {"static", CONFIG_RULE_CALL, 0, 0, 0, read_static},
    {"balance", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_balance},
    {"sticky", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_sticky},
    {"prefer", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_prefer},
    {"panic", CONFIG_RULE_PERCENT, FIELD(panic_percent), 0, 100, NULL},
    {"check", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_check},
    {"max_requests", CONFIG_RULE_COUNT, FIELD(max_requests), 0, 1000000, NULL},
    {"queue", CONFIG_RULE_COUNT, FIELD(queue_max), 0, 1000000, NULL},
    {"outlier", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_outlier},
    {"slow_start", CONFIG_RULE_DURATION, FIELD(slow_start_ms), 0, HOUR_MS, NULL},
    {"connect_timeout", CONFIG_RULE_DURATION, FIELD(connect_timeout_ms), 1, HOUR_MS,
     NULL},
    {"response_timeout", CONFIG_RULE_DURATION, FIELD(response_timeout_ms), 1, DAY_MS,
     NULL},
    {"queue_timeout", CONFIG_RULE_DURATION, FIELD(queue_timeout_ms), 0, HOUR_MS, NULL},
    {"idle", CONFIG_RULE_DURATION, FIELD(idle_ms), 0, HOUR_MS, NULL},
    {"max_connections", CONFIG_RULE_COUNT, FIELD(max_connections), 1, 1000000, NULL},
    {"probe_user", CONFIG_RULE_TEXT, FIELD(probe_user), 0, 64, NULL},
    {"probe_database", CONFIG_RULE_TEXT, FIELD(probe_database), 0, 64, NULL},
    {"probe_password", CONFIG_RULE_TEXT, FIELD(probe_password), 0, 128, NULL},
    {"view_max", CONFIG_RULE_DURATION, FIELD(view_max_ms), 200, HOUR_MS, NULL},
    {"view_loss", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_view_loss},
    {"max_lag_bytes", CONFIG_RULE_SIZE, FIELD(max_lag_bytes), 0, 1ULL << 40, NULL},
    {"max_lag", CONFIG_RULE_DURATION, FIELD(max_lag_ms), 0, HOUR_MS, NULL},
    {"read_drain", CONFIG_RULE_DURATION, FIELD(read_drain_ms), 0, HOUR_MS, NULL},
    {"proxy_protocol", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_proxy_send},
    {"server_tls", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_server_tls},
    {"probe_every", CONFIG_RULE_DURATION, FIELD(probe_every_ms), 20, 60000, NULL},
    {0},
};

static void set_defaults(struct config_pool *pool)
{
    *pool = (struct config_pool){
        .bounded_percent = 125,
        .connect_timeout_ms = 1000,
        .response_timeout_ms = 60 * 1000,
        .queue_timeout_ms = 1000,
        .idle_ms = 4000, /* below the five seconds of common servers */
        .max_connections = 1024,
        .queue_max = 1024,
        .outlier_failures = 5,
        .outlier_base_ms = 5000,
        .outlier_max_percent = 50,
        .probe_every_ms = 200,
        .read_drain_ms = 5000,
    };
    (void)rc_text_put(pool->probe_database, sizeof pool->probe_database, "postgres");
}

/* Who may be written there comes from the lease alone: nothing else may have a say in it. */
static int check_keepers(struct config_reader *reader, const struct config_word *word,
                         const struct config_pool *pool)
{
    bool other = pool->service[0] != '\0' || pool->file[0] != '\0' ||
                 pool->dns_name[0] != '\0' || pool->static_count > 0 ||
                 pool->probe_user[0] != '\0' || pool->pattern;
    if (pool->postgres[0] != '\0' && other) {
        return config_fault(reader, word,
                            "pool \"%s\" follows a cluster: other sources and probes "
                            "have no place in it",
                            pool->name);
    }
    return RC_OK;
}

int config_read_pool(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule name = {
        .kind = CONFIG_RULE_TEXT, .offset = FIELD(name), .max = CONFIG_NAME_MAX};
    struct config *config = into;
    const struct config_word *word = config_word_at(reader, statement, 1);

    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    struct config_pool *pool = &config->pools[config->pool_count];
    set_defaults(pool);
    pool->line = word->line;
    err = config_read_value(reader, word, &name, pool);
    for (size_t i = 0; err == RC_OK && i < config->pool_count; i++) {
        if (rc_text_equals(config->pools[i].name, pool->name)) {
            err = config_fault(reader, word, "there are two pools called \"%s\"",
                               pool->name);
        }
    }
    config->pool_count++; /* from here on config_destroy frees what it holds */
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, pool_rules, pool);
    }
    bool fewer = pool->max_requests > 0 && pool->max_requests < pool->max_connections;
    pool->in_flight_max = fewer ? pool->max_requests : pool->max_connections;
    if (err == RC_OK) {
        err = check_keepers(reader, word, pool);
    }
    if (err == RC_OK && pool->server_ca[0] != '\0' && pool->probe_user[0] != '\0') {
        err =
            config_fault(reader, word,
                         "the probe of pool \"%s\" speaks in the clear: it has no place "
                         "beside server_tls",
                         pool->name);
    }
    bool beside =
        pool->dns_name[0] != '\0' || pool->static_count > 0 || pool->file[0] != '\0';
    if (err == RC_OK && pool->pattern && beside) {
        err = config_fault(reader, word,
                           "pool \"%s\" gets its services from requests: other sources "
                           "have no place in it",
                           pool->name);
    }
    if (err == RC_OK && !pool->pattern && pool->postgres[0] == '\0' &&
        pool->service[0] == '\0' && pool->dns_name[0] == '\0' && pool->file[0] == '\0' &&
        pool->static_count == 0) {
        err = config_fault(
            reader, word,
            "pool \"%s\" has no source: add \"from agent service NAME\", "
            "\"from agent postgres CLUSTER\", \"from dns NAME\", \"from file PATH\" or "
            "\"static ADDRESS\"",
            pool->name);
    }
    return err;
}

int config_make_pattern_pool(struct config_reader *reader, const char *tag, size_t *out)
{
    struct config *config = reader->config;
    struct config_pool *pool = &config->pools[config->pool_count];
    char name[CONFIG_NAME_MAX];

    (void)snprintf(name, sizeof name, "services%s%s", tag[0] != '\0' ? ":" : "", tag);
    for (size_t i = 0; i < config->pool_count; i++) {
        if (rc_text_equals(config->pools[i].name, name)) {
            *out = i;
            return RC_OK;
        }
    }
    set_defaults(pool);
    pool->pattern = true;
    pool->in_flight_max = pool->max_connections;
    (void)rc_text_put(pool->name, sizeof pool->name, name);
    (void)rc_text_put(pool->tag, sizeof pool->tag, tag);
    *out = config->pool_count++;
    return RC_OK;
}

int config_read_pool_name(struct config_reader *reader, const struct config_word *word,
                          size_t *out)
{
    const struct config *config = reader->config;
    const char *nearest = NULL;
    unsigned distance = 64;

    for (size_t i = 0; i < config->pool_count; i++) {
        const char *name = config->pools[i].name;
        if (rc_text_equals(name, word->text)) {
            *out = i;
            return RC_OK;
        }
        if (rc_text_distance(name, word->text) < distance) {
            distance = rc_text_distance(name, word->text);
            nearest = name;
        }
    }
    if (nearest != NULL && distance <= 2) {
        return config_fault(reader, word, "no pool \"%.100s\": did you mean \"%s\"?",
                            word->text, nearest);
    }
    return config_fault(reader, word, "no pool \"%.100s\"", word->text);
}
