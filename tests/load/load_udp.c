#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "tests/load/load.h"

enum { BATCH_MAX = 32, ANSWER_MAX = 65536, READ_MAX = 16 };

static void open_all(struct load_stream *stream)
{
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        load_socket_open(&stream->sockets[i], SOCK_DGRAM, EPOLLIN);
    }
}

/* Sends at most BATCH_MAX over one socket; every `step_ns` one was due. */
static void send_some(struct load_socket *socket, uint64_t count, uint64_t at_ns,
                      uint64_t step_ns)
{
    struct load_stream *stream = socket->stream;
    struct mmsghdr out[BATCH_MAX] = {0};
    struct iovec parts[BATCH_MAX];
    struct load_packet copies[BATCH_MAX];

    for (uint64_t i = 0; i < count; i++) {
        copies[i] = *load_packet_next(stream);
        uint16_t id = load_ask(socket, at_ns + i * step_ns);
        copies[i].bytes[0] = (uint8_t)(id >> 8);
        copies[i].bytes[1] = (uint8_t)id;
        parts[i].iov_base = copies[i].bytes;
        parts[i].iov_len = copies[i].size;
        out[i].msg_hdr.msg_iov = &parts[i];
        out[i].msg_hdr.msg_iovlen = 1;
    }
    /* What the system does not take is lost like any other. */
    (void)sendmmsg(socket->fd, out, (unsigned)count, 0);
}

static void send_due(struct load_stream *stream, uint64_t now_ns)
{
    uint64_t at_ns = now_ns;
    uint64_t due = load_due(stream, now_ns, &at_ns);
    uint64_t step_ns =
        stream->settings.rate == 0 ? 0 : 1000000000 / stream->settings.rate;
    /* As evenly over the sockets as batches allow. */
    uint64_t share = due / stream->settings.sockets + 1;

    while (due > 0) {
        uint64_t count = due < share ? due : share;
        count = count < BATCH_MAX ? count : BATCH_MAX;
        send_some(&stream->sockets[stream->turn], count, at_ns, step_ns);
        stream->turn = (stream->turn + 1) % stream->settings.sockets;
        at_ns += count * step_ns;
        due -= count;
    }
}

static void take(struct load_socket *socket, uint32_t events)
{
    static uint8_t answers[READ_MAX][ANSWER_MAX];
    struct mmsghdr in[READ_MAX] = {0};
    struct iovec parts[READ_MAX];

    (void)events;
    for (int i = 0; i < READ_MAX; i++) {
        parts[i] = (struct iovec){.iov_base = answers[i], .iov_len = ANSWER_MAX};
        in[i].msg_hdr.msg_iov = &parts[i];
        in[i].msg_hdr.msg_iovlen = 1;
    }
    int count = recvmmsg(socket->fd, in, READ_MAX, MSG_DONTWAIT, NULL);
    uint64_t now_ns = rc_clock_ns();
    for (int i = 0; i < count; i++) {
        load_answer(socket, answers[i], in[i].msg_len, now_ns);
    }
}

static void sweep(struct load_stream *stream, uint64_t now_ns)
{
    for (size_t i = 0; i < stream->settings.sockets; i++) {
        load_sweep(&stream->sockets[i], now_ns);
    }
}

const struct load_driver load_udp_driver = {open_all, send_due, take, sweep};
