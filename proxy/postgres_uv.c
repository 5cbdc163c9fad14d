/* postgres_uv.c - see postgres_uv.h. A session goes through the stages below; what it may do
 * is decided by pgwire, pghello and pgroute. Long because all stages of a session stand in one file,
 * in the order in which they are passed. */
#include "proxy/postgres_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/logger.h"
#include "proxy/cancel_map.h"
#include "proxy/dial_uv.h"
#include "proxy/pghello.h"
#include "proxy/pgroute.h"
#include "proxy/pgwire.h"
#include "proxy/relay_uv.h"

enum {
    START_LIMIT_MS = 60 * 1000, /* authentication_timeout of the server */
    CANCEL_LIMIT_MS = 2000,
    RETRY_MS = 50,
    SWEEP_BUSY_MS = 25, /* while somebody waits */
    SWEEP_CALM_MS = 250,
    EARLY_MAX = 64 * 1024, /* of a client that speaks before it has a server */
};

enum stage {
    STAGE_FIRST, /* the start-up packet is not yet whole */
    STAGE_WAIT,  /* held: no server for it now */
    STAGE_DIAL,  /* connecting */
    STAGE_HELLO, /* the server has the start-up packet and has not said all about itself */
    STAGE_OPEN,  /* bytes pass */
    STAGE_CANCEL, /* a cancel request on its way to its server */
};

struct postgres {
    struct worker *worker;
    struct session *first; /* oldest first: who waited longest is served first */
    struct session *last;
    uint32_t waiting;
    size_t turn;
    uv_timer_t sweep;
    struct rc_metric *expired;
    struct rc_metric *cut;
    struct rc_metric *opened;
    uint8_t buffer[RELAY_BUFFER];
};

struct session {
    struct postgres *postgres;
    struct session *next;
    struct session *previous;
    struct worker_listener *listener;
    enum stage stage;
    struct relay *relay;
    struct dial *dial;
    struct instance *instance;    /* in use; one reference */
    const struct instance *avoid; /* failed last; only compared */
    struct rc_buffer early; /* from the client, for the server: start-up packet first */
    struct pghello hello;
    struct pgwire_hopper hopper; /* where the server's messages end */
    bool replication;
    bool ssl_refused;
    bool gss_refused;
    uint64_t deadline_ms; /* of this stage; 0 = none */
    uint64_t retry_at_ms; /* WAIT: not before */
    uint64_t wait_until_ms;
    uint64_t leave_at_ms; /* its server has left the set: cut then; 0 = no */
};

static const struct config_listener *config_of(const struct session *s)
{
    return worker_listener_config(s->listener);
}

static const struct snapshot_pool *pool_of(const struct session *s)
{
    return worker_listener_pool(s->postgres->worker, s->listener);
}

static enum config_target target_of(const struct session *s)
{
    return s->replication ? CONFIG_TARGET_PRIMARY : config_of(s)->target;
}

/* --- stages --- */

static void on_sweep(uv_timer_t *timer);

static void enter(struct session *s, enum stage stage)
{
    struct postgres *p = s->postgres;
    if (s->stage == STAGE_WAIT && stage != STAGE_WAIT) {
        p->waiting--;
    } else if (s->stage != STAGE_WAIT && stage == STAGE_WAIT) {
        p->waiting++;
        if (uv_timer_get_repeat(&p->sweep) != SWEEP_BUSY_MS) {
            (void)uv_timer_start(&p->sweep, on_sweep, SWEEP_BUSY_MS, SWEEP_BUSY_MS);
        }
    }
    s->stage = stage;
    s->deadline_ms = stage == STAGE_HELLO ? rc_clock_ms() + START_LIMIT_MS : 0;
}

static void stop_using(struct session *s, enum instance_outcome outcome)
{
    if (s->instance == NULL) {
        return;
    }
    const struct snapshot_pool *pool = pool_of(s);
    worker_use_end(s->postgres->worker, pool != NULL ? pool->config : NULL, s->instance,
                   outcome);
    instance_release(s->instance);
    s->instance = NULL;
}

static void forget_key(struct session *s)
{
    if (s->stage == STAGE_OPEN && s->hello.has_key) {
        cancel_map_remove(s->postgres->worker->cancels, s->hello.pid, s->hello.key,
                          s->hello.key_size);
    }
}

