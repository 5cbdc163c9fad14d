/* pgtally.c - see pgtally.h. */
#include "proxy/pgtally.h"

#include <assert.h>
#include <stdlib.h>

static const char *const names[PGTALLY_EVENT_COUNT] = {
    [PGTALLY_OPENED] = "opened",
    [PGTALLY_CUT_TERM] = "cut_term",
    [PGTALLY_CUT_VIEW] = "cut_view",
    [PGTALLY_CUT_COMMIT] = "cut_commit",
    [PGTALLY_LEFT] = "left",
    [PGTALLY_HELD] = "held",
    [PGTALLY_SERVED] = "served",
    [PGTALLY_EXPIRED] = "expired",
    [PGTALLY_REFUSED] = "refused",
    [PGTALLY_CANCELS] = "cancels",
    [PGTALLY_CANCELS_LOST] = "cancels_lost",
    [PGTALLY_CANCELS_DENIED] = "cancels_denied",
    [PGTALLY_TLS_FAILED] = "tls_failed",
    [PGTALLY_SERVER_TLS_FAILED] = "server_tls_failed",
};

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
