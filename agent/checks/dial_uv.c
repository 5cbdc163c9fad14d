#include "agent/checks/dial_uv.h"

#include <assert.h>

void dial_begin(struct dial *dial)
{
    dial->pending++;
}

bool dial_continues(struct dial *dial)
{
    assert(dial->pending > 0);
    dial->pending--;
    if (dial->is_ended && dial->pending == 0) {
        dial->on_free(dial);
        return false;
    }
    return !dial->is_ended;
}

static void on_failed_closed(uv_handle_t *handle)
{
    struct dial *dial = handle->data;

    if (dial_continues(dial)) {
        dial->on_connected(dial, dial->status);
    }
}

static void close_socket(struct dial *dial)
{
    if (dial->is_open) {
        dial->is_open = false;
        dial_begin(dial);
        uv_close((uv_handle_t *)&dial->socket, on_failed_closed);
    }
}

static void on_connect(uv_connect_t *connect, int status)
{
    struct dial *dial = connect->data;

    if (!dial_continues(dial)) {
        return;
    }
    dial->status = status;
    if (status == 0) {
        dial->on_connected(dial, 0);
    } else {
        close_socket(dial);
    }
}

int dial_to(struct dial *dial, const struct sockaddr *address)
{
    assert(!dial->is_open && !dial->is_ended);
    int err = uv_tcp_init(dial->loop, &dial->socket);

    if (err != 0) {
        return err;
    }
    dial->socket.data = dial;
    dial->is_open = true;
    dial->connect.data = dial;
    err = uv_tcp_connect(&dial->connect, &dial->socket, address, on_connect);
    if (err == 0) {
        dial_begin(dial);
    }
    return err;
}

void dial_end(struct dial *dial)
{
    dial->is_ended = true;
    close_socket(dial);
    if (dial->pending == 0) {
        dial->on_free(dial);
    }
}
