/* kv.h - what the parts of `rollcall kv` share. */
#ifndef AGENT_CLI_KV_H
#define AGENT_CLI_KV_H

#include <stddef.h>

#include <jansson.h>

#include "agent/cli/cli.h"
#include "base/buffer.h"

/* The subcommands; `words` are those behind their names. Each returns enum cli_exit. */
int kv_command_get(const struct cli_command *self, int count, char **words);
int kv_command_export(const struct cli_command *self, int count, char **words);
int kv_command_import(const struct cli_command *self, int count, char **words);

/* Appends what a value argument stands for: the file behind '@', standard input for "-", else
 * the text itself. RC_OK, or an error that was told on stderr. */
int kv_take_value(const char *given, struct rc_buffer *out);

/* "/v1/kv/KEY", escaped; a '/' before the key is dropped, as keys do not begin with one. */
void kv_path(struct rc_buffer *out, const char *key);

/* Appends "?name=value" or "&name=value"; `value` NULL: the name alone. */
void kv_parameter(struct rc_buffer *path, const char *name, const char *value);

/* Appends the bytes of a base64 text, such as the Value of a pair; NULL adds nothing. RC_OK,
 * RC_EMALFORMED or RC_ENOMEM. */
int kv_decode(const char *base64, struct rc_buffer *out);

/* The same the other way, with a NUL behind. */
int kv_encode(const void *bytes, size_t size, struct rc_buffer *out);

/* kv_pairs.c: JSON that has pairs in it, whose flags from 2^63 on come as negative numbers: cast
 * them to uint64_t. Owned by the caller; NULL: it is not JSON, `why` may be NULL. */
json_t *kv_load(const void *bytes, size_t size, json_error_t *why);

/* Appends such JSON, written with jansson's `how`, with flags as they are. */
void kv_write(const json_t *json, size_t how, struct rc_buffer *out);

/* Prints a line of such JSON, with flags as they are. */
void kv_print_line(const char *line, size_t length);

#endif
