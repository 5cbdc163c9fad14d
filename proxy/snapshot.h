/* snapshot.h - configuration and pools as they are right now: what workers read.
 *
 * Immutable once published, reference-counted, shared by all threads. Control
 * builds the next one whenever anything changes and hands it to every worker; a
 * worker swaps between two turns of its loop. So inside one callback the worker's
 * snapshot never changes, and whoever keeps pointers into one over several turns
 * holds a reference. */
#ifndef PROXY_SNAPSHOT_H
#define PROXY_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/certificates.h"
#include "proxy/config.h"
#include "proxy/instance.h"
#include "proxy/pgtally.h"
#include "proxy/upstream.h"

/* The configuration with a count of who reads it: many snapshots share one. */
struct snapshot_config {
    _Atomic uint32_t references;
    struct config *config;
    struct certificates *certificates; /* that it names; NULL = not read */
};

struct snapshot_member {
    struct instance *instance; /* one reference held by the snapshot */
    enum upstream_state state;
    enum upstream_role role; /* PostgreSQL; UPSTREAM_ROLE_NONE elsewhere */
    bool present;            /* in the discovered set; else on its way out */
    uint32_t weight;         /* 1..65535; 0 = only if nothing else */
    uint64_t up_since_ms;    /* monotonic; slow start counts from here; 0 = full weight */
};

struct snapshot_pool {
    const struct config_pool *config; /* lives as long as the snapshot */
    struct snapshot_member *members;  /* ordered by instance id */
    size_t count;
    bool
        known; /* some source has answered since the start; else an empty pool means wait */
    /* Somebody tells who is primary: tags or probes. Else it shows when a session starts. */
    bool roles_known;
    /* The member that may be written, as index, or count when there is none. */
    size_t primary;
    /* Keepers look after it: then the lease decides, nothing else. */
    bool managed;
    bool view_lost; /* nobody has said for too long who holds the lease */
    uint64_t term;  /* of the lease; 0 = unknown */
    /* Whom servers are vouched for by, or NULL: no TLS to them. Lives as long as the snapshot. */
    struct tls_context *tls;
    struct pgtally
        *tally; /* one reference held by the snapshot; NULL before the first fill */
};

struct snapshot {
    _Atomic uint32_t references;
    uint64_t generation; /* grows by one with each published snapshot */
    struct snapshot_config *shared;
    const struct config *config; /* shared->config */
    bool draining;               /* the process is going: keep no connection alive */
    struct snapshot_pool *pools; /* config->pool_count of them, same order */
};

/* Takes both (`certificates` may be NULL) and wraps them with one reference. NULL (both destroyed)
 * when memory is out. */
struct snapshot_config *snapshot_config_create(struct config *config,
                                               struct certificates *certificates);
struct snapshot_config *snapshot_config_retain(struct snapshot_config *shared);
void snapshot_config_release(struct snapshot_config *shared);

/* An empty snapshot for this configuration (retained), one reference, to be filled by
 * snapshot_reserve and direct writes before it is published. NULL when memory is out. */
struct snapshot *snapshot_create(struct snapshot_config *shared, uint64_t generation);

/* Makes room for `count` members in a pool, zeroed. RC_OK or RC_ENOMEM. */
int snapshot_reserve(struct snapshot *snapshot, size_t pool, size_t count);

/* Any thread. Releasing the last reference releases instances and configuration. */
struct snapshot *snapshot_retain(struct snapshot *snapshot);
void snapshot_release(struct snapshot *snapshot);

/* Where `instance` stands in a pool, or NULL if it is not in it. Borrowed. */
const struct snapshot_member *snapshot_find(const struct snapshot_pool *pool,
                                            const struct instance *instance);

/* The pool of this name, or NULL: after a reload indexes may differ. Borrowed. */
const struct snapshot_pool *snapshot_find_pool(const struct snapshot *snapshot,
                                               const char *name);

#endif
