/* config_balance.c - who in a pool is chosen: `balance`, `sticky`, `prefer`, `check`. */
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

#define FIELD(name) offsetof(struct config_pool, name)
#define CHECK(name) offsetof(struct config_pool, check.name)

static const char *const key_names[CONFIG_KEY_COUNT + 1] = {
    [CONFIG_KEY_URI] = "uri",       [CONFIG_KEY_HEADER] = "header",
    [CONFIG_KEY_COOKIE] = "cookie", [CONFIG_KEY_QUERY] = "query",
    [CONFIG_KEY_SOURCE] = "source",
};

static bool has_name(enum config_key key)
{
    return key == CONFIG_KEY_HEADER || key == CONFIG_KEY_COOKIE ||
           key == CONFIG_KEY_QUERY;
}

/* A name of a header or cookie: what RFC 9110 section 5.6.2 calls a token. */
static int read_token(struct config_reader *reader, const struct config_word *word,
                      const struct config_rule *rule, void *into)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (const char *at = word->text; *at != '\0'; at++) {
        bool plain = (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                     (*at >= 'A' && *at <= 'Z');
        bool other = false;
        for (const char *o = others; *o != '\0'; o++) {
            other = other || *o == *at;
        }
        if (!plain && !other) {
            return config_fault(reader, word, "this name has letters, digits and %s only",
                                others);
        }
    }
    return config_read_value(reader, word, rule, into);
}

/* hash uri | source | header NAME | cookie NAME | query NAME */
static int read_hash(struct config_reader *reader, size_t statement,
                     struct config_pool *pool)
{
    static const struct config_rule rule = {.kind = CONFIG_RULE_TEXT,
                                            .offset = FIELD(hash_name),
                                            .max = sizeof pool->hash_name};
    const struct config_word *by = config_word_at(reader, statement, 2);
    const struct config_word *name = config_word_at(reader, statement, 3);
    size_t chosen = 0;
    if (by == NULL) {
        return config_fault(
            reader, config_word_at(reader, statement, 1),
            "expected: hash uri, hash source, hash header NAME, hash cookie "
            "NAME or hash query NAME");
    }
    int err = config_read_choice(reader, by, key_names, &chosen);
    if (err != RC_OK) {
        return err;
    }
    pool->hash_by = (enum config_key)chosen;
    if (has_name(pool->hash_by) != (name != NULL)) {
        return config_fault(reader, by,
                            name == NULL ? "the name is missing" : "this has no name");
    }
    return name != NULL ? read_token(reader, name, &rule, pool) : RC_OK;
}

int config_read_balance(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"round_robin", "least_request", "hash", NULL};
    static const struct config_rule hash_rules[] = {
        {"bounded", CONFIG_RULE_FACTOR, FIELD(bounded_percent), 0, 1000, NULL},
        {0},
    };
    static const struct config_rule no_rules[] = {{0}};
    struct config_pool *pool = into;
    size_t chosen = 0;

    int err = config_expect_words(reader, statement, 1, 3);
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (err == RC_OK && rc_text_equals(word->text, "uri_hash")) {
        err = config_fault(reader, word, "this is called \"hash uri\" now");
    }
    if (err == RC_OK) {
        err = config_read_choice(reader, word, names, &chosen);
    }
    if (err != RC_OK) {
        return err;
    }
    pool->balance = (enum config_balance)chosen;
    bool hash = pool->balance == CONFIG_HASH;
    err = hash ? read_hash(reader, statement, pool)
               : config_expect_words(reader, statement, 1, 1);
    if (err == RC_OK) {
        err =
            config_read_block(reader, (int)statement, hash ? hash_rules : no_rules, pool);
    }
    if (err == RC_OK && pool->bounded_percent > 0 && pool->bounded_percent < 105) {
        err = config_fault(reader, config_word_at(reader, statement, 0),
                           "bounded must be 0 (off) or at least 1.05");
    }
    return err;
}

