/* query.c - asking the whole pool a question. */
#include "agent/gossip/query.h"

#include "agent/gossip/serf.h"
#include "base/err.h"

int gossip_query(struct gossip *g, uint64_t now_ns, const struct gossip_query *query,
                 uint32_t *id_out)
{
    (void)g;
    (void)now_ns;
    (void)query;
    (void)id_out;
    return RC_ECLOSED;
}

int query_ask(struct gossip *g, const struct gossip_query *query, uint32_t *id_out)
{
    (void)g;
    (void)query;
    (void)id_out;
    return RC_ECLOSED;
}

int gossip_respond(struct gossip *g, uint64_t now_ns, uint64_t ltime, uint32_t id,
                   const uint8_t *bytes, size_t size)
{
    (void)g;
    (void)now_ns;
    (void)ltime;
    (void)id;
    (void)bytes;
    (void)size;
    return RC_ENOTFOUND;
}

uint32_t gossip_query_timeout_ms(const struct gossip *g)
{
    return g->profile->gossip_every_ms * 16;
}
