/* sim.h - whole clusters in one process: real gossip and catalog cores on a virtual network.
 *
 * One clock that jumps from event to event, one seed for everything: the same seed and
 * the same calls give the same run to the byte. The network delays, loses and repeats
 * packets and cuts streams; nodes crash, restart, pause and are parted. Properties that
 * must hold at every moment are checked all the time; a breach prints the seed, the
 * virtual time and what happened last, and fails the test. Time is in virtual ms since
 * the start, unless its name says otherwise. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"

struct sim;

enum sim_disk { SIM_KEEP_DISK, SIM_LOSE_DISK };

struct sim_options {
    uint64_t seed;
    const char *profile;    /* of gossip; NULL: "fast" */
    uint32_t delay_min_us;  /* one way; 0: 100 */
    uint32_t delay_max_us;  /* 0: 1000; reorders packets when larger than the minimum */
    uint32_t loss_ppm;      /* of packets; streams take longer, as TCP does */
    uint32_t duplicate_ppm; /* of packets */
    bool encrypted;         /* all share one key */
};

/* Never fails: without memory the test program ends. */
struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim);

/* Starts a node "n<number>" that is alone; returns its number, 0 for the first. */
size_t sim_add(struct sim *sim);
void sim_join(struct sim *sim, size_t node, size_t through);
/* `count` nodes, each joined through the first, given time until all know all. */
void sim_add_pool(struct sim *sim, size_t count);

/* ---- what goes wrong */

void sim_crash(struct sim *sim, size_t node); /* like pulling the plug */
void sim_restart(struct sim *sim, size_t node, enum sim_disk disk);
void sim_leave(struct sim *sim, size_t node); /* gracefully, then it stops */
void sim_pause(struct sim *sim, size_t node, uint64_t for_ms); /* like SIGSTOP */
/* Nodes of different groups do not reach each other; all begin in group 0. */
void sim_part(struct sim *sim, size_t node, unsigned group);
void sim_heal(struct sim *sim);
void sim_set_loss(struct sim *sim, uint32_t ppm);

/* ---- what nodes do */

void sim_register(struct sim *sim, size_t node, const char *service);
void sim_deregister(struct sim *sim, size_t node, const char *service);
/* Puts or changes the check "service:<service>". */
void sim_set_check(struct sim *sim, size_t node, const char *service,
                   enum catalog_status status, const char *output);

/* ---- time and questions */

void sim_run(struct sim *sim, uint64_t for_ms);
uint64_t sim_now_ms(const struct sim *sim);

typedef bool (*sim_claim)(struct sim *sim, const void *context);
/* Runs until the claim holds, at most `max_ms`. Returns how long it took; a claim that does
 * not come true fails the test with `what`. */
uint64_t sim_wait(struct sim *sim, uint64_t max_ms, sim_claim claim, const void *context,
                  const char *what);

size_t sim_count(const struct sim *sim);
bool sim_is_running(const struct sim *sim, size_t node);
const char *sim_name(const struct sim *sim, size_t node);
struct catalog *sim_catalog(struct sim *sim, size_t node);
struct gossip *sim_gossip(struct sim *sim, size_t node);

/* How `at` sees `of`; CATALOG_LEFT if not at all. */
enum catalog_liveness sim_liveness(struct sim *sim, size_t at, size_t of);
bool sim_sees_service(struct sim *sim, size_t at, size_t of, const char *service);
/* How often any node saw a running, unparted, unpaused node as failed. */
size_t sim_false_failures(const struct sim *sim);
/* The same, whoever saw it so: a node that is starved itself must not accuse others either. */
size_t sim_failures_of_the_calm(const struct sim *sim);
/* Do all running nodes say the same of everything, outputs included? */
bool sim_views_equal(struct sim *sim);

/* Over all that every node knows, taken every virtual second up to now. */
uint64_t sim_digest(const struct sim *sim);

/* Prints seed, time and the last events, and fails the test. */
void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* The seeds a scenario runs with: 1 to `count`, or only that of the environment variable
 * SIM_SEED. Start with 0; returns 0 at the end. */
uint64_t sim_next_seed(uint64_t seed, uint64_t count);

#endif
