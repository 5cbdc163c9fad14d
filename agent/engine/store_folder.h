/* store_folder.h - the folder of a SQLite store: its files, their modes, and who has it open.
 *
 * store.db and its log store.db-wal belong to SQLite; store.lock is held (flock) by the one
 * process that may open them and has its number in it. Knows nothing of what is inside. */
#ifndef AGENT_ENGINE_STORE_FOLDER_H
#define AGENT_ENGINE_STORE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORE_PATH_MAX = 1024 };

struct store_folder {
    char path[STORE_PATH_MAX];
    char database[STORE_PATH_MAX]; /* path of store.db */
    char log[STORE_PATH_MAX];      /* path of store.db-wal */
    int lock;                      /* -1: not open */
};

/* Makes the folder (0700) and an empty database (0600) where there is none, and takes the lock.
 * RC_OK, else `error` says why: RC_EEXISTS (another process has it), RC_EMALFORMED (files are
 * missing), RC_EDENIED, RC_ENOSPC, RC_EIO, RC_ETOOBIG. On an error nothing stays open. */
int store_folder_open(struct store_folder *folder, const char *path, char *error,
                      size_t error_size);

/* Lets go of the lock. Twice is allowed. */
void store_folder_close(struct store_folder *folder);

/* Whether the log has something: the database was not closed properly, or is open. */
bool store_folder_has_log(const struct store_folder *folder);

/* Syncs the log to the disk. RC_OK or RC_EIO. */
int store_folder_sync_log(const struct store_folder *folder);

/* Bytes on disk of database and log. */
uint64_t store_folder_size(const struct store_folder *folder);

/* Bytes that there is room for on its disk; UINT64_MAX when nobody knows. */
uint64_t store_folder_room(const struct store_folder *folder);

/* Makes the kernel forget what it has cached of the files, so that the next read is from the disk:
 * after a failed fsync it shows what was written, not what is there. The database is closed. */
void store_folder_drop_cache(const struct store_folder *folder);

#endif
