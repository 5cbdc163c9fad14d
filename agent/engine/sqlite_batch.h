/* sqlite_batch.h - many requests, one commit: what a store on SQLite does in its turn.
 *
 * No thread, no loop, no clock: time is told, requests come in and are answered in place. Used by
 * one thread (sqlite_writer.h). */
#ifndef AGENT_ENGINE_SQLITE_BATCH_H
#define AGENT_ENGINE_SQLITE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/engine/database.h"
#include "agent/engine/engine_request.h"
#include "agent/engine/lease_set.h"

/* A store that is open. */
struct sqlite_state {
    struct database *database;
    struct lease_set *leases;
    struct database_marks marks; /* as the last commit left them */
    bool is_full;                /* nothing is written; set and cleared by the owner */
};

/* Reads marks and leases from `database`, which it owns from then on, also on an error. Every
 * lease has its whole time from `now_ms` on. */
int sqlite_state_init(struct sqlite_state *state, struct database *database,
                      uint64_t now_ms, char *error, size_t error_size);
void sqlite_state_fini(struct sqlite_state *state, enum database_closing closing);

/* Whether it can be written to: writes what is there once more. RC_EUNKNOWN: it must be closed. */
int sqlite_state_probe(struct sqlite_state *state);

/* A turn: what is asked, and what became of it. */
struct sqlite_batch {
    struct sqlite_batch *next; /* of whoever keeps it */
    struct request_list requests;
    struct rc_buffer
        log; /* for the follower (follow_log.h); empty unless it was committed */
    uint64_t revision; /* of the store behind it */
    int err; /* not RC_OK: nothing was done, or nobody knows, and every request says so */
    bool is_written;              /* there was something to commit */
    bool must_reopen;             /* what the file holds is no longer known */
    char error[ENGINE_ERROR_MAX]; /* which the answers borrow */
};

/* With all that is in it. NULL is allowed. */
void sqlite_batch_destroy(struct sqlite_batch *batch);

/* The clock, asked before and after the commit. */
typedef uint64_t sqlite_clock(void);

/* Does all requests of the batch, and ends the leases whose time is over, in one commit. */
void sqlite_batch_run(struct sqlite_batch *batch, struct sqlite_state *state,
                      sqlite_clock *clock_ms);

/* Answers all with `err`; `text` outlives the batch or is in it. */
void sqlite_batch_refuse(struct sqlite_batch *batch, int err, const char *text);

#endif
