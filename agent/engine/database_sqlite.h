/* database_sqlite.h - what an open database consists of; for the files of database.h only. */
#ifndef AGENT_ENGINE_DATABASE_SQLITE_H
#define AGENT_ENGINE_DATABASE_SQLITE_H

#include <sqlite3.h>

#include "agent/engine/database.h"
#include "agent/engine/libsqlite_sqlite.h"

enum database_statement {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_MARKS,
    STATEMENT_SET_MARKS,
    STATEMENT_FIND,
    STATEMENT_NEWEST_RANGE,
    STATEMENT_NEWEST_REST,
    STATEMENT_PUT,
    STATEMENT_DELETE,
    STATEMENT_DELETE_RANGE,
    STATEMENT_DELETE_REST,
    STATEMENT_WALK,
    STATEMENT_ADD_LEASE,
    STATEMENT_LEASE,
    STATEMENT_END_LEASE,
    STATEMENT_DELETE_LEASED,
    STATEMENT_LEASES,
    STATEMENT_COUNT
};

enum { DATABASE_TEXT_MAX = 256 };

struct database {
    struct libsqlite lib;
    const struct store_folder *folder;
    sqlite3 *connection;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    int log_pages; /* in the log, as of the last commit */
    int code;      /* what SQLite said last when it failed */
    char error[DATABASE_TEXT_MAX];
};

/* Translates what SQLite returned, and keeps its words. Not for SQLITE_OK, ROW and DONE. */
int database_fail(struct database *database, int code);

/* Of files that open: prepares all statements. */
int database_prepare(struct database *database);

#endif
