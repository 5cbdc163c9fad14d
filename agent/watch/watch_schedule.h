/* watch_schedule.h - when each watch looks again, and how long its handler may run.
 *
 * Something has changed: the watch looks, a moment later, so that what changes together is one
 * look. It found news: its handler runs; one at a time a watch, and not more than
 * WATCH_RUNS_MAX together. What changes meanwhile is looked at when it has ended, once,
 * however much it was. A handler that fails is not run again for the same news, as in Consul,
 * and its next run waits: 1 s, 2 s, 4 s, ... 60 s. Pure: time and results in, actions out. */
#ifndef AGENT_WATCH_WATCH_SCHEDULE_H
#define AGENT_WATCH_WATCH_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WATCH_SLOTS_MAX = 64,
    WATCH_RUNS_MAX = 16,
    WATCH_SETTLE_MS = 20,
    WATCH_BACK_OFF_MS = 1000,
    WATCH_BACK_OFF_MAX_MS = 60 * 1000,
};

enum watch_pace {
    WATCH_STEADY, /* looks settle, failures back off */
    WATCH_PROMPT  /* neither: somebody waits for the answer */
};

enum watch_state {
    WATCH_FREE,
    WATCH_IDLE,
    WATCH_LOOKING, /* its WATCH_LOOK is out */
    WATCH_RUNNING,
    WATCH_ENDING /* its WATCH_EXPIRE is out */
};

struct watch_slot {
    enum watch_state state;
    enum watch_pace pace;
    uint64_t due_ms;      /* of the next look; UINT64_MAX: nothing has changed */
    uint64_t earliest_ms; /* not before, after failures */
    uint64_t ends_ms;     /* of the run */
    unsigned failures;    /* in a row */
};

/* A zeroed struct is empty. */
struct watch_schedule {
    struct watch_slot slots[WATCH_SLOTS_MAX];
    size_t running;
    size_t next; /* who is asked first: everybody gets a turn */
};

enum watch_action_type {
    WATCH_LOOK,  /* then call watch_schedule_run() or watch_schedule_rest() */
    WATCH_EXPIRE /* end the run of `slot`, then call watch_schedule_ended() */
};

struct watch_action {
    enum watch_action_type type;
    size_t slot;
};

enum watch_outcome { WATCH_DONE, WATCH_FAILED };

/* Takes or frees a slot. A freed one has no run: its owner has ended it. */
void watch_schedule_take(struct watch_schedule *s, size_t slot, enum watch_pace pace);
void watch_schedule_free(struct watch_schedule *s, size_t slot);

/* What `slot` looks at may have changed. Free slots are ignored. */
void watch_schedule_touch(struct watch_schedule *s, size_t slot, uint64_t now_ms);

/* After WATCH_LOOK: its handler starts, and must end by `ends_ms`; or there is nothing new. */
void watch_schedule_run(struct watch_schedule *s, size_t slot, uint64_t ends_ms);
void watch_schedule_rest(struct watch_schedule *s, size_t slot);

/* The run is over; ignored when there is none. */
void watch_schedule_ended(struct watch_schedule *s, size_t slot,
                          enum watch_outcome outcome, uint64_t now_ms);

/* The next thing to do; false: nothing now. */
bool watch_schedule_next(struct watch_schedule *s, uint64_t now_ms,
                         struct watch_action *out);

/* When watch_schedule_next() may have something; UINT64_MAX: never. */
uint64_t watch_schedule_deadline_ms(const struct watch_schedule *s);

#endif
