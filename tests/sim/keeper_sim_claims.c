/* keeper_sim_claims.c - what must hold at every moment, and what good order is. */
#include <string.h>

#include "tests/sim/keeper_sim_state.h"

enum { ACK_RECENT_MS = 2000 };

void ksim_claim_acked(struct ksim_world *w, uint64_t lsn, uint32_t id,
                      const struct ksim_node *n)
{
    w->report->acknowledged++;
    w->last_ack_ms = w->now_ms;
    if (w->acked[lsn] != 0 && w->acked[lsn] != id) {
        w->report->lost++;
        if (!w->was_async) {
            ksim_fail(w, "%s acknowledges at %llu what another acknowledged otherwise",
                      n->name, (unsigned long long)lsn);
        }
    }
    w->acked[lsn] = id;
    w->acked_top = lsn + 1 > w->acked_top ? lsn + 1 : w->acked_top;
}

/* G2: who opens has all that was acknowledged. */
static void claim_complete(struct ksim_world *w, const struct ksim_node *n)
{
    const struct ksim_disk *disk = &n->pg.disk;

    for (uint64_t at = 0; at < w->acked_top && !w->was_async; at++) {
        if (w->acked[at] != 0 && (at >= disk->lsn || disk->wal[at] != w->acked[at])) {
            ksim_fail(w, "%s is primary without the write acknowledged at %llu (of %llu)",
                      n->name, (unsigned long long)at, (unsigned long long)w->acked_top);
            return;
        }
    }
}

/* G1: nobody can be answered by two, but for what no deadline sees. */
static void claim_one_writable(struct ksim_world *w)
{
    const struct ksim_node *first = NULL;

    for (int i = 0; i < w->node_count; i++) {
        const struct ksim_node *n = &w->nodes[i];
        bool is_writable = n->pg.runs && !n->pg.in_recovery && !n->pg.is_paused &&
                           w->now_ms >= n->pg.ready_ms && !n->pg.was_blind;
        if (is_writable && first != NULL) {
            ksim_fail(w, "%s and %s are writable at once", first->name, n->name);
        }
        first = is_writable ? n : first;
    }
}

static void claim_one_holder(struct ksim_world *w)
{
    struct keeper_status a;
    struct keeper_status b;

    for (int i = 0; i < w->node_count; i++) {
        for (int j = i + 1; j < w->node_count; j++) {
            if (w->nodes[i].keeper == NULL || w->nodes[j].keeper == NULL) {
                continue;
            }
            keeper_status(w->nodes[i].keeper, &a);
            keeper_status(w->nodes[j].keeper, &b);
            if (a.term != 0 && a.term == b.term) {
                ksim_fail(w, "two keepers hold term %llu", (unsigned long long)a.term);
            }
        }
    }
}

static void claim_lease(struct ksim_world *w)
{
    const struct ksim_key *lease = ksim_store_get(w, "lease");
    struct keeper_lease_record record;

    if (lease == NULL || lease->session < 0) {
        return;
    }
    if (lease->term < w->last_term) {
        ksim_fail(w, "terms fall");
    }
    w->last_term = lease->term;
    (void)keeper_lease_read(rc_buffer_string(&lease->value), lease->value.size, &record);
    if (record.writable && lease->term != w->checked_term) {
        int holder = ksim_node_by_name(w, record.node);
        w->checked_term = lease->term;
        if (holder >= 0) {
            claim_complete(w, &w->nodes[holder]);
        }
    }
}

void ksim_claims_step(struct ksim_world *w)
{
    claim_one_writable(w);
    if (w->store.index != w->made_claims) {
        w->made_claims = w->store.index;
        claim_one_holder(w);
        claim_lease(w);
    }
}

/* ---- good order */

bool ksim_is_in_order(const struct ksim_world *w)
{
    const struct ksim_key *lease = ksim_store_get(w, "lease");
    struct keeper_lease_record record;
    struct keeper_status status;

    if (lease == NULL || lease->session < 0 ||
        w->now_ms - w->last_ack_ms > ACK_RECENT_MS) {
        return false;
    }
    (void)keeper_lease_read(rc_buffer_string(&lease->value), lease->value.size, &record);
    int holder = ksim_node_by_name(w, record.node);
    if (!record.writable || holder < 0) {
        return false;
    }
    for (int i = 0; i < w->node_count; i++) {
        const struct ksim_node *n = &w->nodes[i];
        if (n->keeper == NULL) {
            return false;
        }
        keeper_status(n->keeper, &status);
        bool is_good = i == holder ? status.state == KEEPER_PRIMARY && !n->pg.in_recovery
                                   : status.state == KEEPER_STANDBY && n->pg.has_receiver;
        if (!n->pg.runs || !is_good) {
            return false;
        }
    }
    return true;
}
