/* join_check.h - whether those we joined count us in.
 *
 * A refused merge is not visible on the wire: the other side answers before it looks at what
 * we sent. So a join that "worked" may have failed, most often because our name still belongs to
 * a dead member at another address. A second exchange shows how the other sees us; until it
 * does, the exchange is repeated, which also gives the name to us as soon as it is free. */
#ifndef AGENT_GOSSIP_JOIN_CHECK_H
#define AGENT_GOSSIP_JOIN_CHECK_H

#include "agent/gossip/state.h"

/* A join through `peer` has worked. One check at a time. */
void join_check_begin(struct gossip *g, const struct rc_address *peer);

/* What its deadline means. */
void join_check_look(struct gossip *g);

/* An entry about our own name in somebody's list. */
void join_check_see(struct gossip *g, const struct wire_node *node);

/* The exchange of a check has ended. */
void join_check_settle(struct gossip *g, int err);

#endif
