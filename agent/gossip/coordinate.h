/* coordinate.h - guessing round trips between members from those we measured (Vivaldi).
 *
 * Dabek et al. 2004 with the height and adjustment terms and the constants of Serf. */
#ifndef AGENT_GOSSIP_COORDINATE_H
#define AGENT_GOSSIP_COORDINATE_H

#include "agent/gossip/gossip.h"
#include "base/random.h"

enum {
    COORDINATE_DIMENSIONS = 8,
    COORDINATE_SAMPLES = 3,     /* of a member: the median counts */
    COORDINATE_ADJUSTMENTS = 20 /* of ours */
};

/* What we keep of a member that answered. */
struct coordinate_peer {
    struct gossip_coordinate coordinate; /* as it said */
    double samples[COORDINATE_SAMPLES];  /* seconds, a ring */
    uint32_t sample_count;               /* ever */
};

/* Ours. */
struct coordinate_self {
    struct gossip_coordinate coordinate;
    double adjustments[COORDINATE_ADJUSTMENTS]; /* a ring */
    uint32_t adjustment_count;                  /* ever */
};

struct gossip_coordinate coordinate_origin(void);

/* Finite and within sense. */
bool coordinate_is_valid(const struct gossip_coordinate *coordinate);

/* A peer answered after `rtt_s`, saying that it stands at `theirs` (valid). Moves us. */
void coordinate_update(struct coordinate_self *self, struct coordinate_peer *peer,
                       const struct gossip_coordinate *theirs, double rtt_s,
                       struct rc_random *random);

#endif
