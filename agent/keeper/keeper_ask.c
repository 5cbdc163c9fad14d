/* keeper_ask.c - transactions on the cluster's records: one at a time, and one for the member's.
 *
 * What was done is put into the view at once; views from before it are not looked at. What may
 * have been done is found out by a view that was asked for afterwards. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { RETRY_MS = 200 };

struct keeper_request *keeper_ask(struct keeper *k, enum keeper_purpose purpose)
{
    struct keeper_request *r =
        purpose == FOR_MEMBER ? &k->member_request : &k->cluster_request;

    if (r->id != 0 || k->session[0] == '\0' || k->queue_count == KEEPER_QUEUE_MAX ||
        k->now_ms < (purpose == FOR_MEMBER ? k->member_retry_ms : k->retry_ms)) {
        return NULL;
    }
    r->purpose = purpose;
    r->op_count = 0;
    r->has_state = false;
    r->has_sync = false;
    r->has_lease = false;
    (void)rc_text_put(r->session, sizeof r->session, k->session);
    return r;
}

struct rc_buffer *keeper_ask_op(struct keeper_request *r, enum keeper_verb verb,
                                const char *key, uint64_t index)
{
    assert(r->op_count < KEEPER_OPS_MAX);
    struct keeper_op *op = &r->ops[r->op_count];
    struct rc_buffer *value = &r->values[r->op_count];

    r->op_count++;
    *op = (struct keeper_op){.verb = verb, .index = index, .session = r->session};
    (void)rc_text_put(op->key, sizeof op->key, key);
    rc_buffer_clear(value);
    return value;
}

void keeper_ask_held(struct keeper *k, struct keeper_request *r)
{
    (void)k;
    (void)keeper_ask_op(r, KEEPER_OP_CHECK_SESSION, "lease", 0);
}

void keeper_ask_state(struct keeper *k, struct keeper_request *r,
                      const struct keeper_state_record *state)
{
    r->state = *state;
    r->has_state = true;
    r->state.at_ms = k->wall_ms;
    keeper_state_write(&r->state,
                       keeper_ask_op(r, KEEPER_OP_CAS, "state", k->view.state_at.index));
}

void keeper_ask_sync(struct keeper *k, struct keeper_request *r,
                     const struct keeper_sync_record *sync)
{
    r->sync = *sync;
    r->has_sync = true;
    keeper_sync_write(sync,
                      keeper_ask_op(r, KEEPER_OP_CAS, "sync", k->view.sync_at.index));
}

void keeper_ask_lease(struct keeper *k, struct keeper_request *r,
                      const struct keeper_lease_record *lease)
{
    (void)k;
    r->lease = *lease;
    r->has_lease = true;
    keeper_lease_write(lease, keeper_ask_op(r, KEEPER_OP_LOCK, "lease", 0));
}

void keeper_ask_history(struct keeper *k, struct keeper_request *r,
                        const struct keeper_history_entry *entry)
{
    keeper_history_add(
        rc_buffer_string(&k->view.history), k->view.history.size, entry,
        keeper_ask_op(r, KEEPER_OP_CAS, "history", k->view.history_at.index));
}

void keeper_ask_send(struct keeper *k, struct keeper_request *r)
{
    struct keeper_action *action = keeper_push(k, KEEPER_TXN);

    assert(action != NULL); /* keeper_ask() has looked */
    for (size_t i = 0; i < r->op_count; i++) {
        r->ops[i].value = rc_buffer_string(&r->values[i]);
        r->ops[i].value_size = r->values[i].size;
    }
    r->id = action->id;
    r->sent_ms = k->now_ms;
    action->ops = r->ops;
    action->op_count = r->op_count;
    action->time_ms = KEEPER_STORE_WAIT_MS;
    action->session = r->session;
}

/* ---- answers */

