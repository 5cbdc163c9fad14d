/* sqlite_writer_uv.c - waiting, batching, and what to do when the disk fails. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/engine/follow_log.h"
#include "agent/engine/sqlite_writer.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    BATCH_MAX_BYTES = 4 << 20,
    CHUNK_BYTES = 256 << 10,  /* of a load, for the loop to digest at once */
    CHUNKS_MAX = 4,           /* of a load, not yet taken */
    AGAIN_MS = 1000,          /* when the disk failed */
    DAMAGED_AGAIN_MS = 60000, /* when the file is damaged: somebody must do something */
    LOOK_MS = 1000            /* at the sizes of the files */
};

struct sqlite_writer {
    const struct store_folder *folder;
    void (*wake)(void *context);
    void *context;
    uv_thread_t thread;

    /* ---- Shared; under the mutex. */
    uv_mutex_t mutex;
    uv_cond_t asked; /* there is something to do */
    uv_cond_t taken; /* there is room for what was done */
    struct request_list queue;
    struct sqlite_batch *done_first;
    struct sqlite_batch *done_last;
    size_t done_count;
    struct sqlite_view view;
    bool wants_load;
    bool is_stopping;
    bool has_ended;

    /* ---- The thread's own. */
    struct sqlite_state state; /* when `is_open` */
    bool is_open;
    bool has_follower;
    bool has_alarm;
    uint64_t again_ms; /* when to try again, with an alarm */
    uint64_t looked_ms;
    uint64_t revision; /* that was committed last: less must never be found in the file */
};

/* ---- What is shared. */

void sqlite_writer_submit(struct sqlite_writer *writer, struct request_list *requests)
{
    uv_mutex_lock(&writer->mutex);
    request_append(&writer->queue, requests);
    uv_cond_signal(&writer->asked);
    uv_mutex_unlock(&writer->mutex);
}

void sqlite_writer_follow(struct sqlite_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    writer->wants_load = true;
    uv_cond_signal(&writer->asked);
    uv_mutex_unlock(&writer->mutex);
}

struct sqlite_batch *sqlite_writer_take(struct sqlite_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    struct sqlite_batch *batch = writer->done_first;
    if (batch != NULL) {
        writer->done_first = batch->next;
        writer->done_last = batch->next == NULL ? NULL : writer->done_last;
        writer->done_count--;
        uv_cond_signal(&writer->taken);
    }
    uv_mutex_unlock(&writer->mutex);
    return batch;
}

void sqlite_writer_view(struct sqlite_writer *writer, struct sqlite_view *out)
{
    uv_mutex_lock(&writer->mutex);
    *out = writer->view;
    uv_mutex_unlock(&writer->mutex);
}

void sqlite_writer_stop(struct sqlite_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    writer->is_stopping = true;
    uv_cond_signal(&writer->asked);
    uv_cond_signal(&writer->taken);
    uv_mutex_unlock(&writer->mutex);
}

bool sqlite_writer_has_ended(struct sqlite_writer *writer)
{
    uv_mutex_lock(&writer->mutex);
    bool has_ended = writer->has_ended;
    uv_mutex_unlock(&writer->mutex);
    return has_ended;
}

/* Hands a batch over. False when nobody takes any more. */
static bool publish(struct sqlite_writer *writer, struct sqlite_batch *batch,
                    size_t room_for)
{
    uv_mutex_lock(&writer->mutex);
    while (writer->done_count >= room_for && !writer->is_stopping) {
        uv_cond_wait(&writer->taken, &writer->mutex);
    }
    batch->next = NULL;
    if (writer->done_last == NULL) {
        writer->done_first = batch;
    } else {
        writer->done_last->next = batch;
    }
    writer->done_last = batch;
    writer->done_count++;
    writer->view.revision = writer->revision;
    bool goes_on = !writer->is_stopping;
    uv_mutex_unlock(&writer->mutex);
    writer->wake(writer->context);
    return goes_on;
}

/* ---- Alarms. */

static void show_alarm(struct sqlite_writer *writer, const char *text)
{
    uv_mutex_lock(&writer->mutex);
    (void)snprintf(writer->view.alarm, sizeof writer->view.alarm, "%s", text);
    uv_mutex_unlock(&writer->mutex);
}

