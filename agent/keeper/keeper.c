/* keeper.c - what was seen goes in, what is to be done comes out. */
#include "agent/keeper/keeper.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/err.h"
#include "base/text.h"

enum { TTL_LEAST_MS = 2000, TURNS_MAX = 8, BUSY_MS = 20, IDLE_MS = 100 };

/* ---- making */

static bool is_good_name(const char *name, size_t max)
{
    return name != NULL && name[0] != '\0' && strlen(name) < max &&
           strpbrk(name, "\"\\/'") == NULL;
}

static const char *fault_of(const struct keeper_options *o)
{
    if (!is_good_name(o->node, KEEPER_NODE_MAX) ||
        !is_good_name(o->cluster, KEEPER_NODE_MAX)) {
        return "a node's or cluster's name is empty, too long, or has quotes or slashes";
    }
    if (o->address == NULL || strlen(o->address) >= KEEPER_ADDRESS_MAX) {
        return "the address is missing or too long";
    }
    if (o->ttl_ms < TTL_LEAST_MS) {
        return "ttl must be 2s or more";
    }
    if (o->renew_ms == 0 || o->renew_ms > o->ttl_ms / 8) {
        return "renew must not be above an eighth of ttl: four tries before the half";
    }
    return NULL;
}

static void copy_options(struct keeper *k, const struct keeper_options *o)
{
    k->options = *o;
    (void)rc_text_put(k->cluster, sizeof k->cluster, o->cluster);
    (void)rc_text_put(k->node, sizeof k->node, o->node);
    (void)rc_text_put(k->address, sizeof k->address, o->address);
    (void)rc_text_put(k->upstream, sizeof k->upstream,
                      o->upstream != NULL ? o->upstream : "");
    (void)rc_text_put(k->session, sizeof k->session,
                      o->session != NULL ? o->session : "");
    k->options.cluster = k->cluster;
    k->options.node = k->node;
    k->options.address = k->address;
    k->options.upstream = k->upstream;
    k->options.session = NULL;
}

int keeper_create(const struct keeper_options *options, uint64_t now_ms,
                  struct keeper **out, const char **why)
{
    *why = fault_of(options);
    if (*why != NULL) {
        return RC_EINVAL;
    }
    struct keeper *k = calloc(1, sizeof *k);
    if (k == NULL) {
        *why = "no memory";
        return RC_ENOMEM;
    }
    copy_options(k, options);
    keeper_view_init(&k->view, k->node);
    k->now_ms = now_ms;
    k->last_tick_ms = now_ms;
    k->state_since_ms = now_ms;
    k->begun_ms = now_ms;
    keeper_hold_begin(k);
    *out = k;
    return RC_OK;
}

void keeper_change(struct keeper *k, const struct keeper_options *options)
{
    k->options.mode = options->mode;
    k->options.priority = options->priority;
    k->options.no_failover = options->no_failover;
    k->options.no_sync = options->no_sync;
    k->options.max_lag_bytes = options->max_lag_bytes;
    k->options.auto_rebuild = options->auto_rebuild;
    k->options.restart_attempts = options->restart_attempts;
    k->options.restart_budget_ms = options->restart_budget_ms;
    k->options.probe_fail_ms = options->probe_fail_ms;
}

static void free_request(struct keeper_request *r)
{
    for (size_t i = 0; i < KEEPER_OPS_MAX; i++) {
        rc_buffer_fini(&r->values[i]);
    }
}

void keeper_destroy(struct keeper *k)
{
    if (k == NULL) {
        return;
    }
    keeper_view_fini(&k->view);
    free_request(&k->cluster_request);
    free_request(&k->member_request);
    free(k);
}

/* ---- words and states */

struct keeper_action *keeper_push(struct keeper *k, enum keeper_action_kind kind)
{
    if (k->queue_count == KEEPER_QUEUE_MAX) {
        return NULL;
    }
    size_t at = (k->queue_head + k->queue_count) % KEEPER_QUEUE_MAX;
    struct keeper_action *action = &k->queue[at].action;
    *action = (struct keeper_action){.kind = kind, .id = ++k->next_id};
    k->queue_count++;
    return action;
}

