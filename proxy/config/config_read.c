/* config_read.c - see config_read.h. */
#include "proxy/config/config_read.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { RULES_MAX = 64 };

const struct config_word *config_word_at(const struct config_reader *reader,
                                         size_t statement, size_t index)
{
    const struct config_statement *s = &reader->words.statements[statement];
    return index < s->word_count ? &reader->words.words[s->first_word + index] : NULL;
}

size_t config_count(const struct config_reader *reader, int parent, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < reader->words.statement_count; i++) {
        const struct config_statement *s = &reader->words.statements[i];
        if (s->parent == parent &&
            rc_text_equals(reader->words.words[s->first_word].text, name)) {
            count++;
        }
    }
    return count;
}

/* The source line below the message, with a caret under `column`; tabs stay tabs. */
static void show_line(const struct config_reader *reader, unsigned line, unsigned column)
{
    const char *at = reader->text;
    const char *end = reader->text + reader->size;
    for (unsigned i = 1; i < line && at < end; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        at = next != NULL ? next + 1 : end;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t size = (size_t)((stop != NULL ? stop : end) - at);
    if (size > 200) {
        size = 200;
    }
    char *error = reader->error;
    size_t used = strlen(error);
    if (column == 0 || column > size + 1 || used + 2 * size + 8 > CONFIG_ERROR_MAX) {
        return;
    }
    error[used++] = '\n';
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)at[i];
        error[used++] = (char)(byte < 0x20 && byte != '\t' ? ' ' : byte);
    }
    error[used++] = '\n';
    for (size_t i = 0; i + 1 < column; i++) {
        error[used++] = at[i] == '\t' ? '\t' : ' ';
    }
    error[used++] = '^';
    error[used] = '\0';
}

enum { WHAT_MAX = 400 };

static int say(struct config_reader *reader, unsigned line, unsigned column,
               const char *what)
{
    (void)snprintf(reader->error, CONFIG_ERROR_MAX, "%.200s:%u:%u: %s", reader->name,
                   line, column, what);
    rc_text_to_line(reader->error, CONFIG_ERROR_MAX);
    show_line(reader, line, column);
    return RC_EMALFORMED;
}

int config_fault(struct config_reader *reader, const struct config_word *word,
                 const char *format, ...)
{
    char what[WHAT_MAX];
    va_list arguments;
    va_start(arguments, format);
    /* The checker forgets va_start when it looks at several files. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return say(reader, word->line, word->column, what);
}

int config_fault_at(struct config_reader *reader, unsigned line, unsigned column,
                    const char *format, ...)
{
    char what[WHAT_MAX];
    va_list arguments;
    va_start(arguments, format);
    /* The checker forgets va_start when it looks at several files. */
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return say(reader, line, column, what);
}

int config_expect_words(struct config_reader *reader, size_t statement, size_t min,
                        size_t max)
{
    const struct config_statement *s = &reader->words.statements[statement];
    const struct config_word *name = &reader->words.words[s->first_word];
    size_t count = s->word_count - 1;
    if (count < min) {
        return config_fault(reader, name, "\"%.100s\" needs %s", name->text,
                            min == 1 ? "a value" : "more values");
    }
    if (count > max) {
        const struct config_word *extra = config_word_at(reader, statement, max + 1);
        return config_fault(reader, extra, "one word too many after \"%.100s\"",
                            name->text);
    }
    return RC_OK;
}

/* --- suggestions --- */

struct suggestion {
    const char *name;
    unsigned distance;
};

static void consider(struct suggestion *best, const char *given, const char *name)
{
    unsigned distance = rc_text_distance(given, name);
    if (distance < best->distance) {
        *best = (struct suggestion){name, distance};
    }
}

static bool is_near(const struct suggestion *best, const char *given)
{
    return best->name != NULL && best->distance <= 1 + strlen(given) / 4;
}

