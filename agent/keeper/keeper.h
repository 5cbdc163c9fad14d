/* keeper.h - which node's PostgreSQL may be written, decided on each node by itself.
 *
 * A state machine: what was seen comes in, what is to be done goes out. No socket, clock, file or
 * log. All of `now_ms` is CLOCK_BOOTTIME in milliseconds of one node and never falls; wall time is
 * given apart and only shown. Each node has one keeper per cluster. Source: the design page
 * postgres-failover, sections 3-10 (S1-S5: section 6).
 *
 * Why two nodes are never written at once
 *   A keeper's session lives in the store for `ttl` after a renewal was applied there; the lease
 *   goes with it. Let t be our clock before a renewal was sent whose answer came. The store's
 *   count starts after t, so the lease is another's at t + ttl at the earliest. The warden,
 *   another process, kills PostgreSQL at H = t + ttl - g by itself, g = max(500 ms, 15 % of ttl);
 *   H is with it before PostgreSQL is promoted. The keeper kills a little before that, when
 *   S = H - g/4 passes without a newer answer: nothing below needs S, and what a store that only
 *   stalls has until then is not taken from it. With clock rates that differ by no more than eps and a kill
 *   that takes no longer than k, eps * ttl + k < g leaves no overlap: at ttl 3 s 5 % and 350 ms.
 *   The store may count from later (its restart, another leader), never from earlier. Steps and
 *   offsets of clocks do not matter: only differences of one node's BOOTTIME are used.
 *   What no deadline sees: a machine whose clock stands still with it (a paused guest).
 *
 * Without the store (store_loss "hold")
 *   Nobody answers renewals, and nobody can be promoted either, but it may only be we who are
 *   cut off. So each member is asked straight to promise that it does not take over for 2 ttl
 *   from when it was asked. With the promises of all, a round that was sent at t counts as a
 *   renewal that was sent at t: H < t + ttl, and the promises last until t + 2 ttl at least. Who
 *   could be elected meanwhile is a member of `sync` as we were the last to write it, for certain
 *   (no write of it is under way or unsure), and all those are asked; others have no right to the
 *   lease but by an operator who accepts loss, so never in mode async, where anybody may have it.
 *   A member gives no promise while it stands, has frozen for our term, holds or may have asked
 *   for the lease; and who has promised neither stands nor goes on with a lease. It forgets with
 *   its agent: so for 2 ttl from its start it behaves as if it had promised. A promise is void
 *   once the holder has given the lease back, which it does only after PostgreSQL is dead.
 *
 * Why nothing that was acknowledged is lost in sync and strict, whatever the clocks say
 *   `sync` names M and q so that every set that can acknowledge meets every set that can elect,
 *   at every step of every change (quorum.h). A candidate needs q members of M that are frozen:
 *   detached from any holder up to the last term, which leaves too few to acknowledge, and it
 *   must have as much WAL as each of those q. A new holder's commits are blocked
 *   (KEEPER_BLOCKED_NAMES) until it has written `sync` under its own term: until then the record
 *   of the term before it holds, so a candidate that dies on its way leaves others electable.
 *   Timelines are claimed in `state` when the lease is taken, each once, so a higher one holds all
 *   that was acknowledged on lower ones; a promotion that ends on another is fenced.
 *
 * Every action has an id. It may be lost, done late, or answered twice: an answer to an id that is
 * no longer waited for changes nothing, and what is not answered in its time is taken as "may have
 * been done". Hands' orders are carried out one after the other in the order given; only
 * KEEPER_KILL, KEEPER_ARM and KEEPER_DISARM overtake, and a kill ends what is under way. */
#ifndef AGENT_KEEPER_KEEPER_H
#define AGENT_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/keeper/keeper_record.h"
#include "agent/keeper/quorum.h"

enum {
    KEEPER_SSN_MAX = 2048,
    KEEPER_OPS_MAX = 8,
    KEEPER_SENDERS_MAX = 32,
    KEEPER_FORKS_MAX = 64,
    KEEPER_TAGS_MAX = 4,
};

/* synchronous_standby_names that nobody satisfies: commits wait. */
#define KEEPER_BLOCKED_NAMES "ANY 1 (\"rollcall:not-open\")"

