/* candidate.c - who may, who should, and how long the others hold back. */
#include "agent/keeper/candidate.h"

#include <string.h>

enum {
    FREEZE_WAIT_MS = 300,  /* for reports of those that can still give them */
    RIVAL_WAIT_MS = 1000,  /* for a better one to act */
    HOLDER_WAIT_MS = 1500, /* the last holder leaves the others the first go */
    TARGET_WAIT_MS = 5000  /* for whom a switchover names */
};

/* A node as a candidate. */
struct runner {
    const char *node;
    const struct keeper_member_record *record;
    bool is_alive; /* its session lives */
};

static struct runner runner_at(const struct candidate_case *c, size_t i)
{
    const struct keeper_seat *seat = &c->view->seats[i];
    bool is_me = strcmp(seat->node, c->me) == 0;

    return (struct runner){.node = seat->node,
                           .record = is_me ? c->mine : &seat->record,
                           .is_alive = is_me || seat->place.session[0] != '\0'};
}

static struct runner myself(const struct candidate_case *c)
{
    return (struct runner){.node = c->me, .record = c->mine, .is_alive = true};
}

bool candidate_has_all_of(const struct keeper_member_record *a,
                          const struct keeper_member_record *b)
{
    return a->tli != b->tli ? a->tli > b->tli : a->lsn >= b->lsn;
}

