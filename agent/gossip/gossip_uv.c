/* gossip_uv.c - gossip's edge: one UDP and one TCP socket on a libuv loop. */
#include "agent/gossip/gossip_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "base/clock.h"
#include "base/err.h"

enum {
    DATAGRAM_MAX = 65536,
    DATAGRAMS_AT_ONCE = 8, /* recvmmsg; pages not written to cost nothing */
    READ_SIZE = 65536,
    RECEIVE_BUFFER = 2 * 1024 * 1024, /* memberlist's wish; halved until granted */
    RECEIVE_BUFFER_MIN = 64 * 1024,
    BACKLOG = 128,
    TURNS_MAX = 16,          /* rounds of carrying out before the loop gets its chance */
    CLOSE_WITHIN_MS = 10000, /* a peer that does not read what we sent is cut off */
    NS_IN_MS = 1000000
};

struct connection {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_shutdown_t shutdown;
    struct gossip_uv *io;
    struct connection *next;
    uint32_t stream;          /* the core's id; 0: the core has let go */
    uint64_t close_before_ms; /* once the core has let go */
};

struct gossip_uv {
    struct gossip_uv_options options;
    uv_udp_t udp;
    uv_tcp_t tcp;
    uv_timer_t timer;
    struct connection *connections;
    unsigned open_handles;
    bool is_in_turn;
    bool is_closing;
    void (*on_closed)(void *ctx);
    char read_space[READ_SIZE];
    char datagrams[DATAGRAM_MAX * DATAGRAMS_AT_ONCE];
};

struct write {
    uv_write_t request;
    char bytes[];
};

static void turn(struct gossip_uv *io);

/* ---- Closing. */

static void on_handle_closed(uv_handle_t *handle)
{
    struct gossip_uv *io = handle->data;

    assert(io->open_handles > 0);
    if (--io->open_handles == 0) {
        if (io->on_closed != NULL) {
            io->on_closed(io->options.ctx);
        }
        free(io);
    }
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    uv_handle_t as_io = {.data = c->io};

    free(c);
    on_handle_closed(&as_io);
}

static void drop(struct connection *c)
{
    struct connection **link = &c->io->connections;

    while (*link != c) {
        link = &(*link)->next;
    }
    *link = c->next;
    uv_close((uv_handle_t *)&c->tcp, on_connection_closed);
}

/* The network ended it: the core hears of it if it still cares. */
static void lose(struct connection *c)
{
    struct gossip_uv *io = c->io;
    uint32_t stream = c->stream;

    drop(c);
    if (stream != 0 && !io->is_closing) {
        gossip_stream_closed(io->options.gossip, rc_clock_ns(), stream);
        turn(io);
    }
}

void gossip_uv_close(struct gossip_uv *io, void (*on_closed)(void *ctx))
{
    io->is_closing = true;
    io->on_closed = on_closed;
    while (io->connections != NULL) {
        drop(io->connections);
    }
    uv_close((uv_handle_t *)&io->udp, on_handle_closed);
    uv_close((uv_handle_t *)&io->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&io->timer, on_handle_closed);
}

/* ---- Streams. */

static struct connection *find(const struct gossip_uv *io, uint32_t stream)
{
    struct connection *c = io->connections;
    while (c != NULL && c->stream != stream) {
        c = c->next;
    }
    return c;
}

static void on_read_space(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *c = handle->data;

    (void)suggested;
    *out = uv_buf_init(c->io->read_space, READ_SIZE); /* used up before the next read */
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct connection *c = handle->data;
    struct gossip_uv *io = c->io;

    if (size < 0) {
        lose(c);
        return;
    }
    if (size > 0 && c->stream != 0) {
        gossip_stream_data(io->options.gossip, rc_clock_ns(), c->stream,
                           (const uint8_t *)buffer->base, (size_t)size);
        turn(io);
    }
}

static struct connection *add_connection(struct gossip_uv *io, uint32_t stream)
{
    struct connection *c = calloc(1, sizeof *c);

    if (c == NULL || uv_tcp_init(io->options.loop, &c->tcp) != 0) {
        free(c);
        return NULL;
    }
    c->io = io;
    c->stream = stream;
    c->tcp.data = c;
    c->next = io->connections;
    io->connections = c;
    io->open_handles++;
    return c;
}

