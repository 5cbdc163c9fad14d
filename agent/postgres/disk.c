#include "agent/postgres/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/postgres/disk_folder.h"
#include "agent/postgres/timeline.h"
#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { CONFIG_MAX = 1 << 20, SEGMENT_BYTES = 16 * 1024 * 1024, SAVED_MAX = 64 };

static const char suffix_new[] = ".new";
static const char suffix_old[] = ".old-";

const char *disk_copy_suffix(void)
{
    return suffix_new;
}

__attribute__((format(printf, 3, 4))) static int fail(struct disk_job *job, int err,
                                                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(job->text, sizeof job->text, format, arguments);
    va_end(arguments);
    rc_text_to_line(job->text, sizeof job->text);
    return err;
}

static const char *reason(int number, char space[64])
{
    return strerror_r(number, space, 64);
}

static int fail_errno(struct disk_job *job, const char *path)
{
    char space[64];
    return fail(job, RC_EIO, "%s: %s", path, reason(errno, space));
}

/* ---- Files that are the server's. */

static int replace(struct disk_job *job, const char *path, const struct rc_buffer *text)
{
    char beside[PATH_MAX];
    struct stat old;
    mode_t mode = stat(path, &old) == 0 ? old.st_mode & 0777 : 0600;

    (void)snprintf(beside, sizeof beside, "%s.rollcall-new", path);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return fail_errno(job, beside);
    }
    bool is_good =
        write(file, text->bytes, text->size) == (ssize_t)text->size &&
        fchmod(file, mode) == 0 &&
        (geteuid() != 0 || fchown(file, job->place->uid, job->place->gid) == 0) &&
        fsync(file) == 0;
    int number = errno;
    (void)close(file);
    errno = number;
    if (!is_good || rename(beside, path) != 0) {
        return fail_errno(job, path);
    }
    return RC_OK;
}

static void path_in(const struct disk_job *job, const char *name, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/%s", job->place->data_dir, name);
}

static int write_passwords(struct disk_job *job)
{
    struct rc_buffer text = {0};
    char path[PATH_MAX];

    if (job->place->replication_password[0] == '\0') {
        return RC_OK;
    }
    rc_buffer_format(&text, "*:*:*:%s:", job->place->replication_user);
    for (const char *at = job->place->replication_password; *at != '\0'; at++) {
        if (*at == ':' || *at == '\\') { /* libpq, "The Password File" */
            rc_buffer_byte(&text, '\\');
        }
        rc_buffer_byte(&text, (uint8_t)*at);
    }
    rc_buffer_byte(&text, '\n');
    path_in(job, FRAGMENT_PASSWORDS, path);
    int err = text.err != RC_OK ? text.err : replace(job, path, &text);
    rc_buffer_fini(&text);
    return err;
}

/* ---- The fragment. */

/* Of a symbolic link, where it leads: it is to stay one. */
static int see_included(struct disk_job *job)
{
    const struct postgres_place *place = job->place;
    struct rc_buffer text = {0};
    char path[PATH_MAX];
    char real[PATH_MAX];

    path_in(job, "postgresql.conf", path);
    bool is_elsewhere = place->config_file[0] != '\0';
    const char *file = realpath(is_elsewhere ? place->config_file : path, real);
    if (file == NULL) {
        return fail_errno(job, is_elsewhere ? place->config_file : path);
    }
    int err = rc_file_read(file, CONFIG_MAX, &text);
    if (err != RC_OK) {
        err = fail(job, err, "%s cannot be read", file);
    } else if (!fragment_is_included(rc_buffer_string(&text))) {
        fragment_include(is_elsewhere ? place->data_dir : "", &text);
        err = text.err == RC_OK ? replace(job, file, &text) : text.err;
    }
    rc_buffer_fini(&text);
    return err;
}