static int unknown_word(struct config_reader *reader, const struct config_word *word,
                        const struct config_rule *rules)
{
    struct suggestion best = {NULL, 64};
    for (size_t i = 0; rules[i].name != NULL; i++) {
        consider(&best, word->text, rules[i].name);
    }
    if (is_near(&best, word->text)) {
        return config_fault(reader, word, "unknown word \"%.100s\": did you mean \"%s\"?",
                            word->text, best.name);
    }
    return config_fault(reader, word, "unknown word \"%.100s\" here", word->text);
}

int config_read_choice(struct config_reader *reader, const struct config_word *word,
                       const char *const *names, size_t *out)
{
    struct suggestion best = {NULL, 64};
    char all[256];
    size_t used = 0;

    all[0] = '\0';
    for (size_t i = 0; names[i] != NULL; i++) {
        if (rc_text_equals(word->text, names[i])) {
            *out = i;
            return RC_OK;
        }
        consider(&best, word->text, names[i]);
        int wrote =
            snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", names[i]);
        used += wrote > 0 && (size_t)wrote < sizeof all - used ? (size_t)wrote : 0;
    }
    if (is_near(&best, word->text)) {
        return config_fault(reader, word, "unknown \"%.100s\": did you mean \"%s\"?",
                            word->text, best.name);
    }
    return config_fault(reader, word, "unknown \"%.100s\": one of %s", word->text, all);
}

int config_read_only_choice(struct config_reader *reader, size_t statement,
                            const char *const *names, size_t *out)
{
    int err = config_expect_words(reader, statement, 1, 1);
    return err != RC_OK ? err
                        : config_read_choice(reader, config_word_at(reader, statement, 1),
                                             names, out);
}

/* --- values --- */

static int out_of_range(struct config_reader *reader, const struct config_word *word,
                        const struct config_rule *rule)
{
    if (rule->kind == CONFIG_RULE_DURATION) {
        char low[32];
        char high[32];
        rc_text_from_duration_ns(rule->min * 1000000, low, sizeof low);
        rc_text_from_duration_ns(rule->max * 1000000, high, sizeof high);
        return config_fault(reader, word, "\"%.60s\" is out of range: %s to %s",
                            word->text, low, high);
    }
    return config_fault(reader, word, "\"%.60s\" is out of range: %llu to %llu",
                        word->text, (unsigned long long)rule->min,
                        (unsigned long long)rule->max);
}

static int put_u32(struct config_reader *reader, const struct config_word *word,
                   const struct config_rule *rule, uint64_t value, void *field)
{
    if (value < rule->min || value > rule->max || value > UINT32_MAX) {
        return out_of_range(reader, word, rule);
    }
    uint32_t small = (uint32_t)value;
    memcpy(field, &small, sizeof small);
    return RC_OK;
}

static int read_duration(struct config_reader *reader, const struct config_word *word,
                         const struct config_rule *rule, void *field)
{
    uint64_t ns = 0;
    uint64_t plain = 0;
    if (rc_text_to_u64(word->text, UINT64_MAX, &plain) == RC_OK && plain != 0) {
        return config_fault(reader, word, "a duration needs a unit: \"%.40ss\"?",
                            word->text);
    }
    if (rc_text_to_duration_ns(word->text, &ns) != RC_OK) {
        return config_fault(reader, word,
                            "\"%.60s\" is no duration, such as 200ms, 10s, 1m30s",
                            word->text);
    }
    if (ns > 0 && ns < 1000000) {
        return config_fault(reader, word, "shorter than a millisecond");
    }
    return put_u32(reader, word, rule, ns / 1000000, field);
}

/* "4096B" -> 4096: the one unit that rc_text_to_size does not know. */
static bool read_plain_bytes(const char *text, uint64_t *out)
{
    char digits[24];
    size_t size = strlen(text);
    if (size < 2 || size > sizeof digits || text[size - 1] != 'B') {
        return false;
    }
    memcpy(digits, text, size - 1);
    digits[size - 1] = '\0';
    return rc_text_to_u64(digits, UINT64_MAX, out) == RC_OK;
}

