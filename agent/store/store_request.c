/* store_request.c - a request's way: planned, asked of the engine, planned again, answered. */
#include "agent/store/store_request.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/store_plan.h"
#include "base/err.h"

static const char no_leader[] = "No cluster leader";

/* ---- lists */

void request_move(struct store_request *r, enum request_state state)
{
    struct request_list *list = &r->store->requests[r->state];

    *(r->previous == NULL ? &list->first : &r->previous->next) = r->next;
    *(r->next == NULL ? &list->last : &r->next->previous) = r->previous;
    request_enlist(r, state);
}

void request_enlist(struct store_request *r, enum request_state state)
{
    struct request_list *list = &r->store->requests[state];

    r->state = state;
    r->next = NULL;
    r->previous = list->last;
    *(list->last == NULL ? &list->first : &list->last->next) = r;
    list->last = r;
}

static void discard(struct store_request *r)
{
    struct request_list *list = &r->store->requests[r->state];

    *(r->previous == NULL ? &list->first : &r->previous->next) = r->next;
    *(r->next == NULL ? &list->last : &r->next->previous) = r->previous;
    free(r->kept);
    free(r);
}

void request_step_all(struct store *store, enum request_state state)
{
    struct store_request *last = store->requests[state].last;
    bool is_last = last == NULL;

    while (!is_last && store->requests[state].first != NULL) {
        struct store_request *r = store->requests[state].first;
        is_last = r == last;
        request_step(r);
    }
}

/* ---- the end of one */

static void give_back(struct store *store, uint64_t *lease)
{
    if (*lease != 0 && !store->is_closed) {
        engine_revoke(store->engine, *lease, request_ignore, store);
    }
    *lease = 0;
}

enum ending { ENDED_DONE, ENDED_UNDONE };

/* Leases that were granted for nothing go back; that of an ended session has no use. */
static void give_leases_back(struct store_request *r, enum ending ending)
{
    for (size_t i = 0; i < r->count; i++) {
        bool is_end = r->ops[i].op.verb == STORE_END_SESSION;
        if (is_end == (ending == ENDED_DONE)) {
            give_back(r->store, &r->ops[i].lease);
        }
        if (ending == ENDED_DONE) {
            give_back(r->store, &r->ops[i].old_lease);
        }
    }
}

void request_ignore(void *context, const struct engine_answer *answer)
{
    struct store *store = context;

    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
}

/* Tells the caller; the request stays only as long as the engine owes it an answer. */
static void tell(struct store_request *r, const struct store_outcome *outcome)
{
    struct store *store = r->store;
    store_done *done = r->done;
    void *context = r->context;
    bool was_answering = store->is_answering;

    if (r->is_starting) { /* not from inside the call: at the next tick */
        request_move(r, REQUEST_NEW);
        return;
    }
    assert(done != NULL);
    if (outcome->err != RC_EUNKNOWN) { /* what may still be done needs its lease */
        give_leases_back(r, outcome->err == RC_OK && outcome->succeeded ? ENDED_DONE
                                                                        : ENDED_UNDONE);
    }
    r->done = NULL;
    if (r->state != REQUEST_ASKS) {
        request_move(r, REQUEST_WAITS);
    }
    store->is_answering = true;
    done(context, outcome);
    store->is_answering = was_answering;
    if (r->state != REQUEST_ASKS) {
        discard(r);
    }
}

void request_fail(struct store_request *r, int err, const char *text)
{
    const struct store_outcome outcome = {.err = err, .text = text};

    tell(r, &outcome);
}

/* What is unknown stays unknown, whatever went wrong later. */
static void fail_by_engine(struct store_request *r, const struct engine_answer *answer)
{
    if (r->was_unknown || answer->err == RC_EUNKNOWN) {
        request_fail(r, RC_EUNKNOWN, "outcome unknown");
    } else {
        request_fail(r, answer->err, answer->err == RC_EAGAIN ? no_leader : answer->text);
    }
}

