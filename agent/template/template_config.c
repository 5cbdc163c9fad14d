#include "agent/template/template_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/template/template_pace.h"
#include "base/buffer.h"
#include "base/err.h"
#include "base/text.h"

/* What is being read, and where the fault goes. */
struct reader {
    const struct rc_settings *settings;
    char *error; /* RC_SETTINGS_ERROR_MAX */
};

static int fail(const struct reader *r, const json_t *parent, const char *key,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

static int fail(const struct reader *r, const json_t *parent, const char *key,
                const char *format, ...)
{
    char where[300];
    va_list arguments;

    rc_settings_where(r->settings, parent, key, where, sizeof where);
    int size = snprintf(r->error, RC_SETTINGS_ERROR_MAX, "%s: ", where);
    va_start(arguments, format);
    (void)vsnprintf(r->error + size, RC_SETTINGS_ERROR_MAX - (size_t)size, format,
                    arguments);
    va_end(arguments);
    return RC_EMALFORMED;
}

/* ---- Values. */

enum setting_kind {
    SETTING_TEXT,     /* char * */
    SETTING_SECRET,   /* the same */
    SETTING_COMMAND,  /* struct template_command */
    SETTING_DURATION, /* uint64_t, ms */
    SETTING_COUNT,    /* uint64_t */
    SETTING_MODE,     /* int */
    SETTING_SWITCH,   /* bool */
    SETTING_UNSWITCH, /* the same, the other way round */
    SETTING_BLOCK     /* read elsewhere */
};

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
};

#define ENTRY(name, kind, field)                           \
    {                                                      \
        name, kind, offsetof(struct template_entry, field) \
    }
#define AGENT(name, kind, field)                           \
    {                                                      \
        name, kind, offsetof(struct template_agent, field) \
    }

static const struct setting entry_settings[] = {
    ENTRY("source", SETTING_TEXT, source),
    ENTRY("contents", SETTING_TEXT, contents),
    ENTRY("destination", SETTING_TEXT, destination),
    ENTRY("check", SETTING_COMMAND, check),
    ENTRY("reload", SETTING_COMMAND, reload),
    ENTRY("command", SETTING_COMMAND, reload), /* as consul-template calls it */
    ENTRY("command_timeout", SETTING_DURATION, command_ms),
    ENTRY("perms", SETTING_MODE, mode),
    ENTRY("user", SETTING_TEXT, user),
    ENTRY("group", SETTING_TEXT, group),
    ENTRY("left_delimiter", SETTING_TEXT, left),
    ENTRY("right_delimiter", SETTING_TEXT, right),
    ENTRY("min_instances", SETTING_COUNT, min_instances),
    {"wait", SETTING_BLOCK, 0},
};

static const struct setting wait_settings[] = {
    ENTRY("min", SETTING_DURATION, quiet_min_ms),
    ENTRY("max", SETTING_DURATION, quiet_max_ms),
};

static const struct setting agent_settings[] = {
    AGENT("address", SETTING_TEXT, address),
    AGENT("token", SETTING_SECRET, token),
    AGENT("token_file", SETTING_TEXT, token_file),
    AGENT("ca_file", SETTING_TEXT, ca_file),
    AGENT("ca_path", SETTING_TEXT, ca_path),
    AGENT("client_cert", SETTING_TEXT, client_cert),
    AGENT("client_key", SETTING_TEXT, client_key),
    AGENT("tls", SETTING_SWITCH, tls),
    AGENT("tls_verify", SETTING_UNSWITCH, tls_unverified),
};

static int set_text(char **place, const char *text)
{
    free(*place);
    *place = rc_text_copy(text);
    return *place != NULL ? RC_OK : RC_ENOMEM;
}

static void release_command(struct template_command *command)
{
    template_command_release(command->words);
    *command = (struct template_command){.words = NULL};
}

/* Space for `count` words and the NULL behind them. */
static int new_words(struct template_command *command, size_t count)
{
    release_command(command);
    command->words = calloc(count + 1, sizeof(char *));
    command->count = count;
    return command->words != NULL ? RC_OK : RC_ENOMEM;
}

static int set_line(struct template_command *command, const char *line)
{
    const char *const words[] = {"/bin/sh", "-c", line};

    int err = new_words(command, 3);
    for (size_t i = 0; err == RC_OK && i < 3; i++) {
        err = set_text(&command->words[i], words[i]);
    }
    return err;
}

