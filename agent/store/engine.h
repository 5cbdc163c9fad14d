/* engine.h - where the store's truth is kept: etcd's data model, cut to what the rules use.
 *
 * A key has a value, the revisions that created and last changed it, and perhaps a lease that
 * takes the key with it when it ends. One revision counter for all keys; it only grows, over
 * restarts too. Everything is linearizable but what the follower is told, which is complete up
 * to a revision and may lag behind.
 *
 * An engine is asynchronous: each call is answered once, later, from the engine's own turn,
 * never from inside the call. What is passed in is borrowed during the call; what is handed to
 * an answer is borrowed during that. The rules never know which engine it is.
 *
 * Data model: etcd API reference v3 (KV, Lease, Watch). */
#ifndef AGENT_STORE_ENGINE_H
#define AGENT_STORE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pack.h"

enum {
    ENGINE_OPS_MAX = 128,          /* in one branch, and compares, of a transaction */
    ENGINE_BYTES_MAX = 1400 << 10, /* keys and values of a transaction together */
    ENGINE_ERROR_MAX = 256
};

/* What a transaction asks of a key before it acts. An absent key has 0 everywhere.
 * ENGINE_PREFIX_MOD_REVISION: `key` is a prefix, what is asked is the highest mod revision of
 * all keys under it (0: there are none); only with ENGINE_LESS, so that each key can be asked
 * alone (etcd: `range_end`). */
enum engine_target {
    ENGINE_CREATE_REVISION,
    ENGINE_MOD_REVISION,
    ENGINE_LEASE,
    ENGINE_PREFIX_MOD_REVISION
};
enum engine_relation { ENGINE_EQUAL, ENGINE_NOT_EQUAL, ENGINE_LESS, ENGINE_GREATER };

struct engine_compare {
    struct rc_pack_bytes key;
    enum engine_target target;
    enum engine_relation relation;
    uint64_t number;
};

enum engine_verb { ENGINE_PUT, ENGINE_DELETE, ENGINE_DELETE_PREFIX };

/* A key stands at most once in the operations of one branch, prefixes included. */
struct engine_op {
    enum engine_verb verb;
    struct rc_pack_bytes key;   /* of ENGINE_DELETE_PREFIX: the prefix, not empty */
    struct rc_pack_bytes value; /* ENGINE_PUT */
    uint64_t lease;             /* ENGINE_PUT; 0: none. It must live */
};

/* All compares hold: `then` is done, else `otherwise`; all of it or nothing. */
struct engine_txn {
    const struct engine_compare *compares;
    size_t compare_count;
    const struct engine_op *then;
    size_t then_count;
    const struct engine_op *otherwise;
    size_t otherwise_count;
};

/* How a call ended. `err`:
 *   RC_OK        done, and on a majority's disks if it wrote
 *   RC_EAGAIN    not done, and will not be: nobody leads or answers; try again later
 *   RC_EUNKNOWN  may have been done, or may still be: the connection was lost on the way
 *   RC_ENOSPC    not done: no room on disk, or the engine's quota is used up
 *   RC_ENOTFOUND not done: a lease that was named is not there
 *   RC_ETOOBIG, RC_EINVAL, RC_EIO, RC_ENOMEM  not done */
struct engine_answer {
    int err;
    const char *text; /* on an error: one line for people; "" otherwise */
    bool succeeded;   /* of a transaction: the compares held */
    uint64_t
        revision;    /* of the whole store, at the answer's own point in the order; writes
                          that meet in no key may have been done at the same point */
    uint64_t lease;  /* of a grant: its number, never 0 */
    uint64_t ttl_ms; /* of a grant or keepalive: what the lease has from now on */
};

typedef void engine_done(void *context, const struct engine_answer *answer);

/* A key as the follower is told of it. */
struct engine_item {
    struct rc_pack_bytes key;
    struct rc_pack_bytes value;
    uint64_t create_revision;
    uint64_t mod_revision;
    uint64_t lease; /* 0: none */
};

/* Who is told of everything, in order. First and after every gap (compaction, a long absence):
 * `begin`, a `put` for each key there is, `end` with the revision that this is. After that
 * puts and deletes of one revision after the other, each closed by `end`, in one turn of the
 * engine; from `begin` to its `end` may take several. */
