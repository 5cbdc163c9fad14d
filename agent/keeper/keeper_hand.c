/* keeper_hand.c - orders to the hands, one at a time, and what the warden must know. */
#include <assert.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum {
    KILL_AGAIN_MS = 200,
    ARM_AGAIN_MS = 100,
    NAMES_MS = 3000,
    START_LATER_MAX = 5,
    CRASHES_APART_MS = 60000 /* further apart they are no row */
};

bool keeper_hand_is_free(const struct keeper *k)
{
    return k->hand.id == 0;
}

struct keeper_action *keeper_order(struct keeper *k, enum keeper_action_kind kind,
                                   uint64_t wait_ms)
{
    if (k->hand.id != 0) {
        return NULL;
    }
    struct keeper_action *action = keeper_push(k, kind);
    if (action == NULL) {
        return NULL;
    }
    k->hand = (struct keeper_hand){
        .id = action->id, .kind = kind, .until_ms = k->now_ms + wait_ms};
    action->time_ms = wait_ms;
    return action;
}

struct keeper_action *keeper_order_at(struct keeper *k, enum keeper_action_kind kind,
                                      uint64_t wait_ms, const char *node)
{
    const struct keeper_seat *seat = keeper_view_seat(&k->view, node);
    bool is_holder = strcmp(k->view.lease.node, node) == 0;
    const char *address = is_holder      ? k->view.lease.address
                          : seat != NULL ? seat->record.address
                                         : NULL;

    if (address == NULL) {
        return NULL;
    }
    struct keeper_action *action = keeper_order(k, kind, wait_ms);
    if (action == NULL) {
        return NULL;
    }
    (void)rc_text_put(k->hand.node, sizeof k->hand.node, node);
    (void)rc_text_put(k->hand.address, sizeof k->hand.address, address);
    k->hand.term = k->view.lease_at.term;
    action->node = k->hand.node;
    action->address = k->hand.address;
    action->port = is_holder ? k->view.lease.port : seat->record.port;
    action->term = k->hand.term;
    return action;
}

void keeper_set_names(struct keeper *k, const char *text)
{
    struct keeper_action *action = keeper_order(k, KEEPER_SET_NAMES, NAMES_MS);

    if (action != NULL) {
        (void)rc_text_put(k->hand.text, sizeof k->hand.text, text);
        action->text = k->hand.text;
    }
}

void keeper_kill(struct keeper *k)
{
    if (k->now_ms < k->next_kill_ms || k->warden_seen_ms == 0) {
        return;
    }
    if (keeper_push(k, KEEPER_KILL) != NULL) {
        k->next_kill_ms = k->now_ms + KILL_AGAIN_MS;
        k->hand.id = 0; /* what was under way ends with it */
    }
}

bool keeper_warden_is_silent(const struct keeper *k)
{
    return k->warden_seen_ms != 0 &&
           k->now_ms - k->warden_seen_ms > KEEPER_WARDEN_SILENT_MS;
}

enum keeper_process keeper_process(const struct keeper *k)
{
    return k->warden_seen_ms == 0 || keeper_warden_is_silent(k) ? KEEPER_ENDING
                                                                : k->warden.process;
}

bool keeper_arm(struct keeper *k)
{
    uint64_t hard_ms = keeper_hard_ms(k);
    bool is_told = k->warden.armed_term == k->term && k->warden.deadline_ms >= hard_ms;

    if (!is_told && k->now_ms >= k->next_arm_ms && k->now_ms < hard_ms) {
        struct keeper_action *action = keeper_push(k, KEEPER_ARM);
        if (action != NULL) {
            action->term = k->term;
            action->deadline_ms = hard_ms;
            k->next_arm_ms = k->now_ms + ARM_AGAIN_MS;
        }
    }
    return k->warden.armed_term == k->term && k->warden.deadline_ms > k->now_ms;
}

bool keeper_knows(const struct keeper *k)
{
    return k->has_probe && k->probe.reach == KEEPER_ANSWERED &&
           k->probe.asked_ms >= k->run_seen_ms && keeper_process(k) == KEEPER_RUNNING;
}

bool keeper_is_hung(const struct keeper *k)
{
    /* The fresh one comes every 5 s: it has that much longer. */
    return k->now_ms - k->well_ms[0] > k->options.probe_fail_ms ||
           k->now_ms - k->well_ms[1] > k->options.probe_fail_ms + 5000;
}

bool keeper_is_unwritable(const struct keeper *k)
{
    return k->unwritable_times > 1 &&
           k->now_ms - k->unwritable_ms > k->options.probe_fail_ms;
}

void keeper_crashed(struct keeper *k)
{
    bool is_in_row = k->crashes > 0 && k->now_ms - k->crash_ms < CRASHES_APART_MS;

    k->crashes = is_in_row ? k->crashes + 1 : 1;
    k->crash_ms = k->now_ms;
}

bool keeper_gives_way(const struct keeper *k)
{
    return k->crashes > k->options.restart_attempts &&
           k->now_ms - k->crash_ms < CRASHES_APART_MS;
}

/* ---- what became of an order */

