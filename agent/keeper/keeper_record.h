/* keeper_record.h - what the nodes of a PostgreSQL cluster write for each other to read.
 *
 * The records under rollcall/pg/<cluster>/ as structs, their JSON texts, and all of them
 * together as one view. Who writes which, and when, is told in keeper.h. Pure.
 *
 * In JSON a WAL position is PostgreSQL's own "16/B374D848" and a system identifier is decimal
 * text, as it has 64 bits. Reading is lenient: what is missing or of the wrong type has the zero
 * of its field, what is unknown is passed over; only what is no JSON object is refused. Texts
 * that are too long are cut. */
#ifndef AGENT_KEEPER_KEEPER_RECORD_H
#define AGENT_KEEPER_KEEPER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    KEEPER_NODE_MAX = 64, /* bytes of a node's name, its NUL with it */
    KEEPER_ADDRESS_MAX = 64,
    KEEPER_SESSION_MAX = 40, /* a UUID's text and its NUL */
    KEEPER_SYSID_MAX = 24,
    KEEPER_TEXT_MAX = 160,
    KEEPER_MEMBERS_MAX = 16,
    KEEPER_HISTORY_MAX = 200,
    KEEPER_KEY_MAX = 80, /* of a record's key behind the cluster's prefix */
    KEEPER_QUORUM_NEVER = -1,
};

/* How writes are confirmed. KEEPER_ASYNC: by the primary alone. KEEPER_SYNC: by a standby too,
 * by nobody else while there is none. KEEPER_STRICT: by a standby always. */
enum keeper_mode { KEEPER_ASYNC, KEEPER_SYNC, KEEPER_STRICT, KEEPER_MODE_COUNT };

/* `lease`: locked by the primary's session; the lock's term is the cluster's term. */
struct keeper_lease_record {
    char node[KEEPER_NODE_MAX];
    char address[KEEPER_ADDRESS_MAX];
    uint16_t port;
    bool writable;     /* promoted, open to clients */
    uint64_t ttl_ms;   /* how long after its end the holder may be believed: ttl */
    uint64_t since_ms; /* wall time */
};

/* `state`: what an election must know of the last holder. */
struct keeper_state_record {
    char sysid[KEEPER_SYSID_MAX]; /* "": being initialised by `node` */
    uint64_t term;              /* of the last lease whose holder said so; 0: none yet */
    char node[KEEPER_NODE_MAX]; /* who last took the lease */
    uint32_t claimed;           /* the highest timeline a candidate has claimed */
    uint32_t tli;               /* of `lsn` */
    uint64_t lsn;               /* flushed by the last holder that opened, as last told */
    bool clean;    /* that one stopped cleanly, and its last position is `lsn` */
    bool released; /* given back after its end was seen, clean or not */
    char reason[KEEPER_TEXT_MAX];
    uint64_t at_ms; /* wall time */
};

/* `sync`: whose confirmations counted. Every set that could acknowledge a write of `term` is
 * `holder` with some of `members`, and every `quorum` of `members` meets each such set. */
struct keeper_sync_record {
    uint64_t
        term; /* of the holder that wrote it. While the lease's term is another its holder
                    * has not opened: nothing was acknowledged under that lease */
    char holder[KEEPER_NODE_MAX];
    char members[KEEPER_MEMBERS_MAX][KEEPER_NODE_MAX]; /* M, in order of names */
    size_t member_count;
    int quorum; /* q; KEEPER_QUORUM_NEVER: nobody but the holder; 0: anybody (async) */
    int k;      /* confirmations asked now, of `names` */
    char names[KEEPER_MEMBERS_MAX][KEEPER_NODE_MAX]; /* N, in synchronous_standby_names */
    size_t name_count;
    enum keeper_mode mode;
};

/* The states of a keeper: postgres-failover section 3, and KEEPER_STOPPED by an order. */
enum keeper_state {
    KEEPER_INIT,
    KEEPER_STANDBY,
    KEEPER_ELECTING,
    KEEPER_PROMOTING,
    KEEPER_PRIMARY,
    KEEPER_DEMOTING,
    KEEPER_REJOINING,
    KEEPER_FENCED,
    KEEPER_STOPPED,
    KEEPER_STATE_COUNT
};

