/* template.h - texts with places to fill: `https://$host$path$query`.
 *
 * $host    the host that was asked for, without port     $scheme   http or https
 * $path    the path in its normal form                   $query    with its "?", or nothing
 * $client  the client's address                          $port     the listener's
 * $request_id                                            $1 .. $9  groups of the route's regex
 * ${host}  the same, before letters                      $$        a dollar sign
 *
 * Read once, when the configuration is; filled without memory. Pure. */
#ifndef PROXY_PATTERN_TEMPLATE_H
#define PROXY_PATTERN_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "base/writer.h"

enum template_place {
    TEMPLATE_LITERAL,
    TEMPLATE_HOST,
    TEMPLATE_PATH,
    TEMPLATE_QUERY,
    TEMPLATE_SCHEME,
    TEMPLATE_CLIENT,
    TEMPLATE_PORT,
    TEMPLATE_REQUEST_ID,
    TEMPLATE_GROUP, /* $1 to $9: places TEMPLATE_GROUP to TEMPLATE_GROUP + 8 */
    TEMPLATE_PLACE_COUNT = TEMPLATE_GROUP + 9
};

enum { TEMPLATE_PIECES_MAX = 32, TEMPLATE_TEXT_MAX = 2048 };

struct template_piece {
    uint8_t place;
    uint16_t at; /* literals: where in the text */
    uint16_t size;
};

struct template
{
    char *text;                    /* owned: as given; NULL = there is none */
    struct template_piece *pieces; /* owned */
    size_t count;
};

struct template_values {
    struct rc_span at[TEMPLATE_PLACE_COUNT]; /* that of a literal is not used */
};

/* Reads `text`. RC_OK; RC_ENOMEM; or RC_EMALFORMED: `*why` (static) says what is wrong. */
int template_init(struct template *out, const char *text, const char **why);
void template_fini(struct template *t); /* zeroed is allowed */

/* True if `place` stands in it. */
bool template_has(const struct template *t, enum template_place place);

/* The highest group that stands in it; 0 = none. */
unsigned template_groups(const struct template *t);

/* Fills it in. What does not fit sticks in the writer. */
void template_write(const struct template *t, const struct template_values *values,
                    struct rc_writer *out);

#endif
