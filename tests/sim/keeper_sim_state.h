/* keeper_sim_state.h - the world of keeper_sim: nodes, their parts, the store, what is known. */
#ifndef TESTS_SIM_KEEPER_SIM_STATE_H
#define TESTS_SIM_KEEPER_SIM_STATE_H

#include "agent/keeper/keeper.h"
#include "base/random.h"
#include "tests/sim/keeper_sim.h"

enum {
    KSIM_NODES_MAX = 5,
    KSIM_WAL_MAX = 16384, /* records; a record is one unit of position */
    KSIM_STEP_MS = 5,
    KSIM_ORDERS_MAX = 8,
    KSIM_MESSAGES_MAX = 256,
    KSIM_KEYS_MAX = 32,
    KSIM_SESSIONS_MAX = 1024,
    KSIM_STORE = KSIM_NODES_MAX /* as an end of a link */
};

/* ---- PostgreSQL */

struct ksim_rule { /* of confirmation, as one process of PostgreSQL has read it */
    int k;         /* 0: nobody is asked */
    bool counts[KSIM_NODES_MAX];
};

struct ksim_sender { /* a row of pg_stat_replication */
    bool is_there;
    uint64_t flush;
    uint64_t heard_ms;
    struct ksim_rule rule; /* that this walsender goes by */
    uint64_t rereads_ms;   /* when it goes by the newest */
};

struct ksim_disk {
    bool is_empty;
    bool is_broken;
    bool is_clean;
    bool was_primary;
    bool is_standby_start; /* consistent only from min_lsn on */
    uint64_t min_lsn;
    uint32_t wal[KSIM_WAL_MAX];
    uint64_t lsn;
    uint32_t tli;
    struct keeper_fork forks[KEEPER_FORKS_MAX];
    size_t fork_count;
    int source; /* primary_conninfo; -1: "" */
    char names[KEEPER_SSN_MAX];
};

struct ksim_pg {
    struct ksim_disk disk;
    bool runs;
    bool is_paused;
    bool in_recovery;
    uint64_t ready_ms; /* answers from then on */
    uint64_t run;
    uint64_t promote_ms; /* when a promotion ends; 0: none */
    uint32_t promote_tli;
    bool sleeps; /* a promotion came while the receiver was being started */
    bool has_receiver;
    uint64_t next_receiver_ms;
    struct ksim_sender senders[KSIM_NODES_MAX];
    struct ksim_rule rule; /* by the configuration as it stands */
    bool waits;            /* what backends test */
    bool will_wait;        /* what it becomes */
    uint64_t waits_at_ms;  /* then */
    bool is_pending[KSIM_WAL_MAX];
    uint64_t pending_from;
    uint64_t next_write_ms;
    uint64_t lag_ms; /* it receives in batches, so far apart */
    uint64_t next_batch_ms;
    bool was_blind; /* keeper and warden both stood still during this run */
};

/* ---- a node */

struct ksim_order {
    struct keeper_action action;
    char text[KEEPER_SSN_MAX];
    int peer;
    uint64_t due_ms; /* 0: not begun */
    uint64_t begun_lsn;
};

struct ksim_world;

struct ksim_node {
    struct ksim_world *world;
    int number;
    char name[8];
    uint64_t offset_ms;
    uint64_t rate_ppm;
    uint64_t clock_until; /* it stands still at `clock_ms` */
    uint64_t clock_ms;
    struct keeper *keeper;  /* NULL: it is down */
    uint64_t keeper_up_ms;  /* when it comes back */
    uint64_t retires_until; /* it is told to end, and has so long for it; 0: it is not */
    uint64_t retires_for;
    uint64_t keeper_paused_until;
    uint64_t warden_paused_until;
    uint64_t warden_up_ms; /* 0: it is there */
    uint64_t pg_paused_until;
    uint64_t down_until;              /* the whole node */
    char session[KEEPER_SESSION_MAX]; /* in the agent's file */
    struct ksim_pg pg;
    uint64_t armed_term;
    uint64_t deadline_ms; /* of this node's clock */
    uint64_t next_echo_ms;
    bool must_echo;
    uint64_t next_probe_ms;
    uint64_t next_fresh_ms;
    bool is_probing;
    struct ksim_order orders[KSIM_ORDERS_MAX];
    size_t order_count;
    enum keeper_action_kind answering;
    bool is_asking; /* a view */
    uint64_t view_asked_ms;
    uint64_t view_due_ms;
    uint64_t view_index;
    struct keeper_options options;
};

/* ---- the store */

struct ksim_key {
    char key[KEEPER_KEY_MAX];
    struct rc_buffer value;
    uint64_t index;
    int session; /* -1: not locked */
    uint64_t term;
};

struct ksim_session {
    bool lives;
    uint64_t ttl_ms;
    uint64_t ends_ms;
    uint64_t index;
};

struct ksim_store {
    struct ksim_key keys[KSIM_KEYS_MAX];
    size_t key_count;
    struct ksim_session sessions[KSIM_SESSIONS_MAX];
    size_t session_count;
    uint64_t index;
    uint64_t erased_index; /* about when a key was last erased */
    uint64_t down_until;
    uint64_t slow_until;
    uint64_t
        straggle_until;  /* some transactions arrive long after their askers gave up */
    uint64_t late_until; /* answers come late, requests arrive in time */
};

/* ---- messages between keepers and store */

