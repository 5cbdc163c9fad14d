/* pgserver_uv.c - a server is found for a session: connecting, the server's greeting, and then bytes
 * that pass. What may pass is decided by pghello, pgroute and pgwire. */
#include <assert.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "proxy/postgres/postgres_state_uv.h"

enum { RETRY_MS = 50 };

/* --- connecting --- */

static void on_dialed(void *context, int fd, int err);

void pgserver_connect(struct session *s, struct instance *instance)
{
    struct worker *worker = s->postgres->worker;
    const struct snapshot_pool *pool = session_pool(s);
    assert(pool != NULL);
    if (!pgsecure_may_use(s, instance)) {
        return;
    }
    session_enter(s, STAGE_DIAL);
    s->instance = instance_retain(instance);
    s->managed = pool->managed;
    s->route = (struct pgroute_session){PGROUTE_READS, 0};
    if (!pool->managed && session_target(s) == CONFIG_TARGET_PRIMARY) {
        s->route.kind = PGROUTE_WRITES;
    }
    s->route = pgroute_session_on(pool, instance, &s->route);
    worker_use_begin(worker, instance);
    s->dial = dial_start(worker->loop, &instance->address,
                         pool->config->connect_timeout_ms, on_dialed, s);
    if (s->dial == NULL) {
        session_refuse(s, "53200", "rollcall-proxy: out of memory");
    }
}

void pgserver_try_again(struct session *s, enum instance_outcome outcome)
{
    s->avoid = s->instance;
    session_stop_using(s, outcome);
    relay_detach(s->relay);
    pghello_fini(&s->hello);
    rc_buffer_clear(&s->notice);
    s->server_tls = SERVER_TLS_NONE;
    s->retry_at_ms = rc_clock_ms() + RETRY_MS;
    s->leave_at_ms = 0;
    if (s->held_at_ms == 0) {
        s->held_at_ms = rc_clock_ms();
        session_count(s, PGTALLY_HELD);
    }
    session_enter(s, STAGE_WAIT);
}

static void begin_open(struct session *s);

static void on_dialed(void *context, int fd, int err)
{
    struct session *s = context;
    bool wants_primary = session_target(s) == CONFIG_TARGET_PRIMARY;
    s->dial = NULL;
    if (err != RC_OK) {
        pgserver_try_again(s, err == RC_EAGAIN ? INSTANCE_NOT_TO_BLAME
                                               : INSTANCE_CONNECT_FAILED);
        return;
    }
    if (session_tell_client(s, fd) != RC_OK) {
        (void)close(fd);
        pgserver_try_again(s, INSTANCE_CONNECT_FAILED);
        return;
    }
    session_enter(s, STAGE_HELLO);
    pghello_init(&s->hello, wants_primary ? PGHELLO_WANTS_PRIMARY : PGHELLO_WANTS_ANY);
    relay_set_ends(s->relay, RELAY_ENDS_TOLD);
    relay_read_client(s->relay, RELAY_READ);
    if (relay_attach(s->relay, fd) != RC_OK) {
        session_refuse(s, "53200", "rollcall-proxy: out of memory");
        return;
    }
    if (!pgsecure_ask_server(s)) {
        pgserver_begin(s);
    }
}

void pgserver_begin(struct session *s)
{
    instance_add_to(s->instance, s->early.size);
    if (relay_send(s->relay, RELAY_SERVER, s->early.bytes, s->early.size) != RC_OK) {
        pgserver_try_again(s, INSTANCE_BROKE);
    } else if (s->veil == VEIL_DIRECT) {
        s->veil = VEIL_CLOSED;
        begin_open(s);
    }
}

/* --- the server's side of the start --- */

/* From here on bytes pass. */
static void begin_open(struct session *s)
{
    struct cancel_map *cancels = s->postgres->worker->cancels;
    session_enter(s, STAGE_OPEN);
    relay_set_ends(s->relay, RELAY_ENDS_PASS);
    rc_buffer_fini(&s->early);
    rc_metric_add(s->postgres->opened, 1);
    session_count(s, PGTALLY_OPENED);
    if (s->held_at_ms > 0) {
        pgtally_note_wait(s->tally, rc_clock_ms() - s->held_at_ms);
    }
    s->place = (struct cancel_place){s->instance->address, s->route.term};
    if (s->hello.has_key) {
        (void)cancel_map_put(cancels, s->hello.pid, s->hello.key, s->hello.key_size,
                             &s->place);
    } else if (s->veil == VEIL_CLOSED) {
        s->noted = cancel_map_note(cancels, &s->peer, &s->place) == RC_OK;
    }
}

