/* hold_queries.c - holds many blocking queries open, and measures how they are woken.
 *
 *   hold_queries ADDRESS PORT COUNT TARGET PUT_TARGET BODY [used]
 *
 * Opens COUNT connections and asks for TARGET on each; with `used` each has asked for something
 * else before. Prints "held" and waits for a line. Then puts BODY to PUT_TARGET, and prints one
 * line of JSON: microseconds from the start of that put until it was answered (put_us), and until
 * the first, the middle and the last query was answered whole. Waits for its input's end. */
#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { REQUEST_MAX = 4096, READ_MAX = 65536, EVENTS_MAX = 512, PATIENCE_MS = 30000 };

struct query {
    int fd;
    uint64_t wanted; /* bytes of the answer; 0: its head has not come */
    uint64_t got;
    uint64_t done_ns;
};

struct hold {
    struct sockaddr_in address;
    int epoll;
    struct query *queries; /* and behind them the one that writes */
    size_t count;
    size_t open; /* not answered yet */
    size_t bad;
};

static void fail(const char *what)
{
    perror(what);
    exit(1); /* there is one thread. NOLINT(concurrency-mt-unsafe) */
}

static size_t number(const char *text)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (*end != '\0') {
        fail(text);
    }
    return value;
}

static int dial(const struct hold *hold)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 ||
        connect(fd, (const struct sockaddr *)&hold->address, sizeof hold->address) != 0) {
        fail("connect");
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask(int fd, const char *method, const char *target, const char *body)
{
    char request[REQUEST_MAX];
    int size =
        snprintf(request, sizeof request,
                 "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                 method, target, strlen(body), body);

    if (body[0] == '\0') {
        size = snprintf(request, sizeof request,
                        "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n", method, target);
    }
    assert(size > 0 && (size_t)size < sizeof request);
    if (send(fd, request, (size_t)size, MSG_NOSIGNAL) != size) {
        fail("send");
    }
}

/* The size of the whole answer whose first bytes these are; 0: the head is not all there. */
static uint64_t answer_size(char *bytes, size_t size)
{
    bytes[size] = '\0';
    const char *end = strstr(bytes, "\r\n\r\n");
    const char *length = strcasestr(bytes, "\r\nContent-Length:");

    if (end == NULL || length == NULL || length > end) {
        return 0;
    }
    return (uint64_t)(end - bytes) + 4 + strtoul(length + 17, NULL, 10);
}

/* True when the answer of `query` has come whole, or never will. */
static bool take(struct hold *hold, struct query *query)
{
    static char bytes[READ_MAX + 1];
    ssize_t size = recv(query->fd, bytes, READ_MAX, MSG_DONTWAIT);

    while (size > 0) {
        if (query->got == 0) {
            query->wanted = answer_size(bytes, (size_t)size);
            hold->bad += strncmp(bytes, "HTTP/1.1 200", 12) != 0 ? 1 : 0;
        }
        query->got += (uint64_t)size;
        if (query->wanted != 0 && query->got >= query->wanted) {
            query->done_ns = rc_clock_ns();
            return true;
        }
        size = recv(query->fd, bytes, READ_MAX, MSG_DONTWAIT);
    }
    hold->bad += size == 0 ? 1 : 0;
    return size == 0;
}

static void collect(struct hold *hold)
{
    struct epoll_event events[EVENTS_MAX];
    int count = 1;

    while (hold->open > 0 && count > 0) {
        count = epoll_wait(hold->epoll, events, EVENTS_MAX, PATIENCE_MS);
        for (int i = 0; i < count; i++) {
            struct query *query = events[i].data.ptr;
            if (query->done_ns == 0 && take(hold, query)) {
                hold->open--;
            }
        }
    }
}

static void watch(struct hold *hold, struct query *query)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = query};

    query->got = 0;
    query->wanted = 0;
    query->done_ns = 0;
    hold->open++;
    if (epoll_ctl(hold->epoll, EPOLL_CTL_ADD, query->fd, &event) != 0) {
        fail("epoll_ctl");
    }
}

static void use(struct hold *hold)
{
    for (size_t i = 0; i < hold->count; i++) {
        ask(hold->queries[i].fd, "GET", "/v1/status/leader", "");
        watch(hold, &hold->queries[i]);
    }
    collect(hold);
    for (size_t i = 0; i < hold->count; i++) {
        (void)epoll_ctl(hold->epoll, EPOLL_CTL_DEL, hold->queries[i].fd, NULL);
    }
}

static int earlier(const void *left, const void *right)
{
    const struct query *a = left;
    const struct query *b = right;

    return a->done_ns < b->done_ns ? -1 : a->done_ns > b->done_ns ? 1 : 0;
}

static void report(struct hold *hold, uint64_t began_ns)
{
    const struct query *queries = hold->queries;
    uint64_t put_ns = queries[hold->count].done_ns - began_ns;

    qsort(hold->queries, hold->count, sizeof *queries, earlier);
    printf("{\"answered\": %zu, \"bad\": %zu, \"put_us\": %" PRIu64
           ", \"first_us\": %" PRIu64 ", \"middle_us\": %" PRIu64
           ", \"last_us\": %" PRIu64 "}\n",
           hold->count + 1 - hold->open, hold->bad, put_ns / 1000,
           (queries[0].done_ns - began_ns) / 1000,
           (queries[hold->count / 2].done_ns - began_ns) / 1000,
           (queries[hold->count - 1].done_ns - began_ns) / 1000);
}

static void hold_all(struct hold *hold, char **words, bool used)
{
    for (size_t i = 0; i <= hold->count; i++) {
        hold->queries[i].fd = dial(hold);
    }
    if (used) {
        use(hold);
    }
    for (size_t i = 0; i < hold->count; i++) {
        ask(hold->queries[i].fd, "GET", words[4], "");
        watch(hold, &hold->queries[i]);
    }
    (void)puts("held");
    (void)fflush(stdout);
}

int main(int count, char **words)
{
    struct rlimit limit;
    struct hold hold = {.address = {.sin_family = AF_INET}};

    if (count < 7 || inet_pton(AF_INET, words[1], &hold.address.sin_addr) != 1) {
        (void)fputs(
            "usage: hold_queries ADDRESS PORT COUNT TARGET PUT_TARGET BODY [used]\n",
            stderr);
        return 2;
    }
    hold.address.sin_port = htons((uint16_t)number(words[2]));
    hold.count = number(words[3]);
    hold.queries = calloc(hold.count + 1, sizeof *hold.queries);
    hold.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (hold.queries == NULL || hold.epoll < 0) {
        fail("start");
    }
    hold_all(&hold, words, count > 7);
    (void)getchar();
    struct query *writer = &hold.queries[hold.count];
    watch(&hold, writer);
    uint64_t began_ns = rc_clock_ns();
    ask(writer->fd, "PUT", words[5], words[6]);
    collect(&hold);
    report(&hold, began_ns);
    (void)fflush(stdout);
    (void)getchar(); /* all stay open until then */
    free(hold.queries);
    return hold.open == 0 && hold.bad == 0 ? 0 : 1;
}
