#include "agent/postgres/disk_skip.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"

enum { FIRST_CHILD = 2, HISTORY_MAX = 1 << 20, TLI_DIGITS = 8, TLI_BASE = 16 };

static const char nobodys[] = "1\t0/1\tnobody was on this timeline: rollcall\n";

static void path_of(const struct disk_job *job, uint32_t tli, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/pg_wal/%08" PRIX32 ".history", job->place->data_dir,
                   tli);
}

static int fail_at(struct disk_job *job, const char *path)
{
    char space[64];

    (void)snprintf(job->text, sizeof job->text, "%s: %s", path,
                   strerror_r(errno, space, sizeof space));
    rc_text_to_line(job->text, sizeof job->text);
    return RC_EIO;
}

/* One that is there is left alone. */
static int skip(struct disk_job *job, uint32_t tli)
{
    char path[PATH_MAX];
    size_t size = strlen(nobodys);

    path_of(job, tli, path);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return errno == EEXIST ? RC_OK : fail_at(job, path);
    }
    bool is_good =
        write(file, nobodys, size) == (ssize_t)size &&
        (geteuid() != 0 || fchown(file, job->place->uid, job->place->gid) == 0) &&
        fsync(file) == 0;
    int err = is_good ? RC_OK : fail_at(job, path);
    (void)close(file);
    if (err != RC_OK) {
        (void)unlink(path);
    }
    return err;
}

int disk_skip_timelines(struct disk_job *job)
{
    int err = RC_OK;

    for (uint32_t tli = FIRST_CHILD; tli < job->tli && err == RC_OK; tli++) {
        err = skip(job, tli);
    }
    return err;
}

/* Eight digits and ".history"; 0: another file. */
static uint32_t timeline_of(const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = strspn(name, digits);

    return size == TLI_DIGITS && strcmp(name + size, ".history") == 0
               ? (uint32_t)strtoul(name, NULL, TLI_BASE)
               : 0;
}

/* The highest timeline that has a history; 0: none. */
static uint32_t newest(const struct disk_job *job)
{
    char path[PATH_MAX];
    uint32_t found = 0;
    const struct dirent *entry;

    (void)snprintf(path, sizeof path, "%s/pg_wal", job->place->data_dir);
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return 0;
    }
    /* A folder of our own: no other thread reads it. NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while ((entry = readdir(folder)) != NULL) {
        uint32_t tli = timeline_of(entry->d_name);
        found = tli > found ? tli : found;
    }
    (void)closedir(folder);
    return found;
}

static bool is_nobodys(const char *path)
{
    struct rc_buffer text = {0};
    bool is = rc_file_read(path, HISTORY_MAX, &text) == RC_OK &&
              strcmp(rc_buffer_string(&text), nobodys) == 0;

    rc_buffer_fini(&text);
    return is;
}

int disk_unskip_timelines(struct disk_job *job)
{
    char path[PATH_MAX];

    for (uint32_t tli = newest(job); tli != 0; tli = newest(job)) {
        path_of(job, tli, path);
        if (!is_nobodys(path)) {
            return RC_OK;
        }
        if (unlink(path) != 0) {
            return fail_at(job, path);
        }
    }
    return RC_OK;
}
