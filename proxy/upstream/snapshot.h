/* snapshot.h - configuration and pools as they are right now: what workers read.
 *
 * Immutable once published, reference-counted, shared by all threads. Control
 * builds the next one whenever anything changes and hands it to every worker; a
 * worker swaps between two turns of its loop. So inside one callback the worker's
 * snapshot never changes, and whoever keeps pointers into one over several turns
 * holds a reference. */
#ifndef PROXY_UPSTREAM_SNAPSHOT_H
#define PROXY_UPSTREAM_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/config/config.h"
#include "proxy/limit/limits.h"
#include "proxy/tls/certificates.h"
#include "proxy/upstream/derived.h"
#include "proxy/upstream/instance.h"
#include "proxy/upstream/meters.h"
#include "proxy/upstream/pgtally.h"
#include "proxy/upstream/pool_counts.h"
#include "proxy/upstream/upstream.h"

/* The configuration with a count of who reads it: many snapshots share one. */
struct snapshot_config {
    _Atomic uint32_t references;
    struct config *config;
    struct certificates *certificates; /* that it names; NULL = not read */
    struct meters meters;
    struct limits limits; /* control fills it in before it is published */
};

enum { DISTANCE_UNKNOWN = INT32_MAX };

struct snapshot_member {
    struct instance *instance; /* one reference held by the snapshot */
    enum upstream_state state;
    enum upstream_role role; /* PostgreSQL; UPSTREAM_ROLE_NONE elsewhere */
    bool present;            /* in the discovered set; else on its way out */
    uint32_t weight;         /* 1..65535; 0 = only if nothing else */
    uint64_t up_since_ms;    /* monotonic; slow start counts from here; 0 = full weight */
    uint64_t sticky;         /* what its cookie says; 0 = the pool has none */
    uint32_t distance_us;    /* from our agent; DISTANCE_UNKNOWN = nobody said */
    bool near;               /* among the nearest, as the pool wants them */
};

struct snapshot_pool {
    const struct config_pool *config; /* lives as long as the snapshot */
    struct derived *derived; /* one reference; NULL: it stands in the configuration */
    struct snapshot_member *members; /* ordered by instance id */
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
    struct pool_counts *counts; /* likewise */
    bool panic;       /* too few pass their checks: all are used (preference.h) */
    bool prefer_near; /* enough of the near pass: they take what they can carry */
};

struct snapshot {
    _Atomic uint32_t references;
    uint64_t generation; /* grows by one with each published snapshot */
    struct snapshot_config *shared;
    const struct config *config; /* shared->config */
    uint32_t hangups;            /* grows with each SIGHUP: logs are opened anew */
    bool draining;               /* the process is going: keep no connection alive */
    /* Those of the configuration in its order, then those that requests asked for. */
    struct snapshot_pool *pools;
    size_t pool_count;
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

/* Adds pools that requests asked for (each retained), in the order of derived_compare, behind
 * the configured ones: once, before any is filled. RC_OK or RC_ENOMEM. */
int snapshot_derive(struct snapshot *snapshot, struct derived *const *derived,
                    size_t count);

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

/* The pool made of pattern number `pattern` for this service, or NULL: nobody has asked for it
 * yet, or not for long. Borrowed. */
const struct snapshot_pool *snapshot_find_derived(const struct snapshot *snapshot,
                                                  size_t pattern, const char *service);

#endif