enum keeper_store_loss { KEEPER_LOSS_FENCE, KEEPER_LOSS_HOLD };

/* All texts are copied. */
struct keeper_options {
    const char *cluster;
    const char *node;
    const char *address;  /* of PostgreSQL */
    const char *upstream; /* a node to receive from instead of the primary; NULL */
    const char
        *session;    /* that this node's keeper had before, from the agent's file; NULL */
    uint64_t ttl_ms; /* >= 2000 */
    uint64_t renew_ms; /* R; <= ttl / 8 */
    uint64_t max_lag_bytes;
    uint64_t restart_budget_ms;
    uint64_t probe_fail_ms;
    enum keeper_mode mode;
    enum keeper_store_loss store_loss; /* the same on all members */
    unsigned priority;                 /* higher is preferred among equals */
    unsigned restart_attempts;
    uint16_t port;
    bool no_failover; /* never a candidate but by hand */
    bool no_sync;     /* never in synchronous_standby_names */
    bool auto_rebuild;
    bool initialize; /* may make a cluster where there is none */
};

struct keeper;

/* RC_OK: `*out` is the caller's. RC_EINVAL: `*why` is a line for people, static. RC_ENOMEM. */
int keeper_create(const struct keeper_options *options, uint64_t now_ms,
                  struct keeper **out, const char **why);
void keeper_destroy(struct keeper *k); /* NULL is allowed */

/* Goes on with another mode, priority, no_failover, no_sync, max_lag_bytes, auto_rebuild,
 * restart_attempts, restart_budget_ms and probe_fail_ms; nothing else of `options` is looked at. */
void keeper_change(struct keeper *k, const struct keeper_options *options);

/* ---- what was seen */

/* Time, and wall time in ms since 1970. Due at keeper_deadline_ms() at the latest. */
void keeper_tick(struct keeper *k, uint64_t now_ms, uint64_t wall_ms);
uint64_t keeper_deadline_ms(const struct keeper *k);

/* All records, as read with the default consistency or better; copied. */
void keeper_see_view(struct keeper *k, uint64_t now_ms, const struct keeper_view *view);

/* How a request of the store ended.
 *   KEEPER_DONE     done
 *   KEEPER_REFUSED  decided, nothing written: a compare failed, a lock is another's
 *   KEEPER_GONE     there is no such session (any more), so also for a lock by it
 *   KEEPER_FAILED   not done and will not be
 *   KEEPER_UNKNOWN  may have been done, or may still be */
enum keeper_end {
    KEEPER_DONE,
    KEEPER_REFUSED,
    KEEPER_GONE,
    KEEPER_FAILED,
    KEEPER_UNKNOWN
};

struct keeper_answer {
    uint64_t id; /* of the action */
    enum keeper_end end;
    const char *session; /* KEEPER_OPEN_SESSION: its id */
    uint64_t term;       /* KEEPER_TXN with a lock of `lease`: the lock's term */
    uint64_t index;      /* KEEPER_TXN: the highest ModifyIndex it wrote, 0 if unknown;
                          * KEEPER_RENEW: the session's */
    uint64_t ttl_ms;     /* KEEPER_RENEW: that the session has; 0 if unknown */
};
void keeper_see_store(struct keeper *k, uint64_t now_ms,
                      const struct keeper_answer *answer);

/* What a probe of PostgreSQL gave: the status query. */
enum keeper_reach {
    KEEPER_ANSWERED,  /* the fields below are true */
    KEEPER_REFUSING,  /* alive but not for us: starting (57P03), full (53300) */
    KEEPER_DENIED,    /* alive, our password or rights are wrong (28xxx, 42501) */
    KEEPER_NO_SERVER, /* nobody listens */
    KEEPER_SILENT     /* no answer in time */
};

/* What became of writing a few blocks and, on a primary, some WAL. It is asked beside the probes,
 * one at a time: a disk that hangs answers nothing, while all that is read comes from memory. */
enum keeper_writing {
    KEEPER_WRITING_UNKNOWN, /* no news */
    KEEPER_WRITES,
    KEEPER_CANNOT_WRITE,   /* full, read-only, broken */
    KEEPER_WRITING_AWAITED /* it was asked at `writing_ms`, and is not answered yet */
};

