/* handler_uv.c - the handlers of watches: programs and HTTP requests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/checks/process_uv.h"
#include "agent/watch/watch_state_uv.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { OUTPUT_MAX = 4096, LOGGED_MAX = 1024 };

enum { LABEL_MAX = 160 };

/* "service web", "nodes": for the log. */
static const char *label(const struct watch *watch, char space[LABEL_MAX])
{
    const struct watch_definition *d = &watch->definition;
    const char *what = d->name != NULL      ? d->name
                       : d->service != NULL ? d->service
                                            : d->state;

    (void)snprintf(space, LABEL_MAX, "%s%s%.100s", watch_type_name(d->type),
                   what != NULL ? " " : "", what != NULL ? what : "");
    return space;
}

/* ---- A run ends. */

static void log_output(const struct watch *watch, const void *output, size_t size)
{
    char space[LABEL_MAX];
    const char *text = output;
    size_t shown = size < LOGGED_MAX ? size : LOGGED_MAX;

    if (size > 0) {
        rc_log(RC_LOG_DEBUG, "watch", "%s: handler says: %.*s", label(watch, space),
               (int)shown, text);
    }
}

void handler_finish(struct watch *watch, enum watch_outcome outcome)
{
    struct watcher *w = watch->watcher;

    watch->process = NULL;
    watch->probe = 0;
    watch_answer_done(watch);
    rc_metric_add(w->runs, 1);
    if (outcome == WATCH_FAILED) {
        rc_metric_add(w->failures, 1);
    }
    watch_schedule_ended(&w->schedule, watch->slot, outcome, watcher_now_ms(w));
    if (watch->queries != NULL) {
        watch_schedule_touch(&w->schedule, watch->slot, uv_now(w->options.loop));
    }
}

static void on_script_ended(void *context, const struct process_end *end)
{
    char space[LABEL_MAX];
    struct watch *watch = context;
    const struct watcher_options *options = &watch->watcher->options;
    const struct waiting_query *query = watch->answering;

    log_output(watch, end->output, end->size);
    if (end->status != 0) {
        rc_log(RC_LOG_WARN, "watch", "%s: handler %s ended with %s%lld",
               label(watch, space), watch->definition.args.items[0],
               end->status == PROCESS_ENDED_BY_SIGNAL ? "a signal, " : "status ",
               (long long)end->status);
    }
    /* A handler that fails has no answer, as in Serf. */
    if (query != NULL && end->status == 0 && end->size > 0) {
        size_t size = end->size < WATCH_RESPONSE_MAX ? end->size : WATCH_RESPONSE_MAX;
        options->respond(options->context, query->ltime, query->id, end->output, size);
    }
    handler_finish(watch, end->status == 0 ? WATCH_DONE : WATCH_FAILED);
    watcher_pump(watch->watcher);
}

static void on_request_ended(void *context, uint64_t probe,
                             const struct check_result *result)
{
    char space[LABEL_MAX];
    struct watcher *w = context;

    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        struct watch *watch = w->watches[i];
        if (watch == NULL || watch->probe != probe) {
            continue;
        }
        bool went_well = result->status == CHECK_PASSING;
        log_output(watch, result->output, result->output_size);
        if (!went_well) {
            rc_log(RC_LOG_WARN, "watch", "%s: handler failed: %.*s", label(watch, space),
                   (int)(result->output_size < 200 ? result->output_size : 200),
                   (const char *)result->output);
        }
        handler_finish(watch, went_well ? WATCH_DONE : WATCH_FAILED);
        watcher_pump(w);
        return;
    }
}

void handler_end(struct watch *watch)
{
    if (watch->process != NULL) {
        process_kill(watch->process);
        watch->process = NULL;
    }
    if (watch->probe != 0) {
        prober_cancel(watch->watcher->http, watch->probe);
        watch->probe = 0;
    }
}

void handler_expire(struct watch *watch)
{
    char space[LABEL_MAX];
    char duration[32];

    rc_text_from_duration_ns(watch_definition_timeout_ms(&watch->definition) * 1000000,
                             duration, sizeof duration);
    rc_log(RC_LOG_WARN, "watch", "%s: handler ended after its timeout of %s",
           label(watch, space), duration);
    handler_end(watch);
    handler_finish(watch, WATCH_FAILED);
}

/* ---- A run begins. */

bool handler_run_script(struct watch *watch, const struct rc_buffer *input,
                        const char *const *variables)
{
    char space[LABEL_MAX];
    struct watcher *w = watch->watcher;
    const struct definition_list *args = &watch->definition.args;
    char **arguments = calloc(args->count + 1, sizeof *arguments);
    const char *why = rc_strerror(RC_ENOMEM);
    int err = RC_ENOMEM;

    if (arguments != NULL) {
        memcpy(arguments, args->items, args->count * sizeof *arguments);
        const struct process_order order = {
            .arguments = arguments,
            .variables = variables,
            .input = rc_buffer_string(input),
            .input_size = input->size,
            .keep = PROCESS_KEEP_FIRST,
            .keep_max = watch->answering != NULL ? WATCH_RESPONSE_MAX : OUTPUT_MAX,
            .errors =
                watch->answering != NULL ? PROCESS_ERRORS_DROPPED : PROCESS_ERRORS_KEPT,
            .ended = on_script_ended,
            .context = watch,
        };
        err = process_start(w->options.loop, &order, &watch->process, &why);
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_WARN, "watch", "%s: handler %s cannot be started: %s",
               label(watch, space), args->items[0], why);
    }
    free(arguments);
    return err == RC_OK;
}

/* The header of the definition, after what Consul sends. Borrowed texts, which are only read. */
static bool add_headers(const struct watch_definition *from, const char *index,
                        struct definition_pairs *out)
{
    const size_t own = 2;

    out->items = calloc(from->header.count + own, sizeof *out->items);
    if (out->items == NULL) {
        return false;
    }
    out->items[0] =
        (struct definition_pair){(char *)"Content-Type", (char *)"application/json"};
    out->items[1] = (struct definition_pair){(char *)"X-Consul-Index", (char *)index};
    for (size_t i = 0; i < from->header.count; i++) {
        out->items[own + i] = from->header.items[i];
    }
    out->count = from->header.count + own;
    return true;
}

bool handler_run_request(struct watch *watch, const struct rc_buffer *body,
                         const char *index)
{
    struct watcher *w = watch->watcher;
    const struct watch_definition *d = &watch->definition;
    char *text = rc_text_copy(rc_buffer_string(body));
    struct check_definition check = {
        .kind = CHECK_HTTP,
        .http = d->path,
        .method = d->method != NULL ? d->method : (char *)"POST",
        .body = text,
        .tls_skip_verify = d->tls_skip_verify,
        .timeout_ms = watch_definition_timeout_ms(d),
    };

    if (w->http == NULL) {
        w->http =
            http_uv_prober(w->options.loop, (struct probe_sink){on_request_ended, w});
    }
    bool can = w->http != NULL && text != NULL && add_headers(d, index, &check.header);
    if (can) {
        watch->probe = ++w->last_probe;
        const struct probe_request request = {
            .probe = watch->probe,
            .check = watch->slot,
            .definition = &check,
            .timeout_ms = check.timeout_ms,
        };
        prober_start(w->http, &request); /* it copies; it may end at once */
    }
    free(check.header.items);
    free(text);
    return can;
}
