/* tcp_uv.c - see tcp_uv.h. */
#include "proxy/tcp/tcp_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"
#include "proxy/worker/dial_uv.h"
#include "proxy/worker/inquiry_uv.h"
#include "proxy/worker/proxy_header_uv.h"
#include "proxy/worker/relay_uv.h"

enum { ATTEMPTS_MAX = 3, SWEEP_MS = 250, WORDS_EVERY_MS = 1000 };

/* Of a session with TLS on one side or both. */
enum veil {
    VEIL_NONE,   /* or all handshakes are done: bytes pass */
    VEIL_CLIENT, /* the client's runs; there is no server yet */
    VEIL_DIALS,  /* it is done, and a server is looked for */
    VEIL_SERVER  /* the server's runs */
};

struct tcp {
    struct worker *worker;
    struct session *sessions;
    uv_timer_t sweep;
    uint64_t said_at_ms; /* why TLS failed */
    uint8_t buffer[RELAY_BUFFER];
};

struct session {
    struct tcp *tcp;
    struct session *next;
    struct session **place; /* the pointer to us */
    struct worker_listener *listener;
    struct limit_grant grant;
    struct rc_address peer;
    int client_fd; /* the relay's */
    struct relay *relay;
    struct dial *dial;
    enum veil veil;
    struct rc_buffer early;    /* the client's, before there is a server to hear it */
    uint64_t limit_ms;         /* of the handshake that runs; 0 = none */
    struct instance *instance; /* in use; one reference */
    const struct instance *tried[ATTEMPTS_MAX];
    struct instance *kept[ATTEMPTS_MAX]; /* references of `tried` */
    size_t attempts;
    uint64_t key; /* of the client, should the pool hash by source */
    uint64_t since_ms;
    uint64_t leave_at_ms; /* its instance has left: cut then; 0 = no */
};

static const struct config_listener *config_of(const struct session *s)
{
    return worker_listener_config(s->listener);
}

/* NULL when a reload took it away. */
static const struct snapshot_pool *pool_of(const struct session *s)
{
    return worker_listener_pool(s->tcp->worker, s->listener);
}

static void stop_using(struct session *s, enum instance_outcome outcome)
{
    if (s->instance != NULL) {
        const struct snapshot_pool *pool = pool_of(s);
        worker_use_end(s->tcp->worker, pool != NULL ? pool->config : NULL, s->instance,
                       outcome);
        instance_release(s->instance);
        s->instance = NULL;
    }
}

static void end_session(struct session *s, enum relay_closing how)
{
    struct worker *worker = s->tcp->worker;
    struct worker_listener *listener = s->listener;
    *s->place = s->next;
    if (s->next != NULL) {
        s->next->place = s->place;
    }
    if (s->dial != NULL) {
        dial_cancel(s->dial);
        stop_using(s, INSTANCE_NOT_TO_BLAME);
    }
    stop_using(s, INSTANCE_OK);
    relay_close(s->relay, how);
    rc_buffer_fini(&s->early);
    for (size_t i = 0; i < s->attempts; i++) {
        instance_release(s->kept[i]);
    }
    limit_leave(&s->grant);
    free(s);
    worker_connection_done(worker, listener);
}

static void connect_next(struct session *s);

/* --- TLS --- */

static void say_why(struct tcp *tcp, const char *with, const char *whom, const char *why)
{
    uint64_t now_ms = rc_clock_ms();
    if (now_ms - tcp->said_at_ms >= WORDS_EVERY_MS) {
        tcp->said_at_ms = now_ms;
        rc_log(RC_LOG_INFO, "proxy", "TLS with %s %s came to nothing: %s", with, whom,
               why[0] != '\0' ? why : "it went, or took too long");
    }
}

static const char *problem_of(const struct session *s, enum relay_side side)
{
    const struct tls *tls = relay_tls(s->relay, side);
    return tls != NULL ? tls_problem(tls) : "";
}

static void client_failed(struct session *s)
{
    char peer[RC_ADDRESS_TEXT_MAX];
    rc_address_format_ip(&s->peer, peer);
    say_why(s->tcp, "a client at", peer, problem_of(s, RELAY_CLIENT));
    meter_refuse(worker_listener_lane(s->listener), REFUSAL_TLS);
    end_session(s, RELAY_ORDERLY);
}

/* It has seen nothing of the client: another one may do. */
static void server_failed(struct session *s)
{
    say_why(s->tcp, "instance", s->instance->id, problem_of(s, RELAY_SERVER));
    s->veil = VEIL_DIALS;
    s->limit_ms = 0;
    relay_detach(s->relay);
    stop_using(s, INSTANCE_CONNECT_FAILED);
    connect_next(s);
}

