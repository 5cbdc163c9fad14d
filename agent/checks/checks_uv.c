/* checks_uv.c - the timer that drives the schedule, and the table of probers. */
#include "agent/checks/checks_uv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "agent/checks/checks.h"
#include "base/err.h"

enum { LONGEST_WAIT_MS = 3600 * 1000 };

struct kind {
    struct checks_uv *io;
    struct prober *prober; /* NULL: nobody probes this kind */
    struct rc_metric *runs;
    struct rc_metric *timeouts;
    struct rc_metric *seconds;
};

struct checks_uv {
    struct checks_uv_options options;
    uv_timer_t timer;
    struct kind kinds[CHECK_KIND_COUNT];
    struct rc_metric *by_status[CHECK_STATUS_COUNT];
    bool is_pumping;
    bool is_closing;
    void (*on_closed)(void *context);
    void *closed_context;
};

static void pump(struct checks_uv *io);

static void on_done(void *context, uint64_t probe, const struct check_result *result)
{
    struct kind *kind = context;
    struct checks_uv *io = kind->io;
    uv_update_time(io->options.loop); /* others use the clock itself: stay level */
    uint64_t now_ms = uv_now(io->options.loop);
    uint64_t started_ms = schedule_started_ms(io->options.schedule, probe, now_ms);

    rc_metric_add(kind->runs, 1);
    rc_metric_observe_ns(kind->seconds, (now_ms - started_ms) * 1000000);
    schedule_result(io->options.schedule, probe, result, now_ms);
    pump(io);
}

static void start_run(struct checks_uv *io, const struct schedule_action *action)
{
    struct kind *kind = &io->kinds[action->definition->kind];
    struct probe_request request = {
        .probe = action->probe,
        .check = action->check,
        .definition = action->definition,
        .timeout_ms = action->timeout_ms,
    };

    if (kind->prober == NULL) {
        struct probe_sink sink = {on_done, kind};
        probe_done(&sink, action->probe, CHECK_CRITICAL,
                   "Checks of type %s cannot be run by this agent",
                   check_kind_name(action->definition->kind));
        return;
    }
    prober_start(kind->prober, &request);
}

/* Runs are known by number only: the one prober that knows it acts. */
static void end_run(struct checks_uv *io, const struct schedule_action *action)
{
    for (size_t i = 0; i < CHECK_KIND_COUNT; i++) {
        struct prober *prober = io->kinds[i].prober;
        if (prober == NULL) {
            continue;
        }
        if (action->type == SCHEDULE_CANCEL) {
            prober_cancel(prober, action->probe);
        } else if (action->type == SCHEDULE_FORGET) {
            prober_forget(prober, action->check);
        } else if (action->definition->kind == i) {
            rc_metric_add(io->kinds[i].timeouts, 1);
            prober_expire(prober, action->probe);
        }
    }
}

static void carry_out(struct checks_uv *io, const struct schedule_action *action)
{
    switch (action->type) {
    case SCHEDULE_START:
        start_run(io, action);
        break;
    case SCHEDULE_EXPIRE:
    case SCHEDULE_CANCEL:
    case SCHEDULE_FORGET:
        end_run(io, action);
        break;
    case SCHEDULE_CHANGED:
    case SCHEDULE_RESULT:
    case SCHEDULE_OVERDUE:
        io->options.on_action(io->options.context, action, uv_now(io->options.loop));
        break;
    case SCHEDULE_ACTION_COUNT:
        assert(false && "no action");
    }
}

static void on_timer(uv_timer_t *timer)
{
    pump(timer->data);
}

static void set_timer(struct checks_uv *io)
{
    uint64_t now_ms = uv_now(io->options.loop);
    uint64_t due_ms = schedule_deadline_ms(io->options.schedule);
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;

    (void)uv_timer_start(&io->timer, on_timer,
                         wait_ms < LONGEST_WAIT_MS ? wait_ms : LONGEST_WAIT_MS, 0);
}

static void pump(struct checks_uv *io)
{
    struct schedule_action action;

    if (io->is_pumping || io->is_closing) {
        return;
    }
    io->is_pumping = true;
    uv_update_time(io->options.loop);
    schedule_tick(io->options.schedule, uv_now(io->options.loop));
    while (schedule_next_action(io->options.schedule, &action)) {
        carry_out(io, &action);
    }
    io->is_pumping = false;
    for (unsigned i = 0; i < CHECK_STATUS_COUNT; i++) {
        size_t count = schedule_count(io->options.schedule, (enum check_status)i);
        rc_metric_set(io->by_status[i], (double)count);
    }
    set_timer(io);
}