enum ksim_kind {
    KSIM_REQUEST,
    KSIM_REPLY,
    KSIM_VIEW_REPLY,
    KSIM_PROBE,
    KSIM_DONE,
    KSIM_ASKED,   /* for a promise, by `peer` */
    KSIM_PROMISED /* by `peer` */
};

struct ksim_message {
    enum ksim_kind kind;
    int node;
    const struct keeper *keeper; /* that asked: another one gets no answer */
    uint64_t due_ms;
    enum keeper_action_kind ask;
    struct keeper_op ops[KEEPER_OPS_MAX];
    char *values[KEEPER_OPS_MAX];
    size_t op_count;
    char session[KEEPER_SESSION_MAX];
    uint64_t ttl_ms;
    struct keeper_answer answer;
    int peer;
    const struct keeper *asker;
    struct keeper_view *view;
    struct keeper_probe *probe;
    struct keeper_done *done;
};

struct ksim_world {
    uint64_t seed;
    uint64_t now_ms;
    struct rc_random random;
    int node_count;
    struct ksim_node nodes[KSIM_NODES_MAX];
    struct ksim_store store;
    struct keeper_view view; /* the last that was read, of nobody */
    struct ksim_message messages[KSIM_MESSAGES_MAX];
    size_t message_count;
    uint64_t cut_until[KSIM_NODES_MAX + 1][KSIM_NODES_MAX + 1]; /* from, to */
    bool is_calm;
    bool was_async;
    uint64_t next_fault_ms;
    bool is_aiming;  /* at nodes whose state has just changed */
    int aimed;       /* -1: at nobody */
    bool is_cutting; /* the aimed fault is one that ends renewals */
    enum keeper_state seen[KSIM_NODES_MAX];
    uint64_t write_every_ms;
    uint32_t fault_kinds;         /* drawn: which kinds this seed has */
    uint64_t next_id;             /* of a record of WAL */
    uint32_t acked[KSIM_WAL_MAX]; /* by position; 0: nobody was told */
    uint64_t acked_top;
    uint64_t last_term;
    uint64_t checked_term; /* of the last lease that was seen open */
    uint64_t last_ack_ms;
    uint64_t made;        /* intents, orders */
    uint64_t made_claims; /* the index they were last looked at */
    enum keeper_sim_trace trace;
    struct keeper_sim_report *report;
};

/* ---- keeper_sim.c */
uint64_t ksim_below(struct ksim_world *w, uint64_t bound);
uint64_t ksim_between(struct ksim_world *w, uint64_t low, uint64_t high);
uint64_t ksim_clock(const struct ksim_node *n); /* its BOOTTIME, ms */
bool ksim_is_cut(const struct ksim_world *w, int from, int to);
struct ksim_message *ksim_post(struct ksim_world *w, enum ksim_kind kind, int node,
                               uint64_t after_ms);
int ksim_node_by_name(const struct ksim_world *w, const char *name);
void ksim_note(struct ksim_world *w, const struct ksim_node *n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void ksim_fail(struct ksim_world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool ksim_keeper_hears(const struct ksim_node *n); /* it is there and not stopped */
bool ksim_warden_works(const struct ksim_node *n);

/* ---- keeper_sim_pg.c */
void ksim_pg_init(struct ksim_node *n);
void ksim_pg_step(struct ksim_node *n);
void ksim_pg_start(struct ksim_node *n);
void ksim_pg_kill(struct ksim_node *n);
void ksim_pg_stop_clean(struct ksim_node *n);
void ksim_pg_set_names(struct ksim_node *n, const char *names);
bool ksim_pg_answers(const struct ksim_node *n);
void ksim_pg_probe(const struct ksim_node *n, struct keeper_probe *out);
uint64_t ksim_pg_append(struct ksim_node *n); /* a record; where it ends */
bool ksim_pg_lies_on(const struct ksim_disk *mine, const struct ksim_disk *source);

/* ---- keeper_sim_hands.c */
void ksim_hands_take(struct ksim_node *n, const struct keeper_action *action);
void ksim_hands_step(struct ksim_node *n);
void ksim_hands_drop(struct ksim_node *n); /* by a kill */
void ksim_hands_leave(
    struct ksim_node *n); /* their keeper is gone; what was sent is sent */

/* ---- keeper_sim_store.c */
void ksim_store_step(struct ksim_world *w);
void ksim_store_ask(struct ksim_node *n, const struct keeper_action *action);
void ksim_store_serve(struct ksim_world *w, struct ksim_message *m);
void ksim_store_views(struct ksim_node *n);
void ksim_store_put(struct ksim_world *w, const char *key, const char *value);
const struct ksim_key *ksim_store_get(const struct ksim_world *w, const char *key);
void ksim_store_fini(struct ksim_world *w);

/* ---- keeper_sim_faults.c */
void ksim_faults_step(struct ksim_world *w);
/* Ends a keeper that was told to end and has done what it wanted to. */
void ksim_retire_step(struct ksim_node *n);
/* Something has changed here: soon, in one of `one_in` cases, something goes wrong here. */
void ksim_aim(struct ksim_world *w, const struct ksim_node *n, uint64_t one_in);
void ksim_heal(struct ksim_world *w);
void ksim_power_off(struct ksim_node *n, uint64_t for_ms);

/* ---- keeper_sim_claims.c */
void ksim_claim_acked(struct ksim_world *w, uint64_t lsn, uint32_t id,
                      const struct ksim_node *n);
void ksim_claims_step(struct ksim_world *w);
bool ksim_is_in_order(const struct ksim_world *w);

#endif
