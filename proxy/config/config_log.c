/* config_log.c - `access_log` of `listen http`. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "proxy/config/config_blocks.h"
#include "proxy/config/log_template.h"

#define FIELD(name) offsetof(struct config_listener, name)

/* off | stdout | [file] PATH; where the form would stand, or 0. */
static int read_place(struct config_reader *reader, size_t statement,
                      struct config_listener *listener, size_t *form_at)
{
    static const char *const places[] = {"off", "stdout", "file", NULL};
    static const struct config_rule path = {
        .kind = CONFIG_RULE_TEXT, .offset = FIELD(log_path), .max = 256};
    const struct config_word *word = config_word_at(reader, statement, 1);
    size_t place = 0;

    if (strchr(word->text, '/') != NULL) { /* the path itself */
        *form_at = 2;
        listener->log_form = CONFIG_LOG_JSON;
        return config_read_value(reader, word, &path, listener);
    }
    int err = config_read_choice(reader, word, places, &place);
    if (err != RC_OK || place == 0) {
        *form_at = 0;
        return err != RC_OK ? err : config_expect_words(reader, statement, 1, 1);
    }
    listener->log_form = CONFIG_LOG_JSON;
    *form_at = place == 2 ? 3 : 2;
    if (place == 2) {
        err = config_expect_words(reader, statement, 2, 4);
        return err != RC_OK
                   ? err
                   : config_read_value(reader, config_word_at(reader, statement, 2),
                                       &path, listener);
    }
    return RC_OK;
}

static int read_template(struct config_reader *reader, const struct config_word *word,
                         struct config_listener *listener)
{
    size_t column = 0;
    char name[32];

    listener->log_template = calloc(1, sizeof *listener->log_template);
    if (listener->log_template == NULL) {
        return RC_ENOMEM;
    }
    listener->log_form = CONFIG_LOG_TEMPLATE;
    int err = log_template_parse(word->text, listener->log_template, &column, name);
    if (err == RC_ETOOBIG) {
        return config_fault(reader, word, "this format is longer than %d bytes",
                            LOG_TEMPLATE_MAX - 1);
    }
    if (err == RC_OK) {
        return RC_OK;
    }
    if (name[0] == '\0') {
        return config_fault(reader, word,
                            "byte %zu of this format: \"$\" without a name (\"$$\" is a "
                            "dollar), or a control character",
                            column + 1);
    }
    return config_fault(reader, word, "no field \"$%s\": did you mean \"$%s\"?", name,
                        log_field_nearest(name));
}

static bool wants(const struct config_listener *listener, enum log_field field)
{
    switch (listener->log_form) {
    case CONFIG_LOG_OFF:
        return false;
    case CONFIG_LOG_JSON:
        return true;
    case CONFIG_LOG_COMBINED:
        return field == LOG_FIELD_REFERRER || field == LOG_FIELD_AGENT;
    case CONFIG_LOG_TEMPLATE:
        return log_template_has(listener->log_template, field);
    }
    return false;
}

static int read_form(struct config_reader *reader, size_t statement, size_t form_at,
                     struct config_listener *listener)
{
    static const char *const forms[] = {"json", "combined", "format", NULL};
    const struct config_word *word = config_word_at(reader, statement, form_at);
    size_t form = 0;

    if (word == NULL) {
        return config_expect_words(reader, statement, 1, form_at - 1);
    }
    int err = config_read_choice(reader, word, forms, &form);
    size_t more = form == 2 ? 1 : 0;
    if (err == RC_OK) {
        err = config_expect_words(reader, statement, form_at + more, form_at + more);
    }
    if (err == RC_OK && form == 1) {
        listener->log_form = CONFIG_LOG_COMBINED;
    } else if (err == RC_OK && form == 2) {
        err = read_template(reader, config_word_at(reader, statement, form_at + 1),
                            listener);
    }
    return err;
}

/* access_log off | stdout [FORM] | [file] PATH [FORM]; FORM is json, combined or format TEXT. */
int config_read_access_log(struct config_reader *reader, size_t statement, void *into)
{
    struct config_listener *listener = into;
    size_t form_at = 0;

    int err = config_expect_words(reader, statement, 1, 4);
    if (err == RC_OK) {
        err = read_place(reader, statement, listener, &form_at);
    }
    if (err == RC_OK && form_at > 0) {
        err = read_form(reader, statement, form_at, listener);
    }
    if (err == RC_OK) {
        bool trace =
            wants(listener, LOG_FIELD_TRACE_ID) || wants(listener, LOG_FIELD_TRACEPARENT);
        listener->log_wants_agent =
            wants(listener, LOG_FIELD_AGENT) || wants(listener, LOG_FIELD_REFERRER);
        listener->log_wants_trace = trace;
    }
    return err;
}
