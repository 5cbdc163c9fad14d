/* target.h - what a request line asks for: a clean path and its parameters.
 *
 * Percent-decoding and splitting after RFC 3986 sections 2-3; `+` is a space in
 * parameters, as HTML forms write it. Pure; the raw bytes come from the network. */
#ifndef AGENT_HTTP_TARGET_H
#define AGENT_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum { TARGET_BYTES_MAX = 8192, TARGET_PARAMETERS_MAX = 64 };

struct target_parameter {
    const char *name;
    const char *value; /* "" when there is none */
};

/* A zeroed struct is an empty target. All strings live in `text` until the next parse. */
struct target {
    struct rc_buffer text;
    const char *authority; /* of an absolute-form target, else NULL */
    const char *path;      /* decoded; starts with '/' */
    const char *raw_query; /* what stood behind '?', not decoded; NULL without '?' */
    struct target_parameter *parameters; /* owned; at most TARGET_PARAMETERS_MAX */
    size_t parameter_count;
    size_t parameter_capacity;
};

/* Takes `raw` (copied) apart. RC_OK, RC_ETOOBIG (longer than the maxima), RC_EMALFORMED (bad
 * escape in the path, a control character, text that is not UTF-8, neither "/..." nor
 * "http://...") or RC_ENOMEM. Parameters with a bad escape are left out, as Go does. */
int target_parse(struct target *target, const char *raw, size_t size);

void target_fini(struct target *target);

/* The value of the first parameter of this name, or NULL. Names are case-sensitive. */
const char *target_parameter(const struct target *target, const char *name);

/* Writes the path without "//", "." and ".." segments (a final slash stays) into `out`.
 * True if that differs from the path. */
bool target_clean_path(const struct target *target, struct rc_buffer *out);

/* Appends `path` percent-encoded, fit for a Location header. */
void target_encode_path(const char *path, struct rc_buffer *out);

#endif