struct keeper_sender {          /* a row of pg_stat_replication */
    char name[KEEPER_NODE_MAX]; /* application_name */
    bool is_streaming;
    bool is_counted; /* sync_state is sync or quorum */
    uint64_t sent_lsn;
    uint64_t flush_lsn;
    uint64_t replay_lsn;
    uint64_t lag_ms; /* replay_lag */
};

struct keeper_probe {
    uint64_t asked_ms; /* BOOTTIME, before it was sent */
    bool is_fresh;     /* over a connection of its own, not the standing one */
    enum keeper_reach reach;
    enum keeper_writing writing;
    uint64_t writing_ms; /* BOOTTIME, before it was asked; 0: not */
    bool in_recovery;
    uint32_t
        tli; /* that `lsn` is on. On a standby the highest of min_recovery_end_timeline,
                   * received_tli and of the names in pg_ls_waldir(): the first alone lags */
    uint64_t lsn; /* primary: flushed; standby: received or replayed, the greater */
    uint64_t replay_lsn;
    char sysid[KEEPER_SYSID_MAX];
    bool has_receiver; /* a row in pg_stat_wal_receiver */
    bool is_streaming; /* its status is streaming */
    uint64_t receiver_silence_ms;
    bool is_replay_paused;
    char names[KEEPER_SSN_MAX]; /* synchronous_standby_names as shown */
    char started[32];           /* pg_postmaster_start_time */
    char version[32];
    struct keeper_sender senders[KEEPER_SENDERS_MAX];
    size_t sender_count;
    const char *warning; /* lint of synchronous_commit settings and such; NULL; copied */
};
void keeper_see_probe(struct keeper *k, uint64_t now_ms,
                      const struct keeper_probe *probe);
/* How often PostgreSQL should be probed now; the next probe is counted from the last one's end. */
uint64_t keeper_probe_every_ms(const struct keeper *k);

/* What the warden says, each 100 ms. Silence is noticed by its absence. */
enum keeper_process {
    KEEPER_NO_PROCESS, /* no postmaster, and nothing of its tree lives */
    KEEPER_RUNNING,
    KEEPER_ENDING /* it has exited or is being ended; something of the tree may live */
};

struct keeper_warden {
    uint64_t
        said_ms; /* BOOTTIME of the warden when it said so; the same machine's clock */
    enum keeper_process process;
    bool is_writable_start; /* adopted: somebody else started it, it may be a primary */
    uint64_t run;           /* counts the starts it has seen; 0: none */
    int exit_status;     /* of the last postmaster: as waitpid() gives; 0 unknown too */
    uint64_t armed_term; /* 0: not armed */
    uint64_t deadline_ms;
};
void keeper_see_warden(struct keeper *k, uint64_t now_ms,
                       const struct keeper_warden *warden);

/* How an order to the hands ended: KEEPER_DONE, KEEPER_FAILED (`text` says why),
 * KEEPER_UNKNOWN. */
enum keeper_disk {
    KEEPER_DISK_EMPTY,   /* no data directory, or an empty one */
    KEEPER_DISK_CLEAN,   /* control file: shut down (also in recovery) */
    KEEPER_DISK_CRASHED, /* in production, in recovery */
    KEEPER_DISK_UNREADY, /* a rewind or copy was finished, but needs WAL from its source until it
                          * is consistent (backup_label, or a backup start in the control file) */
    KEEPER_DISK_BROKEN, /* a rewind or a copy was begun and not finished (marker), unreadable */
};

struct keeper_fork { /* a line of a timeline's history: `tli` was left at `end_lsn` */
    uint32_t tli;
    uint64_t end_lsn;
};

struct keeper_done {
    uint64_t id;
    enum keeper_end end;
    const char *text; /* "" or one line */
    /* KEEPER_LOOK */
    enum keeper_disk disk;
    bool was_primary; /* the control file's state is "shut down" or "in production" */
    uint32_t tli;     /* of the latest checkpoint, or min recovery end, the later */
    uint64_t
        lsn; /* clean: the end of the shutdown checkpoint record; else min recovery end */
    char sysid[KEEPER_SYSID_MAX];
    /* KEEPER_MARK_WAL: the position behind the record; KEEPER_SET_NAMES: not used */
    uint64_t marked_lsn;
    /* KEEPER_READ_HISTORY */
    struct keeper_fork forks[KEEPER_FORKS_MAX]; /* in order of timelines */
    size_t fork_count;
    uint32_t on_tli; /* the timeline that was read about: the other's current one */
};
void keeper_see_done(struct keeper *k, uint64_t now_ms, const struct keeper_done *done);
/* Another's keeper asks in its term: is this one's promise given? Section 4, "hold". */
bool keeper_promise(struct keeper *k, uint64_t now_ms, uint64_t term);

