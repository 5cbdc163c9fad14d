/* local_files.c - the store as a folder of JSON files, each replaced atomically.
 *
 * A file is named after the hash of its id, because ids may hold anything; the record
 * inside says what it is. Damaged files are renamed to *.bad and left for somebody to
 * look at. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/local/local_store.h"
#include "base/err.h"
#include "base/file.h"
#include "base/table.h"
#include "base/text.h"

static const struct {
    const char *folder;
    size_t size_max;
} kinds[LOCAL_KIND_COUNT] = {
    [LOCAL_KIND_SERVICE] = {"services", LOCAL_RECORD_MAX},
    [LOCAL_KIND_CHECK] = {"checks", LOCAL_RECORD_MAX},
    [LOCAL_KIND_STATES] = {"states", LOCAL_STATES_MAX},
};

static const char ending[] = ".json";

struct files {
    struct local_store store;
    char *data_dir; /* owned */
};

static int fail(struct local_store *store, const char *path, int number)
{
    char reason[128];

    /* The GNU strerror_r of _GNU_SOURCE: thread-safe, returns the text. */
    (void)snprintf(store->error, sizeof store->error, "%s: %s", path,
                   strerror_r(number, reason, sizeof reason));
    return RC_EIO;
}

static int path_of(struct local_store *store, enum local_kind kind, const char *id,
                   char path[PATH_MAX])
{
    const struct files *files = (const struct files *)store;
    size_t size = strlen(id);

    /* Two hashes: 128 bits do not collide by accident. */
    int length = snprintf(path, PATH_MAX, "%s/%s/%016llx%016llx%s", files->data_dir,
                          kinds[kind].folder, (unsigned long long)rc_hash(id, size, 0),
                          (unsigned long long)rc_hash(id, size, 1), ending);
    return length > 0 && length < PATH_MAX ? RC_OK
                                           : fail(store, files->data_dir, ENAMETOOLONG);
}

static int put(struct local_store *store, enum local_kind kind, const char *id,
               const char *json, size_t size)
{
    char path[PATH_MAX];

    int err = path_of(store, kind, id, path);
    if (err != RC_OK) {
        return err;
    }
    if (size > kinds[kind].size_max) {
        return fail(store, path, EFBIG);
    }
    return rc_file_replace(path, json, size) == RC_OK ? RC_OK : fail(store, path, errno);
}

static int remove_record(struct local_store *store, enum local_kind kind, const char *id)
{
    char path[PATH_MAX];

    int err = path_of(store, kind, id, path);
    if (err != RC_OK) {
        return err;
    }
    return unlink(path) == 0 || errno == ENOENT ? RC_OK : fail(store, path, errno);
}

static int set_aside(struct local_store *store, const char *path)
{
    char bad[PATH_MAX];
    char cut[160];

    int length = snprintf(bad, sizeof bad, "%s.bad", path);
    if (length > 0 && (size_t)length < sizeof bad) {
        (void)rename(path, bad);
    }
    if (store->error[0] == '\0') {
        (void)rc_text_put(cut, sizeof cut, path);
        (void)snprintf(store->error, sizeof store->error,
                       "%s cannot be used and was set aside as *.bad", cut);
    }
    return RC_EMALFORMED;
}

static int load_file(struct local_store *store, enum local_kind kind, const char *path,
                     int (*each)(void *context, const char *json, size_t size),
                     void *context)
{
    struct rc_buffer text = {0};

    int err = rc_file_read(path, kinds[kind].size_max, &text);
    if (err == RC_OK) {
        err = each(context, rc_buffer_string(&text), text.size);
    }
    rc_buffer_fini(&text);
    return err == RC_OK ? RC_OK : set_aside(store, path);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_record(const struct dirent *entry)
{
    bool is_file = entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
    return is_file && entry->d_name[0] != '.' && rc_text_ends_with(entry->d_name, ending);
}

static int load(struct local_store *store, enum local_kind kind,
                int (*each)(void *context, const char *json, size_t size), void *context)
{
    const struct files *files = (const struct files *)store;
    struct dirent **entries = NULL;
    char folder[PATH_MAX];
    int outcome = RC_OK;

    store->error[0] = '\0';
    (void)snprintf(folder, sizeof folder, "%s/%s", files->data_dir, kinds[kind].folder);
    int count = scandir(folder, &entries, is_record, by_name);
    if (count < 0) {
        return fail(store, folder, errno);
    }
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (length > 0 && (size_t)length < sizeof path) {
            int err = load_file(store, kind, path, each, context);
            outcome = err == RC_OK ? outcome : err;
        }
        free(entries[i]);
    }
    free(entries);
    return outcome;
}

int local_files_open(const char *data_dir, struct local_store **out)
{
    struct files *files = calloc(1, sizeof *files);

    if (files == NULL) {
        return RC_ENOMEM;
    }
    files->store =
        (struct local_store){.put = put, .remove = remove_record, .load = load};
    files->data_dir = rc_text_copy(data_dir);
    int err = files->data_dir == NULL ? RC_ENOMEM : RC_OK;
    for (size_t i = 0; i < LOCAL_KIND_COUNT && err == RC_OK; i++) {
        char folder[PATH_MAX];
        int length = snprintf(folder, sizeof folder, "%s/%s", data_dir, kinds[i].folder);
        err = length > 0 && (size_t)length < sizeof folder ? rc_file_make_folder(folder)
                                                           : RC_EIO;
    }
    if (err != RC_OK) {
        local_files_close(&files->store);
        return err;
    }
    *out = &files->store;
    return RC_OK;
}

void local_files_close(struct local_store *store)
{
    struct files *files = (struct files *)store;

    if (files != NULL) {
        free(files->data_dir);
        free(files);
    }
}
