/* checks.h - what every kind of probe has in common.
 *
 * A prober knows one kind of check (tcp, script, http, postgres, alias). It starts runs,
 * ends them when told, and reports each run once. One file a kind; each is an edge. */
#ifndef AGENT_CHECKS_CHECKS_H
#define AGENT_CHECKS_CHECKS_H

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

/* A kind of probe: its functions and, behind them, its state. */
struct prober {
    const char *name; /* for logs and metrics: "tcp" */

    /* Begins a run. Whatever happens is reported through the sink: this cannot fail. */
    void (*start)(struct prober *prober, const struct probe_request *request);

    /* The run takes too long: end it and report critical with the kind's own text. A run
     * that is not known is left alone. */
    void (*expire)(struct prober *prober, uint64_t probe);

    /* The run is not wanted any more: end it, report nothing. */
    void (*cancel)(struct prober *prober, uint64_t probe);

    /* The check is gone or has changed: drop what is kept between its runs, if
     * anything. */
    void (*forget)(struct prober *prober, uint64_t check);

    /* Ends every run, reports nothing, frees the prober. Handles of ended runs close by
     * themselves in the loop's next turns. */
    void (*close)(struct prober *prober);
};

/* Each makes the prober of its kind on `loop`, or NULL when memory is out. */
struct prober *tcp_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *script_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *http_uv_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *http_curl_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *postgres_pq_prober(struct uv_loop_s *loop, struct probe_sink sink);
struct prober *alias_prober(const struct catalog *catalog, struct probe_sink sink);

/* Reports a run whose output is plain text. */
void probe_done(const struct probe_sink *sink, uint64_t probe, enum check_status status,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* The runs in flight of one prober: embedded at the start of each run. */
struct probe_run {
    uint64_t probe;
    struct probe_run *next;
    struct probe_run **place; /* what points to this one; NULL: in no list */
};

void probe_run_add(struct probe_run **first, struct probe_run *run, uint64_t probe);
void probe_run_remove(struct probe_run *run); /* allowed when in no list */
struct probe_run *probe_run_find(struct probe_run *first, uint64_t probe); /* or NULL */

#endif