static void unlink_session(struct session *s)
{
    struct postgres *p = s->postgres;
    if (p->first == s) {
        p->first = s->next;
    } else {
        s->previous->next = s->next;
    }
    if (s->next != NULL) {
        s->next->previous = s->previous;
    } else {
        p->last = s->previous;
    }
}

static void end_session(struct session *s, enum relay_closing how)
{
    struct worker *worker = s->postgres->worker;
    struct worker_listener *listener = s->listener;
    forget_key(s);
    if (s->dial != NULL) {
        dial_cancel(s->dial);
        stop_using(s, INSTANCE_NOT_TO_BLAME);
    }
    stop_using(s, s->stage == STAGE_OPEN ? INSTANCE_OK : INSTANCE_NOT_TO_BLAME);
    enter(s, STAGE_FIRST); /* counts it out of those who wait */
    unlink_session(s);
    relay_close(s->relay, how);
    rc_buffer_fini(&s->early);
    pghello_fini(&s->hello);
    free(s);
    worker_connection_done(worker, listener);
}

/* The client is told why, if it stands where it can understand it. */
static void refuse(struct session *s, const char *sqlstate, const char *message)
{
    struct rc_buffer text = {0};
    bool speaks = s->stage != STAGE_OPEN || (pgwire_at_boundary(&s->hopper) &&
                                             relay_is_drained(s->relay, RELAY_CLIENT));
    if (speaks) {
        pgwire_write_fatal(&text, sqlstate, message);
        if (text.err == RC_OK) {
            (void)relay_send(s->relay, RELAY_CLIENT, text.bytes, text.size);
        }
    }
    rc_buffer_fini(&text);
    end_session(s, speaks ? RELAY_CUT : RELAY_RESET);
}

/* --- finding a server --- */

static void on_dialed(void *context, int fd, int err);

static void connect_to(struct session *s, struct instance *instance,
                       const struct config_pool *pool)
{
    struct worker *worker = s->postgres->worker;
    enter(s, STAGE_DIAL);
    s->instance = instance_retain(instance);
    worker_use_begin(worker, instance);
    s->dial = dial_start(worker->loop, &instance->address, pool->connect_timeout_ms,
                         on_dialed, s);
    if (s->dial == NULL) {
        refuse(s, "53200", "rollcall-proxy: out of memory");
    }
}

/* Connects if there is a server for it now, else holds it. */
static void find_server(struct session *s)
{
    const struct snapshot_pool *pool = pool_of(s);
    struct pgroute_wish wish = {target_of(s), config_of(s)->fallback_primary, s->avoid};
    if (pool == NULL) {
        refuse(s, "57P01", "rollcall-proxy: this listener's pool was taken away");
        return;
    }
    if (rc_clock_ms() < s->retry_at_ms) {
        return;
    }
    const struct snapshot_member *member = pgroute_pick(pool, &wish, s->postgres->turn++);
    if (member != NULL) {
        connect_to(s, member->instance, pool->config);
    }
}

/* From now on it waits at most wait_for_primary, whatever happens in between. */
static void begin_wait(struct session *s)
{
    const struct config_listener *config = config_of(s);
    if (s->postgres->waiting >= config->max_waiting) {
        refuse(s, "57P03", "rollcall-proxy: no server is available, and too many wait");
        return;
    }
    s->wait_until_ms = rc_clock_ms() + config->wait_for_primary_ms;
    enter(s, STAGE_WAIT);
    find_server(s);
}

/* This server will not do: back to the others who wait, in the old place. */
static void try_again(struct session *s, enum instance_outcome outcome)
{
    s->avoid = s->instance;
    stop_using(s, outcome);
    relay_detach(s->relay);
    pghello_fini(&s->hello);
    s->retry_at_ms = rc_clock_ms() + RETRY_MS;
    s->leave_at_ms = 0;
    enter(s, STAGE_WAIT);
}

static void on_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    bool wants_primary = target_of(s) == CONFIG_TARGET_PRIMARY;
    s->dial = NULL;
    if (err != RC_OK) {
        try_again(s, err == RC_EAGAIN ? INSTANCE_NOT_TO_BLAME : INSTANCE_CONNECT_FAILED);
        return;
    }
    enter(s, STAGE_HELLO);
    pghello_init(&s->hello, wants_primary ? PGHELLO_WANTS_PRIMARY : PGHELLO_WANTS_ANY);
    relay_set_ends(s->relay, RELAY_ENDS_TOLD);
    relay_read_client(s->relay, RELAY_READ);
    if (relay_attach(s->relay, fd) != RC_OK) {
        refuse(s, "53200", "rollcall-proxy: out of memory");
        return;
    }
    if (relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size) != RC_OK) {
        try_again(s, INSTANCE_BROKE);
    }
}

