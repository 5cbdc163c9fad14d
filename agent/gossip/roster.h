/* roster.h - the table of members and the list that SWIM walks.
 *
 * One record serves both layers: memberlist's node (swim) and Serf's member (serf). Either
 * may forget it first; the record goes when both have. */
#ifndef AGENT_GOSSIP_ROSTER_H
#define AGENT_GOSSIP_ROSTER_H

#include "agent/gossip/coordinate.h"
#include "agent/gossip/gossip.h"
#include "agent/gossip/suspicion.h"
#include "agent/gossip/wire.h"
#include "base/table.h"

enum {
    ROSTER_MAX = 20000,   /* members of any status */
    ROSTER_NAME_MAX = 255 /* others may have longer names than ours may be */
};

enum swim_state { SWIM_NONE, SWIM_ALIVE, SWIM_SUSPECT, SWIM_DEAD, SWIM_LEFT };
enum serf_status { SERF_NONE, SERF_ALIVE, SERF_LEAVING, SERF_LEFT, SERF_FAILED };

struct member {
    struct gossip_member view; /* what readers see */
    enum swim_state swim;      /* SWIM_NONE: not in the list */
    enum serf_status serf;
    uint32_t id; /* of this record, never given twice */
    uint64_t swim_since_ns;
    uint64_t gone_ns;  /* since when it is left or failed in Serf's eyes */
    size_t list_place; /* in roster.list, while swim is not SWIM_NONE */
    uint8_t *meta;     /* owned; as announced */
    size_t meta_size;
    struct gossip_tag *tags;          /* owned; one block */
    struct suspicion *suspicion;      /* owned; NULL when not suspected */
    struct coordinate_peer *distance; /* owned; NULL until it answered */
    uint32_t waiting;                 /* actions that point here */
    bool is_erased;                   /* out of the tables; freed when nothing waits */
    bool is_mapped;                   /* announces its IPv4 address in 16 bytes */
    bool prune; /* erase it when it is gone and prune_at_ns is past */
    uint64_t prune_at_ns;
    uint64_t tcp_told_ns; /* when the owner last heard that UDP does not reach it */
    uint64_t acked_ns;    /* when it last answered us itself; 0: never */
    char name[];
};

struct roster {
    struct rc_table *by_name;
    struct rc_table *by_address;
    struct member **list; /* SWIM's, in random order */
    size_t list_count;
    size_t list_capacity;
    uint32_t last_id;
    size_t left_count;  /* of the list */
    size_t alive_count; /* of the list; suspects are not */
};

int roster_init(struct roster *roster, uint64_t hash_seed); /* RC_OK or RC_ENOMEM */
void roster_fini(struct roster *roster);

struct member *roster_find(const struct roster *roster, struct rc_pack_bytes name);
struct member *roster_at(const struct roster *roster, const struct rc_address *address);

/* A new member that both layers do not know yet. RC_OK, RC_EINVAL (name), RC_ETOOBIG (full) or
 * RC_ENOMEM. */
int roster_add(struct roster *roster, struct rc_pack_bytes name, struct member **out);

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
void roster_release(struct member *member);

int roster_set_address(struct roster *roster, struct member *member,
                       const struct rc_address *address);
/* Meta and the tags in it. RC_OK or RC_ENOMEM; then nothing changed. */
int roster_set_meta(struct member *member, struct rc_pack_bytes meta);

/* Members that count in SWIM's formulas: those who left do not. */
size_t roster_estimate(const struct roster *roster);
void roster_shuffle(struct roster *roster, struct rc_random *random);

/* Up to `max` different listed members that `wants` accepts, drawn at random. */
size_t roster_pick(const struct roster *roster, struct rc_random *random,
                   bool (*wants)(const struct member *member, const struct gossip *g),
                   const struct gossip *g, struct member **out, size_t max);

#endif
