/* sqlite_engine_uv.c - the loop's side of a store on SQLite: calls in, answers and follower out. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/engine/engine_request.h"
#include "agent/engine/follow_log.h"
#include "agent/engine/sqlite_engine.h"
#include "agent/engine/sqlite_writer.h"
#include "agent/store/txn_check.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"

enum {
    OPEN_MAX_BYTES = 64 << 20, /* of requests that are not answered yet */
    SPARES = 16,               /* requests kept for saying that memory is out */
    LEASE_STEP_MS = 1,
    LEASE_MIN_MS = 10
};

struct sqlite_engine {
    struct engine head;
    struct store_folder folder;
    struct sqlite_writer *writer;
    uv_async_t wake;   /* the thread has something */
    uv_prepare_t turn; /* the end of a turn in which something was asked */
    uint64_t revision; /* that all who were answered have seen at most */
    size_t open_bytes;
    struct request_list asked;    /* in this turn: handed over together at its end */
    struct request_list answered; /* without the thread */
    struct request_list spares;
    struct engine_follower follower;
    bool has_follower;
    bool is_closing;
    unsigned open_handles;
    void (*on_closed)(void *context);
    void *closed_context;
    char name[ENGINE_NAME_MAX];
};

static struct sqlite_engine *of(struct engine *engine)
{
    return (struct sqlite_engine *)engine; /* its head */
}

/* ---- Answers. */

static void refill(struct sqlite_engine *engine)
{
    struct engine_request *request = request_create(REQUEST_ANSWER, NULL, NULL);

    if (request != NULL) {
        request_push(&engine->spares, request);
    }
}

static void answer(struct sqlite_engine *engine, struct engine_request *request)
{
    assert(engine->open_bytes >= request->size_bytes);
    engine->open_bytes -= request->size_bytes;
    request->done(request->context, &request->answer);
    free(request);
    if (engine->spares.size_bytes < SPARES * sizeof *request) {
        refill(engine);
    }
}

static void answer_all(struct sqlite_engine *engine, struct request_list *list)
{
    for (struct engine_request *request = request_pop(list); request != NULL;
         request = request_pop(list)) {
        answer(engine, request);
    }
}

/* The follower first: who is answered finds it there. */
static void finish(struct sqlite_engine *engine, struct sqlite_batch *batch)
{
    if (engine->has_follower) {
        follow_log_tell(&batch->log, &engine->follower);
    }
    assert(batch->revision >= engine->revision);
    engine->revision = batch->revision;
    answer_all(engine, &batch->requests);
    sqlite_batch_destroy(batch);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct sqlite_engine *engine = handle->data;

    assert(engine->open_handles > 0);
    if (--engine->open_handles > 0) {
        return;
    }
    void (*on_closed)(void *context) = engine->on_closed;
    void *context = engine->closed_context;
    free(engine);
    if (on_closed != NULL) {
        on_closed(context);
    }
}

static void free_parts(struct sqlite_engine *engine)
{
    for (struct engine_request *spare = request_pop(&engine->spares); spare != NULL;
         spare = request_pop(&engine->spares)) {
        free(spare);
    }
    sqlite_writer_destroy(engine->writer);
    store_folder_close(&engine->folder);
}

static void on_wake(uv_async_t *handle)
{
    struct sqlite_engine *engine = handle->data;
    bool has_ended =
        sqlite_writer_has_ended(engine->writer); /* before the last is taken */

    for (struct sqlite_batch *batch = sqlite_writer_take(engine->writer); batch != NULL;
         batch = sqlite_writer_take(engine->writer)) {
        finish(engine, batch);
    }
    struct request_list answered = engine->answered;
    engine->answered =
        (struct request_list){0}; /* answers may ask again: in the next turn */
    answer_all(engine, &answered);
    if (has_ended && uv_is_closing((uv_handle_t *)&engine->wake) == 0) {
        answer_all(engine, &engine->answered);
        free_parts(engine);
        uv_close((uv_handle_t *)&engine->wake, on_handle_closed);
        uv_close((uv_handle_t *)&engine->turn, on_handle_closed);
    }
}