/* What ALTER SYSTEM and `pg_basebackup -R` have written would have the last word. */
static int see_not_overridden(struct disk_job *job, const struct rc_buffer *fragment)
{
    struct rc_buffer text = {0};
    struct rc_buffer rest = {0};
    char path[PATH_MAX];

    path_in(job, "postgresql.auto.conf", path);
    int err = rc_file_read(path, CONFIG_MAX, &text);
    if (err == RC_OK &&
        fragment_without(rc_buffer_string(&text), rc_buffer_string(fragment), &rest)) {
        err = rest.err == RC_OK ? replace(job, path, &rest) : rest.err;
    } else if (err == RC_ENOTFOUND) {
        err = RC_OK;
    } else if (err != RC_OK) {
        err = fail(job, err, "%s cannot be read", path);
    }
    rc_buffer_fini(&rest);
    rc_buffer_fini(&text);
    return err;
}

static int read_fragment(struct disk_job *job, const char *path, struct fragment *out)
{
    struct rc_buffer text = {0};

    int err = rc_file_read(path, CONFIG_MAX, &text);
    if (err == RC_OK) {
        err = fragment_read(rc_buffer_string(&text), out);
    } else if (err == RC_ENOTFOUND) {
        memset(out, 0, sizeof *out);
        err = RC_OK;
    }
    rc_buffer_fini(&text);
    return err == RC_OK ? RC_OK : fail(job, err, "%s cannot be read", path);
}

int disk_configure(struct disk_job *job)
{
    struct fragment *now = malloc(sizeof *now);
    struct rc_buffer text = {0};
    char path[PATH_MAX];

    if (now == NULL) {
        return RC_ENOMEM;
    }
    path_in(job, FRAGMENT_FILE, path);
    int err = read_fragment(job, path, now);
    if (job->sets_conninfo) {
        memcpy(now->conninfo, job->fragment.conninfo, sizeof now->conninfo);
        memcpy(now->slot, job->fragment.slot, sizeof now->slot);
    }
    if (job->sets_names) {
        memcpy(now->names, job->fragment.names, sizeof now->names);
    }
    if (err == RC_OK) {
        fragment_write(now, job->place, &text);
        err = text.err == RC_OK ? replace(job, path, &text) : text.err;
    }
    if (err == RC_OK) {
        err = write_passwords(job);
    }
    if (err == RC_OK) {
        err = see_included(job);
    }
    if (err == RC_OK) {
        err = see_not_overridden(job, &text);
    }
    rc_buffer_fini(&text);
    free(now);
    return err;
}

/* ---- How it stands. */

int disk_look(struct disk_job *job)
{
    char path[PATH_MAX];
    char label[PATH_MAX];

    path_in(job, "PG_VERSION", path);
    path_in(job, "backup_label", label);
    if (disk_folder_is_empty(job->place->data_dir)) {
        job->disk = KEEPER_DISK_EMPTY;
    } else if (access(job->place->repair_mark, F_OK) == 0 || access(path, R_OK) != 0) {
        job->disk = KEEPER_DISK_BROKEN;
    } else if (access(label, F_OK) == 0) {
        job->disk = KEEPER_DISK_UNREADY;
    } else {
        job->disk = KEEPER_DISK_CLEAN;
    }
    return RC_OK;
}

int disk_mark(struct disk_job *job)
{
    static const char text[] = "a repair of the data folder has begun\n";

    return rc_file_replace(job->place->repair_mark, text, sizeof text - 1) == RC_OK
               ? RC_OK
               : fail_errno(job, job->place->repair_mark);
}

int disk_unmark(struct disk_job *job)
{
    return unlink(job->place->repair_mark) == 0 || errno == ENOENT
               ? RC_OK
               : fail_errno(job, job->place->repair_mark);
}

/* ---- Rewinding. */

static int make_folder(struct disk_job *job, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return fail_errno(job, path);
    }
    if (geteuid() == 0 && chown(path, job->place->uid, job->place->gid) != 0) {
        return fail_errno(job, path);
    }
    return RC_OK;
}

