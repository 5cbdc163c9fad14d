/* keeper_warden_uv.c - the keeper's warden: started, heard, and done without when it is silent. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config_postgres.h"
#include "agent/keeper_state_uv.h"
#include "agent/warden/warden_socket.h"
#include "base/err.h"
#include "base/logger.h"
#include "base/text.h"

enum { ADOPT_EVERY_MS = 1000, MISSED_AGAIN_MS = 10000, WARDEN_STOPPED_MS = 2000 };

/* ---- Starting one. It is nobody's child soon: it outlives this agent. */

static void on_spawned_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_spawned_exit(uv_process_t *process, int64_t status, int signal_number)
{
    struct keeper_uv *u = process->data;

    (void)status;
    (void)signal_number;
    if (u->spawned == process) {
        u->spawned = NULL;
    }
    uv_close((uv_handle_t *)process, on_spawned_closed);
}

void keeper_uv_let_go(struct keeper_uv *u)
{
    if (u->spawned != NULL) {
        uv_close((uv_handle_t *)u->spawned, on_spawned_closed);
        u->spawned = NULL;
    }
}

static int spawn(struct keeper_uv *u, char **words, int log)
{
    uv_process_t *process = calloc(1, sizeof *process);
    const uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = log},
        {.flags = UV_INHERIT_FD, .data.fd = log},
    };
    /* PostgreSQL's too. Nothing of systemd's: its watchdog is ours, not the warden's. */
    static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin",
                                              "LANG=C.UTF-8", NULL};
    const uv_process_options_t options = {
        .exit_cb = on_spawned_exit,
        .file = words[0],
        .args = words,
        .env = (char **)environment, /* libuv only reads */
        .cwd = "/",
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = sizeof stdio / sizeof stdio[0],
        .stdio = (uv_stdio_container_t *)stdio, /* likewise */
    };

    if (process == NULL) {
        return UV_ENOMEM;
    }
    int err = uv_spawn(&u->agent->loop, process, &options);
    if (err != 0) {
        uv_close((uv_handle_t *)process, on_spawned_closed);
    } else {
        keeper_uv_let_go(u);
        process->data = u;
        u->spawned = process;
    }
    return err;
}

/* It is a unit of its own. */
static void miss_warden(struct keeper_uv *u)
{
    uint64_t now_ms = warden_clock_ms();

    if (u->missed_warden_ms == 0 || now_ms - u->missed_warden_ms > MISSED_AGAIN_MS) {
        u->missed_warden_ms = now_ms;
        rc_log(RC_LOG_WARN, "keeper", "no warden at %s yet, and start_warden is false",
               u->socket);
    }
}

