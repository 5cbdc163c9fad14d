/* checks.h - what every kind of probe has in common.
 *
 * A prober knows one kind of check (tcp, script, http, postgres, redis, systemd, alias). It starts runs,
 * ends them when told, and reports each run once. One file a kind; each is an edge. */
#ifndef AGENT_CHECKS_CHECKS_H
#define AGENT_CHECKS_CHECKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/checks/check.h"
#include "base/buffer.h"

struct catalog;
struct uv_loop_s;

/* Where results go. Calling it from inside start() is allowed. */
struct probe_sink {
    void (*done)(void *context, uint64_t probe, const struct check_result *result);
    void *context;
};

struct probe_request {
    uint64_t probe;                            /* names this run */
    uint64_t check;                            /* names the check over all its runs */
    const struct check_definition *definition; /* borrowed during start() */
    uint64_t timeout_ms;                       /* for texts; expire() will be called */
};

struct prober;

/* One run in flight, or what a prober keeps for a check between its runs: embedded at the start
 * of the prober's own struct. */
struct probe_run {
    uint64_t probe; /* 0: none is in flight */
    uint64_t check;
    struct prober *prober; /* not to be used once the run has left the list */
    struct probe_run *next;
    struct probe_run **place; /* what points to this one; NULL: in no list */
};

/* A kind of probe: what it does. */
struct probe_kind {
    const char *name; /* for logs and metrics: "tcp" */

    /* Begins a run. Whatever happens is reported through the sink: this cannot fail. */
    void (*start)(struct prober *prober, const struct probe_request *request);

    /* The run takes too long: end it and report critical with the kind's own text. */
    void (*expire)(struct probe_run *run);

    /* The run is not wanted any more: end it, report nothing. */
    void (*end)(struct probe_run *run);

    /* Ends it and drops what is kept between the runs of its check. NULL: end() does. */
    void (*forget)(struct probe_run *run);

    /* Frees what the prober holds besides its runs and itself. NULL: nothing. */
    void (*close)(struct prober *prober);
};

/* Embedded at the start of each kind's own struct. */
struct prober {
    const struct probe_kind *kind;
    struct uv_loop_s *loop; /* borrowed; NULL: needs none */
    struct probe_sink sink;
    struct probe_run *runs;
    struct prober *other; /* takes requests that this one does not; owned; NULL: none */
};

/* A prober of `size` bytes, or NULL when memory is out. */
struct prober *prober_create(size_t size, const struct probe_kind *kind,
                             struct uv_loop_s *loop, struct probe_sink sink);

/* What checks_uv.c does with any of them; what they do not know is left alone. Handles of
 * ended runs close by themselves in the loop's next turns. */
void prober_start(struct prober *prober, const struct probe_request *request);
void prober_expire(struct prober *prober, uint64_t probe);
void prober_cancel(struct prober *prober, uint64_t probe);
void prober_forget(struct prober *prober, uint64_t check);
void prober_close(struct prober *prober); /* ends every run, reports nothing; frees it */

/* Each makes the prober of its kind on `loop`, or NULL when memory is out. */
struct prober *tcp_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *script_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *http_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *http_curl_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *postgres_pq_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *redis_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *unit_systemd_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *alias_prober(const struct catalog *catalog, struct probe_sink sink);

/* Reports a run whose output is plain text. */
void probe_done(const struct probe_sink *sink, uint64_t probe, enum check_status status,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A run of `size` bytes in the prober's list; NULL when memory is out, which is reported. */
struct probe_run *probe_run_create(size_t size, struct prober *prober,
                                   const struct probe_request *request);
void probe_run_remove(struct probe_run *run); /* from the list; allowed when in none */
bool probe_run_is_ended(const struct probe_run *run);

/* Ends the run, then reports; what `result` points to must not be the run's. */
void probe_run_report(struct probe_run *run, const struct check_result *result);
/* The same with `text`, which is taken. */
void probe_run_say(struct probe_run *run, enum check_status status,
                   struct rc_buffer *text);

#endif
