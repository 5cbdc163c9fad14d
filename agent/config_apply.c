/* config_apply.c - files and folders, applied key by key. */
#include "agent/config_apply.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

enum { KEY_MAX = 128, PLACE_MAX = 512, BLOCKS_MAX = 32 };

/* A block that waits to be read: its object, and the keys that lead to it with a dot. */
struct block {
    const json_t *object;
    char prefix[KEY_MAX];
};

struct walk {
    struct agent_config_reader *reader;
    const struct rc_settings *settings;
    struct block waiting[BLOCKS_MAX];
    size_t count;
};

static int fail_at(struct walk *walk, const json_t *parent, const char *key,
                   const char *text)
{
    char place[PLACE_MAX];

    rc_settings_where(walk->settings, parent, key, place, sizeof place);
    (void)snprintf(walk->reader->error, AGENT_CONFIG_ERROR_MAX, "%.420s: %.330s", place,
                   text);
    return RC_EMALFORMED;
}

static const struct agent_config_key *find_key(const char *name)
{
    for (size_t i = 0; i < agent_config_key_count; i++) {
        const struct agent_config_key *key = &agent_config_keys[i];
        if (key->key != NULL && strcmp(key->key, name) == 0) {
            return key;
        }
    }
    return NULL;
}

static bool is_block_name(const char *name)
{
    size_t size = strlen(name);

    for (size_t i = 0; i < agent_config_key_count; i++) {
        const char *key = agent_config_keys[i].key;
        if (key != NULL && strncmp(key, name, size) == 0 && key[size] == '.') {
            return true;
        }
    }
    return false;
}

/* The key of the same block that is spelled most alike, without the block; NULL if none is. */
static const char *nearest_key(const char *prefix, const char *name)
{
    size_t size = strlen(prefix);
    const char *nearest = NULL;
    unsigned least = 3; /* further away is another word, not a slip */

    for (size_t i = 0; i < agent_config_key_count; i++) {
        const char *key = agent_config_keys[i].key;
        if (key == NULL || strncmp(key, prefix, size) != 0) {
            continue;
        }
        unsigned distance = rc_text_distance(name, key + size);
        if (distance < least) {
            least = distance;
            nearest = key + size;
        }
    }
    return nearest;
}

static int refuse_unknown(struct walk *walk, const struct block *block, const char *name)
{
    const char *nearest = nearest_key(block->prefix, name);
    char text[3 * KEY_MAX];

    if (nearest != NULL) {
        (void)snprintf(text, sizeof text, "invalid config key %s%.100s; did you mean %s?",
                       block->prefix, name, nearest);
    } else {
        (void)snprintf(text, sizeof text, "invalid config key %s%.100s", block->prefix,
                       name);
    }
    return fail_at(walk, block->object, name, text);
}

static int warn(struct walk *walk, const json_t *parent, const char *name,
                const struct agent_config_key *key)
{
    struct definition_list *warnings = &walk->reader->config->warnings;
    char place[PLACE_MAX];
    void *items = warnings->items;

    rc_settings_where(walk->settings, parent, name, place, sizeof place);
    char **line = definition_grow(&items, &warnings->count, sizeof *line);
    if (line == NULL) {
        return RC_ENOMEM;
    }
    warnings->items = items;
    *line = rc_text_format("%s: %s has no effect in rollcall", place, key->key);
    return *line != NULL ? RC_OK : RC_ENOMEM;
}

static int apply_value(struct walk *walk, const struct block *block,
                       const struct agent_config_key *key,
                       const struct definition_value *value)
{
    struct definition_fault fault = {0};
    struct definition_reader reader = {DEFINITION_FILE, &fault};

    if (key->effect == CONFIG_WARNS) {
        return warn(walk, block->object, value->key, key);
    }
    if (key->effect == CONFIG_SILENT || json_is_null(value->json)) {
        return RC_OK;
    }
    int err = key->type->read(&reader, value, (char *)walk->reader->config + key->offset);
    if (err == RC_EMALFORMED || err == RC_EINVAL) {
        (void)fail_at(walk, fault.parent, fault.key[0] != '\0' ? fault.key : NULL,
                      fault.text);
    }
    return err;
}

