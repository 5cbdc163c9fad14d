/* database_open_sqlite.c - from a file to a database that can be trusted, and back. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/database_sqlite.h"
#include "base/err.h"

enum {
    APPLICATION = 0x726f6c6c, /* "roll", so that `file` and we know whose file it is */
    VERSION = 1,
    CHECK_ALL_MAX_BYTES = 64 << 20 /* larger ones are checked the quick way */
};

/* A key is found by one descent: the table is its own index. What belongs to leases is found by an
 * index that only has keys with leases. The value stands last, out of the way of the rest. */
static const char tables[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE kv (key BLOB PRIMARY KEY NOT NULL, create_revision INTEGER NOT NULL,"
    " mod_revision INTEGER NOT NULL, lease INTEGER NOT NULL, value BLOB NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE INDEX kv_lease ON kv (lease) WHERE lease <> 0;"
    "CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl_ms INTEGER NOT NULL) STRICT;"
    "CREATE TABLE marks (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " revision INTEGER NOT NULL, next_lease INTEGER NOT NULL) STRICT;"
    "INSERT INTO marks VALUES (1, 1, 1);"
    "PRAGMA application_id = 1919904876;" /* APPLICATION */
    "PRAGMA user_version = 1;"            /* VERSION */
    "COMMIT;";

/* Who else opens the file is not the store. With the log's index in our memory there is no shared
 * file for it, and nobody can come in between. */
static const char settings[] = "PRAGMA locking_mode = EXCLUSIVE;"
                               "PRAGMA synchronous = FULL;"
                               "PRAGMA wal_autocheckpoint = 0;"
                               "PRAGMA foreign_keys = ON;"
                               "PRAGMA trusted_schema = OFF;"
                               "PRAGMA cell_size_check = ON;"
                               "PRAGMA temp_store = MEMORY;"
                               "PRAGMA busy_timeout = 2000;"
                               "PRAGMA cache_size = -2048;";

static int run(struct database *database, const char *sql)
{
    int code = database->lib.run(database->connection, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? RC_OK : database_fail(database, code);
}

/* The first column of the first row, as a number and as text. */
static int ask(struct database *database, const char *sql, int64_t *number, char *text,
               size_t text_size)
{
    sqlite3_stmt *statement = NULL;
    const struct libsqlite *lib = &database->lib;
    int code = lib->prepare(database->connection, sql, -1, 0, &statement, NULL);

    if (code == SQLITE_OK) {
        code = lib->step(statement);
    }
    if (code == SQLITE_ROW) {
        const unsigned char *found = lib->text(statement, 0);
        (void)snprintf(text, text_size, "%s", found == NULL ? "" : (const char *)found);
        *number = lib->number(statement, 0);
    }
    int err = code == SQLITE_ROW ? RC_OK : database_fail(database, code);
    (void)lib->finalize(statement); /* says again what step said */
    return err;
}

static int on_commit(void *context, sqlite3 *connection, const char *schema, int pages)
{
    struct database *database = context;
    assert(connection == database->connection && schema != NULL);
    database->log_pages = pages;
    return SQLITE_OK;
}

static int connect(struct database *database)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const struct libsqlite *lib = &database->lib;
    int code = lib->open(database->folder->database, &database->connection, flags, NULL);

    if (code == SQLITE_OK) { /* what is damaged must not be written to by closing it */
        code = lib->configure(database->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                              NULL);
    }
    if (code != SQLITE_OK) {
        return database_fail(database, code);
    }
    int err = run(database, settings);
    /* After wal_autocheckpoint, which puts a hook of its own in this place, or none. */
    (void)lib->on_log(database->connection, on_commit,
                      database); /* what was there before */
    return err;
}

static int use_log(struct database *database)
{
    char mode[16] = "";
    int64_t number;
    int err = ask(database, "PRAGMA journal_mode = WAL", &number, mode, sizeof mode);

    if (err == RC_OK && strcmp(mode, "wal") != 0) {
        (void)snprintf(database->error, sizeof database->error,
                       "%s cannot have a write-ahead log", database->folder->database);
        err = RC_EIO;
    }
    return err;
}

static int check_all(struct database *database)
{
    char verdict[128] = "";
    int64_t number;
    const char *how = store_folder_size(database->folder) > CHECK_ALL_MAX_BYTES
                          ? "PRAGMA quick_check(1)"
                          : "PRAGMA integrity_check(1)";
    int err = ask(database, how, &number, verdict, sizeof verdict);

    if (err == RC_OK && strcmp(verdict, "ok") != 0) {
        (void)snprintf(database->error, sizeof database->error, "%s: %s",
                       database->folder->database, verdict);
        err = RC_EMALFORMED;
    }
    return err;
}

enum content { CONTENT_NONE, CONTENT_OURS };

/* Refuses what is not ours, or not yet. */
static int look_inside(struct database *database, enum content *content)
{
    char text[32];
    int64_t application = 0;
    int64_t version = 0;
    int64_t objects = 0;
    int err = ask(database, "PRAGMA application_id", &application, text, sizeof text);

    if (err == RC_OK) {
        err = ask(database, "PRAGMA user_version", &version, text, sizeof text);
    }
    if (err == RC_OK) {
        err = ask(database, "SELECT count(*) FROM sqlite_schema", &objects, text,
                  sizeof text);
    }
    if (err != RC_OK) {
        return err;
    }
    bool is_new = application == 0 && version == 0 && objects == 0;
    *content = is_new ? CONTENT_NONE : CONTENT_OURS;
    if (!is_new && application != APPLICATION) {
        (void)snprintf(database->error, sizeof database->error,
                       "%s is not a store of rollcall", database->folder->database);
        return RC_EMALFORMED;
    }
    if (version > VERSION) {
        (void)snprintf(database->error, sizeof database->error,
                       "%s was written by a newer rollcall (format %lld, known is %d)",
                       database->folder->database, (long long)version, VERSION);
        return RC_EUNSUPPORTED;
    }
    return RC_OK;
}

/* Only looks until it is known whose file it is, and that it is whole. */
static int check(struct database *database, enum content *content)
{
    bool was_left_open = store_folder_has_log(database->folder);

    /* What a killed process wrote and did not sync must not be shown before it is synced. */
    if (was_left_open && store_folder_sync_log(database->folder) != RC_OK) {
        return database_fail(database, SQLITE_IOERR_FSYNC);
    }
    int err = connect(database);
    if (err == RC_OK) {
        err = look_inside(database, content);
    }
    if (err == RC_OK && was_left_open) {
        err = check_all(database);
    }
    return err;
}

/* SQLite's words, and what to do. */
static void advise(const struct database *database, int err, char *error, size_t size)
{
    if (err == RC_EMALFORMED) {
        (void)snprintf(error, size,
                       "%s; nothing was changed: move %s away and restore a snapshot",
                       database->error, database->folder->path);
    } else if (err == RC_EEXISTS) {
        (void)snprintf(error, size, "%s: another program has it open", database->error);
    } else if (err == RC_EUNSUPPORTED) {
        (void)snprintf(error, size, "%s: upgrade this one", database->error);
    } else {
        (void)snprintf(error, size, "%s", database->error);
    }
}

int database_open(const struct store_folder *folder, struct database **out, char *error,
                  size_t error_size)
{
    struct database *database = calloc(1, sizeof *database);
    enum content content = CONTENT_NONE;

    if (database == NULL) {
        (void)snprintf(error, error_size, "%s", rc_strerror(RC_ENOMEM));
        return RC_ENOMEM;
    }
    database->folder = folder;
    int err = libsqlite_load(&database->lib, error, error_size);
    if (err != RC_OK) {
        free(database);
        return err;
    }
    err = check(database, &content);
    if (err == RC_OK) {
        err = use_log(database);
    }
    if (err == RC_OK && content == CONTENT_NONE) {
        err = run(database, tables);
    }
    if (err == RC_OK) {
        err = database_prepare(database);
    }
    if (err != RC_OK) {
        advise(database, err, error, error_size);
        database_close(database, DATABASE_AS_IS);
        return err;
    }
    *out = database;
    return RC_OK;
}

void database_close(struct database *database, enum database_closing closing)
{
    if (database == NULL) {
        return;
    }
    if (closing == DATABASE_TIDY) {
        (void)database_tidy(database, DATABASE_NOW); /* else the next start does it */
    }
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        (void)database->lib.finalize(database->statements[i]);
    }
    (void)database->lib.close(database->connection); /* all statements are gone */
    free(database);
}
