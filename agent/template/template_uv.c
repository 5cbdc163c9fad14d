/* template_uv.c - the loop of `rollcall template`: questions, turns, signals. */
#include "agent/template/template_uv.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "agent/template/template_ask_curl.h"
#include "agent/template/template_facts.h"
#include "agent/template/template_job.h"
#include "base/entropy.h"
#include "base/err.h"
#include "base/notify.h"
#include "base/signals_uv.h"

enum {
    WHY_MAX = 512,
    IDLE_MS = 3600 * 1000,
    ONCE_FAILURES_MAX = 9 /* about a minute of an agent that is away */
};

struct runner {
    const struct template_run *run;
    uv_loop_t loop;
    uv_timer_t timer;
    struct rc_signals signals;
    struct template_config config;
    struct template_facts *facts;
    struct template_asks *asks;
    struct template_job *jobs;
    size_t job_count;
    enum template_exit exit;
    bool wants_reload; /* SIGHUP: as soon as no command runs */
    bool is_ending;    /* likewise */
    bool is_closed;
};

static void wake(struct runner *r);

static void on_moved(void *context)
{
    wake(context);
}

/* ---- Questions. */

static void on_news(void *context, struct template_fact *fact)
{
    struct runner *r = context;

    for (size_t i = 0; i < r->job_count; i++) {
        if (template_needs_has(&r->jobs[i].needs, fact)) {
            template_pace_touch(&r->jobs[i].pace, uv_now(&r->loop));
        }
    }
    wake(r);
}

/* An agent that has just started knows little: what it tells first would empty files. */
static void on_back(void *context)
{
    struct runner *r = context;

    for (size_t i = 0; i < r->job_count; i++) {
        template_pace_hold(&r->jobs[i].pace, uv_now(&r->loop) + TEMPLATE_SETTLE_MS);
    }
}

static void finish(struct runner *r, enum template_exit status)
{
    r->exit = r->is_ending ? r->exit : status;
    r->is_ending = true;
    wake(r);
}

static void on_failed(void *context, unsigned failures)
{
    struct runner *r = context;

    if (r->run->is_once && failures >= ONCE_FAILURES_MAX) {
        finish(r, TEMPLATE_EXIT_FAILED);
    }
}

/* What a rendering has asked for is asked of the agent; what nobody needs is forgotten. */
static void ask_all(struct runner *r)
{
    size_t position = 0;
    struct template_fact *fact;

    while ((fact = template_facts_next(r->facts, &position)) != NULL) {
        if (fact->users == 0) {
            template_asks_stop(r->asks, fact);
            template_facts_forget(r->facts, fact);
        } else if (fact->ask == NULL && template_asks_start(r->asks, fact) != RC_OK) {
            rc_log(RC_LOG_ERROR, "template", "%s", rc_strerror(RC_ENOMEM));
        }
    }
}

/* ---- Configuration. */

static void release(struct runner *r)
{
    size_t position = 0;
    struct template_fact *fact;

    for (size_t i = 0; i < r->job_count; i++) {
        template_job_fini(&r->jobs[i]);
    }
    free(r->jobs);
    r->jobs = NULL;
    r->job_count = 0;
    while (r->facts != NULL &&
           (fact = template_facts_next(r->facts, &position)) != NULL) {
        template_asks_stop(r->asks, fact);
    }
    template_asks_close(r->asks);
    r->asks = NULL;
    template_facts_destroy(r->facts);
    r->facts = NULL;
    template_config_fini(&r->config);
}

/* The jobs of a configuration that was read. RC_OK, or an error with words. */
static int make_jobs(struct runner *r, const struct template_config *config,
                     struct template_job **out, char error[WHY_MAX])
{
    struct template_job *jobs = calloc(config->count, sizeof *jobs);
    int err = jobs != NULL ? RC_OK : RC_ENOMEM;