static void finish_from(struct store_request *r, struct rc_pack_bytes record,
                        uint64_t revision)
{
    struct store_outcome outcome;
    int err = store_outcome_replay(r->store->plan, record, revision, &outcome);

    if (err != RC_OK) {
        request_fail(r, RC_EUNKNOWN, "the outcome that was kept cannot be read");
        return;
    }
    tell(r, &outcome);
}

/* Decided by what the mirror has. */
static void finish_planned(struct store_request *r)
{
    struct store_plan *plan = r->store->plan;
    struct store_outcome outcome = {
        .err = plan->err,
        .text = plan->failure_count > 0 ? plan->failures[0].what : rc_strerror(plan->err),
        .succeeded = plan->failure_count == 0,
        .revision = r->store->revision,
        .term = plan->term,
        .failures = plan->failures,
        .failure_count = plan->failure_count,
        .results = plan->results,
        .result_count = plan->result_count};

    tell(r, &outcome);
}

/* ---- barriers: one under way, all that come meanwhile share the next */

static void on_barrier(void *context, const struct engine_answer *answer);

void request_start_barrier(struct store *store)
{
    if (store->has_barrier || store->is_closed) {
        return;
    }
    while (store->requests[REQUEST_NEXT_BARRIER].first != NULL) {
        request_move(store->requests[REQUEST_NEXT_BARRIER].first, REQUEST_BARRIER);
    }
    store->has_barrier = true;
    store->barrier_sent_ms = store->now_ms;
    engine_barrier(store->engine, on_barrier, store);
}

static void see_freshness(struct store *store)
{
    if (store->barrier_revision != 0 && store->is_loaded &&
        store->barrier_revision <= store->revision) {
        store->barrier_revision = 0;
        store->fresh_as_of_ms = store->barrier_as_of_ms;
    }
}

static void on_barrier(void *context, const struct engine_answer *answer)
{
    struct store *store = context;
    struct store_request *r = NULL;

    store->has_barrier = false;
    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
    if (answer->err == RC_OK) {
        store->barrier_revision = answer->revision;
        store->barrier_as_of_ms = store->barrier_sent_ms;
        see_freshness(store);
    }
    for (r = store->requests[REQUEST_BARRIER].first; r != NULL; r = r->next) {
        r->fresh_revision = answer->revision;
        r->need_revision = answer->revision;
    }
    if (answer->err == RC_OK) {
        request_step_all(store, REQUEST_BARRIER);
    }
    while (answer->err != RC_OK && (r = store->requests[REQUEST_BARRIER].first) != NULL) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        fail_by_engine(r, answer);
    }
    if (store->requests[REQUEST_NEXT_BARRIER].first != NULL) {
        request_start_barrier(store);
    }
    if (store->listener.reached != NULL) {
        store->listener.reached(store->listener.context);
    }
    request_step_all(store, REQUEST_NEW);
}

static void ask_barrier(struct store_request *r)
{
    request_move(r, REQUEST_NEXT_BARRIER);
    request_start_barrier(r->store);
}

/* ---- the lease of outcomes */

static void on_remember(void *context, const struct engine_answer *answer)
{
    struct store *store = context;
    struct store_request *r = NULL;

    store->asks_remember = false;
    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
    if (answer->err == RC_OK) {
        store->remember_lease = answer->lease;
        request_step_all(store, REQUEST_NEEDS_REMEMBER);
        return;
    }
    while ((r = store->requests[REQUEST_NEEDS_REMEMBER].first) != NULL) {
        struct engine_answer refused = *answer; /* nothing of the request was done */
        refused.err = answer->err == RC_EUNKNOWN ? RC_EAGAIN : answer->err;
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed left its list
        fail_by_engine(r, &refused);
    }
}

/* True when the request has to wait for it. Half the lease is left for each outcome. */
static bool asks_remember(struct store_request *r)
{
    struct store *store = r->store;
    bool is_young = store->now_ms - store->remember_since_ms < REQUEST_LEASE_MS / 2;

    if (!store->asks_remember && store->remember_lease != 0 && is_young) {
        return false;
    }
    request_move(r, REQUEST_NEEDS_REMEMBER);
    if (!store->asks_remember) {
        store->asks_remember = true;
        store->remember_lease = 0;
        store->remember_since_ms = store->now_ms;
        engine_grant(store->engine, REQUEST_LEASE_MS, on_remember, store);
    }
    return true;
}

