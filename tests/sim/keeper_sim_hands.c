/* keeper_sim_hands.c - orders carried out one after the other, slowly, and not always. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/keeper_sim_state.h"

struct pace {
    uint64_t low_ms;
    uint64_t high_ms;
};

static const struct pace paces[KEEPER_ACTION_COUNT] = {
    [KEEPER_LOOK] = {5, 20},         [KEEPER_START] = {30, 200},
    [KEEPER_STOP_FAST] = {30, 300},  [KEEPER_STOP_IMMEDIATE] = {10, 50},
    [KEEPER_DETACH] = {10, 140},     [KEEPER_FOLLOW] = {5, 30},
    [KEEPER_SET_NAMES] = {5, 40},    [KEEPER_MARK_WAL] = {2, 10},
    [KEEPER_PROMOTE] = {2, 10},      [KEEPER_CHECKPOINT] = {50, 800},
    [KEEPER_READ_HISTORY] = {5, 20}, [KEEPER_REWIND] = {500, 4000},
    [KEEPER_COPY] = {1500, 6000},    [KEEPER_INITDB] = {300, 1000},
    [KEEPER_SET_SLOTS] = {5, 20},    [KEEPER_RELOAD] = {2, 5}};

void ksim_hands_take(struct ksim_node *n, const struct keeper_action *action)
{
    if (n->order_count == KSIM_ORDERS_MAX || action->kind == KEEPER_CHECKPOINT) {
        return; /* lost; or beside the others */
    }
    struct ksim_order *order = &n->orders[n->order_count++];
    *order = (struct ksim_order){.action = *action, .peer = -1};
    if (action->text != NULL) {
        (void)rc_text_put(order->text, sizeof order->text, action->text);
    }
    if (action->node != NULL) {
        order->peer = ksim_node_by_name(n->world, action->node);
    }
}

static bool is_repair(const struct ksim_order *order)
{
    return order->action.kind == KEEPER_REWIND || order->action.kind == KEEPER_COPY;
}

void ksim_hands_drop(struct ksim_node *n)
{
    n->order_count = 0; /* a repair that had begun has left its marker */
}

static void answer(struct ksim_node *n, const struct keeper_done *done)
{
    struct ksim_world *w = n->world;
    bool is_long = n->answering == KEEPER_INITDB || n->answering == KEEPER_REWIND ||
                   n->answering == KEEPER_COPY;
    uint64_t chance = w->is_calm || is_long ? 1 : ksim_below(w, 100);

    for (int i = 0; i < (chance == 0 ? 0 : chance == 2 ? 2 : 1); i++) {
        struct ksim_message *m = ksim_post(w, KSIM_DONE, n->number, ksim_below(w, 4));
        if (m != NULL) {
            m->keeper = n->keeper;
            m->done = malloc(sizeof *m->done);
            assert(m->done != NULL);
            *m->done = *done;
        }
    }
}

/* ---- each */

static void look(struct ksim_node *n, struct keeper_done *done)
{
    const struct ksim_disk *disk = &n->pg.disk;

    done->disk = disk->is_empty           ? KEEPER_DISK_EMPTY
                 : disk->is_broken        ? KEEPER_DISK_BROKEN
                 : disk->is_standby_start ? KEEPER_DISK_UNREADY
                 : disk->is_clean         ? KEEPER_DISK_CLEAN
                                          : KEEPER_DISK_CRASHED;
    done->was_primary = disk->was_primary;
    done->tli = disk->tli;
    done->lsn = disk->lsn;
    (void)rc_text_put(done->sysid, sizeof done->sysid, disk->is_empty ? "" : "4711");
}

static bool source_serves(const struct ksim_node *n, int peer)
{
    const struct ksim_world *w = n->world;

    return peer >= 0 && peer != n->number && ksim_pg_answers(&w->nodes[peer]) &&
           !ksim_is_cut(w, n->number, peer) && !ksim_is_cut(w, peer, n->number);
}

