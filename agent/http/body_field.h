/* body_field.h - fields of a request's JSON, as leniently as Go reads them: the letter case of
 * names does not matter, the last of several counts, null is as good as nothing. */
#ifndef AGENT_HTTP_BODY_FIELD_H
#define AGENT_HTTP_BODY_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* Borrowed from `object`; NULL: not there, or null. */
json_t *body_field(json_t *object, const char *name);

/* True, with `*out` (borrowed; unchanged when there is no such field), or false: of another
 * type. Durations are Go's texts, or numbers of nanoseconds. */
bool body_field_text(json_t *object, const char *name, const char **out);
bool body_field_u64(json_t *object, const char *name, uint64_t *out);

#endif
