/* leave.h - going away so that everybody knows it was on purpose. */
#ifndef AGENT_GOSSIP_LEAVE_H
#define AGENT_GOSSIP_LEAVE_H

#include "agent/gossip/state.h"

/* Says that we go; nothing if we said so before. */
void leave_begin(struct gossip *g);

/* What DEADLINE_LEAVE means: the next stage, if the last one is through. */
void leave_step(struct gossip *g);

#endif
