/* definition_field.h - structs described by tables: read from JSON, copied, written, freed.
 *
 * Each field of a definition is one row: its names, its type, its offset. A type is a set of
 * functions, so a definition can bring types of its own. For the files that begin with
 * definition_ only. */
#ifndef AGENT_CATALOG_DEFINITION_FIELD_H
#define AGENT_CATALOG_DEFINITION_FIELD_H

#include <stddef.h>

#include <jansson.h>

#include "agent/catalog/definition.h"

/* What is being read, and where a fault goes. */
struct definition_reader {
    enum definition_style style;
    struct definition_fault *fault;
};

/* The value under `key` in `parent`; `field` may be NULL for an element of a list. */
struct definition_value {
    const json_t *parent;
    const char *key;
    const char *field_name; /* Consul's spelling, for its errors */
    const json_t *json;
};

struct definition_field_type {
    const char *go_type; /* as Go's errors call it */
    const char *words;   /* "a number" */
    size_t plain_size;   /* not 0: copied as bytes, nothing to release */
    int (*read)(struct definition_reader *reader, const struct definition_value *value,
                void *place);
    void (*release)(void *place);
    int (*copy)(const void *from, void *place); /* into a zeroed place */
    /* `*out` stays NULL when the value says nothing. RC_OK or RC_ENOMEM. */
    int (*write)(const void *place, json_t **out);
};

struct definition_field {
    const char *name;  /* "TLSSkipVerify" */
    const char *snake; /* "tls_skip_verify" */
    const char *alias; /* another name, or NULL; compared like the other two */
    const struct definition_field_type *type; /* NULL: known and ignored */
    size_t offset;
};

extern const struct definition_field_type definition_text_type;   /* char * */
extern const struct definition_field_type definition_list_type;   /* definition_list */
extern const struct definition_field_type definition_pairs_type;  /* definition_pairs */
extern const struct definition_field_type definition_header_type; /* definition_pairs */
extern const struct definition_field_type definition_addresses_type; /* ..._addresses */
extern const struct definition_field_type definition_bool_type;      /* bool */
extern const struct definition_field_type definition_int_type;       /* int64_t */
extern const struct definition_field_type definition_duration_type;  /* uint64_t, ms */

struct definition_table {
    const char *go_type; /* of the whole */
    const struct definition_field *fields;
    size_t count;
};

/* Reads an object into the struct at `out`. Fields that are not there stay as they are. RC_OK,
 * RC_EMALFORMED (fault set) or RC_ENOMEM; `out` must be released in each case. */
int definition_table_read(const struct definition_table *table,
                          struct definition_reader *reader, const json_t *json,
                          void *out);
void definition_table_release(const struct definition_table *table, void *value);
int definition_table_copy(const struct definition_table *table, const void *from,
                          void *out);
json_t *definition_table_write(const struct definition_table *table, const void *value);

/* Sets the fault. Returns RC_EMALFORMED: the shape is wrong. */
int definition_malformed(struct definition_reader *reader, const json_t *parent,
                         const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets the fault. Returns RC_EINVAL: the shape is right, the meaning is not. */
int definition_invalid(struct definition_reader *reader, const json_t *parent,
                       const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The fault of a value that has not the type asked for. RC_EMALFORMED. */
int definition_wrong_type(struct definition_reader *reader,
                          const struct definition_value *value,
                          const struct definition_field_type *type);

/* Reads one block, or a list of them, by a call of `add` for each; the first error ends it. */
int definition_read_blocks(struct definition_reader *reader,
                           const struct definition_value *value,
                           const struct definition_field_type *type,
                           int (*add)(struct definition_reader *reader,
                                      const json_t *block, void *place),
                           void *place);

/* Reads the fields of a check and finds its kind; the rules come later. `check` must be ended
 * in each case. */
int definition_read_check(struct definition_reader *reader, const json_t *json,
                          struct check_definition *check);

/* Which of Consul's rules the check breaks, in Consul's words; NULL if none. */
const char *definition_check_fault(const struct check_definition *check);

/* Grows an array of `count` elements by one zeroed element; NULL when memory is out. */
void *definition_grow(void **items, size_t *count, size_t size);

#endif
