/* checks_uv.h - the checks' edge: one timer that drives the schedule and its probers. */
#ifndef AGENT_CHECKS_CHECKS_UV_H
#define AGENT_CHECKS_CHECKS_UV_H

#include "agent/checks/schedule.h"
#include "base/metrics.h"

struct uv_loop_s;
struct catalog;
struct checks_uv;

struct checks_uv_options {
    struct uv_loop_s *loop;
    struct schedule *schedule; /* borrowed until closed */
    struct catalog *catalog;   /* what alias checks look at; borrowed */
    struct rc_metrics *metrics;

    /* SCHEDULE_CHANGED, _RESULT and _OVERDUE are handed on; agent.c connects
     * local_on_schedule() here. `now_ms` is the loop's monotonic time. */
    void (*on_action)(void *context, const struct schedule_action *action,
                      uint64_t now_ms);
    void *context;
};

/* Starts the timer. RC_OK, RC_ENOMEM or RC_EIO. */
int checks_uv_start(const struct checks_uv_options *options, struct checks_uv **out);

/* Something was added, told or removed: what waits is carried out in the loop's next
 * turn. Cheap; may be called from anywhere on the loop's thread, also inside
 * on_action(). */
void checks_uv_wake(struct checks_uv *io);

/* Ends every run; `on_closed` (may be NULL) is called from the loop when `io` is
 * freed. The handles of ended runs close by themselves. NULL `io` is allowed: nothing
 * happens. */
void checks_uv_close(struct checks_uv *io, void (*on_closed)(void *context),
                     void *context);

#endif
