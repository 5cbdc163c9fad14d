/* sqlite_writer.h - the thread that has a SQLite store to itself.
 *
 * Requests go in, finished batches come out, in order. All functions are for the thread that
 * started it; only `wake` is called on the other one. */
#ifndef AGENT_ENGINE_SQLITE_WRITER_H
#define AGENT_ENGINE_SQLITE_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine/sqlite_batch.h"
#include "agent/engine/store_folder.h"

struct sqlite_writer;

/* Opens the database and starts the thread. `folder` is borrowed until the writer is destroyed;
 * `wake(context)` says that there is something to take. Errors: database_open(). */
int sqlite_writer_start(const struct store_folder *folder, void (*wake)(void *context),
                        void *context, struct sqlite_writer **out,
                        char error[ENGINE_ERROR_MAX]);

/* Takes all of `requests`: one signal for however many. */
void sqlite_writer_submit(struct sqlite_writer *writer, struct request_list *requests);

/* From now on there is a follower: all keys come as batches without requests, first of all, and
 * again whenever the database had to be opened anew. */
void sqlite_writer_follow(struct sqlite_writer *writer);

/* The next finished batch, owned by the caller; NULL: none yet. */
struct sqlite_batch *sqlite_writer_take(struct sqlite_writer *writer);

/* How it stands. */
struct sqlite_view {
    uint64_t revision;
    uint64_t size_bytes;
    char alarm[ENGINE_ERROR_MAX]; /* "": all is well */
};
void sqlite_writer_view(struct sqlite_writer *writer, struct sqlite_view *out);

/* It ends after the batch it is at; what was not begun comes back with RC_ECLOSED. */
void sqlite_writer_stop(struct sqlite_writer *writer);

/* Whether it has ended: whatever there is can be taken, nothing will come any more. */
bool sqlite_writer_has_ended(struct sqlite_writer *writer);

/* Only after it has ended, or right after it was started. NULL is allowed. */
void sqlite_writer_destroy(struct sqlite_writer *writer);

#endif