static int start_reading(struct connection *c)
{
    (void)uv_tcp_nodelay(&c->tcp, 1); /* slower without, not wrong */
    return uv_read_start((uv_stream_t *)&c->tcp, on_read_space, on_read);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct gossip_uv *io = server->data;
    struct sockaddr_storage peer;
    struct rc_address from = {0};
    int peer_size = sizeof peer;

    struct connection *c = status == 0 ? add_connection(io, 0) : NULL;
    if (c == NULL) {
        return;
    }
    if (uv_accept(server, (uv_stream_t *)&c->tcp) != 0 ||
        uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&peer, &peer_size) != 0 ||
        rc_address_from_sockaddr((struct sockaddr *)&peer, &from) != RC_OK ||
        start_reading(c) != 0 ||
        gossip_stream_accepted(io->options.gossip, rc_clock_ns(), &from, &c->stream) !=
            RC_OK) {
        c->stream = 0;
        drop(c);
    }
}

static void on_connected(uv_connect_t *request, int status)
{
    struct connection *c = request->handle->data;

    if (status == UV_ECANCELED) {
        return; /* we closed it */
    }
    if (status != 0 || start_reading(c) != 0) {
        lose(c);
    }
}

/* From the address that others know us by, so that their logs name us; behind a router, where
 * that address is not ours, from whichever the system chooses. */
static int dial(struct connection *c, const struct rc_address *to)
{
    struct rc_address own = c->io->options.bind;
    struct sockaddr_storage address;

    if (rc_address_is_any(&own)) {
        own = gossip_self(c->io->options.gossip)->said->address;
    }

    own.port = 0;
    if (!rc_address_is_any(&own) && own.family == to->family) {
        (void)rc_address_to_sockaddr(&own, &address);
        (void)uv_tcp_bind(&c->tcp, (const struct sockaddr *)&address, 0);
    }
    (void)rc_address_to_sockaddr(to, &address);
    return uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&address,
                          on_connected);
}

static void open_stream(struct gossip_uv *io, const struct gossip_action *action)
{
    struct connection *c = add_connection(io, action->stream);

    if (c == NULL || dial(c, &action->address) != 0) {
        if (c != NULL) {
            drop(c);
        }
        gossip_stream_closed(io->options.gossip, rc_clock_ns(), action->stream);
    }
}

static void on_written(uv_write_t *request, int status)
{
    (void)status; /* a failed connection is seen by its reader */
    free(request->data);
}

static void send_stream(struct gossip_uv *io, const struct gossip_action *action)
{
    struct connection *c = find(io, action->stream);
    if (c == NULL) {
        return;
    }
    struct write *w = malloc(sizeof *w + action->size);
    if (w == NULL) {
        return; /* the stream's deadline ends it */
    }
    memcpy(w->bytes, action->bytes, action->size);
    w->request.data = w;
    uv_buf_t buffer = uv_buf_init(w->bytes, (unsigned)action->size);
    if (uv_write(&w->request, (uv_stream_t *)&c->tcp, &buffer, 1, on_written) != 0) {
        free(w);
    }
}

static void on_flushed(uv_shutdown_t *request, int status)
{
    struct connection *c = request->handle->data;

    if (status != UV_ECANCELED) {
        drop(c);
    }
}

static void close_stream(struct gossip_uv *io, uint32_t stream)
{
    struct connection *c = find(io, stream);

    if (c == NULL) {
        return;
    }
    c->stream = 0;
    c->close_before_ms = uv_now(io->options.loop) + CLOSE_WITHIN_MS;
    if (uv_shutdown(&c->shutdown, (uv_stream_t *)&c->tcp, on_flushed) != 0) {
        drop(c);
    }
}

static void cut_off_slow(struct gossip_uv *io)
{
    struct connection *c = io->connections;

    while (c != NULL) {
        struct connection *next = c->next;
        if (c->close_before_ms != 0 && uv_now(io->options.loop) > c->close_before_ms) {
            drop(c);
        }
        c = next;
    }
}

/* ---- Packets. */

