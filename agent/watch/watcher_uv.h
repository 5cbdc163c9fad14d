/* watcher_uv.h - the agent's own watches: looks, runs handlers, answers queries.
 *
 * The edge of watch_schedule.h: one timer, programs (process_uv.h) and HTTP requests. What a
 * watch looks at is asked of the owner. A handler gets JSON on its standard input, or as the
 * body of a POST, and CONSUL_INDEX, or X-Consul-Index; it is ended after its timeout, with
 * all that it started. What it says goes to the log at debug, bounded. */
#ifndef AGENT_WATCH_WATCHER_UV_H
#define AGENT_WATCH_WATCHER_UV_H

#include "agent/watch/watch_definition.h"
#include "base/metrics.h"

struct uv_loop_s;
struct watcher;

/* What may have changed. */
enum watch_subject {
    WATCH_CATALOG,
    WATCH_EVENTS,
    WATCH_POOL,
    WATCH_KEYS,
    WATCH_SUBJECT_COUNT
};

enum {
    WATCH_RESPONSE_MAX = 1024, /* bytes of a handler's output that answer a query */
    WATCH_QUERIES_MAX = 16     /* waiting for one handler */
};

/* A query that a handler may answer. */
struct watch_query {
    const char *name;
    const uint8_t *payload;
    size_t size;
    uint64_t ltime;
    uint32_t id;
    uint32_t timeout_ms;
};

struct watcher_options {
    struct uv_loop_s *loop;
    const char *node_name;      /* borrowed until closed */
    struct rc_metrics *metrics; /* may be NULL */

    /* The index of what `question` looks at, without looking: 0 if there is none. */
    uint64_t (*index)(void *context, const struct watch_question *question);
    /* Appends what stands there as JSON; returns its index. */
    uint64_t (*read)(void *context, const struct watch_question *question,
                     struct rc_buffer *out);
    /* Answers a query. */
    void (*respond)(void *context, uint64_t ltime, uint32_t id, const uint8_t *bytes,
                    size_t size);
    void *context;
};

/* RC_OK, RC_EIO or RC_ENOMEM. No watches yet. */
int watcher_start(const struct watcher_options *options, struct watcher **out);

/* From now on these (copied) are the watches, at most WATCHES_MAX. One that was there before,
 * word for word, goes on; others end, with their handlers, or begin. RC_OK, or RC_ETOOBIG or
 * RC_ENOMEM: all is as it was. */
int watcher_set(struct watcher *watcher, const struct watch_definition *definitions,
                size_t count);

/* Something may have changed. NULL `watcher` is allowed in both. */
void watcher_touch(struct watcher *watcher, enum watch_subject subject);
void watcher_query(struct watcher *watcher, const struct watch_query *query);

/* Ends all handlers; `on_closed` is called from the loop when `watcher` is freed. */
void watcher_close(struct watcher *watcher, void (*on_closed)(void *context),
                   void *context);

#endif
