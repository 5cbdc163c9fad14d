/* pgtally.c - see pgtally.h. */
#include "proxy/upstream/pgtally.h"

#include <assert.h>
#include <stdlib.h>

static const char *const names[PGTALLY_EVENT_COUNT] = {
    [PGTALLY_OPENED] = "opened",
    [PGTALLY_CUT_TERM] = "cut_term",
    [PGTALLY_CUT_VIEW] = "cut_view",
    [PGTALLY_CUT_COMMIT] = "cut_commit",
    [PGTALLY_LEFT] = "left",
    [PGTALLY_IDLE] = "idle",
    [PGTALLY_HELD] = "held",
    [PGTALLY_SERVED] = "served",
    [PGTALLY_EXPIRED] = "expired",
    [PGTALLY_REFUSED] = "refused",
    [PGTALLY_REFUSED_START] = "refused_start",
    [PGTALLY_REFUSED_SLOW] = "refused_slow",
    [PGTALLY_REFUSED_CLEAR] = "refused_clear",
    [PGTALLY_REFUSED_FAR] = "refused_far",
    [PGTALLY_REFUSED_BINDING] = "refused_binding",
    [PGTALLY_CANCELS] = "cancels",
    [PGTALLY_CANCELS_LOST] = "cancels_lost",
    [PGTALLY_CANCELS_DENIED] = "cancels_denied",
    [PGTALLY_TLS_FAILED] = "tls_failed",
    [PGTALLY_SERVER_TLS_FAILED] = "server_tls_failed",
};

static const char *const states[PGTALLY_STATE_COUNT] = {
    [PGTALLY_STARTING] = "starting",     [PGTALLY_WAITING] = "waiting",
    [PGTALLY_CONNECTING] = "connecting", [PGTALLY_OPEN] = "open",
    [PGTALLY_CANCELLING] = "cancelling",
};

static const uint32_t bounds_ms[PGTALLY_BOUND_COUNT] = {10,   50,   100,  250,   500,
                                                        1000, 2500, 5000, 10000, 30000};

struct pgtally *pgtally_create(void)
{
    struct pgtally *tally = calloc(1, sizeof *tally);
    if (tally != NULL) {
        atomic_init(&tally->references, 1);
        atomic_init(&tally->counts_until_ms, UINT64_MAX);
    }
    return tally;
}

struct pgtally *pgtally_retain(struct pgtally *tally)
{
    (void)atomic_fetch_add_explicit(&tally->references, 1, memory_order_relaxed);
    return tally;
}

void pgtally_release(struct pgtally *tally)
{
    if (tally != NULL &&
        atomic_fetch_sub_explicit(&tally->references, 1, memory_order_acq_rel) == 1) {
        free(tally);
    }
}

void pgtally_count(struct pgtally *tally, enum pgtally_event event)
{
    assert(event < PGTALLY_EVENT_COUNT);
    (void)atomic_fetch_add_explicit(&tally->events[event], 1, memory_order_relaxed);
}

void pgtally_note_wait(struct pgtally *tally, uint64_t ms)
{
    uint64_t most = atomic_load_explicit(&tally->waited_max_ms, memory_order_relaxed);
    unsigned at = 0;
    while (at < PGTALLY_BOUND_COUNT && ms > bounds_ms[at]) {
        at++;
    }
    (void)atomic_fetch_add_explicit(&tally->waits[at], 1, memory_order_relaxed);
    pgtally_count(tally, PGTALLY_SERVED);
    (void)atomic_fetch_add_explicit(&tally->waited_ms, ms, memory_order_relaxed);
    while (ms > most && !atomic_compare_exchange_weak_explicit(
                            &tally->waited_max_ms, &most, ms, memory_order_relaxed,
                            memory_order_relaxed)) {
    }
}

uint64_t pgtally_events(const struct pgtally *tally, enum pgtally_event event)
{
    assert(event < PGTALLY_EVENT_COUNT);
    return atomic_load_explicit(&tally->events[event], memory_order_relaxed);
}

const char *pgtally_event_name(enum pgtally_event event)
{
    assert(event < PGTALLY_EVENT_COUNT);
    return names[event];
}

void pgtally_enter(struct pgtally *tally, enum pgtally_state state)
{
    assert(state < PGTALLY_STATE_COUNT);
    (void)atomic_fetch_add_explicit(&tally->sessions[state], 1, memory_order_relaxed);
}

void pgtally_leave(struct pgtally *tally, enum pgtally_state state)
{
    assert(state < PGTALLY_STATE_COUNT);
    uint32_t before =
        atomic_fetch_sub_explicit(&tally->sessions[state], 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}

uint32_t pgtally_sessions(const struct pgtally *tally, enum pgtally_state state)
{
    assert(state < PGTALLY_STATE_COUNT);
    return atomic_load_explicit(&tally->sessions[state], memory_order_relaxed);
}

uint64_t pgtally_waits_within(const struct pgtally *tally, unsigned index)
{
    uint64_t sum = 0;
    assert(index <= PGTALLY_BOUND_COUNT);
    for (unsigned i = 0; i <= index; i++) {
        sum += atomic_load_explicit(&tally->waits[i], memory_order_relaxed);
    }
    return sum;
}

uint32_t pgtally_bound_ms(unsigned index)
{
    assert(index < PGTALLY_BOUND_COUNT);
    return bounds_ms[index];
}

const char *pgtally_state_name(enum pgtally_state state)
{
    assert(state < PGTALLY_STATE_COUNT);
    return states[state];
}

uint32_t pgtally_hold(struct pgtally *tally, enum pgtally_line line)
{
    assert(line < PGTALLY_LINE_COUNT);
    return atomic_fetch_add_explicit(&tally->held[line], 1, memory_order_relaxed) + 1;
}

void pgtally_let_go(struct pgtally *tally, enum pgtally_line line)
{
    assert(line < PGTALLY_LINE_COUNT);
    uint32_t before =
        atomic_fetch_sub_explicit(&tally->held[line], 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}

uint32_t pgtally_held(const struct pgtally *tally, enum pgtally_line line)
{
    assert(line < PGTALLY_LINE_COUNT);
    return atomic_load_explicit(&tally->held[line], memory_order_relaxed);
}