static int read_size(struct config_reader *reader, const struct config_word *word,
                     const struct config_rule *rule, void *field)
{
    uint64_t size = 0;
    uint64_t plain = 0;
    if (rc_text_to_u64(word->text, UINT64_MAX, &plain) == RC_OK && plain != 0) {
        return config_fault(reader, word, "a size needs a unit: \"%.40sKiB\"?",
                            word->text);
    }
    if (!read_plain_bytes(word->text, &size) &&
        rc_text_to_size(word->text, &size) != RC_OK) {
        return config_fault(reader, word,
                            "\"%.60s\" is no size, such as 64KiB, 8MB, 1GiB", word->text);
    }
    if (size < rule->min || size > rule->max) {
        return out_of_range(reader, word, rule);
    }
    memcpy(field, &size, sizeof size);
    return RC_OK;
}

static int read_percent(struct config_reader *reader, const struct config_word *word,
                        const struct config_rule *rule, void *field)
{
    char digits[8];
    uint64_t value = 0;
    size_t size = strlen(word->text);
    if (size < 2 || size > 4 || word->text[size - 1] != '%') {
        return config_fault(reader, word, "\"%.60s\" is no percentage, such as 50%%",
                            word->text);
    }
    memcpy(digits, word->text, size - 1);
    digits[size - 1] = '\0';
    if (rc_text_to_u64(digits, 999, &value) != RC_OK) {
        return config_fault(reader, word, "\"%.60s\" is no percentage, such as 50%%",
                            word->text);
    }
    return put_u32(reader, word, rule, value, field);
}

/* "1.25" -> 125; at most two places. */
static int read_factor(struct config_reader *reader, const struct config_word *word,
                       const struct config_rule *rule, void *field)
{
    uint32_t value = 0;
    size_t places = 0;
    bool point = false;
    const char *at = word->text;
    for (; *at != '\0' && at - word->text < 8 && places < 2; at++) {
        if (*at == '.' && !point && at != word->text) {
            point = true;
        } else if (*at >= '0' && *at <= '9') {
            value = value * 10 + (uint32_t)(*at - '0');
            places += point ? 1 : 0;
        } else {
            break;
        }
    }
    if (*at != '\0' || at == word->text) {
        return config_fault(reader, word, "\"%.60s\" is no factor, such as 1.25",
                            word->text);
    }
    for (; places < 2; places++) {
        value *= 10;
    }
    return put_u32(reader, word, rule, value, field);
}

static int read_text(struct config_reader *reader, const struct config_word *word,
                     const struct config_rule *rule, void *field)
{
    if (word->text[0] == '\0') {
        return config_fault(reader, word, "an empty name");
    }
    if (rc_text_put(field, (size_t)rule->max, word->text) != RC_OK) {
        return config_fault(reader, word, "longer than %llu bytes",
                            (unsigned long long)rule->max - 1);
    }
    return RC_OK;
}

static int read_address(struct config_reader *reader, const struct config_word *word,
                        void *field)
{
    struct rc_address address;
    if (rc_address_parse(word->text, 0, &address) != RC_OK || address.port == 0) {
        return config_fault(
            reader, word,
            "\"%.80s\" is no address with a port, such as 127.0.0.1:80 or "
            "[::1]:80",
            word->text);
    }
    memcpy(field, &address, sizeof address);
    return RC_OK;
}

static int read_count(struct config_reader *reader, const struct config_word *word,
                      const struct config_rule *rule, void *field)
{
    uint64_t value = 0;
    if (rc_text_to_u64(word->text, UINT64_MAX, &value) != RC_OK) {
        return config_fault(reader, word, "\"%.60s\" is no whole number", word->text);
    }
    return put_u32(reader, word, rule, value, field);
}