/* ---- leases of keys and sessions */

static void on_lease(void *context, const struct engine_answer *answer)
{
    struct store_request *r = context;
    struct store *store = r->store;

    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
    request_move(r, REQUEST_WAITS);
    r->is_granting = false;
    if (answer->err == RC_OK) {
        r->ops[r->granting].lease = answer->lease;
    }
    if (r->done == NULL) { /* answered meanwhile: it took too long */
        if (!r->was_unknown) {
            give_leases_back(r, ENDED_UNDONE);
        }
        discard(r);
    } else if (answer->err != RC_OK) {
        struct engine_answer refused = *answer;
        refused.err = answer->err == RC_EUNKNOWN ? RC_EAGAIN : answer->err;
        fail_by_engine(r, &refused);
    } else {
        request_step(r);
    }
}

static bool asks_lease(struct store_request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (r->ops[i].op.ttl_ms > 0 && r->ops[i].lease == 0) {
            r->granting = i;
            r->is_granting = true;
            request_move(r, REQUEST_ASKS);
            engine_grant(r->store->engine, r->ops[i].op.ttl_ms, on_lease, r);
            return true;
        }
    }
    return false;
}

/* ---- transactions */

static void forget_leases(struct store_request *r)
{
    r->store->remember_lease = 0;
    for (size_t i = 0; i < r->count; i++) {
        r->ops[i].lease = 0;
    }
}

static void try_later(struct store_request *r)
{
    struct store *store = r->store;

    r->retry_at_ms = store->now_ms + RETRY_AFTER_MS;
    store->next_retry_ms =
        r->retry_at_ms < store->next_retry_ms ? r->retry_at_ms : store->next_retry_ms;
    request_move(r, REQUEST_LATER);
}

/* Somebody was faster: again, from a mirror that has what they did. */
static void plan_again(struct store_request *r, uint64_t revision)
{
    if (++r->tries >= TRIES_MAX) {
        request_fail(r, r->was_unknown ? RC_EUNKNOWN : RC_EAGAIN,
                     "too many conflicting writes");
        return;
    }
    r->fresh_revision = revision;
    r->need_revision = revision;
    request_step(r);
}

/* The answer to a request whose caller was told already that it took too long. */
static void end_unheard(struct store_request *r, const struct engine_answer *answer)
{
    if (answer->err == RC_OK && answer->succeeded) {
        give_leases_back(r, ENDED_DONE);
    } else if (answer->err != RC_EUNKNOWN && answer->err != RC_ECLOSED &&
               !r->was_unknown) {
        give_leases_back(r, ENDED_UNDONE);
    }
    discard(r);
}

static void finish_kept(struct store_request *r)
{
    finish_from(r, (struct rc_pack_bytes){.at = r->kept, .size = r->kept_size},
                r->need_revision);
}

/* Until the old lease is gone a server that lags behind could renew it in vain. */
static void on_old_revoked(void *context, const struct engine_answer *answer)
{
    struct store_request *r = context;

    r->store->is_closed = r->store->is_closed || answer->err == RC_ECLOSED;
    request_move(r, REQUEST_WAITS);
    if (r->done == NULL) {
        discard(r);
    } else if (answer->err == RC_OK || answer->err == RC_ENOTFOUND) {
        finish_kept(r);
    } else {
        request_fail(r, RC_EUNKNOWN, "outcome unknown");
    }
}

static void on_written(struct store_request *r, uint64_t revision)
{
    struct request_op *own = &r->ops[0];

    r->need_revision = revision;
    if (own->op.verb != STORE_RETIME_SESSION) {
        finish_kept(r);
        return;
    }
    uint64_t old_lease = own->old_lease;
    own->old_lease = 0;
    request_move(r, REQUEST_ASKS);
    engine_revoke(r->store->engine, old_lease, on_old_revoked, r);
}