static void send_packet(struct gossip_uv *io, const struct gossip_action *action)
{
    struct sockaddr_storage to;
    union { /* libuv takes what it only reads as writable */
        const uint8_t *ours;
        char *theirs;
    } bytes = {.ours = action->bytes};
    uv_buf_t buffer = uv_buf_init(bytes.theirs, (unsigned)action->size);

    (void)rc_address_to_sockaddr(&action->address, &to);
    /* A full socket or an unreachable peer loses the packet, as any network may. */
    if (uv_udp_try_send(&io->udp, &buffer, 1, (const struct sockaddr *)&to) < 0) {
        gossip_unsent(io->options.gossip);
    }
}

static void on_datagram_space(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct gossip_uv *io = handle->data;

    (void)suggested;
    *out = uv_buf_init(io->datagrams, sizeof io->datagrams);
}

static void on_datagram(uv_udp_t *handle, ssize_t size, const uv_buf_t *buffer,
                        const struct sockaddr *from, unsigned flags)
{
    struct gossip_uv *io = handle->data;
    struct rc_address address;

    (void)flags;
    if (size <= 0 || from == NULL || rc_address_from_sockaddr(from, &address) != RC_OK) {
        return;
    }
    gossip_packet(io->options.gossip, rc_clock_ns(), &address,
                  (const uint8_t *)buffer->base, (size_t)size);
    turn(io);
}

/* ---- A turn: carry out what the core wants, until it wants nothing. */

static void carry_out(struct gossip_uv *io, uint64_t now_ns,
                      const struct gossip_action *action)
{
    switch (action->type) {
    case GOSSIP_SEND_PACKET:
        send_packet(io, action);
        return;
    case GOSSIP_STREAM_OPEN:
        open_stream(io, action);
        return;
    case GOSSIP_STREAM_SEND:
        send_stream(io, action);
        return;
    case GOSSIP_STREAM_CLOSE:
        close_stream(io, action->stream);
        return;
    case GOSSIP_MEMBER_EVENT:
    case GOSSIP_USER_EVENT:
    case GOSSIP_QUERY:
    case GOSSIP_QUERY_ACK:
    case GOSSIP_QUERY_RESPONSE:
    case GOSSIP_QUERY_DONE:
    case GOSSIP_JOIN_RESULT:
    case GOSSIP_NAME_CONFLICT:
    case GOSSIP_NAME_LOST:
    case GOSSIP_REFUSED:
    case GOSSIP_UNSEEN:
    case GOSSIP_TCP_ONLY:
    case GOSSIP_LEFT_POOL:
        if (io->options.on_action != NULL) {
            io->options.on_action(io->options.ctx, now_ns, action);
        }
        return;
    case GOSSIP_ACTION_TYPE_COUNT:
        break;
    }
    abort(); /* no action is without a type */
}

static void on_timer(uv_timer_t *timer)
{
    struct gossip_uv *io = timer->data;

    cut_off_slow(io);
    turn(io);
}

static void arm(struct gossip_uv *io, uint64_t now_ns)
{
    uint64_t due_ns = gossip_deadline(io->options.gossip);
    uint64_t wait_ms = due_ns > now_ns ? (due_ns - now_ns + NS_IN_MS - 1) / NS_IN_MS : 0;

    uv_update_time(io->options.loop);
    (void)uv_timer_start(&io->timer, on_timer, wait_ms, 0); /* fails only when closing */
}

/* Returns whether there was anything to carry out. */
static bool drain(struct gossip_uv *io, uint64_t now_ns)
{
    struct gossip_action action;
    bool had_work = false;

    while (!io->is_closing && gossip_next_action(io->options.gossip, &action)) {
        carry_out(io, now_ns, &action);
        had_work = true;
    }
    return had_work;
}

static bool go_round(struct gossip_uv *io, uint64_t now_ns)
{
    bool is_due = gossip_deadline(io->options.gossip) <= now_ns;

    if (is_due) {
        gossip_tick(io->options.gossip, now_ns);
    }
    bool had_work = drain(io, now_ns);
    if (io->options.on_turn != NULL && !io->is_closing) {
        io->options.on_turn(io->options.ctx, now_ns);
        had_work = drain(io, now_ns) || had_work;
    }
    return is_due || had_work;
}

