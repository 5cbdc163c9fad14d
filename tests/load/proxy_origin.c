/* proxy_origin.c - an HTTP/1.1 server that costs little: what proxies are measured before.
 *
 *   proxy_origin ADDRESS PORT
 *
 * GET /1k answers 1024 bytes, GET /bytes/N as many as asked for, each body made of
 * bulk_pattern.h. A request with a body (Content-Length only) is read and answered by /1k;
 * the body of /check is compared, and answered by 400 if it is not that pattern. It trusts
 * what it is told: proxies in between are strict. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "tests/load/bulk_pattern.h"

enum {
    HEAD_MAX = 8192,
    EVENTS_MAX = 256,
    FILES_MAX = 65536,
    SMALL = 1024,
    BACKLOG = 4096
};

struct origin {
    int epoll;
    int listener;
    struct connection *clients[FILES_MAX]; /* by descriptor */
    struct bulk_pattern pattern;
    uint8_t small[2][SMALL + HEAD_MAX]; /* whole answers: kept alive, closed after */
    size_t small_size[2];
    uint8_t space[BULK_PIECE_MAX];
};

struct connection {
    int fd;
    bool armed_out;
    bool closes;      /* after this answer */
    bool checks;      /* the request's body */
    bool bad;         /* it was another */
    bool answering;   /* a request waits for its answer */
    uint32_t size;    /* of what is in `in` */
    uint64_t in_left; /* body of the request */
    uint64_t in_done;
    const uint8_t *fixed; /* the answer: this first, */
    size_t fixed_left;
    uint64_t out_left; /* then so much of the pattern */
    uint64_t out_done;
    char path[128];
    char in[HEAD_MAX + 1];
    char head[256];
};

static size_t write_head(char *space, size_t room, const char *status, uint64_t size,
                         bool closes)
{
    return (size_t)snprintf(space, room,
                            "HTTP/1.1 %s\r\nServer: origin\r\nContent-Type: "
                            "application/octet-stream\r\nDate: Thu, 01 Jan 2026 00:00:00 "
                            "GMT\r\nCache-Control: no-store\r\nContent-Length: "
                            "%llu\r\n%s\r\n",
                            status, (unsigned long long)size,
                            closes ? "Connection: close\r\n" : "");
}

static void prepare(struct origin *o)
{
    bulk_pattern_init(&o->pattern);
    for (size_t i = 0; i < 2; i++) {
        size_t size = write_head((char *)o->small[i], HEAD_MAX, "200 OK", SMALL, i == 1);
        memcpy(o->small[i] + size, bulk_pattern_at(&o->pattern, 0), SMALL);
        o->small_size[i] = size + SMALL;
    }
}

static void answer(struct origin *o, struct connection *c)
{
    uint64_t size = 0;
    bool streams = strncmp(c->path, "/bytes/", 7) == 0 &&
                   rc_text_to_u64(c->path + 7, UINT64_MAX, &size) == 0;

    c->answering = false;
    c->out_done = 0;
    if (!streams && !c->bad) {
        c->fixed = o->small[c->closes ? 1 : 0];
        c->fixed_left = o->small_size[c->closes ? 1 : 0];
        return;
    }
    c->fixed = (const uint8_t *)c->head;
    c->fixed_left = write_head(c->head, sizeof c->head,
                               c->bad ? "400 Bad Request" : "200 OK", size, c->closes);
    c->out_left = size;
}

/* The value of a field, or NULL. */
static const char *field(const char *head, const char *name)
{
    const char *found = strcasestr(head, name);
    return found == NULL ? NULL : found + strlen(name);
}

/* A complete head ends at `end`. Sets what is to be read and answered. */
static void take_head(struct connection *c, char *end)
{
    *end = '\0';
    const char *length = field(c->in, "\r\ncontent-length: ");
    const char *connection = field(c->in, "\r\nconnection: ");
    const char *from = strchr(c->in, ' ');
    size_t size = from == NULL ? 0 : strcspn(from + 1, " ");

    size = size < sizeof c->path ? size : sizeof c->path - 1;
    memcpy(c->path, from == NULL ? "" : from + 1, size);
    c->path[size] = '\0';
    c->in_left = length == NULL ? 0 : strtoull(length, NULL, 10);
    c->in_done = 0;
    c->closes = connection != NULL && strncasecmp(connection, "close", 5) == 0;
    c->checks = strcmp(c->path, "/check") == 0;
    c->bad = false;
    c->answering = true;
}

static void take_body(struct origin *o, struct connection *c, const void *bytes,
                      size_t size)
{
    if (c->checks && !bulk_pattern_holds(&o->pattern, c->in_done, bytes, size)) {
        c->bad = true;
    }
    c->in_left -= size;
    c->in_done += size;
}

static void drop(struct connection *c, size_t size)
{
    c->size -= (uint32_t)size;
    memmove(c->in, c->in + size, c->size + 1);
}

enum step { STEP_ON, STEP_WAIT, STEP_OVER };

