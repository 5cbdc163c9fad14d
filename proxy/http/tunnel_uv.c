/* tunnel_uv.c - after 101: bytes both ways until both sides have said all. */
#include <assert.h>
#include <sys/socket.h>

#include "base/err.h"
#include "proxy/http/http_state_uv.h"

void tunnel_start(struct exchange *x)
{
    int one = 1;

    x->phase = EXCHANGE_TUNNEL;
    x->when = ACCESS_LOG_TUNNEL;
    (void)setsockopt(x->client->socket.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    (void)setsockopt(x->out->socket.fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    exchange_touch(x);
    tunnel_pump(x);
}

/* Writes all that waits from one side to the other. Bytes written, or SIZE_MAX if that side is
 * gone. `*blocked` tells whether it wants more room. */
static size_t move(struct http_socket *to, struct slab_buffer *first,
                   struct slab_buffer *from, bool *blocked)
{
    size_t size = slab_size(from);
    size_t sent = 0;

    if (*blocked || (size == 0 && slab_size(first) == 0)) {
        return 0;
    }
    enum http_io io = http_socket_write(
        to, first, from == NULL ? NULL : from->bytes + from->start, size, &sent);
    if (sent > 0) {
        slab_consume(from, sent);
    }
    *blocked = io == HTTP_IO_BLOCKED;
    return io == HTTP_IO_BROKEN ? SIZE_MAX : sent;
}

static void end_tunnel(struct exchange *x, enum access_log_who who)
{
    answer_blame(x, who);
    attempt_release(x, INSTANCE_OK, OUTBOUND_CLOSE);
    answer_finish(x, CLIENT_CLOSES);
}

/* Passes an end on, once all before it has been passed. */
static void pass_end(struct http_socket *to, bool ended, size_t waiting, bool *passed)
{
    if (ended && waiting == 0 && !*passed) {
        *passed = true;
        (void)http_socket_end(to);
    }
}

void tunnel_pump(struct exchange *x)
{
    struct client *client = x->client;
    struct outbound *out = x->out;

    size_t up = move(&out->socket, NULL, client->in, &out->blocked);
    size_t down = move(&client->socket, client->out, out->in, &client->blocked);
    if (up == SIZE_MAX || down == SIZE_MAX) {
        end_tunnel(x, up == SIZE_MAX ? ACCESS_LOG_INSTANCE : ACCESS_LOG_CLIENT);
        return;
    }
    x->bytes_in += up;
    x->bytes_out += down;
    if (up + down > 0) {
        exchange_touch(x);
    }
    pass_end(&out->socket, client->ended, slab_size(client->in), &x->passed_up);
    pass_end(&client->socket, out->ended, slab_size(out->in) + slab_size(client->out),
             &x->passed_down);
    if ((x->passed_up && x->passed_down) || out->broken) {
        end_tunnel(x, out->broken ? ACCESS_LOG_INSTANCE : ACCESS_LOG_NOBODY);
        return;
    }
    client_drained(client);
    outbound_drained(out);
    client_rearm(client);
    outbound_rearm(out);
}

void tunnel_on_bytes(struct exchange *x)
{
    struct outbound *out = x->out;

    if (out->in == NULL) {
        out->in = http_lend(x->http);
    }
    enum http_io io =
        out->in == NULL ? HTTP_IO_FULL : http_socket_read(&out->socket, out->in);
    switch (io) {
    case HTTP_IO_DONE:
    case HTTP_IO_BLOCKED:
        break;
    case HTTP_IO_FULL:
        out->paused = true;
        break;
    case HTTP_IO_BROKEN:
        out->broken = true;
        out->ended = true;
        break;
    case HTTP_IO_ENDED:
        out->ended = true;
        break;
    }
    tunnel_pump(x);
}
