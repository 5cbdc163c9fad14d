/* config_route.c - the words of a route, and the order in which routes are tried. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

#define FIELD(name) offsetof(struct config_route, name)

static int read_route_pool(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    int err = config_expect_words(reader, statement, 1, 1);
    return err != RC_OK ? err
                        : config_read_pool_name(
                              reader, config_word_at(reader, statement, 1), &route->pool);
}

/* True for a word of a route, or of a listener that is one. */
static bool is_of_route(const struct config_reader *reader, size_t statement)
{
    int parent = reader->words.statements[statement].parent;
    if (parent < 0) {
        return false;
    }
    const char *around = config_word_at(reader, (size_t)parent, 0)->text;
    return rc_text_equals(around, "route") || rc_text_equals(around, "listen");
}

/* What metrics and the log call a route: a word that needs no quotes anywhere. */
static int read_name(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule name = {
        .kind = CONFIG_RULE_TEXT, .offset = FIELD(label), .max = CONFIG_NAME_MAX};
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.";
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (word->text[strspn(word->text, allowed)] != '\0') {
        return config_fault(reader, word,
                            "a route's name has letters, digits, \"-\", \"_\" and \".\"");
    }
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        const struct config_word *other = config_word_at(reader, i, 1);
        if (i < statement && other != NULL &&
            rc_text_equals(config_word_at(reader, i, 0)->text, "name") &&
            rc_text_equals(other->text, word->text) && is_of_route(reader, i)) {
            return config_fault(
                reader, word, "the route in line %u has this name already", other->line);
        }
    }
    ((struct config_route *)into)->named = true;
    return config_read_value(reader, word, &name, into);
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

static int read_hedge(struct config_reader *reader, size_t statement, void *route)
{
    static const struct config_rule rule = {
        "hedge", CONFIG_RULE_DURATION, FIELD(hedge_ms), 1, HOUR_MS, NULL};
    int err = config_expect_words(reader, statement, 1, 1);
    const struct config_word *word = config_word_at(reader, statement, 1);

    if (err != RC_OK || rc_text_equals(word->text, "off")) {
        return err;
    }
    return config_read_value(reader, word, &rule, route);
}

static int read_retry(struct config_reader *reader, size_t statement, void *route)
{
    static const struct config_rule rules[] = {
        {"attempts", CONFIG_RULE_COUNT, FIELD(retry_attempts), 1, 10, NULL},
        {"on_status", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_statuses},
        {"idempotency_key", CONFIG_RULE_FLAG, FIELD(retry_by_key), 0, 0, NULL},
        {"draining_posts", CONFIG_RULE_FLAG, FIELD(retry_draining_posts), 0, 0, NULL},
        {"hedge", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_hedge},
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

static const struct config_rule route_rules[] = {
    {"pool", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_route_pool},
    {"services", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_services},
    {"redirect", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_redirect},
    {"answer", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_answer},
    {"when", CONFIG_RULE_CALL, 0, 0, 0, config_read_when},
    {"name", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_name},
    {"rewrite", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_rewrite},
    {"request_header", CONFIG_RULE_CALL, 0, 0, 0, config_read_request_header},
    {"response_header", CONFIG_RULE_CALL, 0, 0, 0, config_read_response_header},
    {"via", CONFIG_RULE_FLAG, FIELD(via), 0, 0, NULL},
    {"forwarded", CONFIG_RULE_FLAG, FIELD(forwarded), 0, 0, NULL},
    {"body_limit", CONFIG_RULE_SIZE, FIELD(body_limit_bytes), 0, INT64_MAX, NULL},
    {"connect_timeout", CONFIG_RULE_DURATION, FIELD(connect_timeout_ms), 1, HOUR_MS,
     NULL},
    {"response_timeout", CONFIG_RULE_DURATION, FIELD(response_timeout_ms), 1, DAY_MS,
     NULL},
    {"retry", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_retry},
    {"upgrade", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_upgrade},
    {"tunnel_idle", CONFIG_RULE_DURATION, FIELD(tunnel_idle_ms), 1, DAY_MS, NULL},
    {0},
};

/* Words that mean something else where no `route` is around them. */
static const struct config_rule inner_rules[] = {
    {"maintenance", CONFIG_RULE_CALL_ONCE, 0, 0, 0, config_read_route_maintenance},
    {"body_timeout", CONFIG_RULE_DURATION, FIELD(body_timeout_ms), 1, HOUR_MS, NULL},
    {"limit", CONFIG_RULE_CALL, 0, 0, 0, config_read_route_limit},
};

enum {
    OWN = sizeof route_rules / sizeof route_rules[0] - 1,
    INNER = sizeof inner_rules / sizeof inner_rules[0]
};

struct config_route config_default_route(void)
{
    return (struct config_route){.match = CONFIG_MATCH_PREFIX,
                                 .prefix = "/",
                                 .prefix_size = 1,
                                 .retry_attempts = 3,
                                 .upgrade_websocket = true,
                                 .tunnel_idle_ms = HOUR_MS};
}

bool config_has_action(const struct config_reader *reader, int parent)
{
    return config_count(reader, parent, "pool") +
               config_count(reader, parent, "services") +
               config_count(reader, parent, "redirect") +
               config_count(reader, parent, "answer") >
           0;
}

bool config_has_route_words(const struct config_reader *reader, int parent)
{
    size_t count = 0;
    for (size_t i = 0; i < OWN; i++) {
        count += config_count(reader, parent, route_rules[i].name);
    }
    return count > 0;
}

int config_check_host_words(struct config_reader *reader, size_t statement)
{
    struct config_rule rules[OWN + 3];
    memcpy(rules, route_rules, sizeof route_rules);
    for (size_t i = 0; i < OWN; i++) {
        rules[i].kind = CONFIG_RULE_ELSEWHERE;
    }
    rules[OWN] = (struct config_rule){"route", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL};
    rules[OWN + 1] =
        (struct config_rule){"maintenance", CONFIG_RULE_ELSEWHERE, 0, 0, 0, NULL};
    rules[OWN + 2] = (struct config_rule){0};
    return config_read_block(reader, (int)statement, rules, NULL);
}

/* One thing is done with a request. */
static int check_action(struct config_reader *reader, size_t statement)
{
    static const char *const actions[] = {"pool", "services", "redirect", "answer"};
    const struct config_word *first = NULL;
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent != (int)statement) {
            continue;
        }
        const struct config_word *word = config_word_at(reader, i, 0);
        for (size_t k = 0; k < sizeof actions / sizeof actions[0]; k++) {
            if (!rc_text_equals(word->text, actions[k])) {
                continue;
            }
            if (first != NULL && !rc_text_equals(first->text, word->text)) {
                return config_fault(reader, word,
                                    "\"%s\" beside \"%s\": a route does one of them",
                                    word->text, first->text);
            }
            first = word;
        }
    }
    return RC_OK;
}