/* `member/<node>`: locked by the keeper's session, so it goes with the keeper. */
struct keeper_member_record {
    enum keeper_state state;
    char role[16]; /* "primary", "standby" or "" (PostgreSQL does not run) */
    char address[KEEPER_ADDRESS_MAX];
    uint16_t port;
    bool is_streaming;
    bool ro_ok;
    bool no_failover;
    bool cannot_write; /* its disk takes nothing: not to be promoted either */
    bool gives_way;    /* it ended too often where it is: others need not wait for it */
    bool no_sync;
    unsigned priority;
    uint32_t tli;
    uint64_t lsn;
    uint64_t replay_lsn;
    uint64_t lag_bytes;
    uint64_t lag_ms;
    uint64_t frozen; /* the promise: receives nothing from holders up to this term */
    char upstream[KEEPER_NODE_MAX]; /* whom it receives from */
    char sysid[KEEPER_SYSID_MAX];
    char postmaster_since[32];
    char problem[KEEPER_TEXT_MAX];  /* what an operator must see; "" */
    char progress[KEEPER_TEXT_MAX]; /* of a rewind, a copy, a replay; "" */
    char version[32];
};

/* `settings`: operators' wishes; what is absent is as the agents are configured. */
struct keeper_settings_record {
    bool has_mode;
    enum keeper_mode mode;
    bool paused;
    uint64_t max_lag_bytes; /* 0: as configured */
    unsigned k;             /* confirmations wanted; 0: 1 */
};

/* `intent`: ended by a keeper, which says in the history what became of it. */
enum keeper_intent_kind { KEEPER_NO_INTENT, KEEPER_SWITCHOVER, KEEPER_FAILOVER };

struct keeper_intent_record {
    char id[KEEPER_SESSION_MAX];
    enum keeper_intent_kind kind;
    char from[KEEPER_NODE_MAX]; /* "": whoever it is */
    char to[KEEPER_NODE_MAX];   /* "": the best */
    bool accept_loss;
    uint64_t at_ms;  /* wall time */
    uint64_t due_ms; /* wall time; 0: at once. Not looked at before */
};

/* `order/<node>`. Stop and fence stand, marked `done`, until another order replaces them; all
 * others are deleted when they are done. */
enum keeper_order_kind {
    KEEPER_NO_ORDER,
    KEEPER_ORDER_REINIT,
    KEEPER_ORDER_RESTART,
    KEEPER_ORDER_RELOAD,
    KEEPER_ORDER_STOP,
    KEEPER_ORDER_START,
    KEEPER_ORDER_FENCE,
    KEEPER_ORDER_UNFENCE,
    KEEPER_ORDER_COUNT
};

struct keeper_order_record {
    char id[KEEPER_SESSION_MAX];
    enum keeper_order_kind kind;
    bool done;
    uint64_t at_ms; /* wall time */
};

/* `history`: one entry of the array; the newest last. */
struct keeper_history_entry {
    uint64_t term;
    char node[KEEPER_NODE_MAX];
    char from[KEEPER_NODE_MAX];
    char reason[KEEPER_TEXT_MAX];
    uint32_t tli;
    uint64_t lsn;
    uint64_t at_ms;   /* wall time */
    uint64_t took_ms; /* from the lease found free to writable */
};

/* ---- one record: its text and back. The writers append to `out`, whose error sticks. The
 * readers zero `out` first and return RC_OK or RC_EMALFORMED (then it is all zero). */

void keeper_lease_write(const struct keeper_lease_record *record, struct rc_buffer *out);
int keeper_lease_read(const char *text, size_t size, struct keeper_lease_record *out);
void keeper_state_write(const struct keeper_state_record *record, struct rc_buffer *out);
int keeper_state_read(const char *text, size_t size, struct keeper_state_record *out);
void keeper_sync_write(const struct keeper_sync_record *record, struct rc_buffer *out);
int keeper_sync_read(const char *text, size_t size, struct keeper_sync_record *out);
void keeper_member_write(const struct keeper_member_record *record,
                         struct rc_buffer *out);
int keeper_member_read(const char *text, size_t size, struct keeper_member_record *out);
void keeper_settings_write(const struct keeper_settings_record *record,
                           struct rc_buffer *out);
int keeper_settings_read(const char *text, size_t size,
                         struct keeper_settings_record *out);
void keeper_intent_write(const struct keeper_intent_record *record,
                         struct rc_buffer *out);