/* The server hears the client from now on. */
static void let_pass(struct session *s)
{
    s->veil = VEIL_NONE;
    s->limit_ms = 0;
    relay_read_client(s->relay, RELAY_READ);
    if (s->early.size > 0) { /* if it is gone already, the relay tells so */
        (void)relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size);
        rc_buffer_fini(&s->early);
    }
}

static void on_secured(void *context, enum relay_side side)
{
    struct session *s = context;
    if (side == RELAY_SERVER) {
        let_pass(s);
        return;
    }
    s->veil = VEIL_DIALS;
    s->limit_ms = 0;
    relay_read_client(s->relay, RELAY_REST);
    connect_next(s);
}

static enum relay_verdict on_bytes(void *context, enum relay_side from,
                                   const uint8_t *bytes, size_t size)
{
    struct session *s = context;
    if (s->veil == VEIL_NONE || from == RELAY_SERVER) {
        return RELAY_PASS;
    }
    rc_buffer_append(&s->early, bytes, size);
    return RELAY_TAKEN;
}

static void secure_server(struct session *s, const struct snapshot_pool *pool)
{
    struct tls *tls = tls_connect(pool->tls, TLS_SPEAKS_ANYTHING,
                                  pool->config->server_name, &s->instance->address);
    s->veil = VEIL_SERVER;
    s->limit_ms = rc_clock_ms() + pool->config->connect_timeout_ms;
    if (tls == NULL || relay_secure(s->relay, RELAY_SERVER, tls, NULL, 0) != RC_OK) {
        server_failed(s);
    }
}

/* The first thing between us and a client of a listener that ends TLS. */
static void secure_client(struct session *s)
{
    struct tls_context *context = worker_listener_tls(s->listener);
    struct tls *tls = context != NULL ? tls_accept(context) : NULL;
    s->veil = VEIL_CLIENT;
    s->limit_ms = rc_clock_ms() + config_of(s)->secure.limit_ms;
    if (tls == NULL || relay_secure(s->relay, RELAY_CLIENT, tls, NULL, 0) != RC_OK) {
        end_session(s, RELAY_RESET);
        return;
    }
    relay_read_client(s->relay, RELAY_READ);
}

/* --- the server --- */

static void on_ended(void *context, enum relay_side side)
{
    struct session *s = context;
    if (s->veil == VEIL_CLIENT) {
        client_failed(s);
    } else if (s->veil == VEIL_SERVER && side == RELAY_SERVER) {
        server_failed(s);
    } else {
        end_session(s, relay_is_broken(s->relay) ? RELAY_RESET : RELAY_ORDERLY);
    }
}

static void on_spliced(void *context, enum relay_side from, size_t size)
{
    const struct session *s = context;
    (void)from;
    rc_metric_add(s->tcp->worker->spliced, size);
}

static void on_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    s->dial = NULL;
    if (err != RC_OK) {
        stop_using(s, err == RC_EAGAIN ? INSTANCE_NOT_TO_BLAME : INSTANCE_CONNECT_FAILED);
        connect_next(s);
        return;
    }
    const struct snapshot_pool *pool = pool_of(s);
    if (pool != NULL &&
        proxy_header_send(fd, pool->config, s->client_fd, &s->peer) != RC_OK) {
        (void)close(fd);
        stop_using(s, INSTANCE_CONNECT_FAILED);
        connect_next(s);
        return;
    }
    bool sealed = pool != NULL && pool->tls != NULL;
    if (relay_attach(s->relay, fd) != RC_OK) {
        end_session(s, RELAY_RESET);
        return;
    }
    if (sealed) {
        secure_server(s, pool);
        return;
    }
    relay_splice(s->relay, RELAY_CLIENT, &s->tcp->worker->pipes);
    relay_splice(s->relay, RELAY_SERVER, &s->tcp->worker->pipes);
    let_pass(s);
}

static void connect_next(struct session *s)
{
    struct worker *worker = s->tcp->worker;
    struct balance_request request = {
        .key = s->key, .excluded = s->tried, .excluded_count = s->attempts};
    const struct snapshot_pool *pool = pool_of(s);
    const struct snapshot_member *member =
        pool != NULL && s->attempts < ATTEMPTS_MAX
            ? worker_pick(worker, (size_t)(pool - worker->snapshot->pools), &request)
            : NULL;
    if (member == NULL) {
        end_session(s, RELAY_RESET);
        return;
    }
    s->kept[s->attempts] = instance_retain(member->instance);
    s->tried[s->attempts++] = member->instance;
    s->instance = instance_retain(member->instance);
    worker_use_begin(worker, s->instance);
    s->dial = dial_start(worker->loop, &s->instance->address,
                         pool->config->connect_timeout_ms, on_dialed, s);
    if (s->dial == NULL) {
        end_session(s, RELAY_RESET);
    }
}

