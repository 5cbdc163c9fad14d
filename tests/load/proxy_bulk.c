/* proxy_bulk.c - one long body, as fast as it goes or slowly, looked at or not.
 *
 *   proxy_bulk get|put ADDRESS PORT PATH BYTES [check] [rate=BYTES_A_SECOND]
 *
 * `check` compares what comes with bulk_pattern.h (a put sends it in any case). Prints one
 * line of JSON: status, bytes, seconds, whether all was as it should be. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "tests/load/bulk_pattern.h"

enum { HEAD_MAX = 8192, SLOW_PIECE = 16384 };

struct transfer {
    int fd;
    bool put;
    bool check;
    uint64_t size;
    uint64_t rate; /* bytes a second; 0 = as fast as it goes */
    uint64_t moved;
    uint64_t start_ns;
    unsigned status;
    bool sound;
    struct bulk_pattern pattern;
    uint8_t space[BULK_PIECE_MAX];
};

static size_t piece_of(const struct transfer *t)
{
    uint64_t left = t->size - t->moved;
    uint64_t max = t->rate > 0 ? SLOW_PIECE : BULK_PIECE_MAX;
    return (size_t)(left < max ? left : max);
}

/* Waits until the next piece is due. */
static void pace(const struct transfer *t)
{
    if (t->rate == 0) {
        return;
    }
    uint64_t due_ns = t->start_ns + (uint64_t)((double)t->moved * 1e9 / (double)t->rate);
    uint64_t now_ns = rc_clock_ns();
    if (now_ns < due_ns) {
        struct timespec wait = {.tv_sec = (time_t)((due_ns - now_ns) / 1000000000U),
                                .tv_nsec = (long)((due_ns - now_ns) % 1000000000U)};
        (void)nanosleep(&wait, NULL);
    }
}

static bool send_body(struct transfer *t)
{
    while (t->moved < t->size) {
        ssize_t sent = send(t->fd, bulk_pattern_at(&t->pattern, t->moved), piece_of(t),
                            MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        t->moved += (uint64_t)sent;
        pace(t);
    }
    return true;
}

static void take(struct transfer *t, const void *bytes, size_t size)
{
    if (t->check && !bulk_pattern_holds(&t->pattern, t->moved, bytes, size)) {
        t->sound = false;
    }
    t->moved += size;
}

static void receive_body(struct transfer *t)
{
    while (t->moved < t->size) {
        ssize_t got = recv(t->fd, t->space, piece_of(t), t->check ? 0 : MSG_TRUNC);
        if (got <= 0) {
            return;
        }
        take(t, t->space, (size_t)got);
        pace(t);
    }
}

/* Reads the head of the answer; what of the body came with it counts. */
static bool receive_head(struct transfer *t)
{
    char head[HEAD_MAX + 1];
    size_t size = 0;
    char *end = NULL;

    while (end == NULL && size < HEAD_MAX) {
        ssize_t got = recv(t->fd, head + size, HEAD_MAX - size, 0);
        if (got <= 0) {
            return false;
        }
        size += (size_t)got;
        head[size] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    if (end == NULL || strncmp(head, "HTTP/1.1 ", 9) != 0) {
        return false;
    }
    t->status = (unsigned)strtoul(head + 9, NULL, 10);
    if (!t->put) {
        take(t, end + 4, size - (size_t)(end + 4 - head));
    }
    return true;
}

static bool ask(struct transfer *t, const char *path)
{
    char head[1024];
    char length[64] = "";

    if (t->put) {
        (void)snprintf(length, sizeof length, "Content-Length: %llu\r\n",
                       (unsigned long long)t->size);
    }
    int size = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: bulk\r\n%s\r\n",
                        t->put ? "PUT" : "GET", path, length);
    return send(t->fd, head, (size_t)size, MSG_NOSIGNAL) == size;
}

static bool dial(struct transfer *t, const char *address, const char *port)
{
    uint64_t number = 0;
    struct sockaddr_in to = {.sin_family = AF_INET};
    int small = SLOW_PIECE;

    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->rate > 0) {
        (void)setsockopt(t->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    }
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        rc_text_to_u64(port, UINT16_MAX, &number) != 0) {
        return false;
    }
    to.sin_port = htons((uint16_t)number);
    return connect(t->fd, (const struct sockaddr *)&to, sizeof to) == 0;
}

static bool read_words(struct transfer *t, int count, char **words)
{
    if (count < 6 || rc_text_to_u64(words[5], UINT64_MAX, &t->size) != 0) {
        return false;
    }
    t->put = strcmp(words[1], "put") == 0;
    for (int i = 6; i < count; i++) {
        t->check = t->check || strcmp(words[i], "check") == 0;
        if (strncmp(words[i], "rate=", 5) == 0 &&
            rc_text_to_u64(words[i] + 5, UINT64_MAX, &t->rate) != 0) {
            return false;
        }
    }
    return true;
}

int main(int count, char **words)
{
    static struct transfer transfer;
    struct transfer *t = &transfer;

    if (!read_words(t, count, words)) {
        (void)fputs(
            "usage: proxy_bulk get|put ADDRESS PORT PATH BYTES [check] [rate=N]\n",
            stderr);
        return 2;
    }
    bulk_pattern_init(&t->pattern);
    t->sound = true;
    if (!dial(t, words[2], words[3])) {
        perror("connect");
        return 1;
    }
    t->start_ns = rc_clock_ns();
    if (ask(t, words[4])) {
        bool sent = !t->put || send_body(t);
        if (receive_head(t) && sent && !t->put) {
            receive_body(t);
        }
    }
    double seconds = (double)(rc_clock_ns() - t->start_ns) / 1e9;
    (void)printf("{\"status\": %u, \"moved\": %llu, \"seconds\": %.6f, \"sound\": %s}\n",
                 t->status, (unsigned long long)t->moved, seconds,
                 t->sound && t->status == 200 && t->moved == t->size ? "true" : "false");
    (void)close(t->fd);
    return 0;
}
