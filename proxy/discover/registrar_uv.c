/* registrar_uv.c - see registrar_uv.h. */
#include "proxy/discover/registrar_uv.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/logger.h"
#include "base/random.h"
#include "proxy/discover/registration.h"
#include "proxy/discover/watch_reply.h"

enum {
    LOOK_EVERY_MS = 10000,
    PAUSE_MIN_MS = 200,
    LIMIT_MS = 3000,
    FAREWELL_MS = 1000,
    CHUNK = 4096,
    REPLY_MAX = 64 * 1024
};

struct registrar {
    uv_loop_t *loop;
    struct rc_address agent;
    struct registration registration;
    struct rc_random random;
    uv_timer_t timer; /* the pause between two exchanges, or the limit of one */
    uv_tcp_t socket;
    uv_connect_t connect;
    uv_write_t write;
    struct rc_buffer request;
    struct rc_buffer reply;
    enum registration_step step;
    enum registration_step next;
    uint32_t pause_ms; /* until the next */
    bool stands;       /* the agent knew us when we last looked */
    bool told;         /* of a failure that lasts */
    bool socket_open;
    bool ending; /* only a farewell is still to be said */
    bool closed; /* the timer is closing: the last handle */
};

static void begin(struct registrar *r);

static void on_timer_closed(uv_handle_t *handle)
{
    struct registrar *r = handle->data;
    rc_buffer_fini(&r->request);
    rc_buffer_fini(&r->reply);
    free(r);
}

