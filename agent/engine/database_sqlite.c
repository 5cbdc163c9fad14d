/* database_sqlite.c - keys and leases as SQL. */
#include "agent/engine/database_sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/follow_log.h"
#include "base/err.h"

/* A log of 8 MB: what is written again and again meanwhile is moved to the file once. A short one
 * is not worth looking how much room there is. */
enum { LOG_PAGES_LONG = 2000, LOG_PAGES_SHORT = 64, PAGE_BYTES = 4096 + 24 };

static const char *const texts[STATEMENT_COUNT] = {
    [STATEMENT_BEGIN] = "BEGIN IMMEDIATE",
    [STATEMENT_COMMIT] = "COMMIT",
    [STATEMENT_ROLLBACK] = "ROLLBACK",
    [STATEMENT_MARKS] = "SELECT revision, next_lease FROM marks WHERE one = 1",
    [STATEMENT_SET_MARKS] =
        "UPDATE marks SET revision = ?1, next_lease = ?2 WHERE one = 1",
    [STATEMENT_FIND] =
        "SELECT create_revision, mod_revision, lease FROM kv WHERE key = ?1",
    [STATEMENT_NEWEST_RANGE] =
        "SELECT max(mod_revision) FROM kv WHERE key >= ?1 AND key < ?2",
    [STATEMENT_NEWEST_REST] = "SELECT max(mod_revision) FROM kv WHERE key >= ?1",
    [STATEMENT_PUT] =
        ("INSERT INTO kv (key, create_revision, mod_revision, lease, value)"
         " VALUES (?1, ?2, ?2, ?3, ?4)"
         " ON CONFLICT (key) DO UPDATE SET mod_revision = excluded.mod_revision,"
         " lease = excluded.lease, value = excluded.value RETURNING create_revision"),
    [STATEMENT_DELETE] = "DELETE FROM kv WHERE key = ?1 RETURNING key",
    [STATEMENT_DELETE_RANGE] =
        "DELETE FROM kv WHERE key >= ?1 AND key < ?2 RETURNING key",
    [STATEMENT_DELETE_REST] = "DELETE FROM kv WHERE key >= ?1 RETURNING key",
    [STATEMENT_WALK] =
        "SELECT key, value, create_revision, mod_revision, lease FROM kv ORDER BY key",
    [STATEMENT_ADD_LEASE] = "INSERT INTO lease (id, ttl_ms) VALUES (?1, ?2)",
    [STATEMENT_LEASE] = "SELECT ttl_ms FROM lease WHERE id = ?1",
    [STATEMENT_END_LEASE] = "DELETE FROM lease WHERE id = ?1",
    /* The index of leased keys is only used by who says that there is a lease. */
    [STATEMENT_DELETE_LEASED] =
        "DELETE FROM kv WHERE lease <> 0 AND lease = ?1 RETURNING key",
    [STATEMENT_LEASES] = "SELECT id, ttl_ms FROM lease ORDER BY id",
};

/* ---- Errors. */

static const struct {
    int primary;
    int err;
} codes[] = {
    {SQLITE_FULL, RC_ENOSPC},        {SQLITE_NOMEM, RC_ENOMEM},
    {SQLITE_CORRUPT, RC_EMALFORMED}, {SQLITE_NOTADB, RC_EMALFORMED},
    {SQLITE_BUSY, RC_EEXISTS},       {SQLITE_LOCKED, RC_EEXISTS},
    {SQLITE_READONLY, RC_EDENIED},   {SQLITE_PERM, RC_EDENIED},
};

/* SQLite has one text for all that can go wrong with a disk. */
static const struct {
    int code;
    const char *what;
} details[] = {
    {SQLITE_IOERR_READ, " (reading)"},      {SQLITE_IOERR_SHORT_READ, " (reading)"},
    {SQLITE_IOERR_WRITE, " (writing)"},     {SQLITE_IOERR_FSYNC, " (syncing)"},
    {SQLITE_IOERR_DIR_FSYNC, " (syncing)"}, {SQLITE_IOERR_TRUNCATE, " (truncating)"},
    {SQLITE_IOERR_CORRUPTFS, " (damage)"},
};

