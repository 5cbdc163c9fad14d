/* keeper_slots.c - slots for all other members, on the primary and on standbys: whoever is promoted
 * has the WAL that the others need.
 *
 * On a standby they are moved on to what the member has replayed, as nobody receives by them. The
 * slot of a member that has gone is kept for a while: it may come back and need no copy. What they
 * may keep is bounded by max_slot_wal_keep_size. */
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    SLOTS_EVERY_MS = 5000,
    SLOTS_MS = 3000,
    SLOT_TTL_MS = 30 * 60 * 1000, /* of a member that has gone */
};

static struct keeper_known_member *find(struct keeper *k, const char *node)
{
    struct keeper_known_member *oldest = &k->known[0];

    for (size_t i = 0; i < KEEPER_MEMBERS_MAX; i++) {
        if (strcmp(k->known[i].node, node) == 0) {
            return &k->known[i];
        }
        oldest = k->known[i].seen_ms < oldest->seen_ms ? &k->known[i] : oldest;
    }
    *oldest = (struct keeper_known_member){.seen_ms = 0};
    (void)rc_text_put(oldest->node, sizeof oldest->node, node);
    return oldest;
}

static void look(struct keeper *k)
{
    for (size_t i = 0; i < k->view.seat_count; i++) {
        const struct keeper_seat *seat = &k->view.seats[i];
        if (strcmp(seat->node, k->node) != 0) {
            struct keeper_known_member *known = find(k, seat->node);
            known->seen_ms = k->now_ms;
            known->lsn = seat->record.replay_lsn;
        }
    }
}

static size_t list(struct keeper *k)
{
    size_t count = 0;

    for (size_t i = 0; i < KEEPER_MEMBERS_MAX; i++) {
        const struct keeper_known_member *known = &k->known[i];
        if (known->node[0] != '\0' && k->now_ms - known->seen_ms < SLOT_TTL_MS) {
            (void)rc_text_put(k->slots[count].node, KEEPER_NODE_MAX, known->node);
            k->slots[count].lsn = known->lsn;
            count++;
        }
    }
    return count;
}

void keeper_keep_slots(struct keeper *k)
{
    if (k->now_ms - k->slots_ms < SLOTS_EVERY_MS || !keeper_hand_is_free(k) ||
        !keeper_view_is_current(k)) {
        return;
    }
    look(k);
    size_t count = list(k);
    struct keeper_action *action = keeper_order(k, KEEPER_SET_SLOTS, SLOTS_MS);
    if (action != NULL) {
        action->slots = k->slots;
        action->slot_count = count;
        /* Who was gone before this keeper began is not known to it. */
        action->keeps_others = k->now_ms - k->begun_ms < SLOT_TTL_MS;
        k->slots_ms = k->now_ms;
    }
}
