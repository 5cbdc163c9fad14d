/* keeper_order.c - what operators ask: of a node (orders), of the cluster (intents). */
#include <stdio.h>
#include <string.h>

#include "agent/keeper/keeper_core.h"
#include "base/text.h"

enum { ORDER_MS = 10000, SWITCH_LAG_MAX = 16 << 20 };

/* ---- orders */

bool keeper_has_standing(const struct keeper *k, enum keeper_order_kind kind)
{
    return k->has_view && k->view.order_at.exists && k->view.order.kind == kind;
}

static bool stands(enum keeper_order_kind kind)
{
    return kind == KEEPER_ORDER_STOP || kind == KEEPER_ORDER_FENCE;
}

/* Stop and fence stay, marked; the others go. */
void keeper_order_end(struct keeper *k)
{
    char key[KEEPER_KEY_MAX];
    struct keeper_order_record order = k->view.order;
    struct keeper_request *r = keeper_ask(k, FOR_ORDER);

    if (r == NULL) {
        return;
    }
    (void)snprintf(key, sizeof key, "order/%s", k->node);
    order.done = true;
    struct rc_buffer *value =
        keeper_ask_op(r, stands(order.kind) ? KEEPER_OP_CAS : KEEPER_OP_DELETE_CAS, key,
                      k->view.order_at.index);
    if (stands(order.kind)) {
        keeper_order_write(&order, value);
    }
    keeper_ask_send(k, r);
}

static void stop_for(struct keeper *k, enum keeper_state then, const char *why)
{
    if (k->state == KEEPER_PRIMARY) {
        keeper_demote(k, WAY_HANDOVER, then, why);
    } else if (keeper_process(k) == KEEPER_RUNNING) {
        (void)keeper_order(k, KEEPER_STOP_FAST, ORDER_MS);
    }
}

static void fence_for(struct keeper *k)
{
    if (k->state == KEEPER_PRIMARY) {
        keeper_demote(k, WAY_GONE, KEEPER_FENCED, "fenced by an operator");
    } else {
        keeper_fence(k, "fenced by an operator");
    }
}

static void reinit(struct keeper *k)
{
    if (k->state == KEEPER_PRIMARY) {
        keeper_say(k, KEEPER_WARNING, "a primary is not copied anew: switch over first");
        return;
    }
    k->wants_copy = true;
    keeper_rejoin(k, "asked for by an operator");
}

/* Those that need the hands are begun only when they are free. */
static bool is_ready_for(const struct keeper *k, enum keeper_order_kind kind)
{
    if (kind == KEEPER_ORDER_REINIT && k->state != KEEPER_PRIMARY &&
        !keeper_lease_is_open(k)) {
        return false; /* there is nobody to copy from, and ours may be needed */
    }
    bool needs_hands = kind == KEEPER_ORDER_RELOAD || kind == KEEPER_ORDER_RESTART ||
                       kind == KEEPER_ORDER_STOP;

    return !needs_hands || keeper_hand_is_free(k) || k->state == KEEPER_PRIMARY;
}

static void carry_out(struct keeper *k, enum keeper_order_kind kind)
{
    switch (kind) {
    case KEEPER_ORDER_REINIT:
        reinit(k);
        break;
    case KEEPER_ORDER_RESTART:
        stop_for(k, KEEPER_INIT, "restarted by an operator");
        break;
    case KEEPER_ORDER_RELOAD:
        (void)keeper_order(k, KEEPER_RELOAD, ORDER_MS);
        break;
    case KEEPER_ORDER_STOP:
        stop_for(k, KEEPER_STOPPED, "stopped by an operator");
        break;
    case KEEPER_ORDER_FENCE:
        fence_for(k);
        break;
    case KEEPER_ORDER_START:
    case KEEPER_ORDER_UNFENCE:
        if (k->state == KEEPER_STOPPED || k->state == KEEPER_FENCED) {
            k->failures = 0;
            keeper_trouble(k, "");
            keeper_become(k, KEEPER_INIT);
        }
        break;
    case KEEPER_NO_ORDER:
    case KEEPER_ORDER_COUNT:
        break;
    }
}

