/* timer.h - many deadlines, most of which are moved before they come.
 *
 * A hashed wheel (Varghese, Lauck 1987, scheme 6), ticked from outside: no clock. Moving a
 * deadline to later only writes a number; the wheel looks at it when the old time comes. So
 * a deadline may be set at each byte of progress. Precision is one slot. */
#ifndef PROXY_WORKER_TIMER_H
#define PROXY_WORKER_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TIMER_SLOT_MS = 25, TIMER_SLOTS = 1024 };

/* Embedded in its owner. Zeroed = not set. */
struct timer {
    struct timer *next;
    struct timer *previous;
    uint64_t due_ms;
    uint64_t slot_ms; /* when the wheel looks at it */
    uint8_t kind;     /* the owner's: to find it again */
};

struct timer_wheel {
    struct timer slots[TIMER_SLOTS]; /* heads of rings */
    uint64_t now_ms;                 /* all slots before are empty */
    size_t count;
    struct timer due; /* ring of those whose slot has come, not yet looked at */
};

void timer_wheel_init(struct timer_wheel *wheel, uint64_t now_ms);

/* Sets or moves a deadline. */
void timer_set(struct timer_wheel *wheel, struct timer *timer, uint64_t due_ms);

/* Takes it out; nothing happens if it is not set. */
void timer_clear(struct timer_wheel *wheel, struct timer *timer);

bool timer_is_set(const struct timer *timer);

/* One timer whose time has come, taken out; NULL when there is none left at `now_ms`. To be
 * called until it says NULL; the timers may be set and cleared meanwhile. */
struct timer *timer_wheel_next(struct timer_wheel *wheel, uint64_t now_ms);

#endif
