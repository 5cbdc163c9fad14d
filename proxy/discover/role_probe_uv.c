/* role_probe_uv.c - see role_probe_uv.h. */
#include "proxy/discover/role_probe_uv.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/entropy.h"
#include "base/text.h"
#include "proxy/discover/pgprobe.h"
#include "proxy/wire/proxy_protocol.h"

enum { READ_MAX = 4096, SILENCE_MIN_MS = 400, START_LIMIT_MS = 3000 };

struct role_probe {
    struct role_probe_options options; /* pool is not used after the start */
    enum config_proxy_send proxy_send;
    char user[64];
    char database[64];
    char password[128];
    uint32_t every_ms;
    uv_timer_t timer;
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    char space[READ_MAX];
    char sending[PGPROBE_SEND_MAX];
    struct pgprobe talk;
    uint64_t asked_at_ms;
    enum upstream_role told_role;
    uint32_t told_timeline;
    bool writing;
    bool socket_open;
    bool timer_closed;
    bool closing;
};

static void free_if_closed(struct role_probe *p)
{
    if (p->closing && !p->socket_open && p->timer_closed) {
        pgprobe_fini(&p->talk);
        instance_release(p->options.instance);
        free(p);
    }
}

static void tell(struct role_probe *p, enum upstream_role role, uint32_t timeline,
                 const char *problem)
{
    if (!p->closing && (role != p->told_role || timeline != p->told_timeline)) {
        p->told_role = role;
        p->told_timeline = timeline;
        p->options.told(p->options.context, p->options.instance, role, timeline, problem);
    }
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct role_probe *p = handle->data;
    p->socket_open = false;
    p->writing = false;
    free_if_closed(p);
}

static void hang_up(struct role_probe *p)
{
    if (p->socket_open && !uv_is_closing((uv_handle_t *)&p->socket)) {
        uv_close((uv_handle_t *)&p->socket, on_socket_closed);
    }
}

static void fail(struct role_probe *p, const char *problem)
{
    hang_up(p);
    tell(p, UPSTREAM_ROLE_UNKNOWN, 0, problem);
}

static void on_written(uv_write_t *write, int status)
{
    struct role_probe *p = write->data;
    p->writing = false;
    if (status != 0 && status != UV_ECANCELED) {
        fail(p, "the connection broke");
    }
}