void keeper_say(struct keeper *k, enum keeper_level level, const char *format, ...)
{
    struct keeper_action *action = keeper_push(k, KEEPER_SAY);
    va_list arguments;

    if (action == NULL) {
        return;
    }
    struct keeper_queued *queued =
        &k->queue[(k->queue_head + k->queue_count - 1) % KEEPER_QUEUE_MAX];
    va_start(arguments, format);
    (void)vsnprintf(queued->text, sizeof queued->text, format, arguments);
    va_end(arguments);
    rc_text_to_line(queued->text, sizeof queued->text);
    action->text = queued->text;
    action->level = level;
}

void keeper_trouble(struct keeper *k, const char *words)
{
    if (strncmp(k->problem, words, sizeof k->problem - 1) == 0) {
        return;
    }
    (void)rc_text_put(k->problem, sizeof k->problem, words);
    if (words[0] != '\0') {
        keeper_say(k, KEEPER_WARNING, "%s", words);
    }
}

void keeper_become(struct keeper *k, enum keeper_state state)
{
    if (k->state == state) {
        return;
    }
    keeper_say(k, KEEPER_INFO, "%s -> %s", keeper_state_word(k->state),
               keeper_state_word(state));
    k->state = state;
    k->state_since_ms = k->now_ms;
    k->stuck_since_ms = 0;
    k->progress[0] = '\0';
    if (state == KEEPER_INIT) {
        k->has_looked = false;
        k->is_detached = false;
        k->followed[0] = '\0';
        k->followed_term = 0;
        k->compared_term = 0;
    }
}

static void (*const on_state[KEEPER_STATE_COUNT])(struct keeper *) = {
    [KEEPER_INIT] = keeper_on_init,           [KEEPER_STANDBY] = keeper_on_standby,
    [KEEPER_ELECTING] = keeper_on_electing,   [KEEPER_PROMOTING] = keeper_on_promoting,
    [KEEPER_PRIMARY] = keeper_on_primary,     [KEEPER_DEMOTING] = keeper_on_demoting,
    [KEEPER_REJOINING] = keeper_on_rejoining, [KEEPER_FENCED] = keeper_on_fenced,
    [KEEPER_STOPPED] = keeper_on_stopped};

/* Armed for a keeper before us, and now silent: nobody looks at the deadline any more. */
static bool is_unwatched(const struct keeper *k)
{
    return k->term == 0 && k->warden.armed_term != 0 &&
           k->warden.process != KEEPER_NO_PROCESS && keeper_warden_is_silent(k);
}

/* Read-write without the right to it: ended before anything else is thought about. */
static void guard(struct keeper *k)
{
    if (is_unwatched(k)) {
        keeper_kill(k);
        return;
    }
    bool may_write = k->state == KEEPER_PROMOTING || k->state == KEEPER_PRIMARY ||
                     k->state == KEEPER_DEMOTING || k->state == KEEPER_INIT;

    if (may_write || !keeper_knows(k) || k->probe.in_recovery) {
        return;
    }
    if (keeper_process(k) == KEEPER_RUNNING && k->now_ms >= k->next_kill_ms) {
        keeper_say(k, KEEPER_ALARM, "PostgreSQL is writable without the lease: killed");
        /* On the timeline that this node was the last to claim nothing was acknowledged. */
        bool is_claimed = k->has_view && strcmp(k->view.state.node, k->node) == 0 &&
                          k->view.state.claimed == k->probe.tli;
        k->is_distrusted = k->is_distrusted || !is_claimed;
        k->wants_copy = k->is_distrusted;
        keeper_kill(k);
    }
}

static void expire(struct keeper *k)
{
    struct keeper_request *requests[] = {&k->cluster_request, &k->member_request};

    for (size_t i = 0; i < 2; i++) {
        struct keeper_request *r = requests[i];
        if (r->id != 0 && k->now_ms - r->sent_ms >= KEEPER_STORE_WAIT_MS) {
            keeper_ask_answered(
                k, r, &(struct keeper_answer){.id = r->id, .end = KEEPER_UNKNOWN});
        }
    }
    if (k->hand.id != 0 && k->now_ms >= k->hand.until_ms) {
        struct keeper_hand was = k->hand;
        k->hand.id = 0;
        keeper_hand_done(k,
                         &(struct keeper_done){.id = was.id,
                                               .end = KEEPER_UNKNOWN,
                                               .text = "it took too long"},
                         &was);
    }
}

/* What is planned for later is no intent yet. */
static void look_at_plan(struct keeper *k)
{
    struct keeper_intent_record *intent = &k->view.intent;

    if (k->view.intent_at.exists) {
        intent->kind = intent->due_ms > k->wall_ms ? KEEPER_NO_INTENT : k->planned;
    }
}

