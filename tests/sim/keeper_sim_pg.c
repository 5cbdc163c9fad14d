/* keeper_sim_pg.c - a model of PostgreSQL: WAL on timelines, receivers, who confirms a commit. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tests/sim/keeper_sim_state.h"

enum {
    SENDER_TIMEOUT_MS = 5000,
    LATE_MS = 200, /* at most, from a setting to all processes that go by it */
    CALM_WRITE_MS = 100,
    STALL_MS = 5000 /* wal_retrieve_retry_interval */
};

void ksim_pg_init(struct ksim_node *n)
{
    n->pg.disk = (struct ksim_disk){.is_empty = true, .source = -1};
}

bool ksim_pg_answers(const struct ksim_node *n)
{
    const struct ksim_pg *pg = &n->pg;

    return pg->runs && !pg->is_paused && n->world->now_ms >= pg->ready_ms &&
           !pg->disk.is_standby_start;
}

uint64_t ksim_pg_append(struct ksim_node *n)
{
    struct ksim_disk *disk = &n->pg.disk;

    if (disk->lsn + 1 < KSIM_WAL_MAX) {
        n->pg.is_pending[disk->lsn] = false;
        disk->wal[disk->lsn] = (uint32_t)++n->world->next_id;
        disk->lsn++;
    }
    return disk->lsn;
}

void ksim_pg_start(struct ksim_node *n)
{
    struct ksim_world *w = n->world;
    struct ksim_pg *pg = &n->pg;

    pg->runs = true;
    pg->is_paused = n->pg_paused_until > w->now_ms;
    pg->in_recovery = true; /* there is always a standby.signal */
    pg->run++;
    pg->ready_ms = w->now_ms + ksim_between(w, 30, 400);
    pg->promote_ms = 0;
    pg->sleeps = false;
    pg->has_receiver = false;
    pg->next_receiver_ms = pg->ready_ms;
    pg->was_blind = false;
    memset(pg->senders, 0, sizeof pg->senders);
    pg->disk.is_clean = false;
    pg->disk.was_primary = false;
    pg->pending_from = pg->disk.lsn;
    pg->waits = false;
    ksim_pg_set_names(n, pg->disk.names);
    n->must_echo = true;
}

static void ended(struct ksim_node *n)
{
    n->pg.runs = false;
    n->pg.has_receiver = false;
    n->pg.promote_ms = 0;
    memset(n->pg.senders, 0, sizeof n->pg.senders);
    n->must_echo = true;
}

void ksim_pg_kill(struct ksim_node *n)
{
    if (n->pg.runs) {
        n->pg.disk.was_primary = !n->pg.in_recovery;
        n->pg.disk.is_clean = false;
        ended(n);
    }
}

/* Walsenders ship all there is before they end, to those who listen. */
void ksim_pg_stop_clean(struct ksim_node *n)
{
    struct ksim_world *w = n->world;

    if (!n->pg.runs || n->pg.is_paused) {
        return;
    }
    if (!n->pg.in_recovery) {
        (void)ksim_pg_append(n);
        for (int i = 0; i < w->node_count; i++) {
            struct ksim_node *peer = &w->nodes[i];
            if (peer != n && peer->pg.has_receiver && peer->pg.disk.source == n->number &&
                !peer->pg.is_paused && !ksim_is_cut(w, n->number, i) &&
                peer->pg.disk.tli == n->pg.disk.tli && ksim_below(w, 20) != 0) {
                memcpy(peer->pg.disk.wal, n->pg.disk.wal,
                       n->pg.disk.lsn * sizeof(uint32_t));
                peer->pg.disk.lsn = n->pg.disk.lsn;
            }
        }
    }
    n->pg.disk.was_primary = !n->pg.in_recovery;
    n->pg.disk.is_clean = !n->pg.disk.is_standby_start;
    ended(n);
}

/* Each process rereads the configuration when it gets to it; one that was about to reads the
 * newest then. */
static uint64_t reread_at(struct ksim_world *w, uint64_t due_ms)
{
    uint64_t at_ms = w->now_ms + ksim_below(w, LATE_MS);

    return due_ms > w->now_ms && due_ms < at_ms ? due_ms : at_ms;
}

void ksim_pg_set_names(struct ksim_node *n, const char *names)
{
    struct ksim_pg *pg = &n->pg;
    struct ksim_world *w = n->world;
    char quoted[16];

    if (names != pg->disk.names) {
        (void)rc_text_put(pg->disk.names, sizeof pg->disk.names, names);
    }
    pg->rule.k = strncmp(names, "ANY ", 4) == 0 ? (int)strtol(names + 4, NULL, 10) : 0;
    for (int i = 0; i < w->node_count; i++) {
        (void)snprintf(quoted, sizeof quoted, "\"%s\"", w->nodes[i].name);
        pg->rule.counts[i] = strstr(names, quoted) != NULL;
        pg->senders[i].rereads_ms = reread_at(w, pg->senders[i].rereads_ms);
    }
    pg->will_wait = names[0] != '\0';
    pg->waits_at_ms = reread_at(w, pg->waits_at_ms);
}

