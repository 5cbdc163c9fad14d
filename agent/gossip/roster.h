/* roster.h - the table of members and the list that SWIM walks.
 *
 * One record serves both layers: memberlist's node (swim) and Serf's member (serf). Either
 * may forget it first; the record goes when both have. */
#ifndef AGENT_GOSSIP_ROSTER_H
#define AGENT_GOSSIP_ROSTER_H

#include "agent/gossip/announced.h"
#include "agent/gossip/coordinate.h"
#include "agent/gossip/gossip.h"
#include "agent/gossip/suspicion.h"
#include "agent/gossip/wire.h"
#include "base/table.h"

enum { ROSTER_MAX = 20000 /* members of any status */ };

enum swim_state { SWIM_NONE, SWIM_ALIVE, SWIM_SUSPECT, SWIM_DEAD, SWIM_LEFT };
enum serf_status { SERF_NONE, SERF_ALIVE, SERF_LEAVING, SERF_LEFT, SERF_FAILED };

/* What is kept only of members that we have had to do with. */
struct dealings {
    struct suspicion *suspicion;      /* owned; NULL when not suspected */
    struct coordinate_peer *distance; /* owned; NULL until it answered */
    uint64_t acked_ns;                /* when it last answered us itself; 0: never */
    uint64_t tcp_told_ns; /* when the owner last heard that UDP does not reach it */
    uint64_t prune_at_ns; /* with `prune` */
};

/* There are as many as members squared in a simulated pool: 72 bytes, 80 with malloc's own. */
struct member {
    struct gossip_member view; /* what readers see */
    uint64_t swim_since_ns;
    uint64_t gone_ns;          /* since when it is left or failed in Serf's eyes */
    struct dealings *dealings; /* owned; NULL: none. See roster_dealings() */
    uint32_t id;               /* of this record, never given twice */
    uint32_t list_place;       /* in roster.list, while swim is not SWIM_NONE */
    uint32_t waiting;          /* actions that point here */
    uint8_t swim;              /* enum swim_state; SWIM_NONE: not in the list */
    uint8_t serf;              /* enum serf_status */
    bool is_erased;            /* out of the tables; freed when nothing waits */
    bool prune; /* erase it when it is gone and dealings->prune_at_ns is past */
};

struct roster {
    struct gossip_shared *shared; /* borrowed; NULL: announcements are its own */
    struct rc_table *by_name;
    struct rc_table *by_address;
    struct member **list; /* SWIM's, in random order */
    size_t list_count;
    size_t list_capacity;
    uint32_t last_id;
    size_t left_count;  /* of the list */
    size_t alive_count; /* of the list; suspects are not */
};

/* `shared` (may be NULL) is borrowed until the end. RC_OK or RC_ENOMEM. */
int roster_init(struct roster *roster, uint64_t hash_seed, struct gossip_shared *shared);
void roster_fini(struct roster *roster);

struct member *roster_find(const struct roster *roster, struct rc_pack_bytes name);
struct member *roster_at(const struct roster *roster, const struct rc_address *address);

/* A new member that both layers do not know yet, and that roster_at() does not find until
 * roster_hear(). RC_OK, RC_EINVAL (name), RC_ETOOBIG (full) or RC_ENOMEM. */
int roster_add(struct roster *roster, const struct announcement *announcement,
               struct member **out);

/* What the member says of itself now; it is the one at its address from here on. The name must
 * be the member's. RC_OK or RC_ENOMEM; then it may not be found by its address. */
int roster_hear(struct roster *roster, struct member *member,
                const struct announcement *announcement);

/* The record behind what readers see of it. */
struct announced *roster_announced(const struct member *member);

/* To read: all zero if there were none. To write: made if there were none; NULL when memory is
 * out. */
const struct dealings *roster_dealings(const struct member *member);
struct dealings *roster_deal(struct member *member);

/* Puts it into SWIM's list at a random place, as dead. RC_OK or RC_ENOMEM. */
int roster_enlist(struct roster *roster, struct member *member, struct rc_random *random);
void roster_delist(struct roster *roster, struct member *member);
/* Changes the state of a listed member. */
void roster_set_swim(struct roster *roster, struct member *member, enum swim_state state,
                     uint64_t now_ns);

/* Takes it out of the tables if neither layer needs it; freed when no action waits. True if
 * it is gone for its caller. */
bool roster_drop_if_unused(struct roster *roster, struct member *member);
/* An action that pointed to it was taken. */
void roster_release(struct roster *roster, struct member *member);

/* Members that count in SWIM's formulas: those who left do not. */
size_t roster_estimate(const struct roster *roster);
void roster_shuffle(struct roster *roster, struct rc_random *random);

/* Up to `max` different listed members that `wants` accepts, drawn at random. */
size_t roster_pick(const struct roster *roster, struct rc_random *random,
                   bool (*wants)(const struct member *member, const struct gossip *g),
                   const struct gossip *g, struct member **out, size_t max);

#endif
