#include "agent/warden/warden_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { MS_PER_S = 1000, NS_PER_MS = 1000000 };

uint64_t warden_clock_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* unix(7) has room for 107 bytes; longer paths go through an open folder. */
static int address_of(const char *path, struct sockaddr_un *out, int *folder)
{
    char parent[PATH_MAX];
    const char *name = strrchr(path, '/');

    *folder = -1;
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) < sizeof out->sun_path) {
        memcpy(out->sun_path, path, strlen(path) + 1);
        return RC_OK;
    }
    if (name == NULL || (size_t)(name - path) >= sizeof parent) {
        return RC_EIO;
    }
    memcpy(parent, path, (size_t)(name - path));
    parent[name - path] = '\0';
    *folder = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) {
        return errno == ENOENT ? RC_ENOTFOUND : RC_EIO;
    }
    int size = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d%s",
                        *folder, name);
    return size > 0 && (size_t)size < sizeof out->sun_path ? RC_OK : RC_EIO;
}

static int take_lock(const char *path)
{
    char name[PATH_MAX];

    (void)snprintf(name, sizeof name, "%s.lock", path);
    int file = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
        return RC_EIO;
    }
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        (void)close(file);
        return RC_EEXISTS;
    }
    return RC_OK; /* stays open as long as we live */
}

/* Keeps `file` if all went well; `folder` was only needed for its address. */
static int hand_over(int err, int folder, int file, int *out)
{
    if (folder >= 0) {
        (void)close(folder);
    }
    if (err != RC_OK && file >= 0) {
        (void)close(file);
    } else {
        *out = file;
    }
    return err;
}

int warden_socket_listen(const char *path, int *out)
{
    struct sockaddr_un address;
    int folder = -1;

    int err = take_lock(path);
    if (err != RC_OK) {
        return err;
    }
    err = address_of(path, &address, &folder);
    int file = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    (void)unlink(path);
    mode_t old = umask(0177);
    if (err == RC_OK &&
        (file < 0 || bind(file, (struct sockaddr *)&address, sizeof address) != 0 ||
         listen(file, 8) != 0)) {
        err = RC_EIO;
    }
    (void)umask(old);
    return hand_over(err, folder, file, out);
}

/* The mode of the socket keeps others out already; this is the second bolt. */
static bool may_order(int file)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

int warden_socket_accept(int listener)
{
    int file = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (file >= 0 && !may_order(file)) {
        (void)close(file);
        return -1;
    }
    return file;
}

int warden_socket_connect(const char *path, int *out)
{
    struct sockaddr_un address;
    int folder = -1;

    int err = address_of(path, &address, &folder);
    int file = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (err == RC_OK &&
        (file < 0 || connect(file, (struct sockaddr *)&address, sizeof address) != 0)) {
        err = errno == ENOENT || errno == ECONNREFUSED ? RC_ENOTFOUND : RC_EIO;
    }
    return hand_over(err, folder, file, out);
}

int warden_socket_send(int file, const void *bytes, size_t size)
{
    ssize_t sent = send(file, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent == (ssize_t)size) {
        return RC_OK;
    }
    return sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
               ? RC_EAGAIN
               : RC_ECLOSED;
}

int warden_socket_receive(int file, void *space, size_t space_size, size_t *size)
{
    ssize_t got = recv(file, space, space_size, MSG_DONTWAIT);

    if (got > 0) {
        *size = (size_t)got;
        return RC_OK;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? RC_EAGAIN : RC_ECLOSED;
}