void checks_uv_wake(struct checks_uv *io)
{
    if (io != NULL && !io->is_pumping && !io->is_closing) {
        (void)uv_timer_start(&io->timer, on_timer, 0, 0);
    }
}

static void make_metrics(struct checks_uv *io)
{
    struct rc_metrics *metrics = io->options.metrics;
    char labels[64];

    if (metrics == NULL) {
        return;
    }
    for (unsigned i = 0; i < CHECK_STATUS_COUNT; i++) {
        (void)snprintf(labels, sizeof labels, "status=\"%s\"",
                       check_status_name((enum check_status)i));
        io->by_status[i] = rc_metrics_gauge(metrics, "rollcall_checks", labels,
                                            "Checks of this agent by status.");
    }
    for (unsigned i = 0; i < CHECK_KIND_COUNT; i++) {
        struct kind *kind = &io->kinds[i];
        if (kind->prober == NULL) {
            continue;
        }
        (void)snprintf(labels, sizeof labels, "type=\"%s\"", kind->prober->kind->name);
        kind->runs = rc_metrics_counter(metrics, "rollcall_check_runs_total", labels,
                                        "Runs of checks that have ended.");
        kind->timeouts = rc_metrics_counter(metrics, "rollcall_check_timeouts_total",
                                            labels, "Runs ended by their timeout.");
        kind->seconds = rc_metrics_histogram(metrics, "rollcall_check_run_seconds",
                                             labels, "How long runs took.");
    }
}

static struct probe_sink sink_of(struct checks_uv *io, enum check_kind kind)
{
    io->kinds[kind].io = io;
    return (struct probe_sink){on_done, &io->kinds[kind]};
}

static void make_probers(struct checks_uv *io)
{
    uv_loop_t *loop = io->options.loop;

    for (unsigned i = 0; i < CHECK_KIND_COUNT; i++) {
        io->kinds[i].io = io;
    }
    io->kinds[CHECK_TCP].prober = tcp_uv_prober(loop, sink_of(io, CHECK_TCP));
    io->kinds[CHECK_SCRIPT].prober = script_uv_prober(loop, sink_of(io, CHECK_SCRIPT));
    io->kinds[CHECK_HTTP].prober = http_uv_prober(loop, sink_of(io, CHECK_HTTP));
    io->kinds[CHECK_POSTGRES].prober =
        postgres_pq_prober(loop, sink_of(io, CHECK_POSTGRES));
    io->kinds[CHECK_REDIS].prober = redis_uv_prober(loop, sink_of(io, CHECK_REDIS));
    io->kinds[CHECK_SYSTEMD].prober =
        unit_systemd_prober(loop, sink_of(io, CHECK_SYSTEMD));
    if (io->options.catalog != NULL) {
        io->kinds[CHECK_ALIAS].prober =
            alias_prober(io->options.catalog, sink_of(io, CHECK_ALIAS));
    }
}

int checks_uv_start(const struct checks_uv_options *options, struct checks_uv **out)
{
    struct checks_uv *io = calloc(1, sizeof *io);

    if (io == NULL) {
        return RC_ENOMEM;
    }
    io->options = *options;
    if (uv_timer_init(options->loop, &io->timer) != 0) {
        free(io);
        return RC_EIO;
    }
    io->timer.data = io;
    make_probers(io);
    make_metrics(io);
    set_timer(io);
    *out = io;
    return RC_OK;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct checks_uv *io = handle->data;

    if (io->on_closed != NULL) {
        io->on_closed(io->closed_context);
    }
    free(io);
}

void checks_uv_close(struct checks_uv *io, void (*on_closed)(void *context),
                     void *context)
{
    if (io == NULL) {
        return;
    }
    io->is_closing = true;
    io->on_closed = on_closed;
    io->closed_context = context;
    for (size_t i = 0; i < CHECK_KIND_COUNT; i++) {
        prober_close(io->kinds[i].prober);
    }
    uv_close((uv_handle_t *)&io->timer, on_timer_closed);
}
