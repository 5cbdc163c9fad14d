#include "agent/acl/rule.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/settings.h"
#include "base/text.h"

static const struct {
    const char *name;
    bool has_names;
    bool ignores_case;
} resources[RULE_RESOURCE_COUNT] = {
    [RULE_ACL] = {"acl", false, false},
    [RULE_AGENT] = {"agent", true, true},
    [RULE_EVENT] = {"event", true, false},
    [RULE_KEY] = {"key", true, false},
    [RULE_KEYRING] = {"keyring", false, false},
    [RULE_NODE] = {"node", true, true},
    [RULE_OPERATOR] = {"operator", false, false},
    [RULE_PG] = {"pg", true, false},
    [RULE_QUERY] = {"query", true, false},
    [RULE_SERVICE] = {"service", true, true},
    [RULE_SESSION] = {"session", true, true},
};

static const char *const levels[RULE_LEVEL_COUNT] = {
    [RULE_READ] = "read",
    [RULE_LIST] = "list",
    [RULE_WRITE] = "write",
    [RULE_DENY] = "deny",
};

static const char *const accesses[RULE_ACCESS_COUNT] = {
    [RULE_TO_READ] = "read",
    [RULE_TO_LIST] = "list",
    [RULE_TO_WRITE] = "write",
};

const char *rule_resource_name(enum rule_resource resource)
{
    assert(resource < RULE_RESOURCE_COUNT);
    return resources[resource].name;
}

const char *rule_level_name(enum rule_level level)
{
    assert(level < RULE_LEVEL_COUNT);
    return levels[level];
}

const char *rule_access_name(enum rule_access access)
{
    assert(access < RULE_ACCESS_COUNT);
    return accesses[access];
}

bool rule_resource_has_names(enum rule_resource resource)
{
    return resources[resource].has_names;
}

bool rule_resource_ignores_case(enum rule_resource resource)
{
    return resources[resource].ignores_case;
}

int rule_resource_parse(const char *text, enum rule_resource *out)
{
    for (enum rule_resource i = 0; i < RULE_RESOURCE_COUNT; i++) {
        if (rc_text_equals(resources[i].name, text)) {
            *out = i;
            return RC_OK;
        }
    }
    return RC_ENOTFOUND;
}

int rule_access_parse(const char *text, enum rule_access *out)
{
    for (enum rule_access i = 0; i < RULE_ACCESS_COUNT; i++) {
        if (rc_text_equals(accesses[i], text)) {
            *out = i;
            return RC_OK;
        }
    }
    return RC_ENOTFOUND;
}

bool rule_level_allows(enum rule_level level, enum rule_access access)
{
    static const bool allows[RULE_LEVEL_COUNT][RULE_ACCESS_COUNT] = {
        [RULE_READ] = {[RULE_TO_READ] = true},
        [RULE_LIST] = {[RULE_TO_READ] = true, [RULE_TO_LIST] = true},
        [RULE_WRITE] = {true, true, true},
        [RULE_DENY] = {false, false, false},
    };

    assert(level < RULE_LEVEL_COUNT && access < RULE_ACCESS_COUNT);
    return allows[level][access];
}

/* ---- Reading. Names are first noted as offsets: their buffer moves while it grows. */

struct reader {
    const struct rc_settings *settings;
    struct rule *items;
    size_t *names_at;
    size_t count;
    size_t capacity;
    struct rc_buffer names;
    char *error;
};

static int refuse(struct reader *reader, const json_t *parent, const char *key,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

static int refuse(struct reader *reader, const json_t *parent, const char *key,
                  const char *format, ...)
{
    char where[128];
    char text[256];
    va_list arguments;

    rc_settings_where(reader->settings, parent, key, where, sizeof where);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)snprintf(reader->error, RULE_ERROR_MAX, "%s: %s", where, text);
    rc_text_to_line(reader->error, RULE_ERROR_MAX);
    return RC_EMALFORMED;
}

/* The line in "rules:LINE:COLUMN". */
static unsigned line_of(const struct reader *reader, const json_t *parent,
                        const char *key)
{
    char where[128];
    unsigned line = 0;

    rc_settings_where(reader->settings, parent, key, where, sizeof where);
    const char *colon = strchr(where, ':');
    for (const char *at = colon; at != NULL && at[1] >= '0' && at[1] <= '9'; at++) {
        line = line * 10 + (unsigned)(at[1] - '0');
    }
    return line;
}

static int make_room(struct reader *reader)
{
    if (reader->count < reader->capacity) {
        return RC_OK;
    }
    if (reader->count == RULES_MAX) {
        (void)snprintf(reader->error, RULE_ERROR_MAX, "rules: more than %d rules",
                       RULES_MAX);
        return RC_ETOOBIG;
    }
    size_t capacity = reader->capacity == 0 ? 8 : 2 * reader->capacity;
    struct rule *items = realloc(reader->items, capacity * sizeof *items);
    if (items == NULL) {
        return RC_ENOMEM;
    }
    reader->items = items;
    size_t *names_at = realloc(reader->names_at, capacity * sizeof *names_at);
    if (names_at == NULL) {
        return RC_ENOMEM;
    }
    reader->names_at = names_at;
    reader->capacity = capacity;
    return RC_OK;
}

static int add(struct reader *reader, const struct rule *rule)
{
    int err = make_room(reader);

    if (err != RC_OK) {
        return err;
    }
    reader->names_at[reader->count] = reader->names.size;
    reader->items[reader->count++] = *rule;
    rc_buffer_append(&reader->names, rule->name, strlen(rule->name) + 1);
    return reader->names.err;
}