/* --- the server's side of the start --- */

static void open_session(struct session *s)
{
    struct worker *worker = s->postgres->worker;
    enter(s, STAGE_OPEN);
    relay_set_ends(s->relay, RELAY_ENDS_PASS);
    rc_buffer_fini(&s->early);
    rc_metric_add(s->postgres->opened, 1);
    if (s->hello.has_key) {
        (void)cancel_map_put(worker->cancels, s->hello.pid, s->hello.key,
                             s->hello.key_size, &s->instance->address);
    }
}

static enum relay_verdict refuse_verdict(struct session *s, const char *sqlstate,
                                         const char *message)
{
    refuse(s, sqlstate, message);
    return RELAY_OVER;
}

/* The server was not what it was taken for. */
static enum relay_verdict leave_server(struct session *s)
{
    if (s->hello.passed_anything) {
        return refuse_verdict(
            s, "57P03", "rollcall-proxy: that server is not the primary; try again");
    }
    try_again(s, INSTANCE_NOT_TO_BLAME);
    return RELAY_TAKEN;
}

static enum relay_verdict on_hello(struct session *s, const uint8_t *bytes, size_t size)
{
    struct pghello *hello = &s->hello;
    pghello_receive(hello, bytes, size);
    switch (hello->state) {
    case PGHELLO_STANDBY:
    case PGHELLO_RETRY:
        return leave_server(s);
    case PGHELLO_BROKEN:
        return refuse_verdict(s, "08P01",
                              "rollcall-proxy: the server breaks the protocol");
    case PGHELLO_TALKING:
    case PGHELLO_DONE:
        break;
    }
    bool done = hello->state == PGHELLO_DONE;
    struct rc_buffer pass = hello->pass;
    hello->pass = (struct rc_buffer){0};
    pgwire_hop(&s->hopper, pass.bytes, pass.size);
    int err =
        pass.size > 0 ? relay_send(s->relay, RELAY_CLIENT, pass.bytes, pass.size) : RC_OK;
    rc_buffer_fini(&pass);
    if (err != RC_OK) {
        end_session(s, RELAY_RESET);
        return RELAY_OVER;
    }
    if (done) {
        open_session(s);
    }
    return RELAY_TAKEN;
}

/* --- the client's side of the start --- */

/* The request goes to its server as it is; the client's end follows the server's. */
static void on_cancel_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    s->dial = NULL;
    if (err != RC_OK || relay_attach(s->relay, fd) != RC_OK ||
        relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size) != RC_OK) {
        end_session(s, RELAY_ORDERLY);
    }
}

static void begin_cancel(struct session *s, const struct pgwire_first *first)
{
    struct worker *worker = s->postgres->worker;
    struct rc_address server;
    if (cancel_map_find(worker->cancels, first->pid, first->key, first->key_size,
                        &server) != RC_OK) {
        end_session(s, RELAY_ORDERLY);
        return;
    }
    s->early.size = first->size;
    enter(s, STAGE_CANCEL);
    s->deadline_ms = rc_clock_ms() + START_LIMIT_MS;
    s->dial = dial_start(worker->loop, &server, CANCEL_LIMIT_MS, on_cancel_dialed, s);
    if (s->dial == NULL) {
        end_session(s, RELAY_ORDERLY);
    }
}

/* 'N': we do not encrypt; the client may go on in the clear. Each may be asked once. */
static bool refuse_encryption(struct session *s, const struct pgwire_first *first)
{
    bool *refused = first->kind == PGWIRE_SSL ? &s->ssl_refused : &s->gss_refused;
    if (*refused || relay_send(s->relay, RELAY_CLIENT, "N", 1) != RC_OK) {
        return false;
    }
    *refused = true;
    rc_buffer_consume(&s->early, first->size);
    return true;
}