static void put_into_view(struct keeper *k, const struct keeper_request *r,
                          uint64_t index)
{
    struct keeper_view *view = &k->view;

    if (index > k->least_index) {
        k->least_index = index;
    }
    for (size_t i = 0; i < r->op_count; i++) {
        if (strcmp(r->ops[i].key, "history") == 0) {
            rc_buffer_clear(&view->history);
            rc_buffer_append(&view->history, r->values[i].bytes, r->values[i].size);
            view->history_at = (struct keeper_place){.exists = true, .index = index};
        }
    }
    if (r->has_state) {
        view->state = r->state;
        view->state_at = (struct keeper_place){.exists = true, .index = index};
    }
    if (r->has_sync) {
        view->sync = r->sync;
        view->sync_at = (struct keeper_place){.exists = true, .index = index};
        k->sync_is_unsure = false;
    }
    if (r->has_lease) {
        view->lease = r->lease;
        view->lease_at.exists = true;
        view->lease_at.index = index;
        (void)rc_text_put(view->lease_at.session, sizeof view->lease_at.session,
                          r->session);
    }
}

static void member_told(struct keeper *k, const struct keeper_request *r)
{
    k->told = r->member;
    k->told_ms = k->now_ms;
}

static bool writes(const struct keeper_request *r)
{
    for (size_t i = 0; i < r->op_count; i++) {
        if (r->ops[i].verb == KEEPER_OP_LOCK || r->ops[i].verb == KEEPER_OP_CAS) {
            return true;
        }
    }
    return false;
}

static void done(struct keeper *k, const struct keeper_request *r,
                 const struct keeper_answer *answer)
{
    /* The view was read after it, so it shows this and what came later. */
    bool is_dated = answer->index != 0 && writes(r); /* what is deleted has no index */
    bool is_seen = is_dated && answer->index <= k->view.index;

    if (r->purpose == FOR_MEMBER) {
        member_told(k, r);
    }
    if (is_seen) {
        return;
    }
    put_into_view(k, r, answer->index);
    if (!is_dated) {
        k->view_after_ms = k->now_ms; /* our own records' indexes are not known */
    }
    switch (r->purpose) {
    case FOR_ACQUIRE:
    case FOR_CLAIM:
        if (r->has_lease) {
            k->view.lease_at.term = answer->term;
            keeper_lease_take(k, answer->term);
        }
        break;
    case FOR_RELEASE:
        k->view.lease_at = (struct keeper_place){.exists = false};
        k->view.lease = (struct keeper_lease_record){.port = 0};
        k->term = 0;
        k->free_since_ms = k->now_ms;
        break;
    case FOR_INTENT:
    case FOR_WRITABLE:
        k->view.intent = (struct keeper_intent_record){.at_ms = 0};
        k->view.intent_at = (struct keeper_place){.exists = false};
        break;
    case FOR_ORDER:
        k->view_after_ms = k->now_ms;
        break;
    case FOR_NOTHING:
    case FOR_MEMBER:
    case FOR_SYSID:
    case FOR_OPEN:
    case FOR_CLOSE:
    case FOR_SYNC:
    case FOR_STATE:
        break;
    }
}

void keeper_ask_answered(struct keeper *k, struct keeper_request *r,
                         const struct keeper_answer *answer)
{
    bool is_session = strcmp(r->session, k->session) == 0;

    r->id = 0;
    if (answer->end == KEEPER_DONE && is_session) {
        done(k, r, answer);
        return;
    }
    if (answer->end == KEEPER_GONE && is_session) {
        keeper_session_lost(k);
    }
    if (r->purpose == FOR_MEMBER) {
        k->told_ms = answer->end == KEEPER_UNKNOWN || k->told_ms == 0 ? 0 : k->told_ms;
        k->member_retry_ms = k->now_ms + RETRY_MS; /* a session of before may have it */
        return;
    }
    if (r->has_sync && answer->end == KEEPER_UNKNOWN) {
        k->sync_is_unsure = true;
        k->unsure_index = k->view.sync_at.index;
    }
    if (r->purpose == FOR_CLOSE) {
        k->demotion.is_closed = true; /* tried; it goes on */
    }
    /* Whatever it was: what holds now is read before anything more is asked. */
    k->view_after_ms = k->now_ms;
    k->retry_ms = k->now_ms + (answer->end == KEEPER_REFUSED ? 0 : RETRY_MS);
}
