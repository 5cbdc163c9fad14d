/* keeper_sync.c - the holder's rule of confirmation: what is wished, and the next step to it. */
#include <assert.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { MISSING_MS = 1000, STUCK_MS = 1500, MARK_MS = 3000 };

enum keeper_mode keeper_mode(const struct keeper *k)
{
    return k->view.settings.has_mode ? k->view.settings.mode : k->options.mode;
}

const struct keeper_sender *keeper_sender(const struct keeper *k, const char *name)
{
    for (size_t i = 0; i < k->probe.sender_count; i++) {
        if (strcmp(k->probe.senders[i].name, name) == 0) {
            return &k->probe.senders[i];
        }
    }
    return NULL;
}

static int wanted_k(const struct keeper *k)
{
    return k->view.settings.k > 0 ? (int)k->view.settings.k : 1;
}

/* Members that may confirm: seated, alive, not left out. */
static bool may_confirm(const struct keeper *k, const struct keeper_seat *seat)
{
    return strcmp(seat->node, k->node) != 0 && !seat->record.no_sync &&
           seat->place.session[0] != '\0';
}

/* Connected by its looks, but nothing of what it was sent is flushed: cut off, or hanging. */
static bool is_stuck(struct keeper *k, size_t at, const struct keeper_sender *sender)
{
    bool moves = sender->flush_lsn != k->flushed_lsn[at];

    if (moves || sender->flush_lsn >= k->probe.lsn || k->flushed_ms[at] == 0) {
        k->flushed_lsn[at] = sender->flush_lsn;
        k->flushed_ms[at] = k->probe.asked_ms;
    }
    return k->probe.asked_ms - k->flushed_ms[at] >= STUCK_MS;
}

static bool is_confirming(struct keeper *k, size_t at)
{
    const struct keeper_seat *seat = &k->view.seats[at];
    const struct keeper_sender *sender = keeper_sender(k, seat->node);
    bool is_here =
        may_confirm(k, seat) && sender != NULL && sender->is_streaming && keeper_knows(k);
    bool was = k->names_are_known && k->names.k > 0 &&
               quorum_set_has(&k->names.names, seat->node);

    if (is_here) {
        k->missing_ms[at] = 0;
        return !is_stuck(k, at, sender);
    }
    if (!was || seat->place.session[0] == '\0' || seat->record.no_sync) {
        return false;
    }
    /* One that was counted a moment ago may only be reconnecting. */
    k->missing_ms[at] = k->missing_ms[at] == 0 ? k->now_ms : k->missing_ms[at];
    return k->now_ms - k->missing_ms[at] < MISSING_MS;
}

static void all_seats(const struct keeper *k, struct quorum_set *out)
{
    *out = (struct quorum_set){.count = 0};
    for (size_t i = 0; i < k->view.seat_count; i++) {
        const struct keeper_seat *seat = &k->view.seats[i];
        if (strcmp(seat->node, k->node) != 0 && !seat->record.no_sync) {
            (void)quorum_set_add(out, seat->node);
        }
    }
}

static void wish_for(struct keeper *k, struct quorum_names *out)
{
    int k_wanted = wanted_k(k);

    *out = (struct quorum_names){.k = 0};
    if (keeper_mode(k) == KEEPER_ASYNC) {
        return;
    }
    for (size_t i = 0; i < k->view.seat_count; i++) {
        if (is_confirming(k, i)) {
            (void)quorum_set_add(&out->names, k->view.seats[i].node);
        }
    }
    int count = (int)out->names.count;
    k->lacks_confirmers = count < k_wanted;
    if (keeper_mode(k) == KEEPER_SYNC) {
        out->k = count < k_wanted ? count : k_wanted;
        return;
    }
    out->k = k_wanted;
    if (count < k_wanted) { /* strict: as it is, or all there could be */
        bool is_strict_now = k->names_are_known && k->names.k == k_wanted &&
                             (int)k->names.names.count >= k_wanted;
        if (is_strict_now) {
            out->names = k->names.names;
        } else {
            all_seats(k, &out->names);
        }
    }
}

static void fill_sync(const struct keeper *k, const struct quorum_record *record,
                      const struct quorum_names *names, struct keeper_sync_record *out)
{
    *out = (struct keeper_sync_record){.term = k->term,
                                       .quorum = record->q,
                                       .k = names->k,
                                       .mode = keeper_mode(k),
                                       .member_count = record->members.count,
                                       .name_count = names->names.count};
    (void)rc_text_put(out->holder, sizeof out->holder, k->node);
    memcpy(out->members, record->members.names, sizeof out->members);
    memcpy(out->names, names->names.names, sizeof out->names);
}