bool candidate_is_willing(const struct keeper_member_record *record)
{
    return !record->no_failover && !record->cannot_write;
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

static bool is_standing(const struct keeper_member_record *record)
{
    return record->state == KEEPER_STANDBY || record->state == KEEPER_ELECTING;
}

/* Its promise holds for everything that was ever opened: `sync` names the last such term. One
 * that does not know its own position cannot be compared with. */
static bool is_frozen(const struct candidate_case *c,
                      const struct keeper_member_record *r)
{
    return r->state == KEEPER_ELECTING && r->frozen >= c->view->sync.term &&
           r->frozen != 0 && r->tli != 0;
}

static bool is_named(const struct candidate_case *c, const char *node)
{
    return c->view->intent.kind != KEEPER_NO_INTENT &&
           strcmp(c->view->intent.to, node) == 0;
}

static bool is_last_holder(const struct candidate_case *c, const char *node)
{
    const struct keeper_view *view = c->view;
    const char *holder = view->sync_at.exists ? view->sync.holder : view->state.node;

    return strcmp(holder, node) == 0;
}

/* S3: q frozen members of M, itself with them, none of which has more. */
static bool is_elected(const struct candidate_case *c, const struct runner *r)
{
    const struct keeper_sync_record *sync = &c->view->sync;
    int votes = 0;

    if (!c->view->sync_at.exists || sync->quorum < 1 || !is_member(sync, r->node) ||
        !is_frozen(c, r->record)) {
        return false;
    }
    for (size_t i = 0; i < c->view->seat_count; i++) {
        struct runner other = runner_at(c, i);
        if (is_member(sync, other.node) && is_frozen(c, other.record) &&
            candidate_has_all_of(r->record, other.record)) {
            votes++;
        }
    }
    return votes >= sync->quorum;
}

static bool is_complete(const struct candidate_case *c, const struct runner *r)
{
    const struct keeper_state_record *state = &c->view->state;

    return state->clean && (r->record->tli != state->tli ? r->record->tli > state->tli
                                                         : r->record->lsn >= state->lsn);
}

static bool is_recent(const struct candidate_case *c, const struct runner *r)
{
    const struct keeper_view *view = c->view;
    uint64_t max_lag = view->settings.max_lag_bytes != 0 ? view->settings.max_lag_bytes
                                                         : c->max_lag_bytes;

    return view->sync_at.exists && view->sync.quorum == 0 &&
           (r->record->tli > view->state.tli ||
            (r->record->tli == view->state.tli &&
             r->record->lsn + max_lag >= view->state.lsn));
}

static enum candidate_right right_of(const struct candidate_case *c,
                                     const struct runner *r)
{
    const struct keeper_view *view = c->view;
    bool is_ours = r->record->sysid[0] == '\0' || view->state.sysid[0] == '\0' ||
                   strcmp(r->record->sysid, view->state.sysid) == 0;

    if (!is_standing(r->record) || !is_ours) {
        return CANDIDATE_NONE;
    }
    if (is_named(c, r->node) && view->intent.kind == KEEPER_FAILOVER &&
        view->intent.accept_loss) {
        return CANDIDATE_FORCED;
    }
    bool may = candidate_is_willing(r->record) || is_named(c, r->node);
    if (may && is_complete(c, r) && !is_last_holder(c, r->node)) {
        return CANDIDATE_COMPLETE;
    }
    if (may && is_elected(c, r)) {
        return CANDIDATE_ELECTED;
    }
    if (is_last_holder(c, r->node)) {
        return CANDIDATE_HOLDER;
    }
    return may && is_recent(c, r) ? CANDIDATE_RECENT : CANDIDATE_NONE;
}

/* Order of preference among those that may: negative when `a` comes first. */
static int prefer(const struct candidate_case *c, const struct runner *a,
                  const struct runner *b)
{
    bool a_all = candidate_has_all_of(a->record, b->record);
    bool b_all = candidate_has_all_of(b->record, a->record);

    if (is_named(c, a->node) != is_named(c, b->node)) {
        return is_named(c, a->node) ? -1 : 1;
    }
    if (is_last_holder(c, a->node) != is_last_holder(c, b->node)) {
        return is_last_holder(c, a->node) ? 1 : -1;
    }
    if (a_all != b_all) {
        return a_all ? -1 : 1;
    }
    if (a->record->priority != b->record->priority) {
        return a->record->priority > b->record->priority ? -1 : 1;
    }
    uint64_t a_backlog = a->record->lsn - a->record->replay_lsn;
    uint64_t b_backlog = b->record->lsn - b->record->replay_lsn;
    if (a_backlog != b_backlog) {
        return a_backlog < b_backlog ? -1 : 1;
    }
    return strcmp(a->node, b->node);
}

/* Somebody whose report is still to come, and could matter. */
static bool is_awaited(const struct candidate_case *c, const struct runner *r)
{
    bool counts = c->view->sync.quorum > 0 ? is_member(&c->view->sync, r->node)
                                           : candidate_is_willing(r->record);

    return r->is_alive && counts && is_standing(r->record) && !is_frozen(c, r->record) &&
           !is_last_holder(c, r->node);
}

/* A standby that may yet turn out to have the right, so that the last holder holds back. */
static bool is_hopeful(const struct candidate_case *c, const struct runner *r)
{
    const struct keeper_view *view = c->view;
    bool might = view->sync.quorum > 0 ? is_member(&view->sync, r->node)
                                       : view->state.clean && r->record->is_streaming;

    return r->is_alive && might && is_standing(r->record) &&
           candidate_is_willing(r->record);
}

/* Somebody else who may, and is here to do it. */
static bool has_rival(const struct candidate_case *c)
{
    for (size_t i = 0; i < c->view->seat_count; i++) {
        struct runner other = runner_at(c, i);
        if (strcmp(other.node, c->me) != 0 && other.is_alive &&
            right_of(c, &other) != CANDIDATE_NONE) {
            return true;
        }
    }
    return false;
}

/* Section 8: after a crash the old primary of an asynchronous cluster loses least. One whose disk
 * takes nothing, or that has ended again and again, would only fail once more: it leaves the
 * others the time. */
static uint64_t wait_for_restart(const struct candidate_case *c,
                                 enum candidate_right right)
{
    const struct keeper_state_record *state = &c->view->state;
    const struct keeper_seat *old = keeper_view_seat(c->view, state->node);
    bool may_return = old != NULL && old->place.session[0] != '\0' &&
                      !old->record.cannot_write && !old->record.gives_way &&
                      old->record.state != KEEPER_FENCED &&
                      old->record.state != KEEPER_STOPPED;
    bool must_wait = right == CANDIDATE_HOLDER
                         ? c->mine->cannot_write || (c->mine->gives_way && has_rival(c))
                         : right == CANDIDATE_RECENT && state->released && may_return;

    return must_wait ? c->restart_budget_ms : 0;
}

/* The other waits for us to come back: not both. */
static bool leaves_it_to(const struct candidate_case *c, const struct runner *me,
                         const struct runner *other, enum candidate_right right)
{
    return right == CANDIDATE_HOLDER && strcmp(c->view->state.node, me->node) == 0 &&
           c->view->intent.kind == KEEPER_NO_INTENT &&
           right_of(c, other) == CANDIDATE_RECENT &&
           wait_for_restart(c, CANDIDATE_RECENT) != 0;
}

static uint64_t wait_for(const struct candidate_case *c, const struct runner *me,
                         const struct runner *other, enum candidate_right right)
{
    if (leaves_it_to(c, me, other, right)) {
        return 0;
    }
    bool is_rival = other->is_alive && right_of(c, other) != CANDIDATE_NONE &&
                    prefer(c, other, me) < 0;

    if (other->is_alive && is_named(c, other->node) && is_standing(other->record)) {
        return TARGET_WAIT_MS;
    }
    if (is_rival || (right == CANDIDATE_HOLDER && is_hopeful(c, other))) {
        return right == CANDIDATE_HOLDER ? HOLDER_WAIT_MS : RIVAL_WAIT_MS;
    }
    return is_awaited(c, other) ? FREEZE_WAIT_MS : 0;
}

void candidate_choose(const struct candidate_case *c, struct candidate_choice *out)
{
    struct runner me = myself(c);
    uint64_t wait_ms = 0;

    *out = (struct candidate_choice){.verdict = CANDIDATE_CANNOT, .why = ""};
    out->right = right_of(c, &me);
    if (out->right == CANDIDATE_NONE) {
        out->why = c->view->sync.quorum > 0 && is_member(&c->view->sync, c->me)
                       ? "too few of those that confirmed writes are here to elect"
                       : "it may lack acknowledged writes";
        return;
    }
    if (out->right != CANDIDATE_FORCED) {
        wait_ms = wait_for_restart(c, out->right);
    }
    for (size_t i = 0; i < c->view->seat_count && out->right != CANDIDATE_FORCED; i++) {
        struct runner other = runner_at(c, i);
        if (strcmp(other.node, c->me) != 0) {
            uint64_t one_ms = wait_for(c, &me, &other, out->right);
            wait_ms = one_ms > wait_ms ? one_ms : wait_ms;
        }
    }
    out->until_ms = c->free_since_ms + wait_ms;
    out->verdict = c->now_ms >= out->until_ms ? CANDIDATE_GO : CANDIDATE_WAIT;
}
