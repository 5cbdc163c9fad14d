/* hands_serve.c - orders to a server that runs, or is to. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/postgres/disk_skip.h"
#include "agent/postgres/hands_state.h"
#include "agent/postgres/timeline.h"
#include "agent/warden/warden_socket.h"
#include "base/err.h"
#include "base/text.h"

enum { PG_CTL_MS = 300 };

/* ---- Start: the fragment, then the warden. */

static void on_started(struct hands *h)
{
    const struct warden *w = &h->echo.warden;

    if (w->last_answer == WARDEN_DONE) {
        hands_finish(h, KEEPER_DONE, NULL);
    } else {
        hands_finish(h, KEEPER_FAILED,
                     w->last_answer == WARDEN_REFUSED
                         ? w->problem
                         : warden_answer_text(w->last_answer));
    }
}

/* What a rewind or copy would bring from the other server stands on the command line, which
 * nothing overrides. */
static int add_arguments(const struct hands *h, struct warden_order *order)
{
    const struct postgres_place *place = h->place;
    char program[PLACE_PATH_MAX];
    struct rc_buffer words[6] = {{0}};
    size_t count = 0;
    int err = RC_OK;

    rc_buffer_format(&words[count++], "listen_addresses=%s", place->listen);
    rc_buffer_format(&words[count++], "port=%u", (unsigned)place->port);
    rc_buffer_format(&words[count++], "cluster_name=%s", place->cluster);
    if (place->socket_dir[0] != '\0') {
        rc_buffer_format(&words[count++], "unix_socket_directories=%s",
                         place->socket_dir);
    }
    if (place->config_file[0] != '\0') {
        rc_buffer_format(&words[count++], "config_file=%s", place->config_file);
    }
    if (place->hba_file[0] != '\0') {
        rc_buffer_format(&words[count++], "hba_file=%s", place->hba_file);
    }
    const char *const first[] = {hands_program(h, "postgres", program), "-D",
                                 place->data_dir};
    for (size_t i = 0; i < sizeof first / sizeof first[0] && err == RC_OK; i++) {
        err = warden_order_argument(order, first[i]);
    }
    for (size_t i = 0; i < count && err == RC_OK; i++) {
        err = warden_order_argument(order, "-c");
        err = err == RC_OK ? warden_order_argument(order, rc_buffer_string(&words[i]))
                           : err;
    }
    for (size_t i = 0; i < count; i++) {
        rc_buffer_fini(&words[i]);
    }
    return err;
}

static void start_it(struct hands *h)
{
    struct warden_order order = {.kind = WARDEN_START};

    if (!hands_work_is_good(h)) {
        return;
    }
    if (rc_text_put(order.data_dir, sizeof order.data_dir, h->place->data_dir) != RC_OK ||
        add_arguments(h, &order) != RC_OK) {
        hands_finish(h, KEEPER_FAILED, "the paths are too long");
        return;
    }
    (void)hands_tell_warden(h, &order, on_started);
}

static void prepare(struct hands *h)
{
    h->job.sets_conninfo = hands_order(h)->detached;
    hands_work(h, disk_configure, start_it);
}

/* Whoever has stopped it by pg_ctl waits there until it sees that nothing runs, and looks ten
 * times a second. */
void hands_start_server(struct hands *h)
{
    const struct warden *w = &h->echo.warden;
    bool was_stopped =
        h->has_echo && w->cause == WARDEN_CAUSE_ITSELF && w->exit_status == 0;
    uint64_t since_ms = warden_clock_ms() - w->since_ms;

    if (was_stopped && since_ms < PG_CTL_MS) {
        hands_wait(h, PG_CTL_MS - since_ms, prepare);
    } else {
        prepare(h);
    }
}

/* ---- Stop. */

static void on_stopping(struct hands *h)
{
    if (h->echo.warden.state == WARDEN_IDLE) {
        hands_finish(h, KEEPER_DONE, NULL);
    }
}

static void stop(struct hands *h, enum warden_order_kind kind)
{
    struct warden_order order = {.kind = kind};

    pg_session_drop(h->control);
    (void)hands_tell_warden(h, &order, on_stopping);
}

void hands_stop_fast(struct hands *h)
{
    stop(h, WARDEN_STOP_FAST);
}

void hands_stop_now(struct hands *h)
{
    stop(h, WARDEN_STOP_NOW);
}

/* ---- A configuration that was written, for whoever reads it. */

/* The server that runs has been told of what was written. False: nothing is left to do, the
 * order has ended. */
static bool is_reloaded(struct hands *h)
{
    if (!hands_work_is_good(h)) {
        return false;
    }
    if (!hands_runs(h)) {
        hands_finish(h, KEEPER_DONE, NULL);
        return false;
    }
    hands_reload(h);
    return true;
}

/* ---- Detach. Twice in a row: a receiver that was being started shows itself late. */

static void look_for_receiver(struct hands *h);

