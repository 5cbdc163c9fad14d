/* settings.h - configuration text to a tree, remembering where each word stood.
 *
 * Reads two spellings of the same thing: JSON, and the block syntax that
 * Consul's users write by hand:
 *
 *     node_name = "web1"          # comments: #, //, and C's
 *     ports { http = 8500 }
 *     service { name = "web"  check { http = "http://127.0.0.1:80/" interval = "1s" } }
 *
 * Both become a jansson tree (blocks are objects; a repeated block becomes an
 * array of objects), plus the line and column of every value, so that whoever
 * checks the meaning can say where the fault is. A label is the block's name:
 * `service "web" {}` reads as `service { name = "web" }`. Heredocs (<<EOF, <<-EOF)
 * are read; interpolation is not. A key given twice is an error, blocks aside. What
 * begins with a brace is strict JSON. Depth is at most 32, a file at most 1 MiB. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stddef.h>

#include <jansson.h>

struct rc_settings;

enum { RC_SETTINGS_ERROR_MAX = 512 };

/* Parses `size` bytes of `text`; `name` is what error messages call it (a file name). On RC_OK
 * the caller owns `*out`. On RC_EMALFORMED or RC_ETOOBIG `error` holds one line
 * "name:line:column: what is wrong", NUL-terminated. */
int rc_settings_parse(const char *name, const char *text, size_t size,
                      struct rc_settings **out, char error[RC_SETTINGS_ERROR_MAX]);

/* The same for texts whose keys and labels are names of something, so that an empty one means
 * something: key_prefix "" {} reads as key_prefix { name = "" }. */
int rc_settings_parse_names(const char *name, const char *text, size_t size,
                            struct rc_settings **out, char error[RC_SETTINGS_ERROR_MAX]);

/* Reads a file and parses it. RC_EIO when it cannot be read; `error` says why. */
int rc_settings_load(const char *path, struct rc_settings **out,
                     char error[RC_SETTINGS_ERROR_MAX]);

/* Frees the tree and the places. NULL is allowed. */
void rc_settings_destroy(struct rc_settings *settings);

/* The whole as an object; borrowed, lives as long as `settings`. */
json_t *rc_settings_root(const struct rc_settings *settings);

/* "file:line:column" of the value under `key` in the object `parent`; for an array `key` is the
 * index in decimal. Where `parent` itself begins if `key` is NULL or not there. Writes "file" alone
 * when unknown. 512 bytes suffice for any sensible path. */
void rc_settings_where(const struct rc_settings *settings, const json_t *parent,
                       const char *key, char *space, size_t size);

#endif
