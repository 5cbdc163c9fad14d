/* keeper_core.h - what a keeper remembers, and what its files ask of each other.
 *
 * keeper.c takes what was seen and hands out what is to be done; between the two it calls
 * keeper_think(), which goes on from state to state until none changes. A state's function
 * looks at everything anew each time and asks for the next thing that is missing, so an action
 * that was lost is asked for again. Only for agent/keeper. */
#ifndef AGENT_KEEPER_KEEPER_CORE_H
#define AGENT_KEEPER_KEEPER_CORE_H

#include "agent/keeper/candidate.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/quorum.h"

enum {
    KEEPER_QUEUE_MAX = 32,
    KEEPER_RENEWALS_MAX = 16, /* under way */
    KEEPER_STORE_WAIT_MS = 2000,
    KEEPER_WARDEN_SILENT_MS = 300,
    KEEPER_REPAIR_SILENT_MS = 60000, /* without a word of its progress it is lost */
    KEEPER_SETTLE_MS = 200, /* S2: until the flag that backends test has followed */
    KEEPER_PAUSE_MS = 200   /* between two events: it was ourselves who stood still */
};

/* What a transaction is for. */
enum keeper_purpose {
    FOR_NOTHING,
    FOR_MEMBER,
    FOR_CLAIM, /* a cluster that is to be made, or adopted */
    FOR_SYSID, /* it was made */
    FOR_ACQUIRE,
    FOR_OPEN,     /* the first record of confirmations under a new lease */
    FOR_WRITABLE, /* clients may come */
    FOR_CLOSE,    /* clients must go */
    FOR_SYNC,
    FOR_STATE,
    FOR_RELEASE,
    FOR_INTENT,
    FOR_ORDER
};

struct keeper_request {
    uint64_t id; /* 0: none is under way */
    uint64_t sent_ms;
    enum keeper_purpose purpose;
    struct keeper_op ops[KEEPER_OPS_MAX];
    struct rc_buffer values[KEEPER_OPS_MAX];
    size_t op_count;
    char session[KEEPER_SESSION_MAX]; /* as of its making */
    /* What holds when it is done. */
    struct keeper_state_record state;
    bool has_state;
    struct keeper_sync_record sync;
    bool has_sync;
    struct keeper_lease_record lease;
    bool has_lease;
    struct keeper_member_record member;
};

struct keeper_hand {
    uint64_t id; /* 0: they are free */
    enum keeper_action_kind kind;
    uint64_t until_ms;
    char node[KEEPER_NODE_MAX];
    char address[KEEPER_ADDRESS_MAX];
    char text[KEEPER_SSN_MAX];
    struct quorum_names names; /* KEEPER_SET_NAMES, of a primary */
    uint64_t term;             /* of the holder it is about */
};

enum keeper_end_way {
    WAY_GONE,     /* PostgreSQL has ended, or is killed as it is */
    WAY_HANDOVER, /* stop fast, so that the last position is known */
    WAY_FENCE     /* kill, and do not count on the store */
};

struct keeper_demotion {
    enum keeper_end_way way;
    enum keeper_state then; /* INIT, STOPPED, FENCED */
    char reason[KEEPER_TEXT_MAX];
    bool is_closed; /* writable false was told, or tried */
    bool was_open;
    uint64_t since_ms;
    uint64_t killed_ms; /* when it was first killed; 0: not yet */
};

struct keeper_renewal {
    uint64_t id;
    uint64_t sent_ms;
};

struct keeper_retiming { /* of the session's time to live */
    uint64_t id;         /* 0: none is under way */
    uint64_t sent_ms;
    uint64_t ttl_ms;
};

struct keeper_known_member {    /* for whom there is a slot */
    char node[KEEPER_NODE_MAX]; /* "": nobody */
    uint64_t lsn;               /* replayed */
    uint64_t seen_ms;
};

struct keeper_queued {
    struct keeper_action action;
    char text[KEEPER_TEXT_MAX + 96];
};

struct keeper { // NOLINT(clang-analyzer-optin.performance.Padding): by subject
    struct keeper_options options; /* its texts are those below */
    char cluster[KEEPER_NODE_MAX];
    char node[KEEPER_NODE_MAX];
    char address[KEEPER_ADDRESS_MAX];
    char upstream[KEEPER_NODE_MAX];

