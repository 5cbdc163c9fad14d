/* sim_measure.c - what a run is measured by. */
#include "tests/sim/sim_measure.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/sim_state.h"

enum { NS_PER_US = 1000 };

/* ---- samples */

void samples_add(struct samples *samples, uint64_t value)
{
    if (samples->count == samples->capacity) {
        samples->capacity = samples->capacity == 0 ? 64 : 2 * samples->capacity;
        samples->values = sim_memory(
            realloc(samples->values, samples->capacity * sizeof *samples->values));
    }
    samples->values[samples->count++] = value;
}

static int ascending(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

uint64_t samples_quantile(struct samples *samples, unsigned thousandths)
{
    if (samples->count == 0) {
        return 0;
    }
    qsort(samples->values, samples->count, sizeof *samples->values, ascending);
    size_t place = samples->count * thousandths / 1000;
    return samples->values[place < samples->count ? place : samples->count - 1];
}

void samples_fini(struct samples *samples)
{
    free(samples->values);
    *samples = (struct samples){0};
}

/* ---- what is under way */

static void forget(struct measure *measure, size_t place)
{
    free(measure->pending[place].knows);
    measure->pending[place] = measure->pending[--measure->pending_count];
    measure->pending[measure->pending_count].knows = NULL;
}

static void finish(struct sim *sim, size_t place)
{
    struct measure *measure = &sim->measure;
    const struct measure_pending *pending = &measure->pending[place];

    samples_add(&measure->times[pending->last],
                (sim->now_ns - pending->since_ns) / NS_PER_US);
    forget(measure, place);
}

static struct measure_pending *add_pending(struct sim *sim)
{
    struct measure *measure = &sim->measure;

    if (measure->pending_count == measure->pending_capacity) {
        measure->pending_capacity =
            measure->pending_capacity == 0 ? 16 : 2 * measure->pending_capacity;
        measure->pending = sim_memory(realloc(
            measure->pending, measure->pending_capacity * sizeof *measure->pending));
    }
    measure->pending[measure->pending_count] = (struct measure_pending){0};
    return &measure->pending[measure->pending_count++];
}

void measure_begin(struct sim *sim, struct node *node, enum measure_time last)
{
    struct measure *measure = &sim->measure;

    for (size_t i = measure->pending_count; i-- > 0;) {
        if (measure->pending[i].node == node->number) {
            forget(measure, i); /* what happens now overtakes it */
        }
    }
    *add_pending(sim) = (struct measure_pending){
        .node = node->number, .last = last, .since_ns = sim->now_ns};
}

void measure_failed(struct sim *sim, const struct node *node)
{
    const struct measure *measure = &sim->measure;

    for (size_t i = 0; i < measure->pending_count; i++) {
        const struct measure_pending *it = &measure->pending[i];
        if (it->node == node->number && it->last == MEASURE_DETECT_LAST) {
            samples_add(&sim->measure.times[MEASURE_DETECT],
                        (sim->now_ns - it->since_ns) / NS_PER_US);
        }
    }
}

void measure_all_right(struct sim *sim, const struct node *node)
{
    for (size_t i = sim->measure.pending_count; i-- > 0;) {
        const struct measure_pending *it = &sim->measure.pending[i];
        if (it->node == node->number && it->knows == NULL) {
            finish(sim, i);
        }
    }
}

/* ---- changes of records */

void measure_change(struct sim *sim, struct node *node)
{
    struct measure_pending *it = add_pending(sim);

    *it = (struct measure_pending){
        .node = node->number,
        .last = MEASURE_CHANGE_LAST,
        .since_ns = sim->now_ns,
        .version = catalog_self(node->catalog)->version,
        .knows = sim_memory(calloc(sim->node_count, 1)),
    };
    for (size_t i = 0; i < sim->node_count; i++) {
        bool must_learn = sim->nodes[i] != node && sim->nodes[i]->is_there;
        it->knows[i] = must_learn ? 0 : 1;
        it->waiting += must_learn ? 1 : 0;
    }
    sim->measure.changes_timed++;
}

void measure_changes_seen(struct sim *sim, struct node *node)
{
    for (size_t i = sim->measure.pending_count; i-- > 0;) {
        struct measure_pending *it = &sim->measure.pending[i];
        if (it->knows == NULL || node->number == it->node || it->knows[node->number]) {
            continue;
        }
        const struct catalog_node *view =
            catalog_node_find(node->catalog, sim->nodes[it->node]->name);
        if (view == NULL || view->version < it->version) {
            continue;
        }
        it->knows[node->number] = 1;
        samples_add(&sim->measure.times[MEASURE_CHANGE],
                    (sim->now_ns - it->since_ns) / NS_PER_US);
        if (--it->waiting == 0) {
            finish(sim, i);
        }
    }
}

void measure_observer_gone(struct sim *sim, const struct node *observer)
{
    for (size_t i = sim->measure.pending_count; i-- > 0;) {
        struct measure_pending *it = &sim->measure.pending[i];
        if (it->knows != NULL && it->node == observer->number) {
            forget(&sim->measure, i); /* its owner is gone */
        } else if (it->knows != NULL && !it->knows[observer->number]) {
            it->knows[observer->number] = 1;
            if (--it->waiting == 0) {
                finish(sim, i);
            }
        }
    }
}

/* ---- over time */

void measure_second(struct sim *sim)
{
    struct measure *m = &sim->measure;

    if (m->second_count == m->second_capacity) {
        m->second_capacity = m->second_capacity == 0 ? 64 : 2 * m->second_capacity;
        m->seconds =
            sim_memory(realloc(m->seconds, m->second_capacity * sizeof *m->seconds));
    }
    m->seconds[m->second_count++] =
        (struct measure_second){.running = (uint32_t)sim->running_count,
                                .wrong_pairs = sim->wrong_pairs,
                                .false_failures = sim->false_failures};
    m->node_seconds += sim->running_count;
}

void measure_reset(struct sim *sim)
{
    struct measure *m = &sim->measure;

    while (m->pending_count > 0) {
        forget(m, 0);
    }
    for (size_t i = 0; i < MEASURE_TIME_COUNT; i++) {
        m->times[i].count = 0;
    }
    m->second_count = 0;
    m->packets = 0;
    m->packet_bytes = 0;
    m->stream_bytes = 0;
    m->streams = 0;
    m->events = 0;
    m->node_seconds = 0;
    m->changes_timed = 0;
    sim->false_failures = 0;
    sim->failures_of_the_calm = 0;
}

void measure_fini(struct measure *measure)
{
    while (measure->pending_count > 0) {
        forget(measure, 0);
    }
    for (size_t i = 0; i < MEASURE_TIME_COUNT; i++) {
        samples_fini(&measure->times[i]);
    }
    free(measure->pending);
    free(measure->seconds);
}
