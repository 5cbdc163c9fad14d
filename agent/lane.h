/* lane.h - where catalog and gossip meet: the catalog's bytes ride on gossip, gossip's news of
 * members reach the catalog.
 *
 * Pure, so that the simulator connects its agents with the very same code. */
#ifndef AGENT_LANE_H
#define AGENT_LANE_H

#include <stdint.h>

#include "agent/gossip/lane.h"

struct catalog;
struct gossip;
struct gossip_action;

struct lane {
    struct catalog *catalog;
    struct gossip
        *gossip; /* set after gossip_create(), which wants the callbacks first */
};

/* The callbacks for struct gossip_options; they borrow `lane`. */
struct gossip_lane lane_callbacks(struct lane *lane);

/* Does what the catalog wants of gossip; call it after every call that may change the catalog
 * or that feeds gossip. */
void lane_carry_out(struct lane *lane, uint64_t now_ns);

/* Hands a GOSSIP_MEMBER_EVENT on to the catalog. */
void lane_on_member(struct lane *lane, uint64_t now_ns, uint64_t wall_ms,
                    const struct gossip_action *action);

#endif