    uint64_t now_ms;
    uint64_t wall_ms;
    uint64_t last_tick_ms;
    uint64_t next_id;

    enum keeper_state state;
    uint64_t state_since_ms;
    char problem[KEEPER_TEXT_MAX];
    char progress[KEEPER_TEXT_MAX];
    char warning[KEEPER_TEXT_MAX];

    /* the store */
    struct keeper_view view;
    enum keeper_intent_kind
        planned; /* of the view's intent, which counts when it is due */
    bool has_view;
    uint64_t view_seen_ms;
    uint64_t least_index;   /* views before our own writes are not looked at */
    uint64_t view_after_ms; /* nor are those asked for before this */
    char session[KEEPER_SESSION_MAX];
    uint64_t open_id;
    uint64_t open_sent_ms;
    uint64_t next_open_ms;
    struct keeper_renewal renewals[KEEPER_RENEWALS_MAX];
    size_t renewal_at;
    uint64_t next_renew_ms;
    uint64_t session_ttl_ms; /* as the store has told; 0: not yet */
    uint64_t session_index;  /* its ModifyIndex then; 0: not known */
    struct keeper_retiming retiming;
    uint64_t long_ms; /* t of the long renewal that was answered; 0: none */
    bool long_failed;
    enum keeper_retirement retires;
    uint64_t retired_ms;
    uint64_t renewed_ms;  /* t of the newest renewal that was answered; 0: none yet */
    uint64_t answered_ms; /* when the store last answered; 0: never */
    uint64_t stall_ms;    /* the end of its last stall */
    unsigned stalls;      /* in a row */
    struct keeper_request cluster_request;
    struct keeper_request member_request;
    struct keeper_member_record told; /* as last published */
    uint64_t told_ms;                 /* 0: never in this session */
    uint64_t state_told_ms;
    uint64_t retry_ms; /* after a transaction that failed */
    uint64_t member_retry_ms;

    /* the lease */
    uint64_t term; /* held; 0: none */
    uint64_t taken_ms;
    uint64_t free_since_ms;
    uint64_t last_free_since_ms;    /* of the lease that is held: for the history */
    char previous[KEEPER_NODE_MAX]; /* who held it before */
    char taken_reason[KEEPER_TEXT_MAX];

    /* the warden and PostgreSQL */
    struct keeper_warden warden;
    uint64_t warden_seen_ms; /* 0: never */
    uint64_t run_seen_ms;    /* when its present run was first seen */
    uint64_t next_kill_ms;
    uint64_t next_arm_ms;
    struct keeper_probe probe;
    bool has_probe;
    uint64_t well_ms[2]; /* when the standing and the fresh probe last found it alive */
    uint64_t unwritable_ms; /* since when its disk takes nothing; 0: it does */
    unsigned unwritable_times;
    struct keeper_hand hand;
    struct keeper_done look;
    bool has_looked;

    /* a standby */
    uint64_t frozen;
    uint64_t top_term; /* of any lease that was seen */
    bool is_detached;
    uint64_t detached_ms;
    uint32_t known_tli; /* of what was received, which PostgreSQL tells late */
    uint64_t followed_term;
    char followed[KEEPER_NODE_MAX];
    uint64_t compared_term;
    uint64_t retry_follow_ms;
    uint64_t stuck_since_ms; /* following but not streaming */
    unsigned starts_failed;
    uint64_t next_start_ms;
    bool needs_source; /* rewound or copied, and not yet consistent */

    uint64_t promised_until_ms; /* hold: does not take over before */

    /* promoting */
    uint64_t next_promote_ms;
    uint64_t moved_ms; /* when the replay last went on */
    uint64_t moved_lsn;
    uint64_t open_lsn; /* where the promotion ended */

    /* a primary */
    bool names_are_known;
    struct quorum_names names;
    uint64_t set_ms;
    uint64_t marked_lsn;
    uint64_t marked_ms;
    bool is_caught_up;
    bool lacks_confirmers; /* fewer than are wanted */
    bool sync_is_unsure;
    uint64_t unsure_index;
    uint64_t
        missing_ms[KEEPER_MEMBERS_MAX]; /* since when a name of `names` does not stream */
    uint64_t flushed_lsn[KEEPER_MEMBERS_MAX]; /* by each seat, and since when */
    uint64_t flushed_ms[KEEPER_MEMBERS_MAX];
    uint64_t slots_ms;
    uint64_t begun_ms;
    struct keeper_known_member known[KEEPER_MEMBERS_MAX];
    bool wants_checkpoint;
    char obeyed[KEEPER_SESSION_MAX]; /* the order that was carried out, to be ended */