static const char *detail_of(int code)
{
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++) {
        if (details[i].code == code) {
            return details[i].what;
        }
    }
    return "";
}

int database_fail(struct database *database, int code)
{
    database->code = code;
    (void)snprintf(database->error, sizeof database->error, "%s: %s%s",
                   database->folder->database, database->lib.meaning(code),
                   detail_of(code));
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i].primary == (code & 0xff)) {
            return codes[i].err;
        }
    }
    return RC_EIO;
}

const char *database_error(const struct database *database)
{
    return database->error;
}

int database_prepare(struct database *database)
{
    for (size_t i = 0; i < STATEMENT_COUNT; i++) {
        int code = database->lib.prepare(database->connection, texts[i], -1,
                                         SQLITE_PREPARE_PERSISTENT,
                                         &database->statements[i], NULL);
        if (code != SQLITE_OK) {
            return database_fail(database, code);
        }
    }
    return RC_OK;
}

/* ---- Statements. Bindings stay until the next use: what they borrow is not looked at again. */

static void bind_number(struct database *database, enum database_statement which,
                        int place, uint64_t number)
{
    assert(number <= INT64_MAX);
    (void)database->lib.bind_number(database->statements[which], place,
                                    (sqlite3_int64)number); /* places are known */
}

static void bind_bytes(struct database *database, enum database_statement which,
                       int place, struct rc_pack_bytes bytes)
{
    /* Not NULL, which SQLite takes for SQL's NULL. */
    const void *at = bytes.size == 0 ? (const void *)"" : bytes.at;
    (void)database->lib.bind_bytes(database->statements[which], place, at, bytes.size,
                                   SQLITE_STATIC); /* far below its limit of a gigabyte */
}

/* One step; `*row` says whether there is one. After the last and after an error it is reset. */
static int step(struct database *database, enum database_statement which, bool *row)
{
    sqlite3_stmt *statement = database->statements[which];
    int code = database->lib.step(statement);
    int err = RC_OK;

    *row = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        err = database_fail(database, code);
    }
    if (!*row) {
        (void)database->lib.reset(statement); /* says again what step said */
    }
    return err;
}

/* To the end of a statement whose rows do not matter any more. */
static int finish(struct database *database, enum database_statement which)
{
    bool row = true;
    int err = RC_OK;

    while (err == RC_OK && row) {
        err = step(database, which, &row);
    }
    return err;
}

static uint64_t column(struct database *database, enum database_statement which,
                       int place)
{
    return (uint64_t)database->lib.number(database->statements[which], place);
}

static struct rc_pack_bytes column_bytes(struct database *database,
                                         enum database_statement which, int place)
{
    sqlite3_stmt *statement = database->statements[which];
    const void *at = database->lib.bytes(statement, place);
    int size = database->lib.size(statement, place);

    return (struct rc_pack_bytes){at == NULL ? (const uint8_t *)"" : at, (size_t)size};
}

/* ---- Transactions. */

int database_begin(struct database *database)
{
    return finish(database, STATEMENT_BEGIN);
}

/* The frame that makes a commit is the last that is written, then all are synced. So when writing
 * failed it is not done; after any other failure it may be in the log, or on the disk, or not. */
int database_commit(struct database *database)
{
    int err = finish(database, STATEMENT_COMMIT);

    if (err == RC_OK || err == RC_ENOSPC) {
        return err;
    }
    bool is_undone = database->code == SQLITE_IOERR_WRITE ||
                     (database->code & 0xff) == SQLITE_READONLY;
    return is_undone ? RC_EIO : RC_EUNKNOWN;
}

int database_rollback(struct database *database)
{
    if (database->lib.is_idle(database->connection) != 0) {
        return RC_OK; /* some errors roll back by themselves */
    }
    char kept[sizeof database->error];
    memcpy(kept, database->error, sizeof kept); /* the reason, not its aftermath */
    int err = finish(database, STATEMENT_ROLLBACK);
    if (err == RC_OK) {
        memcpy(database->error, kept, sizeof kept);
    }
    return err;
}

