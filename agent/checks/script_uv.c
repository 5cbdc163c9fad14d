/* script_uv.c - runs a program (process_uv.h) and judges it by its exit status. */
#include <stdlib.h>
#include <string.h>

#include "agent/checks/checks.h"
#include "agent/checks/process_uv.h"
#include "base/err.h"
#include "base/text.h"

enum { KEPT_BYTES = 2 * CHECK_OUTPUT_MAX };

struct run {
    struct probe_run link;
    struct process *process; /* NULL: it has ended */
    uint64_t timeout_ms;
};

static void end(struct probe_run *link)
{
    struct run *run = (struct run *)link;

    probe_run_remove(link);
    if (run->process != NULL) {
        process_kill(run->process);
    }
    free(run);
}

static void on_ended(void *context, const struct process_end *end)
{
    struct run *run = context;
    static const enum check_status by_status[] = {CHECK_PASSING, CHECK_WARNING};
    const struct check_result result = {
        .status = end->status == 0 || end->status == 1 ? by_status[end->status]
                                                       : CHECK_CRITICAL,
        .output = end->output,
        .output_size = end->size,
        .output_total = end->total,
    };

    run->process = NULL;
    probe_run_report(&run->link, &result);
}

static void start(struct prober *prober, const struct probe_request *request)
{
    const struct definition_list *list = &request->definition->args;
    const char *why = "";

    char **arguments = calloc(list->count + 1, sizeof *arguments);
    if (arguments == NULL || list->count == 0) {
        free(arguments);
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "nothing to run");
        return;
    }
    memcpy(arguments, list->items, list->count * sizeof *arguments);
    struct run *run = (struct run *)probe_run_create(sizeof *run, prober, request);
    const struct process_order order = {
        .arguments = arguments,
        .keep = PROCESS_KEEP_LAST,
        .keep_max = KEPT_BYTES,
        .errors = PROCESS_ERRORS_KEPT,
        .ended = on_ended,
        .context = run,
    };
    if (run != NULL) {
        run->timeout_ms = request->timeout_ms;
        if (process_start(prober->loop, &order, &run->process, &why) != RC_OK) {
            struct rc_buffer text = {0};
            rc_buffer_format(&text, "fork/exec %s: %s", arguments[0], why);
            probe_run_say(&run->link, CHECK_CRITICAL, &text);
        }
    }
    free(arguments);
}

static void expire(struct probe_run *link)
{
    struct run *run = (struct run *)link;
    struct rc_buffer text = {0};
    char duration[32];
    size_t size = 0;

    rc_text_from_duration_ns(run->timeout_ms * 1000000, duration, sizeof duration);
    rc_buffer_format(&text, "Timed out (%s) running check", duration);
    const uint8_t *output = process_output(run->process, &size);
    if (size > 0) {
        size_t skip = size > CHECK_OUTPUT_MAX / 2 ? size - CHECK_OUTPUT_MAX / 2 : 0;
        rc_buffer_text(&text, "\n\n");
        rc_buffer_append(&text, output + skip, size - skip);
    }
    probe_run_say(link, CHECK_CRITICAL, &text);
}

struct prober *script_uv_prober(struct uv_loop_s *loop, struct probe_sink sink)
{
    static const struct probe_kind kind = {
        .name = "script", .start = start, .expire = expire, .end = end};

    return prober_create(sizeof(struct prober), &kind, loop, sink);
}
