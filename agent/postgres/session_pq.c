#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/libpq_pq.h"
#include "agent/postgres/pulse.h"
#include "agent/postgres/session.h"
#include "base/err.h"
#include "base/text.h"
#include "base/watch_uv.h"

enum phase { PHASE_IDLE, PHASE_CONNECTING, PHASE_ASKING };
enum { PARAMETERS_MAX = 20, TEXT_MAX = 512, RESULTS_MAX = 16 };

/* Without synchronous_commit=local our own writes would hang exactly when they are needed. */
static const char server_options[] =
    "-c statement_timeout=0 -c lock_timeout=500 -c synchronous_commit=local"
    " -c default_transaction_read_only=on -c search_path=pg_catalog -c datestyle=ISO"
    " -c idle_session_timeout=0";

struct pg_session {
    struct libpq pq;
    struct uv_loop_s *loop;
    char *host;    /* folder of the socket; NULL */
    char *address; /* NULL */
    char *user;
    char *password;
    char *database;
    char port[8];
    bool is_replication;
    enum phase phase;
    bool is_new; /* connected for this question: no second try */
    PGconn *connection;
    struct watch *watch;
    struct watch_timer *timer;
    char *sql;
    PGresult *answer; /* of the last statement that gave rows */
    char sqlstate[6]; /* of the first error */
    char text[TEXT_MAX];
    bool has_failed;
    bool is_within_ask;      /* what fails at once is told later, from the loop */
    bool is_due;             /* and waits for that */
    enum keeper_reach reach; /* likewise */
    pg_session_told *told;
    void *context;
    struct rows rows;
};

/* ---- The end of a question. */

static void close_connection(struct pg_session *s)
{
    watch_uv_close(s->watch);
    s->watch = NULL;
    if (s->answer != NULL) {
        s->pq.clear(s->answer);
        s->answer = NULL;
    }
    if (s->connection != NULL) {
        s->pq.finish(s->connection);
        s->connection = NULL;
    }
}

/* libpq's messages have several lines; those of LOCATION are of no use to people. */
static void keep_text(struct pg_session *s, const char *text)
{
    const char *end = strstr(text, "\nLOCATION:");
    size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
    size_t used = 0;

    for (size_t i = 0; i < size && used + 1 < sizeof s->text; i++) {
        s->text[used] = text[i];
        if (text[i] == '\n') {
            s->text[used] = ' ';
        }
        used++;
    }
    while (used > 0 && s->text[used - 1] == ' ') {
        used--;
    }
    s->text[used] = '\0';
    rc_text_to_line(s->text, sizeof s->text);
}

static void report(struct pg_session *s, bool is_ok, enum keeper_reach reach)
{
    static const struct rows none = {0};
    PGresult *answer = s->answer;
    const struct pg_answer told = {
        .is_ok = is_ok,
        .reach = reach,
        .sqlstate = s->sqlstate,
        .text = s->text,
        .rows = is_ok ? &s->rows : &none,
    };

    if (s->is_within_ask) {
        assert(!is_ok);
        s->is_due = true;
        s->reach = reach;
        watch_uv_timer_set(s->timer, 0);
        return;
    }
    s->answer = NULL;
    s->phase = PHASE_IDLE;
    watch_uv_timer_set(s->timer, -1);
    const struct libpq pq = s->pq;
    s->told(s->context, &told); /* `s` may be asked again by now, or be gone */
    if (answer != NULL) {
        pq.clear(answer);
    }
}

static void fail(struct pg_session *s, const char *text)
{
    keep_text(s, text);
    if (s->sqlstate[0] == '\0') {
        pulse_find_sqlstate(s->text, s->sqlstate);
    }
    close_connection(s);
    report(s, false, pulse_reach(s->sqlstate, s->text));
}

static void connect_anew(struct pg_session *s);

/* A kept connection may have died since it was last used: that says nothing of now. */
static void lose(struct pg_session *s, const char *text)
{
    if (s->is_new) {
        fail(s, text);
        return;
    }
    close_connection(s);
    connect_anew(s);
}

/* ---- The answer. */

static void take_rows(struct pg_session *s)
{
    struct rows *rows = &s->rows;

    *rows = (struct rows){0};
    if (s->answer == NULL) {
        return;
    }
    rows->column_count = (size_t)s->pq.columns(s->answer);
    size_t count = (size_t)s->pq.rows(s->answer);
    if (rows->column_count == 0) {
        return;
    }
    size_t most = ROWS_CELLS_MAX / rows->column_count;
    rows->row_count = count < most ? count : most;
    for (size_t i = 0; i < rows->row_count * rows->column_count; i++) {
        int row = (int)(i / rows->column_count);
        int column = (int)(i % rows->column_count);
        rows->cells[i] = s->pq.is_null(s->answer, row, column) != 0
                             ? NULL
                             : s->pq.value(s->answer, row, column);
    }
}

