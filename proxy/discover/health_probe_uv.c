/* health_probe_uv.c - see health_probe_uv.h. */
#include "proxy/discover/health_probe_uv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/random.h"
#include "proxy/wire/proxy_protocol.h"

enum { READ_MAX = 512, REQUEST_MAX = 768 + PROXY_PROTOCOL_WRITTEN_MAX };

struct health_probe {
    struct health_probe_options options;
    struct probe_streak streak;
    struct rc_random random;
    uv_timer_t timer; /* the next question, or the limit of this one */
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    char request[REQUEST_MAX];
    char space[READ_MAX];
    size_t size; /* of the answer so far */
    bool socket_open;
    bool answered; /* this question is over */
    bool timer_closed;
    bool closing;
};

static void free_if_closed(struct health_probe *p)
{
    if (p->closing && !p->socket_open && p->timer_closed) {
        instance_release(p->options.instance);
        free(p);
    }
}

static void ask(uv_timer_t *timer);

/* The next question, a tenth earlier or later. */
static void pause_until_next(struct health_probe *p)
{
    uint32_t every_ms = p->options.check.every_ms;
    uint64_t pause_ms = every_ms - every_ms / 10 +
                        rc_random_below(&p->random, (uint64_t)every_ms / 5 + 1);
    if (!p->closing) {
        (void)uv_timer_start(&p->timer, ask, pause_ms, 0);
    }
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct health_probe *p = handle->data;
    p->socket_open = false;
    if (p->closing) {
        free_if_closed(p);
    } else {
        pause_until_next(p);
    }
}

static void finish(struct health_probe *p, enum probe_outcome outcome,
                   const char *problem)
{
    if (p->answered || p->closing) {
        return;
    }
    p->answered = true;
    (void)uv_timer_stop(&p->timer);
    if (p->socket_open) {
        uv_close((uv_handle_t *)&p->socket, on_socket_closed);
    } else {
        pause_until_next(p);
    }
    enum lineup_check before = p->streak.verdict;
    enum lineup_check now = probe_streak_add(&p->streak, &p->options.check, outcome);
    if (now != before) {
        p->options.told(p->options.context, p->options.instance, now, problem);
    }
}

static void on_limit(uv_timer_t *timer)
{
    finish(timer->data, PROBE_FAILED, "no answer in time");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct health_probe *p = handle->data;
    (void)suggested;
    *out = uv_buf_init(p->space + p->size, (unsigned)(sizeof p->space - p->size));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct health_probe *p = stream->data;
    const struct config_check *check = &p->options.check;
    unsigned status = 0;
    (void)bytes;
    if (count == 0) {
        return;
    }
    if (count < 0) {
        finish(p, PROBE_FAILED, "it closed the connection");
        return;
    }
    p->size += (size_t)count;
    int err = probe_status(p->space, p->size, &status);
    if (err == RC_EAGAIN) {
        return;
    }
    bool good =
        err == RC_OK && status >= check->status_min && status <= check->status_max;
    finish(p, good ? PROBE_PASSED : PROBE_FAILED,
           err != RC_OK ? "its answer is no HTTP"
           : good       ? NULL
                        : "its status says so");
}

static void on_written(uv_write_t *write, int status)
{
    if (status != 0 && status != UV_ECANCELED) {
        finish(write->data, PROBE_FAILED, "the connection broke");
    }
}

/* A server that wants the PROXY protocol wants it from us, too: this connection is our own. */
static size_t put_proxy_header(const struct health_probe *p, char *space)
{
    static const struct rc_address nobody = {.family = RC_ADDRESS_NONE};
    if (p->options.proxy_send == CONFIG_PROXY_SEND_OFF) {
        return 0;
    }
    return proxy_protocol_write(p->options.proxy_send == CONFIG_PROXY_SEND_V1
                                    ? PROXY_PROTOCOL_V1
                                    : PROXY_PROTOCOL_V2,
                                &nobody, &nobody, (uint8_t *)space);
}

static size_t put_request(struct health_probe *p)
{
    const struct config_check *check = &p->options.check;
    char address[RC_ADDRESS_TEXT_MAX];
    size_t at = put_proxy_header(p, p->request);
    if (check->kind == CONFIG_PROBE_TCP) {
        return at;
    }
    rc_address_format(&p->options.instance->address, address);
    int wrote = snprintf(p->request + at, sizeof p->request - at,
                         "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: rollcall-proxy\r\n"
                         "Connection: close\r\n\r\n",
                         check->path, check->host[0] != '\0' ? check->host : address);
    return at + (wrote > 0 ? (size_t)wrote : 0);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct health_probe *p = connect->data;
    if (status != 0) {
        if (status != UV_ECANCELED) {
            finish(p, PROBE_FAILED, "it cannot be connected to");
        }
        return;
    }
    size_t size = put_request(p);
    uv_buf_t bytes = uv_buf_init(p->request, (unsigned)size);
    p->write.data = p;
    if (p->options.check.kind == CONFIG_PROBE_TCP) {
        if (size > 0) {
            (void)uv_try_write((uv_stream_t *)&p->socket, &bytes, 1); /* politeness */
        }
        finish(p, PROBE_PASSED, NULL);
        return;
    }
    if (uv_read_start((uv_stream_t *)&p->socket, on_alloc, on_read) != 0 ||
        uv_write(&p->write, (uv_stream_t *)&p->socket, &bytes, 1, on_written) != 0) {
        finish(p, PROBE_FAILED, "the connection broke");
    }
}

static void ask(uv_timer_t *timer)
{
    struct health_probe *p = timer->data;
    struct sockaddr_storage name;
    if (uv_tcp_init(p->options.loop, &p->socket) != 0) {
        pause_until_next(p); /* our own shortage says nothing about it */
        return;
    }
    p->socket_open = true;
    p->answered = false;
    p->size = 0;
    p->socket.data = p;
    p->connect.data = p;
    (void)rc_address_to_sockaddr(&p->options.instance->address, &name);
    (void)uv_timer_start(&p->timer, on_limit, p->options.check.timeout_ms, 0);
    if (uv_tcp_connect(&p->connect, &p->socket, (const struct sockaddr *)&name,
                       on_connected) != 0) {
        finish(p, PROBE_FAILED, "it cannot be connected to");
    }
}

struct health_probe *health_probe_start(const struct health_probe_options *options)
{
    struct health_probe *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->options = *options;
    p->options.instance = instance_retain(options->instance);
    rc_random_init(&p->random, options->seed);
    (void)uv_timer_init(options->loop, &p->timer); /* cannot fail */
    p->timer.data = p;
    /* The first one soon, but not all at once. */
    uint64_t first_ms = rc_random_below(&p->random, options->check.every_ms / 4 + 1);
    (void)uv_timer_start(&p->timer, ask, first_ms, 0);
    return p;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct health_probe *p = handle->data;
    p->timer_closed = true;
    free_if_closed(p);
}

void health_probe_close(struct health_probe *probe)
{
    if (probe == NULL || probe->closing) {
        return;
    }
    probe->closing = true;
    if (probe->socket_open && !uv_is_closing((uv_handle_t *)&probe->socket)) {
        uv_close((uv_handle_t *)&probe->socket, on_socket_closed);
    }
    uv_close((uv_handle_t *)&probe->timer, on_timer_closed);
}

const struct instance *health_probe_instance(const struct health_probe *probe)
{
    return probe->options.instance;
}