/* `node` has promised, as KEEPER_ASK_PROMISES of that id asked. */
void keeper_see_promise(struct keeper *k, uint64_t now_ms, uint64_t id, const char *node);

/* Of a rewind or copy, for people; no answer yet. At least every 20 s: after 60 s without a word
 * it is taken as lost. */
void keeper_see_progress(struct keeper *k, const char *text);

/* ---- what is to be done */

enum keeper_action_kind {
    /* The store. Answered with keeper_see_store(). */
    KEEPER_OPEN_SESSION, /* name pg/<cluster>/<node>, `ttl_ms`, behaviour delete, lock-delay 0,
                          * no checks. The agent writes its id to a file before it answers */
    KEEPER_RENEW, /* `session`. To be asked once, without retries on the way. `ttl_ms` not 0:
                   * with another time to live, if its index is `index`; done means that
                   * nobody can renew the time it had before */
    KEEPER_TXN, /* `ops`: all or none */

    /* The warden. Not answered but by what it says next, which it does at once. */
    KEEPER_ARM,    /* `term`, `deadline_ms`: kill at that time unless told a later one */
    KEEPER_DISARM, /* only when PostgreSQL is not to be written: down, or in recovery */
    KEEPER_KILL, /* the whole tree, at once; by the agent itself when the warden is silent */

    /* The hands. Answered with keeper_see_done(). */
    KEEPER_LOOK,  /* pg_controldata and the marker; only while nothing runs */
    KEEPER_START, /* always with standby.signal; primary_conninfo as KEEPER_FOLLOW has left
                            * it, empty with `detached`. Done: started, not yet answering */
    KEEPER_STOP_FAST, /* done: the tree is gone. `time_ms`: then failed */
    KEEPER_STOP_IMMEDIATE,
    KEEPER_DETACH, /* primary_conninfo = '', reload, done: no receiver is left */
    KEEPER_FOLLOW, /* `node`, `address`, `port`, slot rc_<this node>: the same, to it */
    KEEPER_SET_NAMES, /* synchronous_standby_names = `text`, reload; done: a fresh backend shows
                       * it. A standby has KEEPER_BLOCKED_NAMES, so that a promotion is blocked
                       * from its first moment without waiting */
    KEEPER_MARK_WAL, /* emits one small WAL record; done: `marked_lsn`, flushed locally */
    KEEPER_PROMOTE, /* pg_promote(false) to `timeline`: first it puts history files that fork at
                        * 0/1 for all timelines below it that pg_wal has none of, so that PostgreSQL
                        * takes this one. Done: sent. Sent again and again */
    KEEPER_CHECKPOINT, /* beside all others, on a connection of its own; not answered */
    KEEPER_READ_HISTORY, /* IDENTIFY_SYSTEM and TIMELINE_HISTORY of `node`, `address`, `port` */
    KEEPER_REWIND, /* from there; nothing runs here. Done: startable as its standby */
    KEEPER_COPY,   /* pg_basebackup from there, swapped in. Done: startable */
    KEEPER_INITDB, /* done: `sysid`, startable */
    KEEPER_SET_SLOTS, /* rc_<name> for each of `slots`, advanced to its position, and no others
                       * unless `keeps_others` */
    KEEPER_RELOAD,

    /* Other keepers, straight, without the store. Answered with keeper_see_promise(). */
    KEEPER_ASK_PROMISES, /* each of `members`: keeper_promise() of `term` */

    /* The agent itself. Not answered. */
    KEEPER_REGISTER, /* `wish`: how the local catalog should show this instance */
    KEEPER_SAY,      /* `text`, `level`: a line for the log */
    KEEPER_ACTION_COUNT
};

