/* config_http.c - hosts and routes of `listen http`. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config_blocks.h"

enum { DAY_MS = 24 * 3600 * 1000 };

#define FIELD(name) offsetof(struct config_route, name)

static int read_route_pool(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    int err = config_expect_words(reader, statement, 1, 1);
    return err != RC_OK ? err
                        : config_read_pool_name(
                              reader, config_word_at(reader, statement, 1), &route->pool);
}

static int read_statuses(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule status = {
        .kind = CONFIG_RULE_COUNT, .min = 500, .max = 599};
    struct config_route *route = into;

    int err = config_expect_words(reader, statement, 1, CONFIG_STATUS_MAX - 1);
    size_t count = reader->words.statements[statement].word_count - 1;
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        uint32_t value = 0;
        err = config_read_value(reader, config_word_at(reader, statement, i + 1), &status,
                                &value);
        route->retry_status[i] = (uint16_t)value;
    }
    return err;
}

static int read_retry(struct config_reader *reader, size_t statement, void *route)
{
    static const struct config_rule rules[] = {
        {"attempts", CONFIG_RULE_COUNT, FIELD(retry_attempts), 1, 10, NULL},
        {"on_status", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_statuses},
        {0},
    };
    int err = config_expect_words(reader, statement, 0, 0);
    return err != RC_OK ? err : config_read_block(reader, (int)statement, rules, route);
}

static int read_upgrade(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"off", "websocket", NULL};
    struct config_route *route = into;
    size_t chosen = 0;
    int err = config_read_only_choice(reader, statement, names, &chosen);
    route->upgrade_websocket = chosen == 1;
    return err;
}

/* clang-format off */
#define ROUTE_WORDS                                                                     \
    {"pool", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_route_pool},                          \
    {"body_limit", CONFIG_RULE_SIZE, FIELD(body_limit_bytes), 0, INT64_MAX, NULL},      \
    {"retry", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_retry},                              \
    {"upgrade", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_upgrade},                          \
    {"tunnel_idle", CONFIG_RULE_DURATION, FIELD(tunnel_idle_ms), 1, DAY_MS, NULL}
/* clang-format on */

static const struct config_rule route_rules[] = {ROUTE_WORDS, {0}};

