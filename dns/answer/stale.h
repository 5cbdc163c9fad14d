/* stale.h - does an answer rest on what may have become old?
 *
 * A node that gossip suspects may be gone, or we are cut off from it. After
 * `dns_config.max_stale` of that, an answer says so (RFC 8914 section 4.4), if the client
 * can read it. */
#ifndef DNS_ANSWER_STALE_H
#define DNS_ANSWER_STALE_H

#include "dns/answer/pick.h"
#include "dns/answer/reply.h"

void dns_stale_warn_of_node(struct dns_reply *reply, const struct dns_node *node);

/* Of those instances of `pick` that were taken. */
void dns_stale_warn_of_taken(struct dns_reply *reply, const struct dns_pick *pick);

#endif