static void turn(struct gossip_uv *io)
{
    uint64_t now_ns = rc_clock_ns();

    if (io->is_in_turn || io->is_closing) {
        return; /* the turn that is running will see to it */
    }
    io->is_in_turn = true;
    for (unsigned i = 0; i < TURNS_MAX && !io->is_closing; i++) {
        if (!go_round(io, now_ns)) {
            break;
        }
    }
    io->is_in_turn = false;
    if (!io->is_closing) {
        arm(io, now_ns);
    }
}

void gossip_uv_flush(struct gossip_uv *io)
{
    turn(io);
}

/* ---- Start. */

static int explain(int uv_err, const char *protocol, const struct rc_address *address,
                   char *error, size_t error_size)
{
    char text[RC_ADDRESS_TEXT_MAX];

    rc_address_format(address, text);
    if (uv_err == UV_EADDRINUSE) {
        (void)snprintf(error, error_size,
                       "gossip: %s %s is in use by another program; stop it, or choose "
                       "another port with -serf-lan-port",
                       protocol, text);
        return RC_EEXISTS;
    }
    if (uv_err == UV_EADDRNOTAVAIL) {
        (void)snprintf(error, error_size,
                       "gossip: %s is not an address of this machine; see -bind", text);
        return RC_EIO;
    }
    (void)snprintf(error, error_size, "gossip: cannot listen on %s %s: %s", protocol,
                   text, uv_strerror(uv_err));
    return uv_err == UV_EACCES || uv_err == UV_EPERM ? RC_EDENIED : RC_EIO;
}

static int open_udp(struct gossip_uv *io, char *error, size_t error_size)
{
    struct sockaddr_storage address;
    int size = RECEIVE_BUFFER;

    (void)rc_address_to_sockaddr(&io->options.bind, &address);
    int err = uv_udp_bind(&io->udp, (const struct sockaddr *)&address, 0);
    if (err == 0) {
        err = uv_udp_recv_start(&io->udp, on_datagram_space, on_datagram);
    }
    if (err != 0) {
        return explain(err, "UDP", &io->options.bind, error, error_size);
    }
    while (size >= RECEIVE_BUFFER_MIN) {
        int wanted = size;
        if (uv_recv_buffer_size((uv_handle_t *)&io->udp, &wanted) == 0) {
            break;
        }
        size /= 2;
    }
    return RC_OK;
}

static int open_tcp(struct gossip_uv *io, char *error, size_t error_size)
{
    struct sockaddr_storage address;

    (void)rc_address_to_sockaddr(&io->options.bind, &address);
    int err = uv_tcp_bind(&io->tcp, (const struct sockaddr *)&address, 0);
    if (err == 0) {
        err = uv_listen((uv_stream_t *)&io->tcp, BACKLOG, on_connection);
    }
    return err == 0 ? RC_OK : explain(err, "TCP", &io->options.bind, error, error_size);
}

static int init_handles(struct gossip_uv *io)
{
    unsigned family = io->options.bind.family == RC_ADDRESS_IPV6 ? AF_INET6 : AF_INET;

    if (uv_udp_init_ex(io->options.loop, &io->udp, family | UV_UDP_RECVMMSG) != 0) {
        return RC_EIO;
    }
    (void)uv_tcp_init(io->options.loop, &io->tcp);     /* cannot fail without flags */
    (void)uv_timer_init(io->options.loop, &io->timer); /* cannot fail */
    io->udp.data = io;
    io->tcp.data = io;
    io->timer.data = io;
    io->open_handles = 3;
    return RC_OK;
}

int gossip_uv_start(const struct gossip_uv_options *options, char *error,
                    size_t error_size, struct gossip_uv **out)
{
    struct gossip_uv *io = calloc(1, sizeof *io);

    if (io == NULL) {
        (void)snprintf(error, error_size, "gossip: %s", rc_strerror(RC_ENOMEM));
        return RC_ENOMEM;
    }
    io->options = *options;
    if (init_handles(io) != RC_OK) {
        (void)snprintf(error, error_size, "gossip: cannot make a UDP socket");
        free(io);
        return RC_EIO;
    }
    int err = open_udp(io, error, error_size);
    if (err == RC_OK) {
        err = open_tcp(io, error, error_size);
    }
    if (err != RC_OK) {
        gossip_uv_close(io, NULL); /* freed when the loop runs once more */
        return err;
    }
    turn(io);
    *out = io;
    return RC_OK;
}
