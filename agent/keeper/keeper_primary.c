/* keeper_primary.c - open to clients: watch PostgreSQL, keep the rule, listen to operators. */
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

static void ended(struct keeper *k, enum keeper_process process)
{
    if (process == KEEPER_NO_PROCESS || !keeper_warden_is_silent(k)) {
        keeper_crashed(k);
        keeper_demote(k, WAY_GONE, KEEPER_INIT, "PostgreSQL has ended");
    }
}

static bool is_member(const struct keeper_sync_record *sync, const char *node)
{
    for (size_t i = 0; i < sync->member_count; i++) {
        if (strcmp(sync->members[i], node) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_heir(const struct keeper *k, const struct keeper_seat *seat)
{
    const struct keeper_sync_record *sync = &k->view.sync;
    const struct keeper_sender *sender = keeper_sender(k, seat->node);

    if (seat->place.session[0] == '\0' || seat->record.state != KEEPER_STANDBY ||
        !candidate_is_willing(&seat->record) || sender == NULL || !sender->is_streaming) {
        return false;
    }
    return sync->quorum > 0
               ? is_member(sync, seat->node)
               : sender->flush_lsn + k->options.max_lag_bytes >= k->probe.lsn;
}

/* Somebody takes over without loss when this one ends: elected, or, in mode async, with all that
 * a clean stop still sends. Where all disks are full, to move would help nobody. */
bool keeper_has_heir(const struct keeper *k)
{
    const struct keeper_sync_record *sync = &k->view.sync;

    if (!keeper_view_is_current(k) || !k->view.sync_at.exists || sync->quorum < 0 ||
        sync->term != k->term) {
        return false;
    }
    for (size_t i = 0; i < k->view.seat_count; i++) {
        if (is_heir(k, &k->view.seats[i])) {
            return true;
        }
    }
    return false;
}

/* True when it is being given up for that. */
static bool give_way(struct keeper *k)
{
    static const char alone[] =
        "PostgreSQL cannot write to its disk, and nobody can take over without loss";

    if (!keeper_is_unwritable(k)) {
        if (strcmp(k->problem, alone) == 0) {
            keeper_trouble(k, "");
        }
        return false;
    }
    if (!keeper_has_heir(k)) {
        keeper_trouble(k, alone);
        return false;
    }
    keeper_trouble(k, "");
    keeper_demote(k, k->view.sync.quorum > 0 ? WAY_GONE : WAY_HANDOVER, KEEPER_INIT,
                  "PostgreSQL cannot write to its disk");
    return true;
}

/* Strict, and nobody confirms: an operator must hear of it. */
static void watch_waiting(struct keeper *k)
{
    static const char words[] = "strict: commits wait for a standby";
    bool is_told = strcmp(k->problem, words) == 0;
    bool is_waiting = keeper_mode(k) == KEEPER_STRICT && k->lacks_confirmers;

    if (is_waiting && !is_told) {
        keeper_say(k, KEEPER_ALARM, "%s", words);
        keeper_trouble(k, words);
    } else if (!is_waiting && is_told) {
        keeper_trouble(k, "");
    }
}

void keeper_on_primary(struct keeper *k)
{
    enum keeper_process process = keeper_process(k);

    if (k->term == 0) {
        keeper_demote(k, WAY_FENCE, KEEPER_INIT, "the lease was lost");
        return;
    }
    if (keeper_is_paused(k)) {
        return; /* the lease is renewed, nothing else is done */
    }
    if (process != KEEPER_RUNNING) {
        ended(k, process);
        return;
    }
    if (keeper_is_hung(k)) {
        keeper_crashed(k);
        keeper_demote(k, WAY_GONE, KEEPER_INIT, "PostgreSQL does not answer");
        return;
    }
    if (!keeper_knows(k)) {
        return;
    }
    if (k->probe.in_recovery) {
        keeper_demote(k, WAY_GONE, KEEPER_INIT, "PostgreSQL is in recovery");
        return;
    }
    if (give_way(k) || keeper_obey(k) || keeper_intend(k)) {
        return;
    }
    bool is_at_rest = keeper_sync_think(k);
    watch_waiting(k);
    keeper_tell_state(k);
    if (k->wants_checkpoint && is_at_rest) {
        /* pg_rewind before 16 compares the control files' timelines. */
        k->wants_checkpoint = keeper_push(k, KEEPER_CHECKPOINT) == NULL;
    }
    if (is_at_rest) {
        keeper_keep_slots(k);
    }
}