    for (size_t i = 0; i < config->count && err == RC_OK; i++) {
        jobs[i].loop = &r->loop;
        jobs[i].is_dry = r->run->is_dry;
        jobs[i].on_moved = on_moved;
        jobs[i].context = r;
        err = template_job_init(&jobs[i], &config->entries[i], error);
        template_pace_touch(&jobs[i].pace, uv_now(&r->loop));
        if (r->run->is_once) {
            jobs[i].pace.quiet_min_ms = 0;
            jobs[i].pace.quiet_max_ms = 0;
        }
    }
    if (err != RC_OK) {
        for (size_t i = 0; jobs != NULL && i < config->count; i++) {
            template_job_fini(&jobs[i]);
        }
        free(jobs);
        return err;
    }
    *out = jobs;
    return RC_OK;
}

/* A reload that is owed stays owed. */
static void inherit(const struct runner *r, struct template_job *jobs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < r->job_count; k++) {
            if (rc_text_equals(jobs[i].name, r->jobs[k].name) &&
                r->jobs[k].pace.reload_ms != UINT64_MAX &&
                jobs[i].entry->reload.words != NULL) {
                jobs[i].pace.reload_ms = uv_now(&r->loop);
            }
        }
    }
}

/* Reads all of it; what was there before stays when that fails. */
static int load(struct runner *r)
{
    char error[RC_SETTINGS_ERROR_MAX] = "";
    char why[WHY_MAX] = "";
    uint64_t seed = 0;
    struct template_config config = {.log_level = RC_LOG_LEVEL_COUNT};
    struct template_job *jobs = NULL;

    int err = r->run->load(r->run->context, &config, error);
    if (err == RC_OK) {
        err = make_jobs(r, &config, &jobs, error);
    }
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "template", "%s",
               error[0] != '\0' ? error : rc_strerror(err));
        template_config_fini(&config);
        return err;
    }
    inherit(r, jobs, config.count);
    release(r);
    r->config = config; /* its entries stay where they are */
    r->jobs = jobs;
    r->job_count = config.count;
    if (config.log_level != RC_LOG_LEVEL_COUNT) {
        rc_log_setup(config.log_level, RC_LOG_PLAIN);
    }
    rc_entropy(&seed, sizeof seed);
    r->facts = template_facts_create(seed);
    const struct template_asks_options options = {
        .loop = &r->loop,
        .agent = &r->config.agent,
        .on_news = on_news,
        .on_back = on_back,
        .on_failed = on_failed,
        .context = r,
    };
    err = r->facts != NULL ? template_asks_open(&options, &r->asks, why, sizeof why)
                           : RC_ENOMEM;
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "template", "%s", why[0] != '\0' ? why : rc_strerror(err));
    }
    return err;
}

/* ---- Turns. */

static bool runs_command(const struct runner *r)
{
    for (size_t i = 0; i < r->job_count; i++) {
        if (r->jobs[i].process != NULL) {
            return true;
        }
    }
    return false;
}

static void close_all(struct runner *r)
{
    if (!r->is_closed) {
        r->is_closed = true;
        rc_notify("STOPPING=1");
        release(r);
        uv_close((uv_handle_t *)&r->timer, NULL);
        rc_signals_close(&r->signals, NULL);
    }
}

/* -once: is every file right, or has something failed? */
static void look_if_done(struct runner *r)
{
    bool is_done = true;

    for (size_t i = 0; i < r->job_count; i++) {
        const struct template_job *job = &r->jobs[i];
        if (job->has_failed) {
            finish(r, TEMPLATE_EXIT_FAILED);
        }
        is_done = is_done && job->is_complete && template_pace_is_done(&job->pace);
    }
    if (is_done) {
        finish(r, TEMPLATE_EXIT_DONE);
    }
}

static void reload(struct runner *r)
{
    r->wants_reload = false;
    rc_log(RC_LOG_INFO, "template", "reading the configuration again");
    rc_notify("RELOADING=1");
    if (load(r) != RC_OK && r->asks == NULL) {
        finish(r, TEMPLATE_EXIT_CONFIG);
    }
    rc_notify("READY=1");
}