static int read_command(const struct reader *r, const json_t *parent, const char *key,
                        const json_t *value, struct template_command *out)
{
    if (json_is_string(value)) {
        return json_string_length(value) > 0 ? set_line(out, json_string_value(value))
                                             : RC_OK;
    }
    size_t count = json_array_size(value);
    if (count == 0 || count > TEMPLATE_WORDS_MAX) {
        return fail(r, parent, key,
                    "%s is a text for the shell, or a list of 1 to %d words without one",
                    key, TEMPLATE_WORDS_MAX);
    }
    int err = new_words(out, count);
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        const char *word = json_string_value(json_array_get(value, i));
        err = word != NULL ? set_text(&out->words[i], word)
                           : fail(r, parent, key, "%s: words are texts", key);
    }
    return err;
}

static int read_mode(const struct reader *r, const json_t *parent, const char *key,
                     const json_t *value, int *out)
{
    char *end = NULL;
    const char *text = json_string_value(value);
    char digits[8];

    if (json_is_integer(value)) { /* 0640 is read as decimal: the digits are meant */
        (void)snprintf(digits, sizeof digits, "%lld",
                       (long long)json_integer_value(value));
        text = digits;
    }
    long mode = text != NULL ? strtol(text, &end, 8) : -1;
    if (text == NULL || end == text || *end != '\0' || mode < 0 || mode > 07777) {
        return fail(r, parent, key, "%s is a mode such as \"0644\"", key);
    }
    *out = (int)mode;
    return RC_OK;
}

static int read_duration(const struct reader *r, const json_t *parent, const char *key,
                         const json_t *value, uint64_t *out)
{
    enum { NS_PER_MS = 1000 * 1000 };
    uint64_t ns = 0;

    if (!json_is_string(value) ||
        rc_text_to_duration_ns(json_string_value(value), &ns) != RC_OK ||
        ns > (uint64_t)24 * 3600 * 1000 * NS_PER_MS) {
        return fail(r, parent, key, "%s is a duration such as \"500ms\" or \"30s\"", key);
    }
    *out = ns / NS_PER_MS;
    return RC_OK;
}

static int read_setting(const struct reader *r, const json_t *parent,
                        const struct setting *setting, const json_t *value, void *place)
{
    const char *key = setting->name;

    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_SECRET:
        if (!json_is_string(value) || json_string_length(value) == 0) {
            return fail(r, parent, key, "%s is a text", key);
        }
        return set_text(place, json_string_value(value));
    case SETTING_COMMAND:
        return read_command(r, parent, key, value, place);
    case SETTING_DURATION:
        return read_duration(r, parent, key, value, place);
    case SETTING_COUNT:
        if (!json_is_integer(value) || json_integer_value(value) < 0 ||
            json_integer_value(value) > UINT32_MAX) {
            return fail(r, parent, key, "%s is a number", key);
        }
        *(uint64_t *)place = (uint64_t)json_integer_value(value);
        return RC_OK;
    case SETTING_MODE:
        return read_mode(r, parent, key, value, place);
    case SETTING_SWITCH:
    case SETTING_UNSWITCH:
        if (!json_is_boolean(value)) {
            return fail(r, parent, key, "%s is true or false", key);
        }
        *(bool *)place = json_is_true(value) == (setting->kind == SETTING_SWITCH);
        return RC_OK;
    case SETTING_BLOCK:
        break;
    }
    return RC_OK;
}

static int unknown(const struct reader *r, const json_t *block, const char *key,
                   const struct setting *settings, size_t count)
{
    const char *close = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < count; i++) {
        unsigned distance = rc_text_distance(settings[i].name, key);
        if (distance < best) {
            best = distance;
            close = settings[i].name;
        }
    }
    return fail(r, block, key, "no setting is called %.60s here%s%s%s", key,
                close != NULL ? ": do you mean " : "", close != NULL ? close : "",
                close != NULL ? "?" : "");
}

