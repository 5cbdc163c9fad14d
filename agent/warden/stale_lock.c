#include "agent/warden/stale_lock.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/warden/tree.h"

enum { LOCK_MAX = 3072, LINE_PORT = 3, LINE_SOCKET_DIR = 4 };

#define DATA_LOCK "postmaster.pid"
#define NEW_LOCK  "postmaster.pid.new"

static bool read_lock(const char *path, char *text)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) {
        return false;
    }
    ssize_t got = read(file, text, LOCK_MAX - 1);
    (void)close(file);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static pid_t named_in(const char *text)
{
    long pid = strtol(text, NULL, 10);

    return pid > 1 && pid < INT_MAX ? (pid_t)pid : 0;
}

static bool is_zombie(pid_t pid)
{
    return pid > 0 && kill(pid, 0) == 0 && !tree_is_alive(pid);
}

/* The line of that number, from 0, without its end. */
static void copy_line(const char *text, int number, char *out, size_t size)
{
    for (; number > 0 && text != NULL; number--) {
        text = strchr(text, '\n');
        text = text != NULL ? text + 1 : NULL;
    }
    (void)snprintf(out, size, "%.*s", text != NULL ? (int)strcspn(text, "\n") : 0,
                   text != NULL ? text : "");
}

static void remove_socket_lock(const char *data_lock, pid_t dead)
{
    char port[sizeof "65535"];
    char folder[PATH_MAX];
    char path[PATH_MAX + 32];
    char text[LOCK_MAX];

    copy_line(data_lock, LINE_PORT, port, sizeof port);
    copy_line(data_lock, LINE_SOCKET_DIR, folder, sizeof folder);
    if (port[0] == '\0' || folder[0] != '/') {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/.s.PGSQL.%s.lock", folder, port);
    if (read_lock(path, text) && named_in(text) == dead) {
        (void)unlink(path);
    }
}

void stale_lock_take_over(pid_t parent)
{
    char text[LOCK_MAX];

    if (!read_lock(DATA_LOCK, text) || !is_zombie(named_in(text))) {
        return;
    }
    remove_socket_lock(text, named_in(text));
    int file =
        open(NEW_LOCK, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return;
    }
    const char *rest = text + strcspn(text, "\n");
    bool is_written = dprintf(file, "%d%s", (int)parent, rest) > 0 && fsync(file) == 0;
    (void)close(file);
    if (!is_written || rename(NEW_LOCK, DATA_LOCK) != 0) {
        (void)unlink(NEW_LOCK);
    }
}