void keeper_hand_shown(struct keeper *k)
{
    bool is_started = k->hand.kind == KEEPER_START && k->warden.process == KEEPER_RUNNING;
    bool is_stopped =
        (k->hand.kind == KEEPER_STOP_FAST || k->hand.kind == KEEPER_STOP_IMMEDIATE) &&
        k->warden.process == KEEPER_NO_PROCESS;

    if (k->hand.id != 0 && (is_started || is_stopped)) {
        k->hand.id = 0;
        k->has_looked = false;
    }
}

static void names_set(struct keeper *k, const struct keeper_hand *was, bool is_done)
{
    if (!is_done) {
        k->names_are_known = false;
        return;
    }
    (void)rc_text_put(k->probe.names, sizeof k->probe.names, was->text);
    /* Those that block were asked for by a standby, and are no rule: a lease that came before
     * they were set begins with nothing known. */
    bool is_block = was->names.k == 0 && strcmp(was->text, KEEPER_BLOCKED_NAMES) == 0;
    if (k->term != 0 && !is_block) {
        k->names = was->names;
        k->names_are_known = true;
        k->is_caught_up = false;
        k->marked_lsn = 0;
        k->set_ms = k->now_ms;
    }
}

static void started(struct keeper *k, const struct keeper_done *done, bool is_done)
{
    if (is_done) {
        return;
    }
    unsigned shift =
        k->starts_failed < START_LATER_MAX ? k->starts_failed : START_LATER_MAX;
    k->starts_failed++;
    k->next_start_ms = k->now_ms + (UINT64_C(1000) << shift);
    k->has_looked = false;
    keeper_trouble(k, done->text[0] != '\0' ? done->text : "PostgreSQL does not start");
}

static void detached(struct keeper *k, bool is_done)
{
    k->followed[0] = '\0'; /* what became of a half-done one is not known either */
    k->followed_term = 0;
    if (is_done) {
        k->is_detached = true;
        k->detached_ms = k->now_ms;
    }
}

static void followed(struct keeper *k, const struct keeper_hand *was, bool is_done)
{
    k->is_detached = false;
    if (is_done) {
        (void)rc_text_put(k->followed, sizeof k->followed, was->node);
        k->followed_term = was->term;
    } else {
        k->followed_term = 0;
        k->retry_follow_ms = k->now_ms + 1000;
    }
}

static void repaired(struct keeper *k, const struct keeper_done *done,
                     const struct keeper_hand *was, bool is_done)
{
    k->has_looked = false;
    k->known_tli = 0;
    if (!is_done) {
        if (was->kind == KEEPER_REWIND) {
            k->wants_copy = true;
        }
        keeper_rejoin_failed(k, done->text);
        return;
    }
    k->wants_copy = false;
    k->is_distrusted = false;
    k->needs_source = true;
    k->rejoin_term = was->term;
    k->rejoins++;
    keeper_say(k, KEEPER_INFO, "%s from %s: done",
               was->kind == KEEPER_REWIND ? "rewind" : "copy", was->node);
}

static void history_read(struct keeper *k, const struct keeper_done *done,
                         const struct keeper_hand *was, bool is_done)
{
    if (is_done && was->term == k->view.lease_at.term) {
        keeper_compared(k, done);
    } else {
        k->retry_follow_ms = k->now_ms + 1000;
    }
}

void keeper_hand_done(struct keeper *k, const struct keeper_done *done,
                      const struct keeper_hand *was)
{
    bool is_done = done->end == KEEPER_DONE;

    switch (was->kind) {
    case KEEPER_LOOK:
        k->look = *done;
        k->has_looked = is_done && keeper_process(k) == KEEPER_NO_PROCESS;
        break;
    case KEEPER_START:
        started(k, done, is_done);
        break;
    case KEEPER_DETACH:
        detached(k, is_done);
        break;
    case KEEPER_FOLLOW:
        followed(k, was, is_done);
        break;
    case KEEPER_SET_NAMES:
        names_set(k, was, is_done);
        break;
    case KEEPER_MARK_WAL:
        k->marked_lsn = is_done ? done->marked_lsn : 0;
        k->marked_ms = k->now_ms;
        break;
    case KEEPER_READ_HISTORY:
        history_read(k, done, was, is_done);
        break;
    case KEEPER_REWIND:
    case KEEPER_COPY:
        repaired(k, done, was, is_done);
        break;
    case KEEPER_INITDB:
        k->has_looked = false;
        break;
    case KEEPER_STOP_FAST:
    case KEEPER_STOP_IMMEDIATE:
        k->has_looked = false;
        if (!is_done) {
            keeper_kill(k);
        }
        break;
    case KEEPER_OPEN_SESSION:
    case KEEPER_RENEW:
    case KEEPER_TXN:
    case KEEPER_ARM:
    case KEEPER_DISARM:
    case KEEPER_KILL:
    case KEEPER_PROMOTE:
    case KEEPER_CHECKPOINT:
    case KEEPER_SET_SLOTS:
    case KEEPER_RELOAD:
    case KEEPER_ASK_PROMISES:
    case KEEPER_REGISTER:
    case KEEPER_SAY:
    case KEEPER_ACTION_COUNT:
        break;
    }
}