/* Reads the settings of a block into the struct at `into`. */
static int read_block(const struct reader *r, const json_t *block,
                      const struct setting *settings, size_t count, void *into)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)block, key, value)
    {
        size_t i = 0;
        while (i < count && strcmp(settings[i].name, key) != 0) {
            i++;
        }
        int err = i < count ? read_setting(r, block, &settings[i], value,
                                           (char *)into + settings[i].offset)
                            : unknown(r, block, key, settings, count);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- Blocks. */

static void entry_fini(struct template_entry *entry)
{
    free(entry->source);
    free(entry->contents);
    free(entry->destination);
    free(entry->user);
    free(entry->group);
    free(entry->left);
    free(entry->right);
    release_command(&entry->check);
    release_command(&entry->reload);
}

static int new_entry(struct template_config *config, struct template_entry **out)
{
    struct template_entry *entries =
        realloc(config->entries, (config->count + 1) * sizeof *entries);

    if (entries == NULL) {
        return RC_ENOMEM;
    }
    config->entries = entries;
    *out = &entries[config->count++];
    **out = (struct template_entry){
        .command_ms = TEMPLATE_COMMAND_MS,
        .mode = TEMPLATE_KEPT_MODE,
        .quiet_min_ms = TEMPLATE_QUIET_MIN_MS,
        .quiet_max_ms = TEMPLATE_QUIET_MAX_MS,
    };
    return RC_OK;
}

static int check_entry(const struct reader *r, const json_t *block,
                       const struct template_entry *entry)
{
    if ((entry->source == NULL) == (entry->contents == NULL)) {
        return fail(r, block, NULL,
                    "a template has a source (a file) or contents, one of both");
    }
    if (entry->destination == NULL) {
        return fail(r, block, NULL, "a template has a destination");
    }
    if (entry->destination[strlen(entry->destination) - 1] == '/') {
        return fail(r, block, "destination", "destination is a file, not a folder");
    }
    if (entry->command_ms == 0) {
        return fail(r, block, "command_timeout", "command_timeout is more than 0");
    }
    if ((entry->left == NULL) != (entry->right == NULL)) {
        return fail(r, block, NULL, "left_delimiter and right_delimiter go together");
    }
    return RC_OK;
}

static int read_wait(const struct reader *r, const json_t *block,
                     struct template_entry *entry)
{
    const json_t *wait = json_object_get(block, "wait");

    if (wait == NULL) {
        return RC_OK;
    }
    if (!json_is_object(wait)) {
        return fail(r, block, "wait",
                    "wait is a block: wait { min = \"1s\" max = \"4s\" }");
    }
    /* As in consul-template, four times the least is the most. */
    bool has_max = json_object_get(wait, "max") != NULL;
    int err = read_block(r, wait, wait_settings, COUNT_OF(wait_settings), entry);
    if (err == RC_OK && !has_max) {
        entry->quiet_max_ms = entry->quiet_min_ms * 4;
    }
    if (err == RC_OK && entry->quiet_max_ms < entry->quiet_min_ms) {
        err = fail(r, wait, "max", "max is less than min");
    }
    return err;
}

static int read_template(const struct reader *r, const json_t *block,
                         struct template_config *config)
{
    struct template_entry *entry = NULL;

    if (!json_is_object(block)) {
        return fail(r, rc_settings_root(r->settings), "template",
                    "template is a block: template { source = ... destination = ... }");
    }
    if (config->count == TEMPLATES_MAX) {
        return fail(r, block, NULL, "more than %d templates", TEMPLATES_MAX);
    }
    int err = new_entry(config, &entry);
    if (err == RC_OK) {
        err = read_block(r, block, entry_settings, COUNT_OF(entry_settings), entry);
    }
    if (err == RC_OK) {
        err = read_wait(r, block, entry);
    }
    return err == RC_OK ? check_entry(r, block, entry) : err;
}

static int read_templates(const struct reader *r, const json_t *value,
                          struct template_config *config)
{
    int err = RC_OK;

    if (!json_is_array(value)) {
        return read_template(r, value, config);
    }
    for (size_t i = 0; i < json_array_size(value) && err == RC_OK; i++) {
        err = read_template(r, json_array_get(value, i), config);
    }
    return err;
}

static int read_agent(const struct reader *r, const char *key, const json_t *value,
                      struct template_config *config)
{
    if (!json_is_object(value)) {
        return fail(r, rc_settings_root(r->settings), key,
                    "%s is one block: %s { address = \"127.0.0.1:8500\" }", key, key);
    }
    return read_block(r, value, agent_settings, COUNT_OF(agent_settings), &config->agent);
}

static int read_level(const struct reader *r, const json_t *value,
                      struct template_config *config)
{
    const char *text = json_string_value(value);

    return text != NULL && rc_log_level_parse(text, &config->log_level) == RC_OK
               ? RC_OK
               : fail(r, rc_settings_root(r->settings), "log_level",
                      "log_level is trace, debug, info, warn or err");
}

int template_config_read(const struct rc_settings *settings,
                         struct template_config *config,
                         char error[RC_SETTINGS_ERROR_MAX])
{
    static const struct setting roots[] = {
        {"agent", SETTING_BLOCK, 0},
        {"template", SETTING_BLOCK, 0},
        {"log_level", SETTING_BLOCK, 0},
    };
    const struct reader r = {settings, error};
    const json_t *root = rc_settings_root(settings);
    const char *key;
    json_t *value;
    int err = RC_OK;

    (void)rc_text_put(error, RC_SETTINGS_ERROR_MAX, rc_strerror(RC_ENOMEM));
    json_object_foreach((json_t *)root, key, value)
    {
        if (strcmp(key, "template") == 0) {
            err = read_templates(&r, value, config);
        } else if (strcmp(key, "agent") == 0 || strcmp(key, "consul") == 0) {
            err = read_agent(&r, key, value, config);
        } else if (strcmp(key, "log_level") == 0) {
            err = read_level(&r, value, config);
        } else {
            err = unknown(&r, root, key, roots, COUNT_OF(roots));
        }
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

int template_config_add(struct template_config *config, const char *flag,
                        char error[RC_SETTINGS_ERROR_MAX])
{
    struct template_entry *entry = NULL;
    const char *colon = strchr(flag, ':');
    const char *second = colon != NULL ? strchr(colon + 1, ':') : NULL;
    size_t size = colon != NULL ? (size_t)(colon - flag) : strlen(flag);

    if (size == 0 || config->count == TEMPLATES_MAX) {
        (void)snprintf(error, RC_SETTINGS_ERROR_MAX,
                       size == 0 ? "-template wants IN:OUT[:RELOAD], not \"%.200s\""
                                 : "more than 64 templates at %.200s",
                       flag);
        return RC_EINVAL;
    }
    int err = new_entry(config, &entry);
    if (err != RC_OK) {
        return err;
    }
    entry->source = rc_text_copy_span((struct rc_span){flag, size});
    if (colon != NULL) {
        size_t length = second != NULL ? (size_t)(second - colon) - 1 : strlen(colon + 1);
        entry->destination =
            length > 0 ? rc_text_copy_span((struct rc_span){colon + 1, length}) : NULL;
    }
    if (second != NULL && second[1] != '\0') {
        err = set_line(&entry->reload, second + 1);
    }
    return entry->source != NULL ? err : RC_ENOMEM;
}

void template_config_fini(struct template_config *config)
{
    struct template_agent *agent = &config->agent;

    free(agent->address);
    free(agent->token);
    free(agent->token_file);
    free(agent->ca_file);
    free(agent->ca_path);
    free(agent->client_cert);
    free(agent->client_key);
    for (size_t i = 0; i < config->count; i++) {
        entry_fini(&config->entries[i]);
    }
    free(config->entries);
    *config = (struct template_config){.log_level = RC_LOG_LEVEL_COUNT};
}

/* ---- Commands. */

void template_command_release(char **words)
{
    for (size_t i = 0; words != NULL && words[i] != NULL; i++) {
        free(words[i]);
    }
    free(words);
}

/* A line for the shell gets the file as $FILE: put into it, its name would be read as code. */
static bool is_for_shell(const struct template_command *command)
{
    return command->count == 3 && strcmp(command->words[0], "/bin/sh") == 0 &&
           strcmp(command->words[1], "-c") == 0;
}

static char *fill(const char *word, const char *file)
{
    struct rc_buffer text = {0};
    const char *place;

    while ((place = strstr(word, "{}")) != NULL) {
        rc_buffer_append(&text, word, (size_t)(place - word));
        rc_buffer_text(&text, file);
        word = place + 2;
    }
    rc_buffer_text(&text, word);
    char *out = text.err == RC_OK ? rc_text_copy(rc_buffer_string(&text)) : NULL;
    rc_buffer_fini(&text);
    return out;
}

char **template_command_words(const struct template_command *command, const char *file)
{
    char **words = calloc(command->count + 1, sizeof(char *));

    for (size_t i = 0; words != NULL && i < command->count; i++) {
        words[i] = is_for_shell(command) ? rc_text_copy(command->words[i])
                                         : fill(command->words[i], file);
        if (words[i] == NULL) {
            template_command_release(words);
            return NULL;
        }
    }
    return words;
}
