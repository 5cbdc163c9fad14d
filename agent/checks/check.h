/* check.h - how one check stands: from single results to a status people can rely on.
 *
 * Pure: results and time in, news out. Rules: Consul's health checks (thresholds, TTL,
 * output limits), and ours against flapping: at most one change of status a second, and a
 * check that keeps falling must stay well for longer and longer before it counts as
 * well again (getting worse is never held back for more than a second). Not damped: TTL
 * checks, which somebody sets on purpose, and changes of a PostgreSQL role. It runs
 * nothing and schedules nothing: that is schedule.h. */
#ifndef AGENT_CHECKS_CHECK_H
#define AGENT_CHECKS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/definition.h"
#include "base/buffer.h"

/* What a PostgreSQL server really is, as far as the check knows. */
enum check_role {
    CHECK_ROLE_NONE,
    CHECK_ROLE_PRIMARY,
    CHECK_ROLE_STANDBY,
    CHECK_ROLE_COUNT
};

/* Which end of a long output is kept. */
enum check_keep { CHECK_KEEP_LAST, CHECK_KEEP_LAST_MARKED, CHECK_KEEP_FIRST_MARKED };

enum {
    CHECK_OUTPUT_MAX = 4096,      /* bytes of output kept, a mark not counted */
    CHECK_CHANGE_EVERY_MS = 1000, /* the fastest a damped status may change */
    CHECK_HOLD_MAX_MS = 30000     /* the longest a recovery is held back */
};

/* What has changed for others: bits, or'ed together. */
enum check_news {
    CHECK_NEWS_NONE = 0,
    CHECK_NEWS_STATUS = 1,
    CHECK_NEWS_ROLE = 2,
    CHECK_NEWS_OUTPUT = 4
};

struct check_options {
    uint32_t success_before_passing;   /* consecutive good results, 0 and 1 alike */
    uint32_t failures_before_critical; /* consecutive bad results, 0 and 1 alike */
    uint32_t output_max;               /* 0 or more than the maximum: CHECK_OUTPUT_MAX */
    uint64_t ttl_ms;                   /* 0: not a TTL check */
    uint64_t deregister_after_ms;      /* critical for that long: give up. 0: never */
    enum check_status initial;
    enum check_keep keep;
    bool undamped; /* every change at once */
};

struct check_result {
    enum check_status status;
    enum check_role role;
    const void *output; /* borrowed during the call; any bytes */
    size_t output_size;
    size_t output_total; /* what the probe really wrote, when it was cut already; or 0 */
};

struct check {
    struct check_options options;
    enum check_status status;   /* as told to others */
    enum check_status observed; /* by thresholds, before damping */
    enum check_role role;       /* as told to others; NONE while critical */
    enum check_role role_seen;  /* of the last result that counted */
    struct rc_buffer output;    /* valid UTF-8, no control bytes but tab and line end */
    size_t held_size;           /* bytes of `output` that say why a recovery waits */
    uint64_t since_ms;          /* since when `status` holds */
    uint64_t observed_since_ms;
    uint64_t ttl_at_ms; /* TTL checks: when it expires; UINT64_MAX: it has */
    uint32_t successes; /* in a row */
    uint32_t failures;  /* in a row */
    uint32_t falls;     /* in a row, each soon after the recovery before */
    bool has_result;
    bool has_changed; /* a result has changed `status` before */
};

/* Starts at options->initial since `now_ms`; a TTL check expires `ttl_ms` from now. */
void check_init(struct check *check, const struct check_options *options,
                uint64_t now_ms);
void check_fini(struct check *check);

/* Puts back what was known before a restart: status, output and role hold since
 * `since_ms`; the next result counts at once. A TTL check expires at `ttl_at_ms`. */
void check_restore(struct check *check, const struct check_result *was, uint64_t since_ms,
                   uint64_t ttl_at_ms);

/* Takes over other options, keeping status and output; a TTL starts anew. */
void check_reconfigure(struct check *check, const struct check_options *options,
                       uint64_t now_ms);

/* One run has ended, or somebody has set a TTL check. Returns bits of enum check_news. */
unsigned check_observe(struct check *check, const struct check_result *result,
                       uint64_t now_ms);

/* Time has passed: a TTL may have expired, damping may have ended. Bits of enum
 * check_news. */
unsigned check_tick(struct check *check, uint64_t now_ms);

/* When check_tick() will have something to say; UINT64_MAX: never. */
uint64_t check_deadline_ms(const struct check *check);

/* When it will have been critical for options.deregister_after_ms; UINT64_MAX: never. */
uint64_t check_overdue_ms(const struct check *check);

/* "", "primary", "standby". */
const char *check_role_name(enum check_role role);

/* Replaces `out` by `bytes` cut to `max` bytes and cleaned: broken UTF-8 and control
 * bytes but tab and line end become '?'. `total` is the size before any cutting. */
void check_clean_output(struct rc_buffer *out, const void *bytes, size_t size,
                        size_t total, size_t max, enum check_keep keep);

#endif
