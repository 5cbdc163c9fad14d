/* store_state.h - what a store is made of: the mirror by tables, requests by state. */
#ifndef AGENT_STORE_STORE_STATE_H
#define AGENT_STORE_STORE_STATE_H

#include "agent/store/mirror.h"
#include "agent/store/store.h"
#include "agent/store/store_record.h"

/* Behind store.h's tables: the rules' own. */
enum { TABLE_HELD = STORE_TABLE_COUNT, TABLE_REQUESTS, TABLE_COUNT };

/* The key of that mark, in no table. */
#define STORE_RESTORING "restoring"

enum {
    REQUEST_MAX_MS = 8000, /* then it is answered, whatever the engine does */
    SWEEP_EVERY_MS = 250,
    RETRY_AFTER_MS = 50,
    TRIES_MAX = 32,
    REQUEST_LEASE_MS = 120000, /* an outcome is remembered for half of that or more */
    FRESH_EVERY_MS = 1000,     /* a barrier, when nobody else asked for one */
    TOMBSTONES_MAX = 4096,
    TTL_MIN_MS = 1000
};

/* Of what goes by itself: a token may live for ten years. */
#define TTL_MAX_MS (10ULL * 366 * 24 * 3600 * 1000)

/* Where a request stands; each state has a list. */
enum request_state {
    REQUEST_NEW, /* made while the store was answering, or its answer is there at once */
    REQUEST_WAITS, /* for the mirror: a revision, a load, a key that is unsettled */
    REQUEST_NEXT_BARRIER,   /* for the barrier behind the one that is under way */
    REQUEST_BARRIER,        /* for the one under way */
    REQUEST_NEEDS_REMEMBER, /* for the lease of outcomes */
    REQUEST_ASKS,           /* the engine was asked for a lease or a transaction */
    REQUEST_LATER,          /* tries again in a while */
    REQUEST_STATE_COUNT
};

enum request_kind {
    REQUEST_OPS,
    REQUEST_SESSION, /* one operation: the session to be made */
    REQUEST_RENEWAL,
    REQUEST_SETTLEMENT /* of reads */
};

struct request_op {
    struct store_op op;
    uint64_t lease; /* its own, when it goes by itself */
    uint64_t
        old_lease; /* that the key had by itself until now: without a use after that */
};

struct store_request {
    struct store_request *next;
    struct store_request *previous;
    struct store *store;
    store_done *done; /* NULL: answered already, the engine has yet to answer us */
    void *context;
    enum request_state state;
    enum request_kind kind;
    uint64_t deadline_ms;
    uint64_t retry_at_ms;
    uint64_t need_revision; /* the mirror must have it first */
    uint64_t
        fresh_revision; /* was the engine's at a moment after the call; 0: none known */
    unsigned tries;
    bool is_starting; /* its caller still waits for the call to return */
    bool has_id;
    bool writes;
    bool was_unknown; /* it may have happened */
    bool is_kept;     /* a renewal: the lease goes on, does the session? */
    uint64_t kept_lease;
    uint8_t id[STORE_REQUEST_SIZE];
    uint64_t print; /* of what it asks for: another request must not come under its id */
    bool is_stale;  /* reads what the mirror has, whatever its age */
    bool is_granting; /* while it asks: for a lease, which writes nothing */
    size_t granting;  /* the operation whose lease was asked for */
    uint8_t *kept;    /* the outcome, should the transaction succeed: an outcome record */
    size_t kept_size;
    size_t count;
    struct request_op ops[]; /* their bytes behind them */
};

struct request_list {
    struct store_request *first;
    struct store_request *last;
};

struct store {
    struct engine *engine;
    struct store_listener listener;
    uint64_t now_ms;
    uint64_t revision;       /* the mirror is complete up to it */
    uint64_t fresh_as_of_ms; /* when the mirror was last known to be complete */
    bool is_loaded;
    bool is_broken; /* memory was out while it was told */
    bool is_reloading;
    bool is_restoring;       /* the mark of a restore is there */
    bool incoming_restoring; /* from `begin` to its `end` */
    char restored_by[STORE_BY_SIZE];
    struct mirror *tables[TABLE_COUNT];
    struct mirror *incoming[TABLE_COUNT]; /* from `begin` to its `end` */
    struct mirror *holds;                 /* "<session>/<key>" of all held keys */
    struct mirror *touched; /* keys to be looked at when the revision is complete */
    struct mirror
        *unsettled; /* key: mod_revision since when, create_revision 1 while asked
                               * for, lease: not before this time */
    struct mirror
        *delays; /* key: create_revision is when it is over, 0 not yet counted */
    struct rc_buffer changes; /* of the revision that is being told */
    struct rc_buffer scratch;
    bool has_uncounted_delays;
    uint64_t next_delay_ms;
    uint64_t next_settle_ms;
    struct request_list requests[REQUEST_STATE_COUNT];
    uint64_t next_sweep_ms;
    uint64_t next_retry_ms;
    bool has_barrier;
    uint64_t barrier_sent_ms;
    uint64_t barrier_revision; /* of the last one, not yet reached; 0: none */
    uint64_t barrier_as_of_ms;
    uint64_t remember_lease;
    uint64_t remember_since_ms;
    bool asks_remember;
    bool is_closed;    /* the engine has said so */
    bool is_answering; /* a caller is being told: the plan's scratch is in use */
    uint64_t records_refused;
    struct session_slots *slots;
    struct store_plan *plan; /* scratch of the one request that is being planned */
};

/* ---- store.c */

/* What the engine's keys of a table start with. */
const char *store_table_prefix(unsigned table);
/* Time goes on, never back. */
void store_hear(struct store *store, uint64_t now_ms);

/* ---- store_follow.c */
void follow_begin(void *context);
void follow_put(void *context, const struct engine_item *item);
void follow_removed(void *context, struct rc_pack_bytes key, uint64_t revision);
void follow_end(void *context, uint64_t revision);

/* ---- store_settle.c: locks whose session has ended, and delays. */
/* A held record came or went; `old` and `now` may be NULL. */
void settle_held(struct store *store, struct rc_pack_bytes key,
                 const struct engine_item *old, const struct engine_item *now);
void settle_touch(struct store *store, struct rc_pack_bytes key);
void settle_touch_session(struct store *store, const char *session);
/* The revision is complete: looks at what was touched, asks the engine to settle. */
void settle_look(struct store *store);
void settle_rebuild(struct store *store);
void settle_tick(struct store *store);
uint64_t settle_deadline_ms(const struct store *store);
bool settle_is_pending(const struct store *store, struct rc_pack_bytes key);
/* Whether a key that the operation looks at had to be settled at `revision` and is not. */
bool settle_is_behind(const struct store *store, const struct store_op *op,
                      uint64_t revision);
/* The delay of the key runs. */
bool settle_delays(const struct store *store, struct rc_pack_bytes key);

/* ---- store_request.c and store_time.c */
/* Goes on with all that waited for the mirror. */
void request_wake(struct store *store);
void request_tick(struct store *store);
uint64_t request_deadline_ms(const struct store *store);
/* The store goes: whatever is left is answered. */
void request_end_all(struct store *store);

/* ---- store_read.c */
bool read_held(const struct store *store, struct rc_pack_bytes key,
               struct held_record *out, uint64_t *mod_revision);
/* The session lives, as far as the mirror knows. */
bool read_lives(const struct store *store, const struct held_record *held);

#endif
