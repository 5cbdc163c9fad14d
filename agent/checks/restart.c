#include "agent/checks/restart.h"

#include <assert.h>
#include <string.h>

static const char *const names[RESTART_STATE_COUNT] = {
    [RESTART_IDLE] = "idle",
    [RESTART_WAITING] = "waiting",
    [RESTART_RESTARTING] = "restarting",
    [RESTART_EXHAUSTED] = "exhausted",
};

const char *restart_state_name(enum restart_state state)
{
    assert(state < RESTART_STATE_COUNT);
    return names[state];
}

void restart_init(struct restart *restart, const struct restart_options *options)
{
    assert(options->after > 0);
    assert(options->per_hour > 0 && options->per_hour <= RESTART_PER_HOUR_MAX);
    *restart = (struct restart){.options = *options, .well_ms = UINT64_MAX};
}

void restart_reconfigure(struct restart *restart, const struct restart_options *options)
{
    assert(options->after > 0);
    assert(options->per_hour > 0 && options->per_hour <= RESTART_PER_HOUR_MAX);
    restart->options = *options;
}

/* Restarts of more than an hour ago are nobody's concern. */
static void forget_old(struct restart *restart, uint64_t now_ms)
{
    uint32_t old = 0;

    while (old < restart->time_count &&
           now_ms >= restart->times_ms[old] + RESTART_HOUR_MS) {
        old++;
    }
    restart->time_count -= old;
    memmove(restart->times_ms, restart->times_ms + old,
            restart->time_count * sizeof restart->times_ms[0]);
}

static void note(struct restart *restart, uint64_t now_ms)
{
    if (restart->time_count == RESTART_PER_HOUR_MAX) {
        restart->time_count--;
        memmove(restart->times_ms, restart->times_ms + 1,
                restart->time_count * sizeof restart->times_ms[0]);
    }
    restart->times_ms[restart->time_count++] = now_ms;
}

static uint64_t next_wait_ms(const struct restart *restart)
{
    uint64_t wait_ms =
        restart->wait_ms == 0 ? RESTART_FIRST_WAIT_MS : 2 * restart->wait_ms;

    return wait_ms < RESTART_WAIT_MAX_MS ? wait_ms : RESTART_WAIT_MAX_MS;
}

static enum restart_wish on_well(struct restart *restart, uint64_t now_ms)
{
    restart->failures = 0;
    restart->state = RESTART_IDLE;
    if (restart->well_ms == UINT64_MAX) {
        restart->well_ms = now_ms;
    } else if (now_ms >= restart->well_ms + RESTART_CALM_MS) {
        restart->wait_ms = 0;
        restart->due_ms = 0;
    }
    return RESTART_NOTHING;
}

static enum restart_wish give_up(struct restart *restart)
{
    bool is_new = !restart->has_told;

    restart->state = RESTART_EXHAUSTED;
    restart->has_told = true;
    return is_new ? RESTART_GIVEN_UP : RESTART_NOTHING;
}

enum restart_wish restart_result(struct restart *restart, bool is_failing,
                                 uint64_t now_ms)
{
    if (restart->state == RESTART_RESTARTING) {
        return RESTART_NOTHING; /* says nothing about the instance to come */
    }
    forget_old(restart, now_ms);
    if (!is_failing) {
        return on_well(restart, now_ms);
    }
    restart->well_ms = UINT64_MAX;
    if (restart->failures < UINT32_MAX) {
        restart->failures++;
    }
    if (restart->failures < restart->options.after) {
        return RESTART_NOTHING;
    }
    if (restart->time_count >= restart->options.per_hour) {
        return give_up(restart);
    }
    if (now_ms < restart->due_ms) {
        restart->state = RESTART_WAITING;
        return RESTART_NOTHING;
    }
    restart->failures = 0;
    restart->state = RESTART_RESTARTING;
    return RESTART_NOW;
}

void restart_ended(struct restart *restart, uint64_t now_ms, uint32_t jitter)
{
    if (restart->state != RESTART_RESTARTING) {
        return;
    }
    restart->state = RESTART_IDLE;
    restart->wait_ms = next_wait_ms(restart);
    restart->due_ms = now_ms + restart->wait_ms + jitter % (restart->wait_ms / 5);
    restart->count++;
    restart->has_told = false;
    note(restart, now_ms);
}

void restart_withdrawn(struct restart *restart)
{
    if (restart->state == RESTART_RESTARTING) {
        restart->state = RESTART_IDLE;
    }
}

void restart_rest(struct restart *restart)
{
    if (restart->state != RESTART_RESTARTING) {
        restart->state = RESTART_IDLE;
    }
    restart->failures = 0;
    restart->well_ms = UINT64_MAX;
}

void restart_recall(struct restart *restart, uint64_t at_ms)
{
    note(restart, at_ms);
    restart->wait_ms = next_wait_ms(restart);
    restart->due_ms = at_ms + restart->wait_ms;
    restart->count++;
}
