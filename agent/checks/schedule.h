/* schedule.h - when each check runs next, and what to do now.
 *
 * A heap of due times over every check of this agent. Pure: time and results in, actions
 * out. The first run comes after a random part of the interval, later ones an interval
 * after the start of the run before; a check has one run in flight at most; a run that
 * outlives its timeout is ended. Who probes is not its business: checks_uv.h. */
#ifndef AGENT_CHECKS_SCHEDULE_H
#define AGENT_CHECKS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/checks/check.h"

struct check_definition; /* agent/catalog/definition.h */
struct schedule;

enum { SCHEDULE_CHECKS_MAX = 65536 };

struct schedule_entry {
    struct check_options check;
    /* What a prober needs to know; NULL: nobody probes (TTL, maintenance). Borrowed until
     * schedule_remove() or schedule_replace(); probers copy what outlives start(). */
    const struct check_definition *definition;
    uint64_t interval_ms; /* 0: never run */
    uint64_t timeout_ms;
    void *owner;        /* handed back in actions; may be NULL */
    bool tells_results; /* each result is an action of its own, changed or not */
};

enum schedule_action_type {
    SCHEDULE_START,   /* begin run `probe` of `check` by `definition` */
    SCHEDULE_EXPIRE,  /* end run `probe`, too long; it still owes a result */
    SCHEDULE_CANCEL,  /* end run `probe`; nobody waits for its result */
    SCHEDULE_FORGET,  /* `check` is gone: drop what was kept between its runs */
    SCHEDULE_CHANGED, /* `check` has `news` for `owner` */
    SCHEDULE_RESULT, /* `check` has one more result, for `owner` that wants to know each */
    SCHEDULE_OVERDUE, /* `check` has been critical for too long: deregister its service */
    SCHEDULE_ACTION_COUNT
};

struct schedule_action {
    enum schedule_action_type type;
    uint64_t check;
    uint64_t probe; /* START, EXPIRE, CANCEL; never used twice */
    uint64_t timeout_ms;
    const struct check_definition *definition; /* START; borrowed until the next call */
    void *owner;                               /* START, CHANGED, RESULT, OVERDUE */
    unsigned news;                             /* CHANGED: bits of enum check_news */
};

/* RC_OK or RC_ENOMEM. */
int schedule_create(uint64_t random_seed, struct schedule **out);
void schedule_destroy(struct schedule *schedule);

/* A new check. `*out` names it from now on, is never 0 and never used twice. RC_OK,
 * RC_ETOOBIG (too many checks) or RC_ENOMEM. */
int schedule_add(struct schedule *schedule, const struct schedule_entry *entry,
                 uint64_t now_ms, uint64_t *out);

/* Other settings for the same check; status, output and counters stay. A run in flight is
 * cancelled and started anew soon. Unknown checks are ignored. */
void schedule_replace(struct schedule *schedule, uint64_t check,
                      const struct schedule_entry *entry, uint64_t now_ms);

/* The check is forgotten; a run in flight is cancelled. Unknown checks are ignored. */
void schedule_remove(struct schedule *schedule, uint64_t check);

/* The check's state, or NULL. Borrowed until the next call that changes the schedule. */
const struct check *schedule_find(const struct schedule *schedule, uint64_t check);

/* See check_restore(). */
void schedule_restore(struct schedule *schedule, uint64_t check,
                      const struct check_result *was, uint64_t since_ms,
                      uint64_t ttl_at_ms);

/* Lets a check run at once instead of at its next turn (its target has changed). */
void schedule_hurry(struct schedule *schedule, uint64_t check, uint64_t now_ms);

/* A run has ended. Results of cancelled or unknown runs are ignored. */
void schedule_result(struct schedule *schedule, uint64_t probe,
                     const struct check_result *result, uint64_t now_ms);

/* Somebody has set a TTL check. RC_OK or RC_ENOTFOUND. */
int schedule_tell(struct schedule *schedule, uint64_t check,
                  const struct check_result *result, uint64_t now_ms);

/* Does what is due. Then take the actions. */
void schedule_tick(struct schedule *schedule, uint64_t now_ms);

/* When schedule_tick() is due next; 0 while actions wait, UINT64_MAX: never. */
uint64_t schedule_deadline_ms(const struct schedule *schedule);

/* The next action in `out`, true; or false when there is none. */
bool schedule_next_action(struct schedule *schedule, struct schedule_action *out);

/* When that run started; `now_ms` for an unknown run. */
uint64_t schedule_started_ms(const struct schedule *schedule, uint64_t probe,
                             uint64_t now_ms);

/* How many checks have that status. */
size_t schedule_count(const struct schedule *schedule, enum check_status status);

#endif
