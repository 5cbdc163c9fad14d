/* sim_grow.h - how the nodes of a scenario come to know each other before it begins. */
#ifndef TESTS_SIM_SIM_GROW_H
#define TESTS_SIM_SIM_GROW_H

#include "tests/sim/sim_play.h"

struct sim;

/* Larger pools grow faster than people start nodes, and forget rumours meanwhile, refutations
 * among them. */
enum { GROW_SLOWLY_MAX = 128 };

/* Adds the nodes and waits until each pool of the scenario knows itself, records included. Ends
 * the program if it does not come to that. */
void grow_pool(struct sim *sim, const struct play_options *options);

#endif
