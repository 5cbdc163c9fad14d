/* sim_scenario.h - the named stories a pool is put through. */
#ifndef TESTS_SIM_SIM_SCENARIO_H
#define TESTS_SIM_SIM_SCENARIO_H

#include "base/random.h"
#include "tests/sim/sim_step.h"

/* What a scenario's plan is made from. Faults and workload draw from streams of their own, so
 * that more of the one does not change the other. */
enum plan_wire { PLAN_PLAIN, PLAN_SEALED };

struct plan {
    struct step_list list;
    struct rc_random faults;
    struct rc_random workload;
    uint32_t nodes;
    uint64_t for_ms;
    uint64_t notice_ms; /* by which the pool should have noticed anything */
    uint64_t parameter;
    enum plan_wire wire;
};

struct scenario {
    const char *name;
    const char *what;
    void (*make)(struct plan *plan);
    uint64_t for_ms;       /* unless --minutes says otherwise */
    uint64_t parameter;    /* of `make` */
    uint32_t pools;        /* grown apart; 0: 1 */
    uint32_t sealed_every; /* every so manieth seed has keys; 0: as the options say */
    uint32_t reap_ms;      /* how soon the gone are forgotten; 0: as the profile says */
};

const struct scenario *scenario_find(const char *name); /* NULL: no such */
void scenario_list(FILE *out);

#endif