static void wake(void *context)
{
    struct sqlite_engine *engine = context;
    (void)uv_async_send(&engine->wake); /* fails only when it is closed */
}

/* ---- Calls. */

/* What was asked in one turn goes to the thread at once, so that it goes into one commit. */
static void on_turn(uv_prepare_t *handle)
{
    struct sqlite_engine *engine = handle->data;

    (void)uv_prepare_stop(handle);
    sqlite_writer_submit(engine->writer, &engine->asked);
}

static void ask(struct sqlite_engine *engine, struct engine_request *request)
{
    engine->open_bytes += request->size_bytes;
    if (engine->is_closing) { /* who was just answered may ask on */
        request_refuse(request, RC_ECLOSED, "the store is being closed");
        request_push(&engine->answered, request);
        wake(engine);
        return;
    }
    if (request->kind == REQUEST_ANSWER) {
        request_push(&engine->answered, request);
        wake(engine);
    } else {
        request->asked_ms = rc_clock_ms();
        request_push(&engine->asked, request);
        (void)uv_prepare_start(&engine->turn, on_turn); /* again is nothing */
    }
}

static void refuse(struct sqlite_engine *engine, int err, const char *text,
                   engine_done *done, void *context)
{
    struct engine_request *request = request_create(REQUEST_ANSWER, done, context);

    if (request == NULL) {
        request = request_pop(&engine->spares);
        assert(request != NULL); /* sixteen refusals in one turn, and not a byte */
        request->done = done;
        request->context = context;
    }
    request_refuse(request, err, text);
    ask(engine, request);
}

/* Asks `request`, or refuses the call when there is none. */
static void ask_or_refuse(struct sqlite_engine *engine, struct engine_request *request,
                          engine_done *done, void *context)
{
    if (request == NULL) {
        refuse(engine, RC_ENOMEM, rc_strerror(RC_ENOMEM), done, context);
    } else if (engine->open_bytes > OPEN_MAX_BYTES) {
        free(request);
        refuse(engine, RC_EAGAIN, "too many requests wait for the disk", done, context);
    } else {
        ask(engine, request);
    }
}

static void on_txn(struct engine *head, const struct engine_txn *txn, engine_done *done,
                   void *context)
{
    struct sqlite_engine *engine = of(head);
    const char *text = "";
    int err = txn_check(txn, &text);

    if (err != RC_OK) {
        refuse(engine, err, text, done, context);
        return;
    }
    ask_or_refuse(engine, request_create_txn(txn, done, context), done, context);
}

/* What was acknowledged, to anybody, was so on this loop and after the follower was told. */
static void on_barrier(struct engine *head, engine_done *done, void *context)
{
    struct sqlite_engine *engine = of(head);
    struct engine_request *request = request_create(REQUEST_ANSWER, done, context);

    if (request != NULL) {
        request->answer.revision = engine->revision;
    }
    ask_or_refuse(engine, request, done, context);
}

static void ask_lease(struct sqlite_engine *engine, enum engine_request_kind kind,
                      uint64_t lease, engine_done *done, void *context)
{
    struct engine_request *request = request_create(kind, done, context);

    if (request != NULL) {
        request->lease = lease;
    }
    ask_or_refuse(engine, request, done, context);
}

static void on_grant(struct engine *head, uint64_t ttl_ms, engine_done *done,
                     void *context)
{
    struct sqlite_engine *engine = of(head);
    struct engine_request *request = request_create(REQUEST_GRANT, done, context);

    if (ttl_ms > INT64_MAX) {
        free(request);
        refuse(engine, RC_EINVAL, "a lease cannot be that long", done, context);
        return;
    }
    if (request != NULL) {
        request->ttl_ms = ttl_ms < LEASE_MIN_MS ? LEASE_MIN_MS : ttl_ms;
    }
    ask_or_refuse(engine, request, done, context);
}

