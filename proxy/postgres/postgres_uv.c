/* postgres_uv.c - see postgres_uv.h: a session's life, what changes mean for it, and time. */
#include "proxy/postgres/postgres_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "proxy/postgres/postgres_state_uv.h"
#include "proxy/worker/inquiry_uv.h"

enum {
    SWEEP_BUSY_MS = 25, /* while somebody waits */
    SWEEP_CALM_MS = 250,
    EARLY_MAX = 64 * 1024, /* of a client that speaks before it has a server */
};

const struct config_listener *session_config(const struct session *s)
{
    return worker_listener_config(s->listener);
}

const struct snapshot_pool *session_pool(const struct session *s)
{
    return worker_listener_pool(s->postgres->worker, s->listener);
}

enum config_target session_target(const struct session *s)
{
    if (s->replication) {
        return CONFIG_TARGET_PRIMARY;
    }
    return s->wants_read ? CONFIG_TARGET_STANDBY : session_config(s)->target;
}

void session_count(const struct session *s, enum pgtally_event event)
{
    if (s->tally != NULL) {
        pgtally_count(s->tally, event);
    }
}

/* --- stages and the end --- */

static void on_sweep(uv_timer_t *timer);

static enum pgtally_state state_of(enum stage stage)
{
    static const enum pgtally_state states[] = {
        [STAGE_FIRST] = PGTALLY_STARTING,  [STAGE_WAIT] = PGTALLY_WAITING,
        [STAGE_DIAL] = PGTALLY_CONNECTING, [STAGE_HELLO] = PGTALLY_CONNECTING,
        [STAGE_OPEN] = PGTALLY_OPEN,       [STAGE_CANCEL] = PGTALLY_CANCELLING,
    };
    return states[stage];
}

void session_enter(struct session *s, enum stage stage)
{
    struct postgres *p = s->postgres;
    if (s->tally != NULL) {
        pgtally_leave(s->tally, state_of(s->stage));
        pgtally_enter(s->tally, state_of(stage));
    }
    if (s->stage == STAGE_WAIT && stage != STAGE_WAIT) {
        pgqueue_count_out(s);
    } else if (s->stage != STAGE_WAIT && stage == STAGE_WAIT) {
        pgqueue_count_in(s);
        if (uv_timer_get_repeat(&p->sweep) != SWEEP_BUSY_MS) {
            (void)uv_timer_start(&p->sweep, on_sweep, SWEEP_BUSY_MS, SWEEP_BUSY_MS);
        }
    }
    s->stage = stage;
    s->deadline_ms = stage == STAGE_HELLO ? rc_clock_ms() + POSTGRES_START_LIMIT_MS : 0;
}

void session_stop_using(struct session *s, enum instance_outcome outcome)
{
    if (s->instance == NULL) {
        return;
    }
    const struct snapshot_pool *pool = session_pool(s);
    worker_use_end(s->postgres->worker, pool != NULL ? pool->config : NULL, s->instance,
                   outcome);
    instance_release(s->instance);
    s->instance = NULL;
}

