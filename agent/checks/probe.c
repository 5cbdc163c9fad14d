/* probe.c - what every prober does the same way: the list of its runs, their end, the report. */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "agent/checks/checks.h"

struct prober *prober_create(size_t size, const struct probe_kind *kind,
                             struct uv_loop_s *loop, struct probe_sink sink)
{
    struct prober *prober = calloc(1, size);

    assert(size >= sizeof *prober);
    if (prober != NULL) {
        prober->kind = kind;
        prober->loop = loop;
        prober->sink = sink;
    }
    return prober;
}

void prober_start(struct prober *prober, const struct probe_request *request)
{
    prober->kind->start(prober, request);
}

/* Whose run it is: this prober's, or the other's. */
static struct probe_run *find(const struct prober *prober, uint64_t probe)
{
    for (; prober != NULL; prober = prober->other) {
        for (struct probe_run *run = prober->runs; run != NULL; run = run->next) {
            if (run->probe == probe) {
                return run;
            }
        }
    }
    return NULL;
}

void prober_expire(struct prober *prober, uint64_t probe)
{
    struct probe_run *run = find(prober, probe);

    if (run != NULL) {
        run->prober->kind->expire(run);
    }
}

void prober_cancel(struct prober *prober, uint64_t probe)
{
    struct probe_run *run = find(prober, probe);

    if (run != NULL) {
        run->prober->kind->end(run);
    }
}

static void forget_run(struct probe_run *run)
{
    const struct probe_kind *kind = run->prober->kind;

    if (kind->forget != NULL) {
        kind->forget(run);
    } else {
        kind->end(run);
    }
}

void prober_forget(struct prober *prober, uint64_t check)
{
    struct probe_run *next = NULL;

    for (; prober != NULL; prober = prober->other) {
        for (struct probe_run *run = prober->runs; run != NULL; run = next) {
            next = run->next;
            if (run->check == check) {
                forget_run(run);
            }
        }
    }
}

void prober_close(struct prober *prober)
{
    while (prober != NULL) {
        struct prober *other = prober->other;
        while (prober->runs != NULL) {
            forget_run(prober->runs);
        }
        if (prober->kind->close != NULL) {
            prober->kind->close(prober);
        }
        free(prober);
        prober = other;
    }
}

struct probe_run *probe_run_create(size_t size, struct prober *prober,
                                   const struct probe_request *request)
{
    struct probe_run *run = calloc(1, size);

    assert(size >= sizeof *run);
    if (run == NULL) {
        probe_done(&prober->sink, request->probe, CHECK_CRITICAL, "out of memory");
        return NULL;
    }
    run->probe = request->probe;
    run->check = request->check;
    run->prober = prober;
    run->next = prober->runs;
    run->place = &prober->runs;
    if (run->next != NULL) {
        run->next->place = &run->next;
    }
    prober->runs = run;
    return run;
}

bool probe_run_is_ended(const struct probe_run *run)
{
    return run->place == NULL;
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

void probe_run_report(struct probe_run *run, const struct check_result *result)
{
    const struct probe_sink sink = run->prober->sink;
    uint64_t probe = run->probe;

    run->prober->kind->end(run);
    sink.done(sink.context, probe, result);
}

void probe_run_say(struct probe_run *run, enum check_status status,
                   struct rc_buffer *text)
{
    const struct check_result result = {
        .status = status,
        .output = rc_buffer_string(text),
        .output_size = text->size,
    };

    probe_run_report(run, &result);
    rc_buffer_fini(text);
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