/* ---- receiving */

bool ksim_pg_lies_on(const struct ksim_disk *mine, const struct ksim_disk *source)
{
    if (mine->tli == source->tli) {
        return mine->lsn <= source->lsn;
    }
    for (size_t i = 0; i < source->fork_count; i++) {
        if (source->forks[i].tli == mine->tli) {
            return mine->lsn <= source->forks[i].end_lsn;
        }
    }
    return false;
}

static void check_content(struct ksim_node *n, const struct ksim_node *source)
{
    const struct ksim_disk *mine = &n->pg.disk;

    if (memcmp(mine->wal, source->pg.disk.wal, mine->lsn * sizeof(uint32_t)) != 0) {
        ksim_fail(n->world, "%s follows %s though its WAL is another's: corrupted",
                  n->name, source->name);
    }
}

static struct ksim_node *source_of(struct ksim_node *n)
{
    return n->pg.disk.source >= 0 ? &n->world->nodes[n->pg.disk.source] : NULL;
}

static bool can_talk(const struct ksim_world *w, int a, int b)
{
    return !ksim_is_cut(w, a, b) && !ksim_is_cut(w, b, a);
}

static void connect(struct ksim_node *n, struct ksim_node *source)
{
    struct ksim_pg *pg = &n->pg;
    struct ksim_world *w = n->world;

    if (w->now_ms < pg->next_receiver_ms) {
        return;
    }
    bool can = can_talk(w, n->number, source->number) && ksim_pg_answers(source) &&
               ksim_pg_lies_on(&pg->disk, &source->pg.disk);
    pg->next_receiver_ms =
        w->now_ms + (ksim_below(w, 10) == 0 ? STALL_MS : ksim_between(w, 50, 300));
    if (!can) {
        return;
    }
    check_content(n, source);
    pg->has_receiver = true;
    source->pg.senders[n->number].rule = source->pg.rule;
}

static void receive(struct ksim_node *n, struct ksim_node *source)
{
    struct ksim_disk *mine = &n->pg.disk;
    const struct ksim_disk *theirs = &source->pg.disk;

    if (n->world->now_ms < n->pg.next_batch_ms) {
        source->pg.senders[n->number].heard_ms = n->world->now_ms;
        return;
    }
    n->pg.next_batch_ms = n->world->now_ms + n->pg.lag_ms;
    if (theirs->lsn > mine->lsn) {
        memcpy(mine->wal + mine->lsn, theirs->wal + mine->lsn,
               (theirs->lsn - mine->lsn) * sizeof(uint32_t));
        mine->lsn = theirs->lsn;
    }
    mine->tli = theirs->tli;
    mine->fork_count = theirs->fork_count;
    memcpy(mine->forks, theirs->forks, sizeof mine->forks);
    if (mine->is_standby_start && mine->lsn >= mine->min_lsn) {
        mine->is_standby_start = false;
    }
    struct ksim_sender *sender = &source->pg.senders[n->number];
    sender->is_there = true;
    sender->flush = mine->lsn;
    sender->heard_ms = n->world->now_ms;
}

static void follow(struct ksim_node *n)
{
    struct ksim_node *source = source_of(n);
    struct ksim_pg *pg = &n->pg;

    if (source == NULL || source == n) {
        pg->has_receiver = false;
        return;
    }
    if (pg->has_receiver && (!source->pg.runs || source->pg.disk.tli < pg->disk.tli)) {
        pg->has_receiver = false;
        pg->next_receiver_ms = n->world->now_ms + 50;
    }
    if (!pg->has_receiver) {
        connect(n, source);
    }
    if (pg->has_receiver && !source->pg.is_paused &&
        can_talk(n->world, n->number, source->number)) {
        receive(n, source);
    }
}

/* ---- promotion */

static void promote(struct ksim_node *n)
{
    struct ksim_disk *disk = &n->pg.disk;

    n->pg.promote_ms = 0;
    n->pg.in_recovery = false;
    n->pg.has_receiver = false;
    assert(disk->fork_count < KEEPER_FORKS_MAX);
    disk->forks[disk->fork_count++] =
        (struct keeper_fork){.tli = disk->tli, .end_lsn = disk->lsn};
    disk->tli = n->pg.promote_tli;
    n->pg.pending_from = disk->lsn;
    (void)ksim_pg_append(n);
    n->must_echo = true;
}

/* ---- commits */

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left < right) - (left > right);
}