static void forget_key(struct session *s)
{
    struct cancel_map *cancels = s->postgres->worker->cancels;
    if (s->stage == STAGE_OPEN && s->hello.has_key) {
        cancel_map_remove(cancels, s->hello.pid, s->hello.key, s->hello.key_size);
    }
    if (s->noted) {
        cancel_map_unnote(cancels, &s->peer, &s->place);
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

void session_end(struct session *s, enum relay_closing how)
{
    struct worker *worker = s->postgres->worker;
    struct worker_listener *listener = s->listener;
    forget_key(s);
    if (s->dial != NULL) {
        dial_cancel(s->dial);
        session_stop_using(s, INSTANCE_NOT_TO_BLAME);
    }
    session_stop_using(s, s->stage == STAGE_OPEN ? INSTANCE_OK : INSTANCE_NOT_TO_BLAME);
    session_enter(s, STAGE_FIRST); /* counts it out of those who wait */
    unlink_session(s);
    relay_close(s->relay, how);
    if (s->tally != NULL) {
        pgtally_leave(s->tally, PGTALLY_STARTING);
        pgtally_release(s->tally);
    }
    rc_buffer_fini(&s->early);
    rc_buffer_fini(&s->notice);
    pghello_fini(&s->hello);
    free(s->tour);
    limit_leave(&s->grant);
    free(s);
    worker_connection_done(worker, listener);
}

int session_tell_client(const struct session *s, int fd)
{
    const struct snapshot_pool *pool = session_pool(s);
    return proxy_header_send(fd, pool != NULL ? pool->config : NULL, s->client_fd,
                             &s->peer);
}

/* Between two messages in the clear, with nothing on the way to it. */
static bool can_be_told(const struct session *s)
{
    if (s->veil == VEIL_CLOSED || s->veil == VEIL_DIRECT) {
        return false;
    }
    return s->stage != STAGE_OPEN ||
           (pgwire_at_boundary(&s->hopper) && relay_is_drained(s->relay, RELAY_CLIENT));
}

void session_refuse(struct session *s, const char *sqlstate, const char *message)
{
    struct rc_buffer text = {0};
    bool told = can_be_told(s);
    if (told) {
        pgwire_write_fatal(&text, sqlstate, message);
        if (text.err == RC_OK) {
            (void)relay_send(s->relay, RELAY_CLIENT, text.bytes, text.size);
        }
    }
    rc_buffer_fini(&text);
    session_end(s, told ? RELAY_CUT : RELAY_RESET);
}

void session_refuse_for(struct session *s, enum pgtally_event why, const char *sqlstate,
                        const char *message)
{
    session_count(s, why);
    session_refuse(s, sqlstate, message);
}

enum relay_verdict session_refuse_now(struct session *s, const char *sqlstate,
                                      const char *message)
{
    session_refuse(s, sqlstate, message);
    return RELAY_OVER;
}

/* --- the protocol's table --- */

static void accept_client(struct worker *worker, struct worker_listener *listener, int fd,
                          const struct rc_address *peer)
{
    struct postgres *p = worker_state(worker, CONFIG_POSTGRES);
    struct session *s = calloc(1, sizeof *s);
    struct relay_owner owner = {
        .context = s, .bytes = pgserver_bytes, .ended = pgserver_ended};
    if (s == NULL ||
        relay_open(worker->loop, p->buffer, fd, &owner, &s->relay) != RC_OK) {
        free(s);
        (void)close(fd);
        worker_connection_done(worker, listener);
        return;
    }
    s->postgres = p;
    s->listener = listener;
    s->grant = worker_take_grant(worker);
    s->peer = *peer;
    s->client_fd = fd;
    s->since_ms = rc_clock_ms();
    s->early.max = EARLY_MAX;
    s->notice.max = POSTGRES_NOTICE_MAX;
    const struct snapshot_pool *pool = session_pool(s);
    if (pool != NULL) {
        s->tally = pgtally_retain(pool->tally);
        pgtally_enter(s->tally, PGTALLY_STARTING);
    }
    s->deadline_ms = rc_clock_ms() + POSTGRES_START_LIMIT_MS;
    s->previous = p->last;
    *(p->last != NULL ? &p->last->next : &p->first) = s;
    p->last = s;
    relay_read_client(s->relay, RELAY_READ);
}

static void cut(struct session *s, const struct snapshot_pool *pool)
{
    bool unknown = pool != NULL && pool->view_lost;
    if (s->stage == STAGE_OPEN || s->hello.passed_anything) {
        rc_metric_add(s->postgres->cut, 1);
        session_count(s, unknown ? PGTALLY_CUT_VIEW : PGTALLY_CUT_TERM);
        session_refuse(s, "57P01",
                       unknown ? "rollcall-proxy: it is not known who is primary"
                               : "rollcall-proxy: this server is no longer the primary");
        return;
    }
    if (s->dial != NULL) {
        dial_cancel(s->dial);
        s->dial = NULL;
    }
    pgserver_try_again(s, INSTANCE_NOT_TO_BLAME);
    s->retry_at_ms = 0; /* another one may be primary already */
}

static uint32_t drain_of(const struct session *s, const struct snapshot_pool *pool)
{
    return pool != NULL && pool->managed
               ? pool->config->read_drain_ms
               : s->postgres->worker->snapshot->config->drain_timeout_ms;
}

/* A session that has a server: may it stay there? */
static void look_at(struct session *s)
{
    const struct snapshot_pool *pool = session_pool(s);
    s->route = pgroute_session_on(pool, s->instance, &s->route);
    switch (pgroute_fate(pool, s->instance, &s->route)) {
    case PGROUTE_STAY:
        s->leave_at_ms = 0;
        break;
    case PGROUTE_LEAVE:
        if (s->leave_at_ms == 0) {
            s->leave_at_ms = rc_clock_ms() + drain_of(s, pool);
        }
        break;
    case PGROUTE_CUT:
        cut(s, pool);
        break;
    }
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
    /* Those who were freed above are out of the list, which the checker cannot follow. */
    pgqueue_serve(p, rc_clock_ms()); /* NOLINT(clang-analyzer-unix.Malloc) */
}

static void look_at_time(struct session *s, uint64_t now_ms)
{
    const struct config_listener *config = session_config(s);
    bool idle = s->stage == STAGE_OPEN && config->idle_ms > 0 &&
                now_ms - relay_moved_at_ms(s->relay) > config->idle_ms;
    bool leaves = s->leave_at_ms > 0 && now_ms >= s->leave_at_ms;

    if (idle || leaves) {
        session_refuse_for(s, leaves ? PGTALLY_LEFT : PGTALLY_IDLE, "57P01",
                           idle ? "rollcall-proxy: idle for too long"
                                : "rollcall-proxy: this server leaves");
    } else if (s->deadline_ms > 0 && now_ms >= s->deadline_ms) {
        pgsecure_client_failed(s);
        if (s->stage == STAGE_FIRST) {
            session_count(s, PGTALLY_REFUSED_SLOW);
        }
        session_end(s, RELAY_ORDERLY);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct postgres *p = timer->data;
    uint64_t now_ms = rc_clock_ms();
    struct session *next = NULL;
    for (struct session *s = p->first; s != NULL; s = next) {
        next = s->next;
        if (s->stage != STAGE_WAIT) {
            look_at_time(s, now_ms);
        }
    }
    pgqueue_serve(p, now_ms);
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
        session_refuse(s, "57P01", "rollcall-proxy: stopping");
    }
    uv_close((uv_handle_t *)&p->sweep, NULL);
}

static void close_state(struct worker *worker, void *state)
{
    (void)worker;
    free(state);
}

static const char *stage_name(enum stage stage)
{
    switch (stage) {
    case STAGE_FIRST:
        return "starting";
    case STAGE_WAIT:
        return "waiting";
    case STAGE_DIAL:
        return "connecting";
    case STAGE_HELLO:
        return "logging in";
    case STAGE_OPEN:
        return "open";
    case STAGE_CANCEL:
        return "cancelling";
    }
    return "";
}

static void list_sessions(struct worker *worker, void *state, struct inquiry *inquiry)
{
    const struct postgres *p = state;
    (void)worker;
    for (struct session *s = p->first; s != NULL; s = s->next) {
        struct inquiry_connection *c = inquiry_add(inquiry);
        if (c == NULL) {
            continue;
        }
        const struct snapshot_pool *pool = session_pool(s);
        c->peer = s->peer;
        c->listener = worker_listener_config(s->listener)->address;
        c->protocol = "postgres";
        c->state = stage_name(s->stage);
        c->age_ms = rc_clock_ms() - s->since_ms;
        (void)rc_text_put(c->route, sizeof c->route,
                          pool != NULL ? pool->config->name : "");
        if (s->instance != NULL) {
            c->instance = s->instance->address;
        }
    }
}

const struct worker_protocol postgres_protocol = {
    .name = "postgres",
    .open = open_state,
    .accept = accept_client,
    .list = list_sessions,
    .snapshot_changed = snapshot_changed,
    .abort = abort_all,
    .close = close_state,
};