static void finish(struct registrar *r)
{
    if (!r->closed) {
        r->closed = true;
        uv_close((uv_handle_t *)&r->timer, on_timer_closed);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    begin(timer->data);
}

/* The exchange is over, its socket closed. */
static void go_on(struct registrar *r)
{
    if (r->ending && r->next != REGISTRATION_REMOVE) {
        finish(r);
        return;
    }
    r->step = r->next;
    uint64_t ms = r->pause_ms > 0 && !r->ending
                      ? r->pause_ms / 2 + rc_random_below(&r->random, r->pause_ms)
                      : 0;
    (void)uv_timer_start(&r->timer, on_pause_over, ms, 0);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct registrar *r = handle->data;
    r->socket_open = false;
    go_on(r);
}

static void end_exchange(struct registrar *r, enum registration_step next,
                         uint32_t pause_ms)
{
    if (!r->socket_open || uv_is_closing((uv_handle_t *)&r->socket)) {
        return;
    }
    (void)uv_timer_stop(&r->timer);
    r->next = next;
    r->pause_ms = pause_ms;
    uv_close((uv_handle_t *)&r->socket, on_socket_closed);
}

/* Once for as long as it lasts. */
static void fail(struct registrar *r, const char *why)
{
    uint32_t pause_ms = r->stands || r->pause_ms == 0 ? PAUSE_MIN_MS : 2 * r->pause_ms;
    pause_ms = pause_ms < LOOK_EVERY_MS ? pause_ms : LOOK_EVERY_MS;
    if (!r->told && !r->ending) {
        r->told = true;
        rc_log(RC_LOG_WARN, "proxy", "not registered at the agent as %s: %s; trying on",
               r->registration.id, why);
    }
    r->stands = false;
    end_exchange(r, REGISTRATION_LOOK, pause_ms);
}

static void on_refused(struct registrar *r, unsigned status)
{
    fail(r, status == 403 ? "its token may not write the service (discovery agent, token)"
            : status >= 500 ? "the agent cannot now"
                            : "the agent refuses it; its log says why");
}

static void on_reply(struct registrar *r, const struct watch_reply *reply)
{
    switch (r->step) {
    case REGISTRATION_LOOK:
        if (registration_stands(&r->registration, reply->status, reply->body,
                                reply->body_size)) {
            r->stands = true;
            r->told = false;
            end_exchange(r, REGISTRATION_LOOK, LOOK_EVERY_MS);
        } else if (reply->status == 200 || reply->status == 404) {
            end_exchange(r, REGISTRATION_PUT, 0);
        } else {
            on_refused(r, reply->status);
        }
        return;
    case REGISTRATION_PUT:
        if (reply->status != 200) {
            on_refused(r, reply->status);
            return;
        }
        r->stands = true;
        r->told = false;
        rc_log(RC_LOG_INFO, "proxy", "registered at the agent as %s", r->registration.id);
        end_exchange(r, REGISTRATION_LOOK, LOOK_EVERY_MS);
        return;
    case REGISTRATION_REMOVE:
    case REGISTRATION_STEP_COUNT:
        end_exchange(r, REGISTRATION_LOOK, 0);
        return;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct registrar *r = handle->data;
    (void)suggested;
    bool ok = rc_buffer_reserve(&r->reply, CHUNK) == RC_OK;
    *out =
        uv_buf_init(ok ? (char *)r->reply.bytes + r->reply.size : NULL, ok ? CHUNK : 0);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *space)
{
    struct registrar *r = stream->data;
    struct watch_reply reply;
    (void)space;
    if (count == 0) {
        return;
    }
    if (count > 0) {
        r->reply.size += (size_t)count;
        r->reply.bytes[r->reply.size] = '\0';
    }
    int err = watch_reply_parse(r->reply.bytes, r->reply.size,
                                count < 0 ? WATCH_ENDED : WATCH_OPEN, &reply);
    if (err == RC_OK) {
        on_reply(r, &reply);
    } else if (err != RC_EAGAIN) {
        fail(r, "the agent's answer is no HTTP");
    }
}

static void on_written(uv_write_t *write, int status)
{
    if (status != 0 && status != UV_ECANCELED) {
        fail(write->data, "the agent closed the connection");
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct registrar *r = connect->data;
    uv_buf_t bytes = uv_buf_init((char *)r->request.bytes, (unsigned)r->request.size);
    if (status == UV_ECANCELED) {
        return;
    }
    r->write.data = r;
    if (status != 0) {
        fail(r, "the agent cannot be reached");
    } else if (uv_read_start((uv_stream_t *)&r->socket, on_alloc, on_read) != 0 ||
               uv_write(&r->write, (uv_stream_t *)&r->socket, &bytes, 1, on_written) !=
                   0) {
        fail(r, "the agent closed the connection");
    }
}

static void on_limit(uv_timer_t *timer)
{
    fail(timer->data, "the agent does not answer");
}

static void begin(struct registrar *r)
{
    struct sockaddr_storage name;
    if (uv_tcp_init(r->loop, &r->socket) != 0) {
        if (r->ending) {
            finish(r);
        } else {
            (void)uv_timer_start(&r->timer, on_pause_over, LOOK_EVERY_MS, 0);
        }
        return;
    }
    r->socket_open = true;
    r->socket.data = r;
    r->connect.data = r;
    rc_buffer_clear(&r->reply);
    rc_buffer_clear(&r->request);
    registration_ask(&r->registration, r->step, &r->request);
    (void)rc_address_to_sockaddr(&r->agent, &name);
    (void)uv_timer_start(&r->timer, on_limit, r->ending ? FAREWELL_MS : LIMIT_MS, 0);
    if (r->request.err != RC_OK ||
        uv_tcp_connect(&r->connect, &r->socket, (const struct sockaddr *)&name,
                       on_connected) != 0) {
        fail(r, "the agent cannot be reached");
    }
}

struct registrar *registrar_start(uv_loop_t *loop, const struct config *config,
                                  const char *version, uint64_t seed)
{
    struct registrar *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    r->loop = loop;
    r->agent = config->agent;
    r->reply.max = REPLY_MAX;
    registration_of(config, version, &r->registration);
    rc_random_init(&r->random, seed);
    (void)uv_timer_init(loop, &r->timer); /* cannot fail */
    r->timer.data = r;
    (void)uv_timer_start(&r->timer, on_pause_over, 0, 0);
    return r;
}

void registrar_close(struct registrar *registrar, enum registrar_end end)
{
    if (registrar == NULL) {
        return;
    }
    assert(!registrar->ending);
    bool may_be_there = registrar->stands || registrar->step == REGISTRATION_PUT;
    bool says_farewell = end == REGISTRAR_LEAVES && may_be_there;
    (void)uv_timer_stop(&registrar->timer);
    registrar->ending = true;
    registrar->next = says_farewell ? REGISTRATION_REMOVE : REGISTRATION_LOOK;
    if (!registrar->socket_open) {
        go_on(registrar);
    } else if (!uv_is_closing((uv_handle_t *)&registrar->socket)) {
        uv_close((uv_handle_t *)&registrar->socket, on_socket_closed);
    } /* else: on_socket_closed() goes on as `next` says */
}
