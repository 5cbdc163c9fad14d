/* script_uv.c - runs a program (process_uv.h) and judges it by its exit status. */
#include <stdlib.h>
#include <string.h>

#include "agent/checks/checks.h"
#include "agent/checks/process_uv.h"
#include "base/err.h"
#include "base/text.h"

enum { KEPT_BYTES = 2 * CHECK_OUTPUT_MAX };

struct script {
    struct prober prober;
    struct uv_loop_s *loop;
    struct probe_sink sink;
    struct probe_run *runs;
};

struct run {
    struct probe_run link;
    struct script *script;
    struct process *process;
    uint64_t timeout_ms;
};

/* The run is over; what it points to is not looked at again. */
static void report(struct run *run, const struct check_result *result)
{
    const struct probe_sink sink = run->script->sink;
    uint64_t probe = run->link.probe;

    probe_run_remove(&run->link);
    free(run);
    sink.done(sink.context, probe, result);
}

static void on_ended(void *context, const struct process_end *end)
{
    static const enum check_status by_status[] = {CHECK_PASSING, CHECK_WARNING};
    const struct check_result result = {
        .status = end->status == 0 || end->status == 1 ? by_status[end->status]
                                                       : CHECK_CRITICAL,
        .output = end->output,
        .output_size = end->size,
        .output_total = end->total,
    };

    report(context, &result);
}

static void start(struct prober *prober, const struct probe_request *request)
{
    struct script *script = (struct script *)prober;
    const struct definition_list *list = &request->definition->args;
    const char *why = "";

    struct run *run = calloc(1, sizeof *run);
    char **arguments = calloc(list->count + 1, sizeof *arguments);
    if (run == NULL || arguments == NULL || list->count == 0) {
        free(run);
        free(arguments);
        probe_done(&script->sink, request->probe, CHECK_CRITICAL, "nothing to run");
        return;
    }
    memcpy(arguments, list->items, list->count * sizeof *arguments);
    run->script = script;
    run->timeout_ms = request->timeout_ms;
    const struct process_order order = {
        .arguments = arguments,
        .keep = PROCESS_KEEP_LAST,
        .keep_max = KEPT_BYTES,
        .errors = PROCESS_ERRORS_KEPT,
        .ended = on_ended,
        .context = run,
    };
    if (process_start(script->loop, &order, &run->process, &why) == RC_OK) {
        probe_run_add(&script->runs, &run->link, request->probe);
    } else {
        free(run);
        probe_done(&script->sink, request->probe, CHECK_CRITICAL, "fork/exec %s: %s",
                   arguments[0], why);
    }
    free(arguments);
}

static struct run *find(const struct prober *prober, uint64_t probe)
{
    return (struct run *)probe_run_find(((const struct script *)prober)->runs, probe);
}

static void expire(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);
    struct rc_buffer text = {0};
    char duration[32];
    size_t size = 0;

    if (run == NULL) {
        return;
    }
    rc_text_from_duration_ns(run->timeout_ms * 1000000, duration, sizeof duration);
    rc_buffer_format(&text, "Timed out (%s) running check", duration);
    const uint8_t *output = process_output(run->process, &size);
    if (size > 0) {
        size_t skip = size > CHECK_OUTPUT_MAX / 2 ? size - CHECK_OUTPUT_MAX / 2 : 0;
        rc_buffer_text(&text, "\n\n");
        rc_buffer_append(&text, output + skip, size - skip);
    }
    process_kill(run->process);
    const struct check_result result = {
        .status = CHECK_CRITICAL,
        .output = rc_buffer_string(&text),
        .output_size = text.size,
    };
    report(run, &result);
    rc_buffer_fini(&text);
}

static void end(struct run *run)
{
    probe_run_remove(&run->link);
    process_kill(run->process);
    free(run);
}

static void cancel(struct prober *prober, uint64_t probe)
{
    struct run *run = find(prober, probe);

    if (run != NULL) {
        end(run);
    }
}

static void forget(struct prober *prober, uint64_t check)
{
    (void)prober; /* nothing is kept between runs */
    (void)check;
}

static void close_prober(struct prober *prober)
{
    struct script *script = (struct script *)prober;

    while (script->runs != NULL) {
        end((struct run *)script->runs);
    }
    free(script);
}

struct prober *script_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    struct script *script = calloc(1, sizeof *script);

    if (script == NULL) {
        return NULL;
    }
    script->prober =
        (struct prober){"script", start, expire, cancel, forget, close_prober};
    script->loop = loop;
    script->sink = sink;
    return &script->prober;
}