static void set_alarm(struct sqlite_writer *writer, uint64_t again_ms, const char *text)
{
    writer->has_alarm = true;
    writer->again_ms = rc_clock_ms() + again_ms;
    show_alarm(writer, text);
}

static void clear_alarm(struct sqlite_writer *writer)
{
    if (writer->has_alarm) {
        writer->has_alarm = false;
        show_alarm(writer, "");
    }
}

static void look_at_sizes(struct sqlite_writer *writer)
{
    uint64_t now_ms = rc_clock_ms();

    if (now_ms - writer->looked_ms >= LOOK_MS) {
        writer->looked_ms = now_ms;
        uint64_t size = store_folder_size(writer->folder);
        uv_mutex_lock(&writer->mutex);
        writer->view.size_bytes = size;
        uv_mutex_unlock(&writer->mutex);
    }
}

/* Nothing is written to the file any more, and nothing of it believed. */
static void let_go(struct sqlite_writer *writer)
{
    if (writer->is_open) {
        sqlite_state_fini(&writer->state, DATABASE_AS_IS);
        writer->is_open = false;
    }
}

/* ---- Opening. */

static int open_state(struct sqlite_writer *writer, char *error, size_t error_size)
{
    struct database *database = NULL;
    int err = database_open(writer->folder, &database, error, error_size);

    if (err == RC_OK) {
        err =
            sqlite_state_init(&writer->state, database, rc_clock_ms(), error, error_size);
    }
    if (err != RC_OK) {
        return err;
    }
    if (writer->state.marks.revision < writer->revision) {
        (void)snprintf(
            error, error_size,
            "%s is older than what its disk had confirmed: replace the disk, restore "
            "a snapshot",
            writer->folder->database);
        sqlite_state_fini(&writer->state, DATABASE_AS_IS);
        return RC_EMALFORMED;
    }
    writer->revision = writer->state.marks.revision;
    writer->is_open = true;
    return RC_OK;
}

/* All keys as they are now, in chunks. Stops when nobody takes them. */
static int load(struct sqlite_writer *writer)
{
    struct database *database = writer->state.database;
    struct sqlite_batch *chunk = calloc(1, sizeof *chunk);
    bool found = true;
    bool goes_on = true;
    int err = RC_OK;

    if (chunk == NULL) {
        return RC_ENOMEM;
    }
    follow_log_begin(&chunk->log);
    while (err == RC_OK && goes_on && found) {
        struct engine_item item;
        err = database_next(database, &item, &found);
        if (err == RC_OK && found) {
            follow_log_put(&chunk->log, &item);
        } else if (err == RC_OK) {
            follow_log_end(&chunk->log, writer->state.marks.revision);
        }
        err = err != RC_OK ? err : chunk->log.err;
        if (err == RC_OK && (!found || chunk->log.size >= CHUNK_BYTES)) {
            chunk->revision = writer->revision;
            goes_on = publish(writer, chunk, CHUNKS_MAX);
            chunk = found ? calloc(1, sizeof *chunk) : NULL;
            err = found && chunk == NULL ? RC_ENOMEM : RC_OK;
        }
    }
    database_end_walk(database);
    sqlite_batch_destroy(chunk);
    return err;
}

/* Tells the follower everything; what cannot be read must not be built upon. */
static void tell_all(struct sqlite_writer *writer)
{
    writer->has_follower = true;
    if (!writer->is_open) {
        return; /* when it is */
    }
    int err = load(writer);
    if (err != RC_OK) {
        set_alarm(writer, AGAIN_MS,
                  err == RC_ENOMEM ? rc_strerror(err)
                                   : database_error(writer->state.database));
        let_go(writer);
    }
}

/* After the kernel said that it could not write, what it has cached is not what is on the disk. The
 * log is moved into the file at once, so that all of it has been written by somebody who was told
 * that it went well. */
static void reopen(struct sqlite_writer *writer)
{
    char error[ENGINE_ERROR_MAX];

    store_folder_drop_cache(writer->folder);
    int err = open_state(writer, error, sizeof error);
    if (err == RC_OK && database_tidy(writer->state.database, DATABASE_NOW) != RC_OK) {
        (void)snprintf(error, sizeof error, "%s", database_error(writer->state.database));
        let_go(writer);
        err = RC_EIO;
    }
    if (err != RC_OK) {
        set_alarm(writer, err == RC_EMALFORMED ? DAMAGED_AGAIN_MS : AGAIN_MS, error);
        return;
    }
    clear_alarm(writer);
    if (writer->has_follower) {
        tell_all(writer);
    }
}

