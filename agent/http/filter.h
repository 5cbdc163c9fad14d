/* filter.h - ?filter= expressions: which objects of an answer the client wants.
 *
 * The language of HashiCorp's go-bexpr as Consul 1.10 documents it (API, "Filtering"):
 *
 *     Service.Meta.zone == a and ("v1" in Service.Tags or Node.Node matches "^web")
 *
 * What may be selected is said by a schema, so a wrong selector is an error even when
 * there is no object to look at. Parsing and evaluating use bounded stacks, no recursion;
 * expressions come from clients. */
#ifndef AGENT_HTTP_FILTER_H
#define AGENT_HTTP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct filter;
struct filter_schema;

enum { FILTER_BYTES_MAX = 4096, FILTER_TERMS_MAX = 64, FILTER_ERROR_MAX = 512 };

enum filter_kind {
    FILTER_STRING,
    FILTER_NUMBER,
    FILTER_BOOL,
    FILTER_STRINGS, /* a list of strings */
    FILTER_PAIRS,   /* a map from string to string */
    FILTER_OBJECT,
    FILTER_OBJECTS,    /* a list of objects: an expression holds if it does for any */
    FILTER_OBJECT_MAP, /* a map from string to objects */
    FILTER_KIND_COUNT
};

/* One value, or one element of a list or map. */
struct filter_item {
    const char *key;    /* maps */
    const char *text;   /* strings, their lists, pairs */
    int64_t number;     /* numbers and booleans */
    const void *object; /* objects */
};

/* Fills `out` with element `position` of the field; 0 for a single value. False when there is
 * no such element. What it points to is borrowed during the evaluation. */
typedef bool filter_get(const void *object, size_t position, struct filter_item *out);

struct filter_field {
    const char *name;
    enum filter_kind kind;
    filter_get *get;
    const struct filter_schema *inside; /* kinds that hold objects */
};

struct filter_schema {
    const struct filter_field *fields;
    size_t count;
};

/* Reads an expression; `text` is copied. On RC_OK the caller owns `*out`. RC_EMALFORMED or
 * RC_ETOOBIG with `error` in Consul's words (without their common prefix), or RC_ENOMEM. */
int filter_parse(const char *text, const struct filter_schema *schema,
                 struct filter **out, char error[FILTER_ERROR_MAX]);
void filter_destroy(struct filter *filter); /* NULL is allowed */

/* Whether the expression holds for `object`, which must be of the schema. NULL accepts all. */
bool filter_accepts(const struct filter *filter, const void *object);

#endif
