/* lineup_state.h - what a lineup is made of. Private to lineup*.c. */
#ifndef PROXY_UPSTREAM_LINEUP_STATE_H
#define PROXY_UPSTREAM_LINEUP_STATE_H

#include "proxy/upstream/lineup.h"

struct lineup_word {
    struct lineup_entry *entries; /* the last good word */
    size_t count;
    struct lineup_source_state state;
    unsigned empty_answers; /* in a row */
    uint64_t empty_since_ms;
};

struct lineup {
    struct upstream_rules rules;
    uint32_t max_ejected_percent;
    uint32_t hold_empty_ms;
    bool probed;  /* servers are asked themselves */
    bool named;   /* the catalog tells roles by tags, or did once */
    bool managed; /* the keepers' lease decides */
    bool view_lost;
    uint64_t term;
    struct pgtally *tally;
    struct pool_counts *counts;
    uint64_t sampled_ms;
    uint64_t sticky_seed; /* 0 = no cookies */
    bool checked;         /* we ask each instance ourselves */
    struct rc_random random;
    struct lineup_word sources[LINEUP_SOURCE_COUNT];
    struct lineup_member *members; /* ordered by id, then address */
    size_t count;
    size_t claimants;
};

/* Forgets failures and trials. */
void lineup_clear_counts(const struct lineup_member *member);

#endif