/* The level under `key` of `parent`. Only keys can be listed, as in Consul. */
static int read_level(struct reader *reader, const json_t *parent, const char *key,
                      struct rule *rule)
{
    const char *word = json_string_value(json_object_get(parent, key));

    for (enum rule_level level = 0; word != NULL && level < RULE_LEVEL_COUNT; level++) {
        bool fits = level != RULE_LIST || rule->resource == RULE_KEY;
        if (fits && strcmp(levels[level], word) == 0) {
            rule->level = level;
            rule->line = line_of(reader, parent, key);
            return RC_OK;
        }
    }
    return refuse(reader, parent, key, "%s: the policy is read, %swrite or deny",
                  rule_resource_name(rule->resource),
                  rule->resource == RULE_KEY ? "list, " : "");
}

/* { policy = "read" }, with the name beside it when `block` is one with a label. */
static int read_block(struct reader *reader, const json_t *block, struct rule *rule)
{
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)block, key, value)
    {
        bool means_nothing = rule->resource == RULE_SERVICE &&
                             strcmp(key, "intentions") == 0 && json_is_string(value);
        if (strcmp(key, "policy") != 0 && strcmp(key, "name") != 0 && !means_nothing) {
            return refuse(reader, block, key, "invalid key %s in a rule", key);
        }
    }
    int err = read_level(reader, block, "policy", rule);
    return err == RC_OK ? add(reader, rule) : err;
}

/* One object under a resource: a block with its label as name, or as in JSON name -> rule. */
static int read_object(struct reader *reader, const json_t *object, struct rule *rule)
{
    const char *key = NULL;
    json_t *value = NULL;
    const char *label = json_string_value(json_object_get(object, "name"));

    if (label != NULL) {
        rule->name = label;
        return read_block(reader, object, rule);
    }
    if (json_object_size(object) == 0) {
        return refuse(reader, object, NULL, "%s: the rule has no name",
                      rule_resource_name(rule->resource));
    }
    json_object_foreach((json_t *)object, key, value)
    {
        if (!json_is_object(value)) {
            return refuse(reader, object, key, "%s: the rule has no name",
                          rule_resource_name(rule->resource));
        }
        rule->name = key;
        int err = read_block(reader, value, rule);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

static int read_named(struct reader *reader, const json_t *root, const char *key,
                      struct rule *rule)
{
    json_t *value = json_object_get(root, key);
    size_t count = json_is_array(value) ? json_array_size(value) : 1;

    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_object(item)) {
            return refuse(reader, root, key, "%s \"name\" { policy = ... } is wanted",
                          key);
        }
        int err = read_object(reader, item, rule);
        if (err != RC_OK) {
            return err;
        }
    }
    return RC_OK;
}

/* "key", "key_prefix". */
static bool is_of(const char *key, enum rule_resource resource, enum rule_scope *scope)
{
    size_t size = strlen(resources[resource].name);

    if (strncmp(key, resources[resource].name, size) != 0) {
        return false;
    }
    *scope = key[size] == '\0' ? RULE_EXACT : RULE_PREFIX;
    return key[size] == '\0' ||
           (resources[resource].has_names && strcmp(key + size, "_prefix") == 0);
}

static int read_key(struct reader *reader, const json_t *root, const char *key)
{
    for (enum rule_resource i = 0; i < RULE_RESOURCE_COUNT; i++) {
        struct rule rule = {.resource = i, .name = ""};
        if (is_of(key, i, &rule.scope)) {
            if (resources[i].has_names) {
                return read_named(reader, root, key, &rule);
            }
            int err = read_level(reader, root, key, &rule);
            return err == RC_OK ? add(reader, &rule) : err;
        }
    }
    if (strcmp(key, "mesh") == 0 || strcmp(key, "peering") == 0) {
        return RC_OK;
    }
    return refuse(reader, root, key, "invalid key %s: no resource of this name", key);
}

static int read_all(struct reader *reader, struct rule_list *out)
{
    const json_t *root = rc_settings_root(reader->settings);
    const char *key = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)root, key, value)
    {
        int err = read_key(reader, root, key);
        if (err != RC_OK) {
            return err;
        }
    }
    *out = (struct rule_list){.items = reader->items, .count = reader->count};
    out->names = rc_buffer_steal(&reader->names);
    for (size_t i = 0; i < out->count; i++) {
        out->items[i].name = out->names + reader->names_at[i];
    }
    return RC_OK;
}

int rule_list_parse(const char *text, size_t size, struct rule_list *out,
                    char error[RULE_ERROR_MAX])
{
    struct rc_settings *settings = NULL;
    char fault[RC_SETTINGS_ERROR_MAX];
    struct reader reader = {.error = error};

    (void)rc_text_put(error, RULE_ERROR_MAX, rc_strerror(RC_ENOMEM));
    if (size > RULES_BYTES_MAX) {
        (void)snprintf(error, RULE_ERROR_MAX, "rules: larger than %d bytes",
                       RULES_BYTES_MAX);
        return RC_ETOOBIG;
    }
    int err = rc_settings_parse_names("rules", text, size, &settings, fault);
    if (err != RC_OK) {
        if (err != RC_ENOMEM) {
            (void)rc_text_put(error, RULE_ERROR_MAX, fault);
        }
        return err;
    }
    reader.settings = settings;
    err = read_all(&reader, out);
    if (err != RC_OK) {
        free(reader.items);
    }
    free(reader.names_at);
    rc_buffer_fini(&reader.names);
    rc_settings_destroy(settings);
    return err;
}

void rule_list_fini(struct rule_list *list)
{
    free(list->items);
    free(list->names);
    *list = (struct rule_list){0};
}
