#include "agent/keeper_uv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_postgres.h"
#include "agent/keeper_state_uv.h"
#include "agent/warden/launch.h"
#include "agent/warden/warden_socket.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/logger.h"
#include "base/text.h"

enum { BEAT_EVERY_MS = 100 };

/* ---- What it wants. */

static void arm_warden(struct keeper_uv *u, const struct keeper_action *action)
{
    static const struct warden_order deadline = {.kind = WARDEN_DEADLINE};
    struct warden_order order = deadline;

    order.term = action->term;
    order.deadline_ms = action->deadline_ms;
    (void)keeper_uv_order(u, &order);
}

static void disarm_warden(struct keeper_uv *u, const struct keeper_action *action)
{
    static const struct warden_order none = {.kind = WARDEN_NO_DEADLINE};
    struct warden_order order = none;

    order.term = action->term > u->echo.warden.term ? action->term : u->echo.warden.term;
    (void)keeper_uv_order(u, &order);
}

static void say(const struct keeper_action *action)
{
    static const enum rc_log_level levels[] = {
        [KEEPER_INFO] = RC_LOG_INFO,
        [KEEPER_WARNING] = RC_LOG_WARN,
        [KEEPER_ALARM] = RC_LOG_ERROR,
    };

    rc_log(levels[action->level], "keeper", "%s", action->text);
}

/* For people who look for a fault: what was ordered of whom. */
static const char *const names[KEEPER_ACTION_COUNT] = {
    [KEEPER_OPEN_SESSION] = "open a session",
    [KEEPER_RENEW] = "renew",
    [KEEPER_TXN] = "write records",
    [KEEPER_ARM] = "arm",
    [KEEPER_DISARM] = "disarm",
    [KEEPER_KILL] = "kill",
    [KEEPER_LOOK] = "look",
    [KEEPER_START] = "start",
    [KEEPER_STOP_FAST] = "stop",
    [KEEPER_STOP_IMMEDIATE] = "stop at once",
    [KEEPER_DETACH] = "detach",
    [KEEPER_FOLLOW] = "follow",
    [KEEPER_SET_NAMES] = "set names",
    [KEEPER_MARK_WAL] = "mark the WAL",
    [KEEPER_PROMOTE] = "promote",
    [KEEPER_CHECKPOINT] = "checkpoint",
    [KEEPER_READ_HISTORY] = "read the history",
    [KEEPER_REWIND] = "rewind",
    [KEEPER_COPY] = "copy",
    [KEEPER_INITDB] = "initdb",
    [KEEPER_SET_SLOTS] = "set slots",
    [KEEPER_RELOAD] = "reload",
    [KEEPER_ASK_PROMISES] = "ask for promises",
    [KEEPER_REGISTER] = "register",
    [KEEPER_SAY] = "say",
};

static void tell_action(const struct keeper_action *action)
{
    enum rc_log_level level =
        action->kind >= KEEPER_LOOK && action->kind < KEEPER_REGISTER ? RC_LOG_DEBUG
                                                                      : RC_LOG_TRACE;
    bool has_text = action->text != NULL && action->kind != KEEPER_SAY;

    rc_log(level, "keeper", "order %llu: %s%s%s%s%s", (unsigned long long)action->id,
           names[action->kind], action->node != NULL ? " of " : "",
           action->node != NULL ? action->node : "", has_text ? " " : "",
           has_text ? action->text : "");
}

static void carry_out(struct keeper_uv *u, const struct keeper_action *action)
{
    tell_action(action);
    switch (action->kind) {
    case KEEPER_OPEN_SESSION:
    case KEEPER_RENEW:
    case KEEPER_TXN:
        keeper_uv_ask(u, action);
        return;
    case KEEPER_ARM:
        arm_warden(u, action);
        return;
    case KEEPER_DISARM:
        disarm_warden(u, action);
        return;
    case KEEPER_KILL:
        keeper_uv_kill(u);
        return;
    case KEEPER_LOOK:
    case KEEPER_START:
    case KEEPER_STOP_FAST:
    case KEEPER_STOP_IMMEDIATE:
    case KEEPER_DETACH:
    case KEEPER_FOLLOW:
    case KEEPER_SET_NAMES:
    case KEEPER_MARK_WAL:
    case KEEPER_PROMOTE:
    case KEEPER_CHECKPOINT:
    case KEEPER_READ_HISTORY:
    case KEEPER_REWIND:
    case KEEPER_COPY:
    case KEEPER_INITDB:
    case KEEPER_SET_SLOTS:
    case KEEPER_RELOAD:
        hands_take(u->hands, action);
        return;
    case KEEPER_ASK_PROMISES:
        keeper_uv_ask_promises(u, action);
        return;
    case KEEPER_REGISTER:
        keeper_uv_list(u, action->wish);
        return;
    case KEEPER_SAY:
        say(action);
        return;
    case KEEPER_ACTION_COUNT:
        break;
    }
}

