#include "agent/postgres/disk_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { CHUNK = 1 << 20 };

bool disk_folder_is_empty(const char *path)
{
    DIR *folder = opendir(path);
    bool is_empty = true;

    if (folder == NULL) {
        return errno == ENOENT;
    }
    // NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        is_empty = is_empty &&
                   (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                    strcmp(entry->d_name, "lost+found") == 0);
    }
    (void)closedir(folder);
    return is_empty;
}

int disk_folder_remove(const char *path)
{
    char *const paths[] = {(char *)path, NULL}; /* fts(3) only reads */
    struct stat found;
    int err = RC_OK;

    if (lstat(path, &found) != 0) {
        return errno == ENOENT ? RC_OK : RC_EIO;
    }
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (walk == NULL) {
        return RC_EIO;
    }
    for (FTSENT *entry = fts_read(walk); entry != NULL; entry = fts_read(walk)) {
        bool is_folder = entry->fts_info == FTS_DP;
        if (entry->fts_info != FTS_D &&
            (is_folder ? rmdir(entry->fts_accpath) : unlink(entry->fts_accpath)) != 0) {
            err = RC_EIO;
        }
    }
    (void)fts_close(walk);
    return err;
}

void disk_folder_prune(const char *prefix, unsigned keep)
{
    char pattern[PATH_MAX];
    glob_t found = {0};

    (void)snprintf(pattern, sizeof pattern, "%s*", prefix);
    /* Sorted by name; it reads no environment without GLOB_TILDE. */
    if (glob(pattern, 0, NULL, &found) == 0) { // NOLINT(concurrency-mt-unsafe)
        for (size_t i = 0; i + keep < found.gl_pathc; i++) {
            (void)disk_folder_remove(found.gl_pathv[i]);
        }
    }
    globfree(&found);
}

int disk_folder_copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) {
        return errno == ENOENT ? RC_ENOTFOUND : RC_EIO;
    }
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ssize_t copied = out >= 0 ? copy_file_range(in, NULL, out, NULL, CHUNK, 0) : -1;
    while (copied > 0) {
        copied = copy_file_range(in, NULL, out, NULL, CHUNK, 0);
    }
    (void)close(in);
    if (out >= 0) {
        (void)close(out);
    }
    return copied == 0 ? RC_OK : RC_EIO;
}