static bool begin_repair(struct ksim_node *n, const struct ksim_order *order)
{
    struct ksim_disk *disk = &n->pg.disk;

    if (n->pg.runs || !source_serves(n, order->peer) ||
        n->world->nodes[order->peer].pg.in_recovery) {
        return false;
    }
    if (order->action.kind == KEEPER_REWIND && ksim_below(n->world, 8) == 0) {
        return false; /* the WAL it needs is gone */
    }
    disk->is_broken = true;
    return true;
}

static bool repair(struct ksim_node *n, const struct ksim_order *order)
{
    struct ksim_disk *disk = &n->pg.disk;
    const struct ksim_disk *source = &n->world->nodes[order->peer].pg.disk;

    if (!source_serves(n, order->peer) || n->world->nodes[order->peer].pg.in_recovery) {
        return false;
    }
    memcpy(disk->wal, source->wal, sizeof disk->wal);
    memcpy(disk->forks, source->forks, sizeof disk->forks);
    disk->fork_count = source->fork_count;
    disk->tli = source->tli;
    disk->lsn = order->begun_lsn < source->lsn ? order->begun_lsn : source->lsn;
    disk->min_lsn = source->lsn;
    disk->is_standby_start = true;
    disk->is_empty = false;
    disk->is_broken = false;
    disk->is_clean = false;
    disk->source = order->peer;
    (void)rc_text_put(disk->names, sizeof disk->names, source->names);
    return true;
}

static bool read_history(const struct ksim_node *n, int peer, struct keeper_done *done)
{
    if (!source_serves(n, peer)) {
        return false;
    }
    const struct ksim_disk *disk = &n->world->nodes[peer].pg.disk;
    memcpy(done->forks, disk->forks, sizeof done->forks);
    done->fork_count = disk->fork_count;
    done->on_tli = disk->tli;
    return true;
}

static bool send_promote(struct ksim_node *n, const struct ksim_order *order)
{
    struct ksim_pg *pg = &n->pg;
    struct ksim_world *w = n->world;

    if (!pg->in_recovery) {
        return false;
    }
    bool is_relaunching = pg->disk.source >= 0 && !pg->has_receiver;
    if (pg->promote_ms == 0 && is_relaunching && !pg->sleeps) {
        pg->sleeps = true; /* the wake-up is lost: the next one is heard */
        return true;
    }
    if (pg->promote_ms == 0) {
        bool is_slow = !w->is_calm && ksim_below(w, 12) == 0;
        pg->promote_ms = w->now_ms + ksim_between(w, 10, is_slow ? 4000 : 120);
        pg->promote_tli = order->action.timeline;
    }
    return true;
}

static bool start(struct ksim_node *n, const struct ksim_order *order)
{
    if (n->pg.runs) {
        return true;
    }
    if (n->pg.disk.is_empty || n->pg.disk.is_broken || !ksim_warden_works(n)) {
        return false;
    }
    if (order->action.detached) {
        n->pg.disk.source = -1;
    }
    ksim_pg_start(n);
    return true;
}

static bool initdb(struct ksim_node *n)
{
    if (!n->pg.disk.is_empty) {
        return false;
    }
    n->pg.disk = (struct ksim_disk){.tli = 1, .is_clean = true, .source = -1};
    (void)ksim_pg_append(n);
    return true;
}

/* With PostgreSQL there to answer. */
static bool ask_server(struct ksim_node *n, const struct ksim_order *order,
                       struct keeper_done *done)
{
    struct ksim_pg *pg = &n->pg;

    if (!ksim_pg_answers(n)) {
        return false;
    }
    if (order->action.kind == KEEPER_DETACH) {
        pg->disk.source = -1;
        pg->has_receiver = false;
    } else if (order->action.kind == KEEPER_FOLLOW) {
        if (pg->disk.source != order->peer) {
            pg->has_receiver = false;
        }
        pg->disk.source = order->peer;
    } else if (order->action.kind == KEEPER_SET_NAMES) {
        ksim_pg_set_names(n, order->text);
    } else if (order->action.kind == KEEPER_MARK_WAL) {
        done->marked_lsn = pg->in_recovery ? 0 : ksim_pg_append(n);
        return !pg->in_recovery;
    } else if (order->action.kind == KEEPER_PROMOTE) {
        return send_promote(n, order);
    }
    return true;
}

