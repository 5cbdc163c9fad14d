/* restart.h - when a failing instance is started anew, and when no longer.
 *
 * So many failing results in a row want a restart; the next one of the same instance has to
 * wait, twice as long each time, and within any hour there are at most so many: what does not
 * heal by then needs a person. Pure: results and times in, wishes out. It decides at results only,
 * so it needs no timer; an interval is the grain of all its times. */
#ifndef AGENT_CHECKS_RESTART_H
#define AGENT_CHECKS_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RESTART_PER_HOUR_MAX = 60,
    RESTART_AFTER_DEFAULT = 3,
    RESTART_PER_HOUR_DEFAULT = 5,
    RESTART_HOUR_MS = 3600 * 1000,
    RESTART_FIRST_WAIT_MS = 10 * 1000, /* between the first and the second */
    RESTART_WAIT_MAX_MS = 10 * 60 * 1000,
    RESTART_CALM_MS = 10 * 60 * 1000 /* well for so long: the waits begin anew */
};

enum restart_state {
    RESTART_IDLE,       /* nothing is wanted */
    RESTART_WAITING,    /* it fails; the next restart is not due yet */
    RESTART_RESTARTING, /* one was wished for and has not ended */
    RESTART_EXHAUSTED,  /* it fails; the hour's restarts are used up */
    RESTART_STATE_COUNT
};

enum restart_wish {
    RESTART_NOTHING,
    RESTART_NOW,     /* restart it, then restart_ended() or _withdrawn() */
    RESTART_GIVEN_UP /* said once: exhausted */
};

struct restart_options {
    uint32_t after;    /* failing results in a row; at least 1 */
    uint32_t per_hour; /* 1..RESTART_PER_HOUR_MAX */
};

struct restart {
    struct restart_options options;
    enum restart_state state;
    uint32_t failures;                       /* in a row since it was well or restarted */
    uint64_t times_ms[RESTART_PER_HOUR_MAX]; /* of the last hour's, oldest first */
    uint32_t time_count;
    uint64_t count;   /* of all */
    uint64_t wait_ms; /* between the last restart and the next */
    uint64_t due_ms;  /* not before */
    uint64_t well_ms; /* since when; UINT64_MAX: it is not */
    bool has_told;    /* that it is exhausted, since the last restart */
};

void restart_init(struct restart *restart, const struct restart_options *options);

/* Other options; what has happened stays. */
void restart_reconfigure(struct restart *restart, const struct restart_options *options);

/* One result of the check. */
enum restart_wish restart_result(struct restart *restart, bool is_failing,
                                 uint64_t now_ms);

/* What was wished for has ended, well or not: either way it counts. `jitter` is random: it
 * lengthens the next wait by up to a fifth, so that instances that fall together do not come back
 * together. */
void restart_ended(struct restart *restart, uint64_t now_ms, uint32_t jitter);

/* What was wished for was not tried, for a good reason: it does not count. */
void restart_withdrawn(struct restart *restart);

/* Somebody has taken it away on purpose: failing results mean nothing. */
void restart_rest(struct restart *restart);

/* Puts back one restart of the last run; oldest first. */
void restart_recall(struct restart *restart, uint64_t at_ms);

const char *restart_state_name(enum restart_state state); /* "idle", ... */

#endif
