/* query_filter.h - whom a query is for: lists of names, and expressions on tags.
 *
 * Each filter is a type byte and a body; a query is for who fits all of them. Expressions are
 * RE2's in Serf; base/pattern.h knows the part that people write and takes linear time. */
#ifndef AGENT_GOSSIP_QUERY_FILTER_H
#define AGENT_GOSSIP_QUERY_FILTER_H

#include "agent/gossip/member.h"
#include "agent/gossip/query.h"
#include "base/pack.h"

/* Appends the filters of `query` as the value of the field Filters: nothing if there are
 * none. RC_OK, RC_EINVAL (an expression or an empty name), RC_ETOOBIG (too many), RC_ENOMEM. */
int query_filter_write(const struct gossip_query *query, struct rc_buffer *out);

enum query_fit {
    QUERY_FITS,     /* it is for `self` */
    QUERY_FOR_REST, /* it is for others */
    QUERY_FAULTY /* nobody should see it: an empty filter crashes Serf, and what we cannot
                       read we do not pass on */
};

/* Judges the value of the field Filters, and writes it anew, from what was understood, to
 * `out` (nothing if there are none). Short of memory it is QUERY_FAULTY. */
enum query_fit query_filter_judge(struct rc_pack_bytes raw,
                                  const struct gossip_member *self,
                                  struct rc_buffer *out);

#endif
