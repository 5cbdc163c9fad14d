/* config_unique.c - `unique_tag`: tags that only the holder of a key may show. */
#include <stdlib.h>
#include <string.h>

#include "agent/config.h"
#include "agent/config_type.h"
#include "base/err.h"
#include "base/text.h"

#define FIELD(name, snake, type, member)              \
    {                                                 \
        name, snake, NULL, &definition_##type##_type, \
            offsetof(struct unique_tag, member)       \
    }

static const struct definition_field fields[] = {
    FIELD("Service", "service", text, service),
    FIELD("Tags", "tags", list, tags),
    FIELD("ByKV", "by_kv", text, by_kv),
    FIELD("Token", "token", text, token),
};

static const struct definition_table table = {
    .go_type = "config.UniqueTag",
    .fields = fields,
    .count = sizeof fields / sizeof fields[0],
};

static int give_defaults(struct unique_tag *tag)
{
    static const char *const usual[] = {"primary", "master"};
    void *items = tag->tags.items;

    for (size_t i = 0; i < 2; i++) {
        char **place = definition_grow(&items, &tag->tags.count, sizeof *place);
        if (place == NULL) {
            return RC_ENOMEM;
        }
        tag->tags.items = items;
        *place = rc_text_copy(usual[i]);
        if (*place == NULL) {
            return RC_ENOMEM;
        }
    }
    return RC_OK;
}

static int check(struct definition_reader *reader, const json_t *json,
                 const struct agent_config *config, const struct unique_tag *tag)
{
    if (tag->service == NULL || tag->service[0] == '\0') {
        return definition_invalid(reader, json, NULL, "unique_tag needs a service");
    }
    if (tag->by_kv == NULL || tag->by_kv[0] == '\0') {
        return definition_invalid(reader, json, NULL, "unique_tag needs by_kv, a key");
    }
    for (size_t i = 0; i < config->unique_tag_count; i++) {
        if (rc_text_equals_nocase(config->unique_tags[i].service, tag->service)) {
            return definition_invalid(reader, json, NULL,
                                      "two unique_tag for the service \"%s\"",
                                      tag->service);
        }
    }
    return config->unique_tag_count < UNIQUE_TAGS_MAX
               ? RC_OK
               : definition_invalid(reader, json, NULL, "more than %d unique_tag",
                                    UNIQUE_TAGS_MAX);
}

static int add(struct definition_reader *reader, const json_t *json, void *into)
{
    struct agent_config *config = into;
    struct unique_tag tag = {.service = NULL};
    void *items = config->unique_tags;
    struct unique_tag *place = NULL;

    int err = definition_table_read(&table, reader, json, &tag);
    if (err == RC_OK) {
        err = check(reader, json, config, &tag);
    }
    if (err == RC_OK && tag.tags.count == 0) {
        err = give_defaults(&tag);
    }
    if (err == RC_OK) {
        place = definition_grow(&items, &config->unique_tag_count, sizeof tag);
        err = place != NULL ? RC_OK : RC_ENOMEM;
    }
    if (err != RC_OK) {
        definition_table_release(&table, &tag);
        return err;
    }
    config->unique_tags = items;
    *place = tag;
    return RC_OK;
}

static int read_unique(struct definition_reader *reader,
                       const struct definition_value *value, void *place)
{
    return definition_read_blocks(reader, value, &agent_config_unique_type, add, place);
}

static void release_unique(void *place)
{
    struct agent_config *config = place;

    for (size_t i = 0; i < config->unique_tag_count; i++) {
        definition_table_release(&table, &config->unique_tags[i]);
    }
    free(config->unique_tags);
    config->unique_tags = NULL;
    config->unique_tag_count = 0;
}

/* With tokens among it: only how many there are is shown. */
static int write_unique(const void *place, json_t **out)
{
    const struct agent_config *config = place;

    *out = json_integer((json_int_t)config->unique_tag_count);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type agent_config_unique_type = {
    .words = "a block",
    .read = read_unique,
    .release = release_unique,
    .write = write_unique,
};
