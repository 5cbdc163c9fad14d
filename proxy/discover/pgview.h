/* pgview.h - who may be written, as an agent says, and for how long that counts.
 *
 * Reads the answers to GET /v1/postgres/CLUSTER. The word of an answer counts from the moment in
 * which it was asked for, and for `view_max` from there: the keeper's lease may be another's
 * after that, so who may be written is unknown then, and nobody is asked to guess. A term never
 * goes back. Rules: postgres-failover.md sections 4 and 12. Pure; all times are ms of one clock
 * that goes on while the machine sleeps. */
#ifndef PROXY_DISCOVER_PGVIEW_H
#define PROXY_DISCOVER_PGVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"
#include "proxy/upstream/lineup.h"

enum {
    PGVIEW_MEMBERS_MAX = 24,
    PGVIEW_NODE_MAX = 64,         /* as the keepers' names */
    PGVIEW_AGE_UNKNOWN_MS = 2000, /* while no answer has named a TTL */
};

struct pgview_member {
    char node[PGVIEW_NODE_MAX + 1];
    struct rc_address address; /* family NONE: it cannot be connected to */
    bool read_ok;              /* its keeper says that it may be read */
    uint64_t lag_bytes;
    uint64_t lag_ms;
    bool in_pool; /* read_ok, and within our own limits */
};

/* One answer. */
struct pgview_word {
    uint64_t term;
    bool writable;                     /* there is a holder, and it may be written */
    char primary[PGVIEW_NODE_MAX + 1]; /* the holder; "" = nobody */
    struct rc_address primary_address;
    uint32_t ttl_ms; /* of the lease; 0 = not told */
    size_t count;
    struct pgview_member members[PGVIEW_MEMBERS_MAX];
};

/* RC_OK, or RC_EMALFORMED: then `*out` is not to be used. Members behind the 24th are left out. */
int pgview_parse(const void *body, size_t size, struct pgview_word *out);

enum pgview_state {
    PGVIEW_UNKNOWN, /* nothing was heard yet */
    PGVIEW_CURRENT,
    PGVIEW_LOST, /* too old to say who may be written */
};

struct pgview {
    uint32_t view_max_ms;   /* of the configuration; 0 = TTL less a second */
    uint64_t max_lag_bytes; /* 0 = any */
    uint32_t max_lag_ms;    /* 0 = any */
    enum pgview_state state;
    uint64_t heard_at_ms; /* when the last good word was asked for */
    uint64_t lost_at_ms;
    struct pgview_word word;
    uint64_t stale_words; /* with a term that is gone; counted */
};

void pgview_init(struct pgview *view, const struct config_pool *config);

/* New limits after a reload; what was heard stays. */
void pgview_configure(struct pgview *view, const struct config_pool *config);

/* A word that was asked for at `asked_at_ms`, or NULL: there is no such cluster, so nobody may be
 * written. A smaller term than before is no news, unless nothing else has been heard since the view
 * was lost for ten times its age (the store was set up anew). True if it was taken. */
bool pgview_hear(struct pgview *view, const struct pgview_word *word,
                 uint64_t asked_at_ms, uint64_t now_ms);

/* Time passes. True when the view was lost in this moment. */
bool pgview_tick(struct pgview *view, uint64_t now_ms);

/* How old a word may be, and until when the last one counts; 0 = it does not. */
uint32_t pgview_age_max_ms(const struct pgview *view);
uint64_t pgview_counts_until_ms(const struct pgview *view);

/* The members as a pool's entries: the primary claims so, those who may be read are standbys, of the
 * others nothing is known. `out` has room for PGVIEW_MEMBERS_MAX + 1; returns how many. */
size_t pgview_entries(const struct pgview *view, struct lineup_entry *out);

#endif
