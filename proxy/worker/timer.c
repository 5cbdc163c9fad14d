/* timer.c - rings of timers, one ring for each slot of time. */
#include "proxy/worker/timer.h"

#include <assert.h>

static void ring_init(struct timer *head)
{
    head->next = head;
    head->previous = head;
}

static void ring_add(struct timer *head, struct timer *timer)
{
    timer->next = head;
    timer->previous = head->previous;
    head->previous->next = timer;
    head->previous = timer;
}

static void ring_remove(struct timer *timer)
{
    timer->next->previous = timer->previous;
    timer->previous->next = timer->next;
    timer->next = NULL;
    timer->previous = NULL;
}

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms)
{
    for (size_t i = 0; i < TIMER_SLOTS; i++) {
        ring_init(&wheel->slots[i]);
    }
    ring_init(&wheel->due);
    wheel->now_ms = now_ms - now_ms % TIMER_SLOT_MS;
    wheel->count = 0;
}

bool timer_is_set(const struct timer *timer)
{
    return timer->next != NULL;
}

/* Into the slot of its deadline, or the furthest one if that is beyond the wheel. */
static void link_timer(struct timer_wheel *wheel, struct timer *timer)
{
    uint64_t furthest = wheel->now_ms + (uint64_t)TIMER_SLOT_MS * (TIMER_SLOTS - 1);
    uint64_t at = timer->due_ms + TIMER_SLOT_MS - 1;

    at -= at % TIMER_SLOT_MS;
    if (at <= wheel->now_ms) {
        at = wheel->now_ms + TIMER_SLOT_MS;
    }
    timer->slot_ms = at < furthest ? at : furthest;
    ring_add(&wheel->slots[timer->slot_ms / TIMER_SLOT_MS % TIMER_SLOTS], timer);
}

void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    timer->due_ms = due_ms;
    if (timer_is_set(timer)) {
        if (due_ms >= timer->slot_ms) {
            return; /* the wheel will come by and move it on */
        }
        ring_remove(timer);
        wheel->count--;
    }
    link_timer(wheel, timer);
    wheel->count++;
}

void timer_clear(struct timer_wheel *wheel, struct timer *timer)
{
    if (timer_is_set(timer)) {
        assert(wheel->count > 0);
        ring_remove(timer);
        wheel->count--;
    }
}

/* Moves the timers of the next slot to the ring of due ones. */
static void advance(struct timer_wheel *wheel)
{
    wheel->now_ms += TIMER_SLOT_MS;
    struct timer *head = &wheel->slots[wheel->now_ms / TIMER_SLOT_MS % TIMER_SLOTS];
    while (head->next != head) {
        struct timer *timer = head->next;
        ring_remove(timer);
        ring_add(&wheel->due, timer);
    }
}

struct timer *timer_wheel_next(struct timer_wheel *wheel, uint64_t now_ms)
{
    for (;;) {
        while (wheel->due.next != &wheel->due) {
            struct timer *timer = wheel->due.next;
            ring_remove(timer);
            if (timer->due_ms <= now_ms) {
                wheel->count--;
                return timer;
            }
            link_timer(wheel, timer);
        }
        if (wheel->count == 0) { /* nothing to find: catch up in one step */
            wheel->now_ms = now_ms - now_ms % TIMER_SLOT_MS;
            return NULL;
        }
        if (wheel->now_ms + TIMER_SLOT_MS > now_ms) {
            return NULL;
        }
        advance(wheel);
    }
}
