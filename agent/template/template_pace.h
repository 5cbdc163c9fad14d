/* template_pace.h - when one template is rendered, checked and its reload run.
 *
 * Something has changed: after `quiet_min_ms` without another change it is rendered, and at
 * the latest `quiet_max_ms` after the first. The new text is checked, then replaces the file,
 * then the reload runs. What changes meanwhile is rendered when that has ended. A check, a
 * write or a reload that fails is tried again after 1 s, 2 s, 4 s, ... 60 s, or as soon as
 * something changes. After the agent was away it is given time to hear from its pool. Pure: time and results in, actions out. */
#ifndef AGENT_TEMPLATE_TEMPLATE_PACE_H
#define AGENT_TEMPLATE_TEMPLATE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TEMPLATE_QUIET_MIN_MS = 100,
    TEMPLATE_QUIET_MAX_MS = 400,
    TEMPLATE_SETTLE_MS = 2000, /* an agent that was away hears from its pool */
    TEMPLATE_RETRY_MS = 1000,
    TEMPLATE_RETRY_MAX_MS = 60 * 1000
};

enum template_state {
    TEMPLATE_IDLE,
    TEMPLATE_RENDERING, /* its TEMPLATE_RENDER is out */
    TEMPLATE_CHECKING,
    TEMPLATE_RELOADING,
};

struct template_pace {
    uint64_t quiet_min_ms;
    uint64_t quiet_max_ms;
    enum template_state state;
    uint64_t first_ms; /* of the changes that are not rendered yet; UINT64_MAX: none */
    uint64_t last_ms;  /* likewise */
    uint64_t retry_ms; /* render again then, for a check or a write that failed */
    uint64_t not_before_ms; /* nothing is rendered until then */
    uint64_t reload_ms;     /* the reload is owed then; UINT64_MAX: none is */
    unsigned failures;      /* of check and write, in a row */
    unsigned reload_failures;
};

enum template_action {
    TEMPLATE_NOTHING,
    TEMPLATE_RENDER, /* then one of template_pace_rendered() and its like */
    TEMPLATE_RELOAD  /* then template_pace_reloaded() */
};

/* What came of a rendering. */
enum template_outcome {
    TEMPLATE_SAME,    /* the file is as it should be; or it cannot be rendered now */
    TEMPLATE_CHECKS,  /* the check runs; then template_pace_rendered() is called again */
    TEMPLATE_WRITTEN, /* the file is new, and there is no reload */
    TEMPLATE_OWES,    /* the file is new, and a reload is due */
    TEMPLATE_FAILED   /* refused by the check, or not written */
};

void template_pace_init(struct template_pace *pace, uint64_t quiet_min_ms,
                        uint64_t quiet_max_ms);

/* Something that it shows may have changed. */
void template_pace_touch(struct template_pace *pace, uint64_t now_ms);

/* Nothing is rendered before `until_ms`, whatever has changed. */
void template_pace_hold(struct template_pace *pace, uint64_t until_ms);

enum template_action template_pace_next(struct template_pace *pace, uint64_t now_ms);
void template_pace_rendered(struct template_pace *pace, enum template_outcome outcome,
                            uint64_t now_ms);
enum template_reload { TEMPLATE_RELOAD_DONE, TEMPLATE_RELOAD_FAILED };
void template_pace_reloaded(struct template_pace *pace, enum template_reload result,
                            uint64_t now_ms);

/* When template_pace_next() may have something; UINT64_MAX: not by time alone. */
uint64_t template_pace_deadline_ms(const struct template_pace *pace);

/* Nothing is under way, due or owed. */
bool template_pace_is_done(const struct template_pace *pace);

#endif
