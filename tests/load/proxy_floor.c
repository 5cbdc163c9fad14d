/* proxy_floor.c - the least that a proxy can do: bytes of each connection to another one and back.
 *
 *   proxy_floor ADDRESS PORT TO_ADDRESS TO_PORT
 *
 * One recv and one send for what comes, by one thread. It waits for a side that does not
 * take them: a floor, and no proxy to be used. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

enum { PIECE = 64 * 1024, EVENTS_MAX = 256, BACKLOG = 4096 };

struct side {
    int fd;
    bool ended;
    struct side *far;
};

/* Freed when both sides are closed and no event of this turn can name it. */
struct pair {
    struct side sides[2];
    struct pair *next_dead;
    bool dead;
};

struct relay {
    int epoll;
    int listener;
    struct sockaddr_in to;
    struct pair *dead;
    uint8_t piece[PIECE];
};

static struct pair *pair_of(struct side *side)
{
    /* The first side stands before the second. */
    return (struct pair *)(side < side->far ? side : side->far);
}

static void end_pair(struct relay *r, struct pair *pair)
{
    if (!pair->dead) {
        pair->dead = true;
        pair->next_dead = r->dead;
        r->dead = pair;
        (void)close(pair->sides[0].fd);
        (void)close(pair->sides[1].fd);
    }
}

static bool send_all(int fd, const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0) {
            return false;
        }
        bytes += sent;
        size -= (size_t)sent;
    }
    return true;
}

static void pass(struct relay *r, struct side *side)
{
    struct pair *pair = pair_of(side);
    if (pair->dead) {
        return;
    }
    ssize_t got = recv(side->fd, r->piece, PIECE, MSG_DONTWAIT);
    if (got > 0) {
        if (!send_all(side->far->fd, r->piece, (size_t)got)) {
            end_pair(r, pair);
        }
        return;
    }
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    side->ended = true;
    if (got < 0 || side->far->ended) {
        end_pair(r, pair);
        return;
    }
    (void)shutdown(side->far->fd, SHUT_WR);
    (void)epoll_ctl(r->epoll, EPOLL_CTL_DEL, side->fd, NULL);
}

static int dial(const struct sockaddr_in *to)
{
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        (void)close(fd);
        return -1;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void take_client(struct relay *r)
{
    int one = 1;
    int fds[2] = {accept4(r->listener, NULL, NULL, SOCK_CLOEXEC), -1};
    if (fds[0] < 0) {
        return;
    }
    fds[1] = dial(&r->to);
    struct pair *pair = fds[1] < 0 ? NULL : calloc(1, sizeof *pair);
    if (pair == NULL) {
        (void)close(fds[0]);
        return;
    }
    (void)setsockopt(fds[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < 2; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &pair->sides[i]};
        pair->sides[i] = (struct side){.fd = fds[i], .far = &pair->sides[1 - i]};
        (void)epoll_ctl(r->epoll, EPOLL_CTL_ADD, fds[i], &event);
    }
}

static int run(struct relay *r)
{
    struct epoll_event event = {.events = EPOLLIN};
    struct epoll_event events[EVENTS_MAX];

    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r->epoll < 0 || epoll_ctl(r->epoll, EPOLL_CTL_ADD, r->listener, &event) != 0) {
        return 1;
    }
    for (;;) {
        int count = epoll_wait(r->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == NULL) {
                take_client(r);
            } else {
                pass(r, events[i].data.ptr);
            }
        }
        while (r->dead != NULL) {
            struct pair *pair = r->dead;
            r->dead = pair->next_dead;
            free(pair);
        }
    }
}

static bool read_address(const char *address, const char *port, struct sockaddr_in *out)
{
    uint64_t number = 0;
    if (inet_pton(AF_INET, address, &out->sin_addr) != 1 ||
        rc_text_to_u64(port, UINT16_MAX, &number) != 0) {
        return false;
    }
    out->sin_family = AF_INET;
    out->sin_port = htons((uint16_t)number);
    return true;
}

int main(int count, char **words)
{
    int one = 1;
    struct sockaddr_in here = {0};
    static struct relay relay;
    struct relay *r = &relay;

    if (count != 5 || !read_address(words[1], words[2], &here) ||
        !read_address(words[3], words[4], &r->to)) {
        (void)fputs("usage: proxy_floor ADDRESS PORT TO_ADDRESS TO_PORT\n", stderr);
        return 2;
    }
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(r->listener, (const struct sockaddr *)&here, sizeof here) != 0 ||
        listen(r->listener, BACKLOG) != 0) {
        perror("listen");
        return 1;
    }
    return run(r);
}
