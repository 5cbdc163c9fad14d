/* sim_peek.h - the few looks inside a core that its public face does not offer. */
#ifndef TESTS_SIM_SIM_PEEK_H
#define TESTS_SIM_SIM_PEEK_H

struct gossip;
struct sim;

/* Empties the queue of member rumours: a pool that has just grown would tell itself of all
 * its nodes for minutes, and all measures would be of that. */
void peek_forget_rumours(struct gossip *g);

/* Who sees whom wrongly, and what is known of them there; to stderr. */
void peek_print_wrong(const struct sim *sim);

#endif