static void start_warden(void *context)
{
    struct keeper_uv *u = context;
    char socket[KEEPER_PATH_MAX + 16];
    char user[128];
    char watchdog[KEEPER_PATH_MAX];
    const struct agent_postgres_config *p = &u->agent->config.postgres;
    bool is_root = geteuid() == 0;

    if (!p->start_warden) {
        miss_warden(u);
        return;
    }
    (void)snprintf(socket, sizeof socket, "-socket=%s", u->socket);
    (void)snprintf(user, sizeof user, "-user=%s", is_root ? p->os_user : "");
    (void)snprintf(watchdog, sizeof watchdog, "-watchdog=%s",
                   p->watchdog != NULL ? p->watchdog : "");
    char command[] = "warden";
    char *words[] = {u->program, command, socket, user, watchdog, NULL};
    int log = open(u->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int err = log >= 0 ? spawn(u, words, log) : UV_EIO;
    if (log >= 0) {
        (void)close(log);
    }
    rc_log(err == 0 ? RC_LOG_INFO : RC_LOG_ERROR, "keeper", "starting a warden%s%s",
           err == 0 ? "" : ": ", err == 0 ? "" : uv_strerror(err));
}

/* ---- Hearing it. */

static struct tree_roots roots_of(const struct keeper_uv *u)
{
    return (struct tree_roots){
        .postmaster = (pid_t)u->echo.warden.pid,
        .keeper_of_all = (pid_t)u->echo.warden_pid,
        .data_dir = u->place.data_dir,
    };
}

/* What a warden that is gone has left. */
static bool is_swept(struct keeper_uv *u)
{
    const struct tree_roots roots = {.data_dir = u->place.data_dir};

    if (u->must_sweep && tree_kill(u->tree, &roots) == 0) {
        u->must_sweep = false;
    }
    return !u->must_sweep;
}

static enum keeper_process process_of(struct keeper_uv *u, const struct warden *w)
{
    switch (w->state) {
    case WARDEN_IDLE:
        return is_swept(u) ? KEEPER_NO_PROCESS : KEEPER_ENDING;
    case WARDEN_RUNNING:
    case WARDEN_STOPPING: /* as asked: it has its time for that */
        return KEEPER_RUNNING;
    case WARDEN_KILLING:
    case WARDEN_STATE_COUNT:
        break;
    }
    return KEEPER_ENDING;
}

/* The run's number must differ between wardens too. */
static uint64_t run_of(const struct warden_echo *echo)
{
    return echo->warden.runs == 0
               ? 0
               : ((uint64_t)echo->warden_pid << 32) + echo->warden.runs;
}

static void tell_keeper(struct keeper_uv *u)
{
    const struct warden *w = &u->echo.warden;
    const struct keeper_warden said = {
        .said_ms = u->echo.boot_ms,
        .process = process_of(u, w),
        .is_writable_start = w->is_adopted,
        .run = run_of(&u->echo),
        .exit_status = w->exit_status > 0 ? w->exit_status : 0,
        .armed_term = w->deadline_ms != 0 ? w->term : 0,
        .deadline_ms = w->deadline_ms,
    };

    keeper_see_warden(u->keeper, warden_clock_ms(), &said);
}

static int create_keeper(struct keeper_uv *u)
{
    const struct agent *agent = u->agent;
    struct keeper_options options;
    const char *why = "";

    config_postgres_options(&agent->config, agent->identity.node_name, u->address,
                            &options);
    if (u->echo.warden.session[0] != '\0') {
        options.session = u->echo.warden.session;
    }
    int err = keeper_create(&options, warden_clock_ms(), &u->keeper, &why);
    if (err != RC_OK) {
        rc_log(RC_LOG_ERROR, "keeper", "postgres: %s", why);
    }
    return err;
}

static void on_told(void *context, const struct warden_echo *echo)
{
    struct keeper_uv *u = context;

    if (echo->warden.is_adopted && !u->echo.warden.is_adopted) {
        rc_log(
            RC_LOG_INFO, "keeper",
            "PostgreSQL, process %d, was started by somebody else: taken over as it is",
            (int)echo->warden.pid);
    }
    u->echo = *echo;
    u->heard_ms = warden_clock_ms();
    if (u->keeper == NULL && keeper_uv_watch_over(u)) {
        return; /* it would start a second one beside it */
    }
    if (u->keeper == NULL && create_keeper(u) != RC_OK) {
        return;
    }
    tell_keeper(u);
    keeper_uv_keep_session(u);
    hands_on_echo(u->hands, echo);
    keeper_uv_look(u);
    keeper_uv_pump(u);
}

static void on_lost(void *context)
{
    struct keeper_uv *u = context;

    rc_log(RC_LOG_WARN, "keeper", "the warden has gone");
    /* PostgreSQL dies with it; we see to that, too. */
    if (u->echo.warden.state != WARDEN_IDLE) {
        const struct tree_roots roots = roots_of(u);
        u->must_sweep = true;
        (void)tree_kill(u->tree, &roots);
    }
    u->echo.warden_pid = 0; /* may be another's soon */
}

/* ---- Orders. */

uint64_t keeper_uv_order(void *context, struct warden_order *order)
{
    struct keeper_uv *u = context;

    return u->warden != NULL ? warden_client_order(u->warden, order) : 0;
}

/* The one in use, which need not be what was answered last: an answer may have come too late. */
void keeper_uv_keep_session(struct keeper_uv *u)
{
    struct keeper_status status;
    struct warden_order order = {.kind = WARDEN_KEEP};

    keeper_status(u->keeper, &status);
    if (status.session[0] != '\0' &&
        strcmp(status.session, u->echo.warden.session) != 0) {
        (void)rc_text_put(order.session, sizeof order.session, status.session);
        (void)keeper_uv_order(u, &order);
    }
}

/* A warden that is silent may be stopped: then all of it is killed from here, and itself, which
 * another takes the place of. One that has killed already may only be slow to say so, on a
 * machine with much to do: it is left some time. */
void keeper_uv_kill(struct keeper_uv *u)
{
    static const struct warden_order kill_all = {.kind = WARDEN_KILL};
    struct warden_order order = kill_all;
    uint64_t now_ms = warden_clock_ms();

    hands_kill(u->hands);
    bool is_told = keeper_uv_order(u, &order) != 0;
    if (u->warden != NULL) {
        warden_client_read(u->warden);
    }
    if (is_told && now_ms <= u->echo.boot_ms + WARDEN_SILENT_MS) {
        return;
    }
    const struct tree_roots roots = roots_of(u);
    size_t alive = tree_kill(u->tree, &roots);
    u->must_sweep = true;
    bool is_gone = u->echo.warden_pid <= 1;
    bool is_late_only = alive == 0 && now_ms <= u->echo.boot_ms + WARDEN_STOPPED_MS;
    if (is_gone || is_late_only) {
        rc_log(RC_LOG_INFO, "keeper", "the warden %s; of PostgreSQL %zu processes lived",
               is_gone ? "has gone" : "is slow", alive);
        return;
    }
    rc_log(RC_LOG_WARN, "keeper", "the warden is silent: killed it and %zu processes",
           alive);
    (void)kill((pid_t)u->echo.warden_pid, SIGKILL);
}

bool keeper_uv_watch_over(struct keeper_uv *u)
{
    static const struct warden_order adopt = {.kind = WARDEN_ADOPT};
    struct warden_order order = adopt;
    uint64_t now_ms = warden_clock_ms();

    if (u->heard_ms == 0 || u->echo.warden.state != WARDEN_IDLE || u->must_sweep) {
        return false;
    }
    order.pid = tree_find_postmaster(u->place.data_dir);
    if (order.pid == 0) {
        return false;
    }
    if (now_ms - u->asked_to_adopt_ms >= ADOPT_EVERY_MS) {
        u->asked_to_adopt_ms = now_ms;
        (void)snprintf(order.data_dir, sizeof order.data_dir, "%s", u->place.data_dir);
        (void)keeper_uv_order(u, &order);
    }
    return true;
}

int keeper_uv_open_warden(struct keeper_uv *u)
{
    const struct warden_client_options options = {
        .loop = &u->agent->loop,
        .socket = u->socket,
        .start = start_warden,
        .told = on_told,
        .lost = on_lost,
        .context = u,
    };

    u->tree = tree_create();
    return u->tree == NULL ? RC_ENOMEM : warden_client_start(&options, &u->warden);
}