static enum step step_of(ssize_t moved)
{
    if (moved > 0) {
        return STEP_ON;
    }
    return moved < 0 && (errno == EAGAIN || errno == EINTR) ? STEP_WAIT : STEP_OVER;
}

static enum step send_some(struct origin *o, struct connection *c)
{
    bool fixed = c->fixed_left > 0;
    size_t left = c->out_left < BULK_PIECE_MAX ? (size_t)c->out_left : BULK_PIECE_MAX;
    ssize_t sent = fixed ? send(c->fd, c->fixed, c->fixed_left, MSG_NOSIGNAL)
                         : send(c->fd, bulk_pattern_at(&o->pattern, c->out_done), left,
                                MSG_NOSIGNAL);

    if (sent > 0 && fixed) {
        c->fixed += sent;
        c->fixed_left -= (size_t)sent;
    } else if (sent > 0) {
        c->out_left -= (uint64_t)sent;
        c->out_done += (uint64_t)sent;
    }
    bool done = c->fixed_left == 0 && c->out_left == 0;
    return done && c->closes ? STEP_OVER : step_of(sent);
}

/* Body bytes past the head; without a look at them if nobody wants one. */
static enum step read_body(struct origin *o, struct connection *c)
{
    size_t want = c->in_left < BULK_PIECE_MAX ? (size_t)c->in_left : BULK_PIECE_MAX;
    ssize_t got = recv(c->fd, o->space, want, c->checks ? 0 : MSG_TRUNC);

    if (got > 0) {
        take_body(o, c, o->space, (size_t)got);
    }
    return step_of(got);
}

static enum step read_head(struct origin *o, struct connection *c)
{
    char *end = c->size == 0 ? NULL : strstr(c->in, "\r\n\r\n");
    if (end != NULL) {
        take_head(c, end);
        drop(c, (size_t)(end - c->in) + 4);
        size_t here = c->in_left < c->size ? (size_t)c->in_left : c->size;
        take_body(o, c, c->in, here);
        drop(c, here);
        return STEP_ON;
    }
    if (c->size == HEAD_MAX) {
        return STEP_OVER;
    }
    size_t room = HEAD_MAX - c->size;
    ssize_t got = recv(c->fd, c->in + c->size, room, 0);
    if (got > 0) {
        c->size += (uint32_t)got;
        c->in[c->size] = '\0';
    }
    return step_of(got);
}

static enum step go_on(struct origin *o, struct connection *c)
{
    if (c->fixed_left > 0 || c->out_left > 0) {
        return send_some(o, c);
    }
    if (c->in_left > 0) {
        return read_body(o, c);
    }
    if (c->answering) {
        answer(o, c);
        return STEP_ON;
    }
    return read_head(o, c);
}

static void serve(struct origin *o, struct connection *c)
{
    enum step step = STEP_ON;
    int budget = 16;

    while (step == STEP_ON && (budget-- > 0 || c->answering)) {
        step = go_on(o, c);
    }
    if (step == STEP_OVER) {
        (void)close(c->fd);
        free(c);
        return;
    }
    bool out = c->fixed_left > 0 || c->out_left > 0;
    if (out != c->armed_out) {
        struct epoll_event event = {.events = out ? EPOLLOUT : EPOLLIN, .data.fd = c->fd};
        (void)epoll_ctl(o->epoll, EPOLL_CTL_MOD, c->fd, &event);
        c->armed_out = out;
    }
}

static void take_client(struct origin *o)
{
    int one = 1;
    int fd = accept4(o->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    if (fd < 0) {
        return;
    }
    if (fd < FILES_MAX) {
        o->clients[fd] = calloc(1, sizeof(struct connection));
    }
    if (fd >= FILES_MAX || o->clients[fd] == NULL) {
        (void)close(fd);
        return;
    }
    o->clients[fd]->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)epoll_ctl(o->epoll, EPOLL_CTL_ADD, fd, &event);
}

static int run(struct origin *o)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = o->listener};
    struct epoll_event events[EVENTS_MAX];

    o->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (o->epoll < 0 || epoll_ctl(o->epoll, EPOLL_CTL_ADD, o->listener, &event) != 0) {
        return 1;
    }
    for (;;) {
        int count = epoll_wait(o->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == o->listener) {
                take_client(o);
            } else {
                serve(o, o->clients[events[i].data.fd]);
            }
        }
    }
}

int main(int count, char **words)
{
    uint64_t port = 0;
    int one = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    static struct origin origin;
    struct origin *o = &origin;

    if (count != 3 || inet_pton(AF_INET, words[1], &address.sin_addr) != 1 ||
        rc_text_to_u64(words[2], UINT16_MAX, &port) != 0) {
        (void)fputs("usage: proxy_origin ADDRESS PORT\n", stderr);
        return 2;
    }
    address.sin_port = htons((uint16_t)port);
    o->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)setsockopt(o->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(o->listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(o->listener, BACKLOG) != 0) {
        perror("listen");
        return 1;
    }
    prepare(o);
    return run(o);
}