int keeper_intent_read(const char *text, size_t size, struct keeper_intent_record *out);
void keeper_order_write(const struct keeper_order_record *record, struct rc_buffer *out);
int keeper_order_read(const char *text, size_t size, struct keeper_order_record *out);

/* The history with `entry` behind it, the oldest left out beyond KEEPER_HISTORY_MAX. `text` may
 * be empty (there is none yet) and is begun anew when it is no array. */
void keeper_history_add(const char *text, size_t size,
                        const struct keeper_history_entry *entry, struct rc_buffer *out);

/* The newest entries, at most `max`, oldest first. RC_OK or RC_EMALFORMED (`*count` 0). */
int keeper_history_read(const char *text, size_t size, struct keeper_history_entry *out,
                        size_t max, size_t *count);

/* ---- words */
const char *keeper_mode_word(enum keeper_mode mode);    /* "async", "sync", "strict" */
const char *keeper_state_word(enum keeper_state state); /* "init", "standby", ... */
const char *keeper_intent_word(enum keeper_intent_kind kind);
const char *keeper_order_word(enum keeper_order_kind kind);
/* RC_OK or RC_EINVAL. */
int keeper_mode_from_word(const char *word, enum keeper_mode *out);
int keeper_intent_from_word(const char *word, enum keeper_intent_kind *out);
int keeper_order_from_word(const char *word, enum keeper_order_kind *out);

/* "16/B374D848", PostgreSQL's pg_lsn; 32 bytes suffice. RC_OK or RC_EMALFORMED. */
void keeper_lsn_show(uint64_t lsn, char space[32]);
int keeper_lsn_read(const char *text, uint64_t *out);

/* ---- all of them */

/* Where a record stands in the store. */
struct keeper_place {
    bool exists;
    uint64_t index;                   /* ModifyIndex; 0: it is not there */
    char session[KEEPER_SESSION_MAX]; /* that holds its lock; "": nobody */
    uint64_t term;                    /* of the lock; 0: nobody holds it */
};

struct keeper_seat { /* of a member, in order of names */
    char node[KEEPER_NODE_MAX];
    struct keeper_place place; /* alive while it is locked */
    struct keeper_member_record record;
};

struct keeper_view {
    uint64_t
        asked_ms; /* BOOTTIME, before the read was sent: it is true of a moment since then */
    uint64_t index; /* X-Consul-Index */
    struct keeper_place lease_at;
    struct keeper_lease_record lease;
    struct keeper_place state_at;
    struct keeper_state_record state;
    struct keeper_place sync_at;
    struct keeper_sync_record sync;
    struct keeper_place settings_at;
    struct keeper_settings_record settings;
    struct keeper_place intent_at;
    struct keeper_intent_record intent;
    struct keeper_place history_at;
    struct rc_buffer history; /* its text; owned by the view */
    struct keeper_seat seats[KEEPER_MEMBERS_MAX];
    size_t seat_count;
    char me[KEEPER_NODE_MAX]; /* whose order is read */
    struct keeper_place order_at;
    struct keeper_order_record order;
};

/* One pair of a recursive read. All borrowed during the call. */
struct keeper_pair {
    const char *key; /* behind the cluster's prefix: "lease", "member/db1" */
    const char *value;
    size_t size;
    uint64_t modify_index;
    const char *session; /* NULL or "": not locked */
    uint64_t term;
};

/* An empty view for the keeper of node `me` (may be ""). */
void keeper_view_init(struct keeper_view *view, const char *me);
void keeper_view_fini(struct keeper_view *view);
/* Empties it for the next read. */
void keeper_view_clear(struct keeper_view *view);

/* Adds one pair. RC_OK; RC_EMALFORMED (the record is there but empty); RC_ETOOBIG: more members
 * than KEEPER_MEMBERS_MAX; RC_ENOTFOUND: a key that is none of ours. */
int keeper_view_add(struct keeper_view *view, const struct keeper_pair *pair);

/* The seat of `node`, or NULL. Borrowed. */
const struct keeper_seat *keeper_view_seat(const struct keeper_view *view,
                                           const char *node);

/* Deep copy, history with it. RC_OK or RC_ENOMEM. */
int keeper_view_copy(struct keeper_view *to, const struct keeper_view *from);

#endif
