/* config_key.h - the one table of what an agent can be told. For agent/config*.c only. */
#ifndef AGENT_CONFIG_KEY_H
#define AGENT_CONFIG_KEY_H

#include <stddef.h>

#include "agent/catalog/definition_field.h"

enum agent_config_effect {
    CONFIG_ACTS,
    CONFIG_SECRET, /* acts, and is never shown */
    CONFIG_SILENT, /* Consul's, and what it asks for is so anyway or does not matter here */
    CONFIG_WARNS, /* Consul's, and not done here: somebody should know */
    CONFIG_SOURCE /* a flag that says what else to read */
};

struct agent_config_key {
    const char
        *key; /* in files, with dots between blocks: "ports.http"; NULL: flag only */
    const char *flag;                         /* without its hyphen; NULL: files only */
    const struct definition_field_type *type; /* NULL: any value */
    size_t offset;                            /* in struct agent_config */
    enum agent_config_effect effect;
    const char *help; /* of the flag; NULL: not listed */
};

extern const struct agent_config_key agent_config_keys[];
extern const size_t agent_config_key_count;

#endif