/* Puts a block aside, to be read when this one is done. */
static int enter(struct walk *walk, const struct block *from, const char *name,
                 const json_t *object)
{
    if (!json_is_object(object)) {
        char text[KEY_MAX + 64];
        (void)snprintf(text, sizeof text,
                       json_is_array(object) ? "%.100s may stand only once"
                                             : "%.100s must be a block",
                       name);
        return fail_at(walk, from->object, name, text);
    }
    assert(walk->count <
           BLOCKS_MAX); /* only blocks of the table are entered, each once */
    struct block *block = &walk->waiting[walk->count++];
    block->object = object;
    (void)snprintf(block->prefix, sizeof block->prefix, "%.60s%.60s.", from->prefix,
                   name);
    return RC_OK;
}

static int apply_key(struct walk *walk, const struct block *block, const char *name,
                     const json_t *json)
{
    char full[2 * KEY_MAX];

    int length = snprintf(full, sizeof full, "%s%s", block->prefix, name);
    if (length < 0 || (size_t)length >= KEY_MAX) {
        return refuse_unknown(walk, block, name);
    }
    const struct agent_config_key *key = find_key(full);
    if (key != NULL) {
        struct definition_value value = {block->object, name, name, json};
        return apply_value(walk, block, key, &value);
    }
    return is_block_name(full) ? enter(walk, block, name, json)
                               : refuse_unknown(walk, block, name);
}

int agent_config_apply(struct agent_config_reader *reader,
                       const struct rc_settings *settings)
{
    struct walk walk = {.reader = reader, .settings = settings, .count = 1};
    const char *name = NULL;
    json_t *json = NULL;

    walk.waiting[0].object = rc_settings_root(settings);
    while (walk.count > 0) {
        struct block block = walk.waiting[--walk.count];
        json_t *object = (json_t *)block.object; /* only read */
        json_object_foreach(object, name, json)
        {
            int err = apply_key(&walk, &block, name, json);
            if (err != RC_OK) {
                return err;
            }
        }
    }
    return RC_OK;
}

int agent_config_apply_text(struct agent_config_reader *reader, const char *name,
                            const char *text)
{
    struct rc_settings *settings = NULL;
    int err = rc_settings_parse(name, text, strlen(text), &settings, reader->error);

    if (err == RC_OK) {
        err = agent_config_apply(reader, settings);
    }
    rc_settings_destroy(settings);
    return err;
}

int agent_config_apply_file(struct agent_config_reader *reader, const char *path)
{
    struct rc_settings *settings = NULL;
    int err = rc_settings_load(path, &settings, reader->error);

    if (err == RC_OK) {
        err = agent_config_apply(reader, settings);
    }
    rc_settings_destroy(settings);
    return err;
}

static int is_config_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && (rc_text_ends_with(entry->d_name, ".hcl") ||
                                       rc_text_ends_with(entry->d_name, ".json"));
}

/* By byte, whatever the locale says. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int agent_config_apply_folder(struct agent_config_reader *reader, const char *path)
{
    struct dirent **entries = NULL;
    char reason[96] = "";
    int err = RC_OK;

    int count = scandir(path, &entries, is_config_name, by_name);
    if (count < 0) {
        (void)snprintf(reader->error, AGENT_CONFIG_ERROR_MAX,
                       "%.500s: cannot be read: %s", path,
                       strerror_r(errno, reason, sizeof reason));
        return RC_EIO;
    }
    for (int i = 0; i < count; i++) {
        char *file =
            err == RC_OK ? rc_text_format("%s/%s", path, entries[i]->d_name) : NULL;
        if (file != NULL) {
            err = agent_config_apply_file(reader, file);
        } else if (err == RC_OK) {
            err = RC_ENOMEM;
        }
        free(file);
        free(entries[i]);
    }
    free(entries);
    return err;
}