static void on_txn(void *context, const struct engine_answer *answer)
{
    struct store_request *r = context;
    struct store *store = r->store;

    store->is_closed = store->is_closed || answer->err == RC_ECLOSED;
    request_move(r, REQUEST_WAITS);
    if (r->done == NULL) {
        end_unheard(r, answer);
    } else if (answer->err == RC_OK && answer->succeeded) {
        on_written(r, answer->revision);
    } else if (answer->err == RC_OK) {
        plan_again(r, answer->revision);
    } else if (answer->err == RC_ENOTFOUND && ++r->tries < TRIES_MAX) {
        forget_leases(r);
        ask_barrier(r);
    } else if (r->has_id && !store->is_closed &&
               (answer->err == RC_EUNKNOWN ||
                (answer->err == RC_EAGAIN && r->was_unknown))) {
        r->was_unknown = true; /* the id keeps it from happening twice */
        try_later(r);
    } else {
        fail_by_engine(r, answer);
    }
    request_step_all(store, REQUEST_NEW);
}

static bool keep_outcome(struct store_request *r)
{
    struct store_plan *plan = r->store->plan;

    store_outcome_write(plan);
    free(r->kept);
    r->kept = plan->buffer.err == RC_OK ? malloc(plan->buffer.size) : NULL;
    if (r->kept == NULL) {
        return false;
    }
    memcpy(r->kept, plan->buffer.bytes, plan->buffer.size);
    r->kept_size = plan->buffer.size;
    return true;
}

static struct rc_pack_bytes id_of(const struct store_request *r)
{
    return (struct rc_pack_bytes){.at = r->id, .size = sizeof r->id};
}

static void remember_outcome(struct store_request *r)
{
    struct store_plan *plan = r->store->plan;
    struct rc_pack_bytes key =
        plan_key(plan, store_table_prefix(TABLE_REQUESTS), id_of(r));
    struct rc_pack_bytes record = {.at = r->kept, .size = r->kept_size};

    plan_compare(plan, key, ENGINE_CREATE_REVISION, ENGINE_EQUAL, 0);
    plan_op(plan, &(struct engine_op){.verb = ENGINE_PUT,
                                      .key = key,
                                      .value = store_outcome_short(record),
                                      .lease = r->store->remember_lease});
}

static void send(struct store_request *r)
{
    struct store_plan *plan = r->store->plan;

    if (!keep_outcome(r)) {
        request_fail(r, RC_ENOMEM, rc_strerror(RC_ENOMEM));
        return;
    }
    if (r->has_id) {
        remember_outcome(r);
    }
    if (plan->err != RC_OK) {
        request_fail(r, plan->err, "it touches too many keys");
        return;
    }
    const struct engine_txn txn = {.compares = plan->compares,
                                   .compare_count = plan->compare_count,
                                   .then = plan->ops,
                                   .then_count = plan->op_count};
    request_move(r, REQUEST_ASKS);
    engine_txn(r->store->engine, &txn, on_txn, r);
}

/* A lock of the keys it looks at has ended, and no server has written that down yet. */
static bool is_held_up(const struct store_request *r)
{
    for (size_t i = 0; i < r->count; i++) {
        if (settle_is_behind(r->store, &r->ops[i].op, r->fresh_revision)) {
            return true;
        }
    }
    return false;
}

/* Nothing is written: the answer must come from a moment after the question. */
static void decide(struct store_request *r)
{
    if (!r->is_stale && r->fresh_revision == 0) {
        ask_barrier(r);
    } else if (!r->is_stale && is_held_up(r)) {
        request_move(r, REQUEST_WAITS);
    } else {
        finish_planned(r);
    }
}