static bool is_stopping(const struct ksim_order *order)
{
    return order->action.kind == KEEPER_STOP_FAST ||
           order->action.kind == KEEPER_STOP_IMMEDIATE;
}

static bool stop(struct ksim_node *n, const struct ksim_order *order)
{
    if (!ksim_warden_works(n)) {
        return false;
    }
    if (order->action.kind == KEEPER_STOP_FAST) {
        ksim_pg_stop_clean(n);
    } else {
        ksim_pg_kill(n);
    }
    return !n->pg.runs;
}

/* A statement that was sent is carried out though nobody waits for its answer. */
void ksim_hands_leave(struct ksim_node *n)
{
    const struct ksim_order *order = &n->orders[0];
    enum keeper_action_kind kind = order->action.kind;
    bool is_statement = kind == KEEPER_DETACH || kind == KEEPER_FOLLOW ||
                        kind == KEEPER_SET_NAMES || kind == KEEPER_MARK_WAL ||
                        kind == KEEPER_PROMOTE;
    struct keeper_done done = {.text = ""};

    if (n->order_count > 0 && is_statement && order->due_ms != 0 &&
        ksim_below(n->world, 2) == 0) {
        (void)ask_server(n, order, &done);
    }
    n->order_count = 0;
}

static bool carry_out(struct ksim_node *n, const struct ksim_order *order,
                      struct keeper_done *done)
{
    enum keeper_action_kind kind = order->action.kind;

    if (kind == KEEPER_LOOK) {
        look(n, done);
        return !n->pg.runs;
    }
    if (kind == KEEPER_START) {
        return start(n, order);
    }
    if (kind == KEEPER_INITDB) {
        return initdb(n);
    }
    if (kind == KEEPER_READ_HISTORY) {
        return read_history(n, order->peer, done);
    }
    if (is_repair(order)) {
        return repair(n, order);
    }
    return is_stopping(order) ? stop(n, order) : ask_server(n, order, done);
}

/* A stopped server answers nobody: the order waits, until it takes too long. */
static bool hangs(const struct ksim_node *n, const struct ksim_order *order)
{
    enum keeper_action_kind kind = order->action.kind;
    bool needs_server = kind != KEEPER_LOOK && kind != KEEPER_START &&
                        kind != KEEPER_INITDB && !is_repair(order) &&
                        kind != KEEPER_READ_HISTORY;

    return needs_server && n->pg.runs && n->pg.is_paused;
}

static void finish(struct ksim_node *n, bool is_done, struct keeper_done *done)
{
    done->end = is_done ? KEEPER_DONE : KEEPER_FAILED;
    done->text = is_done ? "" : "failed";
    n->answering = n->orders[0].action.kind;
    if (n->answering != KEEPER_LOOK && n->answering != KEEPER_SET_SLOTS) {
        ksim_aim(n->world, n, 20);
    }
    n->order_count--;
    memmove(n->orders, n->orders + 1, n->order_count * sizeof *n->orders);
    answer(n, done);
}

void ksim_hands_step(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    struct ksim_order *order = &n->orders[0];

    if (n->order_count == 0 || !ksim_keeper_hears(n)) {
        return;
    }
    struct keeper_done done = {.id = order->action.id, .text = ""};
    if (order->due_ms == 0) {
        const struct pace *pace = &paces[order->action.kind];
        order->due_ms = w->now_ms + ksim_between(w, pace->low_ms, pace->high_ms);
        if (is_repair(order)) {
            if (!begin_repair(n, order)) {
                finish(n, false, &done);
                return;
            }
            order->begun_lsn = w->nodes[order->peer].pg.disk.lsn;
        }
    }
    if (w->now_ms < order->due_ms) {
        return;
    }
    if (hangs(n, order)) {
        if (w->now_ms > order->due_ms + order->action.time_ms) {
            finish(n, false, &done);
        }
        return;
    }
    bool is_done = carry_out(n, order, &done);
    finish(n, is_done, &done);
}
