/* json.h - writing JSON straight into a buffer, in the order it is told.
 *
 * Reading is jansson's work. Writing is ours because answers are made often and
 * must be byte for byte what Go's encoder makes: compact, <, > and & as \u003c and so on, invalid
 * UTF-8 as U+FFFD. `indent` 0 is compact, 4 is what `?pretty` gives (with a
 * final newline from the caller). Commas and quotes are kept by the writer. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum { RC_JSON_DEPTH_MAX = 32 };

struct rc_json {
    struct rc_buffer *out; /* borrowed */
    unsigned indent;
    unsigned depth;
    bool after_key;
    bool has_items[RC_JSON_DEPTH_MAX];
};

struct rc_json rc_json_over(struct rc_buffer *out, unsigned indent);

void rc_json_object(struct rc_json *json); /* { */
void rc_json_object_end(struct rc_json *json);
void rc_json_array(struct rc_json *json); /* [ */
void rc_json_array_end(struct rc_json *json);
void rc_json_key(struct rc_json *json, const char *key);

void rc_json_string(struct rc_json *json, const char *text); /* NULL gives "" */
void rc_json_string_bytes(struct rc_json *json, const void *bytes, size_t size);
void rc_json_u64(struct rc_json *json, uint64_t value);
void rc_json_i64(struct rc_json *json, int64_t value);
void rc_json_double(struct rc_json *json,
                    double value); /* shortest form that reads back */
void rc_json_bool(struct rc_json *json, bool value);
void rc_json_null(struct rc_json *json);

/* A value that is JSON text already, written as it is. */
void rc_json_raw(struct rc_json *json, const char *text);

/* Key and value in one call: most of what is written. */
void rc_json_put_string(struct rc_json *json, const char *key, const char *text);
void rc_json_put_u64(struct rc_json *json, const char *key, uint64_t value);
void rc_json_put_i64(struct rc_json *json, const char *key, int64_t value);
void rc_json_put_bool(struct rc_json *json, const char *key, bool value);

#endif
