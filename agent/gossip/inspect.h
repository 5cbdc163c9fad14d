/* inspect.h - for whoever debugs a pool: what gossip did lately and why, in words.
 *
 * Everything is made on request from what the core keeps anyway; names and members are
 * borrowed until the next call that takes now_ns or drains actions. */
#ifndef AGENT_GOSSIP_INSPECT_H
#define AGENT_GOSSIP_INSPECT_H

#include "agent/gossip/gossip.h"

enum { GOSSIP_WHY_MAX = 256 };

/* A member changed its status, or the case against it did. */
struct gossip_transition {
    uint64_t at_ns;
    const char *member; /* "" if forgotten too long ago */
    uint32_t incarnation;
    const char *from; /* names of statuses; "" if it was not known before */
    const char *to;   /* "forgotten" if it is no more */
    char why[GOSSIP_WHY_MAX];
};

/* The one `back` before the newest. False: no more. */
bool gossip_transition(const struct gossip *g, size_t back,
                       struct gossip_transition *out);

/* Our health score rose. */
struct gossip_doubt {
    uint64_t at_ns;
    uint32_t score; /* then */
    char why[GOSSIP_WHY_MAX];
};
bool gossip_doubt(const struct gossip *g, size_t back, struct gossip_doubt *out);
uint32_t gossip_health_max(const struct gossip *g); /* the score's maximum */

/* A suspicion that is open. */
struct gossip_suspicion {
    const struct gossip_member *member;
    uint64_t since_ns;
    uint64_t ends_ns; /* if nothing more is heard */
    uint32_t confirmations;
    uint32_t wanted;   /* then it ends soonest */
    bool has_answered; /* us, since it is suspected */
};
/* Start with `*position` = 0; false at the end. */
bool gossip_next_suspicion(const struct gossip *g, size_t *position,
                           struct gossip_suspicion *out);

/* Who sends what we refuse; the worst is at rank 0. False: no more. */
struct gossip_offender {
    struct rc_address address; /* port 0: came by TCP */
    const char *member;        /* at this address; "": nobody we know */
    enum gossip_refusal reason;
    uint64_t count;
    uint64_t last_ns;
};
bool gossip_offender(const struct gossip *g, size_t rank, struct gossip_offender *out);

/* A queue of what waits to be spread. False: no more. */
struct gossip_queue_facts {
    const char *name; /* static */
    size_t count;
    size_t max;
    uint64_t dropped; /* unsent or half sent, to make room */
    uint64_t refused; /* too large for a packet */
};
bool gossip_queue_facts(const struct gossip *g, size_t place,
                        struct gossip_queue_facts *out);

/* Nobody has answered any of our probes for a while: we tell no one whom we suspect. */
bool gossip_is_deaf(const struct gossip *g);

#endif
