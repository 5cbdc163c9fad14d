/* watch_answer_uv.c - queries of the pool, answered by the handlers of watches. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch/watch_state_uv.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { VARIABLE_MAX = 320 };

static void forget_query(struct waiting_query *query)
{
    if (query != NULL) {
        free(query->name);
        free(query);
    }
}

void watch_answer_done(struct watch *watch)
{
    forget_query(watch->answering);
    watch->answering = NULL;
}

void watch_answer_forget(struct watch *watch)
{
    while (watch->queries != NULL) {
        struct waiting_query *query = watch->queries;
        watch->queries = query->next;
        forget_query(query);
    }
    watch_answer_done(watch);
}

/* The oldest that somebody still waits for; NULL: none. */
static struct waiting_query *take_query(struct watch *watch, uint64_t now_ms)
{
    while (watch->queries != NULL) {
        struct waiting_query *query = watch->queries;
        watch->queries = query->next;
        if (query->until_ms > now_ms) {
            return query;
        }
        forget_query(query);
    }
    return NULL;
}

/* Runs the handler for the next query: its payload comes by standard input, the rest under
 * the names of Serf's handlers. */
bool watch_answer_next(struct watch *watch)
{
    struct watcher *w = watch->watcher;
    uint64_t now_ms = uv_now(w->options.loop);
    struct waiting_query *query = take_query(watch, now_ms);
    char name[VARIABLE_MAX];
    char time[VARIABLE_MAX];
    char self[VARIABLE_MAX];

    if (query == NULL) {
        return false;
    }
    (void)snprintf(name, sizeof name, "SERF_QUERY_NAME=%s", query->name);
    (void)snprintf(time, sizeof time, "SERF_QUERY_LTIME=%" PRIu64, query->ltime);
    (void)snprintf(self, sizeof self, "SERF_SELF_NAME=%s", w->options.node_name);
    const char *const variables[] = {"SERF_EVENT=query", name, time, self, NULL};
    struct rc_buffer input = {0};
    rc_buffer_append(&input, query->payload, query->size);
    watch->answering = query;
    uint64_t ends_ms = now_ms + watch_definition_timeout_ms(&watch->definition);
    watch_schedule_run(&w->schedule, watch->slot,
                       ends_ms < query->until_ms ? ends_ms : query->until_ms);
    bool runs = input.err == RC_OK && handler_run_script(watch, &input, variables);
    if (!runs) {
        handler_finish(watch, WATCH_FAILED);
    }
    rc_buffer_fini(&input);
    return runs;
}

static void add_query(struct watch *watch, const struct watch_query *query)
{
    struct waiting_query **place = &watch->queries;
    size_t count = 0;

    for (; *place != NULL; place = &(*place)->next) {
        count++;
    }
    struct waiting_query *waiting =
        count < WATCH_QUERIES_MAX ? calloc(1, sizeof *waiting + query->size) : NULL;
    if (waiting == NULL) {
        rc_log(RC_LOG_WARN, "watch", "query %s: too many wait, one is not answered",
               query->name);
        return;
    }
    waiting->name = rc_text_copy(query->name);
    waiting->ltime = query->ltime;
    waiting->id = query->id;
    waiting->until_ms = uv_now(watch->watcher->options.loop) + query->timeout_ms;
    waiting->size = query->size;
    if (query->size > 0) {
        memcpy(waiting->payload, query->payload, query->size);
    }
    *place = waiting;
}

void watcher_query(struct watcher *w, const struct watch_query *query)
{
    if (w == NULL || w->is_closing) {
        return;
    }
    uint64_t now_ms = watcher_now_ms(w);
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        struct watch *watch = w->watches[i];
        if (watch != NULL && watch->definition.type == WATCH_QUERY &&
            rc_text_equals(watch->definition.name, query->name)) {
            add_query(watch, query);
            watch_schedule_touch(&w->schedule, i, now_ms);
            break; /* one answer a node */
        }
    }
    watcher_pump(w);
}
