/* spread.h - how changes travel: our own, rumours, syncs. For this folder only. */
#ifndef AGENT_CATALOG_SPREAD_H
#define AGENT_CATALOG_SPREAD_H

#include "agent/catalog/record.h"

enum {
    SPREAD_TELL_EVERY_MS = 100,     /* our own changes become one rumour */
    SPREAD_OUTPUT_EVERY_MS = 5000,  /* output alone: at most that often for each check */
    SPREAD_OUTPUT_NODES = 20,       /* and slower by that many nodes */
    SPREAD_AGAIN_MS = 40,           /* between two kicks for the same rumour */
    SPREAD_OVERLAP_MS = 3000,       /* our rumours repeat what was told so lately, */
    SPREAD_OVERLAP_VERSIONS = 4,    /* ... but no more than that */
    SPREAD_PACKET = 1024,           /* a packet with that much room counts as empty */
    SPREAD_SYNC_BYTES = 256 * 1024, /* records in one answer, about */
    SPREAD_DIGEST_OWNERS = 128,     /* more owners: hashes of buckets first */
    SPREAD_ROUNDS_MAX = 64,         /* of one sync: 16 MB each way */
    SPREAD_STREAM_IDLE_MS = 10000,
    SPREAD_CLEAN_EVERY_MS = 60000,
    SPREAD_ORPHAN_MS = 300000, /* a record of a node that gossip does not know */
    SPREAD_BURIED_MS = 24 * 3600 * 1000, /* as long as gossip remembers the dead */
};

/* ---- own.c */
void own_changed(struct catalog *c, uint64_t now_ms); /* after a step that was ours */
void own_tick(struct catalog *c, uint64_t now_ms);
uint64_t own_deadline(const struct catalog *c);
void own_forget_held(struct catalog *c);

/* ---- rumour.c */
enum rumour_haste { RUMOUR_IDLE, RUMOUR_URGENT };
/* Tells what changed after `base`; an urgent one asks for packets at once. */
void rumour_queue(struct catalog *c, uint64_t now_ms, struct node_entry *entry,
                  uint64_t base, enum rumour_haste haste);
void rumour_drop(struct catalog *c, struct node_entry *entry);
/* Tells our whole record anew, under a new epoch. */
void rumour_announce(struct catalog *c, uint64_t now_ms);
void rumour_tick(struct catalog *c, uint64_t now_ms);
uint64_t rumour_deadline(const struct catalog *c);

/* ---- sync.c */
void sync_want(struct catalog *c, uint64_t now_ms, enum sync_reason reason,
               const char *member);
void sync_want_outputs(struct catalog *c, uint64_t now_ms);
void sync_tick(struct catalog *c, uint64_t now_ms);
uint64_t sync_deadline(const struct catalog *c);

/* ---- sync_message.c */
void sync_write_first(struct catalog *c); /* what a stream starts with */
bool sync_write_outputs(struct catalog *c, const char *member); /* false: nothing cut */
bool sync_write_gaps(struct catalog *c);                        /* false: none is left */

/* Has a rumour told of more than we know of the record? */
bool sync_is_behind(const struct node_entry *entry);

/* What a message asks of the one who got it. */
struct sync_next {
    bool replies; /* c->out is to be sent */
    bool asks;    /* ... and will be answered */
    bool more;    /* the byte cap left something for another round */
};

/* Reads a message, applies it and leaves the reply in c->out. RC_OK, or RC_EMALFORMED,
 * RC_ETRUNCATED, RC_EUNSUPPORTED (another format), RC_ENOMEM. */
int sync_read(struct catalog *c, uint64_t now_ms, const void *bytes, size_t size,
              struct sync_next *next);

/* ---- scrub.c */
bool scrub_is_whole(const struct node_entry *entry);
void scrub_some(struct catalog *c); /* once a minute */
/* May the record be told? If its memory went bad it is forgotten, to be asked for. */
bool scrub_may_tell(struct catalog *c, struct node_entry *entry);

/* ---- action.c */
void action_kick(struct catalog *c);
void action_open(struct catalog *c, const char *member);
void action_send(struct catalog *c, uint64_t stream); /* what is in c->out */
void action_close(struct catalog *c, uint64_t stream);
void action_forget_all(struct catalog *c);

/* ---- liveness.c */
void liveness_bury(struct catalog *c, uint64_t now_ms, struct node_entry *entry);
void liveness_clean(struct catalog *c, uint64_t now_ms);
void liveness_forget_buried(struct catalog *c);

#endif