/* Forensics: what no other server has any more. Not being able to is no reason to stop. */
static void save_segments(struct disk_job *job)
{
    char folder[PATH_MAX - 32];
    char name[25];
    uint64_t lsn = job->fork_lsn;

    (void)snprintf(folder, sizeof folder, "%s.diverged", job->place->data_dir);
    if (make_folder(job, folder) != RC_OK) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%s.diverged/%llu", job->place->data_dir,
                   (unsigned long long)job->term);
    if (make_folder(job, folder) != RC_OK) {
        return;
    }
    for (size_t i = 0; i < SAVED_MAX; i++) {
        char from[PATH_MAX];
        char to[PATH_MAX];
        timeline_file_name(job->tli, lsn, SEGMENT_BYTES, name);
        (void)snprintf(from, sizeof from, "%s/pg_wal/%s", job->place->data_dir, name);
        (void)snprintf(to, sizeof to, "%s/%s", folder, name);
        if (disk_folder_copy_file(from, to) != RC_OK) {
            return;
        }
        lsn += SEGMENT_BYTES;
    }
}

int disk_begin_rewind(struct disk_job *job)
{
    char path[PATH_MAX];

    if (job->tli != 0) {
        save_segments(job);
    }
    int err = disk_mark(job);
    path_in(job, "standby.signal", path);
    if (err == RC_OK && unlink(path) != 0 && errno != ENOENT) {
        err = fail_errno(job, path);
    }
    return err;
}

/* ---- Copying anew. */

static void path_beside(const struct disk_job *job, const char *suffix,
                        char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s%s", job->place->data_dir, suffix);
}

int disk_begin_copy(struct disk_job *job)
{
    char path[PATH_MAX];

    path_beside(job, suffix_new, path);
    if (disk_folder_remove(path) != RC_OK) {
        return fail_errno(job, path);
    }
    return make_folder(job, path);
}

int disk_end_copy(struct disk_job *job)
{
    char from[PATH_MAX];
    char old[PATH_MAX];
    struct timespec now;

    int err = disk_mark(job);
    if (err != RC_OK) {
        return err;
    }
    path_beside(job, suffix_new, from);
    path_beside(job, suffix_old, old);
    (void)clock_gettime(CLOCK_REALTIME, &now);
    size_t size = strlen(old);
    (void)snprintf(old + size, sizeof old - size, "%011lld%03ld", (long long)now.tv_sec,
                   now.tv_nsec / 1000000);
    if (rename(job->place->data_dir, old) != 0 && errno != ENOENT) {
        return fail_errno(job, job->place->data_dir);
    }
    if (rename(from, job->place->data_dir) != 0) {
        return fail_errno(job, from);
    }
    path_beside(job, suffix_old, old);
    disk_folder_prune(old, job->place->keep_old);
    return disk_configure(job);
}

/* ---- A new cluster. */

int disk_begin_initdb(struct disk_job *job)
{
    int err = make_folder(job, job->place->data_dir);

    return err == RC_OK ? disk_mark(job) : err;
}

/* Passwords everywhere but for the system's own user on the socket. */
int disk_end_initdb(struct disk_job *job)
{
    struct rc_buffer text = {0};
    char path[PATH_MAX];

    rc_buffer_format(&text,
                     "# Written once by rollcall's keeper; yours to change.\n"
                     "local all             postgres      peer\n"
                     "local all             all           scram-sha-256\n"
                     "host  all             all           127.0.0.1/32 scram-sha-256\n"
                     "host  all             all           ::1/128      scram-sha-256\n"
                     "host  all             all           all          scram-sha-256\n"
                     "host  replication     %s    all          scram-sha-256\n",
                     job->place->replication_user);
    path_in(job, "pg_hba.conf", path);
    int err = text.err == RC_OK ? replace(job, path, &text) : text.err;
    rc_buffer_fini(&text);
    return err == RC_OK ? disk_unmark(job) : err;
}
