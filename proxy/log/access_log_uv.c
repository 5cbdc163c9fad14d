/* access_log_uv.c - two spaces: one being filled, one being written. */
#include "proxy/log/access_log_uv.h"

#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

struct access_log_uv {
    uv_loop_t *loop;
    uv_timer_t timer;
    uv_fs_t request;
    char path[256];
    int fd; /* -1 while it cannot be opened: lines are dropped */
    bool writing;
    bool closing;
    bool timer_closed;
    uint64_t dropped;
    size_t filled; /* bytes in `filling` */
    size_t flying; /* bytes in `written` */
    uint8_t *filling;
    uint8_t *written;
};

static int open_file(const char *path)
{
    if (path[0] == '\0') {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static void free_log(struct access_log_uv *log)
{
    if (log->fd >= 0) {
        (void)close(log->fd);
    }
    free(log->filling);
    free(log->written);
    free(log);
}

static void flush(struct access_log_uv *log);

/* A full disk takes nothing, or a part: the lines that are not there whole. */
static void count_lost(struct access_log_uv *log, ssize_t taken)
{
    size_t begin = taken > 0 ? (size_t)taken : 0;

    for (size_t i = begin; i < log->flying; i++) {
        log->dropped += log->written[i] == '\n' ? 1 : 0;
    }
}

static void on_written(uv_fs_t *request)
{
    struct access_log_uv *log = request->data;

    count_lost(log, request->result);
    uv_fs_req_cleanup(request);
    log->writing = false;
    if (!log->closing) {
        if (log->filled >= ACCESS_LOG_SPACE / 2) {
            flush(log);
        }
    } else if (log->timer_closed) {
        free_log(log);
    }
}

static void flush(struct access_log_uv *log)
{
    if (log->writing || log->filled == 0 || log->fd < 0) {
        return;
    }
    uint8_t *full = log->filling;
    log->filling = log->written;
    log->written = full;
    log->flying = log->filled;
    log->filled = 0;
    uv_buf_t buffer = uv_buf_init((char *)full, (unsigned)log->flying);
    log->request.data = log;
    log->writing =
        uv_fs_write(log->loop, &log->request, log->fd, &buffer, 1, -1, on_written) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct access_log_uv *log = timer->data;

    flush(log);
    if (log->filled == 0) {
        (void)uv_timer_stop(timer);
    }
}

int access_log_uv_open(uv_loop_t *loop, const char *path, struct access_log_uv **out)
{
    struct access_log_uv *log = calloc(1, sizeof *log);

    if (log == NULL) {
        return RC_ENOMEM;
    }
    log->fd = -1;
    log->filling = malloc(ACCESS_LOG_SPACE);
    log->written = malloc(ACCESS_LOG_SPACE);
    if (log->filling == NULL || log->written == NULL ||
        rc_text_put(log->path, sizeof log->path, path) != RC_OK) {
        free_log(log);
        return RC_ENOMEM;
    }
    log->fd = open_file(path);
    if (log->fd < 0) {
        free_log(log);
        return RC_EIO;
    }
    log->loop = loop;
    (void)uv_timer_init(loop, &log->timer); /* cannot fail */
    uv_unref((uv_handle_t *)&log->timer);
    log->timer.data = log;
    *out = log;
    return RC_OK;
}

static int put_line(const struct config_listener *listener,
                    const struct access_log_entry *entry, struct rc_writer *out)
{
    switch (listener->log_form) {
    case CONFIG_LOG_OFF:
        return RC_OK;
    case CONFIG_LOG_JSON:
        return access_log_json(entry, out);
    case CONFIG_LOG_COMBINED:
        return access_log_combined(entry, out);
    case CONFIG_LOG_TEMPLATE:
        return access_log_template(entry, listener->log_template, out);
    }
    return RC_OK;
}

void access_log_uv_add(struct access_log_uv *log, const struct config_listener *listener,
                       const struct access_log_entry *entry)
{
    size_t room = ACCESS_LOG_SPACE - log->filled;
    struct rc_writer out = rc_writer_over(log->filling + log->filled, room);

    int err = put_line(listener, entry, &out);
    if (err != RC_OK || log->fd < 0) {
        log->dropped++;
        return;
    }
    log->filled += rc_writer_size(&out);
    if (log->filled >= ACCESS_LOG_SPACE / 2) {
        flush(log);
    }
    if (!uv_is_active((uv_handle_t *)&log->timer)) {
        (void)uv_timer_start(&log->timer, on_timer, ACCESS_LOG_FLUSH_MS,
                             ACCESS_LOG_FLUSH_MS);
    }
}

void access_log_uv_reopen(struct access_log_uv *log)
{
    int fd = open_file(log->path);

    if (fd < 0 || log->fd < 0) {
        log->fd = fd >= 0 ? fd : log->fd;
        return;
    }
    /* A write may be under way on the old number: it now leads to the new file. */
    (void)dup3(fd, log->fd, O_CLOEXEC);
    (void)close(fd);
}

const char *access_log_uv_path(const struct access_log_uv *log)
{
    return log->path;
}

uint64_t access_log_uv_dropped(const struct access_log_uv *log)
{
    return log->dropped;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct access_log_uv *log = handle->data;

    log->timer_closed = true;
    if (!log->writing) {
        free_log(log);
    }
}

void access_log_uv_close(struct access_log_uv *log)
{
    if (log == NULL) {
        return;
    }
    assert(!log->closing);
    log->closing = true;
    if (log->filled > 0 && log->fd >= 0) {
        ssize_t done = write(log->fd, log->filling, log->filled);
        log->dropped += done < 0 ? 1 : 0;
    }
    uv_close((uv_handle_t *)&log->timer, on_timer_closed);
}
