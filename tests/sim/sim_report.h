/* sim_report.h - outcomes of many seeds as one table and one plot. */
#ifndef TESTS_SIM_SIM_REPORT_H
#define TESTS_SIM_SIM_REPORT_H

#include <stdio.h>

#include "tests/sim/sim_play.h"

/* Sums and samples of all seeds together. */
struct report {
    size_t seeds;
    uint64_t digest; /* of the last seed */
    uint64_t virtual_ms;
    uint64_t wall_us;
    uint64_t memory_per_node; /* the largest */
    uint64_t false_failures;
    uint64_t failures_of_the_calm;
    struct measure measure; /* its seconds are those of the first seed */
};

/* Takes the outcome's measures over. */
void report_add(struct report *report, struct outcome *outcome);
void report_print(struct report *report, const struct play_options *options, FILE *out);
void report_fini(struct report *report);

/* How many of all pairs see each other rightly, and all false failures so far, over time.
 * RC_OK or RC_EIO. */
int report_plot(const struct report *report, const struct play_options *options,
                const char *path);

/* An outcome through a pipe. True if whole. */
bool outcome_write(const struct outcome *outcome, int fd);
bool outcome_read(struct outcome *outcome, int fd);

#endif