static void finish(struct pg_session *s)
{
    watch_uv_set(s->watch, WATCH_NOTHING);
    if (!s->has_failed) {
        take_rows(s);
        report(s, true, KEEPER_ANSWERED);
        return;
    }
    if (s->pq.status(s->connection) == CONNECTION_BAD) {
        lose(s, s->text);
        return;
    }
    enum keeper_reach reach = pulse_reach(s->sqlstate, "");
    report(s, false, reach == KEEPER_DENIED ? reach : KEEPER_ANSWERED);
}

static void take_result(struct pg_session *s, PGresult *result)
{
    ExecStatusType status = s->pq.result_status(result);

    if (status == PGRES_TUPLES_OK) {
        if (s->answer != NULL) {
            s->pq.clear(s->answer);
        }
        s->answer = result;
        return;
    }
    if (status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY && !s->has_failed) {
        const char *code = s->pq.result_field(result, PG_DIAG_SQLSTATE);
        s->has_failed = true;
        (void)rc_text_put(s->sqlstate, sizeof s->sqlstate, code != NULL ? code : "");
        keep_text(s, s->pq.result_error(result));
    }
    s->pq.clear(result);
}

static void read_answer(struct pg_session *s)
{
    while (s->pq.is_busy(s->connection) == 0) {
        PGresult *result = s->pq.result(s->connection);
        if (result == NULL) {
            finish(s);
            return;
        }
        take_result(s, result);
    }
}

/* ---- Asking. */

static void on_ready(void *context, int file, unsigned events);

static bool wait_for(struct pg_session *s, unsigned events)
{
    if (s->watch == NULL) {
        s->watch = watch_uv_open(s->loop, s->pq.file(s->connection), on_ready, s);
    }
    if (s->watch != NULL) {
        watch_uv_set(s->watch, events);
    }
    return s->watch != NULL;
}

static void flush(struct pg_session *s)
{
    int left = s->pq.flush(s->connection);

    if (left < 0) {
        lose(s, s->pq.error(s->connection));
    } else if (!wait_for(s, left > 0 ? WATCH_READ | WATCH_WRITE : WATCH_READ)) {
        fail(s, "the connection cannot be watched");
    }
}

static void send_question(struct pg_session *s)
{
    s->phase = PHASE_ASKING;
    s->has_failed = false;
    s->sqlstate[0] = '\0';
    if (s->pq.send(s->connection, s->sql) == 0) {
        lose(s, s->pq.error(s->connection));
        return;
    }
    flush(s);
}

/* libpq may replace its socket by one of the same number: never watch it meanwhile. */
static void advance_connect(struct pg_session *s)
{
    unsigned events = WATCH_NOTHING;

    watch_uv_close(s->watch);
    s->watch = NULL;
    switch (s->pq.poll(s->connection)) {
    case PGRES_POLLING_READING:
        events = WATCH_READ;
        break;
    case PGRES_POLLING_WRITING:
        events = WATCH_WRITE;
        break;
    case PGRES_POLLING_OK:
        (void)s->pq.nonblocking(s->connection, 1);
        send_question(s);
        return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE: /* not used any more */
        fail(s, s->pq.error(s->connection));
        return;
    }
    if (!wait_for(s, events)) {
        fail(s, "the connection cannot be watched");
    }
}

static void on_ready(void *context, int file, unsigned events)
{
    struct pg_session *s = context;

    (void)file;
    switch (s->phase) {
    case PHASE_CONNECTING:
        advance_connect(s);
        return;
    case PHASE_IDLE:
        close_connection(s); /* nothing was asked: this is its end */
        return;
    case PHASE_ASKING:
        break;
    }
    if ((events & WATCH_READ) == 0) {
        flush(s);
    } else if (s->pq.consume(s->connection) == 0) {
        lose(s, s->pq.error(s->connection));
    } else {
        read_answer(s);
    }
}

static void on_notice(void *context, const char *text)
{
    (void)context;
    (void)text;
}