/* sticky cookie NAME [key SECRET] */
int config_read_sticky(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rule = {
        .kind = CONFIG_RULE_TEXT,
        .offset = FIELD(sticky),
        .max = sizeof((struct config_pool *)NULL)->sticky};
    static const struct config_rule secret = {
        .kind = CONFIG_RULE_TEXT,
        .offset = FIELD(sticky_key),
        .max = sizeof((struct config_pool *)NULL)->sticky_key};
    int err = config_expect_words(reader, statement, 2, 4);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *key = config_word_at(reader, statement, 3);
    const struct config_word *value = config_word_at(reader, statement, 4);
    if (!rc_text_equals(config_word_at(reader, statement, 1)->text, "cookie") ||
        (key != NULL && (value == NULL || !rc_text_equals(key->text, "key")))) {
        return config_fault(reader, config_word_at(reader, statement, 1),
                            "expected: sticky cookie NAME [key SECRET]");
    }
    err = read_token(reader, config_word_at(reader, statement, 2), &rule, into);
    return err == RC_OK && value != NULL ? config_read_value(reader, value, &secret, into)
                                         : err;
}

/* prefer near DURATION */
int config_read_prefer(struct config_reader *reader, size_t statement, void *into)
{
    static const struct config_rule rule = {
        .kind = CONFIG_RULE_DURATION, .offset = FIELD(near_ms), .min = 1, .max = 60000};
    int err = config_expect_words(reader, statement, 2, 2);
    if (err != RC_OK) {
        return err;
    }
    if (!rc_text_equals(config_word_at(reader, statement, 1)->text, "near")) {
        return config_fault(reader, config_word_at(reader, statement, 1),
                            "expected: prefer near DURATION");
    }
    return config_read_value(reader, config_word_at(reader, statement, 2), &rule, into);
}

/* status 200-399 | status 204 */
static int read_status(struct config_reader *reader, size_t statement, void *into)
{
    struct config_pool *pool = into;
    char first[8];
    uint64_t low = 0;
    uint64_t high = 0;
    int err = config_expect_words(reader, statement, 1, 1);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *word = config_word_at(reader, statement, 1);
    (void)rc_text_put(first, sizeof first, word->text);
    const char *last = first;
    for (char *at = first; *at != '\0'; at++) {
        if (*at == '-') {
            *at = '\0';
            last = at + 1;
            break;
        }
    }
    if (rc_text_to_u64(first, 599, &low) != RC_OK ||
        rc_text_to_u64(last, 599, &high) != RC_OK || low < 100 || high < low) {
        return config_fault(reader, word, "expected statuses such as 204 or 200-399");
    }
    pool->check.status_min = (uint32_t)low;
    pool->check.status_max = (uint32_t)high;
    return RC_OK;
}

static const struct config_rule tcp_rules[] = {
    {"every", CONFIG_RULE_DURATION, CHECK(every_ms), 50, 3600000, NULL},
    {"timeout", CONFIG_RULE_DURATION, CHECK(timeout_ms), 10, 60000, NULL},
    {"failures", CONFIG_RULE_COUNT, CHECK(failures), 1, 1000, NULL},
    {"passes", CONFIG_RULE_COUNT, CHECK(passes), 1, 1000, NULL},
    {0},
};

static const struct config_rule http_rules[] = {
    {"every", CONFIG_RULE_DURATION, CHECK(every_ms), 50, 3600000, NULL},
    {"timeout", CONFIG_RULE_DURATION, CHECK(timeout_ms), 10, 60000, NULL},
    {"failures", CONFIG_RULE_COUNT, CHECK(failures), 1, 1000, NULL},
    {"passes", CONFIG_RULE_COUNT, CHECK(passes), 1, 1000, NULL},
    {"status", CONFIG_RULE_CALL_ONCE, 0, 0, 0, read_status},
    {"host", CONFIG_RULE_TEXT, CHECK(host), 0, CONFIG_NAME_MAX, NULL},
    {0},
};

/* What stands in a request line and in Host: nothing that ends them. */
static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text <= ' ' || *text > '~') {
            return false;
        }
    }
    return true;
}

