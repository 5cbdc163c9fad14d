/* fragment.h - rollcall.conf, the part of PostgreSQL's configuration that the keeper writes.
 *
 * It stands in the data folder and is included from postgresql.conf, last. What changes is read
 * back from it, so that it survives the agent. Pure. */
#ifndef AGENT_POSTGRES_FRAGMENT_H
#define AGENT_POSTGRES_FRAGMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/postgres/place.h"
#include "base/buffer.h"

#define FRAGMENT_FILE      "rollcall.conf"
#define FRAGMENT_PASSWORDS "rollcall.pgpass"

enum { FRAGMENT_CONNINFO_MAX = 2048, FRAGMENT_NAMES_MAX = 2048 };

struct fragment {
    char conninfo[FRAGMENT_CONNINFO_MAX]; /* primary_conninfo; "": detached */
    char slot[PLACE_SLOT_MAX];            /* primary_slot_name */
    char names[FRAGMENT_NAMES_MAX];       /* synchronous_standby_names */
};

/* The file's text. */
void fragment_write(const struct fragment *fragment, const struct postgres_place *place,
                    struct rc_buffer *out);

/* What such a file says; what it does not say is "". RC_OK, or RC_ETOOBIG. */
int fragment_read(const char *text, struct fragment *out);

/* primary_conninfo to another node's server. RC_OK or RC_ETOOBIG. */
int fragment_conninfo(const struct postgres_place *place, const char *address,
                      uint16_t port, char out[FRAGMENT_CONNINFO_MAX]);

/* Whether the configuration includes it, and how it does; `folder` is "" when both are in the
 * data folder. */
bool fragment_is_included(const char *configuration);
void fragment_include(const char *folder, struct rc_buffer *out);

/* `configuration` without the lines that set what `fragment`, as written, sets: for
 * postgresql.auto.conf (ALTER SYSTEM, pg_basebackup -R), which overrides all files. True when
 * there were such lines. */
bool fragment_without(const char *configuration, const char *fragment,
                      struct rc_buffer *out);

/* A value in single quotes, as configuration files and SQL have it. */
void fragment_quote(const char *text, struct rc_buffer *out);

#endif