static void on_timer(uv_timer_t *timer)
{
    keeper_uv_pump(timer->data);
}

static void arm_timer(struct keeper_uv *u)
{
    uint64_t due_ms = keeper_deadline_ms(u->keeper);
    uint64_t now_ms = warden_clock_ms();

    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&u->timer);
        return;
    }
    uv_update_time(&u->agent->loop);
    (void)uv_timer_start(&u->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void keeper_uv_pump(struct keeper_uv *u)
{
    struct keeper_action action;

    if (u->keeper == NULL || u->is_pumping || u->is_closing) {
        return; /* the one that pumps will see it */
    }
    u->is_pumping = true;
    keeper_tick(u->keeper, warden_clock_ms(), rc_clock_wall_ms());
    while (keeper_next(u->keeper, &action)) {
        carry_out(u, &action);
    }
    u->is_pumping = false;
    hands_probe_every(u->hands, keeper_probe_every_ms(u->keeper));
    arm_timer(u);
}

/* ---- What the hands have done. */

static void on_done(void *context, const struct keeper_done *done)
{
    static const char *const ends[] = {
        [KEEPER_DONE] = "done",     [KEEPER_REFUSED] = "refused", [KEEPER_GONE] = "gone",
        [KEEPER_FAILED] = "failed", [KEEPER_UNKNOWN] = "unclear",
    };
    struct keeper_uv *u = context;

    rc_log(RC_LOG_DEBUG, "keeper", "order %llu: %s%s%s", (unsigned long long)done->id,
           ends[done->end], done->text[0] != '\0' ? ", " : "", done->text);
    keeper_see_done(u->keeper, warden_clock_ms(), done);
    keeper_uv_pump(u);
}

static void on_progress(void *context, const char *text)
{
    struct keeper_uv *u = context;

    keeper_see_progress(u->keeper, text);
    keeper_uv_pump(u);
}

static void on_probed(void *context, const struct keeper_probe *probe)
{
    struct keeper_uv *u = context;

    keeper_see_probe(u->keeper, warden_clock_ms(), probe);
    keeper_uv_pump(u);
}

/* ---- Life. */

static void on_beat(uv_timer_t *timer)
{
    struct keeper_uv *u = timer->data;

    (void)keeper_uv_watch_over(u);
    keeper_uv_tell_failures(u);
    keeper_uv_look(u);
    keeper_uv_refresh_entry(u);
    keeper_uv_pump(u);
    keeper_uv_see_end(u);
}

/* The first line of a file. "" without a file. */
static int read_password(struct agent *agent, const char *path, char **out)
{
    struct rc_buffer text = {0};
    int err = path != NULL ? rc_file_read(path, PLACE_PASSWORD_MAX, &text) : RC_OK;

    if (err != RC_OK) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "postgres: the password cannot be read from %.900s", path);
    } else {
        if (text.size > 0) {
            text.bytes[strcspn((char *)text.bytes, "\r\n")] = '\0';
        }
        *out = rc_text_copy(rc_buffer_string(&text));
        err = *out != NULL ? RC_OK : RC_ENOMEM;
    }
    if (text.bytes != NULL) {
        explicit_bzero(text.bytes, text.capacity);
    }
    rc_buffer_fini(&text);
    return err;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* Whoever cannot become, or is not, the server's user can neither start, stop nor repair it. */
static int check_owner(struct agent *agent, uid_t uid)
{
    const struct agent_postgres_config *p = &agent->config.postgres;
    struct stat folder;

    if (stat(p->data_dir, &folder) != 0 || folder.st_uid == uid) {
        return RC_OK;
    }
    (void)snprintf(agent->error, sizeof agent->error,
                   geteuid() == 0
                       ? "postgres.os_user: %.400s is not owned by that user"
                       : "postgres: %.400s is another user's: run the agent as root, or "
                         "as the user that owns it (systemd: User=postgres)",
                   p->data_dir);
    return RC_EDENIED;
}

static int set_place(struct keeper_uv *u)
{
    struct agent *agent = u->agent;
    const struct agent_postgres_config *p = &agent->config.postgres;
    struct launch_user user;

    if (launch_find_user(geteuid() == 0 ? p->os_user : "", &user) != RC_OK) {
        (void)snprintf(agent->error, sizeof agent->error,
                       "postgres.os_user: there is no user %.200s", p->os_user);
        return RC_ENOTFOUND;
    }
    int err = check_owner(agent, user.uid);
    if (err != RC_OK) {
        return err;
    }
    err = read_password(agent, p->password_file, &u->password);
    if (err == RC_OK) {
        err =
            read_password(agent, p->replication_password_file, &u->replication_password);
    }
    u->place = (struct postgres_place){
        .cluster = p->cluster,
        .node = agent->identity.node_name,
        .data_dir = p->data_dir,
        .bin_dir = p->bin_dir,
        .config_file = or_empty(p->config_file),
        .hba_file = or_empty(p->hba_file),
        .listen = p->listen != NULL ? p->listen : "*",
        .socket_dir = or_empty(p->socket_dir),
        .port = (uint16_t)p->port,
        .user = p->user,
        .database = p->database,
        .password = u->password,
        .replication_user = p->replication_user,
        .replication_password = u->replication_password,
        .repair_mark = u->repair_mark,
        .keep_old = (unsigned)p->keep_old,
        .max_rate = (uint64_t)p->max_rate,
        .uid = user.uid,
        .gid = user.gid,
    };
    return err;
}

