/* hands_state.h - what the files of the hands share. For agent/postgres/hands*.c only.
 *
 * An order is a chain of steps. A step begins one thing (a program, a question, work in a thread,
 * a wait) and names the step that follows it; the last one calls hands_finish(). A kill changes
 * `generation`: what comes back for an older one is dropped. */
#ifndef AGENT_POSTGRES_HANDS_STATE_H
#define AGENT_POSTGRES_HANDS_STATE_H

#include "agent/checks/process_uv.h"
#include "agent/postgres/disk.h"
#include "agent/postgres/hands.h"
#include "agent/postgres/pulse_taker.h"
#include "agent/postgres/session.h"
#include "base/watch_uv.h"

enum {
    HANDS_QUEUE_MAX = 32,
    HANDS_OUTPUT_MAX = 16384,
    HANDS_ARGUMENTS_MAX = 40,
    HANDS_ASK_MS = 2000,  /* for one question */
    HANDS_AGAIN_MS = 20,  /* between two looks at the same thing */
    HANDS_SETTLE_MS = 200 /* S2: backends look at the names later than they are shown */
};

struct hand_order {
    enum keeper_action_kind kind;
    uint64_t id;
    uint64_t time_ms;
    uint64_t term;
    bool detached;
    uint32_t timeline;
    char node[KEEPER_NODE_MAX];
    char address[KEEPER_ADDRESS_MAX];
    uint16_t port;
    char text[KEEPER_SSN_MAX];
    struct keeper_slot slots[KEEPER_MEMBERS_MAX];
    size_t slot_count;
    bool keeps_others;
};

typedef void hands_step(struct hands *h);
typedef void hands_told(struct hands *h, const struct pg_answer *answer);

struct hands {
    struct hands_options options;
    const struct postgres_place *place;
    struct hand_order queue[HANDS_QUEUE_MAX]; /* the first is under way, if is_busy */
    size_t queued;
    bool is_busy;
    bool is_working; /* a thread: also for an order that was killed */
    uint64_t generation;

    hands_step *then;    /* after the program, the thread's work or the wait */
    hands_step *on_echo; /* with each echo */
    hands_told *told;    /* after the question */
    uint64_t number;     /* of the warden's order that is waited for */
    unsigned calm;       /* looks in a row that found what was wanted */
    size_t at;           /* in a list of the order */
    struct process *process;
    struct pg_session *control;
    struct pg_session *source; /* replication protocol; NULL: none open */
    struct watch_timer *wait;
    struct watch_timer *limit;
    struct watch_timer *watch; /* of a program that takes long */
    struct rc_buffer output;   /* of the last program */
    int64_t status;            /* likewise */
    struct disk_job job;       /* of the last work in a thread */
    int job_err;
    struct keeper_done result;
    struct warden_echo echo;
    bool has_echo;
    struct pulse_taker *taker;
    void (*on_closed)(void *context);
    void *closed_context;
};

static inline struct hand_order *hands_order(struct hands *h)
{
    return &h->queue[0];
}

/* ---- hands_uv.c */

/* The order has ended. `text` may be NULL. */
void hands_finish(struct hands *h, enum keeper_end end, const char *text);

/* Runs `work` on h->job in a thread. */
void hands_work(struct hands *h, int (*work)(struct disk_job *job), hands_step *then);

/* ---- hands.c: other things a step can begin. */

void hands_run(struct hands *h, const char *const *arguments, const char *input,
               hands_step *then);
void hands_ask(struct hands *h, enum pg_session_way way, const char *sql,
               hands_told *told);
void hands_wait(struct hands *h, uint64_t ms, hands_step *then);
/* Sends an order to the warden, and waits for echoes that know of it. False: finished. */
bool hands_tell_warden(struct hands *h, struct warden_order *order, hands_step *on_echo);
/* The postmaster reads its configuration again; nothing happens when there is none. */
void hands_reload(const struct hands *h);
bool hands_runs(const struct hands *h);
/* Begins the order at the head of the queue. */
void hands_begin(struct hands *h);
/* Ends programs, questions and waits. */
void hands_stop_all(struct hands *h);
/* Whether the last work or program has gone well; otherwise the order is finished. */
bool hands_work_is_good(struct hands *h);
bool hands_run_is_good(struct hands *h, const char *program);
/* "<bin_dir>/<name>" in `space`. */
const char *hands_program(const struct hands *h, const char *name,
                          char space[PLACE_PATH_MAX]);

/* ---- hands_serve.c: while the server runs; hands_repair.c: while it does not. */
void hands_start_server(struct hands *h);
void hands_stop_fast(struct hands *h);
void hands_stop_now(struct hands *h);
void hands_detach(struct hands *h);
void hands_follow(struct hands *h);
void hands_set_names(struct hands *h);
void hands_mark_wal(struct hands *h);
void hands_promote(struct hands *h);
void hands_checkpoint(struct hands *h);
void hands_set_slots(struct hands *h);
void hands_reload_order(struct hands *h);
void hands_read_history(struct hands *h);
void hands_look(struct hands *h);
void hands_rewind(struct hands *h);
void hands_copy(struct hands *h);
void hands_initdb(struct hands *h);

/* Asks the order's other node for its timeline's history; `then` finds it in h->result, or the
 * order is finished. */
void hands_fetch_history(struct hands *h, hands_step *then);

#endif
