/* config_when.c - which requests a route takes: its path, and `when`. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"
#include "proxy/pattern/path_form.h"

const char *config_match_name(enum config_match match)
{
    static const char *const names[CONFIG_MATCH_COUNT] = {"exact", "regex", "prefix"};
    assert(match < CONFIG_MATCH_COUNT);
    return names[match];
}

/* --- the path --- */

int config_read_pattern(struct config_reader *reader, const struct config_word *word,
                        struct pattern **out)
{
    char why[160] = "";
    int err = pattern_compile(word->text, out, why);
    return err == RC_EMALFORMED
               ? config_fault(reader, word, "no regular expression: %s", why)
               : err;
}

/* Requests are compared in their normal form, and refused where a careless server could read
 * them otherwise: what is neither would wait for ever. */
static int read_path(struct config_reader *reader, const struct config_word *word,
                     struct config_route *route)
{
    char normal[CONFIG_PREFIX_MAX];
    char lax[CONFIG_PREFIX_MAX];
    size_t size = strlen(word->text);

    if (word->text[0] != '/') {
        return config_fault(reader, word, "a route begins with \"/\"");
    }
    if (size >= sizeof route->prefix) {
        return config_fault(reader, word, "longer than %zu bytes",
                            sizeof route->prefix - 1);
    }
    if (strpbrk(word->text, "?#") != NULL) {
        return config_fault(reader, word, "a route is a path, without \"?\" and \"#\"");
    }
    enum path_fault fault = path_form_normal(word->text, size, normal, &size);
    if (fault != PATH_SOUND) {
        return config_fault(reader, word, "%s", path_form_fault_text(fault));
    }
    if (path_form_lax(normal, size, lax) != size || memcmp(normal, lax, size) != 0) {
        return config_fault(reader, word,
                            "no request gets there: \"//\", \"%%2F\", \"%%5C\" and "
                            "\";\" do not choose a route");
    }
    memcpy(route->prefix, normal, size);
    route->prefix[size] = '\0';
    route->prefix_size = size;
    return RC_OK;
}

int config_read_match(struct config_reader *reader, size_t statement,
                      struct config_route *route)
{
    const struct config_word *first = config_word_at(reader, statement, 1);
    int err = config_expect_words(reader, statement, 1, 2);
    if (err != RC_OK) {
        return err;
    }
    const struct config_word *second = config_word_at(reader, statement, 2);
    route->line = first->line;
    if (second == NULL) {
        return read_path(reader, first, route);
    }
    if (rc_text_equals(first->text, "=")) {
        route->match = CONFIG_MATCH_EXACT;
        return read_path(reader, second, route);
    }
    if (!rc_text_equals(first->text, "~")) {
        return config_fault(reader, first,
                            "expected: route /prefix, route = /path, or route ~ REGEX");
    }
    route->match = CONFIG_MATCH_PATTERN;
    err = config_read_pattern(reader, second, &route->pattern);
    if (err == RC_OK && rc_text_put(route->prefix, sizeof route->prefix, second->text)) {
        err = config_fault(reader, second, "longer than %zu bytes",
                           sizeof route->prefix - 1);
    }
    route->prefix_size = strlen(route->prefix);
    return err;
}

/* --- conditions --- */

static bool is_token(const char *text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    size_t size = 0;
    for (; text[size] != '\0'; size++) {
        char byte = text[size];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                      (byte >= '0' && byte <= '9');
        if (!letter && strchr(others, byte) == NULL) {
            return false;
        }
    }
    return size > 0 && size < 128;
}

