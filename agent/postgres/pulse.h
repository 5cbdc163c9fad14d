/* pulse.h - how PostgreSQL stands: the questions asked of it, and what the answers mean. Pure. */
#ifndef AGENT_POSTGRES_PULSE_H
#define AGENT_POSTGRES_PULSE_H

#include "agent/keeper/keeper.h"
#include "agent/postgres/rows.h"

/* One row, valid in both roles and without superuser. */
extern const char pulse_status_query[];
/* A row a receiver of ours; on a primary. */
extern const char pulse_senders_query[];
/* A row a setting that lets commits go unconfirmed; on a primary. */
extern const char pulse_lint_query[];

/* Fills `out` but for `asked_ms`, `is_fresh` and the senders. RC_OK; RC_EMALFORMED: the rows have
 * another shape than asked for. */
int pulse_read_status(const struct rows *rows, struct keeper_probe *out);
/* What a server's files take: blocks of a file that is gone at the end, and WAL. */
extern const char pulse_write_query[];
extern const char pulse_spill_query[]; /* a standby's: without the WAL */
enum keeper_writing pulse_writing(const char *sqlstate, const char *text);
int pulse_read_senders(const struct rows *rows, struct keeper_probe *out);

/* What a failed connection or query says of the server. `sqlstate` is "" when the server said
 * nothing; `text` is libpq's. */
enum keeper_reach pulse_reach(const char *sqlstate, const char *text);

/* The SQLSTATE in a verbose message of libpq ("FATAL:  57P03: the database ..."); "": none. */
void pulse_find_sqlstate(const char *text, char out[6]);

#endif
