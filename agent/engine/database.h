/* database.h - the SQLite file of a store: keys, leases, the revision.
 *
 * Used by one thread at a time. All but opening and closing work inside a transaction
 * of SQLite: database_begin(), then what is to be done, then database_commit() or
 * database_rollback(). A commit that returned RC_OK is on the disk.
 *
 * Errors of all: RC_ENOSPC, RC_EIO, RC_ENOMEM, RC_EMALFORMED (damaged); database_error() has
 * words for them. */
#ifndef AGENT_ENGINE_DATABASE_H
#define AGENT_ENGINE_DATABASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/store_folder.h"
#include "agent/store/engine.h"
#include "base/buffer.h"

struct database;

/* What survives beside keys and leases. */
struct database_marks {
    uint64_t revision;
    uint64_t next_lease; /* numbers of leases are never used twice */
};

/* Opens the database in `folder` (borrowed), brings in its log, and makes its tables when it is
 * new. When it was not closed properly SQLite checks all of it, or what is quick when it is large.
 * RC_OK, else `error` says what to do: also RC_ENOTFOUND (no libsqlite3), RC_EUNSUPPORTED (newer),
 * RC_EEXISTS (somebody reads it). Nothing of a damaged file is overwritten. */
int database_open(const struct store_folder *folder, struct database **out, char *error,
                  size_t error_size);

enum database_closing {
    DATABASE_TIDY, /* moves the log into the file first: no check at the next start */
    DATABASE_AS_IS /* writes nothing */
};
void database_close(struct database *database, enum database_closing closing);

/* One line about the last error; borrowed. */
const char *database_error(const struct database *database);

int database_marks(struct database *database, struct database_marks *out);
int database_set_marks(struct database *database, const struct database_marks *marks);

int database_begin(struct database *database);
/* RC_ENOSPC, RC_EIO: not done. RC_EUNKNOWN: nobody knows; close it, and look again. */
int database_commit(struct database *database);
/* RC_OK, or the database must be closed. */
int database_rollback(struct database *database);

/* ---- keys */

/* An absent key has 0 everywhere. */
struct database_key {
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t lease;
};
int database_find(struct database *database, struct rc_pack_bytes key,
                  struct database_key *out);

/* The highest mod revision of the keys under `prefix`, which is not empty; 0: there are none. */
int database_newest(struct database *database, struct rc_pack_bytes prefix,
                    uint64_t *out);

/* Each tells `log` (follow_log.h) what it does. */
int database_put(struct database *database, const struct engine_op *op, uint64_t revision,
                 struct rc_buffer *log);
int database_delete(struct database *database, struct rc_pack_bytes key,
                    uint64_t revision, struct rc_buffer *log);
int database_delete_prefix(struct database *database, struct rc_pack_bytes prefix,
                           uint64_t revision, struct rc_buffer *log);

/* Walks all keys in order: `*found` false at the end. `out` is borrowed until the next call.
 * Nothing may be written meanwhile; database_end_walk() ends it early. */
int database_next(struct database *database, struct engine_item *out, bool *found);
void database_end_walk(struct database *database);

/* ---- leases */

int database_add_lease(struct database *database, uint64_t lease, uint64_t ttl_ms);
/* 0: no such lease. */
int database_lease(struct database *database, uint64_t lease, uint64_t *ttl_ms);
/* Removes it with all its keys. */
int database_end_lease(struct database *database, uint64_t lease, uint64_t revision,
                       struct rc_buffer *log);
/* Calls `lease` for each; an error of it ends the walk. */
int database_each_lease(struct database *database,
                        int (*lease)(void *context, uint64_t lease, uint64_t ttl_ms),
                        void *context);

/* ---- the log */

enum database_tidying {
    DATABASE_WHEN_LONG, /* when it has grown long enough to be worth it */
    DATABASE_NOW        /* its room on the disk is given back */
};
/* Moves the log into the file. After an error nothing is lost. */
int database_tidy(struct database *database, enum database_tidying when);

#endif