/* Reads on in what the client has sent. True when there may be more to read. */
static bool read_first(struct session *s)
{
    struct pgwire_first first;
    pgwire_read_first(s->early.bytes, s->early.size, &first);
    switch (first.kind) {
    case PGWIRE_MORE:
        return false;
    case PGWIRE_SSL:
    case PGWIRE_GSSENC:
        if (refuse_encryption(s, &first)) {
            return s->early.size > 0;
        }
        break;
    case PGWIRE_CANCEL:
        begin_cancel(s, &first);
        return false;
    case PGWIRE_STARTUP:
        s->replication = first.replication;
        begin_wait(s);
        return false;
    case PGWIRE_DIRECT_TLS:
        end_session(s, RELAY_ORDERLY);
        return false;
    case PGWIRE_BAD:
        break;
    }
    refuse(s, "08P01", "rollcall-proxy: this is no start of a PostgreSQL session");
    return false;
}

static enum relay_verdict on_early(struct session *s, const uint8_t *bytes, size_t size)
{
    rc_buffer_append(&s->early, bytes, size);
    if (s->early.err != RC_OK) {
        return refuse_verdict(s, "08P01", "rollcall-proxy: too much before the start");
    }
    if (s->stage != STAGE_FIRST) {
        return RELAY_TAKEN; /* goes to the server behind the start-up packet */
    }
    bool more = true;
    while (more) {
        more = read_first(s); /* may end the session: then it says false */
    }
    return RELAY_TAKEN;
}

/* --- what the relay tells --- */

static enum relay_verdict on_bytes(void *context, enum relay_side from,
                                   const uint8_t *bytes, size_t size)
{
    struct session *s = context;
    switch (s->stage) {
    case STAGE_FIRST:
    case STAGE_WAIT:
    case STAGE_DIAL:
        return on_early(s, bytes, size);
    case STAGE_HELLO:
        return from == RELAY_SERVER ? on_hello(s, bytes, size) : RELAY_PASS;
    case STAGE_OPEN:
        if (from == RELAY_SERVER) {
            pgwire_hop(&s->hopper, bytes, size);
        }
        return RELAY_PASS;
    case STAGE_CANCEL:
        return relay_has_server(s->relay) ? RELAY_PASS : RELAY_TAKEN;
    }
    return RELAY_PASS;
}

static void on_ended(void *context, enum relay_side side)
{
    struct session *s = context;
    if (s->stage == STAGE_HELLO && side == RELAY_SERVER) {
        if (s->hello.passed_anything) {
            end_session(s, RELAY_ORDERLY);
        } else {
            try_again(s, INSTANCE_BROKE);
        }
        return;
    }
    end_session(s, RELAY_ORDERLY);
}

/* --- the protocol's table --- */

static void accept_client(struct worker *worker, struct worker_listener *listener, int fd,
                          const struct rc_address *peer)
{
    struct postgres *p = worker_state(worker, CONFIG_POSTGRES);
    struct session *s = calloc(1, sizeof *s);
    struct relay_owner owner = {.context = s, .bytes = on_bytes, .ended = on_ended};
    (void)peer;
    if (s == NULL ||
        relay_open(worker->loop, p->buffer, fd, &owner, &s->relay) != RC_OK) {
        free(s);
        (void)close(fd);
        worker_connection_done(worker, listener);
        return;
    }
    s->postgres = p;
    s->listener = listener;
    s->early.max = EARLY_MAX;
    s->deadline_ms = rc_clock_ms() + START_LIMIT_MS;
    s->previous = p->last;
    *(p->last != NULL ? &p->last->next : &p->first) = s;
    p->last = s;
    relay_read_client(s->relay, RELAY_READ);
}

/* A session that has a server: may it stay there? */
static void look_at(struct session *s)
{
    bool writes = target_of(s) == CONFIG_TARGET_PRIMARY;
    enum pgroute_fate fate =
        pgroute_fate(pool_of(s), s->instance, writes ? PGROUTE_WRITES : PGROUTE_READS);

    if (fate == PGROUTE_STAY) {
        s->leave_at_ms = 0;
        return;
    }
    if (fate == PGROUTE_LEAVE) {
        uint32_t drain_ms = s->postgres->worker->snapshot->config->drain_timeout_ms;
        s->leave_at_ms = s->leave_at_ms > 0 ? s->leave_at_ms : rc_clock_ms() + drain_ms;
        return;
    }
    rc_metric_add(s->postgres->cut, 1);
    if (s->stage == STAGE_OPEN || s->hello.passed_anything) {
        refuse(s, "57P01", "rollcall-proxy: this server is no longer the primary");
        return;
    }
    if (s->dial != NULL) {
        dial_cancel(s->dial);
        s->dial = NULL;
    }
    try_again(s, INSTANCE_NOT_TO_BLAME);
    s->retry_at_ms = 0; /* another one may be primary already */
}