static void on_timer(uv_timer_t *timer);

/* The timer keeps the loop alive where there is nothing to ask, too. */
static void sleep_until(struct runner *r, uint64_t due_ms)
{
    uint64_t now_ms = uv_now(&r->loop);
    uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;

    (void)uv_timer_start(&r->timer, on_timer, wait_ms < IDLE_MS ? wait_ms : IDLE_MS, 0);
}

/* A reload that runs is waited for, within its limit of time; a check is not: what it would let
 * through would have no reload any more. */
static void end_turn(struct runner *r)
{
    uint64_t due_ms = 0;

    for (size_t i = 0; i < r->job_count; i++) {
        const struct template_job *job = &r->jobs[i];
        if (job->pace.state == TEMPLATE_RELOADING && job->process_ends_ms > due_ms) {
            due_ms = job->process_ends_ms;
        }
    }
    if (due_ms <= uv_now(&r->loop)) {
        close_all(r);
    } else {
        sleep_until(r, due_ms);
    }
}

static void usual_turn(struct runner *r)
{
    uint64_t due_ms = UINT64_MAX;

    if (r->wants_reload && !runs_command(r)) {
        reload(r);
    }
    for (size_t i = 0; i < r->job_count && !r->is_ending; i++) {
        template_job_turn(&r->jobs[i], r->facts, uv_now(&r->loop));
    }
    if (r->is_ending) {
        return;
    }
    ask_all(r);
    if (r->run->is_once) {
        look_if_done(r);
    }
    for (size_t i = 0; i < r->job_count; i++) {
        uint64_t its_ms = template_job_deadline_ms(&r->jobs[i]);
        due_ms = its_ms < due_ms ? its_ms : due_ms;
    }
    sleep_until(r, due_ms);
}

static void on_timer(uv_timer_t *timer)
{
    struct runner *r = timer->data;

    if (!r->is_ending) {
        usual_turn(r);
    }
    if (r->is_ending) {
        end_turn(r);
    }
}

/* All that is done is done in the timer's turn: nobody is surprised by what follows. */
static void wake(struct runner *r)
{
    if (!r->is_closed) {
        (void)uv_timer_start(&r->timer, on_timer, 0, 0);
    }
}

static void on_signal(void *context, int number)
{
    struct runner *r = context;

    if (number == SIGHUP) {
        r->wants_reload = true;
        wake(r);
        return;
    }
    if (r->is_ending) { /* asked twice: whatever runs ends */
        close_all(r);
        return;
    }
    finish(r, number == SIGINT ? TEMPLATE_EXIT_INTERRUPTED : TEMPLATE_EXIT_DONE);
}

enum template_exit template_run(const struct template_run *run)
{
    struct runner *r = calloc(1, sizeof *r);

    if (r == NULL || uv_loop_init(&r->loop) != 0) {
        free(r);
        return TEMPLATE_EXIT_FAILED;
    }
    r->run = run;
    (void)uv_timer_init(&r->loop, &r->timer); /* cannot fail */
    r->timer.data = r;
    if (rc_signals_open(&r->signals, &r->loop, 0, on_signal, r) != RC_OK) {
        uv_close((uv_handle_t *)&r->timer, NULL);
        r->exit = TEMPLATE_EXIT_FAILED;
    } else if (load(r) != RC_OK) {
        r->exit = TEMPLATE_EXIT_CONFIG;
        close_all(r);
    } else {
        rc_notify("READY=1");
        wake(r);
    }
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    enum template_exit status = r->exit;
    int busy = uv_loop_close(&r->loop);
    if (busy != 0) {
        rc_log(RC_LOG_DEBUG, "template", "something is left of the loop: %s",
               uv_strerror(busy));
    }
    free(r);
    return status;
}
