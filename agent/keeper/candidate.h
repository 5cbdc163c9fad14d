/* candidate.h - may this node take the lease, and should it do so now?
 *
 * Answers from one view, the same on every node that has the same view, but for how long the
 * lease has been seen free. Whether a node *may* is a matter of safety; how long it leaves
 * others the first go is only good manners, so nobody waits for ever. Pure.
 * Source: postgres-failover sections 6 (S3), 7 and 8. */
#ifndef AGENT_KEEPER_CANDIDATE_H
#define AGENT_KEEPER_CANDIDATE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/keeper/keeper_record.h"

/* Why a node may take the lease; the safest and most wished first. */
enum candidate_right {
    CANDIDATE_NONE,
    CANDIDATE_FORCED,   /* an operator's failover with accept_loss */
    CANDIDATE_COMPLETE, /* has the last position of a clean stop */
    CANDIDATE_ELECTED,  /* S3: the furthest of q frozen members, and one of them */
    CANDIDATE_RECENT,   /* async: lag within max_lag */
    CANDIDATE_HOLDER    /* it was the last to acknowledge anything */
};

enum candidate_verdict {
    CANDIDATE_CANNOT, /* `why` */
    CANDIDATE_WAIT,   /* until `until_ms`, or a newer view */
    CANDIDATE_GO
};

struct candidate_case {
    const struct keeper_view *view;
    const char *me;
    const struct keeper_member_record *mine; /* newer than the view's */
    uint64_t max_lag_bytes;
    uint64_t restart_budget_ms;
    uint64_t free_since_ms; /* when the lease was first seen free */
    uint64_t now_ms;
};

struct candidate_choice {
    enum candidate_verdict verdict;
    enum candidate_right right;
    uint64_t until_ms;
    const char *why; /* static */
};

void candidate_choose(const struct candidate_case *c, struct candidate_choice *out);

/* Nothing of its own keeps it from being promoted: configuration, disk. */
bool candidate_is_willing(const struct keeper_member_record *record);

/* Whether `a` has all WAL that `b` has: a later timeline, or as far on the same. Timelines are
 * claimed by winners of elections, so a later one holds what was acknowledged on those before. */
bool candidate_has_all_of(const struct keeper_member_record *a,
                          const struct keeper_member_record *b);

#endif
