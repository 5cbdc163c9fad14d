/* tcp_uv.c - see tcp_uv.h. */
#include "proxy/tcp_uv.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/dial_uv.h"
#include "proxy/relay_uv.h"

enum { ATTEMPTS_MAX = 3, SWEEP_MS = 250 };

struct tcp {
    struct worker *worker;
    struct session *sessions;
    uv_timer_t sweep;
    uint8_t buffer[RELAY_BUFFER];
};

struct session {
    struct tcp *tcp;
    struct session *next;
    struct session **place; /* the pointer to us */
    struct worker_listener *listener;
    struct relay *relay;
    struct dial *dial;
    struct instance *instance; /* in use; one reference */
    const struct instance *tried[ATTEMPTS_MAX];
    struct instance *kept[ATTEMPTS_MAX]; /* references of `tried` */
    size_t attempts;
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
    for (size_t i = 0; i < s->attempts; i++) {
        instance_release(s->kept[i]);
    }
    free(s);
    worker_connection_done(worker, listener);
}

static void on_ended(void *context, enum relay_side side)
{
    struct session *s = context;
    (void)side;
    end_session(s, RELAY_ORDERLY);
}

static void connect_next(struct session *s);

static void on_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    s->dial = NULL;
    if (err != RC_OK) {
        stop_using(s, err == RC_EAGAIN ? INSTANCE_NOT_TO_BLAME : INSTANCE_CONNECT_FAILED);
        connect_next(s);
        return;
    }
    relay_read_client(s->relay, RELAY_READ);
    if (relay_attach(s->relay, fd) != RC_OK) {
        end_session(s, RELAY_RESET);
    }
}

static void connect_next(struct session *s)
{
    struct worker *worker = s->tcp->worker;
    struct balance_request request = {.excluded = s->tried,
                                      .excluded_count = s->attempts};
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
    struct relay_owner owner = {.context = s, .ended = on_ended};
    (void)peer;
    if (s == NULL ||
        relay_open(worker->loop, tcp->buffer, fd, &owner, &s->relay) != RC_OK) {
        free(s);
        (void)close(fd);
        worker_connection_done(worker, listener);
        return;
    }
    s->tcp = tcp;
    s->listener = listener;
    s->next = tcp->sessions;
    s->place = &tcp->sessions;
    if (s->next != NULL) {
        s->next->place = &s->next;
    }
    tcp->sessions = s;
    connect_next(s);
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
        if (idle || (s->leave_at_ms > 0 && now_ms >= s->leave_at_ms)) {
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
    .abort = abort_all,
    .close = close_state,
};
