/* sim_peek.h - the few looks inside a core that its public face does not offer. */
#ifndef TESTS_SIM_SIM_PEEK_H
#define TESTS_SIM_SIM_PEEK_H

struct gossip;
struct sim;

/* Empties the queue of member rumours: a pool that has just grown would tell itself of all
 * its nodes for minutes, and all measures would be of that. */
void peek_forget_rumours(struct gossip *g);

/* Makes the queue of member rumours a thousand times shorter, and as long as it was. */
void peek_hold_rumours(struct gossip *g);
void peek_release_rumours(struct gossip *g);

/* Lets it trust that those it joined count it in, instead of asking for their state again. */
void peek_forget_check(struct gossip *g);

/* Who sees whom wrongly, and what is known of them there; to stderr. */
void peek_print_wrong(const struct sim *sim);

#endif
