/* Connections that ask nothing: made and reset (LOAD_CONNECT), silent (LOAD_IDLE), or that
 * send one byte of a question every now and then (LOAD_SLOW). */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/load/load.h"

enum { OPENINGS_MAX = 64 };

static const uint64_t byte_ns = 200000000;

static void open_none(struct load_stream *stream)
{
    stream->settings.window = stream->settings.sockets;
}

/* The next place without a connection; NULL: all are taken. */
static struct load_socket *free_place(struct load_stream *stream)
{
    if (stream->open == stream->settings.sockets) {
        return NULL;
    }
    while (stream->sockets[stream->turn].fd >= 0) {
        stream->turn = (stream->turn + 1) % stream->settings.sockets;
    }
    return &stream->sockets[stream->turn];
}

static void send_due(struct load_stream *stream, uint64_t now_ns)
{
    uint64_t first_ns = 0;
    uint64_t due = load_due(stream, now_ns, &first_ns);
    struct load_socket *socket = free_place(stream);

    for (int i = 0; i < OPENINGS_MAX && due > 0 && socket != NULL; i++) {
        load_socket_open(socket, SOCK_STREAM, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        socket->next = 0;
        stream->tally.sent++;
        stream->open++;
        stream->under_way = stream->open;
        stream->tally.open_max =
            stream->open > stream->tally.open_max ? stream->open : stream->tally.open_max;
        due--;
        socket = free_place(stream);
    }
}

static void end(struct load_socket *socket)
{
    socket->stream->open--;
    socket->stream->under_way = socket->stream->open;
    load_socket_close(socket);
}

static void ready(struct load_socket *socket, uint32_t events)
{
    struct load_tally *tally = &socket->stream->tally;

    if ((events & EPOLLERR) != 0 && !socket->connected) {
        tally->lost++;
        end(socket);
        return;
    }
    if (!socket->connected && (events & EPOLLOUT) != 0) {
        socket->connected = true;
        if (socket->stream->settings.kind == LOAD_CONNECT) {
            tally->answered++;
            load_tally_time(tally, rc_clock_ns() - socket->began_ns);
            end(socket);
            return;
        }
    }
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        tally->answered++;
        load_tally_time(tally, rc_clock_ns() - socket->began_ns);
        end(socket);
    }
}

/* The next byte of a question with its size in front. */
static void drip(struct load_socket *socket, uint64_t now_ns)
{
    const struct load_packet *packet = &socket->stream->packets[0];
    uint8_t byte = socket->next == 0   ? (uint8_t)(packet->size >> 8)
                   : socket->next == 1 ? (uint8_t)packet->size
                                       : packet->bytes[(socket->next - 2) % packet->size];

    if (socket->connected && now_ns >= socket->began_ns + socket->next * byte_ns &&
        send(socket->fd, &byte, 1, MSG_NOSIGNAL) == 1) {
        socket->next++;
    }
}

static void sweep(struct load_stream *stream, uint64_t now_ns)
{
    for (size_t i = 0; stream->settings.kind == LOAD_SLOW && i < stream->settings.sockets;
         i++) {
        if (stream->sockets[i].fd >= 0) {
            drip(&stream->sockets[i], now_ns);
        }
    }
}

const struct load_driver load_connect_driver = {open_none, send_due, ready, sweep};