static void keeper_think(struct keeper *k)
{
    enum keeper_state before;

    look_at_plan(k);
    expire(k);
    for (int i = 0; i < TURNS_MAX; i++) {
        before = k->state;
        keeper_lease_think(k);
        guard(k);
        on_state[k->state](k);
        if (k->state == before) {
            break;
        }
    }
    keeper_tell(k);
    keeper_wish_think(k);
}

void keeper_advance(struct keeper *k, uint64_t now_ms)
{
    if (now_ms <= k->now_ms) {
        return;
    }
    if (now_ms - k->now_ms > KEEPER_PAUSE_MS) {
        /* We were not there to hear: what is silent may speak first. */
        k->warden_seen_ms = k->warden_seen_ms != 0 ? now_ms : 0;
        k->well_ms[0] = now_ms;
        k->well_ms[1] = now_ms;
    }
    k->now_ms = now_ms;
}

/* ---- what was seen */

void keeper_tick(struct keeper *k, uint64_t now_ms, uint64_t wall_ms)
{
    keeper_advance(k, now_ms);
    k->wall_ms = wall_ms;
    k->last_tick_ms = k->now_ms;
    keeper_think(k);
}

uint64_t keeper_deadline_ms(const struct keeper *k)
{
    bool is_busy = k->state == KEEPER_ELECTING || k->state == KEEPER_PROMOTING ||
                   k->state == KEEPER_DEMOTING;
    uint64_t due_ms = k->last_tick_ms + (is_busy ? BUSY_MS : IDLE_MS);

    if (k->session[0] == '\0') {
        return due_ms;
    }
    due_ms = k->next_renew_ms < due_ms ? k->next_renew_ms : due_ms;
    bool is_ending = k->term != 0 && keeper_soft_ms(k) > k->last_tick_ms;
    return is_ending && keeper_soft_ms(k) < due_ms ? keeper_soft_ms(k) : due_ms;
}

void keeper_see_view(struct keeper *k, uint64_t now_ms, const struct keeper_view *view)
{
    keeper_advance(k, now_ms);
    if (view->index < k->least_index || view->asked_ms < k->view_after_ms) {
        return;
    }
    if (keeper_view_copy(&k->view, view) != RC_OK) {
        return; /* without its history: no memory; the next one may do */
    }
    k->has_view = true;
    k->planned = k->view.intent.kind;
    k->view_seen_ms = k->now_ms;
    k->least_index = view->index;
    if (k->view.lease_at.term > k->top_term) {
        k->top_term = k->view.lease_at.term;
    }
    if (k->view.lease_at.session[0] != '\0') {
        k->free_since_ms = 0;
    } else if (k->free_since_ms == 0) {
        k->free_since_ms = k->now_ms;
    }
    keeper_think(k);
}

void keeper_see_store(struct keeper *k, uint64_t now_ms,
                      const struct keeper_answer *answer)
{
    keeper_advance(k, now_ms);
    if (answer->id == k->cluster_request.id && answer->id != 0) {
        keeper_ask_answered(k, &k->cluster_request, answer);
    } else if (answer->id == k->member_request.id && answer->id != 0) {
        keeper_ask_answered(k, &k->member_request, answer);
    } else if (!keeper_lease_answered(k, answer)) {
        return;
    }
    keeper_think(k);
}

static void note_unwritable(struct keeper *k, unsigned times, uint64_t since_ms,
                            const char *words)
{
    if (k->unwritable_times == 0) {
        k->unwritable_ms = since_ms;
        keeper_say(k, KEEPER_ALARM, "%s", words);
    }
    k->unwritable_times = times;
}

static void note_writing(struct keeper *k, const struct keeper_probe *probe)
{
    switch (probe->writing) {
    case KEEPER_WRITING_UNKNOWN:
        break;
    case KEEPER_WRITES:
        if (k->unwritable_times > 0) {
            keeper_say(k, KEEPER_INFO, "PostgreSQL can write to its disk again");
        }
        k->unwritable_ms = 0;
        k->unwritable_times = 0;
        break;
    case KEEPER_CANNOT_WRITE:
        note_unwritable(k, k->unwritable_times + 1, probe->writing_ms,
                        "PostgreSQL cannot write to its disk");
        break;
    case KEEPER_WRITING_AWAITED: /* once is enough: it has had its time */
        if (k->now_ms - probe->writing_ms > k->options.probe_fail_ms) {
            note_unwritable(k, 2, probe->writing_ms, "PostgreSQL's disk does not answer");
        }
        break;
    }
}

