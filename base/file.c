/* file.c - whole files. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { CHUNK_BYTES = 8192 };

static int read_all(int file, size_t max, struct rc_buffer *out)
{
    uint8_t chunk[CHUNK_BYTES];
    size_t total = 0;

    for (;;) {
        ssize_t got = read(file, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return RC_EIO;
        }
        if (got == 0) {
            return out->err;
        }
        total += (size_t)got;
        if (total > max) {
            return RC_ETOOBIG;
        }
        rc_buffer_append(out, chunk, (size_t)got);
    }
}

int rc_file_read(const char *path, size_t max, struct rc_buffer *out)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return errno == ENOENT ? RC_ENOTFOUND : RC_EIO;
    }
    int err = read_all(file, max, out);
    int kept = errno;
    (void)close(file);
    errno = kept;
    return err;
}

static int write_all(int file, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(file, bytes, size);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return RC_EIO;
        }
        bytes += wrote;
        size -= (size_t)wrote;
    }
    return RC_OK;
}

/* A rename is on disk only once the folder that holds the name is. */
static int sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path) + 1;

    memcpy(folder, path, size);
    (void)snprintf(folder + size, sizeof folder - size, ".");
    int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) {
        return RC_EIO;
    }
    int err = fsync(file) == 0 ? RC_OK : RC_EIO;
    int kept = errno;
    (void)close(file);
    errno = kept;
    return err;
}

static int write_new(const char *path, const void *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (file < 0) {
        return RC_EIO;
    }
    int err = write_all(file, bytes, size);
    if (err == RC_OK && fsync(file) != 0) {
        err = RC_EIO;
    }
    int kept = errno;
    if (close(file) != 0 && err == RC_OK) {
        return RC_EIO;
    }
    errno = kept;
    return err;
}

int rc_file_replace(const char *path, const void *bytes, size_t size)
{
    char fresh[PATH_MAX];

    int length = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return RC_EIO;
    }
    int err = write_new(fresh, bytes, size);
    if (err == RC_OK && rename(fresh, path) != 0) {
        err = RC_EIO;
    }
    if (err == RC_OK) {
        return sync_folder_of(path);
    }
    int kept = errno;
    (void)unlink(fresh);
    errno = kept;
    return err;
}

int rc_file_append(const char *path, const void *bytes, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (file < 0) {
        return RC_EIO;
    }
    int err = write_all(file, bytes, size);
    int kept = errno;
    if (close(file) != 0 && err == RC_OK) {
        return RC_EIO;
    }
    errno = kept;
    return err;
}

int rc_file_make_folder(const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);

    if (size == 0 || size >= sizeof part) {
        errno = ENAMETOOLONG;
        return RC_EIO;
    }
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return RC_EIO;
        }
    }
    struct stat found;
    if (stat(path, &found) != 0) {
        return RC_EIO;
    }
    if (!S_ISDIR(found.st_mode)) {
        errno = ENOTDIR;
        return RC_EIO;
    }
    return RC_OK;
}