int config_read_field_name(struct config_reader *reader, const struct config_word *word,
                           char **out)
{
    if (!is_token(word->text)) {
        return config_fault(reader, word, "\"%.80s\" is no name of a field", word->text);
    }
    *out = rc_text_copy(word->text);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

/* [VALUE | ~ REGEX] behind the name. */
static int read_header(struct config_reader *reader, size_t statement, size_t at,
                       struct config_condition *condition)
{
    const struct config_word *name = config_word_at(reader, statement, at);
    const struct config_word *value = config_word_at(reader, statement, at + 1);
    const struct config_word *regex = config_word_at(reader, statement, at + 2);
    int err = config_expect_words(reader, statement, at, at + 2);
    if (err == RC_OK) {
        err = config_read_field_name(reader, name, &condition->name);
    }
    if (err != RC_OK || value == NULL) {
        return err;
    }
    if (rc_text_equals(value->text, "~") && regex != NULL) {
        condition->compare = CONFIG_IS_LIKE;
        return config_read_pattern(reader, regex, &condition->pattern);
    }
    if (regex != NULL) {
        return config_fault(reader, regex,
                            "expected: when header NAME, when header NAME VALUE, or "
                            "when header NAME ~ REGEX");
    }
    condition->compare = CONFIG_IS_EQUAL;
    condition->value = rc_text_copy(value->text);
    return condition->value != NULL ? RC_OK : RC_ENOMEM;
}

static int read_methods(struct config_reader *reader, size_t statement, size_t at,
                        struct config_condition *condition)
{
    size_t count = reader->words.statements[statement].word_count - at;
    int err = config_expect_words(reader, statement, at, at + CONFIG_METHODS_MAX - 2);
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        const struct config_word *word = config_word_at(reader, statement, at + i);
        if (!is_token(word->text)) {
            return config_fault(reader, word, "\"%.80s\" is no method", word->text);
        }
        condition->methods[i] = rc_text_copy(word->text);
        err = condition->methods[i] != NULL ? RC_OK : RC_ENOMEM;
    }
    return err;
}

static int read_sources(struct config_reader *reader, size_t statement, size_t at,
                        struct config_condition *condition)
{
    size_t count = reader->words.statements[statement].word_count - at;
    int err = config_expect_words(reader, statement, at, at + 64);
    if (err != RC_OK) {
        return err;
    }
    condition->networks = calloc(count, sizeof *condition->networks);
    if (condition->networks == NULL) {
        return RC_ENOMEM;
    }
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        err = config_read_network(reader, config_word_at(reader, statement, at + i),
                                  &condition->networks[i]);
        condition->network_count++;
    }
    return err;
}

static int read_condition(struct config_reader *reader, size_t statement,
                          struct config_condition *condition)
{
    static const char *const facts[] = {"header", "method", "source", NULL};
    size_t at = 1;
    size_t fact = 0;
    int err = config_expect_words(reader, statement, 2, 80);
    if (err == RC_OK &&
        rc_text_equals(config_word_at(reader, statement, at)->text, "not")) {
        condition->negated = true;
        err = config_expect_words(reader, statement, 3, 80);
        at++;
    }
    if (err == RC_OK) {
        err = config_read_choice(reader, config_word_at(reader, statement, at), facts,
                                 &fact);
    }
    if (err != RC_OK) {
        return err;
    }
    condition->fact = (enum config_fact)fact;
    switch (condition->fact) {
    case CONFIG_WHEN_HEADER:
        return read_header(reader, statement, at + 1, condition);
    case CONFIG_WHEN_METHOD:
        return read_methods(reader, statement, at + 1, condition);
    case CONFIG_WHEN_SOURCE:
        return read_sources(reader, statement, at + 1, condition);
    }
    return RC_OK;
}

int config_read_when(struct config_reader *reader, size_t statement, void *into)
{
    struct config_route *route = into;
    size_t size = (route->condition_count + 1) * sizeof *route->conditions;
    struct config_condition *grown = realloc(route->conditions, size);
    if (grown == NULL) {
        return RC_ENOMEM;
    }
    route->conditions = grown;
    struct config_condition *condition = &grown[route->condition_count++];
    *condition = (struct config_condition){0};
    return read_condition(reader, statement, condition);
}