static size_t parameters(const struct pg_session *s, const char **names,
                         const char **values)
{
    const struct {
        const char *name;
        const char *value;
    } all[] = {
        {"host", s->host},
        {"hostaddr", s->address},
        {"port", s->port},
        {"user", s->user},
        {"password", s->password[0] != '\0' ? s->password : NULL},
        {"dbname", s->is_replication ? NULL : s->database},
        {"replication", s->is_replication ? "true" : NULL},
        {"options", s->is_replication ? NULL : server_options},
        {"application_name", "rollcall-keeper"},
        {"gssencmode", "disable"},
        {"tcp_user_timeout", "3000"},
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value != NULL) {
            names[count] = all[i].name;
            values[count++] = all[i].value;
        }
    }
    names[count] = NULL;
    values[count] = NULL;
    return count;
}

static void connect_anew(struct pg_session *s)
{
    const char *names[PARAMETERS_MAX];
    const char *values[PARAMETERS_MAX];

    (void)parameters(s, names, values);
    s->is_new = true;
    s->connection = s->pq.start_params(names, values, 0);
    if (s->connection == NULL) {
        fail(s, "out of memory");
        return;
    }
    if (s->pq.status(s->connection) == CONNECTION_BAD) {
        fail(s, s->pq.error(s->connection));
        return;
    }
    /* The only way to learn the SQLSTATE of a refused connection. */
    (void)s->pq.verbosity(s->connection, PQERRORS_VERBOSE);
    (void)s->pq.on_notice(s->connection, on_notice, NULL);
    s->phase = PHASE_CONNECTING;
    if (!wait_for(s, WATCH_WRITE)) { /* as if the first poll had said WRITING */
        fail(s, "the connection cannot be watched");
    }
}

static void on_timeout(void *context)
{
    struct pg_session *s = context;

    if (s->is_due) {
        s->is_due = false;
        report(s, false, s->reach);
        return;
    }
    s->sqlstate[0] = '\0';
    close_connection(s);
    keep_text(s, "no answer in time");
    report(s, false, KEEPER_SILENT);
}

void pg_session_ask(struct pg_session *s, enum pg_session_way way, const char *sql,
                    uint64_t timeout_ms, pg_session_told *told, void *context)
{
    assert(s->phase == PHASE_IDLE);
    free(s->sql);
    s->sql = rc_text_copy(sql);
    s->told = told;
    s->context = context;
    s->has_failed = false;
    s->sqlstate[0] = '\0';
    s->text[0] = '\0';
    s->is_new = false;
    s->phase = PHASE_CONNECTING;
    watch_uv_timer_set(s->timer, (int64_t)timeout_ms);
    if (way == PG_SESSION_FRESH) {
        close_connection(s);
    }
    s->is_within_ask = true;
    if (s->connection == NULL) {
        connect_anew(s);
    } else {
        send_question(s);
    }
    s->is_within_ask = false;
}

bool pg_session_is_busy(const struct pg_session *s)
{
    return s->phase != PHASE_IDLE;
}

void pg_session_drop(struct pg_session *s)
{
    close_connection(s);
    s->phase = PHASE_IDLE;
    s->is_due = false;
    watch_uv_timer_set(s->timer, -1);
}

/* ---- Life. */

int pg_session_create(const struct pg_session_options *options, struct pg_session **out)
{
    struct pg_session *s = calloc(1, sizeof *s);
    char error[LIBPQ_ERROR_MAX];

    if (s == NULL) {
        return RC_ENOMEM;
    }
    s->loop = options->loop;
    s->host = rc_text_copy(options->socket_dir);
    s->address = rc_text_copy(options->address);
    s->user = rc_text_copy(options->user);
    s->password = rc_text_copy(options->password);
    s->database = rc_text_copy(options->database);
    s->is_replication = options->is_replication;
    (void)snprintf(s->port, sizeof s->port, "%u", (unsigned)options->port);
    s->timer = watch_uv_timer_open(options->loop, on_timeout, s);
    int err = libpq_load(&s->pq, error);
    if (s->timer == NULL || s->user == NULL || s->password == NULL ||
        s->database == NULL) {
        err = RC_ENOMEM;
    }
    if (err != RC_OK) {
        pg_session_destroy(s);
        return err;
    }
    *out = s;
    return RC_OK;
}

void pg_session_destroy(struct pg_session *s)
{
    if (s == NULL) {
        return;
    }
    close_connection(s);
    watch_uv_timer_close(s->timer);
    free(s->host);
    free(s->address);
    free(s->user);
    if (s->password != NULL) {
        explicit_bzero(s->password, strlen(s->password));
    }
    free(s->password);
    free(s->database);
    free(s->sql);
    free(s);
}
