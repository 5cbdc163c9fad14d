/* sim_step.h - what happens in a run, as a list made before it begins.
 *
 * Everything a scenario does to its pool is a step: when, what, to which nodes, how much,
 * for how long. Steps undo themselves, and one that makes no sense when its time comes (a
 * crash of what does not run) does nothing; so any part of a list is a valid list, which
 * is what the shrinker lives on. */
#ifndef TESTS_SIM_SIM_STEP_H
#define TESTS_SIM_SIM_STEP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum step_kind {
    STEP_START, /* `count` new nodes at once */
    STEP_JOIN,  /* `node` joins through node `amount`: pools that should not have met */
    STEP_CRASH, /* `node` loses its power; back after for_ms (0: never) as `amount` says */
    STEP_KILL,  /* the same by kill -9: its host still answers */
    STEP_LEAVE, /* `node` leaves; back after for_ms */
    STEP_PAUSE, /* `count` nodes from `node` on stand still */
    STEP_PART,  /* `count` nodes from `node` on are cut off from the others */
    STEP_CUT,   /* nothing gets from `node` to node `amount`; `count` 2: from anybody */
    STEP_NO_UDP,
    STEP_NAT,
    STEP_REFUSE,
    STEP_LOSS, /* `amount` ppm, as all that follow up to STEP_TEAR */
    STEP_BURST,
    STEP_DUPLICATE,
    STEP_REORDER,
    STEP_CORRUPT,
    STEP_TEAR,
    STEP_CLOCK, /* the clocks of `count` nodes run at `amount` ppm */
    STEP_JUMP,  /* the wall clock of `node` jumps by `amount` ms, back if `count` is 2 */
    STEP_SERVICE, /* `node` registers its service `amount`, or deregisters it */
    STEP_FLIP,    /* the check of that service fails, or recovers */
    STEP_CHANGE,  /* the same, and it is timed until all know */
    STEP_KIND_COUNT
};

/* How a node comes back. */
enum step_return { RETURN_SAME, RETURN_EMPTY, RETURN_OLD, RETURN_MOVED };

struct sim_step {
    uint64_t at_ms;
    enum step_kind kind;
    uint32_t node;
    uint32_t count;
    uint64_t amount;
    uint64_t for_ms;
};

struct step_list {
    struct sim_step *steps;
    size_t count;
    size_t capacity;
};

void step_add(struct step_list *list, const struct sim_step *step);
void step_fini(struct step_list *list);
uint64_t step_last_end_ms(const struct step_list *list);

/* "12000 crash n3 x1 amount 0 for 5000": one step a line. */
void step_print(const struct step_list *list, FILE *out);
/* RC_OK, RC_ENOTFOUND (no such file), RC_EMALFORMED. */
int step_read(const char *path, struct step_list *out);

struct sim;
/* Makes all steps happen, counted from now. The list must live as long as the run. */
void step_schedule(struct sim *sim, const struct step_list *list);

#endif