static void read_record(const struct keeper *k, struct quorum_record *out)
{
    const struct keeper_sync_record *sync = &k->view.sync;

    *out = (struct quorum_record){.q = sync->quorum};
    for (size_t i = 0; i < sync->member_count; i++) {
        (void)quorum_set_add(&out->members, sync->members[i]);
    }
}

void keeper_sync_first(struct keeper *k, struct keeper_sync_record *out)
{
    struct quorum_record record = {.q = KEEPER_QUORUM_NEVER};
    struct quorum_names names;

    wish_for(k, &names);
    record.members = names.names;
    record.q = keeper_mode(k) == KEEPER_ASYNC ? 0 : KEEPER_QUORUM_NEVER;
    fill_sync(k, &record, &names, out);
}

/* ---- steps */

static void write_record(struct keeper *k, const struct quorum_record *record,
                         const struct quorum_names *names)
{
    struct keeper_request *r = keeper_ask(k, FOR_SYNC);
    struct keeper_sync_record sync;

    if (r == NULL) {
        return;
    }
    fill_sync(k, record, names, &sync);
    keeper_ask_held(k, r);
    keeper_ask_sync(k, r, &sync);
    keeper_ask_send(k, r);
}

static void set_names(struct keeper *k, const struct quorum_names *names)
{
    char text[KEEPER_SSN_MAX];

    if (!keeper_hand_is_free(k) || quorum_show(names, text, sizeof text) != 0) {
        return;
    }
    k->names_are_known = false; /* from now on either may be in force */
    keeper_set_names(k, text);
    k->hand.names = *names;
}

bool keeper_is_confirmed(const struct keeper *k, uint64_t lsn)
{
    int count = 0;

    for (size_t i = 0; i < k->names.names.count; i++) {
        const struct keeper_sender *sender = keeper_sender(k, k->names.names.names[i]);
        count += sender != NULL && sender->is_counted && sender->flush_lsn >= lsn;
    }
    return count >= k->names.k;
}

/* S2: what was committed before the names were in force everywhere. */
static void catch_up(struct keeper *k)
{
    if (k->now_ms - k->set_ms < KEEPER_SETTLE_MS) {
        return;
    }
    if (k->marked_lsn == 0) {
        (void)keeper_order(k, KEEPER_MARK_WAL, MARK_MS);
        return;
    }
    if (keeper_knows(k) && k->probe.asked_ms >= k->marked_ms &&
        keeper_is_confirmed(k, k->marked_lsn)) {
        k->is_caught_up = true;
    }
}

/* A record's write may still come: nothing may rely on the old one until it cannot. */
static bool is_settled(struct keeper *k, const struct quorum_now *now,
                       const struct quorum_names *wish)
{
    if (k->sync_is_unsure && k->view.sync_at.index != k->unsure_index) {
        k->sync_is_unsure = false;
    }
    if (k->sync_is_unsure) {
        write_record(k, &now->record, wish); /* by the same index: one of the two fails */
    }
    return !k->sync_is_unsure;
}

bool keeper_sync_think(struct keeper *k)
{
    struct quorum_now now = {.names_are_known = k->names_are_known,
                             .names = k->names,
                             .is_caught_up = k->is_caught_up};
    struct quorum_names wish;
    struct quorum_next next;

    if (!keeper_view_is_current(k) || k->cluster_request.id != 0 ||
        (k->hand.id != 0 && k->hand.kind == KEEPER_SET_NAMES)) {
        return false;
    }
    read_record(k, &now.record);
    wish_for(k, &wish);
    if (!is_settled(k, &now, &wish)) {
        return false;
    }
    quorum_step(&now, &wish,
                keeper_mode(k) == KEEPER_ASYNC ? QUORUM_ANYBODY : QUORUM_NOBODY, &next);
    switch (next.step) {
    case QUORUM_REST:
        return true;
    case QUORUM_WRITE:
        write_record(k, &next.record, &wish);
        break;
    case QUORUM_SET:
        set_names(k, &next.names);
        break;
    case QUORUM_CATCH:
        catch_up(k);
        break;
    }
    return false;
}
