/* template_value.h - what values of templates mean: true or not, equal or less, as text.
 *
 * Values are jansson's, so that an answer of the agent is one already. Texts may hold any bytes
 * (json_stringn_nocheck). A record is an object with fixed fields, such as an instance of a
 * service: it has the key "" with the name of what it is, and a field that it has not is a mistake of the
 * template; of other objects (meta, parsed JSON) a key that is not there is null. The meanings are those of Go's
 * text/template. Pure. */
#ifndef AGENT_TEMPLATE_TEMPLATE_VALUE_H
#define AGENT_TEMPLATE_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/text.h"

enum { TEMPLATE_WHY_MAX = 320, TEMPLATE_JSON_DEPTH_MAX = 30 };

/* A new record of `what`, as in "an instance of a service". NULL when memory is out. */
json_t *template_value_record(const char *what);

/* A text of any bytes; NULL when memory is out. */
json_t *template_value_text(const void *bytes, size_t size);
struct rc_span template_value_span(const json_t *text);

/* "text", "a number", "a list", ... for messages. */
const char *template_value_kind(const json_t *value);

/* False for null, false, 0, and what is empty. */
bool template_value_is_true(const json_t *value);

/* Bytes, elements or keys; of other values -1. */
long template_value_size(const json_t *value);

/* The field, borrowed, or null. RC_OK, or RC_EINVAL with words in `why`. */
int template_value_field(const json_t *value, struct rc_span name, json_t **out,
                         char why[TEMPLATE_WHY_MAX]);

/* Below 0, 0, above 0 as `a` is less, equal, more. RC_OK, or RC_EINVAL if they cannot be
 * compared, or (`ordered`) put in order. */
enum template_comparison { TEMPLATE_EQUALITY, TEMPLATE_ORDER };
int template_value_compare(const json_t *a, const json_t *b,
                           enum template_comparison comparison, int *out,
                           char why[TEMPLATE_WHY_MAX]);

/* Appends it as Go prints it. RC_OK; RC_EINVAL with words: null, records and objects have no such text. */
int template_value_print(const json_t *value, struct rc_buffer *out,
                         char why[TEMPLATE_WHY_MAX]);

/* Appends it as JSON, keys in order. RC_OK, or RC_ETOOBIG (too deep). */
int template_value_write_json(const json_t *value, unsigned indent,
                              struct rc_buffer *out);

/* The keys of an object in order of their bytes, without a record's mark: a list of texts. NULL
 * when memory is out. */
json_t *template_value_keys(const json_t *object);

#endif