static int read_flag(struct config_reader *reader, const struct config_word *word,
                     void *field)
{
    static const char *const names[] = {"off", "on", NULL};
    size_t chosen = 0;
    int err = config_read_choice(reader, word, names, &chosen);
    if (err == RC_OK) {
        *(bool *)field = chosen == 1;
    }
    return err;
}

int config_read_value(struct config_reader *reader, const struct config_word *word,
                      const struct config_rule *rule, void *into)
{
    char *field = (char *)into + rule->offset;
    switch (rule->kind) {
    case CONFIG_RULE_DURATION:
        return read_duration(reader, word, rule, field);
    case CONFIG_RULE_SIZE:
        return read_size(reader, word, rule, field);
    case CONFIG_RULE_COUNT:
        return read_count(reader, word, rule, field);
    case CONFIG_RULE_PERCENT:
        return read_percent(reader, word, rule, field);
    case CONFIG_RULE_FACTOR:
        return read_factor(reader, word, rule, field);
    case CONFIG_RULE_TEXT:
        return read_text(reader, word, rule, field);
    case CONFIG_RULE_ADDRESS:
        return read_address(reader, word, field);
    case CONFIG_RULE_FLAG:
        return read_flag(reader, word, field);
    case CONFIG_RULE_CALL:
    case CONFIG_RULE_CALL_ONCE:
    case CONFIG_RULE_ELSEWHERE:
        break;
    }
    return RC_EINVAL;
}

/* --- blocks --- */

static int read_statement(struct config_reader *reader, size_t statement,
                          const struct config_rule *rule, void *into)
{
    if (rule->kind == CONFIG_RULE_ELSEWHERE) {
        return RC_OK;
    }
    if (rule->read != NULL) {
        return rule->read(reader, statement, into);
    }
    if (reader->words.statements[statement].block) {
        return config_fault(reader, config_word_at(reader, statement, 0),
                            "\"%s\" has no block", rule->name);
    }
    int err = config_expect_words(reader, statement, 1, 1);
    return err != RC_OK ? err
                        : config_read_value(reader, config_word_at(reader, statement, 1),
                                            rule, into);
}

static bool may_repeat(const struct config_rule *rule)
{
    return rule->kind == CONFIG_RULE_CALL || rule->kind == CONFIG_RULE_ELSEWHERE;
}

enum strangers { STRANGERS_REFUSED, STRANGERS_PASSED };

static int read_block(struct config_reader *reader, int parent,
                      const struct config_rule *rules, void *into,
                      enum strangers strangers)
{
    unsigned first_line[RULES_MAX] = {0};

    for (size_t i = 0; i < reader->words.statement_count; i++) {
        if (reader->words.statements[i].parent != parent) {
            continue;
        }
        const struct config_word *name = config_word_at(reader, i, 0);
        size_t rule = 0;
        while (rules[rule].name != NULL &&
               !rc_text_equals(rules[rule].name, name->text)) {
            rule++;
        }
        assert(rule < RULES_MAX);
        if (rules[rule].name == NULL) {
            if (strangers == STRANGERS_PASSED) {
                continue;
            }
            return unknown_word(reader, name, rules);
        }
        if (first_line[rule] != 0 && !may_repeat(&rules[rule])) {
            return config_fault(reader, name,
                                "\"%s\" stands here twice: first in line %u", name->text,
                                first_line[rule]);
        }
        first_line[rule] = name->line;
        int err = read_statement(reader, i, &rules[rule], into);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

int config_read_block(struct config_reader *reader, int parent,
                      const struct config_rule *rules, void *into)
{
    return read_block(reader, parent, rules, into, STRANGERS_REFUSED);
}

int config_read_some(struct config_reader *reader, int parent,
                     const struct config_rule *rules, void *into)
{
    return read_block(reader, parent, rules, into, STRANGERS_PASSED);
}