int database_marks(struct database *database, struct database_marks *out)
{
    bool row;
    int err = step(database, STATEMENT_MARKS, &row);

    if (err != RC_OK || !row) {
        return err != RC_OK ? err : database_fail(database, SQLITE_CORRUPT);
    }
    out->revision = column(database, STATEMENT_MARKS, 0);
    out->next_lease = column(database, STATEMENT_MARKS, 1);
    return finish(database, STATEMENT_MARKS);
}

int database_set_marks(struct database *database, const struct database_marks *marks)
{
    bind_number(database, STATEMENT_SET_MARKS, 1, marks->revision);
    bind_number(database, STATEMENT_SET_MARKS, 2, marks->next_lease);
    return finish(database, STATEMENT_SET_MARKS);
}

/* ---- Keys. */

int database_find(struct database *database, struct rc_pack_bytes key,
                  struct database_key *out)
{
    bool row;

    bind_bytes(database, STATEMENT_FIND, 1, key);
    int err = step(database, STATEMENT_FIND, &row);
    if (err != RC_OK || !row) {
        *out = (struct database_key){0};
        return err;
    }
    out->create_revision = column(database, STATEMENT_FIND, 0);
    out->mod_revision = column(database, STATEMENT_FIND, 1);
    out->lease = column(database, STATEMENT_FIND, 2);
    (void)database->lib.reset(database->statements[STATEMENT_FIND]); /* it went well */
    return RC_OK;
}

int database_put(struct database *database, const struct engine_op *op, uint64_t revision,
                 struct rc_buffer *log)
{
    struct engine_item item = {
        .key = op->key, .value = op->value, .mod_revision = revision, .lease = op->lease};
    bool row;

    bind_bytes(database, STATEMENT_PUT, 1, op->key);
    bind_number(database, STATEMENT_PUT, 2, revision);
    bind_number(database, STATEMENT_PUT, 3, op->lease);
    bind_bytes(database, STATEMENT_PUT, 4, op->value);
    int err = step(database, STATEMENT_PUT, &row);
    if (err != RC_OK) {
        return err;
    }
    assert(row);
    item.create_revision = column(database, STATEMENT_PUT, 0);
    follow_log_put(log, &item);
    err = finish(database, STATEMENT_PUT);
    return err != RC_OK ? err : log->err;
}

/* Runs a DELETE that returns the keys it removed. */
static int remove_keys(struct database *database, enum database_statement which,
                       uint64_t revision, struct rc_buffer *log)
{
    bool row = false;
    int err = step(database, which, &row);

    while (err == RC_OK && row) {
        follow_log_removed(log, column_bytes(database, which, 0), revision);
        err = step(database, which, &row);
    }
    return err != RC_OK ? err : log->err;
}

int database_delete(struct database *database, struct rc_pack_bytes key,
                    uint64_t revision, struct rc_buffer *log)
{
    bind_bytes(database, STATEMENT_DELETE, 1, key);
    return remove_keys(database, STATEMENT_DELETE, revision, log);
}

/* The first key behind all that start with `prefix`: its last byte that can grow, grown. Empty when
 * there is none. Owned by the caller. */
static struct rc_pack_bytes end_of_prefix(struct rc_pack_bytes prefix, uint8_t *space)
{
    size_t size = prefix.size;

    while (size > 0 && prefix.at[size - 1] == UINT8_MAX) {
        size--;
    }
    if (size > 0) {
        memcpy(space, prefix.at, size);
        space[size - 1]++;
    }
    return (struct rc_pack_bytes){space, size};
}

int database_newest(struct database *database, struct rc_pack_bytes prefix, uint64_t *out)
{
    uint8_t *space = malloc(prefix.size);
    bool row = false;

    *out = 0;
    if (space == NULL) {
        return RC_ENOMEM;
    }
    struct rc_pack_bytes end = end_of_prefix(prefix, space);
    enum database_statement which =
        end.size > 0 ? STATEMENT_NEWEST_RANGE : STATEMENT_NEWEST_REST;
    bind_bytes(database, which, 1, prefix);
    if (end.size > 0) {
        bind_bytes(database, which, 2, end);
    }
    int err = step(database, which, &row);
    if (err == RC_OK && row) {
        *out = column(database, which, 0); /* SQL's NULL, of no keys, is read as 0 */
        err = finish(database, which);
    }
    free(space);
    return err;
}

