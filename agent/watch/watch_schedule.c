#include "agent/watch/watch_schedule.h"

#include <assert.h>

void watch_schedule_take(struct watch_schedule *s, size_t slot, enum watch_pace pace)
{
    assert(slot < WATCH_SLOTS_MAX && s->slots[slot].state == WATCH_FREE);
    s->slots[slot] = (struct watch_slot){
        .state = WATCH_IDLE,
        .pace = pace,
        .due_ms = UINT64_MAX,
    };
}

static bool runs(const struct watch_slot *slot)
{
    return slot->state == WATCH_RUNNING || slot->state == WATCH_ENDING;
}

void watch_schedule_free(struct watch_schedule *s, size_t slot)
{
    assert(slot < WATCH_SLOTS_MAX);
    if (runs(&s->slots[slot])) {
        s->running--;
    }
    s->slots[slot] = (struct watch_slot){.state = WATCH_FREE};
}

void watch_schedule_touch(struct watch_schedule *s, size_t slot, uint64_t now_ms)
{
    struct watch_slot *w = &s->slots[slot];

    assert(slot < WATCH_SLOTS_MAX);
    if (w->state == WATCH_FREE || w->due_ms != UINT64_MAX) {
        return; /* the look that is due sees this change too */
    }
    w->due_ms = now_ms + (w->pace == WATCH_STEADY ? WATCH_SETTLE_MS : 0);
    if (w->due_ms < w->earliest_ms) {
        w->due_ms = w->earliest_ms;
    }
}

void watch_schedule_run(struct watch_schedule *s, size_t slot, uint64_t ends_ms)
{
    struct watch_slot *w = &s->slots[slot];

    assert(w->state == WATCH_LOOKING);
    w->state = WATCH_RUNNING;
    w->ends_ms = ends_ms;
    s->running++;
}

void watch_schedule_rest(struct watch_schedule *s, size_t slot)
{
    assert(s->slots[slot].state == WATCH_LOOKING);
    s->slots[slot].state = WATCH_IDLE;
}

static uint64_t back_off_ms(unsigned failures)
{
    uint64_t wait_ms = WATCH_BACK_OFF_MS;

    for (unsigned i = 1; i < failures && wait_ms < WATCH_BACK_OFF_MAX_MS; i++) {
        wait_ms *= 2;
    }
    return wait_ms < WATCH_BACK_OFF_MAX_MS ? wait_ms : WATCH_BACK_OFF_MAX_MS;
}

void watch_schedule_ended(struct watch_schedule *s, size_t slot,
                          enum watch_outcome outcome, uint64_t now_ms)
{
    struct watch_slot *w = &s->slots[slot];

    assert(slot < WATCH_SLOTS_MAX);
    if (!runs(w)) {
        return;
    }
    assert(s->running > 0);
    s->running--;
    w->state = WATCH_IDLE;
    w->failures = outcome == WATCH_DONE ? 0 : w->failures + 1;
    w->earliest_ms = w->failures > 0 && w->pace == WATCH_STEADY
                         ? now_ms + back_off_ms(w->failures)
                         : 0;
    if (w->due_ms != UINT64_MAX && w->due_ms < w->earliest_ms) {
        w->due_ms = w->earliest_ms;
    }
}

static bool act(const struct watch_schedule *s, struct watch_slot *w, uint64_t now_ms,
                enum watch_action_type *out)
{
    if (w->state == WATCH_RUNNING && now_ms >= w->ends_ms) {
        w->state = WATCH_ENDING;
        *out = WATCH_EXPIRE;
        return true;
    }
    if (w->state == WATCH_IDLE && now_ms >= w->due_ms && s->running < WATCH_RUNS_MAX) {
        w->state = WATCH_LOOKING;
        w->due_ms = UINT64_MAX; /* what changes from now on is for the next look */
        *out = WATCH_LOOK;
        return true;
    }
    return false;
}

bool watch_schedule_next(struct watch_schedule *s, uint64_t now_ms,
                         struct watch_action *out)
{
    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        size_t slot = (s->next + i) % WATCH_SLOTS_MAX;
        if (act(s, &s->slots[slot], now_ms, &out->type)) {
            out->slot = slot;
            s->next = (slot + 1) % WATCH_SLOTS_MAX;
            return true;
        }
    }
    return false;
}

uint64_t watch_schedule_deadline_ms(const struct watch_schedule *s)
{
    uint64_t earliest_ms = UINT64_MAX;

    for (size_t i = 0; i < WATCH_SLOTS_MAX; i++) {
        const struct watch_slot *w = &s->slots[i];
        uint64_t its_ms = UINT64_MAX;
        if (w->state == WATCH_RUNNING) {
            its_ms = w->ends_ms;
        } else if (w->state == WATCH_IDLE && s->running < WATCH_RUNS_MAX) {
            its_ms = w->due_ms;
        }
        earliest_ms = its_ms < earliest_ms ? its_ms : earliest_ms;
    }
    return earliest_ms;
}
