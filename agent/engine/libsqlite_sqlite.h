/* libsqlite_sqlite.h - the part of SQLite that the store uses, loaded when it is first needed. */
#ifndef AGENT_ENGINE_LIBSQLITE_SQLITE_H
#define AGENT_ENGINE_LIBSQLITE_SQLITE_H

#include <sqlite3.h>
#include <stddef.h>

/* Its functions, by what they do here. */
struct libsqlite {
    int (*open)(const char *path, sqlite3 **out, int flags, const char *vfs);
    int (*close)(sqlite3 *connection);
    int (*configure)(sqlite3 *connection, int what, ...);
    int (*run)(sqlite3 *connection, const char *sql,
               int (*row)(void *, int, char **, char **), void *context, char **error);
    int (*prepare)(sqlite3 *connection, const char *sql, int size, unsigned flags,
                   sqlite3_stmt **out, const char **rest);
    int (*finalize)(sqlite3_stmt *statement);
    int (*reset)(sqlite3_stmt *statement);
    int (*step)(sqlite3_stmt *statement);
    int (*bind_number)(sqlite3_stmt *statement, int place, sqlite3_int64 value);
    int (*bind_bytes)(sqlite3_stmt *statement, int place, const void *bytes,
                      sqlite3_uint64 size, void (*destroy)(void *));
    sqlite3_int64 (*number)(sqlite3_stmt *statement, int column);
    const void *(*bytes)(sqlite3_stmt *statement, int column);
    int (*size)(sqlite3_stmt *statement, int column);
    const unsigned char *(*text)(sqlite3_stmt *statement, int column);
    const char *(*meaning)(int code);
    int (*is_idle)(sqlite3 *connection); /* no transaction is open */
    void *(*on_log)(sqlite3 *connection,
                    int (*hook)(void *, sqlite3 *, const char *, int), void *context);
    int (*checkpoint)(sqlite3 *connection, const char *schema, int mode, int *log,
                      int *done);
};

/* Fills `out`. RC_OK, or RC_ENOTFOUND with `error` naming the package to install. */
int libsqlite_load(struct libsqlite *out, char *error, size_t error_size);

#endif