static void on_receiver(struct hands *h, const struct pg_answer *answer)
{
    bool is_gone =
        answer->is_ok && answer->rows->row_count == 1 && rows_flag(answer->rows, 0, 0);

    h->calm = is_gone ? h->calm + 1 : 0;
    if (h->calm == 2) {
        hands_finish(h, KEEPER_DONE, NULL);
    } else {
        hands_wait(h, HANDS_AGAIN_MS / 2, look_for_receiver);
    }
}

static void look_for_receiver(struct hands *h)
{
    hands_ask(
        h, h->calm == 0 ? PG_SESSION_FRESH : PG_SESSION_KEPT,
        "SELECT current_setting('primary_conninfo') = '' AND NOT EXISTS (SELECT FROM"
        " pg_stat_activity WHERE backend_type = 'walreceiver')",
        on_receiver);
}

static void detached(struct hands *h)
{
    if (is_reloaded(h)) {
        look_for_receiver(h);
    }
}

void hands_detach(struct hands *h)
{
    h->job.sets_conninfo = true;
    hands_work(h, disk_configure, detached);
}

/* ---- Follow. */

static void configured(struct hands *h)
{
    if (hands_work_is_good(h)) {
        hands_reload(h);
        hands_finish(h, KEEPER_DONE, NULL);
    }
}

void hands_follow(struct hands *h)
{
    const struct hand_order *order = hands_order(h);

    h->job.sets_conninfo = true;
    place_slot_name(h->place->node, h->job.fragment.slot);
    if (fragment_conninfo(h->place, order->address, order->port,
                          h->job.fragment.conninfo) != RC_OK) {
        hands_finish(h, KEEPER_FAILED, "the connection string is too long");
        return;
    }
    hands_work(h, disk_configure, configured);
}

/* ---- Names: shown by a fresh backend, then settled. None at all need not settle: until a backend
 * knows, its commits wait, and the checkpointer wakes those that do. */

static void look_at_names(struct hands *h);

static void names_settled(struct hands *h)
{
    hands_finish(h, KEEPER_DONE, NULL);
}

static void on_names(struct hands *h, const struct pg_answer *answer)
{
    bool are_shown = answer->is_ok && answer->rows->row_count == 1 &&
                     rc_text_equals(rows_text(answer->rows, 0, 0), hands_order(h)->text);

    if (!are_shown) {
        hands_wait(h, HANDS_AGAIN_MS / 2, look_at_names);
    } else if (hands_order(h)->text[0] != '\0') {
        hands_wait(h, HANDS_SETTLE_MS, names_settled);
    } else {
        names_settled(h);
    }
}

static void look_at_names(struct hands *h)
{
    bool are_none = hands_order(h)->text[0] == '\0';

    hands_ask(h, are_none ? PG_SESSION_KEPT : PG_SESSION_FRESH,
              "SELECT current_setting('synchronous_standby_names')", on_names);
}

static void names_written(struct hands *h)
{
    if (is_reloaded(h)) {
        look_at_names(h);
    }
}

void hands_set_names(struct hands *h)
{
    h->job.sets_names = true;
    (void)rc_text_put(h->job.fragment.names, sizeof h->job.fragment.names,
                      hands_order(h)->text);
    hands_work(h, disk_configure, names_written);
}

/* ---- Single questions. */

static void on_marked(struct hands *h, const struct pg_answer *answer)
{
    if (!answer->is_ok || answer->rows->row_count != 1) {
        hands_finish(h, answer->reach == KEEPER_SILENT ? KEEPER_UNKNOWN : KEEPER_FAILED,
                     answer->text);
        return;
    }
    h->result.marked_lsn = rows_number(answer->rows, 0, 0);
    hands_finish(h, KEEPER_DONE, NULL);
}

/* A transaction of its own, so that its commit flushes the record; synchronous_commit is local in
 * our sessions. */
void hands_mark_wal(struct hands *h)
{
    hands_ask(h, PG_SESSION_KEPT,
              "BEGIN READ WRITE; SELECT pg_logical_emit_message(true, 'rollcall', '')"
              " - '0/0'; COMMIT",
              on_marked);
}

static void on_single(struct hands *h, const struct pg_answer *answer)
{
    if (answer->is_ok) {
        hands_finish(h, KEEPER_DONE, NULL);
    } else {
        hands_finish(h, answer->reach == KEEPER_SILENT ? KEEPER_UNKNOWN : KEEPER_FAILED,
                     answer->text);
    }
}

static void promote_it(struct hands *h)
{
    if (!hands_work_is_good(h)) {
        return;
    }
    hands_ask(h, PG_SESSION_KEPT,
              "SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(false) END",
              on_single);
}

void hands_promote(struct hands *h)
{
    h->job.tli = hands_order(h)->timeline;
    hands_work(h, disk_skip_timelines, promote_it);
}

void hands_checkpoint(struct hands *h)
{
    hands_ask(h, PG_SESSION_KEPT, "CHECKPOINT", on_single);
}

void hands_reload_order(struct hands *h)
{
    hands_reload(h);
    hands_finish(h, KEEPER_DONE, NULL);
}

/* ---- Slots: made and moved one by one, so that one that is refused spoils no other; then those
 * of members that are gone are dropped. */

static void next_slot(struct hands *h);