int database_delete_prefix(struct database *database, struct rc_pack_bytes prefix,
                           uint64_t revision, struct rc_buffer *log)
{
    uint8_t *space = malloc(prefix.size);

    if (space == NULL) {
        return RC_ENOMEM;
    }
    struct rc_pack_bytes end = end_of_prefix(prefix, space);
    enum database_statement which =
        end.size > 0 ? STATEMENT_DELETE_RANGE : STATEMENT_DELETE_REST;
    bind_bytes(database, which, 1, prefix);
    if (end.size > 0) {
        bind_bytes(database, which, 2, end);
    }
    int err = remove_keys(database, which, revision, log);
    free(space);
    return err;
}

int database_next(struct database *database, struct engine_item *out, bool *found)
{
    int err = step(database, STATEMENT_WALK, found);

    if (err == RC_OK && *found) {
        out->key = column_bytes(database, STATEMENT_WALK, 0);
        out->value = column_bytes(database, STATEMENT_WALK, 1);
        out->create_revision = column(database, STATEMENT_WALK, 2);
        out->mod_revision = column(database, STATEMENT_WALK, 3);
        out->lease = column(database, STATEMENT_WALK, 4);
    }
    return err;
}

void database_end_walk(struct database *database)
{
    (void)database->lib.reset(database->statements[STATEMENT_WALK]);
}

/* ---- Leases. */

int database_add_lease(struct database *database, uint64_t lease, uint64_t ttl_ms)
{
    bind_number(database, STATEMENT_ADD_LEASE, 1, lease);
    bind_number(database, STATEMENT_ADD_LEASE, 2, ttl_ms);
    return finish(database, STATEMENT_ADD_LEASE);
}

int database_lease(struct database *database, uint64_t lease, uint64_t *ttl_ms)
{
    bool row = false;

    *ttl_ms = 0;
    if (lease > INT64_MAX) { /* not one of ours */
        return RC_OK;
    }
    bind_number(database, STATEMENT_LEASE, 1, lease);
    int err = step(database, STATEMENT_LEASE, &row);
    if (err == RC_OK && row) {
        *ttl_ms = column(database, STATEMENT_LEASE, 0);
        (void)database->lib.reset(database->statements[STATEMENT_LEASE]);
    }
    return err;
}

int database_end_lease(struct database *database, uint64_t lease, uint64_t revision,
                       struct rc_buffer *log)
{
    bind_number(database, STATEMENT_DELETE_LEASED, 1, lease);
    int err = remove_keys(database, STATEMENT_DELETE_LEASED, revision, log);
    if (err != RC_OK) {
        return err;
    }
    bind_number(database, STATEMENT_END_LEASE, 1, lease);
    return finish(database, STATEMENT_END_LEASE);
}

int database_each_lease(struct database *database,
                        int (*lease)(void *context, uint64_t lease, uint64_t ttl_ms),
                        void *context)
{
    bool row = false;
    int err = step(database, STATEMENT_LEASES, &row);

    while (err == RC_OK && row) {
        err = lease(context, column(database, STATEMENT_LEASES, 0),
                    column(database, STATEMENT_LEASES, 1));
        if (err == RC_OK) {
            err = step(database, STATEMENT_LEASES, &row);
        }
    }
    (void)database->lib.reset(database->statements[STATEMENT_LEASES]);
    return err;
}

/* ---- The log. */

/* Or so long that what is in it soon has no room in the file: a log that takes what is left of
 * a disk could not be moved any more. */
static bool is_long(const struct database *database)
{
    uint64_t bytes = (uint64_t)database->log_pages * PAGE_BYTES;

    return database->log_pages >= LOG_PAGES_LONG ||
           (database->log_pages >= LOG_PAGES_SHORT &&
            bytes > store_folder_room(database->folder));
}

int database_tidy(struct database *database, enum database_tidying when)
{
    int mode =
        when == DATABASE_NOW ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;

    if (when == DATABASE_WHEN_LONG && !is_long(database)) {
        return RC_OK;
    }
    int code = database->lib.checkpoint(database->connection, NULL, mode, NULL, NULL);
    if (code != SQLITE_OK) {
        return database_fail(database, code);
    }
    database->log_pages = 0;
    return RC_OK;
}
