/* offenders.h - who sends what we refuse: a small table of the worst.
 *
 * One row for an address and a reason. When it is full, the row with the fewest refusals makes
 * room, the one quiet for longest among equals: strangers that come once do not push out who
 * comes for ever. */
#ifndef AGENT_GOSSIP_OFFENDERS_H
#define AGENT_GOSSIP_OFFENDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/gossip/counters.h"
#include "base/address.h"

enum {
    OFFENDERS_MAX = 32,
    OFFENDERS_TELL_EVERY_MS = 60000, /* each row */
    OFFENDERS_TELLS_MAX = 8 /* of all rows in that time: addresses can be forged */
};

struct offender {
    struct rc_address address;
    enum gossip_refusal reason;
    uint64_t count; /* 0: free */
    uint64_t last_ns;
    uint64_t told_ns; /* 0: never */
};

struct offenders {
    struct offender *rows; /* OFFENDERS_MAX; allocated with the first */
    uint64_t tells_since_ns;
    uint32_t tells;
};

void offenders_fini(struct offenders *offenders);

/* Counts a refusal. The row, if it is time to tell the owner of it again; else NULL. */
const struct offender *offenders_note(struct offenders *offenders,
                                      const struct rc_address *address,
                                      enum gossip_refusal reason, uint64_t now_ns);

/* The row with `rank` others above it by count; NULL: no more. */
const struct offender *offenders_at(const struct offenders *offenders, size_t rank);

#endif