/* Sends what the conversation wants to say; small, and one piece at a time. */
static void flush(struct role_probe *p)
{
    struct rc_buffer *out = &p->talk.out;
    if (p->writing || out->size == 0 || uv_is_closing((uv_handle_t *)&p->socket)) {
        return;
    }
    assert(out->size <= sizeof p->sending);
    memcpy(p->sending, out->bytes, out->size);
    uv_buf_t bytes = uv_buf_init(p->sending, (unsigned)out->size);
    rc_buffer_clear(out);
    p->write.data = p;
    p->writing = true;
    if (uv_write(&p->write, (uv_stream_t *)&p->socket, &bytes, 1, on_written) != 0) {
        p->writing = false;
        fail(p, "the connection broke");
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct role_probe *p = handle->data;
    (void)suggested;
    *out = uv_buf_init(p->space, sizeof p->space);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *bytes)
{
    struct role_probe *p = stream->data;
    if (count == 0) {
        return;
    }
    if (count < 0) {
        fail(p, "the server closed the connection");
        return;
    }
    pgprobe_receive(&p->talk, bytes->base, (size_t)count);
    if (p->talk.state == PGPROBE_FAILED) {
        fail(p, p->talk.problem);
        return;
    }
    flush(p);
    /* A primary counts when its timeline is known too, or will not be. */
    if (p->talk.state == PGPROBE_IDLE) {
        tell(p, p->talk.role, p->talk.timeline, NULL);
    }
}

/* A server that wants the PROXY protocol wants it from us, too: this connection is our own. */
static bool introduce(struct role_probe *p)
{
    static const struct rc_address nobody = {.family = RC_ADDRESS_NONE};
    uint8_t bytes[PROXY_PROTOCOL_WRITTEN_MAX];

    if (p->proxy_send == CONFIG_PROXY_SEND_OFF) {
        return true;
    }
    size_t size = proxy_protocol_write(
        p->proxy_send == CONFIG_PROXY_SEND_V1 ? PROXY_PROTOCOL_V1 : PROXY_PROTOCOL_V2,
        &nobody, &nobody, bytes);
    uv_buf_t header = uv_buf_init((char *)bytes, (unsigned)size);
    return uv_try_write((uv_stream_t *)&p->socket, &header, 1) == (int)size;
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct role_probe *p = connect->data;
    if (status == UV_ECANCELED) {
        return;
    }
    if (status != 0 || !introduce(p) ||
        uv_read_start((uv_stream_t *)&p->socket, on_alloc, on_read) != 0) {
        fail(p, "the server cannot be reached");
        return;
    }
    flush(p);
}

static void dial(struct role_probe *p)
{
    struct sockaddr_storage name;
    if (uv_tcp_init(p->options.loop, &p->socket) != 0) {
        return;
    }
    p->socket_open = true;
    p->socket.data = p;
    p->connect.data = p;
    p->asked_at_ms = rc_clock_ms();
    pgprobe_fini(&p->talk);
    uint8_t random[SCRAM_NONCE_MAX / 4];
    char nonce[2 * sizeof random + 1];
    rc_entropy(random, sizeof random);
    rc_text_to_hex(random, sizeof random, nonce);
    pgprobe_init(&p->talk, p->user, p->database, p->password, nonce);
    (void)uv_tcp_nodelay(&p->socket, 1);
    (void)rc_address_to_sockaddr(&p->options.instance->address, &name);
    if (uv_tcp_connect(&p->connect, &p->socket, (const struct sockaddr *)&name,
                       on_connected) != 0) {
        fail(p, "the server cannot be reached");
    }
}

/* Longer than this without an answer: the role is unknown. */
static uint64_t patience_ms(const struct role_probe *p)
{
    if (p->talk.state == PGPROBE_STARTING) {
        return START_LIMIT_MS;
    }
    uint64_t twice = 2ULL * p->every_ms;
    return twice > SILENCE_MIN_MS ? twice : SILENCE_MIN_MS;
}

static void on_timer(uv_timer_t *timer)
{
    struct role_probe *p = timer->data;
    if (!p->socket_open) {
        dial(p);
        return;
    }
    if (pgprobe_ask(&p->talk)) {
        p->asked_at_ms = rc_clock_ms();
        flush(p);
    } else if (rc_clock_ms() - p->asked_at_ms > patience_ms(p)) {
        fail(p, "the server does not answer");
    }
}

struct role_probe *role_probe_start(const struct role_probe_options *options)
{
    struct role_probe *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->options = *options;
    (void)instance_retain(options->instance);
    (void)rc_text_put(p->user, sizeof p->user, options->pool->probe_user);
    (void)rc_text_put(p->database, sizeof p->database, options->pool->probe_database);
    (void)rc_text_put(p->password, sizeof p->password, options->pool->probe_password);
    p->every_ms = options->pool->probe_every_ms;
    p->proxy_send = options->pool->proxy_send;
    p->told_role = UPSTREAM_ROLE_NONE;
    (void)uv_timer_init(options->loop, &p->timer); /* cannot fail */
    p->timer.data = p;
    (void)uv_timer_start(&p->timer, on_timer, 0, p->every_ms);
    return p;
}

const struct instance *role_probe_instance(const struct role_probe *probe)
{
    return probe->options.instance;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct role_probe *p = handle->data;
    p->timer_closed = true;
    free_if_closed(p);
}

void role_probe_close(struct role_probe *probe)
{
    if (probe == NULL || probe->closing) {
        return;
    }
    probe->closing = true;
    hang_up(probe);
    uv_close((uv_handle_t *)&probe->timer, on_timer_closed);
}
