/* lineup_time.c - see lineup.h: ejection, trials, and who is forgotten. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/upstream/lineup_state.h"

enum { JITTER_PPM = 100000, SAMPLE_MS = 1000 };

static struct upstream_counts counts_of(const struct lineup_member *member)
{
    struct instance *i = member->instance;
    return (struct upstream_counts){
        .failures_in_a_row =
            atomic_load_explicit(&i->failures_in_a_row, memory_order_relaxed),
        .trial_successes =
            atomic_load_explicit(&i->trial_successes, memory_order_relaxed),
        .in_flight = atomic_load_explicit(&i->in_flight, memory_order_relaxed),
    };
}

/* Once a second: how each has fared of late. */
static void sample(struct lineup *lineup, uint64_t now_ms)
{
    if (now_ms - lineup->sampled_ms < SAMPLE_MS) {
        return;
    }
    lineup->sampled_ms = now_ms;
    for (size_t i = 0; i < lineup->count; i++) {
        struct instance *instance = lineup->members[i].instance;
        uint32_t failed = 0;
        for (unsigned k = 0; k < INSTANCE_OUTCOME_COUNT; k++) {
            if (instance_outcome_is_failure((enum instance_outcome)k)) {
                failed +=
                    atomic_load_explicit(&instance->outcomes[k], memory_order_relaxed);
            }
        }
        outlier_sample(
            &lineup->members[i].window,
            atomic_load_explicit(&instance->outcomes[INSTANCE_OK], memory_order_relaxed),
            failed);
    }
}

static bool is_ill(const struct lineup *lineup, const struct lineup_member *member)
{
    int rate = outlier_rate(&member->window);
    if (rate < 0 || rate >= OUTLIER_ILL || lineup->rules.failures_max == 0 ||
        !upstream_is_usable(member->upstream.state)) {
        return false; /* nearly always */
    }
    int *rates = calloc(lineup->count, sizeof *rates);
    for (size_t i = 0; rates != NULL && i < lineup->count; i++) {
        rates[i] = outlier_rate(&lineup->members[i].window);
    }
    bool ill = rates != NULL && outlier_is_ill(rate, rates, lineup->count);
    free(rates);
    return ill;
}

void lineup_clear_counts(const struct lineup_member *member)
{
    struct instance *i = member->instance;
    atomic_store_explicit(&i->failures_in_a_row, 0, memory_order_relaxed);
    atomic_store_explicit(&i->trial_successes, 0, memory_order_relaxed);
    atomic_store_explicit(&i->trials, 0, memory_order_relaxed);
}

/* Never the last usable one, never more than the configured part of the pool. */
static bool may_eject(const struct lineup *lineup, const struct lineup_member *candidate)
{
    size_t usable = 0;
    size_t ejected = 0;
    size_t present = 0;
    if (candidate->upstream.state == UPSTREAM_TRIAL) {
        return true; /* it is out already */
    }
    for (size_t i = 0; i < lineup->count; i++) {
        const struct upstream *u = &lineup->members[i].upstream;
        usable += upstream_is_usable(u->state);
        ejected += u->state == UPSTREAM_EJECTED || u->state == UPSTREAM_TRIAL;
        present += u->present;
    }
    return usable > 1 && (ejected + 1) * 100 <= present * lineup->max_ejected_percent;
}

static bool tick_member(struct lineup *lineup, struct lineup_member *member,
                        uint64_t now_ms)
{
    struct upstream_counts counts = counts_of(member);
    bool fails = upstream_should_eject(&member->upstream, &lineup->rules, &counts) ||
                 is_ill(lineup, member);
    if (fails && may_eject(lineup, member)) {
        outlier_clear(&member->window);
        upstream_eject(&member->upstream, &lineup->rules,
                       (uint32_t)rc_random_below(&lineup->random, JITTER_PPM), now_ms);
        lineup_clear_counts(member);
        return true;
    }
    if (member->upstream.state == UPSTREAM_TRIAL && counts.in_flight == 0) {
        /* A slot that was taken and never used comes back. */
        atomic_store_explicit(&member->instance->trials, 0, memory_order_relaxed);
    }
    if (upstream_tick(&member->upstream, &lineup->rules, &counts, now_ms)) {
        lineup_clear_counts(member);
        return true;
    }
    return false;
}

static bool forget_gone(struct lineup *lineup)
{
    size_t kept = 0;
    for (size_t i = 0; i < lineup->count; i++) {
        if (lineup->members[i].upstream.state == UPSTREAM_GONE) {
            instance_release(lineup->members[i].instance);
        } else {
            lineup->members[kept++] = lineup->members[i];
        }
    }
    bool changed = kept != lineup->count;
    lineup->count = kept;
    return changed;
}

bool lineup_tick(struct lineup *lineup, uint64_t now_ms)
{
    bool changed = false;
    sample(lineup, now_ms);
    for (size_t i = 0; i < lineup->count; i++) {
        changed = tick_member(lineup, &lineup->members[i], now_ms) || changed;
    }
    return forget_gone(lineup) || changed;
}