static void on_slot(struct hands *h, const struct pg_answer *answer)
{
    if (!answer->is_ok && answer->reach != KEEPER_ANSWERED) {
        hands_finish(h, KEEPER_FAILED, answer->text);
        return;
    }
    h->at++;
    next_slot(h);
}

static void put_slot_sql(const struct keeper_slot *slot, struct rc_buffer *out)
{
    char name[PLACE_SLOT_MAX];

    place_slot_name(slot->node, name);
    rc_buffer_format(out,
                     "SELECT pg_create_physical_replication_slot('%s', true) WHERE NOT"
                     " EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '%s');",
                     name, name);
    if (slot->lsn != 0) {
        rc_buffer_format(out,
                         "SELECT pg_replication_slot_advance(slot_name, l) FROM"
                         " pg_replication_slots, (SELECT least('%X/%X'::pg_lsn, CASE WHEN"
                         " pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE"
                         " pg_current_wal_flush_lsn() END) AS l) x"
                         " WHERE slot_name = '%s' AND NOT active AND restart_lsn < l",
                         (unsigned)(slot->lsn >> 32), (unsigned)slot->lsn, name);
    }
}

static void put_drop_sql(const struct hand_order *order, struct rc_buffer *out)
{
    char name[PLACE_SLOT_MAX];

    rc_buffer_text(out,
                   "SELECT pg_drop_replication_slot(slot_name) FROM"
                   " pg_replication_slots WHERE slot_type = 'physical' AND NOT active"
                   " AND NOT temporary AND slot_name LIKE 'rc\\_%' AND slot_name NOT"
                   " IN (''");
    for (size_t i = 0; i < order->slot_count; i++) {
        place_slot_name(order->slots[i].node, name);
        rc_buffer_format(out, ", '%s'", name);
    }
    rc_buffer_byte(out, ')');
}

static void next_slot(struct hands *h)
{
    const struct hand_order *order = hands_order(h);
    struct rc_buffer sql = {0};

    if (h->at < order->slot_count) {
        put_slot_sql(&order->slots[h->at], &sql);
    } else if (order->keeps_others) {
        hands_finish(h, KEEPER_DONE, "");
        return;
    } else {
        put_drop_sql(order, &sql);
    }
    if (sql.err != RC_OK) {
        hands_finish(h, KEEPER_FAILED, "no memory");
    } else {
        hands_ask(h, PG_SESSION_KEPT, rc_buffer_string(&sql),
                  h->at < order->slot_count ? on_slot : on_single);
    }
    rc_buffer_fini(&sql);
}

void hands_set_slots(struct hands *h)
{
    next_slot(h);
}

/* ---- The history of another node's timeline. */

static void on_source_failed(struct hands *h, const struct pg_answer *answer)
{
    hands_finish(h, KEEPER_FAILED, answer->text[0] != '\0' ? answer->text : "no answer");
}

static void on_history(void *context, const struct pg_answer *answer)
{
    struct hands *h = context;

    if (!answer->is_ok || answer->rows->row_count != 1 ||
        answer->rows->column_count != 2) {
        on_source_failed(h, answer);
        return;
    }
    if (timeline_read(rows_text(answer->rows, 0, 1), h->result.forks,
                      &h->result.fork_count) != RC_OK) {
        hands_finish(h, KEEPER_FAILED, "the history cannot be read");
        return;
    }
    h->then(h);
}

static void on_identified(void *context, const struct pg_answer *answer)
{
    struct hands *h = context;
    char command[48];

    if (!answer->is_ok || answer->rows->row_count != 1) {
        on_source_failed(h, answer);
        return;
    }
    (void)rc_text_put(h->result.sysid, sizeof h->result.sysid,
                      rows_text(answer->rows, 0, 0));
    h->result.on_tli = (uint32_t)rows_number(answer->rows, 0, 1);
    if (h->result.on_tli <= 1) { /* the first has none */
        h->then(h);
        return;
    }
    (void)snprintf(command, sizeof command, "TIMELINE_HISTORY %u", h->result.on_tli);
    pg_session_ask(h->source, PG_SESSION_KEPT, command, HANDS_ASK_MS, on_history, h);
}

void hands_fetch_history(struct hands *h, hands_step *then)
{
    const struct hand_order *order = hands_order(h);
    const struct pg_session_options options = {
        .loop = h->options.loop,
        .address = order->address,
        .port = order->port,
        .user = h->place->replication_user,
        .password = h->place->replication_password,
        .database = "",
        .is_replication = true,
    };

    h->then = then;
    if (pg_session_create(&options, &h->source) != RC_OK) {
        h->source = NULL;
        hands_finish(h, KEEPER_FAILED, "no memory");
        return;
    }
    pg_session_ask(h->source, PG_SESSION_FRESH, "IDENTIFY_SYSTEM", HANDS_ASK_MS,
                   on_identified, h);
}

static void history_read(struct hands *h)
{
    hands_finish(h, KEEPER_DONE, NULL);
}

void hands_read_history(struct hands *h)
{
    hands_fetch_history(h, history_read);
}
