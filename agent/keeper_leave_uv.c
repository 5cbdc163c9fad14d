/* keeper_leave_uv.c - the agent ends: what its keeper does first, and for how long it may.
 *
 * A signal alone does not say whether the agent comes back. When the whole machine is going down it
 * will not, nor will its PostgreSQL: then a primary hands over as if it left. */
#include <stdlib.h>
#include <string.h>

#include "agent/keeper_state_uv.h"
#include "agent/keeper_uv.h"
#include "agent/warden/warden_socket.h"
#include "base/logger.h"
#include "base/text.h"

enum { RESTART_MAX_MS = 2500, LEAVE_MAX_MS = 15000, ANSWER_MAX = 64 };

/* ---- is the machine going down? */

struct inquiry { /* of systemd */
    uv_process_t process;
    uv_pipe_t out;
    struct agent *agent;
    int open;
    char space[ANSWER_MAX];
    size_t size;
};

static void on_part_closed(uv_handle_t *handle)
{
    struct inquiry *inquiry = handle->data;

    if (--inquiry->open > 0) {
        return;
    }
    inquiry->agent->open--;
    free(inquiry);
}

static void on_told_state(struct inquiry *inquiry)
{
    struct keeper_uv *u = inquiry->agent->keeper_edge;
    const char *word = inquiry->space;

    if (u != NULL) {
        u->asks_systemd = false;
    }
    if (u == NULL || !rc_text_starts_with(word, "stopping")) {
        return;
    }
    rc_log(RC_LOG_INFO, "keeper", "the machine is going down");
    u->retire_until_ms = warden_clock_ms() + LEAVE_MAX_MS;
    (void)keeper_retire(u->keeper, KEEPER_LEAVES_ALL_THE_SAME);
    keeper_uv_pump(u);
}

static void give_space(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    struct inquiry *inquiry = handle->data;
    size_t left = sizeof inquiry->space - 1 - inquiry->size;

    (void)size;
    *out = uv_buf_init(inquiry->space + inquiry->size, (unsigned)left);
}

static void on_word(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct inquiry *inquiry = stream->data;

    (void)buffer;
    if (size > 0) {
        inquiry->size += (size_t)size;
    } else if (size < 0) {
        on_told_state(inquiry);
        uv_close((uv_handle_t *)stream, on_part_closed);
    }
}

static void on_asked(uv_process_t *process, int64_t status, int signal_number)
{
    (void)status;
    (void)signal_number;
    uv_close((uv_handle_t *)process, on_part_closed);
}

static void ask_systemd(struct agent *agent)
{
    struct inquiry *inquiry = calloc(1, sizeof *inquiry);
    char program[] = "systemctl";
    char word[] = "is-system-running";
    char *words[] = {program, word, NULL};
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE}};
    uv_process_options_t options = {
        .exit_cb = on_asked, .file = program, .args = words, .stdio_count = 2};

    if (inquiry == NULL) {
        return;
    }
    options.stdio = stdio;
    inquiry->agent = agent;
    inquiry->open = 2;
    agent->open++;
    (void)uv_pipe_init(&agent->loop, &inquiry->out, 0);
    inquiry->out.data = inquiry;
    stdio[1].data.stream = (uv_stream_t *)&inquiry->out;
    int err = uv_spawn(&agent->loop, &inquiry->process, &options);
    inquiry->process.data = inquiry;
    if (err == 0) {
        err = uv_read_start((uv_stream_t *)&inquiry->out, give_space, on_word);
    }
    if (err == 0) {
        agent->keeper_edge->asks_systemd = true;
    } else { /* no systemd here; a process that was started tells its end */
        uv_close((uv_handle_t *)&inquiry->out, on_part_closed);
        if (uv_process_get_pid(&inquiry->process) == 0) {
            uv_close((uv_handle_t *)&inquiry->process, on_part_closed);
        }
    }
}

/* ---- the end */

static bool holds_lease(const struct keeper_uv *u)
{
    struct keeper_status status;

    keeper_status(u->keeper, &status);
    return status.term != 0;
}

const char *agent_keeper_retire(struct agent *agent, enum keeper_retirement how,
                                void (*done)(struct agent *))
{
    struct keeper_uv *u = agent->keeper_edge;
    bool restarts = how == KEEPER_RESTARTS;

    if (u == NULL || u->keeper == NULL || u->retired != NULL) {
        done(agent); /* the second time it is told it does not wait */
        return NULL;
    }
    const char *why = keeper_retire(u->keeper, how);
    if (why != NULL) {
        return why;
    }
    if (restarts && holds_lease(u)) {
        ask_systemd(agent);
    }
    u->retired = done;
    u->retire_until_ms = warden_clock_ms() + (restarts ? RESTART_MAX_MS : LEAVE_MAX_MS);
    keeper_uv_pump(u);
    return NULL;
}

void keeper_uv_see_end(struct keeper_uv *u)
{
    void (*done)(struct agent *) = u->retired;

    bool has_ended = done != NULL && !u->asks_systemd && keeper_has_retired(u->keeper);
    if (done == NULL || (!has_ended && warden_clock_ms() < u->retire_until_ms)) {
        return;
    }
    if (!u->has_retired) {
        u->has_retired = true;
        done(u->agent);
    }
}