/* check http PATH { ... } | check tcp { ... } */
int config_read_check(struct config_reader *reader, size_t statement, void *into)
{
    static const char *const names[] = {"http", "tcp", NULL};
    static const struct config_rule path = {
        .kind = CONFIG_RULE_TEXT,
        .offset = CHECK(path),
        .max = sizeof((struct config_check *)NULL)->path};
    struct config_pool *pool = into;
    size_t chosen = 0;
    pool->check = (struct config_check){.every_ms = 2000,
                                        .timeout_ms = 1000,
                                        .failures = 3,
                                        .passes = 2,
                                        .status_min = 200,
                                        .status_max = 399};
    int err = config_expect_words(reader, statement, 1, 2);
    const struct config_word *word = config_word_at(reader, statement, 1);
    if (err == RC_OK) {
        err = config_read_choice(reader, word, names, &chosen);
    }
    if (err != RC_OK) {
        return err;
    }
    bool http = chosen == 0;
    const struct config_word *where = config_word_at(reader, statement, 2);
    if (http != (where != NULL) || (http && where->text[0] != '/')) {
        return config_fault(reader, word, "expected: check http /PATH or check tcp");
    }
    pool->check.kind = http ? CONFIG_PROBE_HTTP : CONFIG_PROBE_TCP;
    err = http ? config_read_value(reader, where, &path, pool) : RC_OK;
    if (err == RC_OK) {
        err = config_read_block(reader, (int)statement, http ? http_rules : tcp_rules,
                                pool);
    }
    if (err == RC_OK &&
        !(is_printable(pool->check.path) && is_printable(pool->check.host))) {
        err = config_fault(reader, word, "a path or host has no spaces or control bytes");
    }
    return err;
}

/* --- as text --- */

static void put_duration(struct rc_buffer *out, const char *name, uint32_t ms)
{
    char text[32];
    rc_text_from_duration_ns((uint64_t)ms * 1000000, text, sizeof text);
    rc_buffer_format(out, "%s %s", name, text);
}

static void print_check(const struct config_check *check, struct rc_buffer *out)
{
    bool http = check->kind == CONFIG_PROBE_HTTP;
    if (check->kind == CONFIG_PROBE_NONE) {
        return;
    }
    rc_buffer_text(out, http ? "    check http \"" : "    check tcp");
    for (const char *at = check->path; http && *at != '\0'; at++) {
        if (*at == '"' || *at == '\\') {
            rc_buffer_byte(out, '\\');
        }
        rc_buffer_byte(out, (uint8_t)*at);
    }
    put_duration(out, http ? "\" { every" : " { every", check->every_ms);
    put_duration(out, "; timeout", check->timeout_ms);
    rc_buffer_format(out, "; failures %u; passes %u", check->failures, check->passes);
    if (http) {
        rc_buffer_format(out, "; status %u-%u", check->status_min, check->status_max);
    }
    if (check->host[0] != '\0') {
        rc_buffer_text(out, "; host \"");
        for (const char *at = check->host; *at != '\0'; at++) {
            if (*at == '"' || *at == '\\') {
                rc_buffer_byte(out, '\\');
            }
            rc_buffer_byte(out, (uint8_t)*at);
        }
        rc_buffer_byte(out, '"');
    }
    rc_buffer_text(out, " }\n");
}

void config_print_balance(const struct config_pool *pool, struct rc_buffer *out)
{
    rc_buffer_format(out, "    balance %s", config_balance_name(pool->balance));
    if (pool->balance == CONFIG_HASH) {
        rc_buffer_format(out, " %s", key_names[pool->hash_by]);
        if (has_name(pool->hash_by)) {
            rc_buffer_format(out, " \"%s\"", pool->hash_name);
        }
        rc_buffer_format(out, " { bounded %u.%02u }", pool->bounded_percent / 100,
                         pool->bounded_percent % 100);
    }
    rc_buffer_byte(out, '\n');
    if (pool->sticky[0] != '\0') {
        rc_buffer_format(out, "    sticky cookie \"%s\"%s\n", pool->sticky,
                         pool->sticky_key[0] != '\0' ? " # key is set, and not shown"
                                                     : "");
    }
    if (pool->near_ms > 0) {
        put_duration(out, "    prefer near", pool->near_ms);
        rc_buffer_byte(out, '\n');
    }
    rc_buffer_format(out, "    panic %u%%\n    max_requests %u\n    queue %u\n",
                     pool->panic_percent, pool->max_requests, pool->queue_max);
    print_check(&pool->check, out);
}
