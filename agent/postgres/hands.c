#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/postgres/hands_state.h"
#include "base/err.h"
#include "base/text.h"

/* ---- Programs. */

static void on_program_ended(void *context, const struct process_end *end)
{
    struct hands *h = context;

    h->process = NULL;
    watch_uv_timer_set(h->watch, -1);
    h->status = end->status;
    rc_buffer_clear(&h->output);
    rc_buffer_append(&h->output, end->output, end->size);
    h->then(h);
}

void hands_run(struct hands *h, const char *const *arguments, const char *input,
               hands_step *then)
{
    char *words[HANDS_ARGUMENTS_MAX + 4];
    char password[PLACE_PASSWORD_MAX + 16];
    const char *variables[] = {password, NULL};
    const char *why = "";
    size_t count = 0;

    /* English, whatever the agent speaks: some of it is read. */
    static const char *const before[] = {"/usr/bin/env", "LC_ALL=C", "LC_MESSAGES=C"};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
        words[count++] = (char *)before[i]; /* execve() does not write */
    }
    for (; *arguments != NULL; arguments++) {
        assert(count < sizeof words / sizeof words[0] - 1);
        words[count++] = (char *)*arguments;
    }
    words[count] = NULL;
    (void)snprintf(password, sizeof password, "PGPASSWORD=%s",
                   h->place->replication_password);
    const struct process_order order = {
        .arguments = words,
        .variables = variables,
        .input = input,
        .input_size = input != NULL ? strlen(input) : 0,
        .keep = PROCESS_KEEP_LAST,
        .keep_max = HANDS_OUTPUT_MAX,
        .errors = PROCESS_ERRORS_KEPT,
        .user = h->place->uid,
        .group = h->place->gid,
        .ended = on_program_ended,
        .context = h,
    };
    h->then = then;
    int err = process_start(h->options.loop, &order, &h->process, &why);
    explicit_bzero(password, sizeof password);
    if (err != RC_OK) {
        h->process = NULL;
        hands_finish(h, KEEPER_FAILED, why);
        return;
    }
    watch_uv_timer_set(h->watch, 1000);
}

bool hands_run_is_good(struct hands *h, const char *program)
{
    char text[KEEPER_TEXT_MAX];
    size_t size = h->output.size;
    const char *said = rc_buffer_string(&h->output);

    if (h->status == 0) {
        return true;
    }
    while (size > 0 && said[size - 1] == '\n') {
        size--;
    }
    size_t from = size;
    while (from > 0 && said[from - 1] != '\n') {
        from--;
    }
    (void)snprintf(text, sizeof text, "%s ended with %lld: %.*s", program,
                   (long long)h->status, (int)(size - from), said + from);
    hands_finish(h, KEEPER_FAILED, text);
    return false;
}

const char *hands_program(const struct hands *h, const char *name,
                          char space[PLACE_PATH_MAX])
{
    (void)snprintf(space, PLACE_PATH_MAX, "%s/%s", h->place->bin_dir, name);
    return space;
}

/* ---- Work, questions, waits. */

bool hands_work_is_good(struct hands *h)
{
    if (h->job_err == RC_OK) {
        return true;
    }
    hands_finish(h, KEEPER_FAILED,
                 h->job.text[0] != '\0' ? h->job.text : rc_strerror(h->job_err));
    return false;
}

static void on_told(void *context, const struct pg_answer *answer)
{
    struct hands *h = context;
    h->told(h, answer);
}

void hands_ask(struct hands *h, enum pg_session_way way, const char *sql,
               hands_told *told)
{
    h->told = told;
    uint64_t limit_ms = hands_order(h)->kind == KEEPER_CHECKPOINT ? 600000 : HANDS_ASK_MS;
    pg_session_ask(h->control, way, sql, limit_ms, on_told, h);
}

void hands_wait(struct hands *h, uint64_t ms, hands_step *then)
{
    h->then = then;
    watch_uv_timer_set(h->wait, (int64_t)ms);
}

/* ---- The warden. */

bool hands_tell_warden(struct hands *h, struct warden_order *order, hands_step *on_echo)
{
    h->on_echo = on_echo;
    h->number = h->options.order(h->options.context, order);
    if (h->number == 0) {
        hands_finish(h, KEEPER_FAILED, "there is no warden now");
        return false;
    }
    return true;
}

bool hands_runs(const struct hands *h)
{
    return h->has_echo && h->echo.warden.state == WARDEN_RUNNING &&
           h->echo.warden.pid > 1;
}

void hands_reload(const struct hands *h)
{
    if (hands_runs(h)) {
        (void)kill((pid_t)h->echo.warden.pid, SIGHUP);
    }
}

/* ---- Ending. */

void hands_stop_all(struct hands *h)
{
    if (h->process != NULL) {
        process_kill(h->process);
        h->process = NULL;
    }
    if (pg_session_is_busy(h->control)) {
        pg_session_drop(h->control);
    }
    if (h->source != NULL) {
        pg_session_destroy(h->source);
        h->source = NULL;
    }
    h->on_echo = NULL;
    watch_uv_timer_set(h->wait, -1);
    watch_uv_timer_set(h->limit, -1);
    watch_uv_timer_set(h->watch, -1);
}

/* ---- Which order begins with which step. */

static hands_step *const firsts[KEEPER_ACTION_COUNT] = {
    [KEEPER_LOOK] = hands_look,
    [KEEPER_START] = hands_start_server,
    [KEEPER_STOP_FAST] = hands_stop_fast,
    [KEEPER_STOP_IMMEDIATE] = hands_stop_now,
    [KEEPER_DETACH] = hands_detach,
    [KEEPER_FOLLOW] = hands_follow,
    [KEEPER_SET_NAMES] = hands_set_names,
    [KEEPER_MARK_WAL] = hands_mark_wal,
    [KEEPER_PROMOTE] = hands_promote,
    [KEEPER_CHECKPOINT] = hands_checkpoint,
    [KEEPER_READ_HISTORY] = hands_read_history,
    [KEEPER_REWIND] = hands_rewind,
    [KEEPER_COPY] = hands_copy,
    [KEEPER_INITDB] = hands_initdb,
    [KEEPER_SET_SLOTS] = hands_set_slots,
    [KEEPER_RELOAD] = hands_reload_order,
};

void hands_begin(struct hands *h)
{
    hands_step *first = firsts[hands_order(h)->kind];

    assert(first != NULL);
    first(h);
}
