/* store_plan.h - what a request would write, made from the mirror: pure rules, no engine.
 *
 * The operations are done one after the other on drafts of the keys they touch, so that each
 * sees what those before it did. Every fact that a decision was taken from becomes a compare,
 * every changed draft an operation of the engine. */
#ifndef AGENT_STORE_STORE_PLAN_H
#define AGENT_STORE_STORE_PLAN_H

#include "agent/store/store_state.h"

enum {
    DRAFTS_MAX = ENGINE_OPS_MAX,
    FAILURE_SIZE = 5 * STORE_KEY_MAX / 4, /* a key and Consul's words about it */
    MOD_OF_THIS = 0 /* create and modify index of what this very plan writes */
};
#define TERM_OF_THIS UINT64_MAX

/* A key as it was, and as it is after the operations so far. */
struct draft {
    enum store_table table;
    struct rc_pack_bytes key; /* of the engine, in the arena */
    struct rc_pack_bytes name;
    struct rc_pack_bytes held_key;
    struct engine_item was; /* zero: not there */
    struct held_record held_was;
    uint64_t held_mod;
    bool was_there;
    bool exists;
    struct kv_record now;    /* a document: only its value */
    struct held_record held; /* session NULL: not held */
    uint64_t create_index;
    uint64_t modify_index;
    uint64_t term;
    uint64_t lease;
    /* what the engine must compare */
    bool needs_mod;
    bool needs_create;
    bool needs_held;
    bool needs_session; /* the one of held_was lives */
    /* what it must write */
    bool is_changed;
    bool held_changed;
    bool goes_with_tree; /* deleted by a prefix */
};

struct arena_block;

struct store_plan {
    const struct store *store;
    struct store_request *request;
    struct engine_compare compares[ENGINE_OPS_MAX];
    size_t compare_count;
    struct engine_op ops[ENGINE_OPS_MAX];
    size_t op_count;
    struct draft drafts[DRAFTS_MAX];
    size_t draft_count;
    struct store_failure failures[STORE_OPS_MAX];
    size_t failure_count;
    struct store_result *results; /* grows */
    size_t result_count;
    size_t result_max;
    uint64_t term;
    int err; /* RC_OK: failures say how it went; RC_EINVAL: with failures[0]'s words */
    bool must_wait; /* a key is unsettled */
    struct arena_block *blocks;
    struct rc_buffer buffer;
};

struct store_plan *plan_create(void);
void plan_destroy(struct store_plan *plan); /* NULL is allowed */

/* Plans a request of operations; all that is pointed to lives until the next plan. */
void plan_make(struct store_plan *plan, const struct store *store,
               struct store_request *request);

/* ---- for store_verbs.c */

/* Space until the next plan; NULL and RC_ENOMEM in the plan. */
void *plan_take(struct store_plan *plan, size_t size);
struct rc_pack_bytes plan_key(struct store_plan *plan, const char *prefix,
                              struct rc_pack_bytes name);
/* `id` and a slash: what its locks stand under in the mirror. */
struct rc_pack_bytes plan_with_slash(struct store_plan *plan, struct rc_pack_bytes id);
/* The record as the engine has it. */
struct rc_pack_bytes plan_session(struct store_plan *plan,
                                  const struct store_session *session);
/* The draft of a key, new from the mirror if need be; NULL: too many, or it is unsettled. */
struct draft *plan_draft(struct store_plan *plan, enum store_table table,
                         struct rc_pack_bytes name);
void plan_compare(struct store_plan *plan, struct rc_pack_bytes key,
                  enum engine_target target, enum engine_relation relation,
                  uint64_t number);
void plan_op(struct store_plan *plan, const struct engine_op *op);
void plan_fail(struct store_plan *plan, size_t op, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void plan_result(struct store_plan *plan, size_t op, const struct store_pair *pair);

/* Does one operation of the request. */
void verb_do(struct store_plan *plan, size_t index);

/* ---- store_outcome.c: outcomes as they are remembered, under req/ and in a request. */
/* Into `plan->buffer`; its error sticks there. */
void store_outcome_write(struct store_plan *plan);
/* The same without what was read, when that is too much to be kept: whoever asks again learns
 * that it is not known any more. */
struct rc_pack_bytes store_outcome_short(struct rc_pack_bytes record);

/* Answers with a remembered outcome; what this write gave an index has `revision`. */
bool store_outcome_is_of(struct rc_pack_bytes bytes, uint64_t print);
int store_outcome_replay(struct store_plan *plan, struct rc_pack_bytes bytes,
                         uint64_t revision, struct store_outcome *out);

#endif
