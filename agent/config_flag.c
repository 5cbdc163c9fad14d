/* config_flag.c - words of the command line, applied like keys of a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_apply.h"
#include "agent/config_type.h"
#include "base/err.h"
#include "base/text.h"

enum { FLAG_MAX = 64 };

static int fail(struct agent_config_reader *reader, const char *flag, const char *text)
{
    (void)snprintf(reader->error, AGENT_CONFIG_ERROR_MAX, "-%.64s: %.600s", flag, text);
    return RC_EINVAL;
}

static const struct agent_config_key *find_flag(const char *name)
{
    for (size_t i = 0; i < agent_config_key_count; i++) {
        if (rc_text_equals(agent_config_keys[i].flag, name)) {
            return &agent_config_keys[i];
        }
    }
    return NULL;
}

static int refuse_unknown(struct agent_config_reader *reader, const char *name)
{
    const char *nearest = NULL;
    unsigned least = 3;

    for (size_t i = 0; i < agent_config_key_count; i++) {
        const char *flag = agent_config_keys[i].flag;
        unsigned distance = flag != NULL ? rc_text_distance(name, flag) : least;
        if (distance < least) {
            least = distance;
            nearest = flag;
        }
    }
    if (nearest != NULL) {
        (void)snprintf(reader->error, AGENT_CONFIG_ERROR_MAX,
                       "unknown flag -%.64s; did you mean -%s?", name, nearest);
    } else {
        (void)snprintf(reader->error, AGENT_CONFIG_ERROR_MAX, "unknown flag -%.64s",
                       name);
    }
    return RC_EINVAL;
}

int agent_config_next_flag(struct agent_config_reader *reader, size_t count,
                           char *const *words, size_t *at, struct agent_config_flag *out)
{
    const char *word = words[(*at)++];
    char name[FLAG_MAX];

    if (word[0] != '-' || word[1] == '\0') {
        (void)snprintf(
            reader->error, AGENT_CONFIG_ERROR_MAX,
            "unexpected argument \"%.200s\"; settings are flags, such as -node", word);
        return RC_EINVAL;
    }
    word += word[1] == '-' ? 2 : 1; /* -flag and --flag are the same */
    const char *equals = strchr(word, '=');
    struct rc_span span = {word, equals != NULL ? (size_t)(equals - word) : strlen(word)};
    if (span.size >= sizeof name) {
        return refuse_unknown(reader, word);
    }
    memcpy(name, span.at, span.size);
    name[span.size] = '\0';
    out->key = find_flag(name);
    if (out->key == NULL) {
        return refuse_unknown(reader, name);
    }
    out->name = out->key->flag;
    if (equals != NULL) {
        out->value = equals + 1;
    } else if (out->key->type == &definition_bool_type) {
        out->value = "true";
    } else if (*at < count) {
        out->value = words[(*at)++];
    } else {
        return fail(reader, name, "needs a value");
    }
    return RC_OK;
}

/* strconv.ParseBool's words, which Go's flags take. */
static json_t *bool_of(const char *text)
{
    static const char *const yes[] = {"true", "1", "t", "T", "TRUE", "True"};
    static const char *const no[] = {"false", "0", "f", "F", "FALSE", "False"};

    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        if (strcmp(text, yes[i]) == 0) {
            return json_true();
        }
        if (strcmp(text, no[i]) == 0) {
            return json_false();
        }
    }
    return NULL;
}

static json_t *number_of(const char *text)
{
    uint64_t number = 0;
    bool is_negative = text[0] == '-';

    if (rc_text_to_u64(text + (is_negative ? 1 : 0), INT64_MAX, &number) != RC_OK) {
        return NULL;
    }
    return json_integer(is_negative ? -(json_int_t)number : (json_int_t)number);
}

static json_t *pair_of(const char *text)
{
    const char *colon = strchr(text, ':');
    json_t *object = colon != NULL ? json_object() : NULL;
    struct rc_span key = {text, colon != NULL ? (size_t)(colon - text) : 0};
    char *name = object != NULL ? rc_text_copy_span(key) : NULL;

    if (name != NULL) {
        (void)json_object_set_new(object, name, json_string(colon + 1));
    }
    free(name);
    return object;
}

/* The value as a file would have it; NULL, and `*must` what it should be, if it cannot be. */
static json_t *value_of(const struct agent_config_flag *flag, const char **must)
{
    const struct definition_field_type *type = flag->key->type;

    if (type == &definition_bool_type) {
        *must = "must be true or false";
        return bool_of(flag->value);
    }
    if (type == &agent_config_port_type || type == &agent_config_count_type) {
        *must = "must be a whole number";
        return number_of(flag->value);
    }
    if (type == &agent_config_meta_type) {
        *must = "must be key:value";
        return pair_of(flag->value);
    }
    *must = "must be UTF-8 text";
    return json_string(flag->value);
}

static int warn(struct agent_config_reader *reader, const struct agent_config_flag *flag)
{
    struct definition_list *warnings = &reader->config->warnings;
    void *items = warnings->items;
    char **line = definition_grow(&items, &warnings->count, sizeof *line);

    if (line == NULL) {
        return RC_ENOMEM;
    }
    warnings->items = items;
    *line = rc_text_format("-%s: has no effect in rollcall", flag->name);
    return *line != NULL ? RC_OK : RC_ENOMEM;
}

int agent_config_apply_flag(struct agent_config_reader *reader,
                            const struct agent_config_flag *flag)
{
    struct definition_fault fault = {0};
    struct definition_reader values = {DEFINITION_FILE, &fault};
    const char *must = NULL;
    char text[128];

    if (flag->key->effect == CONFIG_WARNS) {
        return warn(reader, flag);
    }
    if (flag->key->effect == CONFIG_SILENT) {
        return RC_OK;
    }
    json_t *json = value_of(flag, &must);
    if (json == NULL) {
        (void)snprintf(text, sizeof text, "%s, not \"%.64s\"", must, flag->value);
        return fail(reader, flag->name, text);
    }
    struct definition_value value = {NULL, flag->name, flag->name, json};
    int err = flag->key->type->read(&values, &value,
                                    (char *)reader->config + flag->key->offset);
    if (err == RC_EMALFORMED || err == RC_EINVAL) {
        bool named = rc_text_starts_with(fault.text, flag->name);
        (void)snprintf(reader->error, AGENT_CONFIG_ERROR_MAX, "%s%s%s%.400s", "-",
                       named ? "" : flag->name, named ? "" : ": ", fault.text);
        err = RC_EINVAL;
    }
    json_decref(json);
    return err;
}
