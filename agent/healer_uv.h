/* healer_uv.h - units of failing checks are restarted by systemd, and that is told.
 *
 * Which, and when, agent/local decides (heal.c, agent/checks/restart.h); asking systemd is
 * agent/checks/bus_systemd.h. Here they meet, with the log and the metrics. */
#ifndef AGENT_HEALER_UV_H
#define AGENT_HEALER_UV_H

#include "agent/local/local.h"

struct healer;
struct uv_loop_s;

enum healer_outcome {
    HEALER_RESTARTED,
    HEALER_FAILED,
    HEALER_LEFT_ALONE, /* its unit is not in a state that a restart is for */
    HEALER_EXHAUSTED,  /* the hour's restarts are used up: it was not tried any more */
    HEALER_OUTCOME_COUNT
};

/* What a wish has come to; all borrowed during the call. */
struct healer_news {
    enum healer_outcome outcome;
    const char *check_id;
    const char *unit;
    const char *error; /* why it was not restarted; NULL: it was */
};

struct healer_options {
    struct uv_loop_s *loop;     /* borrowed until closed, as all of these */
    struct rc_metrics *metrics; /* may be NULL */
    /* Once for each wish. True: it is worth telling. */
    bool (*done)(void *context, const struct healer_news *news);
    void *context;
};

/* Opens no connection yet. RC_OK or RC_ENOMEM. */
int healer_open(const struct healer_options *options, struct healer **out);

/* For local_options.heal. */
void healer_wish(struct healer *healer, const struct local_heal *wish);

/* What is under way is left to systemd. NULL is allowed. */
void healer_close(struct healer *healer);

#endif