static int set_paths(struct keeper_uv *u)
{
    const struct agent *agent = u->agent;
    const char *cluster = agent->config.postgres.cluster;
    char folder[KEEPER_PATH_MAX - 64];

    rc_address_format_ip(&agent->identity.advertise, u->address);
    (void)snprintf(folder, sizeof folder, "%s/pg", agent->config.data_dir);
    (void)snprintf(u->socket, sizeof u->socket, "%s/%s.sock", folder, cluster);
    (void)snprintf(u->repair_mark, sizeof u->repair_mark, "%s/%s.repair", folder,
                   cluster);
    (void)snprintf(u->log_file, sizeof u->log_file, "%s/%s.log", folder, cluster);
    (void)snprintf(u->entry_id, sizeof u->entry_id, "pg/%s/%s", cluster,
                   agent->identity.node_name);
    (void)snprintf(u->check_id, sizeof u->check_id, "%s/keeper", u->entry_id);
    ssize_t size = readlink("/proc/self/exe", u->program, sizeof u->program - 1);
    u->program[size > 0 ? size : 0] = '\0';
    return size > 0 ? rc_file_make_folder(folder) : RC_EIO;
}

static int open_parts(struct keeper_uv *u)
{
    const struct hands_options options = {
        .loop = &u->agent->loop,
        .place = &u->place,
        .order = keeper_uv_order,
        .done = on_done,
        .progress = on_progress,
        .probed = on_probed,
        .context = u,
    };

    keeper_view_init(&u->view, u->agent->identity.node_name);
    int err = keeper_uv_open_figures(u);
    if (err == RC_OK) {
        err = set_paths(u);
    }
    if (err == RC_OK) {
        err = set_place(u);
    }
    if (err == RC_OK) {
        err = hands_start(&options, &u->hands);
    }
    return err == RC_OK ? keeper_uv_open_warden(u) : err;
}

int agent_open_keeper(struct agent *agent)
{
    if (agent->config.postgres.cluster == NULL) {
        return RC_OK;
    }
    struct keeper_uv *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return RC_ENOMEM;
    }
    u->agent = agent;
    agent->keeper_edge = u;
    (void)uv_timer_init(&agent->loop, &u->timer);
    (void)uv_timer_init(&agent->loop, &u->beat);
    u->timer.data = u;
    u->beat.data = u;
    u->begun_ms = warden_clock_ms();
    int err = open_parts(u);
    if (err != RC_OK) {
        if (agent->error[0] == '\0') {
            (void)rc_text_put(agent->error, sizeof agent->error,
                              err == RC_ENOTFOUND
                                  ? "postgres needs libpq: install libpq5"
                                  : "the keeper of PostgreSQL cannot start");
        }
        return err;
    }
    keeper_uv_unlist(u);
    (void)uv_timer_start(&u->beat, on_beat, BEAT_EVERY_MS, BEAT_EVERY_MS);
    return RC_OK;
}

void agent_keeper_reload(struct agent *agent, const struct agent_config *fresh)
{
    struct keeper_uv *u = agent->keeper_edge;
    struct keeper_options options;

    if (u == NULL || u->keeper == NULL) {
        return;
    }
    config_postgres_options(fresh, agent->identity.node_name, u->address, &options);
    keeper_change(u->keeper, &options);
    keeper_uv_pump(u);
}

static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
}

static void on_beat_closed(uv_handle_t *handle)
{
    struct keeper_uv *u = handle->data;

    keeper_destroy(u->keeper);
    keeper_view_fini(&u->view);
    rc_buffer_fini(&u->listed);
    tree_destroy(u->tree);
    free_secret(u->password);
    free_secret(u->replication_password);
    u->agent->open--;
    free(u);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct keeper_uv *u = handle->data;
    uv_close((uv_handle_t *)&u->beat, on_beat_closed);
}

static void on_hands_closed(void *context)
{
    struct keeper_uv *u = context;
    uv_close((uv_handle_t *)&u->timer, on_timer_closed);
}

void agent_close_keeper(struct agent *agent)
{
    struct keeper_uv *u = agent->keeper_edge;

    if (u == NULL) {
        return;
    }
    agent->keeper_edge = NULL;
    agent->open++;
    u->is_closing = true;
    keeper_uv_forget_all(u);
    keeper_uv_let_go(u);
    warden_client_close(u->warden);
    u->warden = NULL;
    if (u->hands != NULL) {
        hands_close(u->hands, on_hands_closed, u);
    } else {
        on_hands_closed(u);
    }
}