static bool has_server(const struct session *s)
{
    return s->stage == STAGE_DIAL || s->stage == STAGE_HELLO || s->stage == STAGE_OPEN;
}

static void snapshot_changed(struct worker *worker, void *state,
                             const struct snapshot *old)
{
    struct postgres *p = state;
    struct session *next = NULL;
    (void)worker;
    (void)old;
    /* First those who must not go on, then those who wait: their server may be the same. */
    for (struct session *s = p->first; s != NULL; s = next) {
        next = s->next;
        assert(s->postgres == p);
        if (has_server(s)) {
            look_at(s);
        }
    }
    for (struct session *s = p->first; s != NULL; s = next) {
        /* Those who were freed above are out of the list, which the checker cannot follow. */
        next = s->next; /* NOLINT(clang-analyzer-unix.Malloc) */
        if (s->stage == STAGE_WAIT) {
            find_server(s);
        }
    }
}

static void expire(struct session *s)
{
    const char *wanted = target_of(s) == CONFIG_TARGET_PRIMARY
                             ? "rollcall-proxy: no primary is available"
                             : "rollcall-proxy: no server is available";
    rc_metric_add(s->postgres->expired, 1);
    refuse(s, "57P03", wanted);
}

static void look_at_time(struct session *s, uint64_t now_ms)
{
    const struct config_listener *config = config_of(s);
    bool idle = s->stage == STAGE_OPEN && config->idle_ms > 0 &&
                now_ms - relay_moved_at_ms(s->relay) > config->idle_ms;

    if (s->stage == STAGE_WAIT && now_ms >= s->wait_until_ms) {
        expire(s);
    } else if (s->stage == STAGE_WAIT) {
        find_server(s);
    } else if (idle || (s->leave_at_ms > 0 && now_ms >= s->leave_at_ms)) {
        refuse(s, "57P01",
               idle ? "rollcall-proxy: idle for too long"
                    : "rollcall-proxy: this server leaves");
    } else if (s->deadline_ms > 0 && now_ms >= s->deadline_ms) {
        end_session(s, RELAY_ORDERLY);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct postgres *p = timer->data;
    uint64_t now_ms = rc_clock_ms();
    struct session *next = NULL;
    for (struct session *s = p->first; s != NULL; s = next) {
        next = s->next;
        look_at_time(s, now_ms);
    }
    if (p->waiting == 0) {
        uv_timer_set_repeat(timer, SWEEP_CALM_MS);
    }
}

static int open_state(struct worker *worker, void **state)
{
    struct postgres *p = calloc(1, sizeof *p);
    struct rc_metrics *m = worker->metrics;
    if (p == NULL) {
        return RC_ENOMEM;
    }
    p->worker = worker;
    p->opened = rc_metrics_counter(m, "rollcall_proxy_postgres_sessions_total", NULL,
                                   "Sessions that reached a server");
    p->expired = rc_metrics_counter(m, "rollcall_proxy_postgres_expired_total", NULL,
                                    "Clients that waited in vain for a server");
    p->cut = rc_metrics_counter(m, "rollcall_proxy_postgres_cut_total", NULL,
                                "Sessions cut because their server is no longer primary");
    (void)uv_timer_init(worker->loop, &p->sweep); /* cannot fail */
    p->sweep.data = p;
    (void)uv_timer_start(&p->sweep, on_sweep, SWEEP_CALM_MS, SWEEP_CALM_MS);
    *state = p;
    return RC_OK;
}

static void abort_all(struct worker *worker, void *state)
{
    struct postgres *p = state;
    (void)worker;
    struct session *next = NULL;
    for (struct session *s = p->first; s != NULL; s = next) {
        next = s->next;
        refuse(s, "57P01", "rollcall-proxy: stopping");
    }
    uv_close((uv_handle_t *)&p->sweep, NULL);
}

static void close_state(struct worker *worker, void *state)
{
    (void)worker;
    free(state);
}

const struct worker_protocol postgres_protocol = {
    .name = "postgres",
    .open = open_state,
    .accept = accept_client,
    .snapshot_changed = snapshot_changed,
    .abort = abort_all,
    .close = close_state,
};
