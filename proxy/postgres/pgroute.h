/* pgroute.h - which server a PostgreSQL session may use, and whether it may go on.
 *
 * Pure: reads one snapshot's pool. Rules: proxy-design.md section 11, postgres-failover.md
 * section 12: writes go to the one primary or wait; a session on a server that is not it
 * any more ends at once. */
#ifndef PROXY_POSTGRES_PGROUTE_H
#define PROXY_POSTGRES_PGROUTE_H

#include "proxy/upstream/snapshot.h"

/* What a session wants: its listener's target, except that replication wants the primary. */
struct pgroute_wish {
    enum config_target target;
    bool fallback_primary;
    const struct instance *avoid; /* failed a moment ago; only if there is no other */
};

/* The member to connect to, or NULL: wait. Borrowed from the pool. When nobody tells roles, any
 * usable one in turn of `turn`: the start of the session shows what it is. */
const struct snapshot_member *pgroute_pick(const struct snapshot_pool *pool,
                                           const struct pgroute_wish *wish, size_t turn);

enum pgroute_fate {
    PGROUTE_STAY,
    PGROUTE_LEAVE, /* the server left the set: drain_timeout, then the end */
    PGROUTE_CUT,   /* it must not write there one moment longer */
};

/* For a session on `instance`. WRITES: it was started on the primary as such, under `term` where
 * keepers look after the pool. */
enum pgroute_kind { PGROUTE_READS, PGROUTE_WRITES };
struct pgroute_session {
    enum pgroute_kind kind;
    uint64_t term;
};
enum pgroute_fate pgroute_fate(const struct snapshot_pool *pool,
                               const struct instance *instance,
                               const struct pgroute_session *session);

/* May a cancel request go to a session that was started under `term` (0 = it could only read)? One
 * that could be written under a term that is gone has been cut: nobody is there to be cancelled,
 * and whoever has the server now has nothing to do with it. */
bool pgroute_may_cancel(const struct snapshot_pool *pool, uint64_t term);

/* What a session on `instance` is from now on: one on the primary can write, however it came there
 * (a standby that was promoted under it, or that was asked for and is missing). */
struct pgroute_session pgroute_session_on(const struct snapshot_pool *pool,
                                          const struct instance *instance,
                                          const struct pgroute_session *before);

#endif