struct engine_follower {
    void *context;
    void (*begin)(void *context);
    void (*put)(void *context, const struct engine_item *item);
    void (*removed)(void *context, struct rc_pack_bytes key, uint64_t revision);
    void (*end)(void *context, uint64_t revision);
};

enum { ENGINE_MEMBERS_MAX = 9, ENGINE_NAME_MAX = 64, ENGINE_ADDRESS_MAX = 128 };

struct engine_member {
    char id[ENGINE_NAME_MAX];
    char name[ENGINE_NAME_MAX];
    char address[ENGINE_ADDRESS_MAX];
    bool is_leader;
    bool is_voter;
    bool answers;
};

/* How it stands, for operators and metrics; as of the last time it was looked at. */
struct engine_status {
    const char *kind; /* "sqlite", "etcd", "memory"; static */
    bool has_leader;  /* writes are accepted, as far as is known */
    uint64_t revision;
    uint64_t size_bytes; /* of the database */
    struct engine_member members[ENGINE_MEMBERS_MAX];
    size_t member_count;
    char alarm[ENGINE_ERROR_MAX]; /* what an operator must see, such as a full disk; "" */
};

struct engine;

/* What each engine does. */
struct engine_class {
    void (*txn)(struct engine *engine, const struct engine_txn *txn, engine_done *done,
                void *context);

    /* Answers with a revision that holds all that was acknowledged to anybody before the call:
     * a follower that has reached it reads linearizably. */
    void (*barrier)(struct engine *engine, engine_done *done, void *context);

    /* A lease of `ttl_ms`, rounded up to `lease_step_ms`, at least `lease_min_ms`. When it ends
     * its keys are deleted in one revision. After a restart or a change of leader it may start
     * over: later, never earlier. */
    void (*grant)(struct engine *engine, uint64_t ttl_ms, engine_done *done,
                  void *context);
    void (*keepalive)(struct engine *engine, uint64_t lease, engine_done *done,
                      void *context);
    void (*revoke)(struct engine *engine, uint64_t lease, engine_done *done,
                   void *context);

    /* That `lease` has ended is wanted to be known soon: it is one of few seconds. NULL: it always
     * is. Not answered; harmless twice, and of a lease that is not there. */
    void (*hurry)(struct engine *engine, uint64_t lease);

    /* One follower; set once, before anything else is asked. It is told later, not from inside. */
    void (*follow)(struct engine *engine, const struct engine_follower *follower);

    void (*status)(const struct engine *engine, struct engine_status *out);

    /* Answers all that is open with RC_ECLOSED (RC_EUNKNOWN where it may have been done), frees
     * the engine, then calls `on_closed` (may be NULL). */
    void (*close)(struct engine *engine, void (*on_closed)(void *context), void *context);

    uint64_t lease_step_ms;
    uint64_t lease_min_ms;

    /* Nobody else writes: what the follower was told is never older than this turn. */
    bool is_own;
};

/* The head of every engine. */
struct engine {
    const struct engine_class *class;
};

/* Each calls what the class has. */
static inline void engine_txn(struct engine *engine, const struct engine_txn *txn,
                              engine_done *done, void *context)
{
    engine->class->txn(engine, txn, done, context);
}
static inline void engine_barrier(struct engine *engine, engine_done *done, void *context)
{
    engine->class->barrier(engine, done, context);
}
static inline void engine_grant(struct engine *engine, uint64_t ttl_ms, engine_done *done,
                                void *context)
{
    engine->class->grant(engine, ttl_ms, done, context);
}
static inline void engine_keepalive(struct engine *engine, uint64_t lease,
                                    engine_done *done, void *context)
{
    engine->class->keepalive(engine, lease, done, context);
}
static inline void engine_revoke(struct engine *engine, uint64_t lease, engine_done *done,
                                 void *context)
{
    engine->class->revoke(engine, lease, done, context);
}
static inline void engine_hurry(struct engine *engine, uint64_t lease)
{
    if (engine->class->hurry != NULL) {
        engine->class->hurry(engine, lease);
    }
}
static inline void engine_follow(struct engine *engine,
                                 const struct engine_follower *follower)
{
    engine->class->follow(engine, follower);
}

#endif