/* The same words directly in `listen http`; the rest there is config_listen.c's. */
static const struct config_rule own_route_rules[] = {
    ROUTE_WORDS,
    {"host", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"route", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"trust_forwarded", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"access_log", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"head_timeout", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"body_timeout", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"keepalive", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {"max_connections", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
    {0},
};

static struct config_route default_route(void)
{
    return (struct config_route){.prefix = "/",
                                 .retry_attempts = 3,
                                 .upgrade_websocket = true,
                                 .tunnel_idle_ms = 3600 * 1000};
}

static int read_route(struct config_reader *reader, size_t statement,
                      struct config_host *host)
{
    static const struct config_rule prefix = {.kind = CONFIG_RULE_TEXT,
                                              .offset = FIELD(prefix),
                                              .max = sizeof host->routes->prefix};
    const struct config_word *word = config_word_at(reader, statement, 1);
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    struct config_route *route = &host->routes[host->route_count];
    *route = default_route();
    err = config_read_value(reader, word, &prefix, route);
    if (err == RC_OK && word->text[0] != '/') {
        err = config_fault(reader, word, "a route begins with \"/\"");
    }
    for (size_t i = 0; err == RC_OK && i < host->route_count; i++) {
        if (rc_text_equals(host->routes[i].prefix, route->prefix)) {
            err = config_fault(reader, word, "the route \"%s\" stands here twice",
                               route->prefix);
        }
    }
    if (err == RC_OK && config_count(reader, (int)statement, "pool") == 0) {
        err = config_fault(reader, word, "this route has no pool");
    }
    host->route_count++;
    return err != RC_OK ? err
                        : config_read_block(reader, (int)statement, route_rules, route);
}

/* All `route` statements directly in `parent`. */
static int read_routes(struct config_reader *reader, int parent, struct config_host *host)
{
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        const struct config_statement *s = &reader->words.statements[i];
        if (s->parent != parent ||
            !rc_text_equals(config_word_at(reader, i, 0)->text, "route")) {
            continue;
        }
        int err = read_route(reader, i, host);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static int longest_first(const void *a, const void *b)
{
    size_t left = strlen(((const struct config_route *)a)->prefix);
    size_t right = strlen(((const struct config_route *)b)->prefix);
    return left < right ? 1 : left > right ? -1 : 0;
}

/* Exact names before "*.x" (longer first) before "*". */
static int rank(const struct config_host *host)
{
    if (host->name[0] != '*') {
        return 0;
    }
    return host->name[1] != '\0' ? 1 : 2;
}

static int most_exact_first(const void *a, const void *b)
{
    const struct config_host *left = a;
    const struct config_host *right = b;
    if (rank(left) != rank(right)) {
        return rank(left) - rank(right);
    }
    size_t left_size = strlen(left->name);
    size_t right_size = strlen(right->name);
    return left_size < right_size ? 1 : left_size > right_size ? -1 : 0;
}

static int read_host(struct config_reader *reader, size_t statement,
                     struct config_listener *listener)
{
    static const struct config_rule rules[] = {
        {"route", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL},
        {0},
    };
    static const struct config_rule name = {.kind = CONFIG_RULE_TEXT,
                                            .offset = offsetof(struct config_host, name),
                                            .max = CONFIG_NAME_MAX};
    const struct config_word *word = config_word_at(reader, statement, 1);
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    struct config_host *host = &listener->hosts[listener->host_count];
    size_t routes = config_count(reader, (int)statement, "route");
    if (routes == 0) {
        return config_fault(reader, word, "this host has no route");
    }
    host->routes = calloc(routes, sizeof *host->routes);
    listener->host_count++;
    if (host->routes == NULL) {
        return RC_ENOMEM;
    }
    err = config_read_value(reader, word, &name, host);
    for (char *at = host->name; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    for (size_t i = 0; err == RC_OK && i + 1 < listener->host_count; i++) {
        if (rc_text_equals(listener->hosts[i].name, host->name)) {
            err = config_fault(reader, word, "the host \"%s\" stands here twice",
                               host->name);
        }
    }
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, rules, host);
    }
    return err != RC_OK ? err : read_routes(reader, (int)statement, host);
}

/* True if a word of a route stands directly in the listener. */
static bool has_own_words(const struct config_reader *reader, size_t statement)
{
    size_t count = 0;
    for (const struct config_rule *rule = route_rules; rule->name != NULL; rule++) {
        count += config_count(reader, (int)statement, rule->name);
    }
    return count > 0;
}

/* `pool` and the other words of a route directly in `listen http`: route "/" of host "*". */
static int read_own_route(struct config_reader *reader, size_t statement,
                          struct config_host *host)
{
    const struct config_word *word = config_word_at(reader, statement, 0);
    if (config_count(reader, (int)statement, "pool") == 0) {
        return config_fault(reader, word, "words of a route here, but no \"pool\"");
    }
    for (size_t i = 0; i < host->route_count; i++) {
        if (rc_text_equals(host->routes[i].prefix, "/")) {
            return config_fault(reader, word,
                                "both \"pool\" and \"route /\": one too many");
        }
    }
    struct config_route *route = &host->routes[host->route_count++];
    *route = default_route();
    return config_read_block(reader, (int)statement, own_route_rules, route);
}

/* What stands directly in `listen http` is host "*". */
static int read_any_host(struct config_reader *reader, size_t statement,
                         struct config_listener *listener)
{
    size_t routes = config_count(reader, (int)statement, "route");
    for (size_t i = 0; i < listener->host_count; i++) {
        if (rc_text_equals(listener->hosts[i].name, "*")) {
            return config_fault(reader, config_word_at(reader, statement, 0),
                                "both \"host *\" and routes without a host");
        }
    }
    struct config_host *host = &listener->hosts[listener->host_count];
    host->routes = calloc(routes + 1, sizeof *host->routes);
    listener->host_count++;
    if (host->routes == NULL) {
        return RC_ENOMEM;
    }
    (void)rc_text_put(host->name, sizeof host->name, "*");
    int err = read_routes(reader, (int)statement, host);
    if (err == RC_OK && has_own_words(reader, statement)) {
        err = read_own_route(reader, statement, host);
    }
    return err;
}

int config_read_hosts(struct config_reader *reader, size_t statement,
                      struct config_listener *listener)
{
    size_t hosts = config_count(reader, (int)statement, "host");
    bool any = config_count(reader, (int)statement, "route") > 0 ||
               has_own_words(reader, statement);
    if (hosts == 0 && !any) {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "this listener sends nowhere: add \"pool NAME\" or "
                            "\"host NAME { route / { pool NAME } }\"");
    }
    listener->hosts = calloc(hosts + 1, sizeof *listener->hosts);
    if (listener->hosts == NULL) {
        return RC_ENOMEM;
    }
    int err = RC_OK;
    for (size_t i = 0; err == RC_OK && i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent == (int)statement &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "host")) {
            err = read_host(reader, i, listener);
        }
    }
    if (err == RC_OK && any) {
        err = read_any_host(reader, statement, listener);
    }
    for (size_t i = 0; err == RC_OK && i < listener->host_count; i++) {
        struct config_host *host = &listener->hosts[i];
        if (host->route_count > 1) {
            qsort(host->routes, host->route_count, sizeof *host->routes, longest_first);
        }
    }
    if (err == RC_OK && listener->host_count > 1) {
        qsort(listener->hosts, listener->host_count, sizeof *listener->hosts,
              most_exact_first);
    }
    return err;
}
