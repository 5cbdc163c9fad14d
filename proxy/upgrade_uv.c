/* upgrade_uv.c - see upgrade_uv.h. */
#include "proxy/upgrade_uv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

enum {
    WAIT_MS = 30 * 1000, /* to read its configuration and to learn who is there */
    WORDS_BYTES_MAX = 64 * 1024,
    FIRST_FD = 3
};

struct upgrade {
    uv_process_t process;
    uv_poll_t pipe;
    uv_timer_t timer;
    int pipe_fd;
    unsigned open_handles;
    struct upgrade_hooks hooks;
    bool told;
    bool runs;
    bool closing;
};

char *upgrade_program(void)
{
    static const char gone[] = " (deleted)";
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    if (size <= 0) {
        return NULL;
    }
    path[size] = '\0';
    size_t tail = sizeof gone - 1;
    if ((size_t)size > tail && strcmp(path + (size_t)size - tail, gone) == 0) {
        path[(size_t)size - tail] = '\0';
    }
    return strdup(path);
}

void upgrade_say_ready(int ready_fd)
{
    (void)!write(ready_fd, "1", 1); /* who waits no longer does not matter */
    (void)close(ready_fd);
}

/* --- its end of life --- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct upgrade *u = handle->data;
    assert(u->open_handles > 0);
    if (--u->open_handles == 0) {
        (void)close(u->pipe_fd);
        free(u);
    }
}

void upgrade_close(struct upgrade *upgrade)
{
    if (upgrade == NULL || upgrade->closing) {
        return;
    }
    upgrade->closing = true;
    if (upgrade->runs && !upgrade->told) {
        (void)uv_process_kill(&upgrade->process, SIGKILL);
    }
    if (upgrade->process.type ==
        UV_PROCESS) { /* libuv knows it, also if it did not start */
        uv_close((uv_handle_t *)&upgrade->process, on_handle_closed);
    } else {
        upgrade->open_handles--;
    }
    uv_close((uv_handle_t *)&upgrade->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&upgrade->timer, on_handle_closed);
}

static void tell(struct upgrade *u, enum upgrade_result result)
{
    if (u->told || u->closing) {
        return;
    }
    if (result == UPGRADE_SILENT) {
        (void)uv_process_kill(&u->process, SIGKILL);
    }
    u->told = true;
    (void)uv_timer_stop(&u->timer);
    (void)uv_poll_stop(&u->pipe);
    u->hooks.told(u->hooks.context, result, u->process.pid);
}

static void on_exit_of_it(uv_process_t *process, int64_t status, int signal_number)
{
    struct upgrade *u = process->data;
    (void)status;
    (void)signal_number;
    u->runs = false;
    tell(u, UPGRADE_ENDED);
}

static void on_said(uv_poll_t *pipe, int status, int events)
{
    struct upgrade *u = pipe->data;
    char byte = 0;
    (void)events;
    if (status == 0 && read(u->pipe_fd, &byte, 1) == 1) {
        tell(u, UPGRADE_SERVES);
    } else {
        (void)uv_poll_stop(pipe); /* closed without a word: it is about to end */
    }
}

static void on_too_long(uv_timer_t *timer)
{
    tell(timer->data, UPGRADE_SILENT);
}

/* --- its start --- */

/* A NULL-terminated list into `bytes`, which holds texts one after the other. NULL when memory is
 * out. `spare` places stay free at its end. */
static char **list_of(char *bytes, size_t size, size_t spare)
{
    size_t count = 0;
    for (size_t at = 0; at < size; at += strlen(bytes + at) + 1) {
        count++;
    }
    char **list = calloc(count + spare + 1, sizeof(char *));
    count = 0;
    for (size_t at = 0; list != NULL && at < size; at += strlen(bytes + at) + 1) {
        list[count++] = bytes + at;
    }
    return list;
}

