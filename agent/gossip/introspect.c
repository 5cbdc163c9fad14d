/* introspect.c - what readers ask of gossip: members, counters, words for them. */
#include <assert.h>
#include <string.h>

#include "agent/gossip/state.h"
#include "base/err.h"

const char *gossip_member_event_name(enum gossip_member_event event)
{
    static const char *const names[GOSSIP_MEMBER_EVENT_COUNT] = {
        [GOSSIP_EVENT_JOIN] = "join",       [GOSSIP_EVENT_UPDATE] = "update",
        [GOSSIP_EVENT_SUSPECT] = "suspect", [GOSSIP_EVENT_ALIVE] = "alive",
        [GOSSIP_EVENT_LEAVING] = "leaving", [GOSSIP_EVENT_LEFT] = "left",
        [GOSSIP_EVENT_FAILED] = "failed",   [GOSSIP_EVENT_REAP] = "reap",
    };

    assert(event < GOSSIP_MEMBER_EVENT_COUNT);
    return names[event];
}

const char *gossip_refusal_name(enum gossip_refusal refusal)
{
    static const char *const names[GOSSIP_REFUSAL_COUNT] = {
        [GOSSIP_REFUSED_MALFORMED] = "malformed",
        [GOSSIP_REFUSED_TYPE] = "type",
        [GOSSIP_REFUSED_CRC] = "crc",
        [GOSSIP_REFUSED_KEY] = "key",
        [GOSSIP_REFUSED_PLAIN] = "plain",
        [GOSSIP_REFUSED_LABEL] = "label",
        [GOSSIP_REFUSED_VERSION] = "version",
        [GOSSIP_REFUSED_NAME] = "name",
        [GOSSIP_REFUSED_ADDRESS] = "address",
        [GOSSIP_REFUSED_CONFLICT] = "conflict",
        [GOSSIP_REFUSED_PING] = "ping",
        [GOSSIP_REFUSED_TOO_BIG] = "too_big",
        [GOSSIP_REFUSED_TOO_MANY] = "too_many",
        [GOSSIP_REFUSED_STALE] = "stale",
        [GOSSIP_REFUSED_NO_MEMORY] = "no_memory",
    };

    assert(refusal < GOSSIP_REFUSAL_COUNT);
    return names[refusal];
}

/* ---- Readers. */

const struct gossip_member *gossip_self(const struct gossip *g)
{
    return &g->self->view;
}

const struct gossip_member *gossip_find(const struct gossip *g, const char *name)
{
    const struct member *member = roster_find(&g->roster, rc_pack_text(name));
    return member == NULL || member->serf == SERF_NONE ? NULL : &member->view;
}

const struct gossip_member *gossip_next_member(const struct gossip *g, size_t *position)
{
    const struct member *member;

    while ((member = rc_table_next(g->roster.by_name, position, NULL)) != NULL) {
        if (member->serf != SERF_NONE) {
            return &member->view;
        }
    }
    return NULL;
}

size_t gossip_member_count(const struct gossip *g)
{
    return rc_table_count(g->roster.by_name);
}

uint32_t gossip_health_score(const struct gossip *g)
{
    return g->health;
}

void gossip_encryption(const struct gossip *g, struct gossip_encryption *out)
{
    const struct keyring *ring = &g->envelope.keyring;

    *out = (struct gossip_encryption){.key_count = ring->count, .cipher = ""};
    if (ring->count > 0) {
        out->cover = g->envelope.cover;
        out->cipher = seal_cipher(ring->slots[0].seal);
        seal_fingerprint(ring->slots[0].key.bytes, ring->slots[0].key.size,
                         out->fingerprint);
    }
}

bool gossip_is_encrypted(const struct gossip *g)
{
    return g->envelope.keyring.count > 0;
}

void gossip_counters(const struct gossip *g, struct gossip_counters *out)
{
    *out = g->counters;
    out->queue_membership = (uint32_t)g->queues[QUEUE_MEMBERSHIP].count;
    out->queue_intents = (uint32_t)g->queues[QUEUE_INTENTS].count;
    out->queue_events = (uint32_t)g->queues[QUEUE_EVENTS].count;
    out->queue_queries = (uint32_t)g->queues[QUEUE_QUERIES].count;
    out->queue_dropped = 0;
    for (size_t i = 0; i < QUEUE_COUNT; i++) {
        out->queue_dropped += g->queues[i].dropped;
    }
    out->streams_open = (uint32_t)g->stream_count;
}

void gossip_clocks(const struct gossip *g, uint64_t out[GOSSIP_CLOCK_COUNT])
{
    memcpy(out, g->serf.clocks, sizeof g->serf.clocks);
}

int gossip_coordinate(const struct gossip *g, const char *name,
                      struct gossip_coordinate *out)
{
    const struct member *member = roster_find(&g->roster, rc_pack_text(name));

    if (member == g->self) {
        *out = g->coordinate.coordinate;
        return RC_OK;
    }
    if (member == NULL || roster_dealings(member)->distance == NULL) {
        return RC_ENOTFOUND;
    }
    *out = member->dealings->distance->coordinate;
    return RC_OK;
}