bool keeper_obey(struct keeper *k)
{
    const struct keeper_order_record *order = &k->view.order;
    enum keeper_state before = k->state;

    if (!keeper_view_is_current(k) || !k->view.order_at.exists || order->done) {
        return false;
    }
    if (strcmp(order->id, k->obeyed) == 0 && order->id[0] != '\0') {
        keeper_order_end(k);
        return false;
    }
    if (!is_ready_for(k, order->kind)) {
        return false;
    }
    keeper_say(k, KEEPER_INFO, "order: %s", keeper_order_word(order->kind));
    (void)rc_text_put(k->obeyed, sizeof k->obeyed, order->id);
    carry_out(k, order->kind);
    keeper_order_end(k);
    return k->state != before || k->hand.id != 0;
}

/* ---- intents */

static void refuse(struct keeper *k, const char *why)
{
    const struct keeper_intent_record *intent = &k->view.intent;
    struct keeper_history_entry entry = {
        .term = k->term, .tli = k->probe.tli, .lsn = k->probe.lsn, .at_ms = k->wall_ms};
    struct keeper_request *r = keeper_ask(k, FOR_INTENT);

    if (r == NULL) {
        return;
    }
    (void)rc_text_put(entry.node, sizeof entry.node, k->node);
    (void)rc_text_put(entry.from, sizeof entry.from, k->node);
    (void)snprintf(entry.reason, sizeof entry.reason, "%s to %.40s refused: %s",
                   keeper_intent_word(intent->kind), intent->to, why);
    keeper_say(k, KEEPER_WARNING, "%s", entry.reason);
    keeper_ask_held(k, r);
    (void)keeper_ask_op(r, KEEPER_OP_DELETE_CAS, "intent", k->view.intent_at.index);
    keeper_ask_history(k, r, &entry);
    keeper_ask_send(k, r);
}

static const char *fault_of_target(const struct keeper *k, const char *to)
{
    const struct keeper_seat *seat = keeper_view_seat(&k->view, to);
    const struct keeper_sender *sender = keeper_sender(k, to);

    if (seat == NULL || seat->place.session[0] == '\0') {
        return "it is not there";
    }
    if (seat->record.state != KEEPER_STANDBY) {
        return "it is no standby now";
    }
    if (sender == NULL || !sender->is_streaming) {
        return "it does not stream from the primary";
    }
    return k->probe.lsn - sender->replay_lsn > SWITCH_LAG_MAX &&
                   k->probe.lsn > sender->replay_lsn
               ? "it lags by more than 16 MB"
               : NULL;
}

/* Whether there is anybody to switch to at all. */
static const char *fault_of_all(const struct keeper *k)
{
    for (size_t i = 0; i < k->view.seat_count; i++) {
        const struct keeper_seat *seat = &k->view.seats[i];
        if (strcmp(seat->node, k->node) != 0 && candidate_is_willing(&seat->record) &&
            fault_of_target(k, seat->node) == NULL) {
            return NULL;
        }
    }
    return "no standby is ready";
}

static const char *fault_of(const struct keeper *k)
{
    const struct keeper_intent_record *intent = &k->view.intent;

    if (strcmp(intent->to, k->node) == 0) {
        return "it is the primary";
    }
    if (intent->from[0] != '\0' && strcmp(intent->from, k->node) != 0) {
        return "the primary is another by now";
    }
    if (intent->kind == KEEPER_FAILOVER && intent->accept_loss) {
        const struct keeper_seat *seat = keeper_view_seat(&k->view, intent->to);
        return seat == NULL || seat->place.session[0] == '\0' ? "it is not there" : NULL;
    }
    return intent->to[0] != '\0' ? fault_of_target(k, intent->to) : fault_of_all(k);
}

bool keeper_intend(struct keeper *k)
{
    const struct keeper_intent_record *intent = &k->view.intent;
    char reason[KEEPER_TEXT_MAX];

    if (!keeper_view_is_current(k) || !k->view.intent_at.exists ||
        intent->kind == KEEPER_NO_INTENT) {
        return false;
    }
    const char *fault = fault_of(k);
    if (fault != NULL) {
        refuse(k, fault);
        return false;
    }
    (void)snprintf(reason, sizeof reason, "%s to %.100s",
                   keeper_intent_word(intent->kind),
                   intent->to[0] != '\0' ? intent->to : "the best");
    keeper_demote(k, intent->kind == KEEPER_SWITCHOVER ? WAY_HANDOVER : WAY_GONE,
                  KEEPER_INIT, reason);
    return true;
}
