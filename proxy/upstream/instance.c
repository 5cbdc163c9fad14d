/* instance.c - see instance.h. */
#include "proxy/upstream/instance.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/table.h"
#include "base/text.h"

static const struct {
    const char *name;
    bool failure;
} outcomes[INSTANCE_OUTCOME_COUNT] = {
    [INSTANCE_OK] = {"ok", false},
    [INSTANCE_CONNECT_FAILED] = {"connect_failed", true},
    [INSTANCE_BROKE] = {"broke", true},
    [INSTANCE_TIMED_OUT] = {"timed_out", true},
    [INSTANCE_BAD_ANSWER] = {"bad_answer", true},
    [INSTANCE_GATEWAY_STATUS] = {"gateway_status", true},
    [INSTANCE_NOT_TO_BLAME] = {"not_to_blame", false},
};

struct instance *instance_create(const char *id, const struct rc_address *address)
{
    assert(id != NULL);
    struct instance *made = aligned_alloc(_Alignof(struct instance), sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    memset(made, 0, sizeof *made);
    made->meter = meter_create();
    if (made->meter == NULL) {
        free(made);
        return NULL;
    }
    atomic_init(&made->references, 1);
    made->address = *address;
    (void)rc_text_put(made->id, sizeof made->id,
                      id);                      /* a longer one is cut, not refused */
    made->id_hash = rc_hash(id, strlen(id), 0); /* the same in every proxy */
    return made;
}

struct instance *instance_retain(struct instance *instance)
{
    uint32_t before =
        atomic_fetch_add_explicit(&instance->references, 1, memory_order_relaxed);
    assert(before > 0);
    return instance;
}

void instance_release(struct instance *instance)
{
    if (instance == NULL) {
        return;
    }
    uint32_t before =
        atomic_fetch_sub_explicit(&instance->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        meter_release(instance->meter);
        free(instance);
    }
}

void instance_begin(struct instance *instance)
{
    (void)atomic_fetch_add_explicit(&instance->in_flight, 1, memory_order_relaxed);
}

bool instance_try_begin(struct instance *instance, uint32_t max)
{
    uint32_t before =
        atomic_fetch_add_explicit(&instance->in_flight, 1, memory_order_relaxed);
    if (before < max) {
        return true;
    }
    (void)atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_relaxed);
    return false;
}

/* Gives the half-open slot back; whoever did not take it finds it empty or not its own, and
 * either way the next trial may begin. */
static void end_trial(struct instance *instance, enum instance_outcome outcome)
{
    if (atomic_load_explicit(&instance->trials, memory_order_relaxed) == 0) {
        return;
    }
    if (outcome == INSTANCE_OK) {
        (void)atomic_fetch_add_explicit(&instance->trial_successes, 1,
                                        memory_order_relaxed);
    }
    atomic_store_explicit(&instance->trials, 0, memory_order_relaxed);
}

bool instance_end(struct instance *instance, enum instance_outcome outcome,
                  uint32_t failures_max)
{
    assert(outcome < INSTANCE_OUTCOME_COUNT);
    uint32_t before =
        atomic_fetch_sub_explicit(&instance->in_flight, 1, memory_order_relaxed);
    assert(before > 0);
    (void)atomic_fetch_add_explicit(&instance->outcomes[outcome], 1,
                                    memory_order_relaxed);
    end_trial(instance, outcome);
    if (outcome == INSTANCE_OK) {
        atomic_store_explicit(&instance->failures_in_a_row, 0, memory_order_relaxed);
    }
    if (!outcomes[outcome].failure) {
        return false;
    }
    uint32_t run = 1 + atomic_fetch_add_explicit(&instance->failures_in_a_row, 1,
                                                 memory_order_relaxed);
    return outcome == INSTANCE_CONNECT_FAILED ||
           (failures_max > 0 && run >= failures_max);
}

void instance_add_to(struct instance *instance, uint64_t bytes)
{
    (void)atomic_fetch_add_explicit(&instance->bytes_to, bytes, memory_order_relaxed);
}

void instance_add_from(struct instance *instance, uint64_t bytes)
{
    (void)atomic_fetch_add_explicit(&instance->bytes_from, bytes, memory_order_relaxed);
}

bool instance_outcome_is_failure(enum instance_outcome outcome)
{
    assert(outcome < INSTANCE_OUTCOME_COUNT);
    return outcomes[outcome].failure;
}

const char *instance_outcome_name(enum instance_outcome outcome)
{
    assert(outcome < INSTANCE_OUTCOME_COUNT);
    return outcomes[outcome].name;
}
