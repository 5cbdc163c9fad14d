/* keeper_sim.h - whole PostgreSQL clusters under faults, a seed each.
 *
 * The real keepers; models of PostgreSQL (WAL, timelines, confirmation by standbys, receivers),
 * wardens, hands, the store's leases and clients that write to every server that lets them.
 * One thread, virtual time in steps of 5 ms, every clock with its own rate. What is claimed:
 * keeper_sim_claims.c. The same seed gives the same run. */
#ifndef TESTS_SIM_KEEPER_SIM_H
#define TESTS_SIM_KEEPER_SIM_H

#include <stdbool.h>
#include <stdint.h>

struct keeper_sim_report {
    bool is_good;
    char fault[512]; /* what was found, and when; "" */
    uint64_t digest;
    uint64_t faults;
    uint64_t promotions;
    uint64_t rejoins;
    uint64_t acknowledged;
    uint64_t lost;    /* in asynchronous runs, where it is allowed */
    uint64_t calm_ms; /* from the last fault to good order */
};

/* `trace`: every word of the keepers and every fault goes to stdout. */
enum keeper_sim_trace { KEEPER_SIM_QUIET, KEEPER_SIM_TRACE };
void keeper_sim_run(uint64_t seed, enum keeper_sim_trace trace,
                    struct keeper_sim_report *report);

#endif