static void accept_client(struct worker *worker, struct worker_listener *listener, int fd,
                          const struct rc_address *peer)
{
    struct tcp *tcp = worker_state(worker, CONFIG_TCP);
    struct session *s = calloc(1, sizeof *s);
    bool sealed = worker_listener_config(listener)->tls == CONFIG_TLS_END;
    struct relay_owner owner = {.context = s,
                                .bytes = sealed ? on_bytes : NULL,
                                .ended = on_ended,
                                .spliced = on_spliced,
                                .secured = on_secured};
    if (s == NULL ||
        relay_open(worker->loop, tcp->buffer, fd, &owner, &s->relay) != RC_OK) {
        free(s);
        (void)close(fd);
        worker_connection_done(worker, listener);
        return;
    }
    s->tcp = tcp;
    s->listener = listener;
    s->grant = worker_take_grant(worker);
    s->peer = *peer;
    s->key = balance_source(peer);
    s->client_fd = fd;
    s->since_ms = rc_clock_ms();
    s->next = tcp->sessions;
    s->place = &tcp->sessions;
    if (s->next != NULL) {
        s->next->place = &s->next;
    }
    tcp->sessions = s;
    if (sealed) {
        secure_client(s);
    } else {
        connect_next(s);
    }
}

/* Sessions whose instance has left the set get drain_timeout, then they are cut. */
static void note_leaving(struct session *s)
{
    const struct snapshot_pool *pool = pool_of(s);
    const struct snapshot_member *member =
        pool != NULL && s->instance != NULL ? snapshot_find(pool, s->instance) : NULL;
    bool leaves = s->instance != NULL && (member == NULL || !member->present);
    if (!leaves) {
        s->leave_at_ms = 0;
    } else if (s->leave_at_ms == 0) {
        s->leave_at_ms =
            rc_clock_ms() + s->tcp->worker->snapshot->config->drain_timeout_ms;
    }
}

static void snapshot_changed(struct worker *worker, void *state,
                             const struct snapshot *old)
{
    struct tcp *tcp = state;
    (void)worker;
    (void)old;
    for (struct session *s = tcp->sessions; s != NULL; s = s->next) {
        note_leaving(s);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct tcp *tcp = timer->data;
    uint64_t now_ms = rc_clock_ms();
    struct session *next = NULL;
    for (struct session *s = tcp->sessions; s != NULL; s = next) {
        next = s->next;
        uint32_t idle_ms = config_of(s)->idle_ms;
        bool idle = idle_ms > 0 && s->dial == NULL &&
                    now_ms - relay_moved_at_ms(s->relay) > idle_ms;
        if (s->limit_ms > 0 && now_ms >= s->limit_ms) {
            on_ended(s, s->veil == VEIL_CLIENT ? RELAY_CLIENT : RELAY_SERVER);
        } else if (idle || (s->leave_at_ms > 0 && now_ms >= s->leave_at_ms)) {
            end_session(s, RELAY_RESET);
        }
    }
}

static int open_state(struct worker *worker, void **state)
{
    struct tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) {
        return RC_ENOMEM;
    }
    tcp->worker = worker;
    (void)uv_timer_init(worker->loop, &tcp->sweep); /* cannot fail */
    tcp->sweep.data = tcp;
    (void)uv_timer_start(&tcp->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
    *state = tcp;
    return RC_OK;
}

static void list_sessions(struct worker *worker, void *state, struct inquiry *inquiry)
{
    const struct tcp *tcp = state;
    (void)worker;
    for (const struct session *s = tcp->sessions; s != NULL; s = s->next) {
        struct inquiry_connection *c = inquiry_add(inquiry);
        if (c == NULL) {
            continue;
        }
        const struct snapshot_pool *pool = pool_of(s);
        c->peer = s->peer;
        c->listener = config_of(s)->address;
        c->protocol = "tcp";
        c->state = s->dial != NULL ? "connecting" : "open";
        c->age_ms = rc_clock_ms() - s->since_ms;
        (void)rc_text_put(c->route, sizeof c->route,
                          pool != NULL ? pool->config->name : "");
        if (s->instance != NULL) {
            c->instance = s->instance->address;
        }
    }
}

static void abort_all(struct worker *worker, void *state)
{
    struct tcp *tcp = state;
    (void)worker;
    struct session *next = NULL;
    for (struct session *s = tcp->sessions; s != NULL; s = next) {
        next = s->next;
        end_session(s, RELAY_RESET);
    }
    uv_close((uv_handle_t *)&tcp->sweep, NULL);
}

static void close_state(struct worker *worker, void *state)
{
    (void)worker;
    free(state);
}

const struct worker_protocol tcp_protocol = {
    .name = "tcp",
    .open = open_state,
    .accept = accept_client,
    .snapshot_changed = snapshot_changed,
    .list = list_sessions,
    .abort = abort_all,
    .close = close_state,
};
