/* store.h - what must be true for everyone at once: Consul's rules over an engine.
 *
 * Keys, sessions, locks and documents (prepared queries, tokens, policies). The engine keeps
 * the truth; this keeps the rules, and a mirror of all keys that the engine's follower feeds,
 * from which every read is answered. A read that must be linearizable first waits for
 * a barrier (store_settle()), a stale one does not leave the process. A write is a plan made
 * from the mirror, whose compares the engine checks; when they fail the mirror catches up and
 * the plan is made again.
 *
 * Pure: time and engine answers in, calls of `done` and of the listener out. No call answers
 * from inside itself.
 *
 * Rules: consul-api sections 8-10 of the HTTP API's documentation (KV, session, txn). */
#ifndef AGENT_STORE_STORE_H
#define AGENT_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/store/engine.h"
#include "base/pack.h"

enum {
    STORE_OPS_MAX = 64,
    STORE_VALUE_MAX = 512 << 10,
    STORE_KEY_MAX = 4096,
    STORE_ID_SIZE = 37, /* a UUID's text and its NUL */
    STORE_NAME_MAX = 256,
    STORE_SESSION_CHECKS_MAX = 32,
    STORE_TTL_MAX_MS = 24 * 3600 * 1000, /* of a session */
    STORE_TEXT_MAX = 512,
    STORE_BY_SIZE = 80
};

struct store;

/* What there is, by table; a key's name starts behind the table's own prefix. */
enum store_table {
    STORE_KV,
    STORE_SESSIONS, /* by id */
    STORE_QUERIES,  /* documents: JSON texts of their owner, by id */
    STORE_TOKENS,
    STORE_POLICIES,
    STORE_ROLES,
    STORE_SETTINGS, /* documents: the bootstrap of tokens, autopilot's settings */
    STORE_TABLE_COUNT
};

/* A key as it stands; all borrowed until the store is next called with something that writes
 * or with an engine's answer. */
struct store_pair {
    struct rc_pack_bytes key; /* without the table's prefix */
    struct rc_pack_bytes value;
    uint64_t flags;
    uint64_t lock_index;
    uint64_t create_index;
    uint64_t modify_index;
    uint64_t term;       /* of its lock: grows with every new holder; 0: not locked */
    const char *session; /* that holds it; NULL: nobody */
};

enum store_behavior { STORE_RELEASE, STORE_DELETE };

struct store_session {
    char id[STORE_ID_SIZE];
    char name[STORE_NAME_MAX];
    char node[STORE_NAME_MAX];
    uint64_t lock_delay_ms;
    enum store_behavior behavior;
    uint64_t ttl_ms;                /* 0: none, it ends with its node or checks */
    char ttl_text[32];              /* as it was given; "" */
    const char *const *node_checks; /* ids */
    size_t node_check_count;
    const char *const *service_checks;
    size_t service_check_count;
    uint64_t create_index;
    uint64_t modify_index;
};

/* One operation. A write of the API is one alone; /v1/txn has up to STORE_OPS_MAX. */
enum store_verb {
    STORE_SET,
    STORE_CAS,    /* `index`; 0: only if it is not there */
    STORE_LOCK,   /* acquire by `session` */
    STORE_UNLOCK, /* release by `session` */
    STORE_DELETE_KEY,
    STORE_DELETE_CAS,
    STORE_DELETE_TREE,
    STORE_GET, /* fails if it is not there */
    STORE_GET_OR_EMPTY,
    STORE_GET_TREE,
    STORE_CHECK_INDEX,
    STORE_CHECK_SESSION,
    STORE_CHECK_NOT_EXISTS,
    STORE_END_SESSION,    /* `key` is its id */
    STORE_RETIME_SESSION, /* only by store_retime_session() */
    STORE_VERB_COUNT
};

struct store_op {
    enum store_verb verb;
    enum store_table table; /* STORE_KV, or a table of documents for the first two and the
                             * deletes; documents have neither flags nor locks */
    struct rc_pack_bytes key;
    struct rc_pack_bytes value;
    uint64_t flags;
    uint64_t index;
    const char *session; /* its id */
    uint64_t ttl_ms;     /* the first two: it goes by itself after that; 0: it stays */
};

struct store_failure {
    size_t op;        /* which */
    const char *what; /* Consul's words, such as `key "x" doesn't exist` */
};

struct store_result {
    size_t op;
    struct store_pair pair; /* without a value for writes */
};

/* What became of a write; borrowed during the call.
 *
 * err RC_OK: it was decided. `succeeded` false: nothing was written (a lock that is held, an
 * index that is stale); `failures` says why, by operation.
 * Else: `text` is what the client is told. RC_EINVAL: it makes no sense (an unknown session).
 * RC_EUNKNOWN: it may have happened; the same `request` asked again finds out. */
struct store_outcome {
    int err;
    const char *text;
    bool succeeded;
    uint64_t revision; /* that has it */
    uint64_t term;     /* of a lock that was taken or is held; 0: none */
    const struct store_failure *failures;
    size_t failure_count;
    const struct store_result *results;
    size_t result_count;
};

typedef void store_done(void *context, const struct store_outcome *outcome);

/* A request that must happen once though it may be sent again: its id, 16 random bytes.
 * NULL: the caller does not send it again. Remembered for at least a minute; what else comes
 * under the same id meanwhile is not done: RC_ECONFLICT (documents are not told apart). */
enum { STORE_REQUEST_SIZE = 16 };

