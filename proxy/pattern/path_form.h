/* path_form.h - the one form of a path that routes are chosen by, and that goes on.
 *
 * The same resource can be spelled in many ways, and a proxy that reads a path otherwise than
 * the server behind it can be talked past its routes. So:
 *
 * - The normal form (RFC 3986 section 6.2.2): unreserved bytes stand for themselves ("%7e" ->
 *   "~", "%2e" -> "."), other percent-encodings have upper case digits, dot segments are
 *   resolved. "//" and "%2F" stay: some resources are called so. It chooses the route, and it
 *   is what goes on.
 * - Refused: a percent sign without two digits, "%00", a backslash (no byte of a path by RFC
 *   3986), and dot segments above the root.
 * - The lax reading is what a careless server may make of the normal form: "%2F" and "%5C" are
 *   slashes, so are overlong encodings of them, slashes in a row are one, what follows ";" in a
 *   segment is a parameter, and dot segments are resolved again. Where it differs, both must
 *   lead to the same route: proxy/route/ refuses the rest.
 *
 * Case is kept: whoever serves without regard to it must not guard paths by it. Pure. */
#ifndef PROXY_PATTERN_PATH_FORM_H
#define PROXY_PATTERN_PATH_FORM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

enum {
    PATH_FORM_MAX = 8192 /* bytes of a path; no form is longer than what it came from */
};

enum path_fault {
    PATH_SOUND,
    PATH_BAD_PERCENT,
    PATH_NUL,
    PATH_BACKSLASH,
    PATH_ABOVE_ROOT,
    PATH_TOO_LONG,
    PATH_FAULT_COUNT
};

/* True if the path (without query, beginning with "/") is its own normal form and cannot be
 * read otherwise: nothing of what follows is needed then. One pass, no memory. */
bool path_form_is_plain(const char *path, size_t size);

/* Writes the normal form to `space` (PATH_FORM_MAX bytes) and its size to `out`. */
enum path_fault path_form_normal(const char *path, size_t size, char *space, size_t *out);

/* Writes the lax reading of a normal form to `space` and returns its size. */
size_t path_form_lax(const char *normal, size_t size, char *space);

/* For people: "a percent sign without two hexadecimal digits". */
const char *path_form_fault_text(enum path_fault fault);

#endif
