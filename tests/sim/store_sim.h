/* store_sim.h - several servers' stores over one faulty engine, many clients, one seed.
 *
 * Each client asks one thing at a time of some server: put, cas, delete, get, lock, unlock,
 * transactions, sessions. Answers are late or lost, followers lag and begin anew, the leader
 * goes, leases end at the worst moment, servers crash with all they had in flight. What clients
 * saw is judged as a history (store_history.h) and by what must hold of locks and sessions. */
#ifndef TESTS_SIM_STORE_SIM_H
#define TESTS_SIM_STORE_SIM_H

#include "tests/sim/store_history.h"

struct store_sim_options {
    uint64_t seed;
    uint64_t seconds;    /* of virtual time with faults; 0: 20 */
    size_t search_every; /* keys that are searched: each n-th; 0: 7 */
    FILE *history;       /* where it is written; NULL: nowhere */
};

struct store_sim_report {
    bool is_good;
    char why[512];
    size_t operations;
    size_t unknown;
    size_t locks;
    size_t ended_sessions;
    size_t crashes;
    size_t searched;
    size_t unsearched;
    uint64_t digest;
};

void store_sim_run(const struct store_sim_options *options,
                   struct store_sim_report *report);

#endif
