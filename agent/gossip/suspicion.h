/* suspicion.h - how long a suspect may take to refute.
 *
 * Lifeguard section IV-B (Dadgar et al. 2017) with memberlist's numbers: the time starts
 * long and falls with every independent accuser, down to a minimum. */
#ifndef AGENT_GOSSIP_SUSPICION_H
#define AGENT_GOSSIP_SUSPICION_H

#include "agent/gossip/deadline.h"
#include "agent/gossip/profile.h"

enum { SUSPICION_ACCUSERS_MAX = 8 };

struct suspicion {
    struct deadline deadline;
    struct member *member; /* borrowed */
    uint64_t started_ns;
    uint64_t min_ms;
    uint64_t max_ms;
    uint32_t wanted; /* confirmations after which the minimum applies */
    uint32_t count;  /* confirmations so far */
    uint64_t
        accusers[SUSPICION_ACCUSERS_MAX]; /* hashes of names; the first accuser too */
};

/* The shortest suspicion in a pool of `members`. */
uint64_t suspicion_min_ms(const struct gossip_profile *profile, size_t members);

/* Fills in the numbers for a suspicion that starts now. */
void suspicion_init(struct suspicion *suspicion, const struct gossip_profile *profile,
                    size_t members, uint64_t accuser, uint64_t now_ns);

/* No more accusers can be waited for than `others`: those who could accuse and have not yet
 * begun it. For members that look for the truth eagerly. */
void suspicion_limit(struct suspicion *suspicion, size_t others);

/* When it fires if nobody confirms it. */
uint64_t suspicion_latest_ns(const struct suspicion *suspicion);

/* Counts an accuser. False if it is not new or no more are needed. */
bool suspicion_confirm(struct suspicion *suspicion, uint64_t accuser);

/* When it fires, given the confirmations so far. */
uint64_t suspicion_end_ns(const struct suspicion *suspicion);

#endif