/* The words that we were started with. `*bytes` holds them, and is the caller's. */
static char **own_words(char **bytes)
{
    FILE *file = fopen("/proc/self/cmdline", "re");
    *bytes = calloc(1, WORDS_BYTES_MAX + 1);
    size_t size =
        file != NULL && *bytes != NULL ? fread(*bytes, 1, WORDS_BYTES_MAX, file) : 0;
    if (file != NULL) {
        (void)fclose(file);
    }
    return size > 0 ? list_of(*bytes, size, 0) : NULL;
}

/* Ours, and the number of sockets. Only the list is the caller's. */
static char **environment(char *variable)
{
    size_t count = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **list = calloc(count + 2, sizeof(char *));
    if (list != NULL) {
        memcpy((void *)list, (void *)environ, count * sizeof(char *));
        list[count] = variable;
    }
    return list;
}

/* Standard streams, the sockets, and the end of the pipe that is written. */
static uv_stdio_container_t *descriptors(const struct handed *handed, int pipe_fd)
{
    uv_stdio_container_t *list = calloc(handed->count + FIRST_FD + 1, sizeof *list);
    if (list == NULL) {
        return NULL;
    }
    for (int i = 0; i < FIRST_FD; i++) {
        list[i].flags = UV_INHERIT_FD;
        list[i].data.fd = i;
    }
    for (size_t i = 0; i <= handed->count; i++) {
        list[FIRST_FD + i].flags = UV_INHERIT_FD;
        list[FIRST_FD + i].data.fd = i < handed->count ? handed->sockets[i].fd : pipe_fd;
    }
    return list;
}

static int spawn(struct upgrade *u, const char *program, const struct handed *handed,
                 int pipe_fd)
{
    char variable[64];
    char *bytes = NULL;
    (void)snprintf(variable, sizeof variable, HANDED_VARIABLE "=%zu", handed->count);
    char **words = own_words(&bytes);
    char **env = environment(variable);
    uv_stdio_container_t *stdio = descriptors(handed, pipe_fd);
    const uv_process_options_t options = {
        .exit_cb = on_exit_of_it,
        .file = program,
        .args = words,
        .env = env,
        .stdio_count = (int)handed->count + FIRST_FD + 1,
        .stdio = stdio,
    };
    int err = UV_ENOMEM;
    if (words != NULL && env != NULL && stdio != NULL) {
        err = uv_spawn(u->timer.loop, &u->process, &options);
    }
    free(stdio);
    free((void *)env);
    free((void *)words);
    free(bytes);
    return err;
}

static struct upgrade *create(uv_loop_t *loop, const struct upgrade_hooks *hooks,
                              int pipe_fd)
{
    struct upgrade *u = calloc(1, sizeof *u);
    if (u == NULL || uv_poll_init(loop, &u->pipe, pipe_fd) != 0) {
        free(u);
        return NULL;
    }
    (void)uv_timer_init(loop, &u->timer); /* cannot fail */
    u->pipe_fd = pipe_fd;
    u->hooks = *hooks;
    u->process.data = u->pipe.data = u->timer.data = u;
    u->open_handles = 3;
    return u;
}

int upgrade_start(uv_loop_t *loop, const char *program, const struct handed *handed,
                  const struct upgrade_hooks *hooks, struct upgrade **out,
                  const char **why)
{
    int ends[2];
    *why = "no descriptor for a pipe";
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return RC_EIO;
    }
    struct upgrade *u = create(loop, hooks, ends[0]);
    if (u == NULL) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return RC_ENOMEM;
    }
    int err = spawn(u, program, handed, ends[1]);
    (void)close(ends[1]);
    if (err != 0) {
        *why = uv_strerror(err);
        u->told = true;
        upgrade_close(u);
        return RC_EIO;
    }
    u->runs = true;
    uv_unref((uv_handle_t *)&u->process);
    (void)uv_poll_start(&u->pipe, UV_READABLE, on_said);
    (void)uv_timer_start(&u->timer, on_too_long, WAIT_MS, 0);
    *out = u;
    return RC_OK;
}
