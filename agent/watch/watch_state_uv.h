/* watch_state_uv.h - the inside of struct watcher, for the files of this folder only.
 *
 * watcher_uv.c lives, looks and keeps time; handler_uv.c runs handlers; watch_answer_uv.c lets them
 * answer queries. */
#ifndef AGENT_WATCH_WATCH_STATE_UV_H
#define AGENT_WATCH_WATCH_STATE_UV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "agent/watch/watch_schedule.h"
#include "agent/watch/watcher_uv.h"

struct process;

/* A query that waits for its handler, or is with it. */
struct waiting_query {
    struct waiting_query *next;
    char *name;
    uint64_t ltime;
    uint32_t id;
    uint64_t until_ms;
    size_t size;
    uint8_t payload[];
};

struct watch {
    struct watcher *watcher;
    struct watch_definition definition;
    size_t slot;
    bool has_looked;
    uint64_t index;                /* of the last look */
    uint64_t hash;                 /* of what was handed over last */
    struct process *process;       /* of the run, or */
    uint64_t probe;                /* the number of the request; 0: none */
    struct waiting_query *queries; /* oldest first; WATCH_QUERIES_MAX */
    struct waiting_query *answering;
};

struct watcher {
    struct watcher_options options;
    uv_timer_t timer;
    struct watch_schedule schedule;
    struct watch *watches[WATCH_SLOTS_MAX];
    struct prober *http; /* made when the first such handler runs */
    uint64_t last_probe;
    bool is_closing;
    struct rc_metric *runs;
    struct rc_metric *failures;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* The loop's time, as of now. */
uint64_t watcher_now_ms(struct watcher *w);

/* Sets the timer. All that watches do happens in the loop's own time, so that nobody who tells
 * of a change is surprised by what it causes. */
void watcher_pump(struct watcher *w);

/* ---- handler_uv.c. In both, the schedule knows already that it runs. */

/* Runs the program of the definition; `variables` ended by NULL. False: it cannot be started. */
bool handler_run_script(struct watch *watch, const struct rc_buffer *input,
                        const char *const *variables);

/* Sends `body` where the definition says. False: it cannot be tried. */
bool handler_run_request(struct watch *watch, const struct rc_buffer *body,
                         const char *index);

/* Ends the run, if there is one, without a word; or since it takes too long. */
void handler_end(struct watch *watch);
void handler_expire(struct watch *watch);

/* What follows from the end of a run. */
void handler_finish(struct watch *watch, enum watch_outcome outcome);

/* ---- watch_answer_uv.c. */

/* Runs the handler for the next query. False: there is none, or it cannot run. */
bool watch_answer_next(struct watch *watch);

/* Forgets the queries that wait, and the one that is being answered. */
void watch_answer_forget(struct watch *watch);
void watch_answer_done(struct watch *watch);

#endif