/* The server was not what it was taken for. */
static enum relay_verdict leave_server(struct session *s)
{
    if (s->hello.passed_anything) {
        return session_refuse_now(
            s, "57P03", "rollcall-proxy: that server is not the primary; try again");
    }
    pgserver_try_again(s, INSTANCE_NOT_TO_BLAME);
    return RELAY_TAKEN;
}

/* 'S' or 'N', one byte; more before the client has begun would not be the server's word. */
static enum relay_verdict on_tls_answer(struct session *s, const uint8_t *bytes,
                                        size_t size)
{
    const uint8_t answer = bytes[0];
    if (size != 1 || (answer != 'S' && answer != 'N')) {
        pgserver_try_again(s, INSTANCE_BROKE);
        return RELAY_TAKEN;
    }
    if (relay_send(s->relay, RELAY_CLIENT, answer == 'S' ? "S" : "N", 1) != RC_OK) {
        session_end(s, RELAY_RESET);
        return RELAY_OVER;
    }
    if (answer == 'S') {
        s->veil = VEIL_CLOSED;
        begin_open(s);
        return RELAY_TAKEN;
    }
    /* In the clear, then: from the beginning, with a server that is chosen when it is known what the
     * client wants. */
    session_stop_using(s, INSTANCE_NOT_TO_BLAME);
    relay_detach(s->relay);
    pghello_fini(&s->hello);
    rc_buffer_clear(&s->early);
    s->veil = VEIL_NONE;
    s->ssl_refused = true;
    session_enter(s, STAGE_FIRST);
    s->deadline_ms = rc_clock_ms() + POSTGRES_START_LIMIT_MS;
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
        return session_refuse_now(s, "08P01",
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
        session_end(s, RELAY_RESET);
        return RELAY_OVER;
    }
    if (done) {
        begin_open(s);
    }
    return RELAY_TAKEN;
}

/* --- bytes pass --- */

/* The lease may be another one's by now: read for every buffer, as a process that was stopped
 * handles what waits in its sockets before any of its timers. */
static bool counts_no_more(const struct session *s)
{
    uint64_t until_ms =
        atomic_load_explicit(&s->tally->counts_until_ms, memory_order_relaxed);
    return s->managed && s->route.kind == PGROUTE_WRITES && until_ms != UINT64_MAX &&
           rc_clock_boot_ms() >= until_ms;
}

static enum relay_verdict cut_view(struct session *s)
{
    rc_metric_add(s->postgres->cut, 1);
    session_count(s, PGTALLY_CUT_VIEW);
    return session_refuse_now(s, "57P01",
                              "rollcall-proxy: it is not known who is primary");
}

static enum relay_verdict cut_commit(struct session *s)
{
    session_count(s, PGTALLY_CUT_COMMIT);
    return session_refuse_now(
        s, "08007",
        "rollcall-proxy: no standby has confirmed this commit: whether it lasts is "
        "not known");
}

/* Sends the first `size` of what is kept back, or of the relay's buffer. */
static bool send_first(struct session *s, const uint8_t *bytes, size_t size)
{
    return size == 0 || relay_send(s->relay, RELAY_CLIENT, bytes, size) == RC_OK;
}

/* Something is kept back: what came joins it, and as much as may pass goes on. */
static enum relay_verdict watch_kept(struct session *s)
{
    size_t at = s->notice.size;
    enum pgwire_watch found =
        pgwire_hop_watching(&s->hopper, s->notice.bytes, s->notice.size, &at);
    if (s->notice.err != RC_OK || !send_first(s, s->notice.bytes, at)) {
        session_end(s, RELAY_RESET);
        return RELAY_OVER;
    }
    if (found == PGWIRE_WATCH_FOUND) {
        return cut_commit(s);
    }
    if (found == PGWIRE_WATCH_HOLD) {
        rc_buffer_consume(&s->notice, at);
    } else {
        rc_buffer_fini(&s->notice);
        s->notice.max = POSTGRES_NOTICE_MAX;
    }
    return RELAY_TAKEN;
}