static void on_keepalive(struct engine *head, uint64_t lease, engine_done *done,
                         void *context)
{
    ask_lease(of(head), REQUEST_KEEPALIVE, lease, done, context);
}

static void on_revoke(struct engine *head, uint64_t lease, engine_done *done,
                      void *context)
{
    ask_lease(of(head), REQUEST_REVOKE, lease, done, context);
}

static void on_follow(struct engine *head, const struct engine_follower *follower)
{
    struct sqlite_engine *engine = of(head);

    assert(!engine->has_follower);
    engine->follower = *follower;
    engine->has_follower = true;
    sqlite_writer_follow(engine->writer);
}

static void on_status(const struct engine *head, struct engine_status *out)
{
    const struct sqlite_engine *engine = (const struct sqlite_engine *)head;
    struct sqlite_view view;

    sqlite_writer_view(engine->writer, &view);
    *out = (struct engine_status){.kind = "sqlite",
                                  .has_leader = view.alarm[0] == '\0',
                                  .revision = view.revision,
                                  .size_bytes = view.size_bytes,
                                  .member_count = 1};
    struct engine_member *member = &out->members[0];
    (void)rc_text_put(member->id, sizeof member->id, "sqlite");
    (void)rc_text_put(member->name, sizeof member->name, engine->name);
    member->is_leader = true;
    member->is_voter = true;
    member->answers = view.alarm[0] == '\0';
    (void)rc_text_put(out->alarm, sizeof out->alarm, view.alarm);
}

static void on_close(struct engine *head, void (*on_closed)(void *context), void *context)
{
    struct sqlite_engine *engine = of(head);

    assert(!engine->is_closing);
    engine->is_closing = true;
    engine->on_closed = on_closed;
    engine->closed_context = context;
    (void)uv_prepare_stop(&engine->turn);
    sqlite_writer_submit(engine->writer, &engine->asked);
    sqlite_writer_stop(engine->writer);
}

static const struct engine_class sqlite_class = {
    .txn = on_txn,
    .barrier = on_barrier,
    .grant = on_grant,
    .keepalive = on_keepalive,
    .revoke = on_revoke,
    .follow = on_follow,
    .status = on_status,
    .close = on_close,
    .lease_step_ms = LEASE_STEP_MS,
    .lease_min_ms = LEASE_MIN_MS,
    .is_own = true,
};

/* ---- Opening. */

static int start_writer(struct sqlite_engine *engine, char error[ENGINE_ERROR_MAX])
{
    int err = sqlite_writer_start(&engine->folder, wake, engine, &engine->writer, error);

    if (err == RC_OK) {
        struct sqlite_view view;
        sqlite_writer_view(engine->writer, &view);
        engine->revision = view.revision;
    }
    return err;
}

int sqlite_engine_open(const struct sqlite_engine_options *options, struct engine **out,
                       char error[ENGINE_ERROR_MAX])
{
    struct sqlite_engine *engine = calloc(1, sizeof *engine);

    if (engine == NULL || uv_async_init(options->loop, &engine->wake, on_wake) != 0) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%s", rc_strerror(RC_ENOMEM));
        free(engine);
        return RC_ENOMEM;
    }
    (void)uv_prepare_init(options->loop, &engine->turn); /* never fails */
    engine->head.class = &sqlite_class;
    engine->wake.data = engine;
    engine->turn.data = engine;
    engine->open_handles = 2;
    (void)rc_text_put(engine->name, sizeof engine->name,
                      options->name == NULL ? "" : options->name);
    for (size_t i = 0; i < SPARES; i++) {
        refill(engine);
    }
    int err =
        store_folder_open(&engine->folder, options->folder, error, ENGINE_ERROR_MAX);
    if (err == RC_OK) {
        err = start_writer(engine, error);
    }
    if (err != RC_OK) {
        free_parts(engine);
        uv_close((uv_handle_t *)&engine->wake, on_handle_closed);
        uv_close((uv_handle_t *)&engine->turn, on_handle_closed);
        return err;
    }
    *out = &engine->head;
    return RC_OK;
}
