/* config_show.c - the configuration told to people: flags for --help, values for agent/self. */
#include <string.h>

#include "agent/config.h"
#include "agent/config_key.h"
#include "base/err.h"

enum { FLAG_COLUMN = 30 };

static void show_flag(const struct agent_config_key *key, struct rc_buffer *out)
{
    bool is_switch = key->type == &definition_bool_type;
    size_t start = out->size;

    rc_buffer_format(out, "  -%s%s", key->flag, is_switch ? "" : "=VALUE");
    size_t width = out->size - start;
    int space = width + 1 < FLAG_COLUMN ? (int)(FLAG_COLUMN - width) : 1;
    rc_buffer_format(out, "%*s%s\n", space, "", key->help);
}

void agent_config_help(struct rc_buffer *out)
{
    for (size_t i = 0; i < agent_config_key_count; i++) {
        const struct agent_config_key *key = &agent_config_keys[i];
        if (key->flag != NULL && key->help != NULL) {
            show_flag(key, out);
        }
    }
}

/* Puts `value` (taken) under a key with dots, making the objects between. */
static int put(json_t *root, const char *key, json_t *value)
{
    json_t *object = root;
    char name[64];

    for (const char *dot = strchr(key, '.'); dot != NULL; dot = strchr(key, '.')) {
        size_t size = (size_t)(dot - key);
        if (size >= sizeof name) {
            json_decref(value);
            return RC_ETOOBIG;
        }
        memcpy(name, key, size);
        name[size] = '\0';
        json_t *inner = json_object_get(object, name);
        if (inner == NULL) {
            inner = json_object();
            (void)json_object_set_new(object, name, inner); /* refuses NULL */
        }
        object = inner;
        key = dot + 1;
    }
    return json_object_set_new(object, key, value) == 0 ? RC_OK : RC_ENOMEM;
}

char *agent_config_dump(const struct agent_config *config)
{
    json_t *root = json_object();
    int err = root != NULL ? RC_OK : RC_ENOMEM;

    for (size_t i = 0; i < agent_config_key_count && err == RC_OK; i++) {
        const struct agent_config_key *key = &agent_config_keys[i];
        json_t *value = NULL;
        if (key->effect != CONFIG_ACTS || key->key == NULL) {
            continue;
        }
        err = key->type->write((const char *)config + key->offset, &value);
        if (err == RC_OK && value != NULL) {
            err = put(root, key->key, value);
        }
    }
    char *text = err == RC_OK ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}
