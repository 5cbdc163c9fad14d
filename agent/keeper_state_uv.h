/* keeper_state_uv.h - what the files of the keeper's glue share. For agent/keeper_*uv.c only. */
#ifndef AGENT_KEEPER_STATE_UV_H
#define AGENT_KEEPER_STATE_UV_H

#include <uv.h>

#include "agent/agent_uv.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper_request.h"
#include "agent/postgres/hands.h"
#include "agent/warden/tree.h"
#include "agent/warden/warden_client.h"

enum {
    KEEPER_REQUESTS_MAX = 16,
    KEEPER_ENTRY_ID_MAX = 256,
    KEEPER_WORDS_MAX = 256,
    KEEPER_PATH_MAX = 1024
};

/* A request of the store that is under way. */
struct keeper_errand {
    struct keeper_uv *owner;
    enum keeper_action_kind kind;
    uint64_t id; /* of the action; 0: the place is free */
    http_ticket ticket;
    bool is_forwarded;
    bool has_failed; /* as `end` says; told with the next beat, so that nothing spins */
    enum keeper_end end;
};

struct keeper_uv {
    struct agent *agent;
    struct postgres_place place;
    char *password; /* owned */
    char *replication_password;
    char address[RC_ADDRESS_TEXT_MAX];
    char socket[KEEPER_PATH_MAX];
    char repair_mark[KEEPER_PATH_MAX];
    char log_file[KEEPER_PATH_MAX];
    char program[KEEPER_PATH_MAX]; /* our own */

    struct keeper *keeper; /* NULL: until the warden was heard */
    struct hands *hands;
    struct warden_client *warden;
    struct tree *tree;
    uv_timer_t timer; /* the keeper's next deadline */
    uv_timer_t beat;  /* what is looked after now and then */
    uint64_t begun_ms;
    bool is_pumping;
    bool is_closing;
    void (*retired)(struct agent *); /* who waits for its end; NULL: nobody */
    bool has_retired;
    bool asks_systemd;
    uint64_t retire_until_ms; /* BOOTTIME: not longer */

    /* The warden. */
    struct warden_echo echo;
    uint64_t heard_ms;     /* BOOTTIME; 0: never */
    bool must_sweep;       /* its tree may outlive it */
    uv_process_t *spawned; /* the last that was started here, while it runs; NULL */
    uint64_t asked_to_adopt_ms;
    uint64_t missed_warden_ms; /* when we last said so; 0: never */

    /* The store. */
    struct keeper_errand errands[KEEPER_REQUESTS_MAX];
    struct keeper_errand view_errand;
    struct keeper_view view;
    uint64_t view_asked_ms;
    uint64_t view_index;
    uint64_t view_retry_ms;
    http_ticket last_ticket;

    /* Promises: the round that is under way. */
    uint32_t promise_query; /* 0: none */
    uint64_t promise_id;

    /* The catalog. */
    char entry_id[KEEPER_ENTRY_ID_MAX];
    char check_id[KEEPER_ENTRY_ID_MAX];
    bool is_listed;
    enum keeper_health health;
    char words[KEEPER_WORDS_MAX];
    uint64_t listed_ms;      /* when its check was last told; of rc_clock_ms() */
    struct rc_buffer listed; /* the definition as it was last registered, as text */

    /* Of keeper_status(), as far as they were told as metrics. */
    uint64_t told_renewals;
    uint64_t told_renewals_lost;
    uint64_t told_promotions;
    uint64_t told_rejoins;
};

/* ---- keeper_uv.c */

/* Carries out all that the keeper wants; after every event. */
void keeper_uv_pump(struct keeper_uv *u);

/* ---- keeper_store_uv.c */
void keeper_uv_ask(struct keeper_uv *u, const struct keeper_action *action);
/* Reads the records again, if nobody does. */
void keeper_uv_look(struct keeper_uv *u);
/* As soon as possible, even if somebody does. */
void keeper_uv_look_anew(struct keeper_uv *u);
void keeper_uv_forget_all(struct keeper_uv *u);
/* Tells the keeper what has failed since the last beat. */
void keeper_uv_tell_failures(struct keeper_uv *u);

/* ---- keeper_warden_uv.c */
int keeper_uv_open_warden(struct keeper_uv *u);
/* The warden tells the next keeper which session this one had. */
void keeper_uv_keep_session(struct keeper_uv *u);
uint64_t keeper_uv_order(void *context, struct warden_order *order);
void keeper_uv_kill(struct keeper_uv *u);
/* The process that was started here goes on without us. */
void keeper_uv_let_go(struct keeper_uv *u);
/* Now and then: one that somebody else has started is put under the warden, so that it has a
 * deadline too. True while there is one that is not yet. */
bool keeper_uv_watch_over(struct keeper_uv *u);

/* ---- keeper_entry_uv.c */
void keeper_uv_list(struct keeper_uv *u, const struct keeper_wish *wish);
void keeper_uv_refresh_entry(struct keeper_uv *u);
void keeper_uv_unlist(struct keeper_uv *u);

/* ---- keeper_leave_uv.c */
/* Goes on with the agent's end when the keeper has done what it does first. */
void keeper_uv_see_end(struct keeper_uv *u);

/* ---- keeper_hold_uv.c */
void keeper_uv_ask_promises(struct keeper_uv *u, const struct keeper_action *action);

/* ---- keeper_figures_uv.c */
/* RC_OK or RC_ETOOBIG. */
int keeper_uv_open_figures(struct keeper_uv *u);

#endif