/* An operation of a transaction on the cluster's records. */
enum keeper_verb {
    KEEPER_OP_LOCK,          /* take or keep `key` by `session`, writing `value` */
    KEEPER_OP_CAS,           /* write if its index is `index`; 0: if it is not there */
    KEEPER_OP_DELETE,        /* */
    KEEPER_OP_DELETE_CAS,    /* if its index is `index` */
    KEEPER_OP_CHECK_INDEX,   /* is `index` */
    KEEPER_OP_CHECK_SESSION, /* `key` is locked by `session` */
    KEEPER_OP_CHECK_NONE     /* `key` is not there */
};

struct keeper_op {
    enum keeper_verb verb;
    char key[KEEPER_KEY_MAX]; /* behind rollcall/pg/<cluster>/ */
    const char *value;        /* JSON; NUL-terminated */
    size_t value_size;
    uint64_t index;
    const char *session;
};

enum keeper_level { KEEPER_INFO, KEEPER_WARNING, KEEPER_ALARM };
enum keeper_health { KEEPER_PASSING, KEEPER_WARN, KEEPER_CRITICAL };

/* The local catalog's entry: service as configured, id pg/<cluster>/<node>. */
struct keeper_wish {
    const char *tags[KEEPER_TAGS_MAX]; /* "primary" | "standby", "sync", "ro-ok" */
    size_t tag_count;
    uint64_t term;      /* meta pg_term: of the lease it goes by */
    const char *role;   /* meta pg_role */
    uint32_t timeline;  /* meta pg_timeline */
    uint64_t lag_bytes; /* meta pg_lag_bytes; told in steps, so that it seldom changes */
    enum keeper_health health; /* the check "keeper" */
    const char *words;
};

struct keeper_slot {
    char node[KEEPER_NODE_MAX];
    uint64_t lsn; /* the member's replay position; 0: do not advance */
};

struct keeper_action {
    enum keeper_action_kind kind;
    uint64_t id; /* never 0, never used again by this keeper */
    uint64_t
        time_ms; /* how long it may take; after that its answer is not waited for. 0: no bound */
    uint64_t ttl_ms;
    uint64_t index;
    const char *session;
    const struct keeper_op *ops;
    size_t op_count;
    uint64_t term;
    uint64_t deadline_ms;
    bool detached;
    uint32_t timeline;
    const char *node;
    const char *address;
    uint16_t port;
    const char *text;
    enum keeper_level level;
    const struct keeper_wish *wish;
    const struct keeper_slot *slots;
    size_t slot_count;
    bool keeps_others;
    const struct quorum_set *members;
};

/* The next thing to do. False: nothing more for now. What `out` points to is borrowed until the
 * next call on `k`. To be asked until false after every call above. */
bool keeper_next(struct keeper *k, struct keeper_action *out);

/* ---- the agent ends */

/* KEEPER_RESTARTS: it comes back soon. A primary's session is renewed once for 30 s, the warden's
 * deadline with it, so that PostgreSQL goes on until then.
 * KEEPER_LEAVES: it does not. A primary is stopped and hands over; its PostgreSQL stays down. A
 * standby goes on as it is. */
enum keeper_retirement {
    KEEPER_STAYS,
    KEEPER_RESTARTS,
    KEEPER_LEAVES,
    KEEPER_LEAVES_ALL_THE_SAME /* though nobody can take over */
};

/* NULL: begun. Else why it is refused, static: to leave would lose what was written, or leave
 * nobody who can be written. */
const char *keeper_retire(struct keeper *k, enum keeper_retirement how);
/* There is nothing more to wait for. */
bool keeper_has_retired(const struct keeper *k);

/* ---- for people and metrics */

struct keeper_status {
    enum keeper_state state;
    uint64_t term;          /* held now; 0: none */
    uint64_t soft_ms;       /* S; 0 without a lease */
    uint64_t hard_ms;       /* H */
    uint64_t renewed_ms;    /* t of the last renewal that was answered */
    uint64_t renewals;      /* answered */
    uint64_t renewals_lost; /* not answered in time */
    uint64_t promotions;
    uint64_t rejoins;
    unsigned failures;   /* of rejoining, in a row */
    const char *problem; /* borrowed; "" */
    const char *session; /* "": none */
};
void keeper_status(const struct keeper *k, struct keeper_status *out);

#endif
