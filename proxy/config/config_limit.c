/* config_limit.c - see config_limit.h. */
#include "proxy/config/config_limit.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"

enum { RATE_MAX = 1000000, COUNT_MAX = 1000000 };

static const struct {
    const char *word; /* behind the slash */
    uint64_t us;
} periods[] = {
    [CONFIG_PER_SECOND] = {"s", UINT64_C(1000000)},
    [CONFIG_PER_MINUTE] = {"m", UINT64_C(60) * 1000000},
    [CONFIG_PER_HOUR] = {"h", UINT64_C(3600) * 1000000},
};

static const char *const kinds[] = {"rate", "concurrent", "connections", NULL};

const char *config_limit_kind_name(enum config_limit_kind kind)
{
    assert(kind < CONFIG_LIMIT_KIND_COUNT);
    return kinds[kind];
}

uint64_t config_limit_interval_us(const struct config_limit *limit)
{
    uint64_t interval_us = periods[limit->period].us / limit->count;
    return interval_us > 0 ? interval_us : 1;
}

/* "100/s", "10/m", "500/h". */
static int read_rate(struct config_reader *reader, const struct config_word *word,
                     struct config_limit *limit)
{
    char digits[16];
    uint64_t count = 0;
    const char *slash = strchr(word->text, '/');
    size_t size = slash != NULL ? (size_t)(slash - word->text) : 0;

    if (size == 0 || size >= sizeof digits) {
        return config_fault(reader, word, "\"%.60s\" is no rate, such as 100/s or 10/m",
                            word->text);
    }
    memcpy(digits, word->text, size);
    digits[size] = '\0';
    if (rc_text_to_u64(digits, RATE_MAX, &count) != RC_OK || count == 0) {
        return config_fault(reader, word, "\"%.60s\": 1 to %d in a period", word->text,
                            RATE_MAX);
    }
    limit->count = (uint32_t)count;
    for (unsigned i = 0; i < sizeof periods / sizeof periods[0]; i++) {
        if (rc_text_equals(slash + 1, periods[i].word)) {
            limit->period = (enum config_period)i;
            return RC_OK;
        }
    }
    return config_fault(reader, word, "\"%.60s\": a rate is in s, m or h", word->text);
}

static int read_count(struct config_reader *reader, const struct config_word *word,
                      uint32_t *out)
{
    static const struct config_rule count = {
        .kind = CONFIG_RULE_COUNT, .min = 1, .max = COUNT_MAX};
    return config_read_value(reader, word, &count, out);
}

/* `by source` or `by header NAME`, at word `at`, the last. */
static int read_key(struct config_reader *reader, size_t statement, size_t at,
                    struct config_limit *limit)
{
    static const char *const by[] = {"by", NULL};
    static const char *const keys[] = {"source", "header", NULL};
    static const struct config_rule header = {.kind = CONFIG_RULE_TEXT,
                                              .offset =
                                                  offsetof(struct config_limit, header),
                                              .max = CONFIG_LIMIT_HEADER_MAX};
    size_t chosen = 0;

    int err = config_expect_words(reader, statement, at + 1, at + 2);
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, at), by,
                                 &chosen);
    }
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, at + 1), keys,
                                 &chosen);
    }
    if (err != RC_OK) {
        return err;
    }
    err = config_expect_words(reader, statement, at + 1 + chosen, at + 1 + chosen);
    if (err == RC_OK && chosen == 1) {
        err = config_read_value(reader, config_word_at(reader, statement, at + 2),
                                &header, limit);
    }
    return err;
}

static int read_limit(struct config_reader *reader, size_t statement,
                      struct config_limits *limits, struct config_limit **out)
{
    const struct config_word *word = config_word_at(reader, statement, 1);
    size_t kind = 0;
    size_t at = 3;

    int err = config_expect_words(reader, statement, 4, 7);
    if (err == RC_OK) {
        err = config_read_choice(reader, word, kinds, &kind);
    }
    if (err != RC_OK) {
        return err;
    }
    if (limits->count == CONFIG_LIMITS_MAX) {
        return config_fault(reader, word, "at most %d limits in one place",
                            CONFIG_LIMITS_MAX);
    }
    struct config_limit *limit = &limits->items[limits->count];
    *limit = (struct config_limit){.kind = (enum config_limit_kind)kind};
    const struct config_word *much = config_word_at(reader, statement, 2);
    if (limit->kind != CONFIG_LIMIT_RATE) {
        err = read_count(reader, much, &limit->count);
    } else {
        err = read_rate(reader, much, limit);
        limit->burst = limit->count;
        if (err == RC_OK &&
            rc_text_equals(config_word_at(reader, statement, 3)->text, "burst")) {
            err = read_count(reader, config_word_at(reader, statement, 4), &limit->burst);
            at = 5;
        }
    }
    if (err == RC_OK) {
        err = read_key(reader, statement, at, limit);
    }
    limit->number = (uint32_t)reader->config->limit_count++;
    limits->count++;
    *out = limit;
    return err;
}

int config_read_route_limit(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    struct config_limit *limit = NULL;

    int err = read_limit(reader, statement, &route->limits, &limit);
    assert(err != RC_OK || limit != NULL);
    if (err == RC_OK && limit->kind == CONFIG_LIMIT_CONNECTIONS) {
        err = config_fault(reader, config_word_at(reader, statement, 1),
                           "connections are limited by listener, not by route");
    }
    return err;
}

int config_read_listener_limit(struct config_reader *reader, size_t statement, void *into)
{
    struct config_listener *listener = into;
    struct config_limit *limit = NULL;

    int err = read_limit(reader, statement, &listener->limits, &limit);
    if (err != RC_OK) {
        return err;
    }
    assert(limit != NULL);
    const struct config_word *word = config_word_at(reader, statement, 1);
    bool of_connections =
        listener->mode != CONFIG_HTTP || limit->kind == CONFIG_LIMIT_CONNECTIONS;
    if (of_connections && limit->header[0] != '\0') {
        return config_fault(reader, word, "a connection has no header: \"by source\"");
    }
    if (listener->mode != CONFIG_HTTP && limit->kind == CONFIG_LIMIT_CONCURRENT) {
        return config_fault(reader, word, "in this mode it is \"limit connections\"");
    }
    for (size_t i = 0; i + 1 < listener->limits.count; i++) {
        if (listener->limits.items[i].kind == CONFIG_LIMIT_CONNECTIONS &&
            limit->kind == CONFIG_LIMIT_CONNECTIONS) {
            return config_fault(reader, word, "\"limit connections\" stands here twice");
        }
    }
    return RC_OK;
}

void config_print_limits(const struct config_limits *limits, const char *indent,
                         struct rc_buffer *out)
{
    for (size_t i = 0; i < limits->count; i++) {
        const struct config_limit *limit = &limits->items[i];
        rc_buffer_format(out, "%slimit %s %u", indent, kinds[limit->kind], limit->count);
        if (limit->kind == CONFIG_LIMIT_RATE) {
            rc_buffer_format(out, "/%s burst %u", periods[limit->period].word,
                             limit->burst);
        }
        if (limit->header[0] != '\0') {
            rc_buffer_text(out, " by header ");
            config_put_text(out, limit->header);
        } else {
            rc_buffer_text(out, " by source");
        }
        rc_buffer_byte(out, '\n');
    }
}
