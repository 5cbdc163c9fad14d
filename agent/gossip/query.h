/* query.h - asking the whole pool a question, and answering one (Serf's queries).
 *
 * A query spreads like a rumour; whom it is for answers the asker straight, by UDP, until its
 * time is up. Nothing is repeated: answers may get lost. What comes back are actions:
 * GOSSIP_QUERY_ACK, GOSSIP_QUERY_RESPONSE and, always and last, GOSSIP_QUERY_DONE. We
 * are asked too, if the filters fit us, and our answer comes back in the same way. */
#ifndef AGENT_GOSSIP_QUERY_H
#define AGENT_GOSSIP_QUERY_H

#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/member.h"

struct gossip;

enum {
    GOSSIP_QUERY_SIZE_MAX = 1024,    /* encoded, and of each response: Serf's limits */
    GOSSIP_QUERIES_MAX = 64,         /* of our own, open at once */
    GOSSIP_QUERIES_SERVED_MAX = 256, /* of others, waiting for gossip_respond() */
    GOSSIP_QUERY_FILTERS_MAX = 64,   /* names, and tags */
    GOSSIP_QUERY_RELAYS_MAX = 5,
    GOSSIP_QUERY_TIMEOUT_MAX_MS = 3600 * 1000
};

enum gossip_query_ack { GOSSIP_QUERY_WITHOUT_ACK, GOSSIP_QUERY_WITH_ACK };

/* By rumour, or straight to each of `nodes`, who then do not spread it on (Serf's flag
 * "no broadcast"): quicker and cheaper for a few; whom we do not know is not asked. */
enum gossip_query_reach { GOSSIP_QUERY_POOL, GOSSIP_QUERY_STRAIGHT };

/* All pointers are borrowed during the call; what is zero is left out. */
struct gossip_query {
    const char *name;
    const uint8_t *payload;
    size_t size;
    const char *const *nodes; /* only members of these names; none: all */
    size_t node_count;
    const struct gossip_tag
        *tags; /* each `value` is an expression (RE2's syntax, searched
                                      for), that the tag `key` must match ("" without it) */
    size_t tag_count;
    enum gossip_query_reach reach;
    enum gossip_query_ack ack; /* whether whom it reaches says so at once */
    uint8_t relay_factor;      /* answers are also sent by so many others, 0..5 */
    uint32_t timeout_ms;       /* 0: gossip_query_timeout_ms() */
};

/* Asks the pool. Answers carry `*id_out`; GOSSIP_QUERY_DONE ends them.
 *
 * RC_OK; RC_EINVAL (no name, "_serf_" before it (but "_serf_ping"), an expression that is not
 * one, a relay factor or timeout out of range, STRAIGHT without names); RC_ETOOBIG (it does not fit
 * GOSSIP_QUERY_SIZE_MAX, or too many are open); RC_ECLOSED (we have left); RC_ENOMEM. */
int gossip_query(struct gossip *g, uint64_t now_ns, const struct gossip_query *query,
                 uint32_t *id_out);

/* Answers the query of a GOSSIP_QUERY action, known by its `ltime` and `id`; once.
 *
 * RC_OK; RC_ENOTFOUND (no such query, its time is up, or it was answered); RC_ETOOBIG (the
 * encoded response is larger than GOSSIP_QUERY_SIZE_MAX; the query stays open). */
int gossip_respond(struct gossip *g, uint64_t now_ns, uint64_t ltime, uint32_t id,
                   const uint8_t *bytes, size_t size);

/* How long a query waits if it does not say: Serf's gossip interval x 16 x digits of the
 * number of members. */
uint32_t gossip_query_timeout_ms(const struct gossip *g);

#endif