static void step_ops(struct store_request *r)
{
    struct store *store = r->store;
    struct store_plan *plan = store->plan;
    struct engine_item known;

    if (r->has_id && mirror_get(store->tables[TABLE_REQUESTS], id_of(r), &known)) {
        if (!store_outcome_is_of(known.value, r->print)) {
            request_fail(r, RC_ECONFLICT,
                         "another request came under the same id before");
            return;
        }
        finish_from(r, known.value, known.mod_revision);
        return;
    }
    if ((r->has_id && asks_remember(r)) || asks_lease(r)) {
        return;
    }
    plan_make(plan, store, r);
    if (plan->must_wait) {
        request_move(r, REQUEST_WAITS);
    } else if (plan->err != RC_OK && plan->failure_count == 0) {
        request_fail(r, plan->err,
                     plan->err == RC_ETOOBIG ? "it touches too many keys"
                                             : rc_strerror(plan->err));
    } else if (plan->err != RC_OK || (!r->has_id && plan->op_count == 0)) {
        decide(r);
    } else { /* with an id a refusal is written down too: no earlier try may still succeed */
        send(r);
    }
}

/* ---- renewals */

static void on_keepalive(void *context, const struct engine_answer *answer)
{
    struct store_request *r = context;

    r->store->is_closed = r->store->is_closed || answer->err == RC_ECLOSED;
    request_move(r, REQUEST_WAITS);
    if (r->done == NULL) {
        discard(r);
    } else if (answer->err == RC_OK) {
        r->is_kept = true;
        r->fresh_revision = answer->revision;
        r->need_revision = answer->revision;
        request_step(r);
    } else if (answer->err == RC_ENOTFOUND) {
        ask_barrier(r); /* the mirror will know it too */
    } else {
        fail_by_engine(r, answer);
    }
}

static void step_renewal(struct store_request *r)
{
    struct store *store = r->store;
    char text[STORE_TEXT_MAX];
    struct engine_item item;
    bool is_there = mirror_get(store->tables[STORE_SESSIONS], r->ops[0].op.key, &item);

    /* It may have been given another lease meanwhile. */
    r->is_kept = r->is_kept && is_there && item.lease == r->kept_lease;
    if (is_there && item.lease != 0 && !r->is_kept) {
        r->kept_lease = item.lease;
        request_move(r, REQUEST_ASKS);
        engine_keepalive(store->engine, item.lease, on_keepalive, r);
    } else if (r->fresh_revision == 0) {
        ask_barrier(r);
    } else if (is_there) {
        const struct store_outcome done = {
            .err = RC_OK, .text = "", .succeeded = true, .revision = item.mod_revision};
        tell(r, &done);
    } else {
        (void)snprintf(text, sizeof text, "Session id '%.*s' not found",
                       (int)r->ops[0].op.key.size, (const char *)r->ops[0].op.key.at);
        request_fail(r, RC_ENOTFOUND, text);
    }
}

static void step_settlement(struct store_request *r)
{
    if (r->fresh_revision == 0) {
        ask_barrier(r);
    } else if (is_held_up(r)) {
        request_move(r, REQUEST_WAITS);
    } else {
        const struct store_outcome done = {
            .err = RC_OK, .text = "", .succeeded = true, .revision = r->store->revision};
        tell(r, &done);
    }
}

void request_step(struct store_request *r)
{
    struct store *store = r->store;

    if (store->is_broken) {
        request_fail(r, r->was_unknown ? RC_EUNKNOWN : RC_ENOMEM, rc_strerror(RC_ENOMEM));
        return;
    }
    if (!store->is_loaded || store->revision < r->need_revision) {
        request_move(r, REQUEST_WAITS);
        return;
    }
    if (store->is_restoring) {
        request_fail(r, r->was_unknown ? RC_EUNKNOWN : RC_EAGAIN,
                     "the store is being restored; if nobody does so, do it again");
        return;
    }
    switch (r->kind) {
    case REQUEST_OPS:
    case REQUEST_SESSION:
        step_ops(r);
        break;
    case REQUEST_RENEWAL:
        step_renewal(r);
        break;
    case REQUEST_SETTLEMENT:
        step_settlement(r);
        break;
    }
}

void request_wake(struct store *store)
{
    see_freshness(store);
    request_step_all(store, REQUEST_WAITS);
    request_step_all(store, REQUEST_NEW);
}
