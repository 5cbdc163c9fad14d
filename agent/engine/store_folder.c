#include "agent/engine/store_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600 };

static int code_of(int number)
{
    switch (number) {
    case EACCES:
    case EPERM:
    case EROFS:
        return RC_EDENIED;
    case ENOSPC:
    case EDQUOT:
        return RC_ENOSPC;
    default:
        return RC_EIO;
    }
}

/* What failed and why, by errno. */
static int explain(const char *path, const char *what, char *error, size_t error_size)
{
    int number = errno;

    (void)snprintf(error, error_size, "%s cannot be %s: %s", path, what,
                   strerrordesc_np(number));
    return code_of(number);
}

static int sync_path(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return RC_EIO;
    }
    int err = fsync(file) == 0 ? RC_OK : RC_EIO;
    (void)close(file);
    return err;
}

/* So that a new folder's name is on the disk before anything in it counts. */
static void sync_above(const char *path)
{
    char above[STORE_PATH_MAX];
    (void)rc_text_put(above, sizeof above, path);
    char *slash = strrchr(above, '/');

    if (slash != NULL && slash != above) {
        *slash = '\0';
        (void)sync_path(above); /* as good as can be; the folder itself is what counts */
    }
}

static int make_folder(const char *path, char *error, size_t error_size)
{
    struct stat there;

    if (stat(path, &there) != 0) {
        if (rc_file_make_folder(path) != RC_OK) {
            return explain(path, "made", error, error_size);
        }
        sync_above(path);
    } else if ((there.st_mode & 0777) != FOLDER_MODE && chmod(path, FOLDER_MODE) != 0 &&
               errno != EROFS) {
        return explain(path, "made private", error, error_size);
    }
    return RC_OK;
}

/* The number that the holder of the lock wrote into it. */
static long holder_of(int lock)
{
    char text[32] = "";

    if (pread(lock, text, sizeof text - 1, 0) <= 0) {
        return 0;
    }
    return strtol(text, NULL, 10);
}

static int take_lock(struct store_folder *folder, char *error, size_t error_size)
{
    char path[STORE_PATH_MAX + 16];
    char text[32];

    (void)snprintf(path, sizeof path, "%s/store.lock", folder->path);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (lock < 0) {
        return explain(path, "opened", error, error_size);
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        (void)snprintf(error, error_size,
                       "%s is in use by process %ld: only one agent may open a store",
                       folder->path, holder_of(lock));
        (void)close(lock);
        return RC_EEXISTS;
    }
    folder->lock = lock;
    int size = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    bool is_told = ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)size, 0) == size;
    (void)is_told; /* the number is for people; a full disk is no reason not to start */
    return RC_OK;
}

static int make_database(const struct store_folder *folder, char *error,
                         size_t error_size)
{
    int file = open(folder->database, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);

    if (file < 0) {
        return explain(folder->database, "made", error, error_size);
    }
    (void)close(file);
    if (sync_path(folder->path) != RC_OK) {
        return explain(folder->path, "synced", error, error_size);
    }
    return RC_OK;
}

static uint64_t size_of(const char *path)
{
    struct stat there;
    return stat(path, &there) == 0 ? (uint64_t)there.st_size : 0;
}

/* SQLite takes a log without a database for rubbish and removes it. */
static int check_files(const struct store_folder *folder, char *error, size_t error_size)
{
    struct stat there;
    bool exists = stat(folder->database, &there) == 0;

    if ((!exists || there.st_size == 0) && size_of(folder->log) > 0) {
        (void)snprintf(
            error, error_size,
            "%s is missing or empty, but its log %s is there: put the file back, or move "
            "both away and restore a snapshot",
            folder->database, folder->log);
        return RC_EMALFORMED;
    }
    if (!exists) {
        return make_database(folder, error, error_size);
    }
    if ((there.st_mode & 0777) != FILE_MODE && chmod(folder->database, FILE_MODE) != 0 &&
        errno != EROFS) {
        return explain(folder->database, "made private", error, error_size);
    }
    return RC_OK;
}

static int set_paths(struct store_folder *folder, const char *path)
{
    int database =
        snprintf(folder->database, sizeof folder->database, "%s/store.db", path);
    int log = snprintf(folder->log, sizeof folder->log, "%s/store.db-wal", path);

    folder->lock = -1;
    return rc_text_put(folder->path, sizeof folder->path, path) == RC_OK &&
                   database > 0 && log > 0 && (size_t)log < sizeof folder->log
               ? RC_OK
               : RC_ETOOBIG;
}

int store_folder_open(struct store_folder *folder, const char *path, char *error,
                      size_t error_size)
{
    if (set_paths(folder, path) != RC_OK) {
        (void)snprintf(error, error_size, "the path of the store is too long");
        return RC_ETOOBIG;
    }
    int err = make_folder(path, error, error_size);
    if (err == RC_OK) {
        err = take_lock(folder, error, error_size);
    }
    if (err == RC_OK) {
        err = check_files(folder, error, error_size);
    }
    if (err != RC_OK) {
        store_folder_close(folder);
    }
    return err;
}

void store_folder_close(struct store_folder *folder)
{
    if (folder->lock >= 0) {
        (void)close(folder->lock); /* and with it the lock */
        folder->lock = -1;
    }
}

bool store_folder_has_log(const struct store_folder *folder)
{
    return size_of(folder->log) > 0;
}

int store_folder_sync_log(const struct store_folder *folder)
{
    return sync_path(folder->log);
}

uint64_t store_folder_size(const struct store_folder *folder)
{
    return size_of(folder->database) + size_of(folder->log);
}

uint64_t store_folder_room(const struct store_folder *folder)
{
    struct statvfs there;
    return statvfs(folder->path, &there) == 0 ? there.f_bavail * there.f_frsize
                                              : UINT64_MAX;
}

static void drop(const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file >= 0) {
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        (void)close(file);
    }
}

void store_folder_drop_cache(const struct store_folder *folder)
{
    drop(folder->database);
    drop(folder->log);
}
