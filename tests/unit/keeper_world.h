/* keeper_world.h - the keeper of db1 and all it has asked for, with a virtual clock, for tests.
 *
 * The store holds what the test puts there. Sessions and the member's own record are
 * answered; what else is asked, the test answers. */
#ifndef TESTS_UNIT_KEEPER_WORLD_H
#define TESTS_UNIT_KEEPER_WORLD_H

#include "agent/keeper/keeper.h"

enum { KEEPER_WORLD_ASKED_MAX = 4096, KEEPER_WORLD_T0 = 1000000 };

struct keeper_world {
    struct keeper *k;
    uint64_t now_ms;
    struct keeper_view view;
    struct keeper_probe probe;
    struct keeper_warden warden;
    struct {
        enum keeper_action_kind kind;
        uint64_t id;
        uint64_t deadline_ms;
        uint64_t sent_ms;
        char key[KEEPER_KEY_MAX]; /* of a transaction's first operation */
        char text[200];
    } asked[KEEPER_WORLD_ASKED_MAX];
    size_t asked_count;
    uint64_t index;
    uint64_t session_ttl_ms; /* that renewals tell; 0: nothing */
    uint64_t session_index;
    bool is_retiming_silent;
    bool is_store_silent;
    bool is_warden_silent;
    /* Sees each action first, unless NULL; true: the test has answered it. */
    bool (*answers)(struct keeper_world *w, const struct keeper_action *action);
};

struct keeper_options keeper_world_options(void);
/* A keeper with the session s1; `w` is zero. */
void keeper_world_init(struct keeper_world *w);
/* Of cmocka, a world each; what `*state` points to begins with it. */
int keeper_world_set_up(void **state);
int keeper_world_tear_down(void **state);
/* Ends the keeper there is and goes on with one of these options. */
void keeper_world_create(struct keeper_world *w, const struct keeper_options *options);

/* The agent came back: PostgreSQL runs on as the primary of term 7, the session lives. */
void keeper_world_hold(struct keeper_world *w);
/* The same, and db2, whose record is `heir`, confirms what db1 writes. */
void keeper_world_hold_with_heir(struct keeper_world *w, const char *heir);
/* A standby of db2, which holds term 7. */
void keeper_world_stand_by(struct keeper_world *w);
void keeper_world_put(struct keeper_world *w, const char *key, const char *value,
                      const char *session);
/* Nobody holds the lease. */
void keeper_world_free_lease(struct keeper_world *w);

/* The clock goes on in steps of 10 ms; warden, probe and store are heard now and then. */
void keeper_world_pass(struct keeper_world *w, uint64_t ms);
/* Notes what is asked now, and answers what is not the test's. */
void keeper_world_take(struct keeper_world *w);
void keeper_world_answer(struct keeper_world *w, uint64_t id, enum keeper_end end);
/* The last order of the kind is done. */
void keeper_world_do_last(struct keeper_world *w, enum keeper_action_kind kind);

enum keeper_state keeper_world_state(const struct keeper_world *w);
/* How often it has asked for this. */
size_t keeper_world_count(const struct keeper_world *w, enum keeper_action_kind kind);
/* Whether a transaction began with this key. */
bool keeper_world_has_asked(const struct keeper_world *w, const char *key);
bool keeper_world_has_said(const struct keeper_world *w, const char *words);

#endif
