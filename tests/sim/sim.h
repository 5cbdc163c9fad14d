/* sim.h - whole clusters in one process: real gossip and catalog cores on a virtual network.
 *
 * One clock that jumps from event to event, one seed for everything: the same seed and
 * the same calls give the same run to the byte. What must hold at every moment is checked
 * all the time; a breach prints the seed, the virtual time and what happened last, and
 * ends the program. Time is in virtual ms since the start, unless its name says otherwise. */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/catalog/catalog.h"
#include "agent/gossip/gossip.h"

struct sim;

enum sim_disk {
    SIM_KEEP_DISK,
    SIM_LOSE_DISK,
    SIM_OLD_DISK /* a backup from two lives ago */
};
enum sim_catalogs { SIM_WITH_CATALOGS, SIM_GOSSIP_ONLY };

struct sim_options {
    uint64_t seed;
    const char *profile;    /* of gossip; NULL: "fast" */
    uint32_t reap_ms;       /* how soon the gone are forgotten; 0: as the profile says */
    uint32_t delay_min_us;  /* one way; 0: 100 */
    uint32_t delay_max_us;  /* 0: 1000; reorders packets when larger than the minimum */
    uint32_t tail_ppm;      /* packets that take much longer: Pareto, up to 100 times */
    uint32_t loss_ppm;      /* of packets; streams take longer, as TCP does */
    uint32_t duplicate_ppm; /* of packets */
    uint32_t rate_bytes_s;  /* of each node's line; 0: 100 MB/s */
    bool encrypted;         /* all share one key */
    enum sim_catalogs catalogs;
};

/* Never fails: without memory the program ends. */
struct sim *sim_create(const struct sim_options *options);
void sim_destroy(struct sim *sim);

/* Starts a node "n<number>" that is alone; returns its number, 0 for the first. */
size_t sim_add(struct sim *sim);
void sim_join(struct sim *sim, size_t node, size_t through);
/* `count` nodes, joined one after the other, given time until all know all. */
void sim_add_pool(struct sim *sim, size_t count);

/* ---- what goes wrong with a node */

void sim_crash(struct sim *sim, size_t node); /* like pulling the plug */
void sim_kill(struct sim *sim, size_t node);  /* like kill -9: its host refuses */
void sim_restart(struct sim *sim, size_t node, enum sim_disk disk);
void sim_move(struct sim *sim, size_t node);  /* to a new address, when it next starts */
void sim_leave(struct sim *sim, size_t node); /* gracefully, then it stops */
void sim_pause(struct sim *sim, size_t node, uint64_t for_ms); /* like SIGSTOP */
/* Its clocks run at `ppm` millionths of the true speed. */
void sim_set_clock(struct sim *sim, size_t node, uint32_t ppm);
void sim_jump_wall(struct sim *sim, size_t node, int64_t by_ms);

/* ---- what goes wrong with the network */

/* Nodes of different groups do not reach each other; all begin in group 0. */
void sim_part(struct sim *sim, size_t node, unsigned group);
void sim_heal(struct sim *sim); /* one group again, and no cuts */
/* Nothing gets from `from` to `to`; the other way is open. */
void sim_cut(struct sim *sim, size_t from, size_t to);
void sim_mend(struct sim *sim, size_t from, size_t to);

enum sim_trait {
    SIM_NO_UDP, /* packets to and from it are dropped by a firewall */
    SIM_NAT, /* reaches others from an address of its router, is not reached at its own */
    SIM_REFUSES, /* its host refuses new streams */
    SIM_TRAIT_COUNT
};
void sim_set_trait(struct sim *sim, size_t node, enum sim_trait trait, bool on);

enum sim_weather {
    SIM_LOSS,      /* of packets */
    SIM_BURST,     /* a packet begins 200 ms in which its receiver gets none */
    SIM_DUPLICATE, /* a packet comes twice */
    SIM_REORDER,   /* a packet is held back for ten times its delay */
    SIM_CORRUPT,   /* one bit of a packet is turned */
    SIM_TEAR,      /* a piece of a stream arrives in half, then both ends see it closed */
    SIM_WEATHER_COUNT
};
void sim_set_weather(struct sim *sim, enum sim_weather weather, uint32_t ppm);
void sim_set_loss(struct sim *sim, uint32_t ppm);

/* ---- what nodes do */

void sim_register(struct sim *sim, size_t node, const char *service);
void sim_deregister(struct sim *sim, size_t node, const char *service);
/* Puts or changes the check "service:<service>". */
void sim_set_check(struct sim *sim, size_t node, const char *service,
                   enum check_status status, const char *output);

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
/* Do all running nodes see each other alive, and all that is gone as gone? */
bool sim_members_right(const struct sim *sim);
/* Do all running nodes say the same of everything, outputs included? */
bool sim_views_equal(struct sim *sim);

/* Over all that happened and all that every node knows, as of the last virtual second. */
uint64_t sim_digest(const struct sim *sim);

/* Prints seed, time and the last events, and aborts. */
void sim_fail(struct sim *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* The seeds a scenario runs with: 1 to `count`, or only that of the environment variable
 * SIM_SEED. Start with 0; returns 0 at the end. */
uint64_t sim_next_seed(uint64_t seed, uint64_t count);

#endif