static bool is_counted(const struct ksim_pg *pg, int i)
{
    return pg->senders[i].is_there && pg->senders[i].rule.counts[i];
}

/* Up to where k of the names have flushed, as syncrep.c has it: each walsender that takes itself
 * for one of the names releases by its own k, and counts all that take themselves for such. */
static uint64_t confirmed(const struct ksim_node *n)
{
    const struct ksim_pg *pg = &n->pg;
    uint64_t flushed[KSIM_NODES_MAX] = {0};
    uint64_t until = 0;
    int count = 0;

    for (int i = 0; i < n->world->node_count; i++) {
        if (is_counted(pg, i)) {
            flushed[count++] = pg->senders[i].flush;
        }
    }
    qsort(flushed, (size_t)count, sizeof *flushed, by_number);
    for (int i = 0; i < n->world->node_count; i++) {
        int k = pg->senders[i].rule.k;
        if (is_counted(pg, i) && k > 0 && k <= count && flushed[k - 1] > until) {
            until = flushed[k - 1];
        }
    }
    return until;
}

static void acknowledge(struct ksim_node *n)
{
    struct ksim_pg *pg = &n->pg;
    uint64_t until = pg->waits ? confirmed(n) : pg->disk.lsn;

    for (uint64_t at = pg->pending_from; at < until && at < pg->disk.lsn; at++) {
        if (pg->is_pending[at]) {
            pg->is_pending[at] = false;
            ksim_claim_acked(n->world, at, pg->disk.wal[at], n);
        }
        pg->pending_from = at + 1;
    }
}

/* A client that writes to whatever server lets it. */
static void write(struct ksim_node *n)
{
    struct ksim_pg *pg = &n->pg;

    if (n->world->now_ms < pg->next_write_ms) {
        return;
    }
    pg->next_write_ms = n->world->now_ms + (n->world->is_calm ? (uint64_t)CALM_WRITE_MS
                                                              : n->world->write_every_ms);
    uint64_t lsn = ksim_pg_append(n);
    pg->is_pending[lsn - 1] = true;
}

void ksim_pg_step(struct ksim_node *n)
{
    struct ksim_pg *pg = &n->pg;
    struct ksim_world *w = n->world;

    pg->is_paused = n->pg_paused_until > w->now_ms;
    for (int i = 0; i < w->node_count; i++) {
        struct ksim_sender *sender = &pg->senders[i];
        if (w->nodes[i].pg.disk.source != n->number || !w->nodes[i].pg.has_receiver) {
            sender->is_there = sender->is_there && !can_talk(w, i, n->number);
        }
        if (w->now_ms - sender->heard_ms > SENDER_TIMEOUT_MS) {
            sender->is_there = false;
        }
        if (w->now_ms >= sender->rereads_ms) {
            sender->rule = pg->rule;
        }
    }
    if (!pg->runs || pg->is_paused || w->now_ms < pg->ready_ms) {
        return;
    }
    if (w->now_ms >= pg->waits_at_ms) {
        pg->waits = pg->will_wait;
    }
    if (pg->in_recovery) {
        follow(n);
        if (pg->promote_ms != 0 && w->now_ms >= pg->promote_ms) {
            promote(n);
        }
        return;
    }
    write(n);
    acknowledge(n);
}

/* ---- what a status query says */

void ksim_pg_probe(const struct ksim_node *n, struct keeper_probe *out)
{
    const struct ksim_pg *pg = &n->pg;
    const struct ksim_world *w = n->world;

    out->reach = !pg->runs             ? KEEPER_NO_SERVER
                 : pg->is_paused       ? KEEPER_SILENT
                 : !ksim_pg_answers(n) ? KEEPER_REFUSING
                                       : KEEPER_ANSWERED;
    if (out->reach != KEEPER_ANSWERED) {
        return;
    }
    out->in_recovery = pg->in_recovery;
    out->tli = pg->disk.tli;
    out->lsn = pg->disk.lsn;
    out->replay_lsn = pg->disk.lsn;
    out->has_receiver = pg->has_receiver;
    out->is_streaming = pg->has_receiver;
    (void)rc_text_put(out->sysid, sizeof out->sysid, "4711");
    (void)rc_text_put(out->names, sizeof out->names, pg->disk.names);
    for (int i = 0; i < w->node_count && !pg->in_recovery; i++) {
        if (pg->senders[i].is_there) {
            struct keeper_sender *row = &out->senders[out->sender_count++];
            (void)rc_text_put(row->name, sizeof row->name, w->nodes[i].name);
            row->is_streaming = true;
            row->is_counted = is_counted(pg, i);
            row->flush_lsn = pg->senders[i].flush;
            row->replay_lsn = row->flush_lsn;
        }
    }
}
