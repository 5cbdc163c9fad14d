/* config_watches.c - `watches`: what runs or calls somebody when something changes. */
#include <stdlib.h>

#include "agent/config.h"
#include "agent/config_type.h"
#include "base/err.h"

static int add(struct definition_reader *reader, const json_t *json, void *into)
{
    struct agent_config *config = into;
    struct watch_definition watch;

    int err = watch_definition_read(reader, json, &watch);
    if (err != RC_OK) {
        return err;
    }
    void *items = config->watches;
    struct watch_definition *place =
        config->watch_count < WATCHES_MAX
            ? definition_grow(&items, &config->watch_count, sizeof watch)
            : NULL;
    if (place == NULL) {
        watch_definition_fini(&watch);
        return config->watch_count < WATCHES_MAX
                   ? RC_ENOMEM
                   : definition_invalid(reader, json, NULL, "more than %d watches",
                                        WATCHES_MAX);
    }
    config->watches = items;
    *place = watch;
    return RC_OK;
}

static int read_watches(struct definition_reader *reader,
                        const struct definition_value *value, void *place)
{
    return definition_read_blocks(reader, value, &agent_config_watches_type, add, place);
}

static void release_watches(void *place)
{
    struct agent_config *config = place;

    for (size_t i = 0; i < config->watch_count; i++) {
        watch_definition_fini(&config->watches[i]);
    }
    free(config->watches);
    config->watches = NULL;
    config->watch_count = 0;
}

/* Headers of handlers may be secrets: only how many there are is shown. */
static int write_watches(const void *place, json_t **out)
{
    const struct agent_config *config = place;

    *out = json_integer((json_int_t)config->watch_count);
    return *out != NULL ? RC_OK : RC_ENOMEM;
}

const struct definition_field_type agent_config_watches_type = {
    .words = "a block",
    .read = read_watches,
    .release = release_watches,
    .write = write_watches,
};