/* ---- Working. */

/* With no room for a longer log, it is moved into the file; until that has worked nothing more is
 * written, else whatever room there is goes to the log and none is left for the file. */
static void make_room(struct sqlite_writer *writer)
{
    writer->state.is_full = database_tidy(writer->state.database, DATABASE_NOW) != RC_OK;
}

static void after_failure(struct sqlite_writer *writer, int err, bool must_reopen,
                          const char *error)
{
    if (writer->is_open && writer->state.is_full && !must_reopen) {
        return; /* known: it is tried again when it is time */
    }
    set_alarm(writer, AGAIN_MS, error);
    if (must_reopen) {
        let_go(writer);
        reopen(writer);
    } else if (err == RC_ENOSPC) {
        make_room(writer);
    }
}

/* Once in a while something is tried, so that the alarm ends without anybody writing. */
static void try_again(struct sqlite_writer *writer)
{
    if (!writer->is_open) {
        reopen(writer);
        return;
    }
    writer->again_ms = rc_clock_ms() + AGAIN_MS;
    if (writer->state.is_full) {
        make_room(writer);
        if (writer->state.is_full) {
            return;
        }
    }
    int err = sqlite_state_probe(&writer->state);
    if (err == RC_OK) {
        clear_alarm(writer);
    } else {
        after_failure(writer, err, err == RC_EUNKNOWN,
                      database_error(writer->state.database));
    }
}

static void copy_alarm(struct sqlite_writer *writer, struct sqlite_batch *batch)
{
    uv_mutex_lock(&writer->mutex);
    (void)snprintf(batch->error, sizeof batch->error, "%s", writer->view.alarm);
    uv_mutex_unlock(&writer->mutex);
}

static void work(struct sqlite_writer *writer, struct sqlite_batch *batch)
{
    if (!writer->is_open) {
        copy_alarm(writer, batch);
        sqlite_batch_refuse(batch, RC_EIO, batch->error);
        batch->revision = writer->revision;
        (void)publish(writer, batch, SIZE_MAX);
        return;
    }
    sqlite_batch_run(batch, &writer->state, rc_clock_ms);
    writer->revision = writer->state.marks.revision;
    if (batch->err == RC_OK && batch->is_written) {
        clear_alarm(writer);
    }
    int err = batch->err;
    bool must_reopen = batch->must_reopen;
    char error[ENGINE_ERROR_MAX];
    (void)snprintf(error, sizeof error, "%s", batch->error);
    (void)publish(writer, batch, SIZE_MAX);
    if (err != RC_OK) {
        after_failure(writer, err, must_reopen, error);
    } else if (database_tidy(writer->state.database, DATABASE_WHEN_LONG) != RC_OK) {
        set_alarm(writer, AGAIN_MS, database_error(writer->state.database));
    }
}

/* ---- Waiting. */

/* When there is something to do without being asked: a lease ends, or something is tried again. */
static uint64_t deadline_ms(const struct sqlite_writer *writer)
{
    uint64_t lease_ms =
        writer->is_open ? lease_set_deadline_ms(writer->state.leases) : UINT64_MAX;

    return writer->has_alarm ? writer->again_ms : lease_ms;
}

/* Takes what has come while the last commit was under way. False: it is time to end. */
static bool wait_for(struct sqlite_writer *writer, struct sqlite_batch *batch,
                     bool *wants_load)
{
    uint64_t due_ms = deadline_ms(writer);

    uv_mutex_lock(&writer->mutex);
    while (writer->queue.first == NULL && !writer->is_stopping && !writer->wants_load) {
        uint64_t now_ms = rc_clock_ms();
        if (due_ms <= now_ms) {
            break;
        }
        if (due_ms == UINT64_MAX) {
            uv_cond_wait(&writer->asked, &writer->mutex);
        } else {
            (void)uv_cond_timedwait(&writer->asked, &writer->mutex,
                                    (due_ms - now_ms) *
                                        1000000); /* all is looked at anew */
        }
    }
    bool goes_on = !writer->is_stopping;
    *wants_load = writer->wants_load;
    writer->wants_load = false;
    while (goes_on && writer->queue.first != NULL &&
           batch->requests.size_bytes < BATCH_MAX_BYTES) {
        request_push(&batch->requests, request_pop(&writer->queue));
    }
    uv_mutex_unlock(&writer->mutex);
    return goes_on;
}