static int check_domain(struct config_reader *reader, size_t statement, const char *host,
                        const struct config_route *route)
{
    const struct config_word *word = config_word_at(reader, statement, 0);
    if (route->action != CONFIG_TO_SERVICE) {
        return RC_OK;
    }
    if (!reader->config->pools[route->pool].pattern) {
        return config_fault(reader, word, "pool \"%s\" is not \"from agent service *\"",
                            reader->config->pools[route->pool].name);
    }
    if (host[0] == '*' && host[1] == '.' && rc_text_equals(host + 2, route->domain)) {
        return RC_OK;
    }
    return config_fault(reader, word, "\"services %s\" belongs in \"host *.%s\"",
                        route->domain, route->domain);
}

static int check_pattern(struct config_reader *reader, size_t statement,
                         const struct config_route *route)
{
    if (route->action == CONFIG_TO_POOL && reader->config->pools[route->pool].pattern) {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "pool \"%s\" gets its services from requests: use "
                            "\"services DOMAIN pool %s\"",
                            reader->config->pools[route->pool].name,
                            reader->config->pools[route->pool].name);
    }
    return RC_OK;
}

int config_read_route(struct config_reader *reader, size_t statement, const char *host,
                      struct config_route *route)
{
    struct config_rule rules[OWN + INNER + 1];
    bool inner = rc_text_equals(config_word_at(reader, statement, 0)->text, "route");

    memcpy(rules, route_rules, sizeof route_rules);
    if (inner) {
        memcpy(rules + OWN, inner_rules, sizeof inner_rules);
    }
    rules[OWN + (inner ? INNER : 0)] = (struct config_rule){0};
    int err = check_action(reader, statement);
    if (err == RC_OK) {
        err = inner ? config_read_block(reader, (int)statement, rules, route)
                    : config_read_some(reader, (int)statement, rules, route);
    }
    if (err == RC_OK) {
        err = check_domain(reader, statement, host, route);
    }
    if (err == RC_OK) {
        err = check_pattern(reader, statement, route);
    }
    route->touches = route->via || route->forwarded || route->rewrites ||
                     route->request.count > 0 || route->response.count > 0;
    return err;
}

static void end_edits(struct config_edits *edits)
{
    for (size_t i = 0; i < edits->count; i++) {
        free(edits->items[i].name);
        template_fini(&edits->items[i].value);
    }
    free(edits->items);
}

static void end_condition(struct config_condition *condition)
{
    free(condition->name);
    free(condition->value);
    pattern_destroy(condition->pattern);
    for (size_t i = 0; i < CONFIG_METHODS_MAX; i++) {
        free(condition->methods[i]);
    }
    free(condition->networks);
}

void config_route_fini(struct config_route *route)
{
    for (size_t i = 0; i < route->condition_count; i++) {
        end_condition(&route->conditions[i]);
    }
    free(route->conditions);
    pattern_destroy(route->pattern);
    template_fini(&route->rewrite);
    template_fini(&route->target);
    end_edits(&route->request);
    end_edits(&route->response);
    free(route->content_type);
    free(route->text);
}
