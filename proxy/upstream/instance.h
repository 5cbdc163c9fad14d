/* instance.h - one address of a service, as all threads share it.
 *
 * Who it is never changes after creation; how busy it is and how it fared are
 * relaxed atomics that any thread counts up. It is reference-counted: snapshots,
 * connections and sessions each hold one, so a pointer stays the same instance for as
 * long as anybody cares, over any number of snapshots. What may change (weight, state,
 * role) stands in the snapshot, beside it. */
#ifndef PROXY_UPSTREAM_INSTANCE_H
#define PROXY_UPSTREAM_INSTANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/address.h"
#include "proxy/upstream/meter.h"

enum { INSTANCE_ID_MAX = 192 };

/* How one use of an instance ended, as far as the instance is to blame. */
enum instance_outcome {
    INSTANCE_OK,             /* it answered, whatever the status below 502 */
    INSTANCE_CONNECT_FAILED, /* refused, unreachable or timed out */
    INSTANCE_BROKE,          /* closed or reset before a whole response head */
    INSTANCE_TIMED_OUT,      /* no response head in time */
    INSTANCE_BAD_ANSWER,     /* a response that breaks the protocol */
    INSTANCE_GATEWAY_STATUS, /* it answered 502, 503 or 504 itself */
    INSTANCE_NOT_TO_BLAME,   /* the client went, or we ran out of something */
    INSTANCE_OUTCOME_COUNT
};

/* What is counted must not share a line with what never changes.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct instance {
    _Atomic uint32_t references;
    /* Identity: set at creation, then constant. */
    uint64_t id_hash; /* of id; what rendezvous hashing scores */
    struct rc_address address;
    char
        id[INSTANCE_ID_MAX]; /* the agent's service id @ node, else the address as text */
    struct meter *meter;     /* what it answered, and how fast */
    /* Counters, on their own cache line. */
    _Alignas(64) _Atomic uint32_t in_flight;
    _Atomic uint32_t failures_in_a_row;
    _Atomic uint32_t trials; /* running half-open attempts: 0 or 1 */
    _Atomic uint32_t trial_successes;
    _Atomic uint32_t outcomes[INSTANCE_OUTCOME_COUNT]; /* only grow; wrap around */
    _Atomic uint32_t
        idle_limit_ms; /* learned: kept connections die at this age; 0 = unknown */
    _Atomic(const char *)
        tls_problem; /* why TLS with it failed last; static; NULL = it did not */
    /* Of PostgreSQL sessions, in the clear: from clients to it, and from it. */
    _Atomic uint64_t bytes_to;
    _Atomic uint64_t bytes_from;
};

/* A new instance with one reference. NULL when memory is out. */
struct instance *instance_create(const char *id, const struct rc_address *address);

/* One reference more, one less; the last one frees. Both take any thread. */
struct instance *instance_retain(struct instance *instance);
void instance_release(struct instance *instance); /* NULL is allowed */

/* Counts the beginning and the end of one request, connection or session. Between the two
 * the caller must hold a reference. instance_end returns true when control should look
 * at once (a connect failure, or a run of failures as long as `failures_max`). */
void instance_begin(struct instance *instance);

/* The same unless `max` run already: then false, and nothing has begun. Of threads that ask at once
 * no more get in than there is room for. */
bool instance_try_begin(struct instance *instance, uint32_t max);
bool instance_end(struct instance *instance, enum instance_outcome outcome,
                  uint32_t failures_max);

/* Bytes that passed of a session. */
void instance_add_to(struct instance *instance, uint64_t bytes);
void instance_add_from(struct instance *instance, uint64_t bytes);

/* True for outcomes that count against the instance. */
bool instance_outcome_is_failure(enum instance_outcome outcome);
const char *instance_outcome_name(enum instance_outcome outcome); /* "connect_failed" */

#endif