/* Tells of what changed, in order of revisions, from inside store_... calls of the engine;
 * must not call the store but to read. */
struct store_listener {
    void *context;
    void (*changed)(void *context, enum store_table table, struct rc_pack_bytes key,
                    uint64_t index);
    void (*reloaded)(void *context); /* everything may have changed: after a gap */
    void (*session_ended)(void *context, const char *id);
    void (*reached)(void *context); /* a barrier was passed, or failed: ask again */
};

struct store_options {
    struct engine *engine; /* borrowed; not yet asked for anything */
    struct store_listener listener;
    uint64_t now_ms;
};

/* NULL when memory is out. Follows the engine from then on. */
struct store *store_create(const struct store_options *options);

/* Only after the engine was closed and has said so: it answers all that is open, and by that
 * the store's own requests are answered (RC_ECLOSED, RC_EUNKNOWN). NULL is allowed. */
void store_destroy(struct store *store);

/* Time: lock-delays that are over, requests that take too long, leases of its own. The store
 * has no other clock than the `now_ms` it was last given: ask for the deadline anew after each
 * call and after each turn of the engine. 0: at once. */
uint64_t store_deadline_ms(const struct store *store); /* UINT64_MAX: none */
void store_tick(struct store *store, uint64_t now_ms);

/* ---- writing */

/* Does `count` (1..STORE_OPS_MAX) operations, all or none. Everything passed in is copied.
 * RC_OK: `done` is called later, once. RC_ETOOBIG, RC_EINVAL, RC_ENOMEM: it is not. */
int store_submit(struct store *store, uint64_t now_ms, const struct store_op *ops,
                 size_t count, const uint8_t *request, store_done *done, void *context);

/* The same for operations that only read, of what the mirror has: however old that is. RC_EINVAL
 * for one that writes. */
int store_look(struct store *store, uint64_t now_ms, const struct store_op *ops,
               size_t count, store_done *done, void *context);

/* Makes a session; `session->id` is chosen by the caller (a random UUID). */
int store_create_session(struct store *store, uint64_t now_ms,
                         const struct store_session *session, const uint8_t *request,
                         store_done *done, void *context);

struct store_retime {
    const char *id;
    uint64_t ttl_ms;
    const char *ttl_text;
    uint64_t index;
};

/* Renews one. The outcome is RC_ENOTFOUND when it is not there (any more). */
int store_renew_session(struct store *store, uint64_t now_ms, const char *id,
                        store_done *done, void *context);

/* Gives one the time to live `ttl_ms` (shown as `ttl_text`) from now on, and with it all that goes
 * with it, if its modify index still is `index`; its locks keep their terms. RC_OK in the outcome:
 * nobody can renew the time it had before any more, so its end is counted by the new one only.
 * RC_ECONFLICT: it has another index; RC_ENOTFOUND; RC_EUNKNOWN: either time may count.
 * Returns as store_submit(). */
int store_retime_session(struct store *store, uint64_t now_ms,
                         const struct store_retime *retime, store_done *done,
                         void *context);

/* ---- reading: from the mirror. */

enum store_consistency { STORE_CONSISTENT, STORE_STALE };

/* What a read looks at: one name of a table, or all that begin so. */
enum store_reach { STORE_ONE, STORE_UNDER };

struct store_view {
    enum store_table table;
    enum store_reach reach;
    struct rc_pack_bytes name;
};

/* Takes part in the next barrier: `done` is called with RC_OK when reads of `view` (copied) from
 * then on see everything that was acknowledged before this call, else with the engine's error.
 * Keys whose lock ended with its session are waited for until that is written down: only those
 * in the view, and with NULL, for reads of all but keys, none. */
int store_settle(struct store *store, uint64_t now_ms, const struct store_view *view,
                 store_done *done, void *context);

/* Whether the mirror is there at all, how old it may be (ms since the engine was last heard
 * of), and whether the engine's leader is known. */
struct store_freshness {
    bool is_loaded;
    uint64_t age_ms;
    bool knows_leader;
};
/* Whether the mirror is there: until then all tables are empty. */
bool store_is_loaded(const struct store *store);
/* A restore is under way, or was cut short: nothing may be read, nothing is written. */
bool store_is_restoring(const struct store *store);
/* What whoever began it wrote about himself; "" too when there is none. */
const char *store_restored_by(const struct store *store);

struct store_freshness store_freshness(const struct store *store, uint64_t now_ms);

/* False when there is no such key. */
bool store_read(const struct store *store, enum store_table table,
                struct rc_pack_bytes key, struct store_pair *out);

/* The first pair behind `after` (nil: the first at all) whose key starts with `prefix`, in
 * order of bytes. False at the end. */
bool store_next(const struct store *store, enum store_table table,
                struct rc_pack_bytes prefix, struct rc_pack_bytes after,
                struct store_pair *out);

/* What X-Consul-Index says: of a key (also one that is not there), of all under a prefix,
 * deletions included; never 0, never falls while the process lives. */
uint64_t store_key_index(const struct store *store, enum store_table table,
                         struct rc_pack_bytes key);
uint64_t store_prefix_index(const struct store *store, enum store_table table,
                            struct rc_pack_bytes prefix);

/* False when there is no such session. `out` is borrowed like a pair. */
bool store_read_session(const struct store *store, const char *id,
                        struct store_session *out);
bool store_next_session(const struct store *store, const char *after,
                        struct store_session *out);

#endif
