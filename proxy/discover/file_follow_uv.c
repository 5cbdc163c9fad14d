/* file_follow_uv.c - see file_follow_uv.h. */
#include "proxy/discover/file_follow_uv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/file.h"
#include "base/text.h"
#include "proxy/discover/instances_file.h"

enum {
    QUIET_MS = 30,  /* nobody has touched the folder for so long: the writer is done */
    LOOK_MS = 3000, /* without a word from the kernel */
};

struct file_follow {
    struct file_follow_options options;
    char path[CONFIG_PATH_MAX];
    char folder[CONFIG_PATH_MAX];
    uv_fs_event_t event;
    uv_timer_t timer;
    struct stat seen; /* of the version that was read last */
    bool read;        /* some version was read, good or bad */
    bool watching;
    int open_handles;
    bool closing;
};

static void look(uv_timer_t *timer);

static void look_after(struct file_follow *f, uint64_t ms)
{
    if (!f->closing) {
        (void)uv_timer_start(&f->timer, look, ms, 0);
    }
}

static void on_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    (void)name; /* a link may point elsewhere: look whatever it was */
    (void)events;
    (void)status;
    look_after(event->data, QUIET_MS);
}

static void watch_folder(struct file_follow *f)
{
    if (!f->watching) {
        f->watching = uv_fs_event_start(&f->event, on_event, f->folder, 0) == 0;
    }
}

static void fail(struct file_follow *f, const char *problem)
{
    f->options.told(f->options.context, LINEUP_FILE, LINEUP_FAILED, NULL, 0, problem);
}

static void read_file(struct file_follow *f)
{
    struct rc_buffer bytes = {0};
    struct lineup_entry *entries = NULL;
    size_t count = 0;
    char error[INSTANCES_FILE_ERROR_MAX] = "it cannot be read";

    int err = rc_file_read(f->path, INSTANCES_FILE_MAX, &bytes);
    if (err == RC_OK) {
        err = instances_file_parse((const char *)bytes.bytes, bytes.size, &entries,
                                   &count, error);
    } else if (err == RC_ETOOBIG) {
        (void)rc_text_put(error, sizeof error, "it is larger than 1 MiB");
    }
    rc_buffer_fini(&bytes);
    if (err != RC_OK) {
        fail(f, error);
        return;
    }
    f->options.told(f->options.context, LINEUP_FILE, LINEUP_FULL, entries, count, NULL);
    free(entries);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void look(uv_timer_t *timer)
{
    struct file_follow *f = timer->data;
    struct stat now;
    watch_folder(f); /* it may have come into being */
    look_after(f, LOOK_MS);
    if (stat(f->path, &now) != 0) {
        f->seen = (struct stat){0};
        fail(f, "it is not there");
        return;
    }
    if (f->read && is_same(&now, &f->seen)) {
        return;
    }
    f->seen = now;
    f->read = true;
    read_file(f);
}

struct file_follow *file_follow_start(const struct file_follow_options *options)
{
    struct file_follow *f = calloc(1, sizeof *f);
    if (f == NULL || uv_fs_event_init(options->loop, &f->event) != 0) {
        free(f);
        return NULL;
    }
    f->options = *options;
    f->options.path = NULL; /* only borrowed */
    (void)rc_text_put(f->path, sizeof f->path, options->path);
    (void)rc_text_put(f->folder, sizeof f->folder, options->path);
    char *slash = strrchr(f->folder, '/');
    if (slash == NULL) {
        (void)rc_text_put(f->folder, sizeof f->folder, ".");
    } else {
        slash[slash == f->folder ? 1 : 0] = '\0';
    }
    (void)uv_timer_init(options->loop, &f->timer); /* cannot fail */
    f->event.data = f;
    f->timer.data = f;
    f->open_handles = 2;
    look_after(f, 0);
    return f;
}

static void on_closed(uv_handle_t *handle)
{
    struct file_follow *f = handle->data;
    if (--f->open_handles == 0) {
        free(f);
    }
}

void file_follow_close(struct file_follow *follow)
{
    if (follow == NULL || follow->closing) {
        return;
    }
    follow->closing = true;
    uv_close((uv_handle_t *)&follow->event, on_closed);
    uv_close((uv_handle_t *)&follow->timer, on_closed);
}