static enum relay_verdict watch_commits(struct session *s, const uint8_t *bytes,
                                        size_t size)
{
    size_t at = 0;
    if (s->notice.size > 0) {
        rc_buffer_append(&s->notice, bytes, size);
        return watch_kept(s);
    }
    switch (pgwire_hop_watching(&s->hopper, bytes, size, &at)) {
    case PGWIRE_WATCH_PASS:
        return RELAY_PASS;
    case PGWIRE_WATCH_HOLD:
        rc_buffer_append(&s->notice, bytes + at, size - at);
        break;
    case PGWIRE_WATCH_FOUND:
        return send_first(s, bytes, at) ? cut_commit(s)
                                        : session_refuse_now(s, "08006", "");
    }
    if (s->notice.err != RC_OK || !send_first(s, bytes, at)) {
        session_end(s, RELAY_RESET);
        return RELAY_OVER;
    }
    return RELAY_TAKEN;
}

static enum relay_verdict on_open(struct session *s, enum relay_side from,
                                  const uint8_t *bytes, size_t size)
{
    if (counts_no_more(s)) {
        return cut_view(s);
    }
    if (from == RELAY_CLIENT || s->veil == VEIL_CLOSED) {
        return RELAY_PASS;
    }
    if (s->managed && s->route.kind == PGROUTE_WRITES) {
        return watch_commits(s, bytes, size);
    }
    pgwire_hop(&s->hopper, bytes, size);
    return RELAY_PASS;
}

/* The server has the start-up packet, or is on the way to it. */
static enum relay_verdict on_start(struct session *s, enum relay_side from,
                                   const uint8_t *bytes, size_t size)
{
    if (s->veil == VEIL_ASKED) {
        return from == RELAY_SERVER ? on_tls_answer(s, bytes, size)
                                    : pgfirst_receive(s, bytes, size);
    }
    if (s->server_tls == SERVER_TLS_ASKED) {
        return from == RELAY_SERVER ? pgsecure_server_answers(s, bytes, size)
                                    : pgfirst_receive(s, bytes, size);
    }
    return from == RELAY_SERVER ? on_hello(s, bytes, size)
                                : pgsecure_client_answers(s, bytes, size);
}

static enum relay_verdict on_cancel(struct session *s, enum relay_side from,
                                    const uint8_t *bytes, size_t size)
{
    if (s->server_tls == SERVER_TLS_ASKED && from == RELAY_SERVER) {
        return pgsecure_server_answers(s, bytes, size);
    }
    return relay_has_server(s->relay) && s->server_tls != SERVER_TLS_ASKED ? RELAY_PASS
                                                                           : RELAY_TAKEN;
}

static void count_bytes(const struct session *s, enum relay_side from, size_t size)
{
    if (s->instance == NULL) {
        return;
    }
    if (from == RELAY_CLIENT) {
        instance_add_to(s->instance, size);
    } else {
        instance_add_from(s->instance, size);
    }
}

enum relay_verdict pgserver_bytes(void *context, enum relay_side from,
                                  const uint8_t *bytes, size_t size)
{
    struct session *s = context;
    switch (s->stage) {
    case STAGE_FIRST:
    case STAGE_WAIT:
    case STAGE_DIAL:
        return pgfirst_receive(s, bytes, size);
    case STAGE_HELLO:
        count_bytes(s, from, size);
        return on_start(s, from, bytes, size);
    case STAGE_OPEN:
        count_bytes(s, from, size);
        return on_open(s, from, bytes, size);
    case STAGE_CANCEL:
        return on_cancel(s, from, bytes, size);
    }
    return RELAY_PASS;
}

void pgserver_ended(void *context, enum relay_side side)
{
    struct session *s = context;
    if (s->stage == STAGE_CANCEL && side == RELAY_SERVER) {
        pgcancel_next(s);
        return;
    }
    if (s->stage == STAGE_FIRST && side == RELAY_CLIENT) {
        pgsecure_client_failed(s);
    }
    if (s->stage == STAGE_HELLO && side == RELAY_SERVER && pgsecure_server_failed(s)) {
        return;
    }
    if (s->stage == STAGE_HELLO && side == RELAY_SERVER && !s->hello.passed_anything) {
        pgserver_try_again(s, INSTANCE_BROKE);
        return;
    }
    session_end(s, RELAY_ORDERLY);
}
