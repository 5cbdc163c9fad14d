/* etcd_lapse.c - asking how long short leases have, and ending those whose time is over. */
#include "agent/engine/etcd_lapse.h"

#include <string.h>

#include "agent/engine/etcd_message.h"
#include "base/err.h"

enum {
    SHORT_MAX_S = 5,
    SHORT_MIN_S = 2, /* a renewal must be seen by one of the questions in between */
    SECOND_MS = 1000,
    NEAR_MS = 20,     /* between questions in a lease's last second but one */
    EMPTY_MS = 250,   /* likewise in its last */
    GAP_MAX_MS = 900, /* between two moments of answers, that no renewal stays unseen */
    RETRY_MS = 200
};

void etcd_lapse_init(struct etcd_lapses *lapses, struct etcd_asker *asker,
                     struct rc_pack_bytes prefix)
{
    memset(lapses, 0, sizeof *lapses);
    lapses->asker = asker;
    lapses->prefix = prefix;
    for (size_t i = 0; i < ETCD_LAPSES_MAX; i++) {
        lapses->items[i].all = lapses;
    }
}

static uint64_t now_of(const struct etcd_lapse *item)
{
    const struct etcd_edge *edge = item->all->asker->edge;

    return edge->now_ms(edge->context);
}

/* The next question, and the engine is woken to see when that is. */
static void plan(struct etcd_lapse *item, uint64_t due_ms)
{
    const struct etcd_edge *edge = item->all->asker->edge;

    item->due_ms = due_ms;
    item->is_asked = false;
    edge->wake(edge->context, 0);
}

static void begin_anew(struct etcd_lapse *item)
{
    item->empty_ms = 0;
    plan(item, now_of(item) + RETRY_MS);
}

/* Asks, or tries again later. `body` is taken. */
static void ask(struct etcd_lapse *item, enum etcd_asked what, const char *method,
                struct rc_buffer *body, etcd_ask_done *done)
{
    if (etcd_ask(item->all->asker, what, method, body, done, item) != RC_OK) {
        begin_anew(item);
    }
}

/* ---- what was answered */

static void on_revoked(void *context, const struct etcd_outcome *outcome)
{
    if (outcome->err != RC_ECLOSED) {
        begin_anew(context); /* it is gone, or was not revoked: the next question tells */
    }
}

static void on_confirmed(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_lapse *item = context;
    struct rc_buffer body = {0};
    uint64_t term = 0;

    if (outcome->err == RC_ECLOSED) {
        return;
    }
    if (outcome->err != RC_OK || etcd_answer_term(outcome->message, &term) != RC_OK ||
        term != item->term) {
        begin_anew(item);
        return;
    }
    etcd_message_number(&body, item->lease);
    ask(item, ETCD_WRITES, ETCD_REVOKE, &body, on_revoked);
}

static void confirm(struct etcd_lapse *item)
{
    struct rc_buffer body = {0};

    etcd_message_barrier(&body, item->all->prefix);
    ask(item, ETCD_READS, ETCD_RANGE, &body, on_confirmed);
}

static void on_nothing_left(struct etcd_lapse *item, uint64_t term)
{
    uint64_t now_ms = now_of(item);

    bool is_next =
        item->empty_ms != 0 && item->term == term && now_ms - item->last_ms <= GAP_MAX_MS;
    item->last_ms = item->asked_ms;
    if (!is_next) {
        item->empty_ms = now_ms;
        item->term = term;
    } else if (item->asked_ms >= item->empty_ms + SECOND_MS) {
        confirm(item);
        return;
    }
    uint64_t last_ms = item->empty_ms + SECOND_MS;
    plan(item, now_ms + EMPTY_MS < last_ms ? now_ms + EMPTY_MS : last_ms);
}

static void on_time_left(void *context, const struct etcd_outcome *outcome)
{
    struct etcd_lapse *item = context;
    struct etcd_time_left time;

    if (outcome->err == RC_ECLOSED) {
        return;
    }
    if (outcome->err != RC_OK ||
        etcd_answer_time_left(outcome->message, &time) != RC_OK) {
        begin_anew(item);
        return;
    }
    bool is_short = time.granted_s >= SHORT_MIN_S && time.granted_s <= SHORT_MAX_S;
    if (time.has_ended || !is_short) {
        item->lease = 0;
        item->is_asked = false;
    } else if (time.left_s == 0) {
        on_nothing_left(item, time.term);
    } else {
        item->empty_ms = 0;
        plan(item, now_of(item) + (time.left_s > 1 ? (time.left_s - 1) * SECOND_MS
                                                   : (uint64_t)NEAR_MS));
    }
}

/* ---- from outside */

void etcd_lapse_watch(struct etcd_lapses *lapses, uint64_t lease)
{
    struct etcd_lapse *free_item = NULL;

    for (size_t i = 0; i < ETCD_LAPSES_MAX; i++) {
        struct etcd_lapse *item = &lapses->items[i];
        if (item->lease == lease) {
            return;
        }
        free_item = item->lease == 0 && free_item == NULL ? item : free_item;
    }
    if (free_item != NULL && lease != 0) {
        free_item->lease = lease;
        free_item->empty_ms = 0;
        plan(free_item, now_of(free_item));
    }
}

uint64_t etcd_lapse_wake(struct etcd_lapses *lapses, uint64_t now_ms)
{
    uint64_t due_ms = UINT64_MAX;

    for (size_t i = 0; i < ETCD_LAPSES_MAX; i++) {
        struct etcd_lapse *item = &lapses->items[i];
        if (item->lease == 0 || item->is_asked) {
            continue;
        }
        if (item->due_ms <= now_ms) {
            struct rc_buffer body = {0};
            item->is_asked = true;
            item->asked_ms = now_ms;
            etcd_message_number(&body, item->lease);
            ask(item, ETCD_READS, ETCD_TIME_LEFT, &body, on_time_left);
        } else {
            due_ms = item->due_ms < due_ms ? item->due_ms : due_ms;
        }
    }
    return due_ms;
}
