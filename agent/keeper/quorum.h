/* quorum.h - in which order confirmations and elections may change, so that they always meet.
 *
 * The record says (M, q): any q of M may elect; q = never: nobody but the holder. PostgreSQL has
 * `ANY k (N)`: any k of N acknowledge, with the primary itself. At every moment, for every
 * (N, k) that was in force for a commit that is not yet known to be elsewhere: N is in M, and
 * k + q >= |M| + 1. Pure. Source: postgres-failover section 6, S1 and S2.
 *
 * All of S1 follows from one way to get from (M, q), (N, k) to the wished (N', k'):
 *   1. write (M + N', q as large as both k and k' ask; never if one is 0),
 *   2. set ANY k' (N'),
 *   3. wait until k' of N' have all that was written before 2 was in force everywhere,
 *   4. write (N', |N'| + 1 - k').
 * A step that changes nothing is left out. What is wished may change between any two steps. */
#ifndef AGENT_KEEPER_QUORUM_H
#define AGENT_KEEPER_QUORUM_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/keeper/keeper_record.h"

struct quorum_set { /* in order of names, without repetition */
    char names[KEEPER_MEMBERS_MAX][KEEPER_NODE_MAX];
    size_t count;
};

/* Adds a name in its place; false when there is no room. */
bool quorum_set_add(struct quorum_set *set, const char *name);
bool quorum_set_has(const struct quorum_set *set, const char *name);
bool quorum_set_equals(const struct quorum_set *a, const struct quorum_set *b);
bool quorum_set_within(const struct quorum_set *small, const struct quorum_set *large);

struct quorum_record {
    struct quorum_set members; /* M */
    int q; /* KEEPER_QUORUM_NEVER; 0: anybody, of an asynchronous cluster */
};

/* k 0: nobody is waited for. k above |N|: commits wait for ever. */
struct quorum_names {
    struct quorum_set names; /* N */
    int k;
};

struct quorum_now {
    struct quorum_record record; /* as it stands for certain */
    bool names_are_known;      /* false: after a start; whatever is in force is covered */
    struct quorum_names names; /* in force, or on their way to it */
    bool is_caught_up;         /* step 3 is done for `names` */
};

enum quorum_step {
    QUORUM_REST,  /* as it is wished */
    QUORUM_WRITE, /* `record` */
    QUORUM_SET,   /* `names` */
    QUORUM_CATCH  /* step 3 */
};

struct quorum_next {
    enum quorum_step step;
    struct quorum_record record;
    struct quorum_names names;
};

/* The next step towards `wish`. Asynchronous clusters: a wish of k 0 with `anybody`. */
enum quorum_alone { QUORUM_NOBODY, QUORUM_ANYBODY };
void quorum_step(const struct quorum_now *now, const struct quorum_names *wish,
                 enum quorum_alone alone, struct quorum_next *out);

/* The least q that meets every `k` of `members`; KEEPER_QUORUM_NEVER when nothing does. */
int quorum_of(const struct quorum_set *members, int k);

/* What stands in synchronous_standby_names: "", `ANY 1 ("a", "b")`, or KEEPER_BLOCKED_NAMES for
 * a k above 0 of no names. `space` of `size` bytes; RC_OK or RC_ETOOBIG. */
int quorum_show(const struct quorum_names *names, char *space, size_t size);

#endif
