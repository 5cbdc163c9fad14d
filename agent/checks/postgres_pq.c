/* postgres_pq.c - what is this PostgreSQL server: primary or standby, and how far behind?
 *
 * By libpq, loaded when the first check needs it, asynchronously. One connection a check
 * is kept between runs; when it has broken, the same run opens another. A server in
 * recovery is a standby; one that is not and takes writes is the primary; one that is not
 * and is read-only (fenced) is neither. Connection strings and passwords appear in no
 * output. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/checks.h"
#include "agent/checks/libpq_pq.h"
#include "base/err.h"
#include "base/text.h"
#include "base/watch_uv.h"

/* Valid in both roles and without privileges. A receiver that has stopped makes
 * "received = replayed" meaningless, so then the age of the last transaction counts. */
static const char question[] =
    "SELECT r, current_setting('transaction_read_only'), "
    "CASE WHEN r THEN coalesce(pg_wal_lsn_diff(pg_last_wal_receive_lsn(), "
    "pg_last_wal_replay_lsn()), 0) ELSE 0 END, "
    "CASE WHEN NOT r THEN 0 "
    "WHEN w.pid IS NOT NULL AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() "
    "THEN 0 ELSE coalesce(floor(extract(epoch FROM clock_timestamp() - "
    "pg_last_xact_replay_timestamp()) * 1000), 0) END, "
    "CASE WHEN r THEN (pg_control_recovery()).min_recovery_end_timeline "
    "ELSE ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))"
    "::bit(32)::int END, w.pid IS NOT NULL "
    "FROM (SELECT pg_is_in_recovery() AS r) AS x "
    "LEFT JOIN pg_stat_wal_receiver w ON true";

enum { ANSWER_COLUMNS = 6 };

struct postgres {
    struct prober prober;
    struct libpq pq;
    bool is_loaded;
};

enum phase { PHASE_IDLE, PHASE_CONNECTING, PHASE_ASKING };

/* What is kept for a check between its runs. */
struct session {
    struct probe_run link; /* link.probe is 0 between runs */
    struct postgres *postgres;
    enum phase phase;
    uint64_t timeout_ms;
    uint64_t max_lag_ms;
    char *target;   /* the connection string; owned */
    char *password; /* in it, to be kept out of texts; owned; NULL: none */
    PGconn *connection;
    struct watch *watch;
    bool is_fresh;    /* connected in this run: no second try */
    PGresult *answer; /* of the question, until all has been read */
};

/* ---- the end of a run ------------------------------------------------------------ */

static void disconnect(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;

    watch_uv_close(session->watch);
    session->watch = NULL;
    if (session->answer != NULL) {
        pq->clear(session->answer);
        session->answer = NULL;
    }
    if (session->connection != NULL) {
        pq->finish(session->connection);
        session->connection = NULL;
    }
    session->phase = PHASE_IDLE;
}

static void destroy(struct probe_run *link)
{
    struct session *session = (struct session *)link;

    disconnect(session);
    probe_run_remove(link);
    free(session->target);
    free(session->password);
    free(session);
}

/* libpq's messages end in line ends, may have several lines, and quote what they were
 * given. */
static void put_reason(const struct session *session, const char *reason,
                       struct rc_buffer *out)
{
    size_t secret = session->password == NULL ? 0 : strlen(session->password);
    size_t size = strlen(reason);

    while (size > 0 && (reason[size - 1] == '\n' || reason[size - 1] == ' ')) {
        size--;
    }
    for (size_t i = 0; i < size;) {
        if (secret > 0 && secret <= size - i &&
            memcmp(reason + i, session->password, secret) == 0) {
            rc_buffer_text(out, "***");
            i += secret;
            continue;
        }
        rc_buffer_byte(out, reason[i] == '\n' ? ' ' : (uint8_t)reason[i]);
        i++;
    }
}

static void report(struct session *session, enum check_status status,
                   enum check_role role, const char *text)
{
    const struct probe_sink sink = session->postgres->prober.sink;
    uint64_t probe = session->link.probe;
    struct check_result result = {
        .status = status,
        .role = role,
        .output = text,
        .output_size = strlen(text),
    };

    session->link.probe = 0;
    sink.done(sink.context, probe, &result); /* `session` may be gone after this */
}

