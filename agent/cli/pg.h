/* pg.h - what the parts of `rollcall pg` share.
 *
 * pg_command.c reads flags and sends wishes, pg_show.c prints a cluster, pg_follow.c waits until
 * what was asked for has happened. A cluster is the JSON of GET /v1/postgres/<cluster>. */
#ifndef AGENT_CLI_PG_H
#define AGENT_CLI_PG_H

#include <stdint.h>

#include <jansson.h>

#include "agent/cli/cli.h"
#include "agent/cli/columns.h"
#include "agent/cli/flags.h"

enum { PG_TIME_SPACE = 25 }; /* of an instant as text */

struct pg_cluster {
    const struct cli_client_flags *client;
    const char *name;
    uint64_t index; /* of what was read last */
};

/* Reads it, after a change if `wait_ms` is not 0. RC_OK with `*out` owned by the caller, or an
 * error that was told on stderr. */
int pg_read(struct pg_cluster *cluster, uint64_t wait_ms, json_t **out);

/* The member of that name, or NULL. Borrowed. */
const json_t *pg_member(const json_t *view, const char *node);

/* ---- pg_show.c */

/* Says in one line what must not be overlooked: the cluster is paused. */
void pg_show_banner(const json_t *view);
void pg_show_status(const json_t *view);
void pg_show_members(const json_t *view);
void pg_show_history(const json_t *view);

/* ---- pg_follow.c: wait up to `wait_ms`, and tell how it went. Each returns enum cli_exit. */

/* Until the intent `id` has made `to` the primary, or was given up. */
int pg_follow_move(struct pg_cluster *cluster, const char *id, const char *to,
                   uint64_t wait_ms);

/* Until the node has carried out the order `id`. */
int pg_follow_order(struct pg_cluster *cluster, const char *id, const char *node,
                    uint64_t wait_ms);

#endif
