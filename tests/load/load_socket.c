#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/load/load.h"

enum { BUFFER_SIZE = 4 << 20, RCODE_MASK = 15, TC = 2 };

static const uint64_t lost_ns = 1000000000; /* who waits longer asks again */

/* The address whose turn it is, or that the system gives. */
static void bind_source(const struct load_stream *stream,
                        const struct load_socket *socket)
{
    int on = 1;
    size_t number = (size_t)(socket - stream->sockets);
    uint32_t first = ntohl(stream->settings.from.s_addr);
    struct sockaddr_in source = {.sin_family = AF_INET};

    source.sin_addr.s_addr =
        htonl(first + (uint32_t)(number % stream->settings.addresses));
    (void)setsockopt(socket->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (bind(socket->fd, (const struct sockaddr *)&source, sizeof source) != 0) {
        load_fail("bind");
    }
}

void load_socket_open(struct load_socket *socket_, int type, uint32_t events)
{
    struct load_stream *stream = socket_->stream;
    int size = BUFFER_SIZE;
    int on = 1;

    socket_->fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_->fd < 0) {
        load_fail("socket");
    }
    bind_source(stream, socket_);
    if (type == SOCK_DGRAM) {
        (void)setsockopt(socket_->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        (void)setsockopt(socket_->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        (void)setsockopt(socket_->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    } else {
        (void)setsockopt(socket_->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    socket_->began_ns = rc_clock_ns();
    socket_->connected = false;
    if (connect(socket_->fd, (const struct sockaddr *)&stream->server,
                sizeof stream->server) != 0 &&
        errno != EINPROGRESS) {
        stream->tally.failed++;
    }
    struct epoll_event event = {.events = events, .data.ptr = socket_};
    if (epoll_ctl(stream->epoll, EPOLL_CTL_ADD, socket_->fd, &event) != 0) {
        load_fail("epoll_ctl");
    }
}

void load_socket_close(struct load_socket *socket)
{
    struct linger at_once = {.l_onoff = 1}; /* no port waits for late packets */

    if (socket->fd < 0) {
        return;
    }
    (void)setsockopt(socket->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(socket->fd);
    socket->fd = -1;
}

uint64_t load_due(const struct load_stream *stream, uint64_t now_ns, uint64_t *first_ns)
{
    const struct load_settings *settings = &stream->settings;

    *first_ns = now_ns;
    if (settings->rate == 0) {
        return settings->window > stream->under_way ? settings->window - stream->under_way
                                                    : 0;
    }
    uint64_t begun = stream->tally.sent + stream->tally.failed;
    uint64_t due =
        (uint64_t)((double)(now_ns - stream->began_ns) * (double)settings->rate / 1e9);
    *first_ns =
        stream->began_ns + (uint64_t)((double)begun * 1e9 / (double)settings->rate);
    return due > begun ? due - begun : 0;
}

uint16_t load_ask(struct load_socket *socket, uint64_t at_ns)
{
    uint16_t id = (uint16_t)(socket->next % LOAD_IDS);

    if (socket->next - socket->oldest >= LOAD_IDS) { /* the oldest gives way */
        socket->stream->tally.lost += socket->asked_at[id] != 0 ? 1 : 0;
        socket->stream->under_way -= socket->asked_at[id] != 0 ? 1 : 0;
        socket->oldest++;
    }
    socket->asked_at[id] = at_ns;
    socket->next++;
    socket->stream->under_way++;
    socket->stream->tally.sent++;
    return id;
}

void load_answer(struct load_socket *socket, const uint8_t *bytes, size_t size,
                 uint64_t now_ns)
{
    struct load_stream *stream = socket->stream;

    if (size < 2) {
        return;
    }
    uint64_t *asked_at = &socket->asked_at[(bytes[0] << 8 | bytes[1]) % LOAD_IDS];
    if (*asked_at == 0) {
        stream->tally.late++;
        return;
    }
    load_tally_time(&stream->tally, now_ns > *asked_at ? now_ns - *asked_at : 0);
    *asked_at = 0;
    stream->under_way--;
    stream->tally.answered++;
    stream->tally.bytes += size;
    if (size >= 4) {
        stream->tally.truncated += (bytes[2] & TC) != 0 ? 1 : 0;
        stream->tally.rcodes[bytes[3] & RCODE_MASK]++;
    }
}

void load_sweep(struct load_socket *socket, uint64_t now_ns)
{
    struct load_stream *stream = socket->stream;

    while (socket->oldest != socket->next) {
        uint64_t *asked_at = &socket->asked_at[socket->oldest % LOAD_IDS];
        if (*asked_at != 0 && now_ns < *asked_at + lost_ns) {
            return;
        }
        if (*asked_at != 0) {
            *asked_at = 0;
            stream->under_way--;
            stream->tally.lost++;
        }
        socket->oldest++;
    }
}
