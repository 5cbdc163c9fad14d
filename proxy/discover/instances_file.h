/* instances_file.h - a list of instances as a file has it: `from file PATH`.
 *
 *     # address           what else
 *     192.0.2.1:8080      weight 3 id web-1
 *     [2001:db8::1]:8080
 *
 * One a line, blank lines and comments between them. A list without an instance is no list: it is
 * what an editor leaves for a moment, and never what anybody means. Pure. */
#ifndef PROXY_DISCOVER_INSTANCES_FILE_H
#define PROXY_DISCOVER_INSTANCES_FILE_H

#include <stddef.h>

#include "proxy/upstream/lineup.h"

enum {
    INSTANCES_FILE_MAX = 1 << 20, /* bytes */
    INSTANCES_FILE_ENTRIES_MAX = 4096,
    INSTANCES_FILE_ERROR_MAX = 160
};

/* Reads a whole list. RC_OK with `*entries` owned by the caller (free()); RC_EMALFORMED with
 * "line 3: what is wrong" in `error`; RC_ENOMEM. */
int instances_file_parse(const char *text, size_t size, struct lineup_entry **entries,
                         size_t *count, char error[INSTANCES_FILE_ERROR_MAX]);

#endif
