/* diary.h - what happened to members and to our own health lately, and why.
 *
 * A ring of fixed size. Nothing is put into words here: codes, numbers and the ids of members
 * are noted, inspect.c makes sentences of them when somebody asks. */
#ifndef AGENT_GOSSIP_DIARY_H
#define AGENT_GOSSIP_DIARY_H

#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/member.h"

enum { DIARY_MAX = 256, DIARY_FIRST = 16, DIARY_DOUBTS_MAX = 16, DIARY_LOST_MAX = 16 };

enum diary_reason {
    DIARY_NO_REASON, /* the statuses say it all */
    DIARY_PROBE_FAILED, /* ours; `ms` without an ack, `some` of `all` helpers reached it no better */
    DIARY_ACCUSED,    /* `by` suspects it */
    DIARY_IN_A_STATE, /* suspect or dead in another's list of members */
    DIARY_CONFIRMED,  /* `by` suspects it too: `some` of `all`; `ms` are left */
    DIARY_RUN_OUT,    /* our suspicion, after `ms`, with `some` of `all` confirmations */
    DIARY_SPARED,     /* it has answered us: `ms` are left for it to refute */
    DIARY_STARTED_OVER, /* we stood still for `ms` */
    DIARY_TOLD_DEAD,    /* `by` declares it dead */
    DIARY_SAID_GOODBYE, /* itself */
    DIARY_REFUTED,      /* with a newer incarnation */
    DIARY_MOVED,        /* to another address */
    DIARY_REASON_COUNT
};

struct diary_why {
    enum diary_reason reason;
    uint32_t by; /* a member's id; 0: nobody we know */
    uint32_t ms;
    uint8_t some;
    uint8_t all;
};

struct diary_entry {
    uint64_t at_ns;
    uint32_t member; /* its id */
    uint32_t incarnation;
    struct diary_why why;
    uint8_t from; /* enum gossip_status; GOSSIP_STATUS_COUNT: not known before */
    uint8_t to;   /* GOSSIP_STATUS_COUNT: forgotten */
};

/* Why our health score rose. */
enum diary_doubt_reason {
    DIARY_UNANSWERED, /* a probe failed and nobody could be asked */
    DIARY_NACKS,      /* of `all` helpers `some` did not even say no */
    DIARY_WE_REFUTED, /* we were accused */
    DIARY_LAGGED      /* we were `ms` late */
};

struct diary_doubt {
    uint64_t at_ns;
    enum diary_doubt_reason reason;
    uint32_t score; /* after it */
    uint32_t ms;
    uint8_t some;
    uint8_t all;
};

/* Names of those who were forgotten; ids in the ring outlive their members. */
struct diary_lost {
    uint32_t member;
    char name[GOSSIP_NAME_MAX + 1];
};

struct diary {
    struct diary_entry *entries; /* grows to DIARY_MAX */
    size_t capacity;
    uint64_t count; /* ever; the newest is at (count - 1) % capacity */
    struct diary_doubt doubts[DIARY_DOUBTS_MAX];
    uint64_t doubt_count;
    struct diary_lost *lost; /* DIARY_LOST_MAX; allocated with the first */
    uint64_t lost_count;
};

void diary_fini(struct diary *diary);

/* Copies `entry`. Without memory the ring stays as large as it is. */
void diary_note(struct diary *diary, const struct diary_entry *entry);
void diary_doubt(struct diary *diary, const struct diary_doubt *doubt);
void diary_lose(struct diary *diary, uint32_t member, const char *name);

/* Entry `back` before the newest; NULL: no more. */
const struct diary_entry *diary_at(const struct diary *diary, size_t back);
const struct diary_doubt *diary_doubt_at(const struct diary *diary, size_t back);
/* The name of a forgotten member, or NULL. */
const char *diary_lost_name(const struct diary *diary, uint32_t member);

#endif
