/* dns_load.c - DNS traffic of several kinds at once at one server, and what came of it.
 *
 *   dns_load ADDRESS PORT SECONDS [spin] STREAM [with STREAM]...
 *
 * STREAM is words KEY=VALUE: kind (udp garbage mutated tcp connect idle slow), name, type, edns
 * (UDP size), rate (a second; without: as fast as answers come, `window` under way), sockets,
 * from (first source address) and addresses (how many). "#" in a name becomes a number below
 * `numbers`. Times of a stream with a rate run from when a question was due. Prints a line of
 * JSON a stream. `spin`: never sleeps, so that times are exact. SIGTERM ends it early. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/text.h"
#include "tests/load/load.h"

enum { EVENTS_MAX = 128, SECONDS_MAX = 86400 };

static const uint64_t sweep_ns = 20000000;
static const uint64_t drain_ns = 1000000000; /* for the last answers */

static const struct load_driver *const drivers[LOAD_KIND_COUNT] = {
    [LOAD_UDP] = &load_udp_driver,         [LOAD_GARBAGE] = &load_udp_driver,
    [LOAD_MUTATED] = &load_udp_driver,     [LOAD_TCP] = &load_tcp_driver,
    [LOAD_CONNECT] = &load_connect_driver, [LOAD_IDLE] = &load_connect_driver,
    [LOAD_SLOW] = &load_connect_driver,
};

static volatile sig_atomic_t ended; /* a signal handler knows nothing else */

struct load {
    struct sockaddr_in server;
    double seconds;
    int wait_ms;
    int epoll;
    struct load_stream streams[LOAD_STREAMS_MAX];
    size_t count;
    uint64_t swept_ns;
};

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static const struct load_driver *driver_of(const struct load_stream *stream)
{
    return drivers[stream->settings.kind];
}

static void make_sockets(struct load_stream *stream)
{
    stream->sockets = calloc(stream->settings.sockets, sizeof *stream->sockets);
    if (stream->sockets == NULL) {
        load_fail("sockets");
    }
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        struct load_socket *socket = &stream->sockets[i];
        socket->stream = stream;
        socket->fd = -1;
        if (driver_of(stream) == &load_connect_driver) {
            continue;
        }
        socket->asked_at = calloc(LOAD_IDS, sizeof *socket->asked_at);
        if (socket->asked_at == NULL) {
            load_fail("sockets");
        }
    }
}

static void start(struct load *load, char **words, size_t count)
{
    if (load->count == LOAD_STREAMS_MAX) {
        load_fail("too many streams");
    }
    struct load_stream *stream = &load->streams[load->count++];
    load_settings_read(words, count, &stream->settings);
    stream->server = load->server;
    stream->epoll = load->epoll;
    load_packets_make(stream);
    make_sockets(stream);
}

static void turn(struct load *load, int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t now_ns = rc_clock_ns();

    int count = epoll_wait(load->epoll, events, EVENTS_MAX, wait_ms);
    for (int i = 0; i < count; i++) {
        struct load_socket *socket = events[i].data.ptr;
        driver_of(socket->stream)->ready(socket, events[i].events);
    }
    if (now_ns < load->swept_ns + sweep_ns) {
        return;
    }
    load->swept_ns = now_ns;
    for (size_t i = 0; i < load->count; i++) {
        driver_of(&load->streams[i])->sweep(&load->streams[i], now_ns);
    }
}

/* Questions only: connections that ask nothing are just dropped. */
static uint64_t under_way(const struct load *load)
{
    uint64_t all = 0;

    for (size_t i = 0; i < load->count; i++) {
        if (driver_of(&load->streams[i]) != &load_connect_driver) {
            all += load->streams[i].under_way;
        }
    }
    return all;
}

/* Returns how long it sent, in seconds. */
static double run(struct load *load)
{
    uint64_t began_ns = rc_clock_ns();
    uint64_t end_ns = began_ns + (uint64_t)(load->seconds * 1e9);
    uint64_t now_ns = began_ns;

    for (size_t i = 0; i < load->count; i++) {
        load->streams[i].began_ns = began_ns;
        driver_of(&load->streams[i])->open(&load->streams[i]);
    }
    while (now_ns < end_ns && !ended) {
        for (size_t i = 0; i < load->count; i++) {
            driver_of(&load->streams[i])->send(&load->streams[i], rc_clock_ns());
        }
        turn(load, load->wait_ms);
        now_ns = rc_clock_ns();
    }
    uint64_t sent_ns = now_ns - began_ns;
    while (under_way(load) > 0 && rc_clock_ns() < now_ns + drain_ns) {
        turn(load, 1);
    }
    return (double)sent_ns / 1e9;
}

static void finish(struct load_stream *stream, double seconds)
{
    if (driver_of(stream) != &load_connect_driver) {
        stream->tally.lost += stream->under_way;
    }
    load_tally_print(stream, seconds);
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        load_socket_close(&stream->sockets[i]);
        free(stream->sockets[i].asked_at);
        free(stream->sockets[i].input);
        free(stream->sockets[i].output);
    }
    free(stream->sockets);
    free(stream->packets);
}

static void prepare(struct load *load)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL);
    (void)signal(SIGTERM, on_signal);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0) {
        load_fail("epoll");
    }
}

/* Streams begin behind each "with". */
static void start_all(struct load *load, char **words, size_t count)
{
    size_t first = 0;

    for (size_t i = 0; i <= count; i++) {
        if (i == count || rc_text_equals(words[i], "with")) {
            start(load, words + first, i - first);
            first = i + 1;
        }
    }
}

int main(int count, char **words)
{
    static struct load load = {.wait_ms = 1};
    uint64_t port = 0;
    char *end = NULL;
    int first = 4;

    load.server.sin_family = AF_INET;
    if (count < 5 || inet_pton(AF_INET, words[1], &load.server.sin_addr) != 1 ||
        rc_text_to_u64(words[2], UINT16_MAX, &port) != 0) {
        (void)fputs(
            "usage: dns_load ADDRESS PORT SECONDS [spin] STREAM [with STREAM]...\n",
            stderr);
        return 2;
    }
    load.server.sin_port = htons((uint16_t)port);
    load.seconds = strtod(words[3], &end);
    if (*end != '\0' || load.seconds <= 0 || load.seconds > SECONDS_MAX) {
        load_fail(words[3]);
    }
    if (rc_text_equals(words[first], "spin")) {
        load.wait_ms = 0;
        first++;
    }
    prepare(&load);
    start_all(&load, words + first, (size_t)(count - first));
    double seconds = run(&load);
    for (size_t i = 0; i < load.count; i++) {
        finish(&load.streams[i], seconds);
    }
    return 0;
}