/* What was not begun goes back. */
static void end(struct sqlite_writer *writer, struct sqlite_batch *batch)
{
    uv_mutex_lock(&writer->mutex);
    request_append(&batch->requests, &writer->queue);
    uv_mutex_unlock(&writer->mutex);
    sqlite_batch_refuse(batch, RC_ECLOSED, "the store is being closed");
    batch->revision = writer->revision;
    (void)publish(writer, batch, SIZE_MAX);
    if (writer->is_open) {
        sqlite_state_fini(&writer->state, DATABASE_TIDY);
        writer->is_open = false;
    }
    uv_mutex_lock(&writer->mutex);
    writer->has_ended = true;
    uv_mutex_unlock(&writer->mutex);
    writer->wake(writer->context);
}

/* Memory comes back, or the system ends us: a batch is needed to say anything at all. */
static struct sqlite_batch *next_batch(void)
{
    struct sqlite_batch *batch = calloc(1, sizeof *batch);

    while (batch == NULL) {
        uv_sleep(10);
        batch = calloc(1, sizeof *batch);
    }
    return batch;
}

static void run(void *argument)
{
    struct sqlite_writer *writer = argument;
    struct sqlite_batch *batch = next_batch();
    bool wants_load = false;

    while (wait_for(writer, batch, &wants_load)) {
        if (writer->has_alarm && writer->again_ms <= rc_clock_ms()) {
            try_again(writer);
        }
        if (wants_load) {
            tell_all(writer);
        }
        work(writer, batch);
        look_at_sizes(writer);
        batch = next_batch();
    }
    end(writer, batch);
}

/* ---- Starting and ending. */

static int init_shared(struct sqlite_writer *writer)
{
    if (uv_mutex_init(&writer->mutex) != 0) {
        return RC_ENOMEM;
    }
    if (uv_cond_init(&writer->asked) != 0) {
        uv_mutex_destroy(&writer->mutex);
        return RC_ENOMEM;
    }
    if (uv_cond_init(&writer->taken) != 0) {
        uv_cond_destroy(&writer->asked);
        uv_mutex_destroy(&writer->mutex);
        return RC_ENOMEM;
    }
    return RC_OK;
}

static void fini_shared(struct sqlite_writer *writer)
{
    uv_cond_destroy(&writer->taken);
    uv_cond_destroy(&writer->asked);
    uv_mutex_destroy(&writer->mutex);
}

int sqlite_writer_start(const struct store_folder *folder, void (*wake)(void *context),
                        void *context, struct sqlite_writer **out,
                        char error[ENGINE_ERROR_MAX])
{
    struct sqlite_writer *writer = calloc(1, sizeof *writer);

    if (writer == NULL || init_shared(writer) != RC_OK) {
        (void)snprintf(error, ENGINE_ERROR_MAX, "%s", rc_strerror(RC_ENOMEM));
        free(writer);
        return RC_ENOMEM;
    }
    writer->folder = folder;
    writer->wake = wake;
    writer->context = context;
    int err = open_state(writer, error, ENGINE_ERROR_MAX);
    if (err == RC_OK) {
        look_at_sizes(writer);
        writer->view.revision = writer->revision;
        if (uv_thread_create(&writer->thread, run, writer) != 0) {
            (void)snprintf(error, ENGINE_ERROR_MAX,
                           "the store's thread cannot be started");
            let_go(writer);
            err = RC_ENOMEM;
        }
    }
    if (err != RC_OK) {
        fini_shared(writer);
        free(writer);
        return err;
    }
    *out = writer;
    return RC_OK;
}

void sqlite_writer_destroy(struct sqlite_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    (void)uv_thread_join(&writer->thread); /* fails for no thread that was started */
    assert(writer->has_ended);
    for (struct sqlite_batch *batch = sqlite_writer_take(writer); batch != NULL;
         batch = sqlite_writer_take(writer)) {
        sqlite_batch_destroy(batch);
    }
    fini_shared(writer);
    free(writer);
}
