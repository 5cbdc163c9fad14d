/* sim_shrink.c - the few steps of a failing seed that it takes to fail. */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_jobs.h"
#include "tests/sim/sim_state.h"

enum { TRIES_MAX = 600 };

static bool still_fails(const struct play_options *options, uint64_t seed,
                        const struct step_list *steps)
{
    struct play_options with = *options;
    struct outcome outcome;

    with.script = steps;
    if (job_run(&with, seed, JOB_SILENT, &outcome)) {
        measure_fini(&outcome.measure);
        return false;
    }
    return true;
}

/* All steps but `count` from `first` on. The caller frees them. */
static struct step_list without(const struct step_list *steps, size_t first, size_t count)
{
    struct step_list rest = {0};

    for (size_t i = 0; i < steps->count; i++) {
        if (i < first || i >= first + count) {
            step_add(&rest, &steps->steps[i]);
        }
    }
    return rest;
}

/* Tries to do without each run of `size` steps; keeps what is not missed out. */
static size_t drop_runs(const struct play_options *options, uint64_t seed,
                        struct step_list *steps, size_t size)
{
    size_t tries = 0;

    for (size_t first = 0; first < steps->count;) {
        struct step_list rest = without(steps, first, size);
        tries++;
        if (still_fails(options, seed, &rest)) {
            step_fini(steps);
            *steps = rest;
        } else {
            step_fini(&rest);
            first += size;
        }
    }
    return tries;
}

void shrink(const struct play_options *options, uint64_t seed)
{
    struct step_list steps = {0};
    size_t tries = 0;

    if (options->script != NULL) {
        steps = without(options->script, 0, 0);
    } else {
        play_plan(options, seed, &steps);
    }
    size_t all = steps.count;
    for (size_t size = steps.count / 2; size > 0 && tries < TRIES_MAX; size /= 2) {
        tries += drop_runs(options, seed, &steps, size);
    }
    (void)printf("# seed %llu of %s at %u nodes, %s: %zu of %zu steps are enough\n",
                 (unsigned long long)seed, options->scenario->name, options->nodes,
                 options->profile, steps.count, all);
    step_print(&steps, stdout);
    step_fini(&steps);
}
