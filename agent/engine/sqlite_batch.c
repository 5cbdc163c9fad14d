#include "agent/engine/sqlite_batch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/engine/follow_log.h"
#include "base/err.h"

enum { DUE_MAX = 1024 }; /* leases that end in one commit; the rest in the next */

/* What a batch has done so far, none of it committed. */
struct work {
    struct sqlite_state *state;
    struct database_marks marks;
    struct rc_buffer *log;
    bool is_begun;
    uint64_t due[DUE_MAX];
    size_t due_count;
};

/* ---- The state. */

struct loading {
    struct lease_set *leases;
    uint64_t now_ms;
};

static int load_lease(void *context, uint64_t lease, uint64_t ttl_ms)
{
    struct loading *loading = context;
    const struct lease_moment now = {loading->now_ms, loading->now_ms};

    return lease_set_add(loading->leases, now, lease, ttl_ms);
}

int sqlite_state_init(struct sqlite_state *state, struct database *database,
                      uint64_t now_ms, char *error, size_t error_size)
{
    struct loading loading = {lease_set_create(), now_ms};
    int err =
        loading.leases == NULL ? RC_ENOMEM : database_marks(database, &state->marks);

    state->database = database;
    state->leases = loading.leases;
    if (err == RC_OK) {
        err = database_each_lease(database, load_lease, &loading);
    }
    if (err != RC_OK) {
        (void)snprintf(error, error_size, "%s",
                       err == RC_ENOMEM ? rc_strerror(err) : database_error(database));
        sqlite_state_fini(state, DATABASE_AS_IS);
    }
    return err;
}

void sqlite_state_fini(struct sqlite_state *state, enum database_closing closing)
{
    database_close(state->database, closing);
    lease_set_destroy(state->leases);
    *state = (struct sqlite_state){0};
}

/* ---- Requests. Each returns an error of the database, which ends the batch; a refusal of the
 * request alone is in its answer. */

static int begin(struct work *work)
{
    if (work->is_begun) {
        return RC_OK;
    }
    if (work->state->is_full) {
        return RC_ENOSPC;
    }
    work->is_begun = true;
    return database_begin(work->state->database);
}

/* What the compare asks for, as it stands. */
static int read_target(struct work *work, const struct engine_compare *compare,
                       uint64_t *out)
{
    struct database *database = work->state->database;
    struct database_key key = {0};

    if (compare->target == ENGINE_PREFIX_MOD_REVISION) {
        return database_newest(database, compare->key, out);
    }
    int err = database_find(database, compare->key, &key);
    const uint64_t found[] = {
        [ENGINE_CREATE_REVISION] = key.create_revision,
        [ENGINE_MOD_REVISION] = key.mod_revision,
        [ENGINE_LEASE] = key.lease,
    };
    *out = found[compare->target];
    return err;
}

static bool compare_holds(const struct engine_compare *compare, uint64_t number)
{
    switch (compare->relation) {
    case ENGINE_EQUAL:
        return number == compare->number;
    case ENGINE_NOT_EQUAL:
        return number != compare->number;
    case ENGINE_LESS:
        return number < compare->number;
    case ENGINE_GREATER:
        return number > compare->number;
    }
    return false;
}

static int compare_all(struct work *work, const struct engine_txn *txn, bool *hold)
{
    int err = RC_OK;

    *hold = true;
    for (size_t i = 0; err == RC_OK && *hold && i < txn->compare_count; i++) {
        uint64_t number = 0;
        err = read_target(work, &txn->compares[i], &number);
        *hold = err == RC_OK && compare_holds(&txn->compares[i], number);
    }
    return err;
}

/* Whether every lease that is named lives. */
static int find_leases(struct work *work, const struct engine_op *ops, size_t count,
                       bool *live)
{
    int err = RC_OK;

    *live = true;
    for (size_t i = 0; err == RC_OK && *live && i < count; i++) {
        if (ops[i].verb == ENGINE_PUT && ops[i].lease != 0) {
            uint64_t ttl_ms;
            err = database_lease(work->state->database, ops[i].lease, &ttl_ms);
            *live = ttl_ms != 0;
        }
    }
    return err;
}

static int do_op(struct work *work, const struct engine_op *op, uint64_t revision)
{
    struct database *database = work->state->database;

    switch (op->verb) {
    case ENGINE_PUT:
        return database_put(database, op, revision, work->log);
    case ENGINE_DELETE:
        return database_delete(database, op->key, revision, work->log);
    case ENGINE_DELETE_PREFIX:
        return database_delete_prefix(database, op->key, revision, work->log);
    }
    return RC_EINVAL;
}

