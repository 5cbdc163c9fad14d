/* maintenance_uv.c - see maintenance_uv.h. */
#include "proxy/http/maintenance_uv.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/table.h"
#include "base/text.h"

enum { LOOK_EVERY_MS = 500, SEED = 2 /* the paths are the administrator's own */ };

static const char own_text[] =
    "503 this site is being worked on: please come back later\n";

struct file {
    uint64_t looked_ms; /* 0 = never */
    bool there;
    bool readable;
    struct stat as; /* when it was read */
    struct rc_buffer page;
};

struct maintenance {
    struct rc_table *files; /* by path; owned */
};

struct maintenance *maintenance_create(void)
{
    struct maintenance *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    made->files = rc_table_create(SEED);
    if (made->files == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

void maintenance_destroy(struct maintenance *maintenance)
{
    if (maintenance == NULL) {
        return;
    }
    size_t position = 0;
    struct file *file = NULL;
    while ((file = rc_table_next(maintenance->files, &position, NULL)) != NULL) {
        rc_buffer_fini(&file->page);
        free(file);
    }
    rc_table_destroy(maintenance->files);
    free(maintenance);
}

static struct file *file_of(struct maintenance *maintenance, const char *path)
{
    struct file *file = rc_table_get(maintenance->files, path);
    if (file != NULL) {
        return file;
    }
    file = calloc(1, sizeof *file);
    if (file != NULL && rc_table_put(maintenance->files, path, file, NULL) != RC_OK) {
        free(file);
        return NULL;
    }
    return file;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look(struct file *file, const char *path)
{
    struct stat now;
    bool was_there = file->there;

    file->there = stat(path, &now) == 0;
    if (!file->there) {
        file->readable = false;
        return;
    }
    if (was_there && is_same(&now, &file->as)) {
        return;
    }
    file->as = now;
    file->page.size = 0;
    int err = rc_file_read(path, CONFIG_PAGE_MAX, &file->page);
    file->readable = err == RC_OK;
    if (!file->readable) {
        rc_log(RC_LOG_WARN, "proxy", "maintenance: %s cannot be shown: %s", path,
               rc_strerror(err));
    }
}

static const char *type_of(const char *path)
{
    if (rc_text_ends_with(path, ".html") || rc_text_ends_with(path, ".htm")) {
        return "text/html; charset=utf-8";
    }
    return rc_text_ends_with(path, ".json") ? "application/json" : NULL;
}

bool maintenance_is_on(struct maintenance *maintenance,
                       const struct config_maintenance *config, uint64_t now_ms,
                       struct maintenance_page *out)
{
    *out = (struct maintenance_page){NULL, own_text, sizeof own_text - 1};
    if (config->mode != CONFIG_MAINTENANCE_FILE) {
        return config->mode == CONFIG_MAINTENANCE_ON;
    }
    struct file *file = file_of(maintenance, config->file);
    if (file == NULL) {
        return false;
    }
    if (file->looked_ms == 0 || now_ms >= file->looked_ms + LOOK_EVERY_MS) {
        file->looked_ms = now_ms > 0 ? now_ms : 1;
        look(file, config->file);
    }
    if (file->there && file->readable) {
        *out = (struct maintenance_page){type_of(config->file),
                                         rc_buffer_string(&file->page), file->page.size};
    }
    return file->there;
}