    struct keeper_hold {
        uint64_t id; /* of the round of promises that is under way; 0: none */
        uint64_t sent_ms;
        struct quorum_set members;
        struct quorum_set promised;
    } hold;

    struct keeper_demotion demotion;
    unsigned crashes; /* of a primary here, in a row, and when the last was */
    uint64_t crash_ms;

    /* rejoining */
    bool wants_copy;
    bool
        is_distrusted; /* written without the lease: never to be started again as it is */
    unsigned failures;
    uint64_t next_try_ms;
    uint64_t rejoin_term;
    bool is_fenced_by_order;

    /* out */
    struct keeper_queued queue[KEEPER_QUEUE_MAX];
    size_t queue_head;
    size_t queue_count;
    struct keeper_wish wish;
    char wish_words[KEEPER_TEXT_MAX];
    bool has_wish;
    struct keeper_slot slots[KEEPER_MEMBERS_MAX];

    uint64_t renewals_done;
    uint64_t renewals_lost;
    uint64_t promotions;
    uint64_t rejoins;
};

/* ---- keeper.c */
void keeper_advance(struct keeper *k, uint64_t now_ms);
void keeper_become(struct keeper *k, enum keeper_state state);
void keeper_say(struct keeper *k, enum keeper_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void keeper_trouble(struct keeper *k, const char *words); /* as `problem`; "": none */
/* An action that nobody answers. NULL when the queue is full: asked again later. */
struct keeper_action *keeper_push(struct keeper *k, enum keeper_action_kind kind);

/* ---- keeper_hand.c: what is asked of hands and warden */
bool keeper_hand_is_free(const struct keeper *k);
/* Asks for `kind`; `wait_ms` is how long it may take. The caller adds to what it returns; NULL
 * when the hands are busy. */
struct keeper_action *keeper_order(struct keeper *k, enum keeper_action_kind kind,
                                   uint64_t wait_ms);
/* The same about a member that is seated in the view, its address with it. */
struct keeper_action *keeper_order_at(struct keeper *k, enum keeper_action_kind kind,
                                      uint64_t wait_ms, const char *node);
void keeper_set_names(struct keeper *k, const char *text);
void keeper_kill(struct keeper *k);
/* Arms the warden for the lease that is held; true when it has said that it is. */
bool keeper_arm(struct keeper *k);
bool keeper_warden_is_silent(const struct keeper *k);
/* KEEPER_ENDING while the warden is silent: nothing is known. */
enum keeper_process keeper_process(const struct keeper *k);
/* The last probe is of the present run and answered. */
bool keeper_knows(const struct keeper *k);
bool keeper_is_hung(const struct keeper *k);
/* Its disk has taken nothing for probe_fail: refused it more than once, or not answered. */
bool keeper_is_unwritable(const struct keeper *k);
/* PostgreSQL, a primary here, has ended by itself or was killed for not answering. */
void keeper_crashed(struct keeper *k);
/* More often than restart_attempts, and a moment ago. */
bool keeper_gives_way(const struct keeper *k);
/* The warden's words show that a start or stop is done, whatever became of its answer. */
void keeper_hand_shown(struct keeper *k);
void keeper_hand_done(struct keeper *k, const struct keeper_done *done,
                      const struct keeper_hand *was);

/* ---- keeper_ask.c: transactions */
/* NULL while one is under way or it is too early to try again. */
struct keeper_request *keeper_ask(struct keeper *k, enum keeper_purpose purpose);
struct rc_buffer *keeper_ask_op(struct keeper_request *r, enum keeper_verb verb,
                                const char *key, uint64_t index);
void keeper_ask_held(struct keeper *k,
                     struct keeper_request *r); /* the lease is still ours */
void keeper_ask_state(struct keeper *k, struct keeper_request *r,
                      const struct keeper_state_record *state);
void keeper_ask_sync(struct keeper *k, struct keeper_request *r,
                     const struct keeper_sync_record *sync);
void keeper_ask_lease(struct keeper *k, struct keeper_request *r,
                      const struct keeper_lease_record *lease);
void keeper_ask_history(struct keeper *k, struct keeper_request *r,
                        const struct keeper_history_entry *entry);
void keeper_ask_send(struct keeper *k, struct keeper_request *r);
void keeper_ask_answered(struct keeper *k, struct keeper_request *r,
                         const struct keeper_answer *answer);

/* ---- keeper_lease.c: session, renewals, deadlines */
void keeper_lease_think(struct keeper *k);
bool keeper_lease_answered(struct keeper *k, const struct keeper_answer *answer);
uint64_t keeper_soft_ms(const struct keeper *k);
uint64_t keeper_hard_ms(const struct keeper *k);
bool keeper_session_is_sure(const struct keeper *k); /* lives, and S has not passed */
/* It has stalled a moment ago: who takes the lease may lose it to the next stall. */
bool keeper_store_is_shaky(const struct keeper *k);
void keeper_session_lost(struct keeper *k);
bool keeper_view_is_current(const struct keeper *k);
/* By a view that is current. */
bool keeper_lease_is_free(const struct keeper *k);
bool keeper_lease_is_mine(const struct keeper *k);
bool keeper_lease_is_open(const struct keeper *k); /* another's who has opened */
void keeper_lease_take(struct keeper *k, uint64_t term);
bool keeper_is_paused(const struct keeper *k);

/* ---- keeper_leave.c: the session's time to live, and the agent's end */
void keeper_retime_think(struct keeper *k);
bool keeper_retime_answered(struct keeper *k, const struct keeper_answer *answer);
void keeper_retime_learn(struct keeper *k, const struct keeper_answer *answer);
uint64_t keeper_long_hard_ms(const struct keeper *k); /* 0: no long renewal */

/* ---- keeper_hold.c */
void keeper_hold_begin(struct keeper *k);
bool keeper_has_promised(const struct keeper *k);
void keeper_hold_think(struct keeper *k);

/* ---- keeper_tell.c: the member's record, the catalog, the state's position */
void keeper_record_make(const struct keeper *k, struct keeper_member_record *out);
void keeper_tell(struct keeper *k);
void keeper_wish_think(struct keeper *k);
void keeper_tell_state(struct keeper *k);

/* ---- the states */
void keeper_on_init(struct keeper *k);      /* keeper_start.c */
void keeper_on_standby(struct keeper *k);   /* keeper_standby.c */
void keeper_on_electing(struct keeper *k);  /* keeper_elect.c */
void keeper_on_promoting(struct keeper *k); /* keeper_promote.c */
void keeper_on_primary(struct keeper *k);   /* keeper_primary.c */
/* Somebody takes over without loss when this primary ends. */
bool keeper_has_heir(const struct keeper *k);
void keeper_on_demoting(struct keeper *k);  /* keeper_demote.c */
void keeper_on_rejoining(struct keeper *k); /* keeper_rejoin.c */
void keeper_on_fenced(struct keeper *k);
void keeper_on_stopped(struct keeper *k);
void keeper_demote(struct keeper *k, enum keeper_end_way way, enum keeper_state then,
                   const char *reason);
void keeper_rejoin(struct keeper *k, const char *why);
void keeper_rejoin_failed(struct keeper *k, const char *why);
void keeper_fence(struct keeper *k, const char *why);
void keeper_compared(struct keeper *k, const struct keeper_done *done);

/* ---- keeper_sync.c: S1, S2, S4 while the lease is held */
enum keeper_mode keeper_mode(const struct keeper *k);
/* The record that opens a lease. */
void keeper_sync_first(struct keeper *k, struct keeper_sync_record *out);
/* One step; true when the names in force are as they are wished. */
bool keeper_sync_think(struct keeper *k);
bool keeper_is_confirmed(const struct keeper *k, uint64_t lsn); /* by k of the names */
const struct keeper_sender *keeper_sender(const struct keeper *k, const char *name);

/* ---- keeper_slots.c */
void keeper_keep_slots(struct keeper *k);

/* ---- keeper_order.c: operators */
/* True when an order has changed the state or is being carried out. */
bool keeper_obey(struct keeper *k);
bool keeper_intend(struct keeper *k); /* primary: switchover, failover */
bool keeper_has_standing(const struct keeper *k, enum keeper_order_kind kind);
void keeper_order_end(struct keeper *k);

#endif