/* A revision is used up only if something changed. */
static void close_revision(struct work *work, struct engine_request *request,
                           size_t log_before)
{
    if (work->log->size > log_before) {
        work->marks.revision++;
        follow_log_end(work->log, work->marks.revision);
        request->wrote = true;
    }
}

static int do_txn(struct work *work, struct engine_request *request)
{
    const struct engine_txn *txn = &request->txn;
    bool succeeded = true;
    bool live = true;
    int err = compare_all(work, txn, &succeeded);
    const struct engine_op *ops = succeeded ? txn->then : txn->otherwise;
    size_t count = succeeded ? txn->then_count : txn->otherwise_count;

    if (err == RC_OK) {
        err = find_leases(work, ops, count, &live);
    }
    if (err == RC_OK && !live) {
        request_refuse(request, RC_ENOTFOUND, "the lease is not there");
        return RC_OK;
    }
    if (err == RC_OK && count > 0) {
        err = begin(work);
    }
    size_t before = work->log->size;
    for (size_t i = 0; err == RC_OK && i < count; i++) {
        err = do_op(work, &ops[i], work->marks.revision + 1);
    }
    close_revision(work, request, before);
    request->answer.succeeded = succeeded;
    return err != RC_OK ? err : work->log->err;
}

static int do_grant(struct work *work, struct engine_request *request)
{
    int err = begin(work);

    if (err == RC_OK) {
        request->lease = work->marks.next_lease++;
        err = database_add_lease(work->state->database, request->lease, request->ttl_ms);
    }
    request->wrote = true;
    request->answer.lease = request->lease;
    request->answer.ttl_ms = request->ttl_ms;
    return err;
}

static int do_keepalive(struct work *work, struct engine_request *request)
{
    int err = database_lease(work->state->database, request->lease, &request->ttl_ms);

    if (err == RC_OK && request->ttl_ms == 0) {
        request_refuse(request, RC_ENOTFOUND, "the lease is not there");
    }
    request->answer.lease = request->lease;
    request->answer.ttl_ms = request->ttl_ms;
    return err;
}

static int do_revoke(struct work *work, struct engine_request *request)
{
    struct database *database = work->state->database;
    uint64_t ttl_ms;
    int err = database_lease(database, request->lease, &ttl_ms);

    if (err == RC_OK && ttl_ms == 0) {
        request_refuse(request, RC_ENOTFOUND, "the lease is not there");
        return RC_OK;
    }
    if (err == RC_OK) {
        err = begin(work);
    }
    size_t before = work->log->size;
    if (err == RC_OK) {
        err = database_end_lease(database, request->lease, work->marks.revision + 1,
                                 work->log);
    }
    close_revision(work, request, before);
    request->wrote = true;
    return err;
}

static int do_request(struct work *work, struct engine_request *request)
{
    int err = RC_OK;

    switch (request->kind) {
    case REQUEST_TXN:
        err = do_txn(work, request);
        break;
    case REQUEST_GRANT:
        err = do_grant(work, request);
        break;
    case REQUEST_KEEPALIVE:
        err = do_keepalive(work, request);
        break;
    case REQUEST_REVOKE:
        err = do_revoke(work, request);
        break;
    case REQUEST_ANSWER:
        assert(false); /* never in a batch */
        break;
    }
    request->answer.revision = work->marks.revision;
    return err;
}

/* Each lease ends in a revision of its own. Those renewed in this very batch are not over: their
 * keepalive came in time, it was only not looked at. */
static int end_leases(struct work *work, uint64_t now_ms)
{
    struct sqlite_state *state = work->state;
    int err = RC_OK;

    work->due_count = lease_set_due(state->leases, now_ms, work->due, DUE_MAX);
    for (size_t i = 0; err == RC_OK && i < work->due_count; i++) {
        struct engine_request none = {0};
        size_t before = work->log->size;
        err = begin(work);
        if (err == RC_OK) {
            err = database_end_lease(state->database, work->due[i],
                                     work->marks.revision + 1, work->log);
        }
        close_revision(work, &none, before);
    }
    return err;
}

/* ---- The batch. */

/* Keepalives hold whatever becomes of the commit: they write nothing. */
static void renew(struct sqlite_batch *batch, struct sqlite_state *state, uint64_t now_ms)
{
    for (struct engine_request *request = batch->requests.first; request != NULL;
         request = request->next) {
        if (request->kind == REQUEST_KEEPALIVE && request->answer.err == RC_OK) {
            const struct lease_moment moment = {request->asked_ms, now_ms};
            (void)lease_set_renew(state->leases, moment, request->lease);
        }
    }
}