/* `reason` may belong to the connection, which is closed here. */
static void fail(struct session *session, const char *reason)
{
    struct rc_buffer text = {0};

    rc_buffer_text(&text, "PostgreSQL: ");
    put_reason(session, reason, &text);
    disconnect(session);
    report(session, CHECK_CRITICAL, CHECK_ROLE_NONE, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

/* ---- the answer ------------------------------------------------------------------ */

static double number_at(const struct session *session, int column)
{
    return strtod(session->postgres->pq.value(session->answer, 0, column), NULL);
}

static bool flag_at(const struct session *session, int column)
{
    const char *value = session->postgres->pq.value(session->answer, 0, column);

    return value[0] == 't' || rc_text_equals(value, "on");
}

static struct check_result judge_standby(const struct session *session,
                                         struct rc_buffer *text)
{
    double lag_ms = number_at(session, 3);
    bool is_late = session->max_lag_ms > 0 && lag_ms > (double)session->max_lag_ms;

    rc_buffer_format(text,
                     "PostgreSQL standby, read-only, lag %.0f bytes, %.0f ms, timeline "
                     "%.0f%s",
                     number_at(session, 2), lag_ms, number_at(session, 4),
                     flag_at(session, 5) ? "" : ", not receiving");
    if (is_late) {
        rc_buffer_format(text, "; more than %llu ms behind",
                         (unsigned long long)session->max_lag_ms);
    }
    return (struct check_result){.status = is_late ? CHECK_CRITICAL : CHECK_PASSING,
                                 .role = CHECK_ROLE_STANDBY};
}

/* Who sends writes to "primary" must not find a server that refuses them. */
static struct check_result judge_primary(const struct session *session,
                                         struct rc_buffer *text)
{
    bool is_writable = !flag_at(session, 1);

    rc_buffer_format(text, "PostgreSQL primary, %s, timeline %.0f",
                     is_writable ? "writable" : "but read-only", number_at(session, 4));
    return (struct check_result){
        .status = is_writable ? CHECK_PASSING : CHECK_WARNING,
        .role = is_writable ? CHECK_ROLE_PRIMARY : CHECK_ROLE_NONE,
    };
}

static void judge(struct session *session)
{
    struct rc_buffer text = {0};
    struct check_result result = flag_at(session, 0) ? judge_standby(session, &text)
                                                     : judge_primary(session, &text);

    session->postgres->pq.clear(session->answer);
    session->answer = NULL;
    report(session, result.status, result.role, rc_buffer_string(&text));
    rc_buffer_fini(&text);
}

static void connect_anew(struct session *session);

/* A connection that was kept may have died since the last run: that says nothing about
 * the server now. */
static void lose(struct session *session, const char *reason)
{
    if (session->is_fresh) {
        fail(session, reason);
        return;
    }
    disconnect(session);
    connect_anew(session);
}

static void finish_answer(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;

    session->phase = PHASE_IDLE;
    watch_uv_set(session->watch, WATCH_NOTHING);
    if (session->answer == NULL) {
        lose(session, "no answer");
        return;
    }
    if (pq->result_status(session->answer) != PGRES_TUPLES_OK) {
        lose(session, pq->result_error(session->answer));
        return;
    }
    if (pq->rows(session->answer) != 1 ||
        pq->columns(session->answer) != ANSWER_COLUMNS) {
        fail(session, "an answer of another shape than asked for");
        return;
    }
    judge(session);
}

static void read_answer(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;

    while (pq->is_busy(session->connection) == 0) {
        PGresult *result = pq->result(session->connection);
        if (result == NULL) {
            finish_answer(session);
            return;
        }
        if (session->answer != NULL) {
            pq->clear(session->answer);
        }
        session->answer = result;
    }
}

static void on_ready(void *context, int file, unsigned events);

/* Waits for `events` of the connection's socket as it is now. */
static bool wait_for(struct session *session, unsigned events)
{
    if (session->watch == NULL) {
        session->watch = watch_uv_open(session->postgres->prober.loop,
                                       session->postgres->pq.file(session->connection),
                                       on_ready, session);
    }
    if (session->watch != NULL) {
        watch_uv_set(session->watch, events);
    }
    return session->watch != NULL;
}

static void flush(struct session *session)
{
    int left = session->postgres->pq.flush(session->connection);

    if (left < 0) {
        lose(session, session->postgres->pq.error(session->connection));
    } else if (!wait_for(session, left > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ)) {
        fail(session, "the connection cannot be watched");
    }
}

static void ask(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;

    session->phase = PHASE_ASKING;
    if (pq->send(session->connection, question) == 0) {
        lose(session, pq->error(session->connection));
        return;
    }
    flush(session);
}

static void on_notice(void *context, const char *text)
{
    (void)context; /* a server's warnings to its clients are not ours to print */
    (void)text;
}

static void advance_connect(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;
    unsigned events = WATCH_NOTHING;

    /* libpq may replace its socket by one of the same number: never watch it
     * meanwhile. */
    watch_uv_close(session->watch);
    session->watch = NULL;
    switch (pq->poll(session->connection)) {
    case PGRES_POLLING_READING:
        events = WATCH_READ;
        break;
    case PGRES_POLLING_WRITING:
        events = WATCH_WRITE;
        break;
    case PGRES_POLLING_OK:
        (void)pq->nonblocking(session->connection, 1);
        ask(session);
        return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: /* not used any more */
        fail(session, pq->error(session->connection));
        return;
    }
    if (!wait_for(session, events)) {
        fail(session, "the connection cannot be watched");
    }
}

static void connect_anew(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;

    session->is_fresh = true;
    session->connection = pq->start(session->target);
    if (session->connection == NULL) {
        fail(session, "out of memory");
        return;
    }
    if (pq->status(session->connection) == CONNECTION_BAD) {
        fail(session, pq->error(session->connection));
        return;
    }
    (void)pq->on_notice(session->connection, on_notice, NULL);
    session->phase = PHASE_CONNECTING;
    if (!wait_for(session, WATCH_WRITE)) { /* as if the first poll had said WRITING */
        fail(session, "the connection cannot be watched");
    }
}

static void on_ready(void *context, int file, unsigned events)
{
    struct session *session = context;
    const struct libpq *pq = &session->postgres->pq;

    (void)file;
    if (session->phase == PHASE_CONNECTING) {
        advance_connect(session);
        return;
    }
    if (session->phase == PHASE_IDLE) {
        disconnect(session); /* nothing was asked: this is its end */
        return;
    }
    if ((events & WATCH_READ) != 0) {
        if (pq->consume(session->connection) == 0) {
            lose(session, pq->error(session->connection));
        } else {
            read_answer(session);
        }
    } else {
        flush(session);
    }
}

/* ---- runs ------------------------------------------------------------------------ */

/* Whether libpq understands the connection string; keeps the password for
 * put_reason(). */
static bool parse_target(struct session *session)
{
    const struct libpq *pq = &session->postgres->pq;
    char *error = NULL;
    PQconninfoOption *options = pq->parse(session->target, &error);

    pq->free_text(error); /* it may quote the password: not shown */
    for (const PQconninfoOption *at = options; at != NULL && at->keyword != NULL; at++) {
        if (rc_text_equals(at->keyword, "password") && at->val != NULL) {
            session->password = rc_text_copy(at->val);
        }
    }
    if (options != NULL) {
        pq->free_options(options);
    }
    return options != NULL;
}

static struct session *make_session(struct postgres *postgres,
                                    const struct probe_request *request)
{
    struct session *session =
        (struct session *)probe_run_create(sizeof *session, &postgres->prober, request);

    if (session == NULL) {
        return NULL;
    }
    session->postgres = postgres;
    session->target = rc_text_copy(request->definition->postgres);
    if (session->target == NULL || !parse_target(session)) {
        destroy(&session->link);
        probe_done(&postgres->prober.sink, request->probe, CHECK_CRITICAL,
                   "PostgreSQL: the connection string is not valid");
        return NULL;
    }
    return session;
}

static struct session *find_session(const struct postgres *postgres, uint64_t check)
{
    struct probe_run *link = postgres->prober.runs;

    while (link != NULL && link->check != check) {
        link = link->next;
    }
    return (struct session *)link;
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct postgres *postgres = (struct postgres *)prober;

    char error[LIBPQ_ERROR_MAX];
    if (!postgres->is_loaded && libpq_load(&postgres->pq, error) != RC_OK) {
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "%s", error);
        return;
    }
    postgres->is_loaded = true;
    struct session *session = find_session(postgres, request->check);
    if (session == NULL) {
        session = make_session(postgres, request);
    }
    if (session == NULL) {
        return;
    }
    session->link.probe = request->probe;
    session->timeout_ms = request->timeout_ms;
    session->max_lag_ms = request->definition->max_lag_ms;
    session->is_fresh = false;
    if (session->connection == NULL) {
        connect_anew(session);
    } else {
        ask(session);
    }
}

static void expire(struct probe_run *link)
{
    struct session *session = (struct session *)link;
    char duration[32];
    char reason[64];

    rc_text_from_duration_ns(session->timeout_ms * 1000000, duration, sizeof duration);
    (void)snprintf(reason, sizeof reason, "no answer within %s", duration);
    fail(session, reason);
}

/* The session stays for the next run, without its connection. */
static void end(struct probe_run *link)
{
    link->probe = 0;
    disconnect((struct session *)link);
}

struct prober *postgres_pq_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {.name = "postgres",
                                           .start = start,
                                           .expire = expire,
                                           .end = end,
                                           .forget = destroy};

    return prober_create(sizeof(struct postgres), &kind, loop, sink);
}
