/* sim_play.h - one seed of one scenario, from the first node to the last claim. */
#ifndef TESTS_SIM_SIM_PLAY_H
#define TESTS_SIM_SIM_PLAY_H

#include "tests/sim/sim.h"
#include "tests/sim/sim_measure.h"
#include "tests/sim/sim_scenario.h"
#include "tests/sim/wire_structs.h"

struct play_options {
    const struct scenario *scenario;
    uint32_t nodes;
    uint32_t services; /* that every node registers before it joins */
    const char *profile;
    uint64_t for_ms;
    uint64_t until_ms; /* stop here; 0: play to the end */
    enum wire_passing mode;
    enum sim_catalogs catalogs;
    bool is_encrypted;
    bool is_tracing;
    const struct step_list *script; /* instead of the scenario's plan; or NULL */
    const char *replay;             /* printed if it fails: the command line */
};

/* What came out of it. */
struct outcome {
    uint64_t seed;
    uint64_t digest;
    uint64_t virtual_ms; /* without growing the pool */
    uint64_t wall_us;    /* with it */
    uint64_t memory_per_node;
    uint64_t false_failures;
    uint64_t failures_of_the_calm;
    struct measure measure;
};

/* The steps that a seed makes of a scenario. The caller frees them. */
void play_plan(const struct play_options *options, uint64_t seed, struct step_list *out);

/* Fails like sim_fail(). `out` is the caller's, who ends it with measure_fini(). */
void play(const struct play_options *options, uint64_t seed, struct outcome *out);

#endif
