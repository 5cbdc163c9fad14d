#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/load/load.h"

enum { INPUT_MAX = 1 << 18, OUTPUT_MAX = 1 << 15, FRAME = 2 };

/* Makes a connection anew: what was under way over the old one is lost. */
static void dial(struct load_socket *socket)
{
    load_sweep(socket, UINT64_MAX / 2);
    socket->input_size = 0;
    socket->output_size = 0;
    load_socket_open(socket, SOCK_STREAM, EPOLLIN | EPOLLOUT | EPOLLET);
}

static void open_all(struct load_stream *stream)
{
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        struct load_socket *socket = &stream->sockets[i];
        socket->input = malloc(INPUT_MAX);
        socket->output = malloc(OUTPUT_MAX);
        if (socket->input == NULL || socket->output == NULL) {
            load_fail("connections");
        }
        dial(socket);
    }
}

static void flush(struct load_socket *socket)
{
    if (!socket->connected || socket->output_size == 0) {
        return;
    }
    ssize_t sent = send(socket->fd, socket->output, socket->output_size, MSG_NOSIGNAL);
    if (sent > 0) {
        socket->output_size -= (size_t)sent;
        memmove(socket->output, socket->output + sent, socket->output_size);
    }
}

/* False when the connection holds no more. */
static bool put(struct load_socket *socket, uint64_t at_ns)
{
    if (OUTPUT_MAX - socket->output_size < FRAME + LOAD_PACKET_MAX) {
        return false;
    }
    const struct load_packet *packet = load_packet_next(socket->stream);
    uint8_t *at = socket->output + socket->output_size;
    uint16_t id = load_ask(socket, at_ns);
    at[0] = (uint8_t)(packet->size >> 8);
    at[1] = (uint8_t)packet->size;
    memcpy(at + FRAME, packet->bytes, packet->size);
    at[FRAME] = (uint8_t)(id >> 8);
    at[FRAME + 1] = (uint8_t)id;
    socket->output_size += FRAME + (size_t)packet->size;
    return true;
}

static void send_due(struct load_stream *stream, uint64_t now_ns)
{
    uint64_t at_ns = now_ns;
    uint64_t due = load_due(stream, now_ns, &at_ns);
    uint64_t step_ns =
        stream->settings.rate == 0 ? 0 : 1000000000 / stream->settings.rate;
    uint64_t share = due / stream->settings.sockets + 1;

    for (size_t tried = 0; due > 0 && tried < stream->settings.sockets; tried++) {
        struct load_socket *socket = &stream->sockets[stream->turn];
        stream->turn = (stream->turn + 1) % stream->settings.sockets;
        for (uint64_t i = 0; socket->connected && i < share && due > 0; i++) {
            if (!put(socket, at_ns)) {
                break;
            }
            at_ns += step_ns;
            due--;
        }
        flush(socket);
    }
}

/* Whole answers are taken; what is left moves to the front. */
static void take_answers(struct load_socket *socket, uint64_t now_ns)
{
    size_t at = 0;

    while (socket->input_size - at >= FRAME) {
        const uint8_t *frame = socket->input + at;
        size_t size = (size_t)(frame[0] << 8 | frame[1]);
        if (socket->input_size - at < FRAME + size) {
            break;
        }
        load_answer(socket, frame + FRAME, size, now_ns);
        at += FRAME + size;
    }
    socket->input_size -= at;
    memmove(socket->input, socket->input + at, socket->input_size);
}

static void ready(struct load_socket *socket, uint32_t events)
{
    ssize_t size = 1;

    if ((events & EPOLLOUT) != 0 && (events & (EPOLLERR | EPOLLHUP)) == 0) {
        socket->connected = true;
        flush(socket);
    }
    while (size > 0) {
        assert(socket->input_size < INPUT_MAX);
        size = recv(socket->fd, socket->input + socket->input_size,
                    INPUT_MAX - socket->input_size, 0);
        socket->input_size += size > 0 ? (size_t)size : 0;
        take_answers(socket, rc_clock_ns());
    }
    if (size == 0 || (events & (EPOLLERR | EPOLLHUP)) != 0) {
        socket->stream->tally.failed++;
        load_socket_close(socket);
        socket->connected = false;
    }
}

static void sweep(struct load_stream *stream, uint64_t now_ns)
{
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        load_sweep(&stream->sockets[i], now_ns);
        if (stream->sockets[i].fd < 0) {
            dial(&stream->sockets[i]);
        }
    }
}

const struct load_driver load_tcp_driver = {open_all, send_due, ready, sweep};
