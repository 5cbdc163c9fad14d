/* session.h - one connection to a PostgreSQL server, asked one thing at a time.
 *
 * Asynchronous libpq on the agent's loop, with timers of its own: connect_timeout is ignored on
 * that way, and a cancel would block, so after a timeout the connection is dropped. A kept
 * connection that has died in between is opened again by the same question. */
#ifndef AGENT_POSTGRES_SESSION_H
#define AGENT_POSTGRES_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/keeper/keeper.h"
#include "agent/postgres/rows.h"

struct pg_session;
struct uv_loop_s;

/* All copied. Either `socket_dir` or `address`. */
struct pg_session_options {
    struct uv_loop_s *loop;
    const char *socket_dir;
    const char *address; /* an IP address: a name would block in the resolver */
    uint16_t port;
    const char *user;
    const char *password; /* "": none */
    const char *database;
    bool is_replication; /* speaks the replication protocol */
};

/* Which connection answers. */
enum pg_session_way { PG_SESSION_KEPT, PG_SESSION_FRESH };

/* What became of a question; borrowed during the call. */
struct pg_answer {
    bool is_ok; /* `rows` are those of its last statement that gave some */
    enum keeper_reach
        reach;            /* KEEPER_ANSWERED also when the server refused the question */
    const char *sqlstate; /* "" */
    const char *text;     /* one line; "" */
    const struct rows *rows; /* never NULL */
};

typedef void pg_session_told(void *context, const struct pg_answer *answer);

/* RC_OK, RC_ENOMEM, or RC_ENOTFOUND: libpq is not installed. */
int pg_session_create(const struct pg_session_options *options, struct pg_session **out);
void pg_session_destroy(struct pg_session *session); /* NULL is allowed */

/* Asks; `told` is called once, later, unless pg_session_drop() or _destroy() comes first. Not
 * while something is asked. `sql` is copied. */
void pg_session_ask(struct pg_session *session, enum pg_session_way way, const char *sql,
                    uint64_t timeout_ms, pg_session_told *told, void *context);

bool pg_session_is_busy(const struct pg_session *session);

/* Forgets what was asked and closes the connection. */
void pg_session_drop(struct pg_session *session);

#endif