/* Brings the leases' clock to what was committed. */
static int settle(const struct sqlite_batch *batch, const struct work *work,
                  uint64_t now_ms)
{
    struct lease_set *leases = work->state->leases;
    int err = RC_OK;

    for (struct engine_request *request = batch->requests.first; request != NULL;
         request = request->next) {
        if (request->kind == REQUEST_GRANT && request->answer.err == RC_OK) {
            const struct lease_moment moment = {request->asked_ms, now_ms};
            err = lease_set_add(leases, moment, request->lease, request->ttl_ms);
        } else if (request->kind == REQUEST_REVOKE && request->answer.err == RC_OK) {
            lease_set_remove(leases, request->lease);
        }
        if (err != RC_OK) {
            break;
        }
    }
    for (size_t i = 0; i < work->due_count; i++) {
        lease_set_remove(leases, work->due[i]);
    }
    return err;
}

void sqlite_batch_refuse(struct sqlite_batch *batch, int err, const char *text)
{
    for (struct engine_request *request = batch->requests.first; request != NULL;
         request = request->next) {
        request_refuse(request, err, text);
    }
}

/* After RC_EUNKNOWN only those that wrote are in doubt. */
static void fail(struct sqlite_batch *batch, int err)
{
    for (struct engine_request *request = batch->requests.first; request != NULL;
         request = request->next) {
        bool holds = request->kind == REQUEST_KEEPALIVE && request->answer.err == RC_OK;
        if (!holds || err == RC_EUNKNOWN || err == RC_EIO) {
            int mine = err == RC_EUNKNOWN && !request->wrote ? RC_EIO : err;
            request_refuse(request, mine, batch->error);
        }
    }
    rc_buffer_fini(&batch->log);
    batch->err = err;
}

static int commit(struct work *work)
{
    struct sqlite_state *state = work->state;
    int err = RC_OK;

    if (!work->is_begun) {
        return RC_OK;
    }
    if (memcmp(&work->marks, &state->marks, sizeof work->marks) != 0) {
        err = database_set_marks(state->database, &work->marks);
    }
    return err != RC_OK ? err : database_commit(state->database);
}

static int do_all(struct sqlite_batch *batch, struct work *work, sqlite_clock *clock_ms)
{
    int err = RC_OK;

    for (struct engine_request *request = batch->requests.first;
         err == RC_OK && request != NULL; request = request->next) {
        err = do_request(work, request);
    }
    uint64_t now_ms = clock_ms();
    renew(batch, work->state, now_ms);
    if (err == RC_OK) {
        err = end_leases(work, now_ms);
    }
    return err != RC_OK ? err : commit(work);
}

void sqlite_batch_run(struct sqlite_batch *batch, struct sqlite_state *state,
                      sqlite_clock *clock_ms)
{
    struct work work = {.state = state, .marks = state->marks, .log = &batch->log};
    int err = do_all(batch, &work, clock_ms);

    batch->is_written = work.is_begun;
    if (err == RC_OK) {
        state->marks = work.marks;
        err = settle(batch, &work, clock_ms()) == RC_OK ? RC_OK : RC_EUNKNOWN;
    }
    batch->revision = state->marks.revision;
    if (err == RC_OK) {
        return;
    }
    (void)snprintf(batch->error, sizeof batch->error, "%s",
                   err == RC_ENOMEM ? rc_strerror(err) : database_error(state->database));
    if (err == RC_EMALFORMED ||
        (err != RC_EUNKNOWN && database_rollback(state->database) != RC_OK)) {
        batch->must_reopen = true; /* it could not even be undone */
    }
    batch->must_reopen = batch->must_reopen || err == RC_EUNKNOWN;
    bool is_told = err == RC_ENOSPC || err == RC_ENOMEM || err == RC_EUNKNOWN;
    fail(batch, is_told ? err : RC_EIO);
}

int sqlite_state_probe(struct sqlite_state *state)
{
    int err = database_begin(state->database);

    if (err == RC_OK) {
        err = database_set_marks(state->database, &state->marks);
    }
    if (err == RC_OK) {
        err = database_commit(state->database);
    }
    if (err != RC_OK && err != RC_EUNKNOWN &&
        database_rollback(state->database) != RC_OK) {
        err = RC_EUNKNOWN;
    }
    return err;
}

void sqlite_batch_destroy(struct sqlite_batch *batch)
{
    if (batch == NULL) {
        return;
    }
    for (struct engine_request *request = request_pop(&batch->requests); request != NULL;
         request = request_pop(&batch->requests)) {
        free(request);
    }
    rc_buffer_fini(&batch->log);
    free(batch);
}
