/* config_apply.h - applying trees and words of the command line to a configuration, key by key.
 * For agent/config*.c only. */
#ifndef AGENT_CONFIG_APPLY_H
#define AGENT_CONFIG_APPLY_H

#include <stddef.h>

#include "agent/config.h"
#include "agent/config_key.h"
#include "base/settings.h"

/* What is being filled, and where the one line of error goes (AGENT_CONFIG_ERROR_MAX). */
struct agent_config_reader {
    struct agent_config *config;
    char *error;
};

/* Applies every key of the tree. RC_OK, RC_EMALFORMED, RC_EINVAL or RC_ENOMEM. */
int agent_config_apply(struct agent_config_reader *reader,
                       const struct rc_settings *settings);

/* Parses `text` and applies it; `name` is what errors call it. */
int agent_config_apply_text(struct agent_config_reader *reader, const char *name,
                            const char *text);

/* The same for one file, and for all *.hcl and *.json of a folder in order of name. Also
 * RC_EIO. */
int agent_config_apply_file(struct agent_config_reader *reader, const char *path);
int agent_config_apply_folder(struct agent_config_reader *reader, const char *path);

/* One flag of the command line. */
struct agent_config_flag {
    const struct agent_config_key *key;
    const char *name;  /* without hyphens */
    const char *value; /* "true" for a switch without value */
};

/* Reads the flag at words[*at] and moves `*at` behind it. RC_OK, or RC_EINVAL. */
int agent_config_next_flag(struct agent_config_reader *reader, size_t count,
                           char *const *words, size_t *at, struct agent_config_flag *out);

/* Applies a flag that is not CONFIG_SOURCE. */
int agent_config_apply_flag(struct agent_config_reader *reader,
                            const struct agent_config_flag *flag);

#endif
