/* sim_jobs.h - seeds in processes of their own, some at a time; what fails is shrunk. */
#ifndef TESTS_SIM_SIM_JOBS_H
#define TESTS_SIM_SIM_JOBS_H

#include "tests/sim/sim_report.h"

enum job_words { JOB_LOUD, JOB_SILENT };

/* Runs one seed in a child. True if it passed; then `out` is filled. */
bool job_run(const struct play_options *options, uint64_t seed, enum job_words words,
             struct outcome *out);

struct job_range {
    uint64_t first;
    uint64_t last;
    unsigned at_once;
    const char
        *done_path; /* seeds that passed before are left out, new ones added; NULL */
};

/* Runs all seeds of the range. Returns how many failed. */
size_t job_run_range(const struct play_options *options, const struct job_range *range,
                     struct report *report);

/* Leaves steps out of a failing seed's plan as long as it still fails; prints the rest. */
void shrink(const struct play_options *options, uint64_t seed);

#endif
