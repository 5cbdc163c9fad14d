/* etcd_lapse.h - the end of short leases, noticed when it comes.
 *
 * etcd looks twice a second which leases are over (lessor.go of 3.4), so their keys stay up to
 * 500 ms longer. Of a lease of a few seconds that is much of the time in which nobody holds what it
 * held. So short ones are asked after (LeaseTimeToLive), and one that is over is revoked.
 *
 * Never too early. The leader tells the time left, in whole seconds that are cut off. Nothing left,
 * and nothing left again when it was asked a second after that answer, and all answers in between
 * the same, so close that a renewal would have shown as a second or more: so the whole time had
 * passed at that leader since the last renewal it took. That it did lead then is shown by a linearizable read that
 * is asked for afterwards: its term is that of both answers. Who counts by the renewals that were
 * answered has given up by then. A renewal that is taken after that, by this leader or by the next,
 * is too late for what its owner had, and the revocation may end it too. Pure. */
#ifndef AGENT_ENGINE_ETCD_LAPSE_H
#define AGENT_ENGINE_ETCD_LAPSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/engine/etcd_ask.h"
#include "base/pack.h"

enum { ETCD_LAPSES_MAX = 64 };

struct etcd_lapse { /* of one lease */
    struct etcd_lapses *all;
    uint64_t lease;    /* 0: the place is free */
    uint64_t due_ms;   /* when to ask next */
    uint64_t asked_ms; /* the question that is under way, or was the last */
    uint64_t
        empty_ms; /* the first of the answers in a row that nothing is left; 0: none */
    uint64_t last_ms; /* when the last of those was asked for */
    uint64_t term;    /* of those answers */
    bool is_asked;
};

struct etcd_lapses {
    struct etcd_asker *asker; /* borrowed, like the prefix */
    struct rc_pack_bytes prefix;
    struct etcd_lapse items[ETCD_LAPSES_MAX];
};

void etcd_lapse_init(struct etcd_lapses *lapses, struct etcd_asker *asker,
                     struct rc_pack_bytes prefix);

/* Looks after `lease` until it has ended, if it is a short one. With too many, the last are left to
 * etcd. */
void etcd_lapse_watch(struct etcd_lapses *lapses, uint64_t lease);

/* Does what is due; returns when to be woken again. */
uint64_t etcd_lapse_wake(struct etcd_lapses *lapses, uint64_t now_ms);

#endif
