#include "agent/template/template_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { USUAL_MODE = 0644, NAMES_BYTES = 4096 };

static int tell(char why[TEMPLATE_FILE_WHY_MAX], const char *what, const char *path)
{
    (void)snprintf(why, TEMPLATE_FILE_WHY_MAX, "%s %.200s: %s", what, path,
                   strerrordesc_np(errno));
    return RC_EIO;
}

bool template_file_is(const char *path, const void *bytes, size_t size)
{
    struct rc_buffer there = {0};

    bool is_same = rc_file_read(path, size, &there) == RC_OK && there.size == size &&
                   (size == 0 || memcmp(there.bytes, bytes, size) == 0);
    rc_buffer_fini(&there);
    return is_same;
}

int template_file_beside(const char *path, char *space, size_t size)
{
    const char *slash = strrchr(path, '/');
    int folder = slash != NULL ? (int)(slash - path) + 1 : 0;

    int length =
        snprintf(space, size, "%.*s.%s.rollcall-new", folder, path, path + folder);
    return length > 0 && (size_t)length < size ? RC_OK : RC_ETOOBIG;
}

/* ---- Mode and owner. */

static bool find_user(const char *text, uid_t *out)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char space[NAMES_BYTES];
    uint64_t number = 0;

    if (rc_text_to_u64(text, UINT32_MAX - 1, &number) == RC_OK) {
        *out = (uid_t)number;
        return true;
    }
    if (getpwnam_r(text, &entry, space, sizeof space, &found) != 0 || found == NULL) {
        return false;
    }
    *out = entry.pw_uid;
    return true;
}

static bool find_group(const char *text, gid_t *out)
{
    struct group entry;
    struct group *found = NULL;
    char space[NAMES_BYTES];
    uint64_t number = 0;

    if (rc_text_to_u64(text, UINT32_MAX - 1, &number) == RC_OK) {
        *out = (gid_t)number;
        return true;
    }
    if (getgrnam_r(text, &entry, space, sizeof space, &found) != 0 || found == NULL) {
        return false;
    }
    *out = entry.gr_gid;
    return true;
}

static int set_manners(const struct template_file *file, int fd,
                       char why[TEMPLATE_FILE_WHY_MAX])
{
    struct stat there;
    bool has_one = stat(file->path, &there) == 0;
    uid_t user = has_one ? there.st_uid : geteuid();
    gid_t group = has_one ? there.st_gid : getegid();
    mode_t mode = file->mode >= 0 ? (mode_t)file->mode
                  : has_one       ? there.st_mode & 07777
                                  : USUAL_MODE;

    if ((file->user != NULL && !find_user(file->user, &user)) ||
        (file->group != NULL && !find_group(file->group, &group))) {
        (void)snprintf(why, TEMPLATE_FILE_WHY_MAX, "%.200s: no such user or group",
                       file->path);
        return RC_EIO;
    }
    if ((user != geteuid() || group != getegid()) && fchown(fd, user, group) != 0) {
        if (file->user != NULL || file->group != NULL) {
            return tell(why, "cannot give away", file->path);
        }
        /* Kept where we may; whoever is not root writes files of its own. */
    }
    return fchmod(fd, mode) == 0 ? RC_OK
                                 : tell(why, "cannot set the mode of", file->path);
}

/* ---- Writing. */

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, bytes, size);
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

int template_file_prepare(const struct template_file *file, const void *bytes,
                          size_t size, char why[TEMPLATE_FILE_WHY_MAX])
{
    char beside[PATH_MAX];

    if (template_file_beside(file->path, beside, sizeof beside) != RC_OK) {
        errno = ENAMETOOLONG;
        return tell(why, "cannot write", file->path);
    }
    (void)unlink(beside); /* of one that was killed; no link is written through */
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return tell(why, "cannot write", beside);
    }
    int err = write_all(fd, bytes, size);
    if (err != RC_OK) {
        err = tell(why, "cannot write", beside);
    }
    if (err == RC_OK) {
        err = set_manners(file, fd, why);
    }
    if (err == RC_OK && fsync(fd) != 0) {
        err = tell(why, "cannot write", beside);
    }
    if (close(fd) != 0 && err == RC_OK) {
        err = tell(why, "cannot write", beside);
    }
    if (err != RC_OK) {
        (void)unlink(beside);
    }
    return err;
}

/* A rename is on disk once the folder is. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');

    (void)snprintf(folder, sizeof folder, "%.*s.",
                   slash != NULL ? (int)(slash - path) + 1 : 0, path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

int template_file_install(const char *path, char why[TEMPLATE_FILE_WHY_MAX])
{
    char beside[PATH_MAX];

    if (template_file_beside(path, beside, sizeof beside) != RC_OK ||
        rename(beside, path) != 0) {
        return tell(why, "cannot replace", path);
    }
    sync_folder(path);
    return RC_OK;
}

void template_file_drop(const char *path)
{
    char beside[PATH_MAX];

    if (template_file_beside(path, beside, sizeof beside) == RC_OK) {
        (void)unlink(beside);
    }
}
