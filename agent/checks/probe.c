/* probe.c - the list of runs that every prober keeps, and the plain way to report. */
#include <stdarg.h>

#include "agent/checks/checks.h"

void probe_run_add(struct probe_run **first, struct probe_run *run, uint64_t probe)
{
    run->probe = probe;
    run->next = *first;
    run->place = first;
    if (run->next != NULL) {
        run->next->place = &run->next;
    }
    *first = run;
}

void probe_run_remove(struct probe_run *run)
{
    if (run->place == NULL) {
        return;
    }
    *run->place = run->next;
    if (run->next != NULL) {
        run->next->place = run->place;
    }
    run->place = NULL;
}

struct probe_run *probe_run_find(struct probe_run *first, uint64_t probe)
{
    while (first != NULL && first->probe != probe) {
        first = first->next;
    }
    return first;
}

void probe_done(const struct probe_sink *sink, uint64_t probe, enum check_status status,
                const char *format, ...)
{
    struct rc_buffer text = {0};
    va_list arguments;

    va_start(arguments, format);
    rc_buffer_vformat(&text, format, arguments);
    va_end(arguments);
    struct check_result result = {
        .status = status,
        .output = rc_buffer_string(&text),
        .output_size = text.size,
    };
    sink->done(sink->context, probe, &result);
    rc_buffer_fini(&text);
}