void keeper_see_probe(struct keeper *k, uint64_t now_ms, const struct keeper_probe *probe)
{
    keeper_advance(k, now_ms);
    bool is_alive = probe->reach == KEEPER_ANSWERED || probe->reach == KEEPER_REFUSING ||
                    probe->reach == KEEPER_DENIED;
    if (is_alive && probe->asked_ms > k->well_ms[probe->is_fresh]) {
        k->well_ms[probe->is_fresh] = probe->asked_ms;
    }
    note_writing(k, probe);
    if (probe->reach == KEEPER_ANSWERED || !k->has_probe ||
        k->probe.reach != KEEPER_ANSWERED || !probe->is_fresh) {
        k->probe = *probe;
        k->probe.warning = NULL;
        k->has_probe = true;
    }
    if (probe->reach == KEEPER_ANSWERED) {
        (void)rc_text_put(k->warning, sizeof k->warning,
                          probe->warning != NULL ? probe->warning : "");
        k->known_tli = probe->tli > k->known_tli ? probe->tli : k->known_tli;
    }
    keeper_think(k);
}

void keeper_see_warden(struct keeper *k, uint64_t now_ms,
                       const struct keeper_warden *warden)
{
    keeper_advance(k, now_ms);
    if (k->warden_seen_ms == 0 || warden->run != k->warden.run ||
        (warden->process == KEEPER_RUNNING && k->warden.process != KEEPER_RUNNING)) {
        k->run_seen_ms = k->now_ms;
        k->well_ms[0] = k->now_ms;
        k->well_ms[1] = k->now_ms;
    }
    k->warden = *warden;
    k->warden_seen_ms = k->now_ms;
    keeper_hand_shown(k);
    keeper_think(k);
}

void keeper_see_done(struct keeper *k, uint64_t now_ms, const struct keeper_done *done)
{
    keeper_advance(k, now_ms);
    if (done->id != k->hand.id || done->id == 0) {
        return;
    }
    struct keeper_hand was = k->hand;
    k->hand.id = 0;
    keeper_hand_done(k, done, &was);
    keeper_think(k);
}

void keeper_see_progress(struct keeper *k, const char *text)
{
    (void)rc_text_put(k->progress, sizeof k->progress, text);
    if (k->hand.kind == KEEPER_REWIND || k->hand.kind == KEEPER_COPY) {
        k->hand.until_ms = k->now_ms + KEEPER_REPAIR_SILENT_MS;
    }
}

/* ---- what is to be done */

bool keeper_next(struct keeper *k, struct keeper_action *out)
{
    if (k->queue_count == 0) {
        return false;
    }
    *out = k->queue[k->queue_head].action;
    k->queue_head = (k->queue_head + 1) % KEEPER_QUEUE_MAX;
    k->queue_count--;
    return true;
}

uint64_t keeper_probe_every_ms(const struct keeper *k)
{
    static const uint64_t every_ms[KEEPER_STATE_COUNT] = {
        [KEEPER_INIT] = 100,      [KEEPER_STANDBY] = 500, [KEEPER_ELECTING] = 15,
        [KEEPER_PROMOTING] = 10,  [KEEPER_PRIMARY] = 500, [KEEPER_DEMOTING] = 200,
        [KEEPER_REJOINING] = 500, [KEEPER_FENCED] = 500,  [KEEPER_STOPPED] = 500};

    bool is_changing =
        k->state == KEEPER_PRIMARY && k->marked_lsn != 0 && !k->is_caught_up;
    return is_changing ? 50 : every_ms[k->state];
}

void keeper_status(const struct keeper *k, struct keeper_status *out)
{
    *out = (struct keeper_status){.state = k->state,
                                  .term = k->term,
                                  .soft_ms = k->term != 0 ? keeper_soft_ms(k) : 0,
                                  .hard_ms = k->term != 0 ? keeper_hard_ms(k) : 0,
                                  .renewed_ms = k->renewed_ms,
                                  .renewals = k->renewals_done,
                                  .renewals_lost = k->renewals_lost,
                                  .promotions = k->promotions,
                                  .rejoins = k->rejoins,
                                  .failures = k->failures,
                                  .problem = k->problem,
                                  .session = k->session};
}
