#include "agent/template/template_pace.h"

#include <assert.h>

void template_pace_init(struct template_pace *pace, uint64_t quiet_min_ms,
                        uint64_t quiet_max_ms)
{
    *pace = (struct template_pace){
        .quiet_min_ms = quiet_min_ms,
        .quiet_max_ms = quiet_max_ms > quiet_min_ms ? quiet_max_ms : quiet_min_ms,
        .first_ms = UINT64_MAX,
        .retry_ms = UINT64_MAX,
        .reload_ms = UINT64_MAX,
    };
}

void template_pace_touch(struct template_pace *pace, uint64_t now_ms)
{
    pace->last_ms = now_ms;
    if (pace->first_ms == UINT64_MAX) {
        pace->first_ms = now_ms;
    }
}

void template_pace_hold(struct template_pace *pace, uint64_t until_ms)
{
    if (until_ms > pace->not_before_ms) {
        pace->not_before_ms = until_ms;
    }
}

static uint64_t render_due_ms(const struct template_pace *pace)
{
    uint64_t due_ms = UINT64_MAX;

    if (pace->first_ms != UINT64_MAX) {
        uint64_t quiet_ms = pace->last_ms + pace->quiet_min_ms;
        uint64_t latest_ms = pace->first_ms + pace->quiet_max_ms;
        due_ms = quiet_ms < latest_ms ? quiet_ms : latest_ms;
    }
    due_ms = due_ms < pace->retry_ms ? due_ms : pace->retry_ms;
    return due_ms > pace->not_before_ms ? due_ms : pace->not_before_ms;
}

static uint64_t back_off_ms(unsigned failures)
{
    uint64_t wait_ms = TEMPLATE_RETRY_MS;

    for (unsigned i = 1; i < failures && wait_ms < TEMPLATE_RETRY_MAX_MS; i++) {
        wait_ms *= 2;
    }
    return wait_ms < TEMPLATE_RETRY_MAX_MS ? wait_ms : TEMPLATE_RETRY_MAX_MS;
}

enum template_action template_pace_next(struct template_pace *pace, uint64_t now_ms)
{
    if (pace->state != TEMPLATE_IDLE) {
        return TEMPLATE_NOTHING;
    }
    if (now_ms >= pace->reload_ms) { /* the program should know the file that is there */
        pace->state = TEMPLATE_RELOADING;
        return TEMPLATE_RELOAD;
    }
    if (now_ms >= render_due_ms(pace)) {
        pace->state = TEMPLATE_RENDERING;
        pace->first_ms = UINT64_MAX; /* what changes from now on is for the next */
        pace->retry_ms = UINT64_MAX;
        return TEMPLATE_RENDER;
    }
    return TEMPLATE_NOTHING;
}

void template_pace_rendered(struct template_pace *pace, enum template_outcome outcome,
                            uint64_t now_ms)
{
    assert(pace->state == TEMPLATE_RENDERING || pace->state == TEMPLATE_CHECKING);
    pace->state = outcome == TEMPLATE_CHECKS ? TEMPLATE_CHECKING : TEMPLATE_IDLE;
    switch (outcome) {
    case TEMPLATE_CHECKS:
        break;
    case TEMPLATE_FAILED:
        pace->failures++;
        pace->retry_ms = now_ms + back_off_ms(pace->failures);
        break;
    case TEMPLATE_OWES:
        pace->reload_ms = now_ms;
        pace->reload_failures = 0;
        pace->failures = 0;
        break;
    case TEMPLATE_SAME:
    case TEMPLATE_WRITTEN:
        pace->failures = 0;
        break;
    }
}

void template_pace_reloaded(struct template_pace *pace, enum template_reload result,
                            uint64_t now_ms)
{
    assert(pace->state == TEMPLATE_RELOADING);
    pace->state = TEMPLATE_IDLE;
    if (result == TEMPLATE_RELOAD_DONE) {
        pace->reload_ms = UINT64_MAX;
        pace->reload_failures = 0;
        return;
    }
    pace->reload_failures++;
    pace->reload_ms = now_ms + back_off_ms(pace->reload_failures);
}

uint64_t template_pace_deadline_ms(const struct template_pace *pace)
{
    if (pace->state != TEMPLATE_IDLE) {
        return UINT64_MAX;
    }
    uint64_t due_ms = render_due_ms(pace);
    return due_ms < pace->reload_ms ? due_ms : pace->reload_ms;
}

bool template_pace_is_done(const struct template_pace *pace)
{
    return pace->state == TEMPLATE_IDLE && template_pace_deadline_ms(pace) == UINT64_MAX;
}
